"""The ledger for those who look: a reader that never holds up the trader, and what can be rebuilt from the facts.

`quant-organism trade status`, the dashboard, the export into the lake and reports read through this. Nothing is kept
between two questions: each sees what the last whole close has left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from quant_organism.backtest.account import AccountBook
from quant_organism.errors import InputError, IntegrityError
from quant_organism.trading.ledger import SCHEMA_VERSION, UPGRADES, columns, of_row, selection, unpacked
from quant_organism.trading.records import (
    LedgerBreaker,
    LedgerEquity,
    LedgerFill,
    LedgerFlow,
    LedgerPlan,
    LedgerProfit,
    LedgerRecord,
    LedgerSession,
    LedgerSessionEnd,
)
from quant_organism.trading.store import is_newer

R = TypeVar("R", bound=LedgerRecord)
MICRO_USD: Final = 1_000_000
_PATIENCE_S: Final = 5.0


@dataclass(frozen=True)
class HeldPosition:
    """A position of an account, rebuilt from its fills.

    Parameters
    ----------
    symbol, lots, size
        Negative when short; size in units of the asset.
    cost_usd
        Paid for it since it was last flat, negative when short: notional without fees.
    """

    symbol: str
    lots: int
    size: float
    cost_usd: float

    @property
    def entry_price(self) -> float:
        """Mean price of the position, USD."""
        return self.cost_usd / self.size


@dataclass(frozen=True)
class TraderStatus:
    """Where a trader stands at its last whole close.

    Parameters
    ----------
    session
        The session that is shown.
    is_ended
        Whether it ended in order at its last close; a trader that was killed shows as one that runs, with an old close.
    close_ms
        The last close, none before the first.
    plan, equity
        Of the account, none before the first.
    positions, profits, breakers
        Held; what each strategy has earned; the latest state of each breaker.
    decisions, orders, fills
        How many there were in the session.
    h2
        Digest of the order lines so far; empty before the first order.
    frozen
        Symbols that were traded by hand, until a person says what becomes of them (`releases`).
    """

    session: LedgerSession
    is_ended: bool
    close_ms: int | None
    plan: LedgerPlan | None
    equity: LedgerEquity | None
    positions: tuple[HeldPosition, ...]
    profits: tuple[LedgerProfit, ...]
    breakers: tuple[LedgerBreaker, ...]
    decisions: int
    orders: int
    fills: int
    h2: str
    frozen: tuple[str, ...]


class LedgerReader:
    """The ledger, opened to be read; any number of processes may, while one writes.

    Parameters
    ----------
    path
        As `ledger_path` says.

    Raises
    ------
    InputError
        There is none yet.
    IntegrityError
        It is no ledger, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise _nothing_yet(path)
        self._db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S, isolation_level=None
        )
        try:
            has_tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
            facts = dict(self._db.execute("SELECT name, value FROM facts").fetchall()) if has_tables else {}
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise _damaged(path, error) from error
        if not has_tables:  # it is just being made
            self._db.close()
            raise _nothing_yet(path)
        known = {"kind": "trader", "schema_version": str(SCHEMA_VERSION)}
        if any(facts.get(name) != value for name, value in known.items()):
            self._db.close()
            remedy = "read it with the program that wrote it"
            if facts.get("kind") == "trader" and facts.get("schema_version") in UPGRADES:
                remedy = "the next session of `quant-organism trade` brings it up to date"
            raise IntegrityError(
                f"it was written by a newer version of quant-organism (schema version {facts['schema_version']}, this "
                f"one reads {SCHEMA_VERSION})"
                if is_newer(facts, known)
                else f"it holds {facts}, expected a trader's ledger of version {SCHEMA_VERSION}",
                where=str(path),
                remedy=remedy,
            )

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _ask(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise _damaged(self.path, error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have all questions asked within see the same close; do not stay long, or the file grows meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def read(self, kind: type[R], *, latest: int | None = None, **equals: object) -> list[R]:
        """Return records in the order in which they were written.

        Parameters
        ----------
        kind
            The table.
        latest
            At most so many, the newest; none: all.
        equals
            Values of columns.
        """
        statement, values = selection(kind, equals)
        if latest is not None:
            statement, values = f"{statement} DESC LIMIT ?", [*values, latest]
        found = [of_row(kind, row) for row in self._ask(statement, values)]
        return found if latest is None else found[::-1]

    def after(self, kind: type[R], place: int, *, limit: int = 1_000) -> tuple[list[R], int]:
        """Return the records of a table that came after a place, and the place to ask from next time; 0: the first."""
        statement = f"SELECT rowid, {', '.join(columns(kind))} FROM {kind.table} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        rows = self._ask(statement, (place, limit))
        return [of_row(kind, row[1:]) for row in rows], rows[-1][0] if rows else place

    def account(self, name: str) -> AccountBook | None:
        """Return the whole state of an account at the last close, or none."""
        rows = self._ask("SELECT state FROM states WHERE name = ?", (name,))
        return AccountBook.from_dict(unpacked(rows[0][0], name, self.path)) if rows else None

    def session(self, number: int | None = None) -> LedgerSession:
        """Return a session, the latest by default.

        Raises
        ------
        InputError
            There is none.
        """
        found = self.read(LedgerSession, latest=1, **({} if number is None else {"session": number}))
        if not found:
            raise InputError(f"there is no session {number or ''}".rstrip(), where=str(self.path))
        return found[0]

    def equity_curve(self, account: str) -> list[LedgerEquity]:
        """Return an account at each of its closes, over all sessions."""
        return self.read(LedgerEquity, account=account)

    def positions(self, account: str) -> tuple[HeldPosition, ...]:
        """Return what an account holds, rebuilt from all of its fills, by symbol."""
        return held_positions(self.read(LedgerFill, account=account))

    def cash(self, account: str) -> int:
        """Return an account's cash, rebuilt from its fills and flows, micro-USD."""
        traded = sum(
            -fill.fee - (fill.notional if fill.lots > 0 else -fill.notional)
            for fill in self.read(LedgerFill, account=account)
        )
        return traded + sum(flow.amount for flow in self.read(LedgerFlow, account=account))

    def profits(self, account: str) -> tuple[LedgerProfit, ...]:
        """Return the latest profit of each strategy of an account."""
        return self._newest(LedgerProfit, "strategy", "account = ?", account)

    def breakers(self, session: int) -> tuple[LedgerBreaker, ...]:
        """Return the latest state of each breaker of a session."""
        return self._newest(LedgerBreaker, "name", "session = ?", session)

    def decided(self, session: int) -> dict[tuple[str, bool], int]:
        """Return how many decisions of each strategy that trades every step let pass, and how many not."""
        statement = (
            "SELECT strategy, is_allowed, count(*) FROM decisions WHERE session = ? AND role = 'trades' "
            "GROUP BY strategy, is_allowed ORDER BY strategy, is_allowed"
        )
        return {(name, bool(passed)): int(n) for name, passed, n in self._ask(statement, (session,))}

    def ordered(self, session: int, account: str) -> dict[str, int]:
        """Return how many orders of each kind were sent or set."""
        statement = (
            "SELECT kind, count(*) FROM orders WHERE session = ? AND account = ? AND lots != 0 "
            "GROUP BY kind ORDER BY kind"
        )
        return {kind: int(n) for kind, n in self._ask(statement, (session, account))}

    def status(self, session: int | None = None) -> TraderStatus:
        """Return where a session stands, the latest by default.

        Raises
        ------
        InputError
            There is none.
        """
        with self.snapshot():
            shown = self.session(session)
            number, account = shown.session, shown.account
            plans = self.read(LedgerPlan, latest=1, session=number, account=account)
            equity = self.read(LedgerEquity, latest=1, session=number, account=account)
            last, state = equity[0].close_ms if equity else None, self.account(account)
            return TraderStatus(
                session=shown,
                is_ended=bool(self.read(LedgerSessionEnd, session=number, last_close_ms=last)),
                close_ms=last,
                plan=plans[0] if plans else None,
                equity=equity[0] if equity else None,
                positions=self.positions(account),
                profits=self.profits(account),
                breakers=self.breakers(number),
                decisions=self._count("decisions WHERE session = ? AND role = 'trades'", number),
                orders=self._count("orders WHERE session = ? AND account = ? AND lots != 0", number, account),
                fills=self._count("fills WHERE session = ? AND account = ?", number, account),
                h2="" if state is None else state.h2,
                frozen=() if state is None else tuple(sorted(state.frozen)),
            )

    def _newest(self, kind: type[R], of_each: str, where: str, *values: object) -> tuple[R, ...]:
        newest = f"SELECT max(rowid) FROM {kind.table} WHERE {where} GROUP BY {of_each}"
        statement = f"SELECT {', '.join(columns(kind))} FROM {kind.table} WHERE rowid IN ({newest}) ORDER BY {of_each}"
        return tuple(of_row(kind, row) for row in self._ask(statement, values))

    def _count(self, of: str, *values: object) -> int:
        return int(self._ask(f"SELECT count(*) FROM {of}", values)[0][0])


def held_positions(fills: Iterable[LedgerFill]) -> tuple[HeldPosition, ...]:
    """Return what all fills of an account, oldest first, have left it with, by symbol."""
    lots: dict[str, int] = {}
    sizes: dict[str, float] = {}
    costs: dict[str, float] = {}
    for fill in fills:
        symbol, before = fill.symbol, lots.get(fill.symbol, 0)
        after = before + fill.lots
        lots[symbol], sizes[symbol] = after, after * abs(fill.size / fill.lots)
        paid = fill.notional / MICRO_USD * (1 if fill.lots > 0 else -1)
        if before * after <= 0:  # closed, or turned around: what is left was bought by this fill
            costs[symbol] = paid * (after / fill.lots)
        elif abs(after) < abs(before):
            costs[symbol] *= after / before
        else:
            costs[symbol] = costs.get(symbol, 0.0) + paid
    return tuple(HeldPosition(name, lots[name], sizes[name], costs[name]) for name in sorted(lots) if lots[name])


def _damaged(path: Path, error: sqlite3.DatabaseError) -> IntegrityError:
    return IntegrityError(
        f"not a ledger, or a damaged one: {error}",
        where=str(path),
        remedy="see what else is damaged, and what to do: quant-organism doctor",
    )


def _nothing_yet(path: Path) -> InputError:
    return InputError(
        "there is no ledger: nothing has traded yet",
        where=str(path),
        remedy="start with: quant-organism trade --mode paper, or make trade",
    )
