"""The parts whose health is measured, one by one: what was measured, how old that is, and what to do.

Nothing is taken for granted. What should be known and is not is `unknown`, and counts as ill; what was never put to use
is `unused`, and does not count.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import orjson
import polars as pl

from quant_organism.deployment import StrategyRepository
from quant_organism.errors import QuantOrganismError
from quant_organism.market import CycleIndex, Interval, Lake
from quant_organism.market.tables import CandleQualityTable
from quant_organism.resilience import contents_of, written_at
from quant_organism.trading import LedgerReader, LedgerReading, TraderStatus, ledger_path
from quant_organism.trading.breakers import CLOCK_SKEW, LINES, LIQUIDATION, REJECTIONS, STALE_DATA
from quant_organism.trading.kill import flag_raised, kill_file
from quant_organism.workflows import WorkflowRunTable, stored_workflows

Status = Literal["ok", "degraded", "failed", "unknown", "unused"]

LEAST_FREE_BYTES: Final = 1_000_000_000
WANTED_FREE_BYTES: Final = 5_000_000_000
_LATE_S: Final = 300.0
"""A close that is so much late is missed: longer than the slowest."""
_CYCLE_DAYS: Final = 8
"""Once an ISO week begins a cycle; a day more is the night in which it runs."""
_MS_PER_S: Final = 1_000
_ENDED: Final = "its session ended in order"


@dataclass(frozen=True)
class ComponentHealth:
    """How one component is.

    Attributes
    ----------
    component
        Its name.
    status
        `ok`; `degraded`: works, and somebody should look; `failed`; `unknown`: it should be known, and is not;
        `unused`: never put to use, or ended on purpose.
    found
        What was found, in words.
    value, unit
        What was measured, none where nothing was.
    age_s
        How old that is, seconds; none where nothing was measured.
    remedy
        What to do; empty when nothing is to be done.
    run
        Correlation id of the run that it is about, of a cycle or of a workflow; empty when it is about none.
    """

    component: str
    status: Status
    found: str
    value: float | None = None
    unit: str = ""
    age_s: float | None = None
    remedy: str = ""
    run: str = ""


def trader_health(data_dir: Path, now_ms: int) -> list[ComponentHealth]:
    """Return feed, venue, ledger, risk and clock of the trader of live bars, read from what it left at rest.

    Parameters
    ----------
    data_dir
        The data folder.
    now_ms
        UTC milliseconds.
    """
    path, names = ledger_path(data_dir, "paper"), ("feed", "venue", "ledger", "risk", "clock")
    if not path.exists():
        if any(path.parent.glob("orders-*.sqlite")):
            return [_without_ledger(name, path) for name in names]
        return [ComponentHealth(name, "unused", "nothing has traded here") for name in names]
    try:
        reader = LedgerReader(path)
    except QuantOrganismError as error:
        found = [ComponentHealth(name, "unknown", "the ledger cannot be read") for name in names if name != "ledger"]
        return [ComponentHealth("ledger", "failed", error.what, remedy=error.remedy or ""), *found]
    try:
        with_ledger = _TraderAtRest(reader, reader.status(), now_ms)
        return [
            with_ledger.feed(),
            with_ledger.venue(),
            with_ledger.ledger(),
            with_ledger.risk(kill_file(data_dir)),
            with_ledger.clock(),
        ]
    except QuantOrganismError as error:
        return [ComponentHealth(name, "unknown", error.what, remedy=error.remedy or "") for name in names]
    except sqlite3.DatabaseError as error:
        found = [ComponentHealth(name, "unknown", "the ledger cannot be read") for name in names if name != "ledger"]
        remedy = "stop the trader, keep a copy of the ledger, and see what is damaged: quant-organism doctor"
        return [ComponentHealth("ledger", "failed", f"{path}: {error}", remedy=remedy), *found]
    finally:
        reader.close()


def open_breakers(data_dir: Path) -> list[str]:
    """Return the names of the trader's breakers that are open; none where no ledger can be read or it has ended."""
    try:
        reader = LedgerReader(ledger_path(data_dir, "paper"))
    except QuantOrganismError:
        return []
    try:
        status = reader.status()
        return [] if status.is_ended else [one.name for one in status.breakers if one.state == "open"]
    except (QuantOrganismError, sqlite3.DatabaseError):
        return []
    finally:
        reader.close()


def _without_ledger(name: str, path: Path) -> ComponentHealth:
    return ComponentHealth(
        name, "unknown", f"orders were sent, and there is no ledger at {path}", remedy="bring it back from a backup"
    )


class _TraderAtRest:
    """A trader by its ledger, at some time."""

    def __init__(self, reader: LedgerReader, status: TraderStatus, now_ms: int) -> None:
        self._reader, self._status = reader, status
        close_ms = status.session.first_close_ms if status.close_ms is None else status.close_ms
        self._age_s = (now_ms - close_ms) / _MS_PER_S
        self._bar_s = Interval.parse(status.session.interval).milliseconds / _MS_PER_S
        self._open = {one.name: one for one in status.breakers if one.state != "closed"}
        read = reader.read(LedgerReading, latest=1, session=status.session.session, account=status.session.account)
        self._read = read[0] if read else None

    @property
    def _is_late(self) -> bool:
        return self._age_s > self._bar_s + _LATE_S

    def feed(self) -> ComponentHealth:
        if self._status.is_ended:
            if self._status.session.mode in ("testnet", "mainnet") and self._status.positions:
                return self._of(
                    "feed",
                    "degraded",
                    f"{_ENDED}, and {len(self._status.positions)} positions are held that nobody minds",
                    remedy="go on with the same `quant-organism trade` command, or close them: "
                    "quant-organism trade kill",
                )
            return self._of("feed", "unused", _ENDED)
        bars = self._age_s / self._bar_s
        status: Status = "failed" if bars >= STALE_DATA.bound else "degraded" if self._is_late else "ok"
        return self._of(
            "feed",
            status,
            f"the last close is {age(self._age_s)} old",
            bars,
            "bars",
            "" if status == "ok" else "look at the trader's log; the same `quant-organism trade` command goes on",
        )

    def venue(self) -> ComponentHealth:
        if self._status.is_ended:
            return self._of("venue", "unused", _ENDED)
        if self._read is None or self._is_late:
            return self._unread("venue")
        silent = self._read.silent_lines
        tripped = [name for name in (LINES.name, REJECTIONS.name) if name in self._open]
        if silent or LINES.name in self._open:
            found = "lines are silent, or books and venue differ"
            return self._of(
                "venue", "failed", found, silent, "lines", "see why with: quant-organism trade status, and its log"
            )
        if tripped:
            found = f"{self._open[REJECTIONS.name].value} of the last orders were refused"
            return self._of("venue", "degraded", found, silent, "lines", "read the reasons: quant-organism trade watch")
        return self._of("venue", "ok", "every line answers", silent, "lines")

    def ledger(self) -> ComponentHealth:
        account, equity = self._status.session.account, self._status.equity
        book = self._reader.account(account)
        if equity is None or book is None:
            return self._of("ledger", "unknown", "no close has been written yet", remedy="wait for the first close")
        gaps = {"cash": (equity.cash, book.cash)}
        if self._status.session.mode == "paper":  # an account of a venue may begin with positions of its own
            rebuilt = {held.symbol: held.lots for held in self._status.positions}
            names = sorted(rebuilt.keys() | book.positions.keys())
            gaps |= {f"lots of {name}": (rebuilt.get(name, 0), book.positions.get(name, 0)) for name in names}
            gaps["cash, micro-USD, by fills and flows"] = (self._reader.cash(account), book.cash)
        wrong = {name: pair for name, pair in gaps.items() if pair[0] != pair[1]}
        if not wrong:
            return self._of("ledger", "ok", "records and account agree", 0, "differences")
        told = "; ".join(f"{name}: records {said}, account {held}" for name, (said, held) in wrong.items())
        remedy = "stop the trader, keep a copy of the ledger, and bring back the last backup"
        return self._of("ledger", "failed", told, len(wrong), "differences", remedy)

    def risk(self, killed: Path) -> ComponentHealth:
        if (flag := flag_raised(killed)) is not None:
            found = f"killed: {flag.reason or 'no reason was given'}"
            return self._of("risk", "failed", found, remedy="when all is understood: quant-organism trade rearm")
        plan, close = self._status.plan, self._open.get(LIQUIDATION.name)
        drawdown = None if self._status.equity is None else self._status.equity.drawdown
        if plan is None or drawdown is None:
            return self._of("risk", "unknown", "no close has been planned yet", remedy="wait for the first close")
        if plan.is_stopped or close is not None:
            found = "the account's drawdown stopped it" if plan.is_stopped else "liquidation is near"
            return self._of(
                "risk",
                "failed",
                f"{found}; drawdown {drawdown:.1%}",
                drawdown,
                "fraction",
                "quant-organism trade watch",
            )
        if plan.factor < 1.0:
            found = f"risk is held to {plan.factor:.0%}; drawdown {drawdown:.1%}"
            return self._of("risk", "degraded", found, drawdown, "fraction", "see why with: quant-organism trade watch")
        return self._of("risk", "ok", f"drawdown {drawdown:.1%}", drawdown, "fraction")

    def clock(self) -> ComponentHealth:
        if self._status.is_ended:
            return self._of("clock", "unused", _ENDED)
        skew = None if self._read is None else self._read.clock_skew_s
        if skew is None or self._is_late:
            return self._unread("clock")
        status: Status = "ok" if skew < CLOCK_SKEW.release else "degraded" if skew < CLOCK_SKEW.bound else "failed"
        remedy = "" if status == "ok" else "set the clock: timedatectl set-ntp true"
        return self._of("clock", status, f"{skew:.2f} s from the venue's", skew, "s", remedy)

    def _unread(self, name: str) -> ComponentHealth:
        found = "nothing was read at the last close" if not self._is_late else f"last read {age(self._age_s)} ago"
        return self._of(name, "unknown", found, remedy="mend the feed first" if self._is_late else "look at its log")

    def _of(
        self, name: str, status: Status, found: str, value: float | None = None, unit: str = "", remedy: str = ""
    ) -> ComponentHealth:
        return ComponentHealth(name, status, found, value, unit, self._age_s if status != "unused" else None, remedy)


def disk_health(data_dir: Path, free_bytes: Callable[[Path], int] | None = None) -> ComponentHealth:
    """Return how much room the data folder's disk has.

    Parameters
    ----------
    data_dir
        The data folder; it need not be there.
    free_bytes
        Says how much is free; the operating system by default.
    """
    existing = next(parent for parent in (data_dir.resolve(), *data_dir.resolve().parents) if parent.exists())
    free = (free_bytes or (lambda path: shutil.disk_usage(path).free))(existing)
    status: Status = "failed" if free < LEAST_FREE_BYTES else "degraded" if free < WANTED_FREE_BYTES else "ok"
    remedy = "" if status == "ok" else f"free some space on the disk of {existing}: 5 GB are wanted, 1 GB is needed"
    return ComponentHealth("disk", status, f"{free / 1e9:.1f} GB free", free, "bytes", 0.0, remedy)


def lake_health(data_dir: Path, now_ms: int) -> ComponentHealth:
    """Return whether the newest files of every dataset of the lake are whole; `doctor` reads all of them."""
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import read_metadata

    try:
        lake = Lake(data_dir / "lake")
        markets = lake.markets()
    except QuantOrganismError as error:
        return ComponentHealth("lake", "failed", error.what, remedy=error.remedy or "")
    damaged, newest = [], 0.0
    for entry in markets:
        for held in entry.holdings:
            folder = lake.root / held.dataset / f"market={entry.market}"
            folder = folder if held.interval is None else folder / f"interval={held.interval}"
            for path in sorted((folder / f"date={held.last}").rglob("*.parquet")):
                try:
                    content = contents_of([path])[0]
                    read_metadata(BufferReader(content) if isinstance(content, bytes) else content)
                    newest = max(newest, written_at(path))
                except (ArrowException, OSError) as error:
                    damaged.append(f"{path}: {str(error).splitlines()[0]}")
    if not newest and not damaged:
        return ComponentHealth("lake", "unused", "empty")
    age = now_ms / _MS_PER_S - newest if newest else None
    if damaged:
        return ComponentHealth(
            "lake",
            "failed",
            f"damaged: {'; '.join(damaged[:3])}",
            len(damaged),
            "damaged files",
            age,
            "see all with: quant-organism doctor; delete them, and import these days or repeat their cycle",
        )
    return ComponentHealth("lake", "ok", f"the newest files of {len(markets)} markets", 0, "damaged files", age)


def quality_health(lake: Lake, market: str, interval: str, min_quality: float, now_ms: int) -> ComponentHealth:
    """Return how sound the candles of the newest cycle are, the worse of its panel and the panel's newest day."""
    stored = lake.table(CandleQualityTable)
    try:
        days = stored.days(market=market, interval=interval)
        if not days:
            return ComponentHealth("quality", "unused", f"no cycle of {market} {interval} yet")
        frame = stored.read_day(days[-1], market=market, interval=interval)
    except QuantOrganismError as error:
        return ComponentHealth("quality", "unknown", error.what, remedy=error.remedy or "")
    scores = [_score(frame), _score(frame.filter(pl.col("day") == pl.col("day").max()))]
    value = min(scores)
    status: Status = "ok" if value >= min_quality else "failed"
    return ComponentHealth(
        "quality",
        status,
        f"{scores[0]:.1%} of the panel's bars are sound, {scores[1]:.1%} of its newest day",
        value,
        "fraction",
        age_of_day(days[-1], now_ms),
        "" if status == "ok" else "see which and why with: quant-organism data quality",
        f"{market}/{days[-1]}/{CycleIndex(lake.root, market, Interval.parse(interval)).latest(days[-1])}",
    )


def _score(frame: pl.DataFrame) -> float:
    expected = int(frame[CandleQualityTable.expected].sum())
    return 1.0 - int(frame[CandleQualityTable.defective].sum()) / expected if expected else 0.0


def nights_missed(lake: Lake, market: str, interval: str, due: date, now_ms: int) -> ComponentHealth:
    """Return whether the nights ran, by what they leave: candles of every day up to the one that is due."""
    days = lake.days("candles", market=market, interval=interval)
    if not days:
        return ComponentHealth("schedule", "unused", f"no candles of {market} {interval} yet")
    missed, age = max((due - days[-1]).days, 0), age_of_day(days[-1], now_ms)
    if not missed:
        return ComponentHealth("schedule", "ok", f"candles to {days[-1]}", 0, "nights missed", age)
    return ComponentHealth(
        "schedule",
        "failed",
        f"candles end on {days[-1]}, those of {due} are due",
        missed,
        "nights missed",
        age,
        "start quant-organism ui, or the service of the daemon: the next night fetches what is missing",
    )


def search_health(lake: Lake, market: str, interval: str, due: date, now_ms: int) -> ComponentHealth:
    """Return how long ago the newest cycle was, counted from the day that is due."""
    days = lake.days("cycles", market=market, interval=interval)
    if not days:
        return ComponentHealth("search", "unused", f"no cycle of {market} {interval} yet")
    behind = max((due - days[-1]).days, 0)
    status: Status = "ok" if behind <= _CYCLE_DAYS else "degraded" if behind <= 2 * _CYCLE_DAYS else "failed"
    remedy = "" if status == "ok" else "see what stopped it under Runs in the web UI, or: quant-organism run"
    return ComponentHealth(
        "search", status, f"the newest cycle is of {days[-1]}", behind, "days", age_of_day(days[-1], now_ms), remedy
    )


def workflows_health(lake: Lake, now_ms: int) -> ComponentHealth:
    """Return whether the latest run of every workflow that runs by a schedule went through."""
    try:
        runs = stored_workflows(lake.root).sort(WorkflowRunTable.begun)
    except QuantOrganismError as error:
        return ComponentHealth("workflows", "unknown", error.what, remedy=error.remedy or "")
    latest = runs.unique(WorkflowRunTable.name, keep="last", maintain_order=True)
    scheduled = [
        row for row in latest.iter_rows(named=True) if orjson.loads(row[WorkflowRunTable.spec]).get("schedule")
    ]
    if not scheduled:
        return ComponentHealth("workflows", "unused", "none has run by a schedule")
    failed = [row for row in scheduled if row[WorkflowRunTable.status] == "failed"]
    newest = (failed or scheduled)[-1]
    age = now_ms / _MS_PER_S - newest[WorkflowRunTable.begun].timestamp()
    if not failed:
        return ComponentHealth("workflows", "ok", f"{len(scheduled)} went through", 0, "failed workflows", age)
    return ComponentHealth(
        "workflows",
        "failed",
        f"failed: {', '.join(row[WorkflowRunTable.name] for row in failed)}",
        len(failed),
        "failed workflows",
        age,
        f"see why: quant-organism workflow show {newest['workflow']}",
        newest["workflow"],
    )


def strategies_health(data_dir: Path, now_ms: int) -> ComponentHealth:
    """Return whether all documents can be read, and whether a strategy decays."""
    folder = data_dir / "strategies"
    if not folder.exists():
        return ComponentHealth("strategies", "unused", "none yet")
    listing = StrategyRepository(folder).load_all()
    newest = max((path.stat().st_mtime for path in folder.rglob("*.json")), default=None)
    age = None if newest is None else now_ms / _MS_PER_S - newest
    if listing.problems:
        first = listing.problems[0]
        return ComponentHealth(
            "strategies",
            "failed",
            f"{first.path}: {first.what}",
            len(listing.problems),
            "unreadable documents",
            age,
            first.remedy or "quant-organism doctor",
        )
    decaying = [document.id for document in listing.documents if document.stage == "decaying"]
    return ComponentHealth(
        "strategies",
        "degraded" if decaying else "ok",
        f"decaying: {', '.join(decaying)}" if decaying else f"{len(listing.documents)} documents can be read",
        len(decaying),
        "decaying",
        age,
        f"quant-organism strategies show {decaying[0]}" if decaying else "",
    )


def unknown_market(names: Sequence[str], error: QuantOrganismError | OSError) -> list[ComponentHealth]:
    """Return components of a market that cannot be told."""
    what = error.what if isinstance(error, QuantOrganismError) else str(error)
    remedy = (error.remedy or "") if isinstance(error, QuantOrganismError) else ""
    return [ComponentHealth(name, "unknown", f"which market is not known: {what}", remedy=remedy) for name in names]


def age_of_day(day: date, now_ms: int) -> float:
    """Return the seconds since the end of a UTC day."""
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return now_ms / _MS_PER_S - end.timestamp()


def age(seconds: float) -> str:
    """Return a span of time as a person says it."""
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"
