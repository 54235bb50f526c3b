"""Money and positions change hands; nothing is made and nothing is lost."""

from collections.abc import Mapping
from typing import Any, Final

from quant_organism.exchange.protocol.decimals import MICRO_USD, truncated, usd
from quant_organism.exchange.simulator.core.account import Account, Fill, FundingPayment, Holding, LedgerEntry
from quant_organism.exchange.simulator.core.events import FundingPaid, MoneyMoved
from quant_organism.exchange.simulator.core.state import World

RATE_SCALE: Final = 10**10
MAX_RATE_E10: Final = 4 * 10**8
"""Highest funding rate of an hour, 4 %, in 1e-10."""


def deposit(world: World, account: Account, micro_usd: int) -> None:
    """Bring money into an account from outside, or take it out with a negative amount."""
    account.cross_raw += micro_usd
    world.state.bridge -= micro_usd
    delta: dict[str, Any] = {"type": "deposit" if micro_usd >= 0 else "withdraw", "usdc": usd(abs(micro_usd))}
    if micro_usd < 0:
        delta |= {"nonce": world.state.now_ms, "fee": "0.0"}
    entry = LedgerEntry(world.state.now_ms, world.block_hash(), delta)
    account.ledger.append(entry)
    world.events.append(MoneyMoved(account.address, entry))


def apply_fill(account: Account, holding: Holding, size: int, px: int, fee: int) -> tuple[int, int, str]:
    """Move one side of a trade into an account.

    Parameters
    ----------
    size
        Scaled signed size.
    px
        Scaled price.
    fee
        Micro-USD to be taken for it.

    Returns
    -------
    Position before, PnL of what was closed (without fees), and the words for what was done.
    """
    start, sign = holding.szi, (1 if size > 0 else -1)
    closing = min(abs(size), abs(start)) if start * size < 0 else 0
    opening = abs(size) - closing
    pnl = 0
    if closing:
        cost = holding.cost * closing // abs(start)
        pnl = -sign * (px * closing - cost)
        holding.cost -= cost
    holding.cost += opening * px
    holding.szi += size
    if holding.is_cross:
        account.cross_raw -= size * px + fee
    else:
        _settle_isolated(account, holding, start, sign, closing, opening, px, fee)
    holding.funding_since_change = 0
    if start == 0 or closing == abs(start):
        holding.funding_since_open = 0
    return start, pnl, _direction(start, holding.szi)


def pay_funding(world: World, rates_e10: Mapping[int, int], time_ms: int) -> None:
    """Settle one hour's funding on the oracle price; what accounts pay, accounts or the market receive.

    Parameters
    ----------
    rates_e10
        Rate of the hour by asset id, in 1e-10; positive: longs pay.
    time_ms
        Stamp of the payments.
    """
    state = world.state
    for account in state.accounts.values():
        for asset, holding in account.positions():
            rate = max(-MAX_RATE_E10, min(rates_e10.get(asset, 0), MAX_RATE_E10))
            received = -truncated(holding.szi * state.listings[asset].oracle * rate, RATE_SCALE)
            if holding.is_cross:
                account.cross_raw += received
            else:
                holding.raw += received
            state.market_raw -= received
            holding.funding_all_time -= received
            holding.funding_since_open -= received
            holding.funding_since_change -= received
            payment = FundingPayment(time_ms, asset, received, holding.szi, rate)
            account.fundings.append(payment)
            world.events.append(FundingPaid(account.address, payment))


def total_money(world: World) -> int:
    """Return the sum of all micro-USD, which is always 0: what is in was brought over the bridge."""
    state = world.state
    held = sum(account.cross_raw + sum(h.raw for h in account.holdings.values()) for account in state.accounts.values())
    return held + state.market_raw + state.fees + state.bridge


def total_size(world: World, asset: int) -> int:
    """Return the sum of all positions in an asset, which is always 0."""
    held = sum(account.holdings[asset].szi for account in world.state.accounts.values() if asset in account.holdings)
    return held + world.state.listings[asset].market_szi


def open_interest(world: World, asset: int) -> int:
    """Return the scaled size of all long positions, the market's included."""
    sizes = [account.holdings[asset].szi for account in world.state.accounts.values() if asset in account.holdings]
    return sum(size for size in [*sizes, world.state.listings[asset].market_szi] if size > 0)


def keep_fill(account: Account, fill: Fill, keep: int) -> None:
    """Add a fill to an account's history, forgetting the oldest beyond the limit."""
    account.fills.append(fill)
    if len(account.fills) > keep + keep // 10:
        del account.fills[:-keep]


def traded_text(account: Account) -> str:
    """Return an account's lifetime volume in USD with two decimals, as error texts have it."""
    return f"{account.volume / MICRO_USD:.2f}"


def _settle_isolated(
    account: Account, holding: Holding, start: int, sign: int, closing: int, opening: int, px: int, fee: int
) -> None:
    holding.raw -= fee
    if closing:
        holding.raw -= sign * closing * px
        left = start + sign * closing
        worth = holding.raw + left * px
        released = holding.raw if left == 0 else max(0, worth * closing // abs(start))
        holding.raw -= released
        account.cross_raw += released
    if opening:
        margin = opening * px // holding.leverage
        account.cross_raw -= margin
        holding.raw += margin - sign * opening * px


def _direction(start: int, end: int) -> str:
    if start * end < 0:
        return "Long > Short" if start > 0 else "Short > Long"
    word = "Open" if abs(end) > abs(start) else "Close"
    return f"{word} {'Long' if (end or start) > 0 else 'Short'}"
