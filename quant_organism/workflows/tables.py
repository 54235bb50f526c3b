"""Datasets of workflows: runs, phases, results, signals and checks; each lies by day and correlation id of its run."""

from __future__ import annotations

from typing import Final

import polars as pl

from quant_organism.market.table import Column, Columns, Table
from quant_organism.workflows.kinds import RESULT_METRICS

BY_WORKFLOW: Final = ("date", "workflow")
"""Levels of folders of what a workflow leaves: the day on which it began, and its correlation id."""

_COMMAND: Final = "workflow run"

_UNITS: Final = {
    "sharpe": "annual Sharpe ratio",
    "max_drawdown": "fraction of equity",
    "turnover_per_year": "multiples of equity, annual",
    "trades": "closed trades",
}

_MOMENT: Final = pl.Datetime("ms", "UTC")


class WorkflowRunTable(Table, dataset="workflow_runs", partitions=BY_WORKFLOW, written_by=_COMMAND):
    """One run of a workflow."""

    name = Column(pl.String(), "the workflow's name", key=True)
    status = Column(pl.String(), "`in_progress`, `completed` or `failed`")
    spec_hash = Column(pl.String(), "SHA-256 of what its file says")
    panel_hash = Column(pl.String(), "SHA-256 of the panel")
    code = Column(pl.String(), "identity of the code that computes phases")
    seed = Column(pl.Int64(), "of everything that is drawn")
    market = Column(pl.String(), "the market")
    interval = Column(pl.String(), "length of a bar")
    first_day = Column(pl.Date(), "first day of the panel", unit="UTC")
    last_day = Column(pl.Date(), "last day of the panel", unit="UTC")
    begun = Column(_MOMENT, "when it began", unit="UTC")
    ended = Column(_MOMENT, "when it ended", unit="UTC", nullable=True)
    phases = Column(pl.Int64(), "its phases", unit="phases")
    completed = Column(pl.Int64(), "those that are completed", unit="phases")
    strategies = Column(pl.Int64(), "strategies that its phases worked on, all together", unit="strategies")
    trials = Column(pl.Int64(), "genomes that its phases evaluated, all together", unit="genomes")
    seconds = Column(pl.Float64(), "that its phases took, all together", unit="seconds")
    cost_usd = Column(pl.Float64(), "of the worker hours, where their price is stated", unit="USD", nullable=True)
    spec = Column(pl.String(), "what its file says", unit="JSON")


class WorkflowPhaseTable(Table, dataset="workflow_phases", partitions=BY_WORKFLOW, written_by=_COMMAND):
    """One phase of a run: how far it is, and what came of it."""

    place = Column(pl.Int64(), "its place in the workflow, from 0", key=True)
    phase = Column(pl.String(), "its name")
    type = Column(pl.String(), "its pattern")
    status = Column(pl.String(), "`pending`, `in_progress`, `completed`, `failed` or `skipped`")
    health = Column(pl.String(), "`connected` (completed), `connecting` (in progress), `error`, else `disconnected`")
    seconds = Column(pl.Float64(), "that it took", unit="seconds")
    strategies = Column(pl.Int64(), "strategies that it worked on", unit="strategies")
    winners = Column(pl.Int64(), "those that another phase may inherit", unit="strategies")
    trials = Column(pl.Int64(), "genomes that it evaluated; the ledger counts each once", unit="genomes")
    inherits = Column(pl.String(), "the phase that it inherits from; empty without")
    span = Column(pl.String(), "days that it looked at")
    in_sample = Column(pl.Boolean(), "whether a phase before it chose by some of these days")
    identity = Column(pl.String(), "SHA-256 of all that it is a function of; empty before it began")
    outputs = Column(pl.String(), "SHA-256 of what it gave; empty before it ended")
    cycle = Column(pl.String(), "identity under which a search and its verdicts lie in the lake; empty without")
    stopped_by = Column(pl.String(), "the budget that ended it early; empty where none did")
    note = Column(pl.String(), "the error, why it was skipped, or what a reader has to know")


class WorkflowResultTable(Table, dataset="workflow_results", partitions=BY_WORKFLOW, written_by=_COMMAND):
    """One strategy in one phase, over one part of its days: what was chosen for it and what it did."""

    phase = Column(pl.String(), "the phase", key=True)
    part = Column(pl.String(), "`all`, or a window, a part, a quantile", key=True)
    rank = Column(pl.Int64(), "place by the objective, from 1; those that cannot win come last", key=True)
    strategy = Column(pl.String(), "identity of the strategy")
    name = Column(pl.String(), "what the workflow calls it")
    families = Column(pl.String(), "families of its genomes")
    sizer = Column(pl.String(), "name of its sizer; empty without")
    parameters = Column(pl.String(), "what was chosen for it", unit="JSON")
    span = Column(pl.String(), "days that were looked at")
    in_sample = Column(pl.Boolean(), "whether a phase before chose by some of these days")
    feasible = Column(pl.Boolean(), "whether it traded enough, and kept within the limit of drawdown")
    objective = Column(pl.Float64(), "what it is ranked by, large is good", nullable=True)
    passed = Column(pl.Boolean(), "whether it passed what the phase asks", nullable=True)
    note = Column(pl.String(), "gate where it fell, first difference of a replay, a capped size; empty without")
    metrics = Columns(
        {
            metric: Column(pl.Float64(), metric.replace("_", " "), unit=_UNITS.get(metric, ""), nullable=True)
            for metric in RESULT_METRICS
        }
    )


class WorkflowSignalTable(Table, dataset="workflow_signals", partitions=BY_WORKFLOW, written_by=_COMMAND):
    """One change of what a strategy wants to hold of an asset."""

    phase = Column(pl.String(), "the phase", key=True)
    strategy = Column(pl.String(), "identity of the strategy", key=True)
    symbol = Column(pl.String(), "the asset", key=True)
    timestamp = Column(_MOMENT, "open of the bar at whose close it was decided", unit="UTC", key=True)
    target = Column(pl.Float64(), "wanted from then on, weighted over its genomes", unit="share of position size")


class WorkflowCheckTable(Table, dataset="workflow_checks", partitions=BY_WORKFLOW, written_by=_COMMAND):
    """One question of an analysis, and its answer."""

    phase = Column(pl.String(), "the analysis", key=True)
    name = Column(pl.String(), "what the workflow calls the check", key=True)
    asked = Column(pl.String(), "phase whose results were asked")
    metric = Column(pl.String(), "metric of these results")
    statistic = Column(pl.String(), "over its rows")
    value = Column(pl.Float64(), "the answer", nullable=True)
    bound = Column(pl.String(), "what it was held against; empty where it was only asked for")
    passed = Column(pl.Boolean(), "whether it keeps within the bound; none where there is no bound", nullable=True)


def _of_part(part: str, where: str, *, nullable: bool) -> dict[str, Column]:
    described = (
        ("trials", pl.Int64(), f"trials inside, {where}", "trials"),
        ("clusters", pl.Int64(), f"clusters of like trials inside, {where}: what counts as one", "clusters"),
        ("runs", pl.Int64(), f"runs that they are of, {where}", "runs"),
        ("markets", pl.Int64(), f"markets that they are of, {where}", "markets"),
        ("sharpe", pl.Float64(), f"mean over the clusters inside, {where}", _UNITS["sharpe"]),
        ("effect", pl.Float64(), f"that less the same of the trials beside, {where}", _UNITS["sharpe"]),
        ("low", pl.Float64(), f"lower end of its 95 % interval, {where}", _UNITS["sharpe"]),
        ("high", pl.Float64(), f"upper end of its 95 % interval, {where}", _UNITS["sharpe"]),
        ("confidence", pl.Float64(), f"share of the clusters inside that earned net of costs, {where}", "fraction"),
        ("first_day", pl.Date(), f"first day that they were measured on, {where}", "UTC"),
        ("last_day", pl.Date(), f"last day of the same, {where}", "UTC"),
    )
    return {
        f"{part}_{name}": Column(kind, meaning, unit=unit, nullable=nullable) for name, kind, meaning, unit in described
    }


class MinedPatternTable(
    Table,
    dataset="mined_patterns",
    partitions=("interval", "date"),
    written_by="quant-organism regions mine",
    version=2,
):
    """One region that stood out in past runs, genes, an asset or a regime of a family, and what other days say."""

    id = Column(pl.String(), "eight digits of the SHA-256 of family, ranges, asset and regime", key=True)
    family = Column(pl.String(), "the family")
    kind = Column(pl.String(), "`genes`, `asset` or `regime`", since=2, default="genes")
    asset = Column(pl.String(), "the one asset; empty: all", since=2, default="")
    regime = Column(
        pl.String(), "factor and label of the day before, as in `market_regime`; empty: any", since=2, default=""
    )
    ranges = Column(
        pl.String(), "ranges of its genes, both ends inside, null where open; empty: all of them", unit="JSON"
    )
    status = Column(
        pl.String(),
        "`found`, `confirmed` or `refuted` on other days; `stale` where these are long ago or days since lost",
    )
    looked_at = Column(pl.Int64(), "regions that the mining tested", unit="regions")
    found = Columns(_of_part("found", "on the days on which it was found", nullable=False))
    found_p = Column(pl.Float64(), "chance that luck alone shows that", unit="probability")
    found_q = Column(pl.Float64(), "the same after Benjamini and Yekutieli over all that were tested", unit="q-value")
    again = Columns(_of_part("again", "on other days", nullable=True))
    again_p = Column(
        pl.Float64(),
        "chance that luck alone shows that, after Holm over all patterns",
        unit="probability",
        nullable=True,
    )
    live_strategies = Column(pl.Int64(), "strategies mostly inside that were watched since", unit="strategies")
    live_days = Column(pl.Int64(), "days of theirs, none of which found it", unit="days")
    live_sharpe = Column(pl.Float64(), "of these days", unit=_UNITS["sharpe"], nullable=True)


TABLES: Final[tuple[type[Table], ...]] = (
    WorkflowRunTable,
    WorkflowPhaseTable,
    WorkflowResultTable,
    WorkflowSignalTable,
    WorkflowCheckTable,
    MinedPatternTable,
)
