"""A row of the trial ledger: what is kept of a trial, for ever, and where the trial came from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import Evaluation
from quant_organism.errors import InputError
from quant_organism.evolution.sketch import return_moments, sketch
from quant_organism.evolution.tables import TrialTable

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class LedgerIdentity:
    """Where trials come from.

    Parameters
    ----------
    spec_hash, panel_hash, costs_hash
        SHA-256 in hex of the search's spec, of the panel that it saw, and of its costs.
    cycle
        Name of the run: letters, digits, `.`, `_` and `-`.
    generation
        In which generation the trials were evaluated first.
    market
        The panel's market.

    Raises
    ------
    InputError
        A hash is none, or the cycle cannot name a folder.
    """

    spec_hash: str
    panel_hash: str
    costs_hash: str
    cycle: str
    generation: int
    market: str

    def __post_init__(self) -> None:
        for field in ("spec_hash", "panel_hash", "costs_hash"):
            if not _HASH.fullmatch(getattr(self, field)):
                raise InputError(f"{field} is {getattr(self, field)!r}, expected 64 hexadecimal digits")
        if not _NAME.fullmatch(self.cycle):
            raise InputError(f"{self.cycle!r} cannot name a cycle", remedy="use letters, digits, '.', '_' and '-'")
        if self.generation < 0:
            raise InputError(f"generation is {self.generation}, expected 0 or more")


def trial_rows(evaluations: Sequence[Evaluation], identity: LedgerIdentity) -> pl.DataFrame:
    """Return one row per genome, in the order of their hashes, each once.

    Raises
    ------
    InputError
        A return is not a number, or the evaluations are not of the same days.
    """
    days = evaluations[0].days
    for evaluation in evaluations:
        if not np.array_equal(evaluation.days, days):
            raise InputError("the evaluations are not of the same days", remedy="append those of one panel at a time")
    genomes = [genome for evaluation in evaluations for genome in evaluation.genomes]
    returns = np.concatenate([evaluation.daily_returns for evaluation in evaluations])
    broken = np.argwhere(~np.isfinite(returns))
    if len(broken):
        row, day = broken[0]
        raise InputError(
            f"daily return {returns[row, day]} is not a number",
            where=f"genome {genomes[row].id}, day {day}",
            remedy="repair the data upstream",
        )

    def metric(name: str) -> NDArray[np.float64]:
        return np.concatenate([evaluation.metrics[name] for evaluation in evaluations])

    moments = return_moments(returns)
    sketches = [row.tobytes() if row.any() else None for row in sketch(returns)]
    columns = {
        "genome_hash": [genome.hash for genome in genomes],
        "family": [genome.family for genome in genomes],
        "mean": moments.mean,
        "std": moments.std,
        "skew": moments.skew,
        "kurtosis": moments.kurtosis,
        "autocorrelation": moments.autocorrelation,
        "sharpe": metric("sharpe"),
        "turnover_per_year": metric("turnover_per_year"),
        "trades": metric("trades").astype(np.int64),
        "behaviour": np.concatenate([evaluation.behaviour for evaluation in evaluations]),
        "sketch": sketches,
    }
    return completed(columns, days, identity)


def completed(columns: Mapping[str, Any], days: NDArray[np.int64], identity: LedgerIdentity) -> pl.DataFrame:
    """Return rows of the ledger from the columns that differ from trial to trial, one per hash, in their order.

    Parameters
    ----------
    columns
        By `TrialTable`, each of length G; what is undefined is nan.
    days
        First millisecond of each UTC day, shape (D,).
    identity
        Where they come from.
    """
    constants = {
        "panel_hash": identity.panel_hash,
        "costs_hash": identity.costs_hash,
        "spec_hash": identity.spec_hash,
        "market": identity.market,
        "cycle": identity.cycle,
        "generation": identity.generation,
        "first_day": day_of(int(days[0])),
        "last_day": day_of(int(days[-1])),
        "n_days": len(days),
    }
    frame = pl.DataFrame(
        columns, schema_overrides={name: TrialTable.schema[name] for name in columns}, nan_to_null=True
    )
    complete = frame.lazy().with_columns(**{name: pl.lit(value) for name, value in constants.items()})
    ordered = complete.select(pl.col(name).cast(kind) for name, kind in TrialTable.schema.items())
    return ordered.unique("genome_hash", keep="first", maintain_order=True).sort("genome_hash").collect()


def day_of(moment_ms: int) -> date:
    """Return the UTC day of a moment."""
    return datetime.fromtimestamp(moment_ms // 1000, UTC).date()
