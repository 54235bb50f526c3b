"""Patterns that measure strategies over days: backtest, walk_forward, train_test, monte_carlo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import path_metrics
from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.monte_carlo import QUANTILES, bootstrap_bands
from quant_organism.workflows.inputs import BATCH, PhaseInputs, PointMetrics, best_first, each_once
from quant_organism.workflows.outcome import PhaseOutcome, PhaseWinner, result_rows
from quant_organism.workflows.spec import PhaseSpec
from quant_organism.workflows.strategies import TradedPoint

DAYS_PER_YEAR = 365.0


def backtest(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Measure strategies over a span, and rank them."""
    points, stopped_by = _all_points(inputs)
    found = _looked_at(inputs, points)
    scores, feasible = inputs.ranked(found.metrics, spec.optimization.objective)
    order = best_first(scores, feasible, _names(points))
    results = inputs.rows(
        [points[place] for place in order],
        {name: values[order] for name, values in found.metrics.items()},
        ranks=np.arange(1, len(order) + 1),
        scores=scores[order],
        feasible=feasible[order],
    )
    winners = each_once(PhaseWinner(points[place], float(scores[place])) for place in order if feasible[place])
    return _outcome(inputs, results, winners, points, stopped_by)


def walk_forward(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Choose on all days before a window, trade the window, go on to the next; windows follow each other.

    The first window has only the days before the span to choose on; a span that begins with the panel gives its first
    part away for that.
    """
    points, stopped_by = _all_points(inputs)
    per_day, span = inputs.interval.bars_per_day, inputs.span
    days, lead = len(span) // per_day, 1 if span.start == 0 else 0
    if days < spec.folds + lead:
        raise InputError(
            f"{days} days have no room for {spec.folds} windows", where=inputs.phase.name, remedy="ask for fewer folds"
        )
    bounds = [span.start + per_day * (days * k // (spec.folds + lead)) for k in range(spec.folds + lead)]
    bounds = [*bounds[lead:], span.stop]
    rows: list[dict[str, Any]] = []
    daily: list[NDArray[np.float64]] = []
    chosen: list[tuple[int, float]] = []

    def show() -> bytes:
        for fold, (start, stop) in enumerate(pairwise(bounds), 1):
            place, score = _choice(inputs, spec, points, 0, start)
            if place is None:
                daily.append(np.zeros((stop - start) // per_day))
                continue
            tested = inputs.measure([points[place]], start, stop)
            rows.append(inputs.row(points[place], _own(tested, 0), rank=1, part=f"window {fold}", objective=score))
            daily.append(tested.daily_returns[0])
            chosen.append((place, score))
            inputs.progress(inputs.phase.name, fold, spec.folds, points[place].committee.id)
        return b"".join(returns.tobytes() for returns in daily)

    inputs.look(points, show)
    if not chosen:
        return _outcome(inputs, result_rows([]), (), points, stopped_by, "nobody could be chosen in any window")
    place = chosen[-1][0]
    whole = path_metrics(np.concatenate(daily), DAYS_PER_YEAR)
    trades = sum(row["trades"] for row in rows)
    metrics = {name: float(values[0]) for name, values in whole.items()} | {"trades": trades}
    rows.insert(0, inputs.row(points[place], metrics, rank=1, objective=metrics["sharpe"]))
    winners = {points[p].committee.id: PhaseWinner(points[p], s) for p, s in reversed(chosen)}
    return _outcome(inputs, result_rows(rows), tuple(winners.values()), points, stopped_by)


def train_test(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Choose on the first days of a span, and measure the best of each name on the others."""
    points, stopped_by = _all_points(inputs)
    span, per_day = inputs.span, inputs.interval.bars_per_day
    days = len(span) // per_day
    cut = span.start + per_day * min(days - 1, max(1, round(days * spec.train_share)))
    rows: list[dict[str, Any]] = []
    winners: list[PhaseWinner] = []

    def show() -> bytes:
        trained = _in_batches(inputs, points, span.start, cut)
        scores, feasible = inputs.ranked(trained.metrics, spec.optimization.objective)
        order = best_first(scores, feasible, _names(points))
        for rank, place in enumerate(order, 1):
            said = {"feasible": bool(feasible[place]), "objective": float(scores[place])}
            rows.append(inputs.row(points[place], _own(trained, place), rank=rank, part="train", **said))
        best: dict[str, int] = {}
        for place in (place for place in order if feasible[place]):
            best.setdefault(points[place].name, place)
        if not best:
            return b""
        tested = inputs.measure([points[place] for place in best.values()], cut, span.stop)
        for rank, place in enumerate(best.values(), 1):
            own = _own(tested, rank - 1)
            rows.append(inputs.row(points[place], own, rank=rank, part="test", objective=float(scores[place])))
            winners.append(PhaseWinner(points[place], float(scores[place])))
        return tested.daily_returns.tobytes()

    inputs.look(points, show)
    return _outcome(inputs, result_rows(rows), tuple(winners), points, stopped_by)


def monte_carlo(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Resample the daily returns of each strategy in blocks: quantiles of Sharpe ratio and drawdown."""
    points, stopped_by = _all_points(inputs)
    found = _looked_at(inputs, points)
    rows: list[dict[str, Any]] = []
    for place, point in enumerate(points):
        bands = bootstrap_bands(
            found.daily_returns[place],
            periods_per_year=DAYS_PER_YEAR,
            average_holding=float(found.holding_days[place]),
            seed=inputs.plan.spec.seed,
            draws=spec.draws,
        )
        rows.append(inputs.row(point, _own(found, place), rank=place + 1))
        if isinstance(bands, NotRun):
            rows[-1]["note"] = bands.reason
            continue
        rows[-1]["note"] = f"a loss in {bands.loss_probability:.0%} of {bands.draws:,} draws"
        for number, level in enumerate(QUANTILES):
            numbers = {"sharpe": bands.sharpe[number], "max_drawdown": bands.max_drawdown[number]}
            rows.append(inputs.row(point, numbers, rank=place + 1, part=f"quantile {level:.0%}"))
    return _outcome(inputs, result_rows(rows), (), points, stopped_by)


def _all_points(inputs: PhaseInputs) -> tuple[list[TradedPoint], str]:
    points = [point for batch in inputs.batches() for point in batch]
    expected = sum(1 for _ in inputs.points()) if inputs.phase.evaluations is not None else len(points)
    return points, f"evaluations: {len(points):,} of {expected:,} strategies" if len(points) < expected else ""


def _looked_at(inputs: PhaseInputs, points: Sequence[TradedPoint]) -> PointMetrics:
    found: list[PointMetrics] = []

    def show() -> bytes:
        found.append(_in_batches(inputs, points, inputs.span.start, inputs.span.stop))
        return found[0].daily_returns.tobytes()

    inputs.look(points, show)
    return found[0]


def _in_batches(inputs: PhaseInputs, points: Sequence[TradedPoint], start: int, stop: int) -> PointMetrics:
    parts = [inputs.measure(points[begin : begin + BATCH], start, stop) for begin in range(0, len(points), BATCH)]
    if len(parts) == 1:
        return parts[0]
    return PointMetrics(
        {name: np.concatenate([part.metrics[name] for part in parts]) for name in parts[0].metrics},
        np.concatenate([part.daily_returns for part in parts]),
        np.concatenate([part.holding_days for part in parts]),
    )


def _choice(
    inputs: PhaseInputs, spec: PhaseSpec, points: Sequence[TradedPoint], start: int, stop: int
) -> tuple[int | None, float]:
    """Return the place of the best over some rows, and its score; no place where nobody can win."""
    trained = _in_batches(inputs, points, start, stop)
    scores, feasible = inputs.ranked(trained.metrics, spec.optimization.objective)
    best = best_first(scores, feasible, _names(points))[0]
    return (best, float(scores[best])) if feasible[best] else (None, math.nan)


def _names(points: Sequence[TradedPoint]) -> list[str]:
    return [point.committee.id for point in points]


def _own(found: PointMetrics, place: int) -> dict[str, float]:
    return {name: float(values[place]) for name, values in found.metrics.items()}


def _outcome(
    inputs: PhaseInputs,
    results: pl.DataFrame,
    winners: tuple[PhaseWinner, ...],
    points: Sequence[TradedPoint],
    stopped_by: str,
    *notes: str,
) -> PhaseOutcome:
    return PhaseOutcome(
        results=results,
        winners=winners,
        strategies=len(points),
        trials=inputs.trials,
        stopped_by=stopped_by,
        notes=notes,
    )
