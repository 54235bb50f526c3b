"""What the venue knows of one address, and what happened, for whoever publishes it; each event names its account."""

from dataclasses import dataclass, field
from typing import Any, Final

from quant_organism.venue.protocol import OWN_DEX

USDC: Final = "USDC"


@dataclass(slots=True)
class SimulatedPosition:
    """Position and leverage of an account in one asset; there is one even without a position.

    Parameters
    ----------
    szi
        Scaled signed size.
    cost
        Micro-USD that the open size was bought or sold for.
    raw
        Micro-USD set apart for an isolated position, the price of its size included; 0 with cross margin.
    funding_all_time, funding_since_open, funding_since_change
        Micro-USD of funding PAID.
    """

    leverage: int
    is_cross: bool = True
    szi: int = 0
    cost: int = 0
    raw: int = 0
    funding_all_time: int = 0
    funding_since_open: int = 0
    funding_since_change: int = 0


@dataclass(slots=True)
class Agent:
    """A wallet that may act for the account until a time, by the clock that nonces are judged by."""

    name: str | None
    address: str
    valid_until_ms: int


@dataclass(slots=True)
class SimulatedFill:
    """One side of one trade; scaled integers."""

    asset: int
    px: int
    sz: int
    is_buy: bool
    time_ms: int
    start_szi: int
    direction: str
    closed_pnl: int
    hash: str
    oid: int
    crossed: bool
    fee: int
    tid: int
    cloid: str | None = None
    twap: int | None = None
    liquidation: dict[str, str] | None = None
    fee_token: str = USDC


@dataclass(slots=True)
class FundingPayment:
    """One hour's funding of one position; `micro_usd` is negative where the account paid, the rate is in 1e-10."""

    time_ms: int
    asset: int
    micro_usd: int
    szi: int
    rate_e10: int


@dataclass(slots=True)
class LedgerEntry:
    """A movement of money that is no trade and no funding."""

    time_ms: int
    hash: str
    delta: dict[str, Any]


@dataclass(slots=True)
class Account:
    """Money, positions, orders and history of one address.

    Parameters
    ----------
    cross_raw
        By dex: millionths of its collateral outside isolated positions, the price of cross positions included.
    holdings
        By asset id.
    reserved
        By dex: margin that open orders hold, in millionths of its collateral.
    open_oids
        Orders that are open, in the order of their arrival.
    cloids
        The latest order of each client id.
    history
        Orders that have ended, oldest first.
    volumes
        By UTC day: micro-USD traded as taker, and as maker.
    requests_used, over_limit_pass_ms
        For the address limit; when a request last passed beyond it.
    cancel_at_ms, cancels_fired
        Scheduled cancel by the clock that nonces are judged by, and how many fired by UTC day of it.
    cooldown_until_ms
        By asset id: no further market liquidation before this time.
    twap_history
        Beginnings and ends of TWAP orders, in wire form, oldest first.
    spot
        Spot balances: millionths by token.
    name, master
        Of a sub-account: its own name, and whose it is; of a vault: who leads it.
    shares
        Of a vault: what each address that paid in holds of it; None: it is no vault.
    locked_until_ms
        Of a vault, by address: before this time of the venue nothing can be taken out.
    referrer, builder_fees
        Code of whoever referred it; what builders may take at most, in tenths of a basis point.
    signers, threshold
        Who must sign in place of its own key, and how many of them; nobody: its own key does.
    """

    address: str
    cross_raw: dict[int, int] = field(default_factory=lambda: {OWN_DEX: 0})
    holdings: dict[int, SimulatedPosition] = field(default_factory=dict)
    reserved: dict[int, int] = field(default_factory=dict)
    open_oids: dict[int, None] = field(default_factory=dict)
    cloids: dict[str, int] = field(default_factory=dict)
    history: list[int] = field(default_factory=list)
    fills: list[SimulatedFill] = field(default_factory=list)
    fundings: list[FundingPayment] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    volumes: dict[int, tuple[int, int]] = field(default_factory=dict)
    volume: int = 0
    agents: list[Agent] = field(default_factory=list)
    requests_used: int = 0
    over_limit_pass_ms: int | None = None
    cancel_at_ms: int | None = None
    cancels_fired: dict[int, int] = field(default_factory=dict)
    cooldown_until_ms: dict[int, int] = field(default_factory=dict)
    master: str | None = None
    is_unified: bool = False
    twap_history: list[dict[str, Any]] = field(default_factory=list)
    spot: dict[str, int] = field(default_factory=dict)
    name: str | None = None
    shares: dict[str, int] | None = None
    locked_until_ms: dict[str, int] = field(default_factory=dict)
    uses_dex_abstraction: bool = False
    referrer: str | None = None
    builder_fees: dict[str, int] = field(default_factory=dict)
    signers: tuple[str, ...] = ()
    threshold: int = 0

    def add_raw(self, dex: int, amount: int) -> None:
        """Add millionths of a dex's collateral to what is outside isolated positions."""
        self.cross_raw[dex] = self.cross_raw.get(dex, 0) + amount

    def add_spot(self, token: str, amount: int) -> None:
        """Add millionths of a token to the spot balances."""
        self.spot[token] = self.spot.get(token, 0) + amount

    def unify(self) -> None:
        """Have its USDC in spot serve perpetuals: from now on it is kept outside isolated positions."""
        self.add_raw(OWN_DEX, self.spot.pop(USDC, 0))
        self.is_unified = True

    def dexs(self) -> list[int]:
        """Return the dexs on which it has, or had, money."""
        return sorted(self.cross_raw)

    def positions(self) -> list[tuple[int, SimulatedPosition]]:
        """Return asset id and holding of every open position, by asset id."""
        return [(asset, self.holdings[asset]) for asset in sorted(self.holdings) if self.holdings[asset].szi]


@dataclass(frozen=True, slots=True)
class OrderUpdated:
    """An order changed its status; `order` is its state at that moment, in wire form."""

    account: str
    order: dict[str, Any]
    status: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Filled:
    """An account's side of a trade."""

    account: str
    fill: SimulatedFill


@dataclass(frozen=True, slots=True)
class Traded:
    """A trade as the public sees it; `buyer` and `seller` are addresses."""

    asset: int
    is_buy: bool
    px: int
    sz: int
    time_ms: int
    hash: str
    tid: int
    buyer: str
    seller: str


@dataclass(frozen=True, slots=True)
class FundingPaid:
    """Funding of one position."""

    account: str
    payment: FundingPayment


@dataclass(frozen=True, slots=True)
class Liquidated:
    """An account was liquidated; amounts in micro-USD."""

    account: str
    lid: int
    notional: int
    equity: int


@dataclass(frozen=True, slots=True)
class CanceledByVenue:
    """An order ended that nobody asked to end."""

    account: str
    asset: int
    oid: int


@dataclass(frozen=True, slots=True)
class MoneyMoved:
    """A deposit or another entry of the ledger."""

    account: str
    entry: LedgerEntry


@dataclass(frozen=True, slots=True)
class TwapChanged:
    """A TWAP order began or ended; `row` is its entry in the history, in wire form."""

    account: str
    row: dict[str, Any]


Event = OrderUpdated | Filled | Traded | FundingPaid | Liquidated | CanceledByVenue | MoneyMoved | TwapChanged
