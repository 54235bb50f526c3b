"""The bridge to vectorbt: one genome on one asset through `Portfolio.from_signals`, for comparison and for plots.

vectorbt is a reference only; nothing else of this package needs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest.allocation import ALLOTMENT_LIMIT, LEAST_SCORE
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.evaluator import Evaluator
from quant_organism.backtest.sleeves import EvaluationWindow, Sleeve, check_panel
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.sentiment import beyond
from quant_organism.strategies import Genome, IndicatorStore, signal
from quant_organism.strategies.common_genes import TRAILING_STOP_OFF_BELOW

Floats = NDArray[np.float64]
Table = dict[str, NDArray[Any]]

_CASH = 1e9
"""Initial cash in vectorbt, which takes quantities below about 1e-9 for none."""


@dataclass(frozen=True, eq=False)
class VectorbtRun:
    """What vectorbt made of one genome on one asset.

    Parameters
    ----------
    portfolio
        The `vectorbt.Portfolio`, for its statistics and plots. Its rows are bars when stops start on the next bar,
        otherwise thirds of bars: orders out, orders in, the bar itself.
    equity
        Value at the close of each valid bar of the window, from 1, shape (n,).
    statistics
        total_return, sharpe, max_drawdown, trades (closed ones) and win_rate, by vectorbt's own functions.
    """

    portfolio: Any
    equity: Floats
    statistics: dict[str, float]


def run_vectorbt(
    genome: Genome,
    panel: Panel,
    symbol: str,
    costs: Costs,
    *,
    start: int = 0,
    stop: int | None = None,
    stops_from_next_bar: bool = False,
) -> VectorbtRun:
    """Trade one genome on one asset in vectorbt.

    By default each bar becomes three rows, so that vectorbt closes and opens at the bar's open and then looks at
    stops within the entry bar too. With `stops_from_next_bar` a row is a bar, as vectorbt is commonly used; it then
    cannot size a reversal by equity, so the quantity of each trade is taken from our own trade list.

    Parameters
    ----------
    genome
        The strategy; its trailing stop must be off.
    panel, symbol
        The market and the asset.
    costs
        One fee for all fills, without slippage and funding: vectorbt slips stops and targets alike and knows no
        funding. At this leverage no position may be liquidated before its stop.
    start, stop
        Rows of the panel between which to trade.
    stops_from_next_bar
        Compare with an `Evaluator` of the same setting.

    Raises
    ------
    InputError
        If genome, costs or symbol cannot be compared, or if the drawdown reaches `max_drawdown`.
    """
    last = panel.n_bars if stop is None else stop
    check_panel(panel, start, last)
    _check_comparable(genome, panel, symbol, costs)
    asset = panel.symbols.index(symbol)
    window = EvaluationWindow(panel, costs, start, last, IndicatorStore(0))
    sleeve = window.sleeve(asset)
    if stops_from_next_bar and sleeve.bars.delisted:
        raise InputError(
            "a row per bar leaves no row to close a delisted position in",
            where=symbol,
            remedy="compare up to the asset's last bar, or with stops from the entry bar on",
        )
    rows = sleeve.bars.rows
    names = ("open", "high", "low", "close", "volume", "funding_rate")
    columns = {name: getattr(panel, name)[rows, asset] for name in names}
    numbers = panel.times[rows] // panel.interval.milliseconds
    target = signal(genome, columns, bar_hours=panel.interval.hours, numbers=numbers)
    longs, shorts = (_entry_weights(genome, window, asset, side)[rows] for side in (1, -1))
    weights = np.where(target > 0.0, longs, shorts)
    genes: Mapping[str, Any] = genome.genes
    holding = max(1, math.ceil(int(genes["max_holding_hours"]) / panel.interval.hours))
    runs = list(_runs(np.sign(target).astype(int), weights, sleeve, holding))
    if stops_from_next_bar:
        evaluator = Evaluator(threads=1, stops_from_next_bar=True)
        trades = evaluator.trades(genome, panel, costs, start=start, stop=last).frame.filter(pl.col("symbol") == symbol)
        entries = np.searchsorted(panel.times[rows], trades["entry_time"].dt.epoch("ms"))
        quantity = np.zeros(rows.size)
        quantity[entries] = _CASH * trades["quantity"].to_numpy()
        table, closes = _rows_of_bars(sleeve, runs, quantity), slice(None)
    else:
        # vectorbt's percentage counts the entry fee in.
        share = np.abs(target) * weights * (1.0 + costs.taker_fee)
        table, closes = _rows_of_thirds(sleeve, runs, np.concatenate([[0.0], share[:-1]])), slice(2, None, 3)
    portfolio = _from_signals(genome, costs, table, "amount" if stops_from_next_bar else "percent")
    equity = portfolio.value().to_numpy()[closes] / _CASH
    if (1.0 - equity / np.maximum.accumulate(np.maximum(equity, 1.0)) >= float(genes["max_drawdown"])).any():
        raise InputError(
            "vectorbt goes on entering where the drawdown has reached max_drawdown",
            where=f"{genome.id} on {symbol}",
            remedy="compare a genome or a window with less drawdown",
        )
    return VectorbtRun(portfolio, equity, _statistics(portfolio, equity, panel.interval.hours))


def _entry_weights(genome: Genome, window: EvaluationWindow, asset: int, side: int) -> Floats:
    # Rules 13, 14 and 18 for one asset: the weight of an entry to a side decided at each row, 0 where it is refused;
    # shape (stop,).
    genes: Mapping[str, Any] = genome.genes
    allocation, size, limit = window.allocation, genes["position_size"], genes["position_size_limit"]
    pulls = np.array([genes["liquidity_weight"], genes["volatility_weight"], genes["momentum_weight"]])
    pulls = pulls / pulls.sum() if pulls.any() else np.full(3, 1.0 / 3.0)
    score = allocation.ranks[:, asset] @ pulls
    gross = np.minimum(allocation.listed * size, limit * (window.rank_sums @ pulls))
    allotted = np.where(score > LEAST_SCORE, np.minimum(score * limit, ALLOTMENT_LIMIT), 0.0)
    weights = np.minimum(size, allotted) / np.maximum(gross, 1.0)
    calm = allocation.turbulence[:, asset] <= genes["volatility_threshold"]
    crowded = beyond(window.panel.fear_greed)[0 if side > 0 else 1]
    mood = 1.0 - genes["fear_greed_sensitivity"] * crowded
    return np.asarray(np.where(calm, weights * mood, 0.0)[: window.stop])


def _check_comparable(genome: Genome, panel: Panel, symbol: str, costs: Costs) -> None:
    if symbol not in panel.symbols:
        raise InputError(f"no symbol {symbol!r} in the panel", remedy=f"choose one of {', '.join(panel.symbols)}")
    if costs.slippage_bps or costs.charge_funding:
        raise InputError(
            "vectorbt slips stops and targets alike and knows no funding",
            where="costs",
            remedy="compare with slippage_bps=0 and charge_funding=False",
        )
    if costs.maker_fee != costs.taker_fee or costs.max_participation is not None:
        raise InputError(
            "vectorbt charges one fee and fills every order",
            where="costs",
            remedy="compare with maker_fee equal to taker_fee and without max_participation",
        )
    genes: Mapping[str, Any] = genome.genes
    if float(genes["trailing_stop"]) >= TRAILING_STOP_OFF_BELOW:
        raise InputError(
            "vectorbt has either a fixed or a trailing stop",
            where=genome.id,
            remedy="compare a genome whose trailing_stop is 0",
        )
    if _nearest_liquidation(costs, symbol) <= float(genes["stop_loss"]):
        raise InputError(
            "vectorbt knows no margin, and a position could be liquidated before its stop",
            where=f"{genome.id} on {symbol}",
            remedy="compare with less leverage, or a nearer stop",
        )


def _nearest_liquidation(costs: Costs, symbol: str) -> float:
    # Least adverse move from the entry that could liquidate, as a fraction, in the tier that asks the most.
    tiers = costs.tiers(symbol)
    margin, rate = 1.0 / min(costs.leverage, tiers[0][1]), 0.5 / tiers[-1][1]
    return min(1.0 - (1.0 - margin) / (1.0 - rate), (1.0 + margin) / (1.0 + rate) - 1.0)


def _runs(side: NDArray[np.int64], weights: Floats, sleeve: Sleeve, holding: int) -> Iterator[tuple[int, int, int]]:
    # Side, entry bar and ordered exit bar (n if none) of every run of the signal that is ever entered, in valid bars.
    rows, n = sleeve.bars.rows, side.size
    begin = max(sleeve.bars.first - 1, 0)
    while begin < n - 1:
        end = begin + 1
        while end < n and side[end] == side[begin]:
            end += 1
        permitted = begin + np.flatnonzero(weights[begin : min(end, n - 1)] > 0.0)
        if side[begin] != 0 and permitted.size:
            entry = int(permitted[0]) + 1
            expired = int(np.searchsorted(rows, rows[entry] + holding))
            yield int(side[begin]), entry, min(end + 1, expired, n)
        begin = end


def _rows_of_bars(sleeve: Sleeve, runs: list[tuple[int, int, int]], quantity: Floats) -> Table:
    bars = sleeve.bars
    table = _empty_table(bars.close.size)
    for side, entry, exit_bar in runs:
        table["long_in" if side > 0 else "short_in"][entry] = True
        if exit_bar < bars.close.size:
            table["long_out" if side > 0 else "short_out"][exit_bar] = True
    # Where a reversal is ordered, vectorbt takes the entry alone.
    table["long_out"] &= ~table["short_in"]
    table["short_out"] &= ~table["long_in"]
    prices = {"open": bars.opens, "high": bars.favourable[1], "low": bars.adverse[1], "close": bars.close}
    table |= prices | {"price": bars.opens, "size": quantity}
    return {name: values[bars.first :] for name, values in table.items()}


def _rows_of_thirds(sleeve: Sleeve, runs: list[tuple[int, int, int]], share: Floats) -> Table:
    bars = sleeve.bars
    n = bars.close.size
    table = _empty_table(3 * n)
    for side, entry, exit_bar in runs:
        table["long_in" if side > 0 else "short_in"][3 * entry + 1] = True
        out = table["long_out" if side > 0 else "short_out"]
        if exit_bar < n:
            out[3 * exit_bar] = True
        elif sleeve.bars.delisted:
            out[3 * n - 1] = True
    thirds = np.repeat(bars.opens, 3)
    table |= {"open": thirds, "high": thirds.copy(), "low": thirds.copy(), "close": thirds.copy()}
    table["high"][2::3] = bars.favourable[1]
    table["low"][2::3] = bars.adverse[1]
    table["close"][2::3] = bars.close
    table |= {"price": np.where(np.arange(3 * n) == 3 * n - 1, table["close"], thirds), "size": np.repeat(share, 3)}
    return {name: values[3 * bars.first :] for name, values in table.items()}


def _empty_table(rows: int) -> Table:
    return {name: np.zeros(rows, dtype=bool) for name in ("long_in", "long_out", "short_in", "short_out")}


def _from_signals(genome: Genome, costs: Costs, table: Table, size_type: str) -> Any:
    import pandas as pd
    import vectorbt

    columns = {name: pd.Series(values) for name, values in table.items()}
    return vectorbt.Portfolio.from_signals(
        open=columns["open"],
        high=columns["high"],
        low=columns["low"],
        close=columns["close"],
        price=columns["price"],
        entries=columns["long_in"],
        exits=columns["long_out"],
        short_entries=columns["short_in"],
        short_exits=columns["short_out"],
        size=columns["size"].where(columns["size"] > 0),
        size_type=size_type,
        fees=costs.taker_fee,
        sl_stop=genome.genes["stop_loss"],
        tp_stop=genome.genes["take_profit"],
        stop_entry_price="fillprice",
        stop_exit_price="stoplimit",
        upon_opposite_entry="reverse",
        init_cash=_CASH,
    )


def _statistics(portfolio: Any, equity: Floats, bar_hours: float) -> dict[str, float]:
    import pandas as pd

    returns = pd.Series(equity / np.concatenate([[1.0], equity[:-1]]) - 1.0)
    accessor = returns.vbt.returns(freq=pd.Timedelta(hours=bar_hours), year_freq="365 days")
    # Its drawdown begins at the first close; a leading return of zero makes that the initial equity.
    from_start = pd.concat([pd.Series([0.0]), returns], ignore_index=True).vbt.returns()
    closed = portfolio.trades.closed
    return {
        "total_return": float(accessor.total()),
        "sharpe": float(accessor.sharpe_ratio()),
        "max_drawdown": -float(from_start.max_drawdown()),
        "trades": float(closed.count()),
        "win_rate": float(closed.win_rate()),
    }
