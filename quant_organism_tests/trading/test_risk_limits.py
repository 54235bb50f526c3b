"""Limits of a policy: never looser than their ceilings, and met earlier by account, portfolio and trader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.backtest.account import AccountRules, RiskState
from quant_organism.backtest.account.limits import at_close
from quant_organism.errors import InputError, IntegrityError
from quant_organism.market import MS_PER_HOUR
from quant_organism.trading.guard import Governor
from quant_organism.trading.kill import flag_raised, kill_file, lower_flag, raise_flag
from quant_organism.trading.lanes import rules_for
from quant_organism.trading.pipeline import Pipeline
from quant_organism.trading.policy import Policy, PolicyVersion, changes_between
from quant_organism.trading.policy_step import PolicyStep
from quant_organism.trading.policy_store import FilePolicyStore
from quant_organism.trading.reading import LedgerReader
from quant_organism.trading.records import LedgerBreaker, LedgerPlan
from quant_organism.trading.replaying import replay_session
from quant_organism.trading.risk_limits import RiskLimits
from quant_organism.trading.runtime import Trader
from quant_organism_tests.trading.sessions import START, ledger, market, spec, strategy

CEILINGS = RiskLimits()
NAMES = sorted(RiskLimits.model_fields)
OF_RULES = sorted(RiskLimits.model_fields.keys() & set(AccountRules._fields))


def ceiling(name: str) -> float:
    """Return the ceiling of a limit."""
    return float(getattr(CEILINGS, name))


@st.composite
def limits(draw: st.DrawFn) -> RiskLimits:
    """Return limits of any tightness, some left at their ceilings."""
    parts = {name: draw(st.none() | st.floats(1e-4, 1.0)) for name in NAMES}
    drawn = {name: part * ceiling(name) for name, part in parts.items() if part is not None and name != "least_score"}
    if (part := parts["least_score"]) is not None:
        drawn["least_score"] = max(part, ceiling("least_score"))
    return RiskLimits(**drawn)


@given(limits(), limits())
def test_no_limit_passes_its_ceiling_and_none_gives_back_what_another_has_taken(
    one: RiskLimits, two: RiskLimits
) -> None:
    assert one.is_within(CEILINGS)
    assert CEILINGS.is_within(one) == (one == CEILINGS)
    for start in (AccountRules(), AccountRules.alone()):
        tight = one.within(start).checked()
        both = two.within(tight).checked()
        for name in OF_RULES:
            assert getattr(both, name) <= getattr(tight, name) <= min(getattr(start, name), getattr(one, name))
        assert both.restore_below <= tight.restore_below <= start.restore_below
        untouched = set(AccountRules._fields) - {*OF_RULES, "restore_below"}
        assert all(getattr(both, name) == getattr(start, name) for name in untouched)
        assert CEILINGS.within(start) == start


@given(st.sampled_from(NAMES), st.floats(1e-9, 1e9))
def test_a_looser_limit_is_refused_by_its_name_with_its_ceiling(name: str, more: float) -> None:
    looser = ceiling(name) - more if name == "least_score" else ceiling(name) + more
    with pytest.raises(InputError) as refused:
        Policy.of({"limits": {name: looser}}, where="policy.yaml")
    assert f"policy.yaml: limits.{name}" in str(refused.value)
    assert f"looser than its ceiling of {ceiling(name):g}: give " in str(refused.value)
    assert f"found {looser!r}" in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"halv_at": 0.04}, "did you mean halve_at?"),
        ({"halve_at": 0.0}, "limits.halve_at"),
        ({"halve_at": "0.04"}, "limits.halve_at"),
        ({"flat_at": float("nan")}, "limits.flat_at"),
    ],
)
def test_a_limit_that_cannot_be_meant_is_refused_by_name(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as refused:
        Policy.of({"limits": fields})
    assert says in str(refused.value)


def test_a_version_that_was_loosened_in_its_file_is_refused_and_a_tighter_one_says_what_changed(tmp_path: Path) -> None:
    store = FilePolicyStore(tmp_path)
    tight = Policy(limits=RiskLimits(halve_at=0.04))
    version = store.put(tight, author="me", reason="", at_ms=0)
    assert version.changes == {"limits.halve_at": (0.05, 0.04)}
    assert changes_between(tight, Policy()) == {"limits.halve_at": (0.04, 0.05)}
    assert FilePolicyStore(tmp_path).current() == version
    (file,) = tmp_path.glob("*.json")
    fields = orjson.loads(file.read_bytes())
    fields["policy"]["limits"]["halve_at"] = 0.06
    file.write_bytes(orjson.dumps(fields))
    with pytest.raises(IntegrityError, match=r"halve_at") as refused:
        store.current()
    assert str(file) in str(refused.value)
    assert "nothing is entered" in str(refused.value)


@given(
    limits(),
    st.lists(st.floats(0.9, 1.1), min_size=1, max_size=40),
    st.lists(st.floats(-0.05, 0.05), max_size=40),
)
def test_from_where_an_account_stands_a_tighter_level_never_leaves_more(
    tight: RiskLimits, moves: list[float], gains: list[float]
) -> None:
    ceilings, equity = AccountRules(), 10_000_000_000
    risk = RiskState(time=0, equity=equity, base=equity, peak=equity, scale=1.0, gains=tuple(gains))
    own = tight.within(ceilings)
    for hour, move in enumerate(moves, start=1):
        equity = round(equity * move)
        told = {"time": hour * MS_PER_HOUR, "equity": equity, "maintenance": 0.0, "flat": False, "virtual_return": 0.0}
        free, held = (at_close(risk, rules, **told) for rules in (ceilings, own))  # type: ignore[arg-type]
        assert held.factor(own) <= free.factor(ceilings)
        assert held.entry(own) <= free.entry(ceilings)
        risk = free


@pytest.mark.parametrize(
    ("name", "value", "loss", "factor", "entry"),
    [
        ("halve_at", 0.02, 0.021, 0.5, 1.0),
        ("no_entries_at", 0.02, 0.021, 0.5, 0.0),
        ("flat_at", 0.02, 0.021, 0.0, 0.0),
        ("day_no_entries_at", 0.01, 0.011, 1.0, 0.0),
        ("day_flat_at", 0.02, 0.021, 0.0, 0.0),
        ("rapid_loss", 0.005, 0.006, 1.0, 0.0),
        ("tail_loss_at", 0.015, 0.0, 0.75, 0.0),
    ],
)
def test_each_tighter_level_fires_where_its_ceiling_does_not(
    name: str, value: float, loss: float, factor: float, entry: float
) -> None:
    equity, recent = 10_000_000_000, ((1, 10_000_000_000),) if name == "rapid_loss" else ()
    before = RiskState(time=1, equity=equity, base=equity, peak=equity, scale=1.0, recent=recent, tail=0.02)
    told = {"time": 60_001, "equity": round(equity * (1 - loss)), "maintenance": 0.0, "flat": False}
    own = RiskLimits(**{name: value}).within(AccountRules())
    free, held = (at_close(before, rules, virtual_return=0.0, **told) for rules in (AccountRules(), own))  # type: ignore[arg-type]
    assert (free.factor(AccountRules()), free.entry(AccountRules())) == (1.0, 1.0)
    assert (held.factor(own), held.entry(own)) == (pytest.approx(factor), entry)


def traded(
    folder: Path,
    policy: Callable[[], Policy] | None,
    closes: int | None = None,
    *,
    days: int = 15,
    governor: Callable[[], Governor] = lambda: Governor(lambda: None),
) -> tuple[Trader, list[LedgerPlan]]:
    """Trade a document over some days under a policy that is asked for at each close, and return its plans."""
    folder.mkdir(exist_ok=True)
    panel, book = market(days=60 + days), ledger(folder)

    def current() -> PolicyVersion | None:
        assert policy is not None
        return PolicyVersion(number=1, at_ms=0, author="a", reason="", changes={}, before="", policy=policy())

    def pipeline() -> Pipeline:
        return Pipeline([*([] if policy is None else [PolicyStep(current)]), governor()])

    own = spec(panel, [(strategy(), "trades")], pipeline=pipeline)
    try:
        trader = replay_session(book, own, panel, START, started_ms=0, closes=closes)
        return trader, book.read(LedgerPlan)
    finally:
        book.close()


def breakers(folder: Path) -> list[LedgerBreaker]:
    """Return what was written down of breakers, and hold the status of the session to the last of each."""
    reader = LedgerReader(folder / "ledger.sqlite")
    try:
        told = reader.read(LedgerBreaker)
        assert {each.name: each for each in told} == {each.name: each for each in reader.status().breakers}
        return list(told)
    finally:
        reader.close()


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trader, list[LedgerPlan]]:
    """Return a trader without a policy, and its plans."""
    return traded(tmp_path_factory.mktemp("free"), None)


def test_with_nothing_tightened_orders_are_those_without_a_policy(
    free: tuple[Trader, list[LedgerPlan]], tmp_path: Path
) -> None:
    for place, policy in enumerate((Policy(), Policy.of({"limits": CEILINGS.model_dump()}))):
        trader, plans = traded(tmp_path / str(place), lambda policy=policy: policy)  # type: ignore[misc]
        assert plans == free[1]
        assert trader.main.account.to_dict() == free[0].main.account.to_dict()


def test_a_tighter_level_halves_a_trader_at_the_first_close_that_reaches_it_and_restarts_keep_it(
    free: tuple[Trader, list[LedgerPlan]], tmp_path: Path
) -> None:
    drawn = [plan.drawdown for plan in free[1]]
    level = max(drawn) / 2
    assert 0.0 < level < CEILINGS.halve_at
    assert {plan.factor for plan in free[1]} == {1.0}
    first = next(place for place, drawdown in enumerate(drawn) if drawdown >= level)
    tight = Policy(limits=RiskLimits(halve_at=level))
    trader, plans = traded(tmp_path / "whole", lambda: tight)
    assert [plan.factor for plan in plans[: first + 1]] == [*[1.0] * first, 0.5]
    assert [plan.h2 for plan in plans[: first + 1]] == [plan.h2 for plan in free[1][: first + 1]]
    assert plans[-1].h2 != free[1][-1].h2
    assert trader.main.account.rules == tight.limits.within(rules_for(1))
    for closes in (first + 1, first + 2, None):
        again, resumed = traded(tmp_path / "parts", lambda: tight, closes)
    assert resumed == plans
    assert again.main.account.to_dict() == trader.main.account.to_dict()
    told = breakers(tmp_path / "whole")
    halved = [False, *(plan.factor < 1.0 for plan in plans)]
    turns = [plan.close_ms for plan, (before, now) in zip(plans, pairwise(halved), strict=True) if before != now]
    assert [each.close_ms for each in told] == turns
    assert [each.state for each in told] == [("open", "closed")[place % 2] for place in range(len(told))]
    assert told[0] == LedgerBreaker(
        session=1,
        close_ms=plans[first].close_ms,
        name="total drawdown",
        state="open",
        value=plans[first].drawdown,
        bound=level,
        reason="half size",
    )
    assert breakers(tmp_path / "parts") == told


def test_a_level_that_is_taken_back_binds_no_longer_than_its_policy(
    free: tuple[Trader, list[LedgerPlan]], tmp_path: Path
) -> None:
    asked = iter(range(10**6))
    tight, late = Policy(limits=RiskLimits(flat_at=1e-4)), len(free[1]) // 2
    trader, plans = traded(tmp_path, lambda: tight if next(asked) < late else Policy())
    assert 0.0 in [plan.factor for plan in plans[:late]]
    assert trader.main.account.rules == rules_for(1)
    assert replace(trader.main.account.risk, stopped=False).factor(rules_for(1)) > 0.0


@pytest.mark.parametrize("speaks", [True, False])
def test_where_orders_are_sent_a_stopped_account_waits_for_its_days_and_for_a_person(
    speaks: bool, tmp_path: Path
) -> None:
    path, tight = kill_file(tmp_path), Policy(limits=RiskLimits(flat_at=1e-4))

    def governor() -> Governor:
        return Governor(lambda: flag_raised(path), partial(raise_flag, path))

    _, begun = traded(tmp_path, lambda: tight, 120, days=22, governor=governor)
    assert begun[-1].is_stopped
    assert flag_raised(path) is not None
    if speaks:
        lower_flag(path)
    _, plans = traded(tmp_path, Policy, days=22, governor=governor)
    stopped = [place for place, plan in enumerate(plans) if plan.is_stopped]
    assert stopped == list(range(stopped[0], stopped[0] + len(stopped)))
    assert len(stopped) >= 14 * 24
    again = plans[stopped[-1] + 1 :]
    drawn = [(each.state, each.bound) for each in breakers(tmp_path) if each.name == "total drawdown"]
    assert drawn == [("open", 1e-4), ("open", CEILINGS.flat_at), ("half-open", CEILINGS.halve_at)]
    assert {plan.factor for plan in again} == {0.5}
    assert (flag_raised(path) is None) == speaks
    assert (len({plan.h2 for plan in again}) > 1) == speaks  # whether it has ordered anything since
