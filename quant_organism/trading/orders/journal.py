"""What we did and what we know, on disk before it is done: orders, actions, fills. SQLite, one writing process.

An action is written with its nonce and its orders before it is sent, so that after a crash at any instruction it is
known what may be on its way. Fills are kept once each, by (`tid`, `oid`); positions are their sum.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

from quant_organism.errors import IntegrityError
from quant_organism.trading.orders.money import MoneyBook
from quant_organism.trading.orders.rows import SCHEMA, SCHEMA_VERSION, UPGRADES, action_of, fill_of, signed_size
from quant_organism.trading.orders.states import LIVE, ActionRecord, Change, Event, Kind, OrderRecord, next_state
from quant_organism.trading.store import Store
from quant_organism.venue import Fill, NewOrder, Position, Trigger
from quant_organism.venue.protocol import is_perpetual_name

T = TypeVar("T")
_NOTHING: Final = Decimal(0)


class Journal:
    """The journal of one account.

    Parameters
    ----------
    path
        SQLite file; made if it is not there, and read by its owner alone. None: in memory, for an exit that needs
        no disk.
    account
        Network and address, so that no other account's orders are taken for ours.

    Attributes
    ----------
    money
        What came and went besides trades, and equity by these books.

    Raises
    ------
    BusyError
        Another process writes it.
    IntegrityError
        It is damaged, belongs to another account, is of a later version, or is no journal.
    """

    def __init__(self, path: Path | None, account: str) -> None:
        self._store = Store(
            path, SCHEMA, {"account": account, "schema_version": str(SCHEMA_VERSION)}, upgrades=UPGRADES
        )
        self.money = MoneyBook(self._store)

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    @property
    def failure(self) -> str | None:
        """Why nothing is written to disk any more, and only what closes can be placed; None: all is well."""
        return self._store.failure

    def recover(self) -> bool:
        """Bring what was carried on in memory back to disk, if it can be written again; say whether it is there."""
        return self._store.recover()

    def batch(self, work: Callable[[], T]) -> T:
        """Do several things in one write; the work may be run a second time where the disk fails."""
        return self._store.write(work)

    # actions

    def begin_placing(self, orders: Sequence[NewOrder], decision_id: str, nonce: int, signer: str, at_ms: int) -> None:
        """Write down orders that are about to be sent; such as could open a position must be on disk.

        Raises
        ------
        IntegrityError
            One of them has been written down before.
        StorageError
            The disk cannot be written, and not all of them only reduce.
        """

        def work() -> None:
            for order in orders:
                self._insert(order, decision_id, at_ms)
            self._begin(nonce, signer, "place", [order.cloid for order in orders])

        self._store.write(work, is_durable=not all(order.reduce_only for order in orders))

    def begin_amending(self, cloid: str, change: Change, nonce: int, signer: str) -> None:
        """Write down an amendment that is about to be sent.

        Raises
        ------
        StorageError
            The disk cannot be written, and the order does not only reduce.
        """
        is_durable = not self.order(cloid).order.reduce_only
        self._store.write(lambda: self._begin(nonce, signer, "amend", [cloid], {cloid: change}), is_durable=is_durable)

    def begin_canceling(self, cloids: Sequence[str], nonce: int, signer: str) -> None:
        """Write down cancels that are about to be sent."""
        self._store.write(lambda: self._begin(nonce, signer, "cancel", cloids))

    def begin_setting(self, kind: Kind, what: str, nonce: int, signer: str) -> None:
        """Write down what is about to be set beside orders.

        Raises
        ------
        StorageError
            The disk cannot be written.
        """
        self._store.write(lambda: self._begin(nonce, signer, kind, [], text=what), is_durable=True)

    def settle(self, nonce: int, text: str) -> None:
        """Write down that it is known what became of an action."""
        self._store.write(
            lambda: self._store.execute(
                "UPDATE actions SET is_settled = 1, text = ? WHERE nonce = ?", (text[:300], nonce)
            )
        )

    def unsettled(self, cloid: str | None = None) -> list[ActionRecord]:
        """Return the actions of which it is not known what became of them, oldest first; all, or those of an order."""
        rows = self._store.read("SELECT * FROM actions WHERE is_settled = 0 ORDER BY nonce")
        actions = [action_of(row) for row in rows]
        return [action for action in actions if cloid is None or cloid in action.cloids]

    # orders

    def move(
        self,
        cloid: str,
        event: Event,
        at_ms: int,
        *,
        oid: int | None = None,
        sz: Decimal | None = None,
        said_filled: Decimal = _NOTHING,
        text: str = "",
    ) -> OrderRecord:
        """Move an order by what was heard of it.

        Parameters
        ----------
        cloid, event
            Which, and what.
        at_ms
            When.
        oid
            The venue's number, where it was named; older ones are remembered, but the newest counts.
        sz
            Coins that it was placed with under this number, where that is known.
        said_filled
            Coins that the venue says are filled of this number.
        text
            What the venue said.
        """

        def work() -> OrderRecord:
            before = self.order(cloid)
            after = next_state(before.state, event)
            if oid is not None:
                self._bind(oid, cloid, sz, said_filled)
            newest = oid if before.oid is None or (oid is not None and oid > before.oid) else before.oid
            if (after, newest) != (before.state, before.oid):
                self._store.execute(
                    "INSERT INTO moves VALUES (?, ?, ?, ?, ?, ?)",
                    (at_ms, cloid, before.state, event, after, text[:300]),
                )
                self._store.execute(
                    "UPDATE orders SET state = ?, oid = ?, text = ?, updated_ms = ? WHERE cloid = ?",
                    (after, newest, text[:300] or before.text, at_ms, cloid),
                )
            return self.order(cloid)

        return self._store.write(work)

    def amended(self, cloid: str, px: Decimal, sz: Decimal) -> None:
        """Take over the price, and the size in all, that an order has now."""
        self._store.write(
            lambda: self._store.execute("UPDATE orders SET px = ?, sz = ? WHERE cloid = ?", (str(px), str(sz), cloid))
        )

    def adopt(self, order: NewOrder, decision_id: str, at_ms: int) -> None:
        """Write down an order that was placed already, and of which nothing is known here."""
        self._store.write(lambda: self._insert(order, decision_id, at_ms))

    def find(self, cloid: str) -> OrderRecord | None:
        """Return an order, or None where it was never written down."""
        rows = self._store.read("SELECT * FROM orders WHERE cloid = ?", (cloid,))
        return self._record(rows[0]) if rows else None

    def order(self, cloid: str) -> OrderRecord:
        """Return an order.

        Raises
        ------
        IntegrityError
            It was never written down.
        """
        found = self.find(cloid)
        if found is None:
            raise IntegrityError("no such order", where=f"journal, {cloid}", remedy="place it first")
        return found

    def owner(self, oid: int) -> str | None:
        """Return the cloid of the order that has, or had, a number of the venue."""
        rows = self._store.read("SELECT cloid FROM oids WHERE oid = ?", (oid,))
        return str(rows[0]["cloid"]) if rows else None

    def newest_number(self, cloid: str) -> tuple[int, bool] | None:
        """Return the newest number of an order, and whether its fills are all that it was placed with under it."""
        rows = self._store.read("SELECT oid, sz FROM oids WHERE cloid = ? ORDER BY oid DESC LIMIT 1", (cloid,))
        if not rows:
            return None
        oid, sz = int(rows[0]["oid"]), rows[0]["sz"]
        return oid, sz is not None and self._filled(cloid)[oid] >= Decimal(sz)

    def size_of(self, oid: int) -> Decimal | None:
        """Return what an order was placed with under a number; None: not known."""
        rows = self._store.read("SELECT sz FROM oids WHERE oid = ?", (oid,))
        return Decimal(rows[0]["sz"]) if rows and rows[0]["sz"] is not None else None

    def numbers(self, cloid: str) -> list[int]:
        """Return all numbers that an order has had, oldest first."""
        return [
            int(row["oid"]) for row in self._store.read("SELECT oid FROM oids WHERE cloid = ? ORDER BY oid", (cloid,))
        ]

    def filled_of(self, oid: int) -> Decimal:
        """Return how much of a number the fills add up to, in coins."""
        return sum(
            (Decimal(row["sz"]) for row in self._store.read("SELECT sz FROM fills WHERE oid = ?", (oid,))), _NOTHING
        )

    def orders(self, *, live_only: bool = False) -> list[OrderRecord]:
        """Return orders in the sequence in which they were written down."""
        states = ", ".join(f"'{state}'" for state in sorted(LIVE))
        condition = f"WHERE state IN ({states})" if live_only else ""
        rows = self._store.read(f"SELECT * FROM orders {condition} ORDER BY created_ms, rowid")
        return [self._record(row) for row in rows]

    # fills

    def add_fills(self, fills: Sequence[Fill]) -> list[Fill]:
        """Keep fills; return those that are new. Each belongs to an order by its cloid, or by its number.

        Those up to the baseline are in it already, unless they are of orders that came after it, if only in the same
        millisecond. A late one of an order that came before is taken out of the baseline.
        """

        def work() -> list[Fill]:
            baseline_ms = self.baseline_ms()
            return [kept for fill in fills if (kept := self._keep(fill, baseline_ms)) is not None]

        return self._store.write(work)

    def fills(self) -> list[Fill]:
        """Return all fills, by time."""
        return [fill_of(row) for row in self._store.read("SELECT * FROM fills ORDER BY time_ms, tid, oid")]

    def last_fill_ms(self) -> int | None:
        """Return the time of the newest fill."""
        newest = self._store.read("SELECT MAX(time_ms) AS newest FROM fills")[0]["newest"]
        return None if newest is None else int(newest)

    def fills_after(self, place: int) -> list[tuple[int, Fill]]:
        """Return the fills that were written down after a place, and their places, in the order of writing."""
        rows = self._store.read("SELECT rowid AS place, * FROM fills WHERE rowid > ? ORDER BY rowid", (place,))
        return [(int(row["place"]), fill_of(row)) for row in rows]

    def ends_after(self, place: int) -> list[tuple[int, str]]:
        """Return the orders that came to an end after a place of the journal, by cloid, and the places."""
        live = ", ".join(f"'{state}'" for state in sorted(LIVE))
        rows = self._store.read(
            f"SELECT rowid AS place, cloid FROM moves WHERE rowid > ? AND before IN ({live}) AND after NOT IN ({live}) "
            "ORDER BY rowid",
            (place,),
        )
        return [(int(row["place"]), str(row["cloid"])) for row in rows]

    def places(self) -> tuple[int, int]:
        """Return the places of the newest fill and of the newest move of an order; 0 where there is none."""
        return (
            int(self._store.read("SELECT IFNULL(MAX(rowid), 0) AS place FROM fills")[0]["place"]),
            int(self._store.read("SELECT IFNULL(MAX(rowid), 0) AS place FROM moves")[0]["place"]),
        )

    def take_foreign_fills(self) -> list[Fill]:
        """Return the fills of no order of this journal that have not been returned before."""

        def work() -> list[Fill]:
            after = int(self._store.fact("foreign_rowid") or 0)
            rows = self._store.read(
                "SELECT rowid AS place, * FROM fills WHERE rowid > ? AND (cloid IS NULL OR cloid NOT IN "
                "(SELECT cloid FROM orders)) ORDER BY rowid",
                (after,),
            )
            if rows:
                self._store.set_fact("foreign_rowid", str(rows[-1]["place"]))
            return [fill_of(row) for row in rows]

        return self._store.write(work)

    # positions

    def set_baseline(self, positions: Sequence[Position], at_ms: int) -> None:
        """Take over what was held besides the fills that are kept, at a time of the venue; it is done once."""

        def work() -> None:
            if self.baseline_ms() is not None:
                return
            held = defaultdict(Decimal, {position.coin: position.szi for position in positions})
            for row in self._store.read("SELECT coin, is_buy, sz FROM fills WHERE time_ms <= ?", (at_ms,)):
                held[row["coin"]] -= signed_size(row)
            newest = self._store.read("SELECT MAX(rowid) AS newest FROM orders")[0]["newest"]
            self._store.set_fact("baseline_ms", str(at_ms))
            self._store.set_fact("baseline_order", str(newest or 0))
            for coin, szi in held.items():
                if is_perpetual_name(coin):
                    self._store.execute("INSERT INTO baseline VALUES (?, ?)", (coin, str(szi)))

        self._store.write(work)

    def baseline_ms(self) -> int | None:
        """Return when the baseline was taken, by the venue's time."""
        value = self._store.fact("baseline_ms")
        return None if value is None else int(value)

    def positions(self) -> dict[str, Decimal]:
        """Return what is held of perpetuals by our books, baseline and fills: signed coins, without zeros."""
        held = defaultdict(Decimal, self._net(is_perpetual_name))
        for row in self._store.read("SELECT coin, szi FROM baseline"):
            held[row["coin"]] += Decimal(row["szi"])
        return {coin: szi for coin, szi in sorted(held.items()) if szi}

    def spot_sizes(self) -> dict[str, Decimal]:
        """Return what fills of everything but perpetuals add up to, by pair, in signed coins of its base."""
        return {coin: szi for coin, szi in self._net(lambda coin: not is_perpetual_name(coin)).items() if szi}

    # whether it knows all orders

    @property
    def is_complete(self) -> bool:
        """Whether every order of ours that the venue ever had is in here."""
        return self._store.fact("is_complete") == "yes"

    def set_complete(self, is_complete: bool) -> None:
        """Say whether it is; what was once incomplete stays so."""

        def work() -> None:
            if self._store.fact("is_complete") != "no":
                self._store.set_fact("is_complete", "yes" if is_complete else "no")

        self._store.write(work)

    def _net(self, is_meant: Callable[[str], bool]) -> dict[str, Decimal]:
        held: defaultdict[str, Decimal] = defaultdict(Decimal)
        for row in self._store.read("SELECT coin, is_buy, sz FROM fills"):
            if is_meant(row["coin"]):
                held[row["coin"]] += signed_size(row)
        return dict(sorted(held.items()))

    def _keep(self, fill: Fill, baseline_ms: int | None) -> Fill | None:
        cloid = fill.cloid or self.owner(fill.oid)
        place = None if cloid is None else self._place(cloid)
        is_early = baseline_ms is not None and fill.time_ms <= baseline_ms
        if is_early and place is None:
            return None
        if place is not None and cloid is not None:
            self._bind(fill.oid, cloid, None, _NOTHING)
        done = self._store.execute(
            "INSERT OR IGNORE INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                fill.tid,
                fill.oid,
                cloid,
                fill.coin,
                fill.is_buy,
                str(fill.px),
                str(fill.sz),
                fill.time_ms,
                str(fill.fee),
                fill.fee_token,
                str(fill.closed_pnl),
                fill.crossed,
                fill.is_liquidation,
                fill.liquidation_method,
            ),
        )
        if not done.rowcount:
            return None
        self.money.note_early(fill, place)
        if is_early and place is not None and place <= int(self._store.fact("baseline_order") or 0):
            self._take_from_baseline(fill)
        return replace(fill, cloid=cloid)

    def _take_from_baseline(self, fill: Fill) -> None:
        rows = self._store.read("SELECT szi FROM baseline WHERE coin = ?", (fill.coin,))
        before = Decimal(rows[0]["szi"]) if rows else _NOTHING
        after = before - (fill.sz if fill.is_buy else -fill.sz)
        self._store.execute("INSERT OR REPLACE INTO baseline VALUES (?, ?)", (fill.coin, str(after)))

    def _place(self, cloid: str) -> int | None:
        rows = self._store.read("SELECT rowid AS place FROM orders WHERE cloid = ?", (cloid,))
        return int(rows[0]["place"]) if rows else None

    def _insert(self, order: NewOrder, decision_id: str, at_ms: int) -> None:
        trigger = order.trigger
        try:
            self._store.execute(
                "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'sending', NULL, '', ?, ?)",
                (
                    order.cloid,
                    decision_id,
                    order.coin,
                    order.is_buy,
                    str(order.px),
                    str(order.sz),
                    order.tif,
                    order.reduce_only,
                    None if trigger is None else str(trigger.px),
                    None if trigger is None else trigger.tpsl,
                    None if trigger is None else trigger.is_market,
                    at_ms,
                    at_ms,
                ),
            )
        except sqlite3.IntegrityError:
            raise IntegrityError("this order has been written down before", where=f"journal, {order.cloid}") from None

    def _begin(
        self,
        nonce: int,
        signer: str,
        kind: Kind,
        cloids: Sequence[str],
        changes: Mapping[str, Change] | None = None,
        text: str = "",
    ) -> None:
        said = {
            cloid: [str(change.px), str(change.sz), str(change.left_sz)] for cloid, change in (changes or {}).items()
        }
        self._store.execute(
            "INSERT INTO actions VALUES (?, ?, ?, ?, ?, 0, ?)",
            (nonce, signer, kind, json.dumps(list(cloids)), json.dumps(said), text),
        )

    def _bind(self, oid: int, cloid: str, sz: Decimal | None, said_filled: Decimal) -> None:
        rows = self._store.read("SELECT sz, said_filled FROM oids WHERE oid = ?", (oid,))
        if not rows:
            sz = self._expected_size(oid, cloid) if sz is None else sz
        elif rows[0]["sz"] is not None:
            sz = Decimal(rows[0]["sz"])
        said = max(said_filled, Decimal(rows[0]["said_filled"])) if rows else said_filled
        self._store.execute(
            "INSERT OR REPLACE INTO oids VALUES (?, ?, ?, ?)", (oid, cloid, None if sz is None else str(sz), str(said))
        )
        self._store.execute("UPDATE fills SET cloid = ? WHERE oid = ? AND cloid IS NULL", (cloid, oid))

    def _expected_size(self, oid: int, cloid: str) -> Decimal | None:
        """Return the size under a number that shows itself before the answer that names it; None: nobody knows."""
        known = self.numbers(cloid)
        if not known:
            return Decimal(self._store.read("SELECT sz FROM orders WHERE cloid = ?", (cloid,))[0]["sz"])
        changes = [action.changes[cloid] for action in self.unsettled(cloid) if action.kind == "amend"]
        return changes[-1].left_sz if changes and oid > known[-1] else None

    def _filled(self, cloid: str) -> defaultdict[int, Decimal]:
        """Return the sum of an order's fills by number."""
        filled: defaultdict[int, Decimal] = defaultdict(Decimal)
        for row in self._store.read("SELECT oid, sz FROM fills WHERE cloid = ?", (cloid,)):
            filled[row["oid"]] += Decimal(row["sz"])
        return filled

    def _record(self, row: sqlite3.Row) -> OrderRecord:
        trigger = None
        if row["trigger_px"] is not None:
            opens = not row["reduce_only"]
            trigger = Trigger(Decimal(row["trigger_px"]), row["tpsl"], bool(row["trigger_is_market"]), opens)
        order = NewOrder(
            cloid=row["cloid"],
            coin=row["coin"],
            is_buy=bool(row["is_buy"]),
            px=Decimal(row["px"]),
            sz=Decimal(row["sz"]),
            tif=row["tif"],
            reduce_only=bool(row["reduce_only"]),
            trigger=trigger,
        )
        filled = self._filled(order.cloid)
        numbers = self._store.read("SELECT oid, said_filled FROM oids WHERE cloid = ?", (order.cloid,))
        missing = sum((max(Decimal(each["said_filled"]) - filled[each["oid"]], _NOTHING) for each in numbers), _NOTHING)
        known = sum(filled.values(), _NOTHING) + missing
        return OrderRecord(order, row["decision_id"], row["state"], row["oid"], known, missing, row["text"])
