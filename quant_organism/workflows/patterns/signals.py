"""Patterns about decisions rather than returns: signal_generation, signal_replay."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.market import Panel, Span
from quant_organism.strategies import Committee, Genome, IndicatorStore, get_family, signal
from quant_organism.strategies.cross_section.family import CrossSectionFamily
from quant_organism.strategies.cross_section.history import CrossSectionBars
from quant_organism.validation.replay import Replay, replay_committee
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.triple import periods_of
from quant_organism.workflows.inputs import PhaseInputs
from quant_organism.workflows.outcome import PhaseOutcome, result_rows
from quant_organism.workflows.spec import PhaseSpec
from quant_organism.workflows.tables import WorkflowSignalTable

_COLUMNS = ("open", "high", "low", "close", "volume", "funding_rate")
_STORE_BYTES = 64 * 2**20


def signal_generation(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Write down every change of what strategies want to hold; what came of it is not looked at."""
    points, span = list(inputs.points()), inputs.span
    panel, store = inputs.data.panel.window(0, span.stop), IndicatorStore(_STORE_BYTES)
    frames = [WorkflowSignalTable.empty()]
    for place, point in enumerate(points):
        targets = _targets(point.committee, panel, store)[span.start :]
        for symbol, wanted in zip(panel.symbols, targets.T, strict=True):
            changes = np.flatnonzero(np.diff(wanted, prepend=0.0))
            frames.append(
                pl.DataFrame(
                    {
                        "phase": [inputs.phase.name] * changes.size,
                        "strategy": [point.committee.id] * changes.size,
                        "symbol": [symbol] * changes.size,
                        "timestamp": panel.times[span.start :][changes],
                        "target": wanted[changes],
                    }
                ).cast(WorkflowSignalTable.schema)
            )
        inputs.progress(inputs.phase.name, place + 1, len(points), point.committee.id)
    signals = pl.concat(frames)
    counts = dict(signals.group_by("strategy").len().iter_rows())
    rows = [
        inputs.row(point, {}, rank=place, note=f"{counts.get(point.committee.id, 0):,} changes of target")
        for place, point in enumerate(points, 1)
    ]
    return PhaseOutcome(result_rows(rows), strategies=len(points), tables={WorkflowSignalTable: signals})


def signal_replay(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Trade bar by bar, and compare trades and orders with the backtest's."""
    points, rows = list(inputs.points()), []
    found: list[Replay | NotRun] = []

    def show() -> bytes:
        span = inputs.span
        periods = periods_of(spec.mode, Span(span.name, span.start, span.stop), inputs.interval.bars_per_day)
        for place, point in enumerate(points):
            found.append(
                periods
                if isinstance(periods, NotRun)
                else replay_committee(
                    point.committee,
                    inputs.data.panel,
                    inputs.phase.costs,
                    periods,
                    equity_usd=inputs.plan.spec.equity_usd,
                )
            )
            inputs.progress(inputs.phase.name, place + 1, len(points), point.committee.id)
        return "".join(r.reason if isinstance(r, NotRun) else f"{r.trade_hash}{r.order_hash}" for r in found).encode()

    inputs.look(points, show)
    for rank, (point, replay) in enumerate(zip(points, found, strict=True), 1):
        if isinstance(replay, NotRun):
            rows.append(inputs.row(point, {}, rank=rank, feasible=False, note=f"not run: {replay.reason}"))
            continue
        numbers = {"sharpe": replay.mean_sharpe, "trades": float(sum(replay.trades))}
        days = sum(map(len, replay.periods)) // inputs.interval.bars_per_day
        equal = f"{replay.equal} of {replay.compared} trade lists are equal, on {days} of the days"
        note = replay.difference or equal
        rows.append(inputs.row(point, numbers, rank=rank, passed=replay.is_equal, note=note))
    return PhaseOutcome(result_rows(rows), strategies=len(points))


def _targets(committee: Committee, panel: Panel, store: IndicatorStore) -> NDArray[np.float64]:
    """Return what a committee wants of each asset at each close, shape (T, N)."""
    wanted = np.zeros(panel.valid.shape)
    for member in committee.members:
        family = get_family(member.genome.family)
        if isinstance(family, CrossSectionFamily):
            order = sorted(range(panel.n_assets), key=panel.symbols.__getitem__)
            held = family.wanted(CrossSectionBars.of(panel), member.genome.genes, panel.interval.hours)
            wanted[:, order] += member.weight * held
            continue
        for asset, symbol in enumerate(panel.symbols):
            if not member.assets or symbol in member.assets:
                wanted[:, asset] += member.weight * _target(member.genome, panel, asset, store)
    return wanted


def _target(genome: Genome, panel: Panel, asset: int, store: IndicatorStore) -> NDArray[np.float64]:
    columns = {name: np.where(panel.valid[:, asset], getattr(panel, name)[:, asset], np.nan) for name in _COLUMNS}
    numbers = panel.times // panel.interval.milliseconds
    return signal(genome, columns, bar_hours=panel.interval.hours, numbers=numbers, store=store)
