"""What an account is between two events: positions, cash, sub-accounts, standing orders, risk; all plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from operator import itemgetter
from struct import pack
from typing import Any, Final

from quant_organism.backtest.account.risk import RiskState
from quant_organism.backtest.account.rules import AccountRules, TradedAsset
from quant_organism.errors import InputError

_SCHEMA: Final = 2

STOP, TARGET, IOC = "stop", "target", "ioc"
"""Kinds of orders: what rests at the venue, and what is sent at a close."""

LegKey = tuple[str, str, str]
"""Strategy, member, symbol."""


@dataclass(eq=True)
class SubAccount:
    """The part of an account that one member, or *execution*, answers for.

    Parameters
    ----------
    cash
        Micro-USD; the account's capital is in none of them, so that this and the lots make up the profit.
    lots
        Held, by symbol; none of them 0.
    moved
        Absolute notional in micro-USD that was moved in each symbol since its last order.
    """

    cash: int = 0
    lots: dict[str, int] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)

    def profit(self, marks: Mapping[str, int]) -> int:
        """Return what it has earned at these lot prices, micro-USD."""
        return self.cash + sum(lots * marks[symbol] for symbol, lots in self.lots.items())

    def add(self, symbol: str, lots: int, lot_price: int) -> None:
        """Buy lots at a lot price, or sell them where negative."""
        self.cash -= lots * lot_price
        self.hold(symbol, self.lots.get(symbol, 0) + lots)

    def hold(self, symbol: str, lots: int) -> None:
        """Set the lots of a symbol."""
        if lots:
            self.lots[symbol] = lots
        else:
            self.lots.pop(symbol, None)


@dataclass(frozen=True)
class StandingOrder:
    """A reduce-only order that rests at the venue: lots to buy, negative to sell, and its lot price."""

    lots: int
    level: int


@dataclass(eq=True)
class AccountBook:
    """One account; `plan` reads it, `book` moves it, nothing else does.

    Parameters
    ----------
    account
        Its name, part of every order's identity.
    rules, assets
        Limits, and what the venue says of each symbol.
    cash
        Micro-USD, as the venue has it.
    capital
        What was paid in less what was taken out.
    positions
        Lots at the venue, by symbol; none of them 0.
    marks
        Last known lot price of each symbol.
    spent
        What each position has cost since it was last flat less what it brought, fees counted, micro-USD.
    execution, members
        Sub-accounts; those of members by (strategy, member), in the order of these keys.
    units, shares
        Virtual units per unit of equity of each leg (A1), and the strategies' shares of the equity, as planned last.
    stopless
        Members whose levels are no stops of their own (A7).
    benched
        Units of legs of such members whose disaster stop filled: they are not entered again until the units change.
    resting
        Standing orders by symbol and kind.
    references, ordered
        Lot price that the last fills of each symbol are measured against, and whether an order has been sent since the
        members' moves were last counted from 0.
    frozen, restored
        Symbols in which somebody traded by hand, and those that a person wants brought back whatever the band says.
    locked
        Sign of the virtual net of symbols that were liquidated, until it changes.
    gone
        Symbols that are halted or delisted.
    rejects
        Orders in a row that the venue refused, by symbol.
    number
        Plans and sets of resting orders so far.
    risk
        At the last close that was planned.
    h1, h2
        Digests of the virtual units and of the order lines so far, hex.
    """

    account: str
    rules: AccountRules
    assets: dict[str, TradedAsset]
    cash: int = 0
    capital: int = 0
    positions: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    execution: SubAccount = field(default_factory=SubAccount)
    members: dict[tuple[str, str], SubAccount] = field(default_factory=dict)
    units: dict[LegKey, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    stopless: set[tuple[str, str]] = field(default_factory=set)
    benched: dict[LegKey, float] = field(default_factory=dict)
    resting: dict[str, dict[str, StandingOrder]] = field(default_factory=dict)
    references: dict[str, int] = field(default_factory=dict)
    ordered: set[str] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)
    restored: set[str] = field(default_factory=set)
    locked: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    rejects: dict[str, int] = field(default_factory=dict)
    number: int = 0
    risk: RiskState = field(default_factory=RiskState)
    h1: str = ""
    h2: str = ""

    @classmethod
    def opened(
        cls, account: str, rules: AccountRules, assets: Mapping[str, TradedAsset], capital_micro_usd: int
    ) -> AccountBook:
        """Return an account that holds nothing but its capital."""
        return cls(account, rules.checked(), dict(assets), cash=capital_micro_usd, capital=capital_micro_usd)

    def equity(self, marks: Mapping[str, int] | None = None) -> int:
        """Return cash and positions at these lot prices, or at the last known ones, micro-USD."""
        prices = self.marks if marks is None else marks
        return self.cash + sum(lots * prices[symbol] for symbol, lots in self.positions.items())

    def maintenance(self, marks: Mapping[str, int] | None = None) -> float:
        """Return the maintenance margin of all positions, micro-USD, summed in the order of symbols."""
        prices, total = self.marks if marks is None else marks, 0.0
        for symbol in sorted(self.positions):
            total += self.assets[symbol].maintenance_margin(float(abs(self.positions[symbol]) * prices[symbol]))
        return total

    @property
    def sub_accounts(self) -> list[SubAccount]:
        """Sub-accounts of the members in the order of their keys, *execution* last."""
        return [*self.members.values(), self.execution]

    def open_members(self, names: Iterable[tuple[str, str]]) -> None:
        """Give those members a sub-account that have none."""
        new = {name: SubAccount() for name in names if name not in self.members}
        if new:
            self.members = dict(sorted((self.members | new).items(), key=itemgetter(0)))

    @property
    def alarming(self) -> list[str]:
        """Symbols of which three orders in a row were refused."""
        return sorted(symbol for symbol, count in self.rejects.items() if count >= 3)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as values of JSON."""
        return {
            "schema": _SCHEMA,
            "account": self.account,
            "rules": self.rules._asdict() | {"strategy_cap": _finite(self.rules.strategy_cap)},
            "assets": {name: [asset.sz_decimals, asset.tiers] for name, asset in sorted(self.assets.items())},
            "cash": self.cash,
            "capital": self.capital,
            "positions": dict(sorted(self.positions.items())),
            "marks": dict(sorted(self.marks.items())),
            "spent": dict(sorted(self.spent.items())),
            "execution": _sub_to_dict(self.execution),
            "members": [[*key, _sub_to_dict(sub)] for key, sub in self.members.items()],
            "units": [[*key, units] for key, units in sorted(self.units.items(), key=itemgetter(0))],
            "shares": dict(sorted(self.shares.items())),
            "stopless": sorted(list(key) for key in self.stopless),
            "benched": [[*key, units] for key, units in sorted(self.benched.items())],
            "resting": {
                symbol: {kind: [order.lots, order.level] for kind, order in sorted(orders.items())}
                for symbol, orders in sorted(self.resting.items())
            },
            "references": dict(sorted(self.references.items())),
            "ordered": sorted(self.ordered),
            "frozen": sorted(self.frozen),
            "restored": sorted(self.restored),
            "locked": dict(sorted(self.locked.items())),
            "gone": sorted(self.gone),
            "rejects": dict(sorted(self.rejects.items())),
            "number": self.number,
            "risk": self.risk.to_dict(),
            "h1": self.h1,
            "h2": self.h2,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> AccountBook:
        """Read what `to_dict` returned, also after it was JSON.

        Raises
        ------
        InputError
            If it is of another schema version.
        """
        if fields.get("schema") != _SCHEMA:
            raise InputError(
                f"the account was saved with schema {fields.get('schema')!r}, expected {_SCHEMA}",
                where="state of an account",
                remedy="open the account anew, and take position and cash from the venue",
            )
        cap = fields["rules"]["strategy_cap"]
        return cls(
            account=fields["account"],
            rules=AccountRules(**{**fields["rules"], "strategy_cap": float("inf") if cap is None else cap}),
            assets={
                name: TradedAsset(decimals, tuple((bound, most) for bound, most in tiers))
                for name, (decimals, tiers) in fields["assets"].items()
            },
            cash=fields["cash"],
            capital=fields["capital"],
            positions=dict(fields["positions"]),
            marks=dict(fields["marks"]),
            spent=dict(fields["spent"]),
            execution=_sub_from_dict(fields["execution"]),
            members={(strategy, member): _sub_from_dict(sub) for strategy, member, sub in fields["members"]},
            units={(strategy, member, symbol): units for strategy, member, symbol, units in fields["units"]},
            shares=dict(fields["shares"]),
            stopless={(strategy, member) for strategy, member in fields["stopless"]},
            benched={(strategy, member, symbol): units for strategy, member, symbol, units in fields["benched"]},
            resting={
                symbol: {kind: StandingOrder(*order) for kind, order in orders.items()}
                for symbol, orders in fields["resting"].items()
            },
            references=dict(fields["references"]),
            ordered=set(fields["ordered"]),
            frozen=set(fields["frozen"]),
            restored=set(fields["restored"]),
            locked=dict(fields["locked"]),
            gone=set(fields["gone"]),
            rejects=dict(fields["rejects"]),
            number=fields["number"],
            risk=RiskState.from_dict(fields["risk"]),
            h1=fields["h1"],
            h2=fields["h2"],
        )


def digest_on(digest: str, record: bytes) -> str:
    """Return the digest of a chain that a record is appended to, hex; an empty one leaves it as it is."""
    return sha256(digest.encode() + b"\n" + record).hexdigest() if record else digest


def units_record(before: Mapping[LegKey, float], after: Mapping[LegKey, float], time: int) -> bytes:
    """Return the record of a close for the first digest: each leg whose units differ, in the order of keys."""
    moved = [key for key, units in after.items() if before.get(key, 0.0) != units]
    moved += [key for key, units in before.items() if units != 0.0 and key not in after]
    changed = [leg_name(key) + pack("<d", after.get(key, 0.0)) for key in sorted(moved)]
    return b"".join([str(time).encode(), *changed]) if changed else b""


def leg_name(key: LegKey) -> bytes:
    """Return how a leg is named in the record of a close."""
    return ("\n" + "|".join(key) + "|").encode()


def lines_record(lines: Iterable[str]) -> bytes:
    """Return the record of a plan, or of a set of resting orders, for the second digest."""
    return "\n".join(lines).encode()


def order_line(time: int, symbol: str, kind: str, lots: int, level: int) -> str:
    """Return the line of an order: `close|symbol|kind|lots|level`, the level as a lot price."""
    return f"{time}|{symbol}|{kind}|{lots}|{level}"


def client_id(account: str, time: int, symbol: str, kind: str, number: int) -> str:
    """Return an order's own identity at the venue (cloid): the same order never has two.

    It begins as all ids of this house do (`trading.orders`), so that a lost journal's orders are known by it.
    """
    return "0x716f" + sha256(f"{account}|{time}|{symbol}|{kind}|{number}".encode()).hexdigest()[:28]


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None


def _sub_to_dict(sub: SubAccount) -> dict[str, Any]:
    return {"cash": sub.cash, "lots": dict(sorted(sub.lots.items())), "moved": dict(sorted(sub.moved.items()))}


def _sub_from_dict(fields: Mapping[str, Any]) -> SubAccount:
    return SubAccount(fields["cash"], dict(fields["lots"]), dict(fields["moved"]))
