"""Whether a trader's account made the orders of the compiled backtest, and where not, which order differs first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from quant_organism.backtest.account import AccountSetting, order_line
from quant_organism.market import format_ms
from quant_organism.market.panel import Panel
from quant_organism.trading.following import panel_of
from quant_organism.trading.lanes import AccountLane, rules_for
from quant_organism.trading.records import LedgerOrder
from quant_organism.trading.starting import SessionSpec, daily_before, documents_of, virtual_of


@dataclass(frozen=True)
class Parity:
    """How the orders of a trader's account compare with those of the compiled backtest.

    Parameters
    ----------
    account
        Name of the account.
    orders
        Lines of orders that the backtest made.
    trader_hash, backtest_hash
        Digests H2 of both.
    difference
        The first order of the ledger that differs, in words; empty where none does.
    """

    account: str
    orders: int
    trader_hash: str
    backtest_hash: str
    difference: str

    @property
    def is_equal(self) -> bool:
        """Whether the two lists are equal, to the last order."""
        return self.trader_hash == self.backtest_hash


def backtest_lane(
    lane: AccountLane, spec: SessionSpec, panel: Panel, start: int, written: Sequence[LedgerOrder]
) -> Parity:
    """Walk the account of a lane that has traded rows `start` to the end of a panel, compiled, and compare the orders.

    It says something of lanes whose strategies were there from the first close to the last, and whose pipeline has let
    everything pass.

    Parameters
    ----------
    lane, spec
        The lane at its last close, and its session.
    panel, start
        What was traded.
    written
        Orders of the lane's account in the ledger, in the order of writing.
    """
    symbols = sorted(lane.account.assets)
    setting = AccountSetting.of(
        virtual_of(documents_of(lane), panel, spec.costs, lane.shares(), start=start),
        panel_of(panel, symbols),
        spec.costs,
        start=start,
        rules=rules_for(lane.documents),
        sz_decimals={name: asset.sz_decimals for name, asset in lane.account.assets.items()},
        daily_before=daily_before(lane, panel.window(0, start), spec.costs),
    )
    run = setting.run(spec.capital_usd)
    lines, mine, theirs = run.path.order_lines, lane.account.h2, run.account.h2
    last_ms = int(panel.times[-1]) + panel.interval.milliseconds
    difference = first_difference(ledger_lines(written, last_ms), lines)
    return Parity(lane.account.account, len(lines), mine, theirs, difference)


def ledger_lines(orders: Sequence[LedgerOrder], until_ms: int) -> list[str]:
    """Return the order lines of an account before a close, as its digest H2 counts them."""
    return [
        order_line(order.close_ms, order.symbol, order.kind, order.lots, order.level)
        for order in orders
        if order.lots and order.close_ms < until_ms
    ]


def first_difference(mine: Sequence[str], theirs: Sequence[str]) -> str:
    """Return in words which order line of a trader is the first that a backtest made otherwise; empty: none."""
    for number, (one, other) in enumerate(zip_longest(mine, theirs), start=1):
        if one != other:
            return f"order {number}: the trader {_in_words(one)}, the backtest {_in_words(other)}"
    return ""


def _in_words(line: str | None) -> str:
    if line is None:
        return "made none"
    close_ms, symbol, kind, lots, level = line.split("|")
    return f"{kind} of {int(lots):+,} lots {symbol} at lot price {level}, planned at {format_ms(int(close_ms))}"
