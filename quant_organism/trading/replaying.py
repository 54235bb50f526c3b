"""A replay: days of the lake traded as fast as they are read, and whether the backtest made the same orders."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from quant_organism.backtest import Costs, MarketRow
from quant_organism.backtest.account import (
    AccountMarket,
    AccountSetting,
    FillModel,
    TradedAsset,
    traded_assets,
)
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.trading.following import panel_of
from quant_organism.trading.lanes import AccountLane, rules_for
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.runtime import CloseReport, TradedBar, Trader
from quant_organism.trading.starting import (
    COMPLETE,
    SessionSpec,
    begin_session,
    daily_before,
    last_close,
    resumable,
    resume_session,
    virtual_of,
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


@dataclass(frozen=True)
class Parity:
    """Whether a trader's account made the orders of the compiled backtest.

    Parameters
    ----------
    account
        Name of the account.
    orders
        Lines of orders that the backtest made.
    trader_hash, backtest_hash
        Digests H2 of both.
    """

    account: str
    orders: int
    trader_hash: str
    backtest_hash: str

    @property
    def is_equal(self) -> bool:
        """Whether the two lists are equal, to the last order."""
        return self.trader_hash == self.backtest_hash


def backtest_lane(lane: AccountLane, spec: SessionSpec, panel: Panel, start: int) -> Parity:
    """Walk the account of a lane that has traded rows `start` to the end of a panel, compiled, and compare the orders.

    It says something of lanes whose strategies were there from the first close to the last, and whose pipeline has let
    everything pass.
    """
    symbols = sorted(lane.account.assets)
    own, model = panel_of(panel, symbols), FillModel.of(spec.costs)
    setting = AccountSetting(
        market=AccountMarket.of(own, model, start=start),
        virtual=virtual_of(list(lane.strategies.values()), panel, spec.costs, lane.shares(), start=start),
        costs=spec.costs,
        model=model,
        rules=rules_for(len(lane.strategies)),
        sz_decimals={name: asset.sz_decimals for name, asset in lane.account.assets.items()},
        daily_before=tuple(daily_before(lane, panel.window(0, start), spec.costs)),
    )
    run = setting.run(spec.capital_usd)
    return Parity(lane.account.account, len(run.path.order_lines), lane.account.h2, run.account.h2)
