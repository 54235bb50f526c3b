"""What happened, for whoever publishes it; each names the account it concerns."""

from dataclasses import dataclass
from typing import Any

from quant_organism.exchange.simulator.core.account import Fill, FundingPayment, LedgerEntry


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
    fill: Fill


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
