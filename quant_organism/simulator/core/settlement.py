"""Money and positions change hands, fees included; nothing is made and nothing is lost (reference: section 13)."""

from collections.abc import Mapping
from typing import Any, Final

from quant_organism.market import MS_PER_DAY
from quant_organism.simulator.core.account import (
    USDC,
    Account,
    FundingPaid,
    FundingPayment,
    LedgerEntry,
    MoneyMoved,
    SimulatedFill,
    SimulatedPosition,
)
from quant_organism.simulator.core.state import VenueCore
from quant_organism.venue.protocol import MICRO_USD, OWN_DEX, dex_of, truncated, usd

VOLUME_DAYS: Final = 14

TIERS: Final = (
    (0, 450, 150),
    (5_000_000, 400, 120),
    (25_000_000, 350, 80),
    (100_000_000, 300, 40),
    (500_000_000, 280, 0),
    (2_000_000_000, 260, 0),
    (7_000_000_000, 240, 0),
)
"""More than this 14-day volume in USD; taker rate and maker rate in millionths of the notional."""

RATE_SCALE: Final = 10**10
MAX_RATE_E10: Final = 4 * 10**8
"""Highest funding rate of an hour, 4 %, in 1e-10."""


def fee_rates(account: Account, now_ms: int) -> tuple[int, int]:
    """Return an account's taker and maker rate in millionths: by the volume of the 14 UTC days before this one."""
    today = now_ms // MS_PER_DAY
    volume = 0
    if account.volume > TIERS[1][0] * MICRO_USD:
        volume = sum(sum(account.volumes.get(today - back, (0, 0))) for back in range(1, VOLUME_DAYS + 1))
    reached = [tier for tier in TIERS if tier[0] == 0 or volume > tier[0] * MICRO_USD]
    return reached[-1][1], reached[-1][2]


def fee(notional: int, rate_e6: int, percent: int = 100) -> int:
    """Return the fee of a notional, both in micro-USD, truncated as the venue was seen to do.

    Parameters
    ----------
    percent
        Of that rate: what the dex takes.
    """
    return truncated(notional * rate_e6 * percent, 100 * MICRO_USD)


def add_volume(account: Account, notional: int, now_ms: int, *, crossed: bool) -> None:
    """Count a trade towards an account's volume."""
    today = now_ms // MS_PER_DAY
    taken, made = account.volumes.get(today, (0, 0))
    account.volumes[today] = (taken + notional, made) if crossed else (taken, made + notional)
    account.volume += notional


def deposit(core: VenueCore, account: Account, micro_usd: int, dex: int = OWN_DEX) -> None:
    """Bring collateral of a dex into an account from outside, or take it out with a negative amount."""
    state = core.state
    account.add_raw(dex, micro_usd)
    token = state.dexs[dex].collateral
    state.bridge[token] = state.bridge.get(token, 0) - micro_usd
    delta: dict[str, Any] = {"type": "deposit" if micro_usd >= 0 else "withdraw", "usdc": usd(abs(micro_usd))}
    if micro_usd < 0:
        delta |= {"nonce": core.state.now_ms, "fee": "0.0"}
    entry = LedgerEntry(core.state.now_ms, core.block_hash(), delta)
    account.ledger.append(entry)
    core.events.append(MoneyMoved(account.address, entry))


def apply_fill(account: Account, asset: int, size: int, px: int, fee: int) -> tuple[int, int, str]:
    """Move one side of a trade into an account.

    Parameters
    ----------
    asset
        Asset id; the account has a holding of it.
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
    holding = account.holdings[asset]
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
        account.add_raw(dex_of(asset), -size * px - fee)
    else:
        holding.raw -= fee
        freed = _settle_isolated(holding, start, sign, closing, opening, px)
        account.add_raw(dex_of(asset), freed)
    holding.funding_since_change = 0
    if start == 0 or closing == abs(start):
        holding.funding_since_open = 0
    return start, pnl, _direction(start, holding.szi)


def pay_funding(core: VenueCore, rates_e10: Mapping[int, int], time_ms: int) -> None:
    """Settle one hour's funding on the oracle price; what accounts pay, accounts or the market receive.

    Parameters
    ----------
    rates_e10
        Rate of the hour by asset id, in 1e-10; positive: longs pay.
    time_ms
        Stamp of the payments.
    """
    state = core.state
    for account in state.accounts.values():
        for asset, holding in account.positions():
            rate = max(-MAX_RATE_E10, min(rates_e10.get(asset, 0), MAX_RATE_E10))
            received = -truncated(holding.szi * state.listings[asset].oracle * rate, RATE_SCALE)
            if holding.is_cross:
                account.add_raw(dex_of(asset), received)
            else:
                holding.raw += received
            state.dex(asset).market_raw -= received
            holding.funding_all_time -= received
            holding.funding_since_open -= received
            holding.funding_since_change -= received
            payment = FundingPayment(time_ms, asset, received, holding.szi, rate)
            account.fundings.append(payment)
            core.events.append(FundingPaid(account.address, payment))


def total_money(core: VenueCore, token: str = USDC) -> int:
    """Return the sum of all millionths of a token, which is always 0: what is in was brought over the bridge."""
    state = core.state
    total = state.bridge.get(token, 0)
    for index, dex in enumerate(state.dexs):
        if dex.collateral == token:
            total += dex.market_raw + dex.fees
            total += sum(_held(account, index) for account in state.accounts.values())
    return total + sum(account.spot.get(token, 0) for account in state.accounts.values())


def total_size(core: VenueCore, asset: int) -> int:
    """Return the sum of all positions in an asset, which is always 0."""
    held = sum(account.holdings[asset].szi for account in core.state.accounts.values() if asset in account.holdings)
    return held + core.state.listings[asset].market_szi


def open_interest(core: VenueCore, asset: int) -> int:
    """Return the scaled size of all long positions, the market's included."""
    sizes = [account.holdings[asset].szi for account in core.state.accounts.values() if asset in account.holdings]
    return sum(size for size in [*sizes, core.state.listings[asset].market_szi] if size > 0)


def keep_fill(account: Account, fill: SimulatedFill, keep: int) -> None:
    """Add a fill to an account's history, forgetting the oldest beyond the limit."""
    account.fills.append(fill)
    if len(account.fills) > keep + keep // 10:
        del account.fills[:-keep]


def traded_text(account: Account) -> str:
    """Return an account's lifetime volume in USD with two decimals, as error texts have it."""
    return f"{account.volume / MICRO_USD:.2f}"


def _held(account: Account, dex: int) -> int:
    apart = sum(holding.raw for asset, holding in account.holdings.items() if dex_of(asset) == dex)
    return account.cross_raw.get(dex, 0) + apart


def _settle_isolated(holding: SimulatedPosition, start: int, sign: int, closing: int, opening: int, px: int) -> int:
    """Move a trade into an isolated position; return what it sets free, or takes with a negative amount."""
    freed = 0
    if closing:
        holding.raw -= sign * closing * px
        left = start + sign * closing
        worth = holding.raw + left * px
        released = holding.raw if left == 0 else max(0, worth * closing // abs(start))
        holding.raw -= released
        freed += released
    if opening:
        margin = opening * px // holding.leverage
        freed -= margin
        holding.raw += margin - sign * opening * px
    return freed


def _direction(start: int, end: int) -> str:
    if start * end < 0:
        return "Long > Short" if start > 0 else "Short > Long"
    word = "Open" if abs(end) > abs(start) else "Close"
    return f"{word} {'Long' if (end or start) > 0 else 'Short'}"
