"""The policy: read strictly, kept version by version, and a step that only takes away."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quant_organism.backtest.account import AccountClose, Restraint, plan
from quant_organism.errors import InputError, IntegrityError
from quant_organism.trading import CloseStanding, Pipeline, TradeDecision
from quant_organism.trading.policy import Policy, PolicyVersion
from quant_organism.trading.policy_step import PolicyStep
from quant_organism.trading.policy_store import FilePolicyStore
from quant_organism.trading.records import Mode
from quant_organism_tests.backtest.account.accounts import CLOSE_MS, account_at, close_at

UNITS = {("s", "m", "BTC"): 1e-6, ("s", "m", "ETH"): 6e-5, ("t", "m", "ETH"): -2e-5}


def decided(strategy: str, symbol: str, *, kind: str = "enter", confidence: float = 0.6) -> TradeDecision:
    """Return a decision."""
    return TradeDecision(
        session=1, close_ms=CLOSE_MS, decision_id=f"{strategy} {symbol} {kind}", strategy=strategy, symbol=symbol,
        role="trades", kind=kind, side="LONG", confidence=confidence, size_usd=100.0, target=0.1, before=0.0,
        reference_price=1.0, stop_price=None, take_profit_price=None, regime="", risk_mode="", expires_ms=CLOSE_MS + 1,
        cloid="", correlation_id="1", is_allowed=True, reason="",
    )  # type: ignore[arg-type] # fmt: skip


DECISIONS = (decided("s", "BTC"), decided("s", "ETH", confidence=0.9), decided("t", "ETH", kind="exit"))


def standing(*, mode: Mode = "paper", close: AccountClose | None = None) -> CloseStanding:
    """Return a close of an account of 1,000 USD."""
    shares = {"s": 0.25, "t": 0.25}
    known = replace(close or close_at(UNITS), shares=shares)
    return CloseStanding(1, mode, known, account_at(1_000.0, scale=4.0), DECISIONS, 3_600_000)


def step_of(policy: Policy | None) -> PolicyStep:
    version = policy and PolicyVersion(number=1, at_ms=0, author="a", reason="", changes={}, before="", policy=policy)
    return PolicyStep(lambda: version)


def judged(policy: Policy | None, *, mode: Mode = "paper"):  # type: ignore[no-untyped-def]
    return Pipeline([step_of(policy)]).judge(standing(mode=mode))


def test_a_free_policy_takes_nothing_away() -> None:
    left = judged(Policy())
    assert (left.shares, left.restraint, left.barred, left.refused, left.verdicts) == (
        {"s": 0.25, "t": 0.25}, Restraint(), frozenset(), {}, ()
    )  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "mode", "barred"),
    [
        (None, "paper", 0),
        (None, "testnet", 6),
        (None, "mainnet", 6),
        (Policy(), "mainnet", 6),
        (Policy(allowed_venues=("mainnet",)), "mainnet", 0),
        (Policy(allowed_strategies=("s",)), "paper", 3),
        (Policy(blocked_strategies=("s",)), "paper", 3),
        (Policy(allowed_symbols=("BTC",)), "paper", 4),
        (Policy(blocked_symbols=("BTC",)), "paper", 2),
        (Policy(order_types=()), "paper", 6),
        (Policy(valid_until=datetime(2020, 1, 1, tzinfo=UTC)), "paper", 6),
        (Policy(valid_from=datetime(2030, 1, 1, tzinfo=UTC)), "paper", 6),
        (Policy(valid_from=datetime(2020, 1, 1, tzinfo=UTC), valid_until=datetime(2030, 1, 1, tzinfo=UTC)), "paper", 0),
    ],
)
def test_who_may_enter_where_and_when(policy: Policy | None, mode: Mode, barred: int) -> None:
    left = judged(policy, mode=mode)
    assert len(left.barred) == barred
    assert bool(left.verdicts) == bool(barred)
    assert "t ETH exit" not in left.refused


def test_an_entry_below_the_least_confidence_is_refused_with_both_numbers() -> None:
    left = judged(Policy(minimum_confidence=0.7))
    assert left.barred == {("s", "BTC")}
    (verdict,) = left.verdicts
    assert (verdict.decision_id, verdict.number, verdict.bound) == ("s BTC enter", 0.6, 0.7)


def test_no_more_entries_pass_than_orders_a_minute() -> None:
    assert judged(Policy(max_orders_per_minute=1)).barred == {("s", "ETH")}
    assert judged(Policy(max_orders_per_minute=2)).barred == frozenset()


def test_a_defensive_mode_halves_and_an_aggressive_one_goes_no_further_than_the_rules() -> None:
    assert judged(Policy(risk_mode="defensive")).restraint == Restraint(0.5, 0.5)
    assert judged(Policy(risk_mode="aggressive")).restraint == Restraint()


def test_a_cap_of_a_strategy_is_the_most_of_its_share() -> None:
    assert judged(Policy(strategy_caps={"s": 0.1, "t": 0.9})).shares == {"s": 0.1, "t": 0.25}


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 2.0), st.floats(0.0, 2.0), st.floats(-1e-4, 1e-4), st.floats(-1e-3, 1e-3))
@example(gross=0.0617285271884114, net=2.0, btc=-4.469991926645581e-07, eth=-2.0392090334320692e-05)
def test_gross_and_net_stay_within_the_policy(gross: float, net: float, btc: float, eth: float) -> None:
    close = close_at({("s", "m", "BTC"): btc, ("s", "m", "ETH"): eth, ("t", "m", "ETH"): -eth / 3})
    seen = standing(close=close)
    left = Pipeline([step_of(Policy(max_gross=gross, max_net=net))]).judge(seen)
    made = plan(seen.account, replace(seen.close, restraint=left.restraint))
    worth = [lots * made.marks[symbol] for symbol, lots in made.targets.items()]
    lot = max(made.marks.values())
    assert sum(map(abs, worth)) <= gross * made.risk.equity * (1 + 1e-9)
    assert abs(sum(worth)) <= net * made.risk.equity * (1 + 1e-9) + lot


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("risk_mod: normal", "did you mean risk_mode?"),
        ("risk_mode: wild", "risk_mode"),
        ("minimum_confidence: '0.7'", "minimum_confidence"),
        ("minimum_confidence: 1.5", "minimum_confidence"),
        ("max_gross: 2.5", "max_gross"),
        ("max_orders_per_minute: 1.5", "max_orders_per_minute"),
        ("valid_from: 2026-01-01T00:00:00", "valid_from"),
        ("valid_from: 2026-01-02T00:00:00Z\nvalid_until: 2026-01-01T00:00:00Z", "valid_from is not before"),
        ("allowed_venues: [moon]", "allowed_venues"),
        ("strategy_caps: {s: 2}", "strategy_caps"),
        ("- a list", "not a mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        Policy.read(path)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    policy = Policy(
        risk_mode="defensive", blocked_symbols=("BTC",), valid_from=datetime(2026, 1, 1, tzinfo=UTC), max_net=0.5
    )
    text, document = tmp_path / "p.yaml", tmp_path / "p.json"
    text.write_text("risk_mode: defensive\nblocked_symbols: [BTC]\nvalid_from: 2026-01-01T00:00:00Z\nmax_net: 0.5\n")
    document.write_text(policy.model_dump_json())
    assert Policy.read(text) == Policy.read(document) == policy == Policy.of(policy.to_json())


def test_every_change_is_kept_with_who_when_and_what(tmp_path: Path) -> None:
    store = FilePolicyStore(tmp_path / "policies")
    assert store.current() is None
    store.put(Policy(risk_mode="defensive"), author="ada", reason="news", at_ms=1)
    store.put(Policy(risk_mode="defensive", max_net=0.5), author="ben", reason="", at_ms=2, after=1)
    assert store.put(Policy(risk_mode="defensive", max_net=0.5), author="cy", reason="", at_ms=3).number == 2
    first, second = store.history()
    assert (first.author, first.at_ms, first.changes) == ("ada", 1, {"risk_mode": ("normal", "defensive")})
    assert (second.author, second.at_ms, second.changes) == ("ben", 2, {"max_net": (2.0, 0.5)})
    assert store.current() == second
    with pytest.raises(InputError, match="version 2 is in force"):
        store.put(Policy(), author="ada", reason="", at_ms=4, after=1)


def test_what_was_changed_behind_its_back_is_seen(tmp_path: Path) -> None:
    store = FilePolicyStore(tmp_path)
    for number in range(1, 4):
        store.put(Policy(max_orders_per_minute=number), author="ada", reason="", at_ms=number)
    path = tmp_path / "000002.json"
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b'"ada"', b'"eve"'))
    with pytest.raises(IntegrityError, match="does not follow"):
        store.history()
    path.unlink()
    with pytest.raises(IntegrityError, match="does not follow"):
        store.history()
    (tmp_path / "000003.json").write_text("{")
    with pytest.raises(IntegrityError, match="not a policy's version"):
        store.current()


def _put_many(folder: Path, author: str) -> None:
    store = FilePolicyStore(folder)
    for number in range(10):
        store.put(Policy(blocked_symbols=(author, str(number))), author=author, reason="", at_ms=number)


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would inherit the locks that other threads hold
    started = [context.Process(target=_put_many, args=(tmp_path, author), daemon=True) for author in ("ada", "ben")]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0, 0]
    versions = FilePolicyStore(tmp_path).history()
    assert len(versions) == 20
    assert {(version.author, version.at_ms) for version in versions} == {
        (author, number) for author in ("ada", "ben") for number in range(10)
    }
