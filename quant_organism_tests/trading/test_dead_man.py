"""What minds the orders of a trader that has died or hangs."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import orjson
import pytest

from quant_organism.errors import BusyError, InputError, QuantOrganismError
from quant_organism.trading.orders import dead_man
from quant_organism.trading.orders.dead_man import DeadMan, Minder, Watchdog, WatchdogOrders, cancel_all
from quant_organism.trading.orders.reconciliation import reconcile
from quant_organism.venue import (
    Accepted,
    OpenOrder,
    Outcome,
    Rejected,
    Resting,
    RunningTwap,
    Unknown,
    VenueError,
    Why,
    wallet_of,
)
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.simulator.loopback import Failure, LoopbackVenue
from quant_organism_tests.trading.answers import Answers
from quant_organism_tests.trading.trader import (
    KEY,
    bracket,
    close,
    eventually,
    new_order,
    open_manager,
    spec,
)

NO = Rejected(Why.OTHER, "no")
BID = OpenOrder("ETH", 5, None, False)
STOP = OpenOrder("ETH", 6, None, True)
TWAP = RunningTwap("ETH", 9, False)
CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Minded:
    """A venue with orders, the line to the program of a watchdog, what that is told, and whom it has killed."""

    server: LoopbackVenue
    line: IO[bytes]
    told: dict[str, Any]
    killed: list[tuple[int, int]]


def trade_and_hang(url: str, folder: Path, ready: Any, *, silent_seconds: float) -> None:
    """Place orders, start a watchdog, and do nothing more."""
    manager = open_manager(url, folder)
    reconcile(manager)
    Watchdog(spec(url), folder / "signers", silent_seconds, wallet_of(KEY)).beat()
    manager.place("d", bracket("d"), grouping="normalTpsl")
    for part in range(2):  # more than the venue cancels in one action
        many = f"many {part}"
        manager.place(many, [new_order(many, leg=str(number), sz="0.01") for number in range(125)])
    ready.set()
    time.sleep(60)


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_a_watchdog_cancels_what_could_open_and_leaves_the_stops(
    server: LoopbackVenue, tmp_path: Path, how: str
) -> None:
    ready = CONTEXT.Event()
    settings = {"silent_seconds": 60.0 if how == "killed" else 4.0}
    child = CONTEXT.Process(target=trade_and_hang, args=(server.url, tmp_path, ready), kwargs=settings, daemon=True)
    child.start()
    assert ready.wait(120)
    if how == "killed":
        child.kill()
    child.join(30)
    assert child.exitcode == -9
    assert eventually(lambda: len(server.account.open_oids) == 2)
    assert all(order.reduce_only for order in server.orders() if order.status == "open")
    assert eventually(lambda: reconciles(server, tmp_path))


def reconciles(server: LoopbackVenue, folder: Path) -> bool:
    """Take over from the watchdog once it has let go of the wallet."""
    try:
        manager = open_manager(server.url, folder)
    except BusyError:
        return False
    clean = reconcile(manager).is_clean
    check_journal_is_venue(manager, server.venue, server.account)
    close(manager)
    return clean


def test_a_watchdog_that_is_sent_home_leaves_orders_alone(server: LoopbackVenue, tmp_path: Path) -> None:
    manager = open_manager(server.url, tmp_path)
    reconcile(manager)
    watchdog = Watchdog(spec(server.url), tmp_path / "signers", 30.0, wallet_of(KEY))
    manager.place("d", [new_order("d")])
    watchdog.beat()
    watchdog.release()
    assert len(server.account.open_oids) == 1
    close(manager)


def test_a_watchdog_that_has_gone_is_followed_by_another_and_one_that_hangs_holds_nobody_up(
    server: LoopbackVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_man, "_RELEASE_SECONDS", 0.2)
    opened: list[Watchdog] = []

    def opens() -> Watchdog:
        opened.append(Watchdog(spec(server.url), tmp_path / "signers", 30.0, wallet_of(KEY)))
        return opened[-1]

    minder = Minder(opens)
    minder.beat()
    os.kill(opened[0].pid, signal.SIGKILL)

    def is_another() -> bool:
        minder.beat()
        return len(opened) == 2

    assert eventually(is_another)
    os.kill(opened[1].pid, signal.SIGSTOP)
    minder.release()
    with pytest.raises(ProcessLookupError):
        os.kill(opened[1].pid, 0)


@pytest.mark.parametrize(
    ("said", "goes", "heard"),
    [
        ((b"beat\nbeat\n", b"release\n"), False, "released"),
        ((b"beat\nrele", b"ase\n"), False, "released"),  # in two pieces
        ((b"beat\n" * 1_000, b"release\n"), False, "released"),
        ((b"beat\n", b"release"), True, "died"),  # in the middle of a word
        ((), True, "died"),
        ((b"beat\n",), False, "silent"),
        ((), False, "silent"),
    ],
)
def test_what_a_watchdog_hears_of_the_process_that_it_minds(said: tuple[bytes, ...], goes: bool, heard: str) -> None:
    hears, tells = os.pipe()
    with open(hears, "rb", buffering=0), open(tells, "wb", buffering=0) as line:

        def tell() -> None:
            for word in said:
                line.write(word)
                time.sleep(0.02)
            if goes:
                line.close()

        teller = threading.Thread(target=tell)
        teller.start()
        assert dead_man.watch(hears, 0.2 if heard == "silent" else 60.0) == heard
        teller.join()


@pytest.fixture
def minded(server: LoopbackVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Minded]:
    """Have a bracket and an entry at the venue, and the watchdog's own program at hand, as what it is told."""
    manager = open_manager(server.url, tmp_path)
    reconcile(manager)
    manager.place("d", bracket("d"), grouping="normalTpsl")
    manager.place("e", [new_order("e")])
    close(manager)
    hears, tells = os.pipe()
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: hears))
    monkeypatch.setattr(
        dead_man, "os", SimpleNamespace(read=os.read, getppid=lambda: 7, kill=lambda *of: killed.append(of))
    )
    with open(hears, "rb", buffering=0), open(tells, "wb", buffering=0) as line:
        told = {"spec": asdict(spec(server.url)), "state_folder": str(tmp_path / "signers"), "key": KEY}
        yield Minded(server, line, told, killed)


@pytest.mark.parametrize(
    ("parent", "said", "left", "killed"),
    [
        (7, b"beat\nrelease\n", 3, []),
        (7, None, 2, []),  # it died: only what reduces stays
        (7, b"beat\n", 2, [(7, signal.SIGKILL)]),  # it hangs
        (8, b"beat\n", 2, []),  # it was followed by another of its number
    ],
)
def test_the_program_of_a_watchdog(
    minded: Minded, parent: int, said: bytes | None, left: int, killed: list[tuple[int, int]]
) -> None:
    minded.line.write(orjson.dumps({**minded.told, "parent": parent, "silent_seconds": 0.1}) + b"\n" + (said or b""))
    if said is None:
        minded.line.close()
    assert dead_man.main() == 0
    assert len(minded.server.account.open_oids) == left
    assert minded.killed == killed


def test_a_watchdog_that_was_told_nothing_minds_nothing(minded: Minded) -> None:
    minded.line.write(b'{"parent": 7')
    minded.line.close()
    assert dead_man.main() == 0
    assert len(minded.server.account.open_oids) == 3


@pytest.mark.parametrize(
    ("answers", "tries", "comes"),
    [
        ([], 1, True),
        ([BusyError] * 19, 20, True),
        ([BusyError] * 20, 20, False),  # another signs, and minds the orders
        ([BusyError] * 19 + [VenueError] + [BusyError] * 19, 40, True),
        ([VenueError] * 3_599, 3_600, True),
        ([VenueError] * 3_600, 3_600, False),
    ],
)
def test_a_watchdog_waits_for_a_venue_and_for_the_lock_of_the_dead(
    answers: list[type[QuantOrganismError]], tries: int, comes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = WatchdogOrders(spec("http://127.0.0.1:9"), tmp_path, 7, 1.0)
    left, asked, slept = list(answers), [], []

    def answer(*of: Any) -> str:
        asked.append(of)
        if left:
            raise left.pop(0)("no", where="here", remedy="wait")
        return "connected"

    monkeypatch.setattr(dead_man, "connect", answer)
    monkeypatch.setattr(dead_man, "time", SimpleNamespace(sleep=slept.append))
    wallet = wallet_of(KEY)
    assert dead_man._connect(told, wallet) == ("connected" if comes else None)
    assert asked == [(told.spec, wallet, tmp_path)] * tries
    assert slept == [1.0] * (len(answers) - (not comes and answers[-1] is BusyError))


def test_the_venue_s_own_switch_is_refused_before_enough_was_traded(server: LoopbackVenue, tmp_path: Path) -> None:
    manager = open_manager(server.url, tmp_path)
    reconcile(manager)
    switch = DeadMan(manager.venue, 60.0, lambda: server.venue.state.now_ms)
    assert switch.beat() == "refused"
    assert switch.release() == "refused"
    server.account.volume = 1_000_000 * 1_000_000
    manager.place("d", [new_order("d")])
    assert switch.beat() == "granted"
    with server.lock:
        server.venue.pass_time(server.venue.state.now_ms + 61_000)
    assert server.account.open_oids == {}
    assert reconcile(manager).is_clean
    server.inject = lambda endpoint, body: Failure("before") if endpoint == "exchange" else None
    assert switch.beat() == "unknown"
    with pytest.raises(InputError, match="too few"):
        DeadMan(manager.venue, 5.0, lambda: 0)
    close(manager)


def test_cancelling_all_goes_on_until_the_venue_shows_none(server: LoopbackVenue, tmp_path: Path) -> None:
    manager = open_manager(server.url, tmp_path)
    reconcile(manager)
    manager.place("d", [new_order("d", leg=str(leg)) for leg in range(3)])
    left = [Failure("before"), Failure("after"), Failure("before", status=500, body=b"null")]
    server.inject = lambda endpoint, body: left.pop() if left and endpoint == "exchange" else None
    assert cancel_all(manager.venue, sleep=lambda seconds: None)
    assert server.account.open_oids == {}
    server.inject = lambda endpoint, body: Failure("before") if endpoint == "exchange" else None
    manager.place("e", [new_order("e")])
    server.inject = lambda endpoint, body: None
    manager.place("f", [new_order("f")])
    server.inject = lambda endpoint, body: Failure("before") if endpoint == "exchange" else None
    assert not cancel_all(manager.venue, attempts=2, sleep=lambda seconds: None)
    close(manager)


def test_a_minder_lets_go_of_a_watchdog_that_has_gone_before_it_opens_another() -> None:
    heard: list[str] = []

    class Dog:
        def __init__(self) -> None:
            self.name = f"dog {heard.count('opened')}"
            heard.append("opened")

        def beat(self) -> None:
            heard.append(f"beat {self.name}")
            if self.name == "dog 0" and heard.count("beat dog 0") == 2:
                raise InputError("it is gone", where="watchdog", remedy="start another")

        def release(self) -> None:
            heard.append(f"released {self.name}")

    minder = Minder(Dog)  # type: ignore[arg-type]
    for _ in range(3):
        minder.beat()
    minder.release()
    gone = ["beat dog 0", "beat dog 0", "released dog 0", "opened"]
    assert heard == ["opened", *gone, "beat dog 1", "released dog 1"]


@pytest.mark.parametrize("goes", ["sent home", "gone"])
def test_a_watchdog_is_told_at_once_and_hears_each_word(
    goes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hears, tells = os.pipe()
    os.set_blocking(hears, False)  # what was not said fails, and is not waited for
    waited: list[float] = []
    process = SimpleNamespace(stdin=open(tells, "wb"), pid=7, wait=waited.append)  # noqa: SIM115
    monkeypatch.setattr(dead_man.subprocess, "Popen", lambda *of, **how: process)
    watchdog = Watchdog(spec("http://127.0.0.1:9"), tmp_path, 30.0, wallet_of(KEY))
    told = orjson.loads(os.read(hears, 4096))
    assert (told["parent"], told["silent_seconds"], told["key"]) == (os.getpid(), 30.0, KEY)
    assert told["state_folder"] == str(tmp_path)
    assert told["spec"] == orjson.loads(orjson.dumps(asdict(spec("http://127.0.0.1:9"))))
    watchdog.beat()
    assert os.read(hears, 4096) == b"beat\n"
    if goes == "sent home":
        watchdog.release()
        assert os.read(hears, 4096) == b"release\n"
        assert os.read(hears, 4096) == b""
        os.close(hears)
    else:
        os.close(hears)
        with pytest.raises(InputError, match="it is gone"):
            watchdog.beat()
        watchdog.release()
    assert waited == [30.0]


@pytest.fixture
def venue() -> Answers:
    return Answers()


@pytest.fixture
def slept() -> list[float]:
    return []


class TestDeadMan:
    @pytest.mark.parametrize(
        ("looks", "pauses"),
        [
            ([Resting()], 1),
            ([Resting((STOP,), (RunningTwap("ETH", 9, True),))], 1),
            ([Resting((BID,)), Resting()], 1),
            ([Resting((), (TWAP,)), Resting()], 1),
            ([Resting((), (), ("no answer",)), Resting()], 2),
            ([Resting(), Resting((), (), ("no answer",)), Resting()], 3),
            ([Resting(), Resting((BID,)), Resting()], 2),
        ],
    )
    def test_two_looks_after_each_other_must_show_nothing_that_could_open(
        self, venue: Answers, slept: list[float], looks: list[Resting], pauses: int
    ) -> None:
        venue.resting_says = list(looks)
        expected = sum(len(look.orders) + len(look.twaps) for look in looks if STOP not in look.orders)
        assert cancel_all(venue, sleep=slept.append)  # type: ignore[arg-type]
        assert slept == [1.0] * pauses
        assert sum(len(asked) for kind in ("cancel_oids", "cancel_twap") for asked in venue.of(kind)) == expected
        assert len(venue.of("resting")) == max(2, len(looks) + (looks[-1] == Resting() and len(looks) > 1))

    @pytest.mark.parametrize(
        ("outcomes", "pauses"),
        [([Accepted("done")] * 3, 1), ([Accepted("done"), NO, Accepted("done")], 2), ([NO] * 3, 2)],
    )
    def test_what_was_refused_is_tried_again_after_a_pause(
        self, venue: Answers, slept: list[float], outcomes: list[Outcome], pauses: int
    ) -> None:
        venue.resting_says, venue.outcomes = [Resting((BID, STOP, BID), (TWAP,)), Resting()], list(outcomes)
        assert cancel_all(venue, sleep=slept.append)  # type: ignore[arg-type]
        assert slept == [1.0] * pauses
        assert (venue.of("cancel_oids"), venue.of("cancel_twap")) == ([[("ETH", 5), ("ETH", 5)]], [[("ETH", 9)]])

    @pytest.mark.parametrize(("attempts", "is_done"), [(0, False), (1, False), (2, True)])
    def test_it_is_given_up_after_so_many_looks(self, venue: Answers, attempts: int, is_done: bool) -> None:
        assert cancel_all(venue, attempts=attempts, sleep=lambda _: None) is is_done  # type: ignore[arg-type]
        assert len(venue.of("resting")) == attempts

    @pytest.mark.parametrize("seconds", [10.0, 60.0, 10.5])
    @pytest.mark.parametrize(
        ("outcome", "said"),
        [
            (Accepted("done"), "granted"),
            (Rejected(Why.VOLUME_GATE, "too little"), "refused"),
            (Rejected(Why.OTHER, "no"), "unknown"),
            (Unknown("lost"), "unknown"),
        ],
    )
    def test_the_venues_switch_is_put_off_by_its_span(
        self, venue: Answers, seconds: float, outcome: Outcome, said: str
    ) -> None:
        switch = DeadMan(venue, seconds, lambda: 1_000)  # type: ignore[arg-type]
        venue.outcomes = [outcome, outcome]
        assert (switch.beat(), switch.release()) == (said, said)
        assert venue.of("schedule_cancel") == [[1_000 + int(seconds * 1_000)], [None]]

    def test_a_span_is_twice_what_the_venue_asks_for_at_least(self, venue: Answers) -> None:
        with pytest.raises(InputError, match=r"9\.999 s are too few"):
            DeadMan(venue, 9.999, lambda: 0)  # type: ignore[arg-type]

    @pytest.mark.parametrize(("connects", "cancels", "code"), [(True, True, 0), (True, False, 1), (False, True, 1)])
    @pytest.mark.parametrize("padding", [b"", b" "])
    def test_a_watchdog_says_whether_all_is_canceled(
        self, connects: bool, cancels: bool, code: int, padding: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However long the line is that it is told."""
        hears, tells = os.pipe()
        told = {"spec": asdict(spec("http://127.0.0.1:9")), "state_folder": "there", "parent": 1, "silent_seconds": 60}
        os.write(tells, orjson.dumps({**told, "key": KEY}) + padding + b"\nbeat\n")
        os.close(tells)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: hears))
        monkeypatch.setattr(dead_man, "_connect", lambda orders, wallet: "venue" if connects else None)
        monkeypatch.setattr(dead_man, "cancel_all", lambda venue: cancels)
        assert dead_man.main() == code
        os.close(hears)
