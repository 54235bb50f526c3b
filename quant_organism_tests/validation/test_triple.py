"""Triple validation: three stages with fixed weights; what did not run adds nothing and is named."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from quant_organism.deployment.records import StageEvidence
from quant_organism.errors import InputError
from quant_organism.market.schema import format_ms
from quant_organism.market.splits import Span
from quant_organism.validation import triple
from quant_organism.validation.account_replay import PeriodAccount
from quant_organism.validation.case import Case
from quant_organism.validation.gates import replay as replay_gates
from quant_organism.validation.gates.replay import SecondOpinionOnBooks, TradeParity
from quant_organism.validation.gauntlet import run_gauntlet
from quant_organism.validation.profile import Profile
from quant_organism.validation.replay import Replay
from quant_organism.validation.replay_records import modes_of, replays_frame
from quant_organism.validation.replay_store import ReplayStore
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.tables import ReplayTable
from quant_organism.validation.triple import NO_VENUE, periods_of, score_backtest, score_replay, triple_score
from quant_organism_tests.chain import edge, grounds_of

GOOD = {"sharpe": 2.0, "max_drawdown": 0.1, "win_rate": 0.5}
PROFILE = Profile.of(
    {
        "name": "replays",
        "shadow": [
            {"gate": "backtest", "metric": "sharpe", "span": "holdout", "at_least": 0.5},
            {"gate": "trade_parity", "mode": "minimal"},
        ],
        "paper": [
            {"gate": "backtest", "metric": "sharpe", "span": "holdout", "at_least": 0.5},
            {"gate": "trade_parity", "mode": "fast"},
            {"gate": "replay_sharpe", "mode": "fast"},
            {"gate": "replay_consistency", "mode": "fast"},
            {"gate": "triple_validation", "mode": "fast"},
        ],
        "information": [{"gate": "testnet_orders"}],
    }
)


def made_accounts(sharpe, total_return, backtest_hash="h2") -> tuple[PeriodAccount, ...]:
    """Return accounts of three periods."""
    figures = zip(sharpe, total_return, strict=True)
    return tuple(PeriodAccount(ratio, gained, 5, "h2", backtest_hash, "") for ratio, gained in figures)


def made_replay(**changes) -> Replay:
    """Return a replay of three periods that all gained."""
    spans = tuple(Span(f"period {k + 1}", 24 * k, 24 * k + 24) for k in range(3))
    replay = Replay(
        periods=spans,
        begins=(0, 1, 2),
        sharpe=(1.0, 2.0, 0.6),
        total_return=(0.1, 0.1, 0.1),
        accounts=made_accounts((1.0, 2.0, 0.6), (0.1, 0.1, 0.1)),
        trades=(5, 5, 5),
        equal=3,
        compared=3,
        trade_hash="ab" * 32,
        difference="",
    )
    return replace(replay, **changes)


def test_the_backtests_score_is_the_mean_of_how_far_each_bound_is_reached() -> None:
    assert score_backtest(GOOD) == 1.0
    assert score_backtest({"sharpe": 0.5, "max_drawdown": 0.3, "win_rate": 0.2}) == pytest.approx(0.5)
    assert score_backtest({"sharpe": -1.0, "max_drawdown": 0.15, "win_rate": math.nan}) == pytest.approx(1 / 3)


def test_the_replays_score_is_that_of_sharpe_ratio_and_consistency() -> None:
    assert score_replay(made_replay()) == 1.0
    one_of_three = made_replay(accounts=made_accounts((1.2, math.nan, 0.0), (0.1, 0.0, 0.0)))
    assert one_of_three.mean_sharpe == pytest.approx(0.4)
    assert one_of_three.consistency == pytest.approx(1 / 3)
    assert score_replay(one_of_three) == pytest.approx(0.5 * (0.5 + 1 / 3 / 0.6))


def test_where_trades_differ_the_replay_is_worth_nothing() -> None:
    assert score_replay(made_replay(equal=2, difference="trade 1: ...")) == 0.0
    assert score_replay(made_replay(accounts=made_accounts((1.0,) * 3, (0.1,) * 3, "other"))) == 0.0


def test_a_stage_that_did_not_run_adds_nothing_and_the_weights_stay() -> None:
    whole = triple_score(GOOD, made_replay(), 0.5)
    assert (whole.overall, whole.attainable) == (pytest.approx(1.0), pytest.approx(1.0))
    without = triple_score(GOOD, made_replay(), NO_VENUE)
    assert without.overall == pytest.approx(0.8)
    assert without.sentence == (
        "0.80 of at most 0.8: backtest 1.00, replay 1.00, testnet not run (no venue configured)"
    )
    alone = triple_score(GOOD, NotRun("too short"), NO_VENUE)
    assert (alone.overall, alone.attainable) == (pytest.approx(0.5), pytest.approx(0.5))
    nothing = triple_score(GOOD | {"sharpe": math.nan}, NotRun("too short"), NO_VENUE)
    assert nothing.sentence.startswith("0.00 of at most 0.0: backtest not run (nothing was traded)")


def test_weights_sum_to_one() -> None:
    assert math.fsum(triple.WEIGHTS.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("mode", "count", "days"), [("minimal", 1, 14), ("fast", 3, 7), ("full", 3, 40)])
def test_modes_replay_the_last_unseen_days(mode: triple.Mode, count: int, days: int) -> None:
    span = Span("unseen", 1_000, 1_000 + 120 * 24 + 7)
    found = periods_of(mode, span, 24)
    assert not isinstance(found, NotRun)
    assert [len(period) for period in found] == [days * 24] * count
    assert found[-1].stop == span.stop
    assert all(a.stop == b.start for a, b in pairwise(found))


@pytest.fixture(scope="module")
def looked_at():
    """Return grounds of a market with an edge, and the review of its candidate."""
    found = edge()
    grounds = grounds_of(found.search.candidates, found.panel, found.splits, trials=found.search.search.trials)
    return grounds, run_gauntlet(grounds, PROFILE)


def test_gates_tell_what_the_replay_showed(looked_at) -> None:
    _, (review,) = looked_at
    found = {(judgement.verdict.gate, judgement.goals): judgement.verdict for judgement in review.judgements}
    parity = found["trade_parity", ("shadow",)]
    members = len(review.candidate.committee.members)
    assert (parity.status, parity.value, parity.threshold) == ("passed", 1.0, 1.0)
    assert parity.reason.startswith(f"trades equal the backtest's in {members} of {members} replays, hash ")
    assert "; orders of its account in 1 of 1 periods, hash " in parity.reason
    assert found["trade_parity", ("paper",)].reason.startswith(f"trades equal the backtest's in {3 * members} of")
    assert found["replay_sharpe", ("paper",)].value > 0.8
    score = found["triple_validation", ("paper",)]
    assert score.status == "passed"
    assert "of at most 0.8: " in score.reason
    assert "testnet not run (no venue configured)" in score.reason
    testnet = found["testnet_orders", ()]
    assert (testnet.status, testnet.reason) == ("not_run", "no venue configured")
    assert review.standing == "paper"


def test_the_hash_goes_into_the_evidence_of_documents(looked_at) -> None:
    _, (review,) = looked_at
    stage = [j.verdict for j in review.judgements if j.verdict.stage == "replay" and "paper" in j.goals]
    evidence = StageEvidence.of(stage, {})
    assert evidence.status == "passed"
    assert "hash " in evidence.reason


def test_replays_are_one_look_together_with_the_backtest(looked_at) -> None:
    grounds, _ = looked_at
    assert grounds.register.frame(grounds.panel.market)["event"].to_list() == ["opened", "read"]


def test_replays_are_kept_as_rows_of_a_known_schema(looked_at, tmp_path: Path) -> None:
    grounds, (review,) = looked_at
    kept = replace(grounds, replays=ReplayStore(tmp_path))
    kept.admit(grounds.admitted)
    frame = replays_frame([Case(review.candidate, kept)], modes_of(PROFILE))
    assert frame.schema == pl.Schema(ReplayTable.schema)
    assert frame["mode"].to_list() == ["minimal", "fast", "fast", "fast"]
    assert frame["trade_hash"].n_unique() == 2
    again = replays_frame([Case(review.candidate, kept)], modes_of(PROFILE))
    assert again.equals(frame)
    assert replays_frame([], ["fast"]).schema == pl.Schema(ReplayTable.schema)


def test_profiles_refuse_what_makes_no_sense() -> None:
    def profile(**gate):
        return {"name": "x", "shadow": [gate]}

    with pytest.raises(InputError, match="mode"):
        Profile.of(profile(gate="trade_parity", mode="slow"))
    with pytest.raises(InputError, match="at_least"):
        Profile.of(profile(gate="replay_consistency", at_least=1.5))


@pytest.mark.parametrize("name", ["light", "full", "strict"])
def test_shipped_profiles_promote_nobody_whose_trades_were_not_compared(name: str) -> None:
    loaded = Profile.load(name)
    for goal in (loaded.shadow, loaded.paper):
        assert not goal or any(gate.kind == "trade_parity" for gate in goal)


def test_replays_that_differ_fail_with_their_share(looked_at) -> None:
    grounds, (review,) = looked_at
    case, gate = Case(review.candidate, grounds), TradeParity(mode="minimal")
    half = made_replay(equal=2, compared=4, difference="period 1, trade 1: ...")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(replay_gates, "replay_of", lambda *_: half)
        verdict = gate.judge(case)
    assert (verdict.status, verdict.value, verdict.n_used) == ("failed", 5 / 7, 15)
    assert verdict.reason == (
        "trades equal the backtest's in 2 of 4 replays, orders of its account in 3 of 3 periods; period 1, trade 1: ..."
    )


def test_vectorbt_books_the_fills_of_the_unseen_days_to_the_same_equity(looked_at) -> None:
    grounds, (review,) = looked_at
    case, gate = Case(review.candidate, grounds), SecondOpinionOnBooks()
    fills = len(case.account().path.fills)
    verdict = gate.judge(case)
    assert (verdict.stage, verdict.status, verdict.n_used) == ("replay", "passed", fills)
    assert verdict.value <= verdict.threshold == 1e-9
    assert verdict.reason == f"vectorbt books {fills:,} fills of 10,000 USD to the same equity"
    booked = case.account().path
    changed = booked.equity.copy()
    changed[-1] += 1_000
    with pytest.MonkeyPatch.context() as patched:
        wrong = replace(case.account(), path=replace(booked, equity=changed))
        patched.setitem(vars(grounds), "accounts", (wrong,))
        verdict = gate.judge(case)
    assert verdict.status == "failed"
    assert f"otherwise: at the close of {format_ms(int(booked.times[-1]))} its books say " in verdict.reason
