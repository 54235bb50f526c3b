"""A search's trials and records as frames that give back the same bits: what a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
import orjson
import polars as pl

from quant_organism.evolution.progress import LostBatch, RejectedGenome
from quant_organism.evolution.trials import METRICS, Trials
from quant_organism.strategies import Genome

_WIDE = ("parents", "asset_sharpe", "objectives", "daily_returns")

Record = TypeVar("Record", RejectedGenome, LostBatch)


def trial_table(trials: Trials) -> pl.DataFrame:
    """Return one row per trial with all that `read_trials` needs; what is known at the search's end is left out."""
    return pl.DataFrame(
        {
            "genome": [genome_text(genome) for genome in trials.genomes],
            "generation": trials.generation,
            "island": trials.island,
            "operator": pl.Series(trials.operator, dtype=pl.Utf8),
            "behaviour": trials.behaviour,
            "feasible": trials.feasible,
            **trials.metrics,
            **{name: pl.Series(getattr(trials, name)) for name in _WIDE},
        }
    )


def read_trials(table: pl.DataFrame, *, symbols: Sequence[str], days: Sequence[int]) -> Trials:
    """Return the trials of a table that `trial_table` made.

    Raises
    ------
    IntegrityError
        If a genome is not what its hash says.
    """
    unknown_yet = np.zeros(table.height, dtype=np.bool_)
    return Trials(
        genomes=tuple(Genome.from_dict(orjson.loads(text)) for text in table["genome"]),
        generation=table["generation"].to_numpy(),
        island=table["island"].to_numpy(),
        operator=tuple(table["operator"]),
        behaviour=table["behaviour"].to_numpy(),
        feasible=table["feasible"].to_numpy(),
        metrics={name: table[name].to_numpy() for name in METRICS},
        **{name: table[name].to_numpy() for name in _WIDE},
        on_front=unknown_yet,
        survived=unknown_yet,
        symbols=tuple(symbols),
        days=np.array(days, dtype=np.int64),
    )


def record_table(records: Sequence[RejectedGenome] | Sequence[LostBatch], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return one row per record."""
    return pl.DataFrame([asdict(record) for record in records], schema=schema)


def read_records(kind: type[Record], table: pl.DataFrame) -> list[Record]:
    """Return the records of a table that `record_table` made."""
    return [kind(**row) for row in table.iter_rows(named=True)]


def genome_text(genome: Genome) -> str:
    """Return a genome as JSON with sorted keys."""
    return orjson.dumps(genome.to_dict(), option=orjson.OPT_SORT_KEYS).decode()
