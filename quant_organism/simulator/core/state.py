"""Everything that the venue is at one moment; all of it can be written down as JSON and taken up again."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from quant_organism.simulator.core.account import USDC, Account, Event, SimulatedPosition
from quant_organism.simulator.core.book import OrderBook, SimulatedOrder
from quant_organism.simulator.core.margin import MarginView
from quant_organism.venue.protocol import Instrument, MarginTier, NonceWindow, answer_number, dex_of

MARKET: Final = "0x0000000000000000000000000000000000000a11"
"""Address under which the market's own quotes and trades go; it has no margin and no fees."""

LIQUIDATOR: Final = "0x0000000000000000000000000000000000000b11"
"""Address of the liquidator vault, which takes over what cannot be closed and covers what is lost."""

FIRST_OID: Final = 50_000_000_001
FIRST_TWAP: Final = 15_001
DEFAULT_LEVERAGE: Final = 20
HISTORY_ORDERS: Final = 2_000
HISTORY_FILLS: Final = 10_000
_TID_MODULUS: Final = 1 << 50
_TID_STEP: Final = 0x2545F4914F6CDD1D % _TID_MODULUS | 1  # odd, so that no tid comes twice


@dataclass(slots=True)
class Listing:
    """An asset and its market.

    Parameters
    ----------
    instrument
        What it is.
    mark, oracle, last
        Scaled prices; 0 before the first.
    mark_before
        The mark before this one.
    rate_e10
        Funding rate of this hour so far, in 1e-10 an hour.
    premium_e10
        Its latest premium; None with an empty side of the book.
    market_szi
        Position of the market itself: the opposite of all accounts' together.
    triggers
        Orders that watch the mark.
    open_interest_capped, halted
        Refuses what would add to positions, or everything.
    """

    instrument: Instrument
    mark: int = 0
    oracle: int = 0
    last: int = 0
    mark_before: int = 0
    rate_e10: int = 0
    premium_e10: int | None = None
    market_szi: int = 0
    triggers: dict[int, None] = field(default_factory=dict)
    open_interest_capped: bool = False
    halted: bool = False

    def px(self, units: int) -> str:
        """Return a scaled price as the wire has it."""
        return answer_number(units, self.instrument.px_decimals)

    def sz(self, units: int) -> str:
        """Return a scaled size as the wire has it."""
        return answer_number(units, self.instrument.sz_decimals)


@dataclass(slots=True)
class Dex:
    """Perpetuals with margin accounts of their own: the venue's, or a builder-deployed one (HIP-3).

    Parameters
    ----------
    name
        In front of its coins' names; empty: the venue's own.
    collateral
        Token that margin, PnL and fees are counted in, each worth a dollar.
    fee_percent
        Fees against those of the venue's own dex: 200 is usual for a builder-deployed one, a tenth in growth mode.
    market_raw, fees
        Millionths of the collateral: of the market itself, and of fees paid.
    """

    name: str = ""
    collateral: str = USDC
    fee_percent: int = 100
    market_raw: int = 0
    fees: int = 0


@dataclass(slots=True)
class Twap:
    """An order that is traded in parts.

    Parameters
    ----------
    number
        Its id.
    sz
        Scaled size of the whole.
    minutes
        How long it goes on from `begun_ms`.
    fired
        Parts whose time has been.
    executed_sz, executed_ntl
        What they traded: scaled size and micro-USD.
    """

    number: int
    account: str
    asset: int
    is_buy: bool
    sz: int
    minutes: int
    reduce_only: bool
    randomize: bool
    begun_ms: int
    fired: int = 0
    executed_sz: int = 0
    executed_ntl: int = 0


@dataclass(slots=True)
class VenueState:
    """The venue.

    Parameters
    ----------
    listings
        By asset id.
    accounts
        By address; the liquidator is one of them.
    orders
        By oid: all that are open, and of each account the last that have ended.
    quotes
        Resting orders of the market itself, by their negative oid.
    dexs
        By index; the first is the venue's own.
    bridge
        By token: deposits less withdrawals, in millionths (negative).
    signers
        Nonces by the address that signed with them.
    oracle_band
        Lowest and highest limit price against the oracle; None: any.
    post_only_until_ms
        Before this time only post-only orders are taken.
    twaps
        TWAP orders that run, by number.
    """

    listings: dict[int, Listing]
    dexs: list[Dex] = field(default_factory=lambda: [Dex()])
    seed: int = 0
    now_ms: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)
    orders: dict[int, SimulatedOrder] = field(default_factory=dict)
    quotes: dict[int, SimulatedOrder] = field(default_factory=dict)
    bridge: dict[str, int] = field(default_factory=dict)
    next_oid: int = FIRST_OID
    next_quote_oid: int = -1
    next_priority: int = 1
    trades: int = 0
    blocks: int = 0
    liquidations: int = 0
    signers: dict[str, NonceWindow] = field(default_factory=dict)
    oracle_band: tuple[float, float] | None = (0.2, 5.0)
    post_only_until_ms: int = 0
    twaps: dict[int, Twap] = field(default_factory=dict)
    next_twap: int = FIRST_TWAP

    @property
    def tokens(self) -> list[str]:
        """Tokens that serve as collateral; a token's index is its place here."""
        return list(dict.fromkeys([USDC, *(dex.collateral for dex in self.dexs)]))

    def assets(self, dex: int) -> list[int]:
        """Return the asset ids of a dex, in their order."""
        return sorted(asset for asset in self.listings if dex_of(asset) == dex)

    def dex(self, asset: int) -> Dex:
        """Return the dex that lists an asset."""
        return self.dexs[dex_of(asset)]


def _nothing(_: int) -> None:
    """Have every book ready at all times."""


class VenueCore:
    """A state with what is derived from it: books, margin tables, and the events not yet published.

    Parameters
    ----------
    state
        What is kept.
    """

    def __init__(self, state: VenueState) -> None:
        self.state = state
        self.events: list[Event] = []
        self.clock_ahead_ms = 0
        """How far the clock by which nonces, expiry and agents are judged is ahead of the venue's time."""
        self.prepare: Callable[[int], None] = _nothing
        """Called with an asset before its book is looked at, for a market that makes its quotes late."""
        self.books = {asset: OrderBook() for asset in state.listings}
        standing = [order for order in state.orders.values() if self._stands(order)]
        for order in sorted([*standing, *state.quotes.values()], key=lambda order: order.priority):
            self.books[order.asset].side(is_buy=order.is_buy).add(order)
        state.accounts.setdefault(LIQUIDATOR, Account(LIQUIDATOR))
        self.marks: dict[int, int] = {}
        self.tiers: dict[int, Sequence[MarginTier]] = {}
        self.refresh()

    @property
    def clock_ms(self) -> int:
        """Time of the clock by which nonces, expiry, agents and scheduled cancels are judged."""
        return self.state.now_ms + self.clock_ahead_ms

    def refresh(self) -> None:
        """Take up changed marks and instruments, and assets that were added."""
        for asset, listing in self.state.listings.items():
            self.marks[asset] = listing.mark
            self.tiers[asset] = listing.instrument.tiers
            self.books.setdefault(asset, OrderBook())

    def drain(self) -> list[Event]:
        """Return what has happened since the last time."""
        events, self.events = self.events, []
        return events

    def margin(self, account: Account, dex: int) -> MarginView:
        """Return an account's margin on a dex at the present marks."""
        return MarginView(account, dex, self.marks, self.tiers)

    def holding(self, account: Account, asset: int) -> SimulatedPosition:
        """Return an account's holding, made with default leverage at the first time."""
        found = account.holdings.get(asset)
        if found is None:
            instrument = self.state.listings[asset].instrument
            leverage = min(DEFAULT_LEVERAGE, instrument.max_leverage)
            found = account.holdings[asset] = SimulatedPosition(leverage, is_cross=not instrument.only_isolated)
        return found

    def block_hash(self) -> str:
        """Return the hash that everything of the present action carries."""
        return "0x" + hashlib.sha256(f"{self.state.seed}/{self.state.blocks}".encode()).hexdigest()

    def next_tid(self) -> int:
        """Return the number of the next trade: scattered like the venue's, and never twice the same."""
        self.state.trades += 1
        return self.state.trades * _TID_STEP % _TID_MODULUS

    def next_priority(self) -> int:
        """Return the next place in time."""
        self.state.next_priority += 1
        return self.state.next_priority

    def _stands(self, order: SimulatedOrder) -> bool:
        owner = self.state.accounts[order.account]
        return order.oid in owner.open_oids and order.is_resting
