"""Money by our books: what the account began with, what trades cost and brought, what came and went besides.

Cash is equity without the value of positions. It moves by fills (price, size and fee) and by flows (funding, deposits,
withdrawals, transfers, liquidations) and by nothing else, so that books and venue can be held against each other to the
cent at any prices.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from quant_organism.trading.orders.rows import signed_size
from quant_organism.trading.store import Store
from quant_organism.venue import FUNDING, AccountState, CashFlow, Fill
from quant_organism.venue.protocol import is_perpetual_name

CENT: Final = Decimal("0.01")
ACCEPTED: Final = "accepted"
"""Kind of a flow that nobody has explained, and a person has taken over."""
_NOTHING: Final = Decimal(0)
_ALWAYS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Balance:
    """Equity of the venue against that of the books, in USD; all amounts are since the opening.

    Parameters
    ----------
    opening_usd
        Equity when books and venue were first compared.
    realised_usd
        Profit of closed positions, before fees, as the venue counts it.
    unrealised_usd
        Profit of what is held, less that of what was held at the opening.
    fees_usd
        Paid; a rebate is negative.
    funding_usd, transfers_usd
        Received; transfers are all other flows.
    venue_usd
        Equity as the venue shows it.
    """

    opening_usd: Decimal
    realised_usd: Decimal
    unrealised_usd: Decimal
    fees_usd: Decimal
    funding_usd: Decimal
    transfers_usd: Decimal
    venue_usd: Decimal

    @property
    def books_usd(self) -> Decimal:
        """Equity by the books."""
        earned = self.realised_usd + self.unrealised_usd - self.fees_usd
        return self.opening_usd + earned + self.funding_usd + self.transfers_usd

    @property
    def gap_usd(self) -> Decimal:
        """What the venue has more than the books can explain; negative: less."""
        return self.venue_usd - self.books_usd

    @property
    def is_even(self) -> bool:
        """Whether they agree to the cent."""
        return abs(self.gap_usd) < CENT


class MoneyBook:
    """The money of a journal.

    Parameters
    ----------
    store
        The journal's file.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, state: AccountState) -> None:
        """Begin with what the venue shows, at the fills that are kept by now; it is done once.

        Where the venue's cash cannot be told it is left to a later time.
        """
        cash = state.cash_usd

        def work() -> None:
            if self.opened_ms() is not None or cash is None:
                return
            newest = self._store.read("SELECT MAX(rowid) AS newest FROM orders")[0]["newest"]
            traded = self._traded(state.time_ms)
            for name, value in (
                ("opening_ms", state.time_ms),
                ("opening_order", newest or 0),
                ("opening_usd", state.account_value_usd),
                ("opening_cash", cash),
                ("before_paid", traded.paid),
                ("before_realised", traded.realised),
                ("before_fees", traded.fees),
            ):
                self._store.set_fact(name, str(value))

        self._store.write(work)

    def opened_ms(self) -> int | None:
        """Return when it began, by the venue's time."""
        value = self._store.fact("opening_ms")
        return None if value is None else int(value)

    def add(self, flows: Sequence[CashFlow]) -> list[CashFlow]:
        """Keep flows after the opening, each once; return new ones."""

        def work() -> list[CashFlow]:
            since = self.opened_ms()
            new = []
            for flow in flows:
                if since is None or flow.time_ms <= since:
                    continue
                done = self._store.execute(
                    "INSERT OR IGNORE INTO flows VALUES (?, ?, ?, ?, ?)",
                    (flow.time_ms, flow.kind, flow.coin, flow.name, str(flow.usd)),
                )
                if done.rowcount:
                    new.append(flow)
            return new

        return self._store.write(work)

    def flows(self) -> list[CashFlow]:
        """Return all flows since the opening, by time."""
        rows = self._store.read("SELECT * FROM flows ORDER BY time_ms, rowid")
        return [_flow_of(row) for row in rows]

    def last_funding_ms(self) -> int | None:
        """Return the time of the newest funding, or of the opening where there is none."""
        return self._last_ms(f"kind = '{FUNDING}'")

    def last_transfer_ms(self) -> int | None:
        """Return the time of the newest other flow that the venue told of, or of the opening where there is none."""
        return self._last_ms(f"kind NOT IN ('{FUNDING}', '{ACCEPTED}')")

    def flows_after(self, place: int) -> list[tuple[int, CashFlow]]:
        """Return the flows that were written down after a place, and their places, in the order of writing."""
        rows = self._store.read("SELECT rowid AS place, * FROM flows WHERE rowid > ? ORDER BY rowid", (place,))
        return [(int(row["place"]), _flow_of(row)) for row in rows]

    def newest_place(self) -> int:
        """Return the place of the newest flow; 0 where there is none."""
        return int(self._store.read("SELECT IFNULL(MAX(rowid), 0) AS place FROM flows")[0]["place"])

    def take_transfers(self) -> list[CashFlow]:
        """Return flows other than funding that have not been returned before."""

        def work() -> list[CashFlow]:
            after = int(self._store.fact("told_flow") or 0)
            rows = self._store.read(
                "SELECT rowid AS place, * FROM flows WHERE rowid > ? AND kind <> ? ORDER BY rowid", (after, FUNDING)
            )
            if rows:
                self._store.set_fact("told_flow", str(rows[-1]["place"]))
            return [_flow_of(row) for row in rows]

        return self._store.write(work)

    def note_early(self, fill: Fill, place: int | None) -> None:
        """Take a fill that is heard of late, and was before the opening, for part of what the account began with.

        Parameters
        ----------
        fill
            That is kept for the first time.
        place
            Of its order in the journal; None: of none.
        """
        opened_ms = self.opened_ms()
        is_before = opened_ms is not None and fill.time_ms <= opened_ms
        if is_before and is_perpetual_name(fill.coin) and (place or 0) <= int(self._store.fact("opening_order") or 0):
            for name, value in (
                ("before_paid", fill.px * fill.sz * (1 if fill.is_buy else -1)),
                ("before_realised", fill.closed_pnl),
                ("before_fees", fill.fee),
            ):
                self._store.set_fact(name, str(self._known(name) + value))

    def cash(self) -> Decimal:
        """Return cash by the books, USD: equity without the value of positions; 0 before they have begun."""
        traded = self._traded()
        paid, fees = traded.paid - self._known("before_paid"), traded.fees - self._known("before_fees")
        flows = sum((flow.usd for flow in self.flows()), _NOTHING)
        return self._known("opening_cash") - paid - fees + flows

    def balance(self, state: AccountState) -> Balance | None:
        """Hold the venue's equity against the books; None: they have not begun, or the venue's cash cannot be told."""
        cash = state.cash_usd
        if self.opened_ms() is None or cash is None:
            return None
        traded = self._traded()
        paid, fees = traded.paid - self._known("before_paid"), traded.fees - self._known("before_fees")
        realised = traded.realised - self._known("before_realised")
        flows = self.flows()
        funding = sum((flow.usd for flow in flows if flow.kind == FUNDING), _NOTHING)
        transfers = sum((flow.usd for flow in flows if flow.kind != FUNDING), _NOTHING)
        opening, opening_cash = self._known("opening_usd"), self._known("opening_cash")
        held, held_before = state.account_value_usd - cash, opening - opening_cash
        return Balance(
            opening_usd=opening,
            realised_usd=realised,
            unrealised_usd=held - held_before - paid - realised,
            fees_usd=fees,
            funding_usd=funding,
            transfers_usd=transfers,
            venue_usd=state.account_value_usd,
        )

    def accept(self, balance: Balance, at_ms: int, why: str) -> None:
        """Take over a difference that nobody can explain, on a person's word, as a flow of a kind of its own.

        Parameters
        ----------
        balance
            Whose gap is taken over.
        at_ms
            Time of the venue.
        why
            What the person says.
        """
        self.add([CashFlow(at_ms, ACCEPTED, "", why, balance.gap_usd)])

    def _known(self, name: str) -> Decimal:
        return Decimal(self._store.fact(name) or 0)

    def _last_ms(self, condition: str) -> int | None:
        newest = self._store.read(f"SELECT MAX(time_ms) AS newest FROM flows WHERE {condition}")[0]["newest"]
        return self.opened_ms() if newest is None else int(newest)

    def _traded(self, until_ms: int = _ALWAYS) -> "_Traded":
        """Return what all fills of perpetuals up to a time add up to."""
        paid = realised = fees = _NOTHING
        columns = "coin, is_buy, px, sz, fee, closed_pnl"
        for row in self._store.read(f"SELECT {columns} FROM fills WHERE time_ms <= ?", (until_ms,)):
            if is_perpetual_name(row["coin"]):
                paid += Decimal(row["px"]) * signed_size(row)
                realised += Decimal(row["closed_pnl"])
                fees += Decimal(row["fee"])
        return _Traded(paid, realised, fees)


@dataclass(frozen=True, slots=True)
class _Traded:
    """USD paid for what was bought less what was sold, profit of closed positions, fees."""

    paid: Decimal
    realised: Decimal
    fees: Decimal


def _flow_of(row: sqlite3.Row) -> CashFlow:
    return CashFlow(row["time_ms"], row["kind"], row["coin"], row["name"], Decimal(row["usd"]))
