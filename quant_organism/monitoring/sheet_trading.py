"""What a strategy's account did, day by day and trade by trade, as the tear sheet tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import AccountRun, VirtualWindow, day_starts, member_name
from quant_organism.deployment import account_run
from quant_organism.market import MS_PER_DAY, Panel, Splits, has_unseen, promised
from quant_organism.monitoring.account_trades import (
    AccountTrade,
    ProfitPart,
    account_trades,
    held_from_the_start,
    profit_by_asset,
    profit_by_member,
    profit_by_reason,
    profit_by_side,
)
from quant_organism.monitoring.risk_figures import (
    DrawdownSpell,
    ReturnFigures,
    drawdown_spells,
    histogram,
    return_figures,
    rolling_beta,
    rolling_sharpe,
)
from quant_organism.strategies import Committee

Floats = NDArray[np.float64]

WINDOW_DAYS: Final = 60
"""Days of a rolling ratio."""

_MOST_CANDLES, _MOST_ASSETS, _WORST = 900, 8, 5


@dataclass(frozen=True, kw_only=True)
class TradedSpan:
    """What an account did over one span of D days, begun with the same equity.

    Parameters
    ----------
    label
        What the span is called.
    unseen
        Whether the search did not see it.
    days
        First millisecond of each UTC day, D values.
    returns
        Net return of each day.
    equity_usd, held_usd
        At the end of each day: of the account, and of the same money in the benchmark from the first day on.
    drawdown
        The deepest of each day, at the closes of its bars, from the highest equity of the span: at most 0.
    sharpe, beta
        Over the `WINDOW_DAYS` days to each; beta to the benchmark. nan where there are fewer.
    figures
        Of the daily returns.
    drawdowns
        The worst, by day.
    """

    label: str
    unseen: bool
    days: Sequence[int]
    returns: Sequence[float]
    equity_usd: Sequence[float]
    held_usd: Sequence[float]
    drawdown: Sequence[float]
    sharpe: Sequence[float]
    beta: Sequence[float]
    figures: ReturnFigures
    drawdowns: Sequence[DrawdownSpell]

    @property
    def max_drawdown(self) -> float:
        """Largest fall from a highest equity, at closes: what is drawn is what is stated."""
        return -min(self.drawdown)

    def day(self, place: int) -> str:
        """Return the day at a place; that before the first is the start."""
        return _day(self.days[max(place, 0)]) if place >= 0 else "the start"


@dataclass(frozen=True, kw_only=True)
class SheetTrading:
    """The account of one strategy on the days that its search saw and on those that it did not see.

    Parameters
    ----------
    capital_usd
        At the start of both.
    benchmark
        What the account is held against.
    seen, unseen
        Both spans; no unseen one where the search saw all days. What follows is of the days in sample then.
    trades, assets, sides, reasons, members
        Of the unseen days: every position, and what its profit came from.
    in_market, assets_at_once
        Share of the closes of the unseen days at which anything is held, and in how many assets on average then.
    candles
        Bars of the assets that were traded most, by symbol: `t` (open, UTC milliseconds), `o`, `h`, `l`, `c`.
    bar_ms
        Length of those bars: as many of the market's own as keep a chart quick.
    """

    capital_usd: float
    benchmark: str
    seen: TradedSpan
    unseen: TradedSpan | None
    trades: Sequence[AccountTrade]
    assets: Sequence[ProfitPart]
    sides: Sequence[ProfitPart]
    reasons: Sequence[ProfitPart]
    members: Sequence[ProfitPart]
    in_market: float
    assets_at_once: float
    candles: Mapping[str, Mapping[str, Sequence[float]]]
    bar_ms: int

    @property
    def promised(self) -> TradedSpan:
        """The span that trades and profit are of: the unseen days, those in sample where there are no others."""
        return self.seen if self.unseen is None else self.unseen

    @property
    def days(self) -> str:
        """What its days are called."""
        return "in-sample days" if self.unseen is None else "unseen days"

    @property
    def week(self) -> tuple[str, list[AccountTrade]]:
        """The Monday of an ordinary week of the unseen days, and the positions opened in it.

        Ordinary is the week whose profit of positions opened in it is the median of all weeks with any.
        """
        weeks: dict[int, list[AccountTrade]] = {}
        for trade in self.trades:
            # The first of January 1970 was a Thursday.
            weeks.setdefault((trade.opened // MS_PER_DAY + 3) // 7, []).append(trade)
        if not weeks:
            return "", []
        ranked = sorted(weeks, key=lambda week: (math.fsum(trade.pnl_usd for trade in weeks[week]), week))
        week = ranked[(len(ranked) - 1) // 2]
        return _day((7 * week - 3) * MS_PER_DAY), sorted(weeks[week], key=lambda trade: (trade.opened, trade.symbol))

    @property
    def total(self) -> ProfitPart:
        """All of the unseen days together."""
        names = ("gross_usd", "fees_usd", "slippage_usd", "funding_usd", "net_usd")
        sums = {name: math.fsum(getattr(part, name) for part in self.assets) for name in names}
        return ProfitPart(name="all", trades=len(self.trades), **sums)

    def equity_chart(self) -> dict[str, Any]:
        """Return what the page draws of both spans; a line is broken where days are missing between them."""
        later = () if self.unseen is None else (self.unseen,)
        gap = any(span.days[0] - self.seen.days[-1] > MS_PER_DAY for span in later)
        hole = [None] if gap else []
        times = [*self.seen.days, *([self.seen.days[-1] + MS_PER_DAY] if gap else [])]
        times += [day for span in later for day in span.days]

        def line(field: str, name: str, **how: Any) -> dict[str, Any]:
            seen, *unseen = ([_plain(value) for value in getattr(span, field)] for span in (self.seen, *later))
            return {"name": name, "values": [*seen, *hole, *(value for values in unseen for value in values)], **how}

        return {
            "times": times,
            "bands": [{"from": span.days[0], "to": span.days[-1] + MS_PER_DAY, "label": "unseen"} for span in later],
            "panels": [
                {
                    "title": "equity, USD",
                    "unit": "usd",
                    "height": 240,
                    "series": [line("equity_usd", "account", ink=True), line("held_usd", self.benchmark)],
                },
                {
                    "title": "drawdown",
                    "unit": "percent",
                    "height": 110,
                    "zero": True,
                    "series": [line("drawdown", "drawdown", ink=True, fill=True)],
                },
                {
                    "title": f"Sharpe ratio of {WINDOW_DAYS} days",
                    "unit": "number",
                    "height": 110,
                    "zero": True,
                    "series": [line("sharpe", "rolling Sharpe", ink=True)],
                },
                {
                    "title": f"beta to {self.benchmark}, {WINDOW_DAYS} days",
                    "unit": "number",
                    "height": 110,
                    "zero": True,
                    "series": [line("beta", "rolling beta", ink=True)],
                },
            ],
        }

    def candle_chart(self) -> dict[str, Any]:
        """Return what the page draws of trades on candles."""
        shown = [trade for trade in self.trades if trade.symbol in self.candles]
        return {
            "bar": self.bar_ms,
            "assets": self.candles,
            "trades": [
                {
                    "symbol": trade.symbol,
                    "side": trade.side,
                    "opened": trade.opened,
                    "closed": trade.closed,
                    "entry": _short(trade.entry_price),
                    "exit": _short(trade.exit_price),
                    "stop": _short(trade.stop),
                    "reason": trade.reason,
                    "pnl_usd": round(trade.pnl_usd, 2),
                }
                for trade in shown
            ],
        }

    def return_chart(self) -> dict[str, Any]:
        """Return what the page draws of the daily returns of the promised days."""
        edges, counts = histogram(np.asarray(self.promised.returns))
        figures = self.promised.figures
        marks = [("VaR 95 %", figures.value_at_risk), ("CVaR 95 %", figures.expected_shortfall)]
        return {
            "edges": edges,
            "counts": counts,
            "marks": [{"label": name, "at": -value} for name, value in marks if math.isfinite(value)],
        }


def sheet_trading(
    strategy: Committee | VirtualWindow,
    panel: Panel,
    splits: Splits,
    costs: Costs,
    capital_usd: float,
    evaluator: Evaluator | None = None,
) -> SheetTrading:
    """Take an account over the days that the search saw and over the others, as the gates do, and tell what it did.

    Parameters
    ----------
    strategy
        Its genomes, or what code holds over the whole panel.
    panel, splits, costs, evaluator
        As in `deployment.execute_strategy`.
    capital_usd
        At the start of each.
    """
    kept = evaluator or Evaluator()
    seen, span = splits.in_sample, promised(splits)
    before = account_run(strategy, panel, costs, capital_usd, start=seen.start, stop=seen.stop, evaluator=kept)
    name, close = _benchmark(panel)
    run, unseen = before, None
    if has_unseen(splits):
        run = account_run(
            strategy, panel, costs, capital_usd, start=span.start, stop=span.stop, after=before, evaluator=kept
        )
        unseen = _span("all unseen days", run, close[span.start : span.stop], unseen=True)
    trades = account_trades(run)
    assets = profit_by_asset(trades)
    candles, bar_ms = _candles(panel, [part.name for part in assets], span.start, span.stop)
    return SheetTrading(
        capital_usd=capital_usd,
        benchmark=name,
        seen=_span("in-sample", before, close[seen.start : seen.stop], unseen=False),
        unseen=unseen,
        trades=trades,
        assets=assets,
        sides=profit_by_side(trades),
        reasons=profit_by_reason(trades),
        members=_members(strategy, run),
        in_market=float((run.path.gross > 0.0).mean()),
        assets_at_once=_assets_at_once(trades, run),
        candles=candles,
        bar_ms=bar_ms,
    )


def _members(strategy: Committee | VirtualWindow, run: AccountRun) -> list[ProfitPart]:
    """Return what members answer for, each called by its genome's identity rather than by the hash that books keep."""
    members = strategy.members if isinstance(strategy, Committee) else ()
    names = {member_name(m): m.genome.id + (f" on {', '.join(m.assets)}" if m.assets else "") for m in members}
    return [replace(part, name=names.get(part.name, part.name)) for part in profit_by_member(run)]


def _assets_at_once(trades: Sequence[AccountTrade], run: AccountRun) -> float:
    """Return in how many assets a position is held on average, over the closes at which there is any."""
    times = run.path.times
    held = np.zeros(times.size)
    for trade in trades:
        # Opened within the bar that begins there, it is there at its close, and gone at the close of the last bar.
        held[np.searchsorted(times, trade.opened, "right") : np.searchsorted(times, trade.closed, "right")] += 1.0
    return float(held[held > 0].mean()) if held.any() else 0.0


def _span(label: str, run: AccountRun, close: Floats, *, unseen: bool) -> TradedSpan:
    path, starts = run.path, day_starts(run.path.times)
    equity = path.equity / 1e6
    ends = np.append(starts[1:], equity.size - 1)
    below = equity / np.maximum.accumulate(equity) - 1.0
    # The close that ends a day is the first of `times` of the next one.
    deepest = np.minimum.reduceat(below[1:], starts)
    held = held_from_the_start(np.concatenate([close[:1], close]), float(equity[0]))
    returns = run.daily_returns
    market = np.diff(held[np.append(starts[:1], ends)]) / held[np.append(starts[:1], ends)][:-1]
    return TradedSpan(
        label=label,
        unseen=unseen,
        days=run.days.tolist(),
        returns=returns.tolist(),
        equity_usd=equity[ends].tolist(),
        held_usd=held[ends].tolist(),
        drawdown=deepest.tolist(),
        sharpe=rolling_sharpe(returns, WINDOW_DAYS).tolist(),
        beta=rolling_beta(returns, np.asarray(market), WINDOW_DAYS).tolist(),
        figures=return_figures(returns),
        drawdowns=drawdown_spells(returns, _WORST),
    )


def _benchmark(panel: Panel) -> tuple[str, Floats]:
    """Return bitcoin and its closes where the panel has it, else all assets in equal parts since the first bar."""
    for place, symbol in enumerate(panel.symbols):
        if symbol.upper().startswith(("BTC", "XBT")):
            return f"holding {symbol}", np.where(panel.valid[:, place], panel.close[:, place], math.nan)
    closes = np.where(panel.valid, panel.close, math.nan)
    listed = closes[:, np.isfinite(closes[0])] if np.isfinite(closes[0]).any() else closes
    parts = np.column_stack([held_from_the_start(column, 1.0) for column in listed.T])
    return "holding all assets", np.asarray(parts.mean(axis=1))


def _candles(
    panel: Panel, best_first: Sequence[str], start: int, stop: int
) -> tuple[dict[str, dict[str, list[float]]], int]:
    """Return bars of the assets that mattered most, several of the market's own as one where there are many."""
    together = max(1, math.ceil((stop - start) / _MOST_CANDLES))
    many = {*best_first[: _MOST_ASSETS // 2], *best_first[-(_MOST_ASSETS // 2) :]}
    made = {}
    for symbol in [name for name in best_first if name in many]:
        place = panel.symbols.index(symbol)
        rows = [row for row in range(start, stop, together) if panel.valid[row : row + together, place].any()]
        columns: dict[str, list[float]] = {
            "t": [int(panel.times[row]) for row in rows],
            "o": [],
            "h": [],
            "l": [],
            "c": [],
        }
        for row in rows:
            bars = slice(row, min(row + together, stop))
            there = panel.valid[bars, place]
            columns["o"].append(_digits(panel.open[bars, place][there][0]))
            columns["h"].append(_digits(panel.high[bars, place][there].max()))
            columns["l"].append(_digits(panel.low[bars, place][there].min()))
            columns["c"].append(_digits(panel.close[bars, place][there][-1]))
        made[symbol] = columns
    return made, together * panel.interval.milliseconds


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _short(value: float) -> float | None:
    return _digits(value) if math.isfinite(value) else None


def _plain(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"
