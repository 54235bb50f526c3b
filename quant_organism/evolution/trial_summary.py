"""The trial ledger in figures: per market and family, how many were tried, how good they look, how good luck looks."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from quant_organism.evolution.budget import expected_luck, luck_sentence
from quant_organism.evolution.ledger import TrialLedger

DAYS_A_YEAR = 365.0


@dataclass(frozen=True)
class FamilySummary:
    """Trials of one family on one market, or of all families where `family` is None.

    Attributes
    ----------
    market, family
        Which trials.
    trials, behaviours
        How many there are, and how many of them differ in behaviour: clones are one trial in all that judges luck.
    years
        Length of the history that half of the trials saw no more of.
    best_sharpe, median_sharpe
        Annual net Sharpe ratios in sample, of those trials that have one; None where none has.
    luck_sharpe
        What the best of so many behaviours without skill is expected to show.
    """

    market: str
    family: str | None
    trials: int
    behaviours: int
    years: float
    best_sharpe: float | None
    median_sharpe: float | None
    luck_sharpe: float

    @property
    def sentence(self) -> str:
        """Say what luck alone is expected to show."""
        return luck_sentence(self.behaviours, self.years)


def summarise_trials(ledger: TrialLedger, market: str | None = None) -> list[FamilySummary]:
    """Sum the ledger up: per market all families together first, then each by itself.

    Raises
    ------
    IntegrityError
        A file of the ledger is damaged; it is named.
    """
    columns = ["market", "family", "panel_hash", "costs_hash", "behaviour", "n_days", "sharpe"]
    trials = ledger.frame(columns, market=market)
    together = _figures(trials, ["market"]).with_columns(family=pl.lit(None, dtype=pl.String))
    apart = _figures(trials, ["market", "family"])
    rows = pl.concat([together, apart.select(together.columns)]).sort("market", "family", nulls_last=False)
    return [
        FamilySummary(**row, luck_sharpe=expected_luck(row["behaviours"], row["years"]))
        for row in rows.iter_rows(named=True)
    ]


def _figures(trials: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    counted = trials.group_by(by).agg(
        trials=pl.len(),
        years=pl.col("n_days").quantile(0.5, "lower") / DAYS_A_YEAR,
        best_sharpe=pl.col("sharpe").max(),
        median_sharpe=pl.col("sharpe").median(),
    )
    distinct = trials.unique([*by, "panel_hash", "costs_hash", "behaviour"]).group_by(by).agg(behaviours=pl.len())
    return counted.join(distinct, on=by)
