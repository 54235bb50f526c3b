"""What a phase gives to others: its winners, its tables, and what was spent; at rest as JSON beside Parquet."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import polars as pl
from polars import selectors

from quant_organism.market.stored import encode
from quant_organism.market.table import Table
from quant_organism.strategies import Committee, Genome, Member
from quant_organism.workflows.strategies import TradedPoint
from quant_organism.workflows.tables import WorkflowResultTable

MOST_WINNERS: Final = 1_000
"""Winners of a phase that are kept for others to inherit."""


@dataclass(frozen=True)
class PhaseWinner:
    """One strategy that another phase may inherit.

    Parameters
    ----------
    point
        The strategy, and what was chosen for it.
    score
        What it was ranked by, large is good; nan where it has none.
    """

    point: TradedPoint
    score: float

    @property
    def document(self) -> dict[str, Any]:
        """All of it as plain values."""
        members = self.point.committee.members
        return {
            "name": self.point.name,
            "parameters": dict(self.point.parameters),
            "sizer": self.point.sizer,
            "note": self.point.note,
            "score": None if math.isnan(self.score) else self.score,
            "members": [[m.weight, list(m.assets), m.genome.to_dict()] for m in members],
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> PhaseWinner:
        """Return what `document` was made of."""
        members = tuple(
            Member(weight, Genome.from_dict(genome), tuple(assets)) for weight, assets, genome in document["members"]
        )
        point = TradedPoint(
            document["name"], document["parameters"], document["sizer"], Committee(members), document["note"]
        )
        return cls(point, math.nan if document["score"] is None else document["score"])


@dataclass(frozen=True, eq=False)
class PhaseOutcome:
    """What came of a phase.

    Parameters
    ----------
    results
        By `WorkflowResultTable`.
    winners
        Best first, at most `MOST_WINNERS`.
    strategies, trials
        How many strategies it worked on, and how many genomes it evaluated.
    tables
        Further frames, by their table.
    cycle
        Identity under which a search and its verdicts lie in the lake.
    stopped_by
        The budget that ended it early; empty where none did.
    notes
        What a reader has to know.
    """

    results: pl.DataFrame
    winners: tuple[PhaseWinner, ...] = ()
    strategies: int = 0
    trials: int = 0
    tables: Mapping[type[Table], pl.DataFrame] = field(default_factory=dict)
    cycle: str = ""
    stopped_by: str = ""
    notes: tuple[str, ...] = ()

    @property
    def frames(self) -> dict[type[Table], pl.DataFrame]:
        """All frames by their table."""
        return {WorkflowResultTable: self.results, **self.tables}

    def encoded(self) -> dict[type[Table], bytes]:
        """Return the bytes of all frames."""
        return {table: encode(table, frame) for table, frame in self.frames.items()}

    @property
    def document(self) -> dict[str, Any]:
        """All but the frames, as plain values."""
        return {
            "winners": [winner.document for winner in self.winners],
            "strategies": self.strategies,
            "trials": self.trials,
            "cycle": self.cycle,
            "stopped_by": self.stopped_by,
            "notes": list(self.notes),
        }

    @classmethod
    def read(cls, document: Mapping[str, Any], frames: Mapping[type[Table], pl.DataFrame]) -> PhaseOutcome:
        """Return what `document` and `frames` were made of."""
        return cls(
            results=frames[WorkflowResultTable],
            winners=tuple(PhaseWinner.read(winner) for winner in document["winners"]),
            strategies=document["strategies"],
            trials=document["trials"],
            tables={table: frame for table, frame in frames.items() if table is not WorkflowResultTable},
            cycle=document["cycle"],
            stopped_by=document["stopped_by"],
            notes=tuple(document["notes"]),
        )


def digest_of(value: Any) -> str:
    """Return the SHA-256 of plain values in their canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """Return plain values as their canonical JSON."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def result_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return results as a frame; what is undefined is null."""
    return WorkflowResultTable.frame(rows).with_columns(selectors.float().fill_nan(None))
