"""What we did and what we know, on disk before it is done: orders, actions, fills. SQLite, one writing process.

An action is written with its nonce and its orders before it is sent, so that after a crash at any instruction it is
known what may be on its way. Fills are kept once each, by (`tid`, `oid`); positions are their sum.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from quant_organism.errors import IntegrityError
from quant_organism.trading.orders.states import LIVE, ActionRecord, Event, Kind, OrderRecord, next_state
from quant_organism.venue import Fill, NewOrder, Position, Trigger

SCHEMA_VERSION: Final = 2

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    cloid TEXT PRIMARY KEY, decision_id TEXT NOT NULL, coin TEXT NOT NULL, is_buy INTEGER NOT NULL,
    px TEXT NOT NULL, sz TEXT NOT NULL, tif TEXT NOT NULL, reduce_only INTEGER NOT NULL,
    trigger_px TEXT, tpsl TEXT, trigger_is_market INTEGER,
    state TEXT NOT NULL, oid INTEGER, text TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_state ON orders (state);
CREATE TABLE IF NOT EXISTS oids (oid INTEGER PRIMARY KEY, cloid TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS actions (
    nonce INTEGER PRIMARY KEY, signer TEXT NOT NULL, kind TEXT NOT NULL, cloids TEXT NOT NULL, changes TEXT NOT NULL,
    is_settled INTEGER NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS actions_open ON actions (is_settled) WHERE is_settled = 0;
CREATE TABLE IF NOT EXISTS fills (
    tid INTEGER NOT NULL, oid INTEGER NOT NULL, cloid TEXT, coin TEXT NOT NULL, is_buy INTEGER NOT NULL,
    px TEXT NOT NULL, sz TEXT NOT NULL, time_ms INTEGER NOT NULL, fee TEXT NOT NULL, fee_token TEXT NOT NULL,
    closed_pnl TEXT NOT NULL, crossed INTEGER NOT NULL, is_liquidation INTEGER NOT NULL,
    PRIMARY KEY (tid, oid)
) STRICT;
CREATE INDEX IF NOT EXISTS fills_by_oid ON fills (oid);
CREATE INDEX IF NOT EXISTS fills_by_cloid ON fills (cloid);
CREATE TABLE IF NOT EXISTS baseline (coin TEXT PRIMARY KEY, szi TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS moves (
    at_ms INTEGER NOT NULL, cloid TEXT NOT NULL, before TEXT NOT NULL, event TEXT NOT NULL, after TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
"""


class Journal:
    """The journal of one account.

    Parameters
    ----------
    path
        SQLite file; made if it is not there.
    account
        Network and address, so that no other account's orders are taken for ours.

    Raises
    ------
    IntegrityError
        It belongs to another account, is of another version, or is no journal.
    """

    def __init__(self, path: Path, account: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30.0)
        self._db.row_factory = sqlite3.Row
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # a power cut forgets nothing that was sent
            self._db.executescript(_SCHEMA)
            facts = dict(self._db.execute("SELECT name, value FROM facts").fetchall())
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise IntegrityError(f"not a journal: {error}", where=str(path), remedy="move the file away") from None
        expected = {"account": account, "schema_version": str(SCHEMA_VERSION)}
        if not facts:
            with self._transaction():
                self._db.executemany("INSERT INTO facts VALUES (?, ?)", sorted(expected.items()))
        elif any(facts.get(name) != value for name, value in expected.items()):
            self._db.close()
            raise IntegrityError(f"it holds {facts}, not {expected}", where=str(path), remedy="name another journal")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # actions

    def begin_placing(self, orders: Sequence[NewOrder], decision_id: str, nonce: int, signer: str, at_ms: int) -> None:
        """Write down orders that are about to be sent.

        Raises
        ------
        IntegrityError
            One of them has been written down before.
        """
        with self._transaction():
            for order in orders:
                trigger = order.trigger
                try:
                    self._db.execute(
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
                    raise IntegrityError(
                        "this order has been written down before", where=f"journal, {order.cloid}"
                    ) from None
            self._begin(nonce, signer, "place", [order.cloid for order in orders])

    def begin_amending(self, order: NewOrder, nonce: int, signer: str) -> None:
        """Write down an amendment that is about to be sent."""
        with self._transaction():
            self._begin(nonce, signer, "amend", [order.cloid], {order.cloid: (str(order.px), str(order.sz))})

    def begin_canceling(self, cloids: Sequence[str], nonce: int, signer: str) -> None:
        """Write down cancels that are about to be sent."""
        with self._transaction():
            self._begin(nonce, signer, "cancel", cloids)

    def settle(self, nonce: int, text: str) -> None:
        """Write down that it is known what became of an action."""
        with self._transaction():
            self._db.execute("UPDATE actions SET is_settled = 1, text = ? WHERE nonce = ?", (text[:300], nonce))

    def unsettled(self, cloid: str | None = None) -> list[ActionRecord]:
        """Return the actions of which it is not known what became of them, oldest first; all, or those of an order."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM actions WHERE is_settled = 0 ORDER BY nonce").fetchall()
        actions = [_action(row) for row in rows]
        return [action for action in actions if cloid is None or cloid in action.cloids]

    # orders

    def move(self, cloid: str, event: Event, at_ms: int, *, oid: int | None = None, text: str = "") -> OrderRecord:
        """Move an order by what was heard of it.

        Parameters
        ----------
        cloid, event
            Which, and what.
        at_ms
            When.
        oid
            The venue's number, where it was named; older ones are remembered, but the newest counts.
        text
            What the venue said.
        """
        with self._transaction():
            before = self.order(cloid)
            after = next_state(before.state, event)
            if oid is not None:
                self._bind(oid, cloid)
            newest = oid if before.oid is None or (oid is not None and oid > before.oid) else before.oid
            if (after, newest) != (before.state, before.oid):
                self._db.execute(
                    "INSERT INTO moves VALUES (?, ?, ?, ?, ?, ?)",
                    (at_ms, cloid, before.state, event, after, text[:300]),
                )
                self._db.execute(
                    "UPDATE orders SET state = ?, oid = ?, text = ?, updated_ms = ? WHERE cloid = ?",
                    (after, newest, text[:300] or before.text, at_ms, cloid),
                )
            return self.order(cloid)

    def amended(self, cloid: str, px: Decimal, sz: Decimal) -> None:
        """Take over the price and size that an order has now."""
        with self._transaction():
            self._db.execute("UPDATE orders SET px = ?, sz = ? WHERE cloid = ?", (str(px), str(sz), cloid))

    def find(self, cloid: str) -> OrderRecord | None:
        """Return an order, or None where it was never written down."""
        with self._lock:
            row = self._db.execute("SELECT * FROM orders WHERE cloid = ?", (cloid,)).fetchone()
            return None if row is None else self._record(row)

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
        with self._lock:
            row = self._db.execute("SELECT cloid FROM oids WHERE oid = ?", (oid,)).fetchone()
        return None if row is None else str(row["cloid"])

    def orders(self, *, live_only: bool = False) -> list[OrderRecord]:
        """Return orders in the sequence in which they were written down."""
        states = ", ".join(f"'{state}'" for state in sorted(LIVE))
        condition = f"WHERE state IN ({states})" if live_only else ""
        with self._lock:
            rows = self._db.execute(f"SELECT * FROM orders {condition} ORDER BY created_ms, rowid").fetchall()
            return [self._record(row) for row in rows]

    # fills

    def add_fills(self, fills: Sequence[Fill]) -> list[Fill]:
        """Keep fills; return those that are new. Each belongs to an order by its cloid, or by its number.

        Those up to the baseline are in it already, unless they are of our orders: those came later, if only in the same
        millisecond.
        """
        new: list[Fill] = []
        with self._transaction():
            baseline_ms = self.baseline_ms()
            for fill in fills:
                cloid = fill.cloid or self.owner(fill.oid)
                is_early = baseline_ms is not None and fill.time_ms <= baseline_ms
                if is_early and (cloid is None or self.find(cloid) is None):
                    continue
                done = self._db.execute(
                    "INSERT OR IGNORE INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                    ),
                )
                if done.rowcount:
                    new.append(replace(fill, cloid=cloid))
        return new

    def fills(self) -> list[Fill]:
        """Return all fills, by time."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM fills ORDER BY time_ms, tid, oid").fetchall()
        return [_fill(row) for row in rows]

    def last_fill_ms(self) -> int | None:
        """Return the time of the newest fill."""
        with self._lock:
            newest = self._db.execute("SELECT MAX(time_ms) AS newest FROM fills").fetchone()["newest"]
        return None if newest is None else int(newest)

    # positions

    def set_baseline(self, positions: Sequence[Position], at_ms: int) -> None:
        """Take over what was held before the first order, at a time of the venue; later calls change nothing."""
        with self._transaction():
            done = self._db.execute("INSERT OR IGNORE INTO facts VALUES ('baseline_ms', ?)", (str(at_ms),))
            if done.rowcount:
                self._db.executemany(
                    "INSERT INTO baseline VALUES (?, ?)", [(item.coin, str(item.szi)) for item in positions]
                )

    def baseline_ms(self) -> int | None:
        """Return when the baseline was taken, by the venue's time."""
        with self._lock:
            row = self._db.execute("SELECT value FROM facts WHERE name = 'baseline_ms'").fetchone()
        return None if row is None else int(row["value"])

    def positions(self) -> dict[str, Decimal]:
        """Return what is held by our books: the baseline and every fill since, in signed coins, without zeros."""
        with self._lock:
            held = {row["coin"]: Decimal(row["szi"]) for row in self._db.execute("SELECT * FROM baseline")}
            for row in self._db.execute("SELECT coin, is_buy, sz FROM fills"):
                signed = Decimal(row["sz"]) if row["is_buy"] else -Decimal(row["sz"])
                held[row["coin"]] = held.get(row["coin"], Decimal(0)) + signed
        return {coin: szi for coin, szi in sorted(held.items()) if szi}

    def _begin(
        self,
        nonce: int,
        signer: str,
        kind: Kind,
        cloids: Sequence[str],
        changes: dict[str, tuple[str, str]] | None = None,
    ) -> None:
        self._db.execute(
            "INSERT INTO actions VALUES (?, ?, ?, ?, ?, 0, '')",
            (nonce, signer, kind, json.dumps(list(cloids)), json.dumps(changes or {})),
        )

    def _bind(self, oid: int, cloid: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO oids VALUES (?, ?)", (oid, cloid))
        self._db.execute("UPDATE fills SET cloid = ? WHERE oid = ? AND cloid IS NULL", (cloid, oid))

    def _record(self, row: sqlite3.Row) -> OrderRecord:
        sizes = self._db.execute("SELECT sz FROM fills WHERE cloid = ?", (row["cloid"],))
        trigger = None
        if row["trigger_px"] is not None:
            trigger = Trigger(Decimal(row["trigger_px"]), row["tpsl"], bool(row["trigger_is_market"]))
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
        filled = sum((Decimal(size["sz"]) for size in sizes), Decimal(0))
        return OrderRecord(order, row["decision_id"], row["state"], row["oid"], filled, row["text"])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _action(row: sqlite3.Row) -> ActionRecord:
    changes: dict[str, Any] = json.loads(row["changes"])
    return ActionRecord(
        nonce=row["nonce"],
        signer=row["signer"],
        kind=row["kind"],
        cloids=tuple(json.loads(row["cloids"])),
        changes={cloid: (Decimal(px), Decimal(sz)) for cloid, (px, sz) in changes.items()},
    )


def _fill(row: sqlite3.Row) -> Fill:
    return Fill(
        coin=row["coin"],
        is_buy=bool(row["is_buy"]),
        px=Decimal(row["px"]),
        sz=Decimal(row["sz"]),
        time_ms=row["time_ms"],
        oid=row["oid"],
        tid=row["tid"],
        cloid=row["cloid"],
        fee=Decimal(row["fee"]),
        fee_token=row["fee_token"],
        closed_pnl=Decimal(row["closed_pnl"]),
        crossed=bool(row["crossed"]),
        is_liquidation=bool(row["is_liquidation"]),
    )
