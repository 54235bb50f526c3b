"""Nonces only rise, and the venue's limits are kept before they are met."""

import itertools
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import BusyError, InputError, IntegrityError
from quant_organism.venue.client.limits import (
    OVER_LIMIT_SECONDS,
    RESERVED_FOR_ACTIONS,
    AddressBudget,
    NonceSource,
    WeightLimiter,
)
from quant_organism.venue.client.network import Limits, VenueSpec

SIGNER = "0x" + "ab" * 20
ACCOUNT = "0x" + "12" * 20


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 1e-6)


def test_nonces_rise_whatever_the_clock_does(tmp_path: Path) -> None:
    times = iter([1_000, 1_000, 900, 5_000, 4_000])
    source = NonceSource(tmp_path, SIGNER, lambda: next(times))
    assert [source.draw() for _ in range(5)] == [1_000, 1_001, 1_002, 5_000, 5_001]


def test_nonces_rise_over_threads(tmp_path: Path) -> None:
    source = NonceSource(tmp_path, SIGNER, lambda: 7)
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda _: source.draw(), range(2_000)))
    assert len(set(drawn)) == 2_000


@given(
    runs=st.lists(st.tuples(st.integers(-20_000, 20_000), st.integers(0, 12_000)), min_size=1, max_size=5),
)
def test_nonces_rise_over_restarts(tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int]]) -> None:
    folder, now, last = tmp_path_factory.mktemp("signer"), 1_000_000, 0
    for drift, draws in runs:
        now += drift
        source = NonceSource(folder, SIGNER, lambda: now)  # noqa: B023
        for _ in range(draws % 7):
            now += draws // 7
            drawn = source.draw()
            assert drawn > last
            last = drawn
        source.close()  # nothing else is written when a process ends, however it does


def hold(folder: Path, held: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    NonceSource(folder, SIGNER, lambda: 1).draw()
    held.set()
    done.wait(120)


def test_one_process_signs_with_a_wallet_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    child = context.Process(target=hold, args=(tmp_path, held, done), daemon=True)
    child.start()
    assert held.wait(60)
    with pytest.raises(BusyError, match="another process signs"):
        NonceSource(tmp_path, SIGNER, lambda: 1)
    child.kill()
    child.join(30)
    assert child.exitcode == -9
    assert NonceSource(tmp_path, SIGNER, lambda: 1).draw() > 1


def test_two_sources_of_one_wallet_cannot_be_in_one_process_either(tmp_path: Path) -> None:
    first = NonceSource(tmp_path, SIGNER, lambda: 1)
    with pytest.raises(BusyError):
        NonceSource(tmp_path, SIGNER, lambda: 1)
    NonceSource(tmp_path, "0x" + "cd" * 20, lambda: 1)
    first.close()
    NonceSource(tmp_path, SIGNER, lambda: 1)


def test_a_damaged_bound_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / f"{SIGNER}.nonce").write_text("")
    with pytest.raises(IntegrityError, match="not a number"):
        NonceSource(tmp_path, SIGNER, lambda: 1)


@given(
    st.lists(st.tuples(st.integers(1, 60), st.floats(0, 5), st.booleans()), min_size=1, max_size=150),
    st.sampled_from([(1200, 400), (600, 100), (1200, 1100)]),
)
def test_no_minute_sees_more_than_the_limit(requests: list[tuple[int, float, bool]], limit: tuple[int, int]) -> None:
    clock = Clock()
    limiter = WeightLimiter(*limit, clock=clock, sleep=clock.sleep)
    spent = []
    for weight, pause, is_action in requests:
        clock.now += pause
        limiter.spend(weight, is_action=is_action)
        spent.append((clock.now, weight))
    for start, _ in spent:
        assert sum(weight for at, weight in spent if start <= at < start + 60) <= limit[0] + 1e-6


def test_the_weight_of_an_answer_delays_the_next_question() -> None:
    clock = Clock()
    limiter = WeightLimiter(1200, 400, clock=clock, sleep=clock.sleep)
    limiter.spend(20)
    limiter.charge(600)
    before = clock.now
    limiter.spend(20)
    assert clock.now - before == pytest.approx((20 + RESERVED_FOR_ACTIONS + 220) / (800 / 60), abs=1e-3)


def test_questions_leave_room_for_actions() -> None:
    clock = Clock()
    limiter = WeightLimiter(1200, 400, clock=clock, sleep=clock.sleep)
    while clock.now == 1_000.0:
        limiter.spend(20)
    before = clock.now
    limiter.spend(20, is_action=True)
    assert clock.now == before


def test_an_address_over_its_limit_sends_one_action_in_eleven_seconds() -> None:
    clock = Clock()
    budget = AddressBudget(clock=clock, sleep=clock.sleep)
    budget.learn(used=9_999, volume_usd=0)
    sent = []
    for _ in range(4):
        budget.spend(1)
        sent.append(clock.now)
    assert sent[0] == sent[1]  # the last of the budget, and the first beyond it
    assert [b - a for a, b in itertools.pairwise(sent[1:])] == pytest.approx([OVER_LIMIT_SECONDS] * 2)
    assert budget.left(is_cancel=True) > 0  # cancels may go on


def test_waiters_beyond_the_limit_do_not_starve_each_other() -> None:
    clock, lock, sent = Clock(), threading.Lock(), []
    budget = AddressBudget(clock=clock, sleep=clock.sleep)
    budget.learn(used=10_000, volume_usd=0)

    def send() -> None:
        budget.spend(1)
        with lock:
            sent.append(clock.now)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(sent) == 4
    assert max(sent) - 1_000.0 == pytest.approx(3 * OVER_LIMIT_SECONDS)


@pytest.mark.parametrize(
    ("network", "url", "message"),
    [
        ("mainnet", "http://127.0.0.1:4000", "is not https://api.hyperliquid.xyz"),
        ("mainnet", "https://api.hyperliquid-testnet.xyz", "is not https://api.hyperliquid.xyz"),
        ("mainnet", "http://api.hyperliquid.xyz", "is not https"),
        ("testnet", "https://api.hyperliquid.xyz", "is not https://api.hyperliquid-testnet.xyz"),
        ("simulator", "https://api.hyperliquid.xyz", "is a public venue"),
        ("simulator", "", "not a base URL"),
        ("simulator", "http://127.0.0.1:4000/", "not a base URL"),
        ("simulator", "http://u:p@127.0.0.1", "not a base URL"),
    ],
)
def test_a_url_of_another_network_is_refused(network: str, url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        VenueSpec(network, ACCOUNT, url)  # type: ignore[arg-type]


def test_each_network_has_its_url_and_only_mainnet_signs_for_mainnet() -> None:
    assert VenueSpec("mainnet", ACCOUNT).base_url == "https://api.hyperliquid.xyz"
    assert VenueSpec("testnet", ACCOUNT).base_url == "https://api.hyperliquid-testnet.xyz"
    specs = [VenueSpec("mainnet", ACCOUNT), VenueSpec("testnet", ACCOUNT), VenueSpec("simulator", ACCOUNT, "http://h")]
    assert [spec.is_mainnet for spec in specs] == [True, False, False]
    assert VenueSpec("testnet", ACCOUNT.upper().replace("0X", "0x")).account_address == ACCOUNT


def test_a_burst_must_fit_into_the_minute() -> None:
    with pytest.raises(InputError, match="does not fit"):
        Limits(ip_weight_per_minute=100, ip_burst_weight=100)
