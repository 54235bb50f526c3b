"""The datasets of the evolution room: trials, how a search went, and what it puts forward."""

from __future__ import annotations

from typing import Final

import polars as pl

from quant_organism.evolution.objectives import KNOWN_OBJECTIVES
from quant_organism.market import BY_CYCLE, Column, Columns, Table

_SHARPE: Final = "annual Sharpe ratio"

_METRICS: Final = {
    "total_return": ("final over initial equity, less 1", "fraction of equity"),
    "annual_return": ("the same, compounded to a year of 365 days", "fraction of equity"),
    "volatility": ("standard deviation of the returns of bars", "fraction of equity, annual"),
    "sharpe": ("mean over standard deviation of the returns of bars", _SHARPE),
    "sortino": ("mean over downside deviation of the returns of bars", "annual ratio"),
    "max_drawdown": ("largest fall from a highest equity", "fraction of equity"),
    "calmar": ("annual return over maximum drawdown", "ratio"),
    "consistency": ("share of twelve equal sub-periods that gained", "fraction"),
    "beta": ("slope of the returns on those of the market", "ratio"),
    "alpha": ("mean return beyond what beta explains", "fraction of equity, annual"),
    "time_in_market": ("share of bars with a position", "fraction"),
    "turnover_per_year": ("traded notional", "multiples of equity, annual"),
    "exposure": ("mean gross notional", "multiples of equity"),
    "net_exposure": ("mean net notional; negative: short", "multiples of equity"),
    "trades": ("closed trades", "trades"),
    "win_rate": ("share of the trades with a net gain", "fraction"),
    "profit_factor": ("net gains over net losses of the trades", "ratio"),
    "avg_holding_hours": ("mean time that a trade is held", "hours"),
}


def _metrics() -> dict[str, Column]:
    return {name: Column(pl.Float64(), meaning, unit=unit) for name, (meaning, unit) in _METRICS.items()}


def _objectives() -> dict[str, Column]:
    """Return two columns per metric that may be an objective; a search shows the default ones and its own."""
    return {
        f"{what}_{name}": Column(
            pl.Float64(), f"{what} `{name}` of the feasible members", unit=_METRICS[name][1], optional=True
        )
        for name in KNOWN_OBJECTIVES
        for what in ("best", "median")
    }


def _genome() -> Column:
    return Column(pl.String(), "family, generation, hash and genes", unit="JSON")


class TrialTable(Table, dataset="trials", partitions=("panel_hash", "costs_hash", "cycle"), written_by="every search"):
    """One trial of any search that ever ran: the trial ledger, across cycles and markets.

    `mean` to `autocorrelation` are of net daily returns, as in `sketch.return_moments`. What is undefined is null.
    """

    genome_hash = Column(pl.String(), "SHA-256 of the genome", key=True)
    panel_hash = Column(pl.String(), "SHA-256 of the panel that the search saw", key=True)
    costs_hash = Column(pl.String(), "SHA-256 of the costs", key=True)
    spec_hash = Column(pl.String(), "SHA-256 of the search's spec")
    market = Column(pl.String(), "the panel's market")
    cycle = Column(pl.String(), "name of the run that tried it first")
    generation = Column(pl.Int32(), "generation in which it was tried first")
    family = Column(pl.String(), "family of the genome")
    first_day = Column(pl.Date(), "first day of the panel", unit="UTC")
    last_day = Column(pl.Date(), "last day of the panel", unit="UTC")
    n_days = Column(pl.Int32(), "daily returns that the moments are of", unit="days")
    mean = Column(pl.Float64(), "mean", unit="fraction of equity a day", nullable=True)
    std = Column(pl.Float64(), "standard deviation", unit="fraction of equity a day", nullable=True)
    skew = Column(pl.Float64(), "skewness", nullable=True)
    kurtosis = Column(pl.Float64(), "kurtosis", nullable=True)
    autocorrelation = Column(pl.Float64(), "correlation of a day with the day before", nullable=True)
    sharpe = Column(pl.Float64(), "net of costs, on bars", unit=_SHARPE, nullable=True)
    turnover_per_year = Column(pl.Float64(), "traded notional", unit="multiples of equity, annual", nullable=True)
    trades = Column(pl.Int64(), "closed trades", unit="trades")
    behaviour = Column(pl.UInt64(), "digest of the positions; equal ones are one strategy under several names")
    sketch = Column(
        pl.Binary(), "the daily returns in 128 signs, for correlations; none where they do not vary", nullable=True
    )


class PopulationTable(Table, dataset="evolved_population", partitions=BY_CYCLE, written_by="evolved_population"):
    """One trial of a cycle's search: a unique genome, where it came from, and its in-sample metrics."""

    trial = Column(pl.Int64(), "number in the order of evaluation, from 0", key=True)
    id = Column(pl.String(), "identity of the genome: family, generation, hash")
    hash = Column(pl.String(), "SHA-256 of the genome")
    family = Column(pl.String(), "family of the genome")
    generation = Column(pl.Int64(), "generation for which it was measured")
    island = Column(pl.Int64(), "island for which it was measured")
    operator = Column(
        pl.String(), "what made it: `founder`, `favoured`, `immigrant`, `archive`, or an operator of variation"
    )
    mother = Column(pl.Int64(), "trial number of a parent", nullable=True)
    father = Column(pl.Int64(), "trial number of the other parent", nullable=True)
    metrics = Columns(_metrics())
    behaviour = Column(pl.UInt64(), "digest of the positions; equal ones are one strategy under several names")
    feasible = Column(pl.Boolean(), "whether it traded enough and every objective is defined")
    on_front = Column(pl.Boolean(), "whether no feasible trial dominates it")
    survived = Column(pl.Boolean(), "whether it is in a last population")
    genome = _genome()


class ProgressTable(Table, dataset="search_progress", partitions=BY_CYCLE, written_by="evolved_population", version=2):
    """One generation of a search: counts so far, and how good and how diverse the populations are."""

    generation = Column(pl.Int64(), "number of the generation, from 0", key=True)
    trials = Column(pl.Int64(), "unique genomes measured so far", unit="trials")
    rejected = Column(
        pl.Int64(), "genomes turned away on the short sample or by the birth checks so far", unit="genomes"
    )
    lost_batches = Column(pl.Int64(), "batches that could not be measured so far", unit="batches")
    restarts = Column(pl.Int64(), "restarts of islands so far")
    feasible = Column(pl.Int64(), "feasible trials so far", unit="trials")
    members = Column(pl.Int64(), "genomes in the populations", unit="genomes")
    behaviours = Column(pl.Int64(), "different behaviours among them")
    hypervolume = Column(pl.Float64(), "what the feasible members dominate, in the space of the objectives")
    objectives = Columns(_objectives())


class FamilyProgressTable(Table, dataset="search_families", partitions=BY_CYCLE, written_by="evolved_population"):
    """One family on one island in one generation."""

    generation = Column(pl.Int64(), "number of the generation, from 0", key=True)
    island = Column(pl.Int64(), "number of the island", key=True)
    family = Column(pl.String(), "the family", key=True)
    members = Column(pl.Int64(), "its genomes on the island", unit="genomes")
    best_sharpe = Column(pl.Float64(), "best of its feasible members, if any", unit=_SHARPE, nullable=True)
    median_sharpe = Column(pl.Float64(), "median of its feasible members, if any", unit=_SHARPE, nullable=True)


class RejectedTable(Table, dataset="rejected", partitions=BY_CYCLE, written_by="evolved_population"):
    """One genome that was turned away: on the short sample of a search's last days, or by the birth checks."""

    genome = Column(pl.String(), "its identity")
    hash = Column(pl.String(), "its SHA-256", key=True)
    generation = Column(pl.Int64(), "generation for which it was proposed")
    island = Column(pl.Int64(), "island for which it was proposed")
    kind = Column(pl.String(), "what is wrong with it")
    detail = Column(pl.String(), "where it showed")


class LostBatchTable(Table, dataset="lost_batches", partitions=BY_CYCLE, written_by="evolved_population"):
    """One batch that could not be measured."""

    generation = Column(pl.Int64(), "its generation")
    island = Column(pl.Int64(), "its island")
    genomes = Column(pl.Int64(), "how many were in it", unit="genomes")
    reason = Column(pl.String(), "why")


class CycleTable(Table, dataset="cycles", partitions=BY_CYCLE, written_by="market_panel", version=2):
    """One cycle: what it is a function of, written when it begins."""

    panel_hash = Column(pl.String(), "SHA-256 of the panel")
    spec_hash = Column(pl.String(), "SHA-256 of the plan and of the archive that founded it")
    code_version = Column(pl.String(), "version of the program")
    seed = Column(pl.Int64(), "seed of the search")
    archive_hash = Column(pl.String(), "SHA-256 of the archive that founded it; empty without one")
    founded_by = Column(pl.String(), "date and identity of the cycle that left that archive", since=2, default="")
    plan = Column(
        pl.String(), "search, gates, costs and tests of luck as JSON; empty in older files", since=2, default=""
    )


class CandidateTable(Table, dataset="candidates", partitions=BY_CYCLE, written_by="evolved_population"):
    """One member of a strategy that the search put forward."""

    candidate = Column(pl.String(), "identity of the strategy", key=True)
    origin = Column(pl.String(), "how it was chosen")
    member = Column(pl.Int64(), "number of the member, from 0", key=True)
    weight = Column(pl.Float64(), "its share", unit="fraction of the strategy's capital")
    assets = Column(pl.List(pl.String()), "symbols that it is restricted to; empty: all")
    family = Column(pl.String(), "family of its genome")
    genome = _genome()


class ArchiveTable(Table, dataset="strategy_archive", partitions=BY_CYCLE, written_by="strategy_archive"):
    """One filled cell of the grid over ways to behave, and the best genome that behaves so; goes from day to day."""

    cell = Column(pl.Int64(), "number of the cell", key=True)
    holding_hours = Column(pl.Float64(), "mean time that a trade is held", unit="hours")
    trades_a_month = Column(pl.Float64(), "closed trades per asset and 30 days", unit="trades")
    net_exposure = Column(pl.Float64(), "net over gross exposure", unit="fraction")
    volatility_preference = Column(
        pl.Float64(), "correlation of the size of its daily returns with the market's volatility of the day"
    )
    sharpe = Column(pl.Float64(), "in sample, on the panel that measured it", unit=_SHARPE)
    family = Column(pl.String(), "family of the genome")
    hash = Column(pl.String(), "SHA-256 of the genome")
    measured = Column(pl.Date(), "last day that the search which measured it saw", unit="UTC")
    genome = _genome()


class EliteTable(ArchiveTable, dataset="elites", partitions=BY_CYCLE, written_by="evolved_population"):
    """One filled cell of the grid over ways to behave, and the best genome that this cycle's search found there."""


TABLES: Final[tuple[type[Table], ...]] = (
    TrialTable,
    PopulationTable,
    ProgressTable,
    FamilyProgressTable,
    RejectedTable,
    LostBatchTable,
    CycleTable,
    CandidateTable,
    EliteTable,
    ArchiveTable,
)
