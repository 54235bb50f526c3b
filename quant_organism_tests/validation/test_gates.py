"""Gates pass only what was measured and reaches its bound; poor evidence has a defined answer."""

from dataclasses import replace

import numpy as np
import pytest

from quant_organism.backtest import CommitteeEvaluation
from quant_organism.errors import InputError
from quant_organism.evolution.sketch import SKETCH_BYTES, sketch
from quant_organism.validation.case import Case, SpanAccount
from quant_organism.validation.gates.overfitting import (
    BacktestOverfitting,
    DeflatedSharpe,
    HaircutSharpe,
    PredictiveAbility,
    TrialBudget,
    clusters_of,
    medoid_returns,
)
from quant_organism.validation.gates.significance import HoldoutMean, Luck
from quant_organism.validation.gates.thresholds import Backtest, PositiveWindows
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.trial_record import TrialRecord
from quant_organism.validation.verdict import at_least, at_most
from quant_organism_tests.chain import edge, grounds_of

SPANS = ("in_sample", "out_of_sample", "walk_forward", "holdout")
NOTHING = TrialRecord(np.empty((0, SKETCH_BYTES), dtype=np.int8), np.empty(0), (), (), 0)


def case_of(daily, *, record=None, why_idle="", **metrics) -> Case:
    """Return the case of a candidate whose sleeves and account earned these net returns in every span."""
    found = edge()
    daily = np.asarray(daily, dtype=np.float64)
    (candidate,) = found.search.candidates
    grounds = grounds_of([candidate], found.panel, found.splits, trials=found.search.search.trials)
    if record is not None:
        grounds = replace(grounds, read_trials=lambda: record)
    grounds.admit([candidate])
    measured = {name: np.array([value]) for name, value in ({"sharpe": 1.0, "trades": 50.0} | metrics).items()}
    days = np.arange(len(daily))
    done = CommitteeEvaluation(
        (candidate.committee,), measured | {"win_rate": np.array([0.5])}, days, *[daily[None]] * 2, daily
    )
    own = {"sharpe": 1.0, "sharpe_sleeves": 1.1, "tracking_error": 0.01} | metrics
    for span in SPANS:
        grounds.once(("measured", span), lambda: done)
        grounds.once(("executed", span), lambda: (SpanAccount(own, daily, why_idle),))
    return Case(candidate, grounds)


def steady(days: int, mean: float = 0.12) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0.0, 1.0, days)
    return noise - noise.mean() + mean


@pytest.mark.parametrize(("value", "status"), [(1.0, "passed"), (0.99, "failed"), (np.nan, "not_run")])
def test_a_lower_bound(value, status):
    assert at_least("in_sample", "sharpe", value, 1.0, 100).status == status


@pytest.mark.parametrize(("value", "status"), [(0.15, "passed"), (0.16, "failed"), (np.nan, "not_run")])
def test_an_upper_bound(value, status):
    assert at_most("in_sample", "max_drawdown", value, 0.15, 100).status == status


def test_a_large_count_is_written_out():
    assert at_least("in_sample", "trades", 11_612.0, 30.0, 1).reason == "trades 11,612, at least 30 needed"
    assert at_most("in_sample", "max_drawdown", 0.01094, 0.15, 1).reason == "max drawdown 0.0109, at most 0.15 needed"


@pytest.mark.parametrize(("sharpe", "status"), [(1.2, "passed"), (0.2, "failed"), (np.nan, "not_run")])
def test_a_metric_of_the_backtest(sharpe, status):
    verdict = Backtest(metric="sharpe", span="walk_forward", at_least=1.0).judge(case_of(steady(50), sharpe=sharpe))
    assert (verdict.stage, verdict.gate, verdict.status) == ("walk_forward", "sharpe", status)


@pytest.mark.parametrize(("metric", "n_used"), [("trades", 37), ("win_rate", 37), ("sharpe", 50), ("max_drawdown", 50)])
def test_metrics_of_trades_rest_on_trades_and_the_others_on_days(metric, n_used):
    case = case_of(steady(50), trades=37.0, win_rate=0.5, max_drawdown=0.1)
    assert Backtest(metric=metric, span="walk_forward", at_least=0.0).judge(case).n_used == n_used


def test_an_accounts_sharpe_ratio_stands_beside_that_of_its_sleeves():
    verdict = Backtest(metric="sharpe", span="holdout", at_least=0.5).judge(case_of(steady(50)))
    said = "sharpe 1 in an account of 10,000 USD (1.1 of its ideal sleeves, tracking error 1.0 % a year), at least 0.5"
    assert verdict.reason.startswith(said)
    inside = Backtest(metric="sharpe", span="in_sample", at_least=0.5).judge(case_of(steady(50)))
    assert inside.reason == "sharpe 1, at least 0.5 needed"


@pytest.mark.parametrize(
    "gate",
    [
        Backtest(metric="sharpe", span="out_of_sample", at_least=0.5),
        Backtest(metric="max_drawdown", span="holdout", at_most=0.15),
        PositiveWindows(at_least=0.0),
        Luck(at_most=0.05),
        HoldoutMean(at_most=0.05),
    ],
)
def test_an_account_that_cannot_trade_what_its_members_do_fails_and_says_so(gate):
    case = case_of(np.zeros(100), why_idle="an account of 20 USD cannot trade it", sharpe=np.nan, max_drawdown=0.0)
    verdict = gate.judge(case)
    assert (verdict.status, verdict.reason) == ("failed", "an account of 20 USD cannot trade it")
    assert np.isnan(verdict.value)


def test_windows_with_a_gain_are_counted():
    returns = np.concatenate([np.full(10, 0.01), np.full(10, -0.01), np.zeros(10), np.full(10, 0.01)])
    verdict = PositiveWindows(at_least=0.5).judge(case_of(returns))
    assert (verdict.value, verdict.status) == (0.5, "passed")


@pytest.mark.parametrize(("returns", "words"), [(np.zeros(40), "nothing was traded"), (np.ones(3), "needs 4 days")])
def test_windows_without_any_trade_or_days_are_not_run(returns, words):
    verdict = PositiveWindows(at_least=0.0).judge(case_of(returns))
    assert verdict.status == "not_run"
    assert words in verdict.reason


@pytest.mark.parametrize("gate", [Luck(at_most=0.05), HoldoutMean(at_most=0.05)])
def test_luck_on_unseen_days_is_the_same_number_however_often_they_were_opened(gate):
    """Doubled for each opening, three nights asked for a fourth of p, ten nights for a five-hundredth."""
    first, later = case_of(steady(300)), case_of(steady(300))
    object.__setattr__(later.grounds, "opening", replace(first.grounds.opening, candidates=4, nth=3, rerun=2))
    assert gate.judge(later).value == gate.judge(first).value
    assert "opened for the 3rd time, look 3 of its week" in gate.judge(later).reason


@pytest.mark.parametrize(
    ("gate", "returns", "words"),
    [
        (Luck(at_most=0.05), np.ones(10), "needs 30 days"),
        (Luck(at_most=0.05), np.zeros(100), "do not vary"),
        (HoldoutMean(at_most=0.05), steady(59), "needs 60 days"),
        (HoldoutMean(at_most=0.05), np.zeros(100), "do not vary"),
        (HoldoutMean(at_most=0.05), np.full(100, 0.01), "do not vary"),
    ],
)
def test_luck_without_enough_evidence_is_not_run(gate, returns, words):
    verdict = gate.judge(case_of(returns))
    assert verdict.status == "not_run"
    assert words in verdict.reason


@pytest.mark.parametrize("gate", [Luck(at_most=0.05), HoldoutMean(at_most=0.05), DeflatedSharpe(at_least=0.95)])
def test_a_return_that_is_no_number_is_an_error_that_names_it(gate):
    broken = steady(100)
    broken[17] = np.nan
    with pytest.raises(InputError, match="period 17"):
        gate.judge(case_of(broken))


def test_one_day_of_gain_among_many_still_days_proves_nothing():
    once = np.zeros(200)
    once[100] = 0.05
    assert Luck(at_most=0.05).judge(case_of(once)).status == "failed"
    assert HoldoutMean(at_most=0.05).judge(case_of(once)).status == "failed"


def record_of(returns: np.ndarray, tried: int | None = None) -> TrialRecord:
    rows = np.asarray(returns, dtype=np.float64)
    genome = edge().search.candidates[0].committee.genomes[0]
    sharpe = rows.mean(axis=1) / rows.std(axis=1)
    return TrialRecord(sketch(rows), sharpe, (genome,) * len(rows), (), tried or len(rows))


def test_clones_count_as_one_trial_and_more_kinds_ask_for_more():
    rng = np.random.default_rng(3)
    one, many = rng.normal(size=(1, 400)), rng.normal(size=(80, 400))
    clones = record_of(np.repeat(one, 80, axis=0) + 1e-6 * rng.normal(size=(80, 400)))
    gate, returns = DeflatedSharpe(at_least=0.95), steady(400, 0.12)
    few, lots = gate.judge(case_of(returns, record=clones)), gate.judge(case_of(returns, record=record_of(many)))
    assert (few.n_used, few.status) == (1, "passed")
    assert lots.n_used > 40
    assert lots.status == "failed"


@pytest.mark.parametrize(
    "gate",
    [
        DeflatedSharpe(at_least=0.95),
        BacktestOverfitting(at_most=0.25),
        TrialBudget(at_most=2.5),
        HaircutSharpe(at_least=0.5),
        PredictiveAbility(at_most=0.05),
    ],
)
def test_where_nothing_was_tried_filters_are_not_run(gate):
    verdict = gate.judge(case_of(steady(100), record=NOTHING))
    assert verdict.status == "not_run"
    assert verdict.reason


def test_too_short_a_history_or_too_few_kinds_of_trials_have_no_probability_of_overfitting():
    gate = BacktestOverfitting(at_most=0.25)
    short = gate.judge(case_of(steady(100)))
    clones = record_of(np.repeat(steady(120)[None], 9, axis=0))
    assert "needs 160 days" in short.reason
    assert "needs 8 medoids, has 1" in gate.judge(case_of(steady(100), record=clones)).reason


def test_the_budget_of_trials_is_told_in_trials_and_in_luck():
    verdict = TrialBudget(at_most=2.0).judge(case_of(steady(730), record=record_of(steady(730)[None], tried=3_620)))
    assert (verdict.status, round(verdict.value, 2)) == ("failed", 2.55)
    assert "3,620 trials on 2.0 years show a Sharpe ratio of 2.55 by luck; the budget for 2 is 242" in verdict.reason


def test_a_sharpe_ratio_pays_for_the_trials_that_it_was_chosen_from():
    gate = HaircutSharpe(at_least=0.3)
    paid = gate.judge(case_of(steady(7_300), sharpe=0.75, record=record_of(steady(730)[None], tried=200)))
    assert paid.value == pytest.approx(0.3148, abs=1e-4)


def test_medoids_are_measured_anew_as_the_search_saw_them():
    found = edge()
    case = Case(found.search.candidates[0], found.grounds)
    clusters, returns = clusters_of(case.grounds), medoid_returns(case.grounds)
    assert not isinstance(clusters, NotRun)
    assert not isinstance(returns, NotRun)
    assert returns.shape[1] == clusters.count
    trials = found.search.search.trials
    known = {tuple(row) for row in trials.daily_returns.tolist()}
    assert all(tuple(column) in known for column in returns.T.tolist())


def test_the_record_of_a_search_is_the_same_from_memory_and_from_the_ledger(tmp_path):
    from quant_organism.backtest import Costs, Evaluator
    from quant_organism.evolution.ledger import TrialLedger
    from quant_organism.evolution.ledger_rows import LedgerIdentity

    found = edge()
    trials, inside = found.search.search.trials, found.grounds.in_sample
    identity = LedgerIdentity(
        spec_hash="a" * 64, panel_hash=inside.hash, costs_hash=Costs().hash, cycle="c", generation=0, market="arrays"
    )
    ledger = TrialLedger(tmp_path)
    ledger.append([Evaluator(threads=1).evaluate(trials.genomes, inside, Costs())], identity)
    frame = ledger.frame(["genome_hash", "behaviour", "sharpe", "sketch"], panel_hash=inside.hash)
    memory = TrialRecord.of(trials)
    stored = TrialRecord.read(frame, found.search.population, tried=ledger.n_behaviours(panel_hash=inside.hash))
    assert stored.tried == memory.tried < len(trials)
    assert stored.founders == memory.founders
    assert sorted(map(bytes, stored.sketches)) == sorted(map(bytes, memory.sketches))
    assert all(genome is not None for genome in stored.genomes)
