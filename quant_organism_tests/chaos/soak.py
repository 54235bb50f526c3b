"""`make soak`: a whole trader for simulated days at a local exchange, watched for what it holds, or killed.

Bars of the feed, decisions of documents, orders and stops at the venue, books in the ledger: nothing is left out but
the pace. The venue is a process of its own, so that what is measured is the trader; an hour passes once the trader has
decided on the last. After each part faults are cleared, and books and venue have to be one, to the micro-USD; a witness
in the venue's own process counts what was placed twice, what is nobody's, and how long a position was bare.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import requests
from rich.console import Console

from quant_organism.errors import QuantOrganismError
from quant_organism.market import Interval, WorldSource, load_world
from quant_organism.simulator import MarketSpec, RunningVenue, ServerSpec, VenueClock, VenueServer, open_engine
from quant_organism.strategies import Committee, default_genome, evolving_families
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.live import PROTECT_SECONDS
from quant_organism.trading.orders import reconcile
from quant_organism.trading.paper import LiveSession, trade_live
from quant_organism.trading.pipeline import Pipeline
from quant_organism.trading.policy import Policy
from quant_organism.trading.policy_step import PolicyStep
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.preparing import prepare_live
from quant_organism.trading.profiles import session_profile
from quant_organism.trading.records import LedgerEquity, LedgerFill, LedgerOrder, LedgerProfit, TradeDecision
from quant_organism.trading.runtime import CloseReport, Trader
from quant_organism.trading.sending import VenueAccount, journal_path, venue_account
from quant_organism.venue import HyperliquidVenue, Limits, VenueSpec, connect, info_of, open_feed
from quant_organism.venue.protocol import MICRO_USD
from quant_organism_tests.chaos.market import chaos_wallet
from quant_organism_tests.chaos.witness import Testimony, VenueWitness, check_testimony
from quant_organism_tests.deployment.documents import document
from quant_organism_tests.trading.test_follower import LINE

HOUR: Final = Interval.parse("1h")
SYMBOLS: Final = ("SIM-ASH", "SIM-BAY", "SIM-BOX")
EQUITY_USD: Final = 100_000
START_SECONDS: Final = 300.0
PATIENCE_S: Final = 20.0
LOOKS, TRIES = 60, 20
TICK_MS: Final = 10_000
"""Between two prices of the market."""
LOOK_SECONDS: Final = 0.02
PART_HOURS: Final = 6
LONGEST_SECONDS: Final = 4.0
FLAT: Final = {"resident_mb": 8.0, "threads": 2, "sockets": 4, "files": 4}
"""What may come and go: pooled connections, and what Python keeps of freed memory."""
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "reset_after", "endpoint": "exchange", "count": None, "probability": 0.1},
    {"kind": "reset_before", "endpoint": "exchange", "count": None, "probability": 0.05},
    {"kind": "latency", "endpoint": "exchange", "count": None, "options": {"ms": 0, "jitter_ms": 40}},
    {"kind": "answer_latency", "endpoint": "exchange", "count": None, "probability": 0.3, "options": {"ms": 20}},
    {"kind": "visibility_lag", "endpoint": "info", "count": None, "probability": 0.2, "options": {"ms": 700}},
    {"kind": "http_status", "endpoint": "info", "count": None, "probability": 0.02, "options": {"status": 500}},
)
"""What strikes the whole time: answers that are lost, late, old or none."""


@dataclass(frozen=True)
class SoakSample:
    """What the trader's process holds at a close.

    Parameters
    ----------
    resident_mb
        Memory that is its own, in MiB.
    threads, sockets, files
        Counted; files are all that is open, sockets among them.
    """

    resident_mb: float
    threads: int
    sockets: int
    files: int

    @classmethod
    def taken(cls) -> SoakSample:
        """Measure this process."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found = list(Path("/proc/self/fd").iterdir())
        links = [str(path.readlink()) for path in found if path.is_symlink()]
        sockets = sum(link.startswith("socket:") for link in links)
        return cls(pages * 4096 / 2**20, threading.active_count(), sockets, len(links))


@dataclass
class SoakCount:
    """What a soak saw.

    Parameters
    ----------
    samples
        One at each close.
    kills
        Processes that were killed.
    decisions, orders, fills
        In the ledger.
    starts
        Of the trader: one, and one more after every part and every end by a failure.
    failures
        By kind of error.
    bare_s, untouched_s
        Seconds for which a position lacked its stop at the venue while a trader was there, at the most; and for which
        no fill made it smaller either.
    seconds
        That it took.
    """

    samples: list[SoakSample] = field(default_factory=list)
    kills: int = 0
    decisions: int = 0
    orders: int = 0
    fills: int = 0
    starts: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    bare_s: float = 0.0
    untouched_s: float = 0.0
    seconds: float = 0.0

    def growth(self) -> dict[str, float]:
        """Return by how much the most of the second half is above the most of the second quarter, by what was counted.

        The first quarter is left out: caches fill, code is compiled.
        """
        quarter, half = len(self.samples) // 4, len(self.samples) // 2
        early, late = self.samples[quarter:half], self.samples[half:]
        return {name: max(getattr(s, name) for s in late) - max(getattr(s, name) for s in early) for name in FLAT}

    @property
    def is_flat(self) -> bool:
        """Whether nothing grew by more than `FLAT` says; never with fewer than eight closes."""
        return len(self.samples) >= 8 and all(grown <= FLAT[name] for name, grown in self.growth().items())


def run_soak(
    seed: int, folder: Path, hours: int, strategies: int, told: Callable[[str], None], *, faulty: bool
) -> SoakCount:
    """Trade so many simulated hours.

    Parameters
    ----------
    seed
        Of the market and of the account.
    folder
        Of lake, ledger and journal.
    hours, strategies
        Closes of hourly bars, and how many documents trade in one account.
    told
        Is told how far it is.
    faulty
        Whether requests and answers are lost, late and wrong; else nothing fails.

    Raises
    ------
    AssertionError
        Books and venue differ, a position is bare, profits do not sum, or the trader does not get on.
    """
    count, begun = SoakCount(), time.monotonic()
    with _served(seed) as venue, _desk(venue.url, folder, seed) as desk:
        while len(count.samples) < hours:
            left = hours - len(count.samples)
            _part(venue, desk, strategies, min(PART_HOURS, left) if faulty else left, count, faulty=faulty)
            held_mb, seconds = count.samples[-1].resident_mb, time.monotonic() - begun
            told(f"{len(count.samples)} hours, {count.starts} starts, {held_mb:.0f} MiB, {seconds:.0f} s")
        count.decisions = len(desk.book.read(TradeDecision))
        count.orders = len(desk.book.read(LedgerOrder))
        count.fills = len(desk.book.read(LedgerFill))
        check_profits(desk.book)
    count.seconds = time.monotonic() - begun
    return count


def run_trader_kills(seed: int, folder: Path, kills: int, strategies: int, told: Callable[[str], None]) -> SoakCount:
    """Kill (SIGKILL) a whole trader at random moments so many times; the next one has to be the venue's each time.

    Parameters
    ----------
    seed
        Of market, account and the moments of death.
    folder, strategies, told
        As for `run_soak`.
    kills
        Processes.

    Raises
    ------
    AssertionError
        As for `run_soak`; or a process ended before it was killed.
    """
    context = multiprocessing.get_context("forkserver")  # the next one starts in no time
    context.set_forkserver_preload([__name__])
    rng, count, begun = np.random.default_rng([seed, 9]), SoakCount(), time.monotonic()
    with _served(seed) as venue:
        for number in range(kills):
            ready = context.Event()
            child = context.Process(
                target=_trade_until_killed, args=(venue.url, folder, seed, strategies, ready), daemon=True
            )
            child.start()
            assert _waited(ready, child), f"trader {number} ended with {child.exitcode} before it could trade"
            end = time.monotonic() + float(rng.random()) * LONGEST_SECONDS
            while time.monotonic() < end:
                _admin(venue.url, "step", {"ms": HOUR.milliseconds // 10})
                time.sleep(0.05)
            assert child.exitcode is None, f"trader {number} ended with {child.exitcode} before it was killed"
            child.kill()
            child.join(60.0)
            with _desk(venue.url, folder, seed) as desk:
                _part(venue, desk, strategies, 1, count, faulty=False)
                check_profits(desk.book)
                count.orders, count.fills = len(desk.book.read(LedgerOrder)), len(desk.book.read(LedgerFill))
                count.decisions = len(desk.book.read(TradeDecision))
            count.kills += 1
            told(f"{count.kills} kills, {count.fills} fills, {time.monotonic() - begun:.0f} s")
    count.seconds = time.monotonic() - begun
    return count


def _trade_until_killed(url: str, folder: Path, seed: int, strategies: int, ready: Any) -> None:
    logging.disable(logging.CRITICAL)
    with _desk(url, folder, seed) as desk, _account(desk) as account:
        session = _session(desk, strategies, account)
        ready.set()
        asyncio.run(trade_live(session, told=lambda report: None))


def check_profits(book: TraderLedger) -> None:
    """Assert that at every close the profits of all strategies and of *execution* sum to the account's.

    Raises
    ------
    AssertionError
        They do not.
    """
    profits: Counter[tuple[int, str]] = Counter()
    for row in book.read(LedgerProfit):
        profits[row.close_ms, row.account] += row.profit
    rows = book.read(LedgerEquity)
    assert rows, "no close was written down"
    for row in rows:
        total = profits[row.close_ms, row.account] + row.execution
        assert row.capital + total == row.equity, f"profits of {row.close_ms} do not sum: {row.capital + total} {row}"


@dataclass(frozen=True)
class _Desk:
    """What a process needs to trade: the venue, its books, and a policy under which orders may be sent."""

    url: str
    folder: Path
    venue: HyperliquidVenue
    book: TraderLedger
    policies: FilePolicyStore


@contextmanager
def _desk(url: str, folder: Path, seed: int) -> Iterator[_Desk]:
    wallet = chaos_wallet(seed, "soak")
    spec = VenueSpec("simulator", wallet.address, url, read_seconds=10.0, limits=Limits(10**6, 10**5))
    venue = connect(spec, wallet, folder / "signers")
    book = TraderLedger(folder / "ledger.sqlite", survives_power_cut=False)
    policies = FilePolicyStore(policy_folder(folder / "data"))
    policies.put(Policy(allowed_venues=("testnet",)), author="soak", reason="to send", at_ms=0)
    try:
        yield _Desk(url, folder, venue, book, policies)
    finally:
        book.close()
        venue.close()


@contextmanager
def _account(desk: _Desk) -> Iterator[VenueAccount]:
    path = journal_path(desk.folder / "data", "testnet")
    with venue_account(desk.venue, path, visibility_seconds=1.0, line=LINE, late_ms=10**12) as account:
        yield account


def _part(venue: _Venue, desk: _Desk, strategies: int, hours: int, count: SoakCount, *, faulty: bool) -> None:
    """Trade some hours, begun anew as often as a failure ends it; then nothing is broken any more, and all agrees."""
    goal = len(count.samples) + hours
    for _ in range(TRIES):
        if len(count.samples) >= goal:
            break
        count.starts += 1
        try:
            with _account(desk) as account:
                session = _session(desk, strategies, account)
                for fault in FAULTS if faulty else ():
                    _admin(desk.url, "faults", fault)
                venue.begin_anew()
                trader = _trade(desk.url, session, goal - len(count.samples), count)
                _admin(desk.url, "clear_faults", {})
                _agree(desk.url, trader, account)
                seen = venue.testimony()
                check_testimony(account.follower.manager, seen)
                count.bare_s = max(count.bare_s, seen.longest_bare_s)
                count.untouched_s = max(count.untouched_s, seen.longest_untouched_s)
        except QuantOrganismError as error:
            count.failures[type(error).__name__] += 1
            _admin(desk.url, "clear_faults", {})
    assert len(count.samples) >= goal, f"{TRIES} starts did not bring it on: {count.failures}"


def _trade(url: str, session: LiveSession, closes: int, count: SoakCount) -> Trader:
    seen: list[CloseReport] = []

    def told(report: CloseReport) -> None:
        seen.append(report)
        count.samples.append(SoakSample.taken())

    enough = threading.Event()
    pacer = threading.Thread(target=_pace, args=(url, seen, enough), daemon=True)
    pacer.start()
    try:
        return asyncio.run(trade_live(session, told=told, closes=closes))
    finally:
        enough.set()
        pacer.join(60.0)


def _pace(url: str, seen: Sequence[CloseReport], enough: threading.Event) -> None:
    """Let an hour pass once the trader has decided on the last, however long that takes; meanwhile the market goes on.

    In one that stands still nobody offers anew what was taken, and who closes a position waits for nothing.
    """
    while not enough.wait(0.02):
        number = len(seen)
        for _ in range(11):  # beyond the hour, in steps in which orders that rest are looked at
            _admin(url, "step", {"ms": HOUR.milliseconds // 10})
        end = time.monotonic() + PATIENCE_S
        while len(seen) == number and time.monotonic() < end and not enough.wait(0.02):
            _admin(url, "step", {"ms": TICK_MS})


def _agree(url: str, trader: Trader, account: VenueAccount) -> None:
    """Assert that account and venue are one, nothing is in doubt, and nothing that is held lacks its stop.

    The market goes on meanwhile, a tick at each look.
    """
    gaps: object = "not compared"
    for _ in range(LOOKS):
        _admin(url, "step", {"ms": TICK_MS})
        trader.watch()
        gaps = account.execution.differences(trader.main.account)
        bare = account.follower.standing().unprotected
        if not gaps and not bare:
            break
        time.sleep(0.25)
    else:
        raise AssertionError(f"books and venue differ: {gaps}; without a stop: {bare}")
    found = reconcile(account.follower.manager)
    assert not found.position_gaps, found
    assert not found.balance_gap, found
    assert not found.unsettled, found
    assert not [each for each in found.resolutions if each.action == "foreign"], f"orphans: {found.resolutions}"


def _session(desk: _Desk, strategies: int, account: VenueAccount) -> LiveSession:
    ask = info_of(desk.url, weight_per_minute=10**6)
    session, _ = prepare_live(
        desk.folder / "data",
        session_profile("intraday"),
        float(EQUITY_USD),
        desk.book,
        base_url=desk.url,
        ask=ask,
        feed=lambda interval, coins, begin_ms: open_feed(desk.url, ask, interval, coins=coins, begin_ms=begin_ms),
        clock=_WallClock(),
        documents=[(each, "trades") for each in _documents(strategies)],
        patience_s=1.0,
        mode="testnet",
        account=account,
    )
    # An hour passes in a moment here, so that the guard would find all data stale.
    allowed = replace(session.spec, pipeline=lambda: Pipeline([PolicyStep(desk.policies.current)]))
    return replace(session, spec=allowed)


def _documents(number: int) -> list[Any]:
    """Return so many documents of default genomes, each of another family or pair of families."""
    families = [name for name in sorted(evolving_families()) if "svc" not in name and "pca" not in name]
    pairs = [[one] for one in families] + [[one, other] for one, other in pairwise(families)]
    assert number <= len(pairs), f"{number} strategies of {len(pairs)} that there are"
    return [
        document(strategy=Committee.of([default_genome(name) for name in names]), universe=SYMBOLS, interval="1h")
        for names in pairs[:number]
    ]


class _WallClock:
    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class _Venue:
    """A venue in a process of its own, and the line to the witness there."""

    url: str
    line: Connection

    def begin_anew(self) -> None:
        """Have bare positions be timed from now on."""
        self.line.send("begin anew")

    def testimony(self) -> Testimony:
        """Return what the witness has seen."""
        self.line.send("testimony")
        assert self.line.poll(60.0), "the venue does not answer any more"
        seen = self.line.recv()
        assert isinstance(seen, Testimony)
        return seen


def _waited(ready: Any, child: Any) -> bool:
    """Wait until it is ready, or its process has ended."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and child.exitcode is None:
        if ready.wait(0.1):
            return True
    return False


@contextmanager
def _served(seed: int) -> Iterator[_Venue]:
    """Serve a venue from a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_serve, args=(seed, there), daemon=True)
    child.start()
    there.close()  # so that its end is seen here
    try:
        assert here.poll(START_SECONDS), "the venue did not come up"
        yield _Venue(str(here.recv()), here)
    finally:
        child.kill()
        child.join(30.0)


def _serve(seed: int, line: Connection) -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    engine = open_engine(
        WorldSource(load_world("demo"), seed=seed),
        HOUR,
        symbols=SYMBOLS,
        future_days=180,
        spec=MarketSpec(ticks_per_bar=HOUR.milliseconds // TICK_MS),
    )
    address = chaos_wallet(seed, "soak").address
    engine.deposit(address, EQUITY_USD * MICRO_USD)
    witness = VenueWitness(engine.venue, engine.venue.state.accounts[address.lower()])
    limits = ServerSpec(ip_weight_per_minute=None, limit_addresses=False)
    with RunningVenue(VenueServer(engine, VenueClock(engine.now_ms, 0.0, time.monotonic), limits)) as running:
        line.send(running.url)
        while True:
            if line.poll(LOOK_SECONDS):
                if line.recv() == "testimony":
                    line.send(witness.testimony())
                else:
                    witness.begin_anew()
            witness.look()


def _admin(url: str, name: str, body: dict[str, Any]) -> None:
    requests.post(f"{url}/admin/{name}", json=body, timeout=60).raise_for_status()


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak a trader and print what it held; the exit code is 1 where books and venue differ or something grows."""
    parser = argparse.ArgumentParser(prog="python -m quant_organism_tests.chaos.soak", description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--strategies", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0, help="instead: kill so many traders, and take each up again")
    parser.add_argument("--faults", action="store_true", help="requests and answers are lost, late and wrong")
    said = parser.parse_args(arguments)
    show = partial(Console().print, highlight=False)
    logging.disable(logging.WARNING)  # what breaks is broken on purpose
    with tempfile.TemporaryDirectory() as folder:
        if said.kills:
            count = run_trader_kills(said.seed, Path(folder), said.kills, said.strategies, show)
            show(f"{count.kills} traders killed, each taken up again to the venue's books; {count.seconds:.0f} s")
            show(f"{count.decisions} decisions, {count.orders} orders, {count.fills} fills; {_protected(count)}")
            return int(count.untouched_s > PROTECT_SECONDS)
        count = run_soak(said.seed, Path(folder), said.hours, said.strategies, show, faulty=said.faults)
    for place in sorted({0, *range(said.hours // 4, said.hours, max(said.hours // 4, 1)), said.hours - 1}):
        show(f"hour {place + 1}: {count.samples[place]}")
    grown = ", ".join(f"{name} {value:+.1f}" for name, value in count.growth().items())
    show(f"second half above the second quarter: {grown}")
    failures = ", ".join(f"{name} {number}" for name, number in count.failures.items()) or "none"
    show(f"{count.decisions} decisions, {count.orders} orders, {count.fills} fills; {count.starts} starts, {failures}")
    show(f"books and venue equal to the micro-USD after each part, profits sum at every close; {count.seconds:.0f} s")
    show(_protected(count))
    if not count.is_flat:
        show("[red]something grew, or it was too short to tell")
    return int(not count.is_flat or count.untouched_s > PROTECT_SECONDS)


def _protected(count: SoakCount) -> str:
    return (
        f"nothing placed twice, no orphan; longest without a stop {count.bare_s:.2f} s, "
        f"{count.untouched_s:.2f} s of them without a fill that closes"
    )


if __name__ == "__main__":
    sys.exit(main())
