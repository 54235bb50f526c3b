"""A replay: days of the lake traded as fast as they are read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from quant_organism.backtest import Costs, MarketRow
from quant_organism.backtest.account import (
    AccountMarket,
    FillModel,
    TradedAsset,
    traded_assets,
)
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.runtime import CloseReport, TradedBar, Trader
from quant_organism.trading.starting import (
    COMPLETE,
    SessionSpec,
    begin_session,
    last_close,
    resumable,
    resume_session,
)


def panel_bars(panel: Panel, model: FillModel, start: int) -> Iterator[TradedBar]:
    """Yield the bars of a panel from a row on, one by one."""
    market = AccountMarket.of(panel, model, start=start)
    for place in range(market.n_bars):
        row = MarketRow.of(panel, start + place)
        yield TradedBar(row, market.bar(place), row.time + panel.interval.milliseconds)


def panel_assets(panel: Panel, start: int, costs: Costs) -> dict[str, TradedAsset]:
    """Return what is assumed of the assets of a panel that are traded from a row on."""
    prices = {}
    for place, symbol in enumerate(panel.symbols):
        rows = np.flatnonzero(panel.valid[start:, place])
        if rows.size:
            prices[symbol] = float(panel.open[start + rows[0], place])
    return traded_assets(panel.symbols, prices, costs)


def replay_session(
    ledger: TraderLedger,
    spec: SessionSpec,
    panel: Panel,
    start: int,
    *,
    started_ms: int,
    told: Callable[[CloseReport], None] = lambda report: None,
    closes: int | None = None,
) -> Trader:
    """Trade the rows of a panel from `start` on; one that was interrupted goes on from its last close.

    Parameters
    ----------
    ledger, spec
        Where it is written down, and what it is.
    panel
        History and the bars to trade, of all symbols of the session.
    start
        First row that is traded.
    started_ms
        Wall clock.
    told
        Is told of each close.
    closes
        Bars after which it stops; none: all.

    Returns
    -------
    Trader
        At its last close.
    """
    if not 0 < start < panel.n_bars:
        raise InputError(
            f"no replay from bar {start} on in a panel of {panel.n_bars} bars", remedy="leave some history"
        )
    begun = resumable(ledger, spec)
    if begun is None:
        trader = begin_session(ledger, spec, panel.window(0, start), started_ms)
        row = start
    else:
        row = int(np.searchsorted(panel.times, last_close(ledger, begun)))
        trader = resume_session(ledger, spec, begun, panel.window(0, row))
    # A delisting is known from the whole window, as in the backtest: the market is made of all of it.
    bars = itertools.islice(panel_bars(panel, FillModel.of(spec.costs), start), row - start, None)
    for bar in itertools.islice(bars, closes):
        told(trader.on_bar(bar))
    if trader.last_close_ms >= int(panel.times[-1]) + panel.interval.milliseconds:
        trader.end(started_ms, COMPLETE)
    return trader
