"""The figures that decisions about an account rest on, read from what the other rooms left."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.deployment import EvidenceDayTable
from quant_organism.deployment.decisions import Figure
from quant_organism.deployment.lifecycle import MOST_SEATED
from quant_organism.market import Lake, RegimeTable
from quant_organism.monitoring.life import LifeSpan, accounts_of, rows_of
from quant_organism.trading import lines_file, read_lines, trader_days
from quant_organism.trading.profiles import PROFILES, session_profile
from quant_organism.venue import DOUBLINGS

USD_PER_STRATEGY: Final = 1_000.0
"""Least capital that a strategy of the account needs."""

LEAST_DAYS: Final = 20
"""Days from which on a correlation or a Sharpe ratio counts as known."""

LATENCY_SHARE: Final = 0.99
"""Of a trader's frames, those that took no longer than what counts as its latency."""

QUIET_DRAWDOWN: Final = 0.025
"""Loss from the highest equity below which a day is quiet: the one at which the account is back at full size."""

_EVIDENCE, _REGIME, _TRADER, _LINES = "evidence_days", "market_regime", "live_performance", "lines of the trader"


def account_figures(data_dir: Path, span: LifeSpan, equity_usd: float) -> dict[str, Figure]:
    """Return what is known of the account of a market on the last day of a span; its days are those of the span.

    What nothing measures, such as spread, or latency in a market of files, is not in it.
    """
    evidence = rows_of(data_dir, EvidenceDayTable, span, until=span.last).filter(pl.col("day") >= span.first)
    weighted, days = accounts_of(evidence)
    today = weighted.filter(pl.col("day") == span.last)
    seated = today.filter("seated")
    figures = {
        "seats": Figure(float(MOST_SEATED), source="lifecycle"),
        "capital": Figure(equity_usd / USD_PER_STRATEGY, source="account.equity_usd"),
        "candidates": Figure(float(today.height), source=_EVIDENCE),
    }
    profiles = [session_profile(name) for name in PROFILES]
    if (own := next((each for each in profiles if each.takes(span.interval)), None)) is not None:
        figures["profile"] = Figure(float(own.strategies), source=f"session profile {own.name}")
    if today.height and (diversity := _diversity(weighted, today[EvidenceDayTable.id].to_list())) is not None:
        figures["diversity"] = Figure(diversity, source=_EVIDENCE)
    if seated.height:
        figures["size_factor"] = Figure(float(seated[EvidenceDayTable.factor].to_numpy().mean()), source=_EVIDENCE)
        figures |= _of_returns(days["account"].to_numpy(), days["seated"].to_numpy() > 0)
    stored = Lake(data_dir / "lake").table(RegimeTable)
    if stored.path(market=span.market, interval=span.interval.name, day=span.last).exists():
        told = stored.read_day(span.last, market=span.market, interval=span.interval.name)
        for label in told.filter(pl.col(RegimeTable.module) == "volatility")[RegimeTable.label]:
            figures["turbulent"] = Figure(float(label == "turbulent"), source=_REGIME)
    return figures | _of_trader(data_dir, span)


def _of_returns(returns: NDArray[np.float64], traded: NDArray[np.bool_]) -> dict[str, Figure]:
    equity = np.cumprod(1.0 + returns)
    drawdowns = 1.0 - equity / np.maximum.accumulate(np.maximum(equity, 1.0))
    loud = np.flatnonzero((drawdowns > QUIET_DRAWDOWN) | ~traded)
    figures = {
        "drawdown": Figure(float(drawdowns[-1]), source=_EVIDENCE),
        "quiet_days": Figure(float(len(returns) - 1 - loud[-1] if loud.size else len(returns)), source=_EVIDENCE),
    }
    own = returns[traded]
    if own.size >= LEAST_DAYS and own.std(ddof=1) > 0:
        daily = float(own.mean() / own.std(ddof=1))
        error = math.sqrt((1.0 + daily**2 / 2.0) / own.size * 365.0)  # Lo 2002, independent returns
        figures["sharpe"] = Figure(daily * math.sqrt(365.0), error, _EVIDENCE)
    if own.size >= 100:
        figures["worst_day_in_100"] = Figure(float(-np.quantile(own, 0.01)), None, _EVIDENCE)
    return figures


def _diversity(weighted: pl.DataFrame, living: list[str]) -> float | None:
    """Return how many independent strategies the living ones come to: 1 + (n - 1)(1 - their mean correlation)."""
    if len(living) == 1:
        return 1.0
    wide = (
        weighted.filter(pl.col(EvidenceDayTable.id).is_in(living), pl.col(EvidenceDayTable.recorded))
        .pivot(EvidenceDayTable.id, index="day", values="net")
        .drop("day")
        .drop_nulls()
    )
    if wide.height < LEAST_DAYS or any(not column.std() for column in wide):
        return None
    matrix = np.corrcoef(wide.to_numpy().T)
    mean = float(matrix[np.triu_indices(len(matrix), 1)].mean())
    return float(round(1.0 + (len(living) - 1) * (1.0 - mean)))


def _of_trader(data_dir: Path, span: LifeSpan) -> dict[str, Figure]:
    lake = Lake(data_dir / "lake")
    booked = trader_days(lake, market=span.market, interval=span.interval.name)
    newest = [
        day
        for own in booked.values()
        for when, days in own.items()
        if span.last - timedelta(days=1) < when <= span.last
        for day in days
    ]
    if not newest:
        return {}
    sent = [day for day in newest if day.mode != "paper"]
    figures = {
        "liquidations": float(sum(day.liquidations for day in newest)),
        "breakers": float(sum(day.breakers for day in newest)),
        "sent_days": float(len(sent)),
    }
    if sent:
        figures["unreconciled_share"] = sum(not day.is_reconciled for day in sent) / len(sent)
    return {name: Figure(value, source=_TRADER) for name, value in figures.items()} | _of_lines(data_dir, span)


def _of_lines(data_dir: Path, span: LifeSpan) -> dict[str, Figure]:
    # Whoever trades leaves how its lines are now: of the night after the day, and of no day that lies further back.
    at_rest = read_lines(lines_file(data_dir))
    if at_rest is None or datetime.fromtimestamp(at_rest.written_ms / 1e3, UTC).date() != span.last + timedelta(days=1):
        return {}
    market = at_rest.lines.get("market")
    if market is None or market.latency is None or market.latency.count == 0:
        return {}
    most = LATENCY_SHARE * market.latency.count
    within = [n for n, count in zip(DOUBLINGS, market.latency.within, strict=True) if count >= most]
    return {"latency_p99_ms": Figure(2 ** min(within, default=DOUBLINGS[-1]) / 1e3, None, _LINES)}
