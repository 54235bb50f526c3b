"""From a decision to its effect on a trader at its next close; a rejected, stale or looser one does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from quant_organism.deployment.booking import append_rows, read_rows
from quant_organism.deployment.decisions import DeploymentDecision, Figure, book_decisions, decide
from quant_organism.deployment.effects import ACCOUNT
from quant_organism.deployment.tables import DecisionActionTable, DecisionAnswerTable
from quant_organism.market import Interval, Lake
from quant_organism.trading.decided import ENGINE, CarriedOut, carry_out
from quant_organism.trading.guard import Governor
from quant_organism.trading.kill import flag_raised, kill_file, lower_flag
from quant_organism.trading.pipeline import Pipeline
from quant_organism.trading.policy import Policy
from quant_organism.trading.policy_step import PolicyStep
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.records import LedgerOrder, StepVerdict
from quant_organism.trading.replaying import panel_bars, replay_session
from quant_organism.trading.runtime import Trader
from quant_organism_tests.trading.sessions import START, ledger, market, spec, strategy

DAY = date(2026, 5, 6)
NEXT = datetime(2026, 5, 7, 1, tzinfo=UTC)
HOUR = Interval.parse("1h")
STOP = decide("emergency_stop", ACCOUNT, {"liquidations": Figure(1.0)}, DAY)
NO_SCALPING = decide("session", ACCOUNT, {}, DAY)
FAST = {"latency_p99_ms": Figure(9.0), "spread_share": Figure(0.01), "turbulent": Figure(0.0)}
FALLING = decide("risk_adjustment", ACCOUNT, {"drawdown": Figure(0.08)}, DAY, in_force="normal")


@dataclass
class Folder:
    """A data folder with decisions, policies and a kill switch."""

    root: Path
    lake: Lake = field(init=False)

    def __post_init__(self) -> None:
        self.lake = Lake(self.root / "lake")

    @property
    def policies(self) -> FilePolicyStore:
        """Its policies."""
        return FilePolicyStore(policy_folder(self.root))

    def book(self, decision: DeploymentDecision, answer: str = "") -> None:
        """Enter a decision, and a person's answer to it."""
        book_decisions(self.lake, [decision], decision.day, market="made", interval=HOUR)
        if answer:
            given = {"id": decision.id, "answer": answer, "reason": "", "at": "", "outcome": ""}
            append_rows(self.lake, DecisionAnswerTable, [given], decision.day, market="made", interval="1h")

    def carry_out(self, now: datetime = NEXT) -> list[CarriedOut]:
        """Carry out what acts now."""
        return carry_out(self.root, market="made", interval=HOUR, now=now)

    def done(self) -> list[tuple[str, str, str]]:
        """Return the records of what was done."""
        rows = read_rows(self.lake, DecisionActionTable, market="made", interval="1h")
        return list(rows.select("id", "by", "what").iter_rows())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return a folder with a free policy in force."""
    made = Folder(tmp_path)
    made.policies.put(Policy(max_gross=1.5), author="me", reason="", at_ms=0)
    return made


def traded(folder: Folder, at_half: Callable[[], None], session: str = "scalping") -> Trader:
    """Trade a document for 200 closes under the folder's policies and kill switch; half-way something happens."""
    panel = market(days=70)

    def pipeline() -> Pipeline:
        flag = Governor(lambda: flag_raised(kill_file(folder.root)))
        return Pipeline([PolicyStep(folder.policies.current, session), flag])

    own = spec(panel, [(strategy(), "trades")], pipeline=pipeline)
    book = ledger(folder.root)
    trader = replay_session(book, own, panel, START, started_ms=0, closes=100)
    assert trader.main.account.positions
    at_half()
    for place, bar in enumerate(panel_bars(panel, trader.main.execution.model, START)):  # type: ignore[attr-defined]
        if 100 <= place < 200:
            trader.on_bar(bar)
    book.close()
    return trader


def test_an_emergency_stop_has_the_trader_flat_at_its_next_close_until_a_person_rearms(folder: Folder) -> None:
    folder.book(STOP)

    def stop() -> None:
        assert folder.carry_out() == [CarriedOut(STOP.id, "emergency_stop", "the flag of the kill switch is raised")]

    trader = traded(folder, stop)
    assert trader.main.account.positions == {}
    flag = flag_raised(kill_file(folder.root))
    assert flag is not None
    assert (flag.reason, flag.at_ms) == (f"decision {STOP.id}: liquidated", int(NEXT.timestamp() * 1000))
    assert folder.done() == [(STOP.id, ENGINE, "the flag of the kill switch is raised")]
    lower_flag(kill_file(folder.root))
    assert folder.carry_out() == []  # a person has rearmed, and the same decision does not stop it again
    assert flag_raised(kill_file(folder.root)) is None


def test_sessions_that_may_not_enter_do_not_from_the_next_close_on(folder: Folder) -> None:
    folder.book(NO_SCALPING)
    trader = traded(folder, lambda: _assert_done(folder, "policy 2 is in force"))
    current = folder.policies.current()
    assert current is not None
    assert (current.policy.blocked_sessions, current.policy.max_gross) == (("scalping",), 1.5)
    assert (current.author, current.reason) == (ENGINE, f"decision {NO_SCALPING.id}: otherwise")
    reopened = ledger(folder.root)
    barred = [each for each in reopened.read(StepVerdict) if each.reason == "scalping sessions may not enter"]
    closes = sorted({each.close_ms for each in barred})
    assert len(closes) == 100
    assert closes[-1] == trader.last_close_ms  # every close since, and none before
    entered = [each for each in reopened.read(LedgerOrder) if each.close_ms >= closes[0] and not each.reduces]
    assert [each for each in entered if each.kind == "ioc"] == []
    reopened.close()
    other = Folder(folder.root / "other")
    other.policies.put(Policy(blocked_sessions=("scalping",)), author="me", reason="", at_ms=0)
    free = traded(other, lambda: None, session="intraday")
    assert free.main.account.positions  # another profile is free


def _assert_done(folder: Folder, what: str) -> None:
    assert [each.what for each in folder.carry_out()] == [what]


def test_a_session_is_let_in_again_by_whoever_shut_it_out(folder: Folder) -> None:
    folder.book(NO_SCALPING)
    folder.carry_out()
    again = decide("session", ACCOUNT, FAST, DAY + timedelta(days=1))
    folder.book(again)
    assert [each.what for each in folder.carry_out(NEXT + timedelta(days=1))] == ["policy 3 is in force"]
    current = folder.policies.current()
    assert current is not None
    assert current.policy.blocked_sessions == ()
    folder.policies.put(Policy(blocked_sessions=("scalping",)), author="me", reason="not this week", at_ms=1)
    later = decide("session", ACCOUNT, FAST, DAY + timedelta(days=2))
    folder.book(later)
    assert folder.carry_out(NEXT + timedelta(days=2)) == []  # a person has said so


def test_a_stricter_risk_mode_is_put_in_force_once_and_a_looser_one_is_not(folder: Folder) -> None:
    folder.book(FALLING)
    assert [each.what for each in folder.carry_out()] == ["policy 2 is in force"]
    current = folder.policies.current()
    assert current is not None
    assert (current.policy.risk_mode, current.policy.max_gross) == ("defensive", 1.5)
    assert folder.carry_out() == []
    up = decide("risk_adjustment", ACCOUNT, {"drawdown": Figure(0.0)}, DAY + timedelta(days=1), in_force="defensive")
    assert up.needs_person
    folder.book(up)
    assert folder.carry_out(NEXT + timedelta(days=1)) == []
    same = decide("risk_adjustment", ACCOUNT, {"drawdown": Figure(0.0)}, DAY + timedelta(days=2), in_force="normal")
    folder.book(same)  # decided while another policy was in force
    assert folder.carry_out(NEXT + timedelta(days=2)) == []
    assert folder.policies.current() == current


@pytest.mark.parametrize("decision", [STOP, NO_SCALPING, FALLING], ids=lambda each: str(each.type))
@pytest.mark.parametrize(
    ("answer", "now"),
    [("reject", NEXT), ("", NEXT + timedelta(days=3)), ("", NEXT - timedelta(days=2))],
    ids=["rejected", "stale", "not yet"],
)
def test_what_does_not_act_does_nothing(
    folder: Folder, decision: DeploymentDecision, answer: str, now: datetime
) -> None:
    folder.book(decision, answer)
    before = folder.policies.current()
    assert folder.carry_out(now) == []
    assert folder.policies.current() == before
    assert flag_raised(kill_file(folder.root)) is None
    assert folder.done() == []


def test_without_a_policy_none_is_made(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for decision in (NO_SCALPING, FALLING):
        folder.book(decision)
    assert folder.carry_out() == []
    assert folder.policies.current() is None


def test_nothing_enters_a_session_that_is_blocked(folder: Folder) -> None:
    folder.policies.put(Policy(blocked_sessions=("scalping",)), author="me", reason="", at_ms=0)
    panel = market(days=70)
    own = spec(
        panel,
        [(strategy(), "trades")],
        pipeline=lambda: Pipeline([PolicyStep(folder.policies.current, "scalping")]),
    )
    book = ledger(folder.root)
    trader = replay_session(book, own, panel, START, started_ms=0, closes=100)
    assert trader.main.account.positions == {}
    book.close()
