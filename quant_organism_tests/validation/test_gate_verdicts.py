"""What each gate says of what was measured: on its bound and beside it, in which words, and measured with what."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from quant_organism.strategies import Genome, default_genome
from quant_organism.validation.case import PValue
from quant_organism.validation.gates import overfitting, robustness
from quant_organism.validation.gates import replay as replay_gates
from quant_organism.validation.gates import testnet as venue_gates
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.gates.overfitting import (
    BacktestOverfitting,
    DeflatedSharpe,
    HaircutSharpe,
    PredictiveAbility,
    TrialBudget,
    medoid_returns,
)
from quant_organism.validation.gates.replay import ReplayConsistency, ReplaySharpe, SecondOpinionOnBooks, TradeParity
from quant_organism.validation.gates.robustness import GATES as ROBUSTNESS
from quant_organism.validation.gates.robustness import LossGate, ParameterNeighbourhood, ShakeGate
from quant_organism.validation.gates.significance import CombinedSignificance, Luck, Pretest, SearchLuck
from quant_organism.validation.gates.thresholds import Backtest, PositiveWindows
from quant_organism.validation.rehearsal import VenueRehearsal
from quant_organism.validation.robustness.subject import Shake
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.monte_carlo import Bands
from quant_organism.validation.verdict import Verdict

SHAKE = Shake(2.0, ("first", "second", "third"), np.array([1.0, 0.25, 3.0]), np.array([0.1, 0.2, 0.3]), None)
NONE = NotRun("there was nothing")


class Shaken(ShakeGate):
    kind = "shaken"

    def shake(self, case: Any) -> Shake | NotRun:
        return case


class Resampled(LossGate):
    kind = "resampled"

    def histories(self, case: Any) -> Bands | Shake | NotRun:
        return case


def figures(verdict: Verdict) -> tuple[str, float, float, int]:
    return verdict.status, verdict.value, verdict.threshold, verdict.n_used


def is_not_run(verdict: Verdict, reason: str, n_used: int = 0) -> bool:
    said = (verdict.status, verdict.reason, verdict.n_used)
    return said == ("not_run", reason, n_used) and math.isnan(verdict.value)


def test_a_gate_stays_what_its_profile_declared() -> None:
    gate = Pretest(at_most=0.05)
    with pytest.raises(ValidationError, match="frozen"):
        gate.at_most = 0.5
    assert {gate: 1}[Pretest(at_most=0.05)] == 1
    assert gate.to_dict() == {"gate": "pretest", "at_most": 0.05}


@pytest.mark.parametrize(("above", "status"), [(0.2, "passed"), (0.25, "failed"), (0.3, "failed")])
def test_the_worst_change_has_to_stay_above_the_bound(above: float, status: str) -> None:
    verdict = Shaken(above=above).judge(SHAKE)
    assert figures(verdict) == (status, 0.25, above, 3)
    assert verdict.reason == f"Sharpe ratio 0.25 at worst (second, 2.00 as it is), above {above:g} needed"


def test_a_change_that_was_drawn_is_named_by_its_number_and_what_took_no_part_is_counted() -> None:
    drawn = replace(SHAKE, changes=("0", "1", "2"), seed=0, left_out=("a", "b"))
    assert Shaken(above=0).judge(drawn).reason == (
        "Sharpe ratio 0.25 at worst (draw 1, 2.00 as it is), above 0 needed; left out: 2 of the genomes"
    )
    assert is_not_run(Shaken(above=0).judge(NONE), "there was nothing")


@pytest.mark.parametrize(("at_most", "status"), [(0.06, "passed"), (0.05, "passed"), (0.04, "failed")])
def test_histories_without_a_gain_are_counted(at_most: float, status: str) -> None:
    bands = Bands(np.array([-1.0, 0.5, 2.0]), np.array([0.1, 0.2, 0.3]), 0.05, 400, 0)
    verdict = Resampled(at_most=at_most).judge(bands)
    assert figures(verdict) == (status, 0.05, at_most, 400)
    assert verdict.reason == (
        f"nothing earned in 5.0 % of 400, at most {100 * at_most:.1f} % accepted; "
        "Sharpe ratio -1.00, 0.50, 2.00 at 5, 50, 95 %"
    )


def test_made_markets_without_a_gain_are_counted() -> None:
    shake = replace(SHAKE, sharpe=np.array([0.0, 1.0, 2.0, 3.0]))
    verdict = Resampled(at_most=0.25).judge(shake)
    assert figures(verdict) == ("passed", 0.25, 0.25, 4)
    assert verdict.reason.endswith("; Sharpe ratio 0.15, 1.50, 2.85 at 5, 50, 95 %")
    assert is_not_run(Resampled().judge(NONE), "there was nothing")


@pytest.mark.parametrize(("at_least", "status"), [(0.4, "passed"), (0.5, "passed"), (0.6, "failed")])
def test_neighbours_keep_a_share(at_least: float, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "neighbourhood", lambda *_, **__: SHAKE)
    verdict = ParameterNeighbourhood(at_least=at_least).judge(Watched())
    assert figures(verdict) == (status, 0.5, at_least, 3)
    assert verdict.reason == (
        f"the median of 3 neighbours keeps 50 % of the Sharpe ratio (1.00 of 2.00), "
        f"at least {100 * at_least:.0f} % needed"
    )


@pytest.mark.parametrize("original", [0.0, -0.5])
def test_where_there_is_nothing_to_keep_neighbours_save_nobody(original: float, monkeypatch) -> None:
    monkeypatch.setattr(robustness, "neighbourhood", lambda *_, **__: replace(SHAKE, original=original))
    verdict = ParameterNeighbourhood().judge(Watched())
    assert (verdict.status, verdict.threshold, verdict.n_used) == ("failed", 0.5, 3)
    assert math.isnan(verdict.value)
    assert verdict.reason == f"the Sharpe ratio itself is {original:.2f}: there is nothing for neighbours to keep"


class Watched(SimpleNamespace):
    """A case whose subject and trades are known by name."""

    def __init__(self, **others: Any) -> None:
        super().__init__(grounds=SimpleNamespace(seed=7, once=lambda key, make: make(), **others))

    def once(self, key: str, make: Any) -> Any:
        known = {
            "robustness subject": SimpleNamespace(panel=SimpleNamespace(interval=SimpleNamespace(hours=4.0))),
            "closed trades": SimpleNamespace(returns="returns", years=2.5, average_holding_hours=12.0),
        }
        return known.get(key) or make()


MEASURED_WITH = {
    "parameter_neighbourhood": ({"neighbours": 9, "step": 0.2}, {"seed": 7, "neighbours": 9, "step": 0.2}),
    "price_noise": ({"draws": 9, "noise": 0.2}, {"seed": 7, "draws": 9, "noise": 0.2}),
    "dearer_trading": ({"cost_factor": 4, "slippage_factor": 5}, {"cost_factor": 4, "slippage_factor": 5}),
    "late_execution": ({"bars": 3}, {"bars": 3}),
    "later_start": ({}, {}),
    "asset_left_out": ({}, {}),
    "longer_bars": ({}, {}),
    "trade_skip": ({"draws": 9}, {"years": 2.5, "seed": 7, "draws": 9}),
    "resampled_days": ({}, {"seed": 7}),
    "resampled_bars": ({"draws": 9}, {"average_holding_bars": 3.0, "seed": 7, "draws": 9}),
    "day_unions": ({}, {}),
}


@pytest.mark.parametrize("gate", ROBUSTNESS, ids=lambda gate: gate.kind)
def test_a_gate_of_robustness_measures_with_what_its_profile_says(gate: type[Gate], monkeypatch) -> None:
    said, expected = MEASURED_WITH[gate.kind]
    asked: list[tuple[Any, ...]] = []
    name = {"parameter_neighbourhood": "neighbourhood"}.get(gate.kind, gate.kind)
    monkeypatch.setattr(robustness, name, lambda *things, **options: asked.append((things, options)) or NONE)
    assert is_not_run(gate(**said).judge(Watched()), "there was nothing")
    ((things, options),) = asked
    assert options == expected
    if gate.kind == "trade_skip":
        assert things == ("returns",)
    else:
        assert things[0].panel.interval.hours == 4.0
        assert [thing.years for thing in things[1:]] == ([2.5] if gate.kind == "resampled_days" else [])


def tried(count: int, *, days: int = 730, **others: Any) -> Any:
    """Return a case whose search tried so much."""
    case = Watched(trials=SimpleNamespace(tried=count, founders=(), **others))
    case.daily_returns = lambda span: np.zeros(days) if span == "in_sample" else None
    case.metrics = lambda span: {"sharpe": 1.5} if span == "in_sample" else None
    return case


@pytest.mark.parametrize(("probability", "status"), [(0.96, "passed"), (0.95, "passed"), (0.94, "failed")])
@pytest.mark.parametrize(("distinct", "against"), [(500, 500), (3, 12)])
def test_the_deflated_sharpe_ratio(
    probability: float, status: str, distinct: int, against: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def deflate(returns: np.ndarray, *, clusters: int, trials: int) -> Any:
        asked.update(days=len(returns), clusters=clusters, trials=trials)
        return SimpleNamespace(
            probability=probability, pessimist=0.1, lucky_sharpe=0.1, clusters=clusters, trials=trials
        )

    monkeypatch.setattr(overfitting, "clusters_of", lambda _: SimpleNamespace(count=12))
    monkeypatch.setattr(overfitting, "deflate", deflate)
    verdict = DeflatedSharpe(at_least=0.95).judge(tried(distinct))
    assert figures(verdict) == (status, probability, 0.95, 12)
    assert asked == {"days": 730, "clusters": 12, "trials": against}
    assert verdict.reason == (
        f"beats the luck of 12 clusters of trials (a Sharpe ratio of 1.91) with probability {probability:.3f}, "
        f"at least 0.95 needed; 0.100 against all {against} trials"
    )
    monkeypatch.setattr(overfitting, "deflate", lambda *_, **__: NONE)
    assert is_not_run(DeflatedSharpe(at_least=0.95).judge(tried(distinct)), "there was nothing", 12)
    monkeypatch.setattr(overfitting, "clusters_of", lambda _: NONE)
    assert is_not_run(DeflatedSharpe(at_least=0.95).judge(tried(distinct)), "there was nothing")


@pytest.mark.parametrize(("probability", "status"), [(0.24, "passed"), (0.25, "passed"), (0.26, "failed")])
def test_the_probability_of_overfitting(probability: float, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measure(returns: str, blocks: int) -> Any:
        asked.append((returns, blocks))
        return SimpleNamespace(probability=probability, columns=9, blocks=blocks)

    monkeypatch.setattr(overfitting, "medoid_returns", lambda _: "returns")
    monkeypatch.setattr(overfitting, "backtest_overfitting", measure)
    verdict = BacktestOverfitting(at_most=0.25, blocks=4).judge(tried(9))
    assert figures(verdict) == (status, probability, 0.25, 9)
    assert asked == [("returns", 4)]
    assert verdict.reason == (
        f"what looks best on one half of the days falls behind on the other with probability {probability:.2f} "
        "(9 kinds of trials, 4 blocks of days), at most 0.25 accepted"
    )
    monkeypatch.setattr(overfitting, "medoid_returns", lambda _: NONE)
    assert is_not_run(BacktestOverfitting(at_most=0.25).judge(tried(9)), "there was nothing")


def test_a_kind_of_trial_is_measured_by_its_first_rule_at_hand() -> None:
    rule, other, model = (default_genome(name) for name in ("rsi_filter", "ema_crossover", "linear_svc_classifier"))
    asked = []

    def evaluate(genomes: list[Genome], *others: Any) -> Any:
        asked.append((genomes, others))
        return SimpleNamespace(daily_returns=np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0]]))

    case = tried(6, genomes=(None, rule, other, model, other, None))
    grounds = case.grounds
    grounds.in_sample, grounds.costs, grounds.evaluator = "days", "costs", SimpleNamespace(evaluate=evaluate)
    # Of the first kind the medoid is of another search, of the second it fits a model, of the third nothing is known.
    clusters = SimpleNamespace(labels=np.array([0, 0, 1, 1, 1, 2]), medoids=np.array([0, 3, 5]))
    grounds.once = lambda key, make: clusters if key == "clusters" else make()
    found = medoid_returns(grounds)
    assert asked == [([rule, other], ("days", "costs"))]
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [[0.1], [0.2], [0.3]]  # what does not move is left out
    grounds.trials.genomes = (None, None, None, model, model, None)
    assert medoid_returns(grounds) == NotRun("no trial of a rule family of this search is at hand")
    clusters = NONE
    assert medoid_returns(grounds) is NONE


@pytest.mark.parametrize("bound", ["at_least", "at_most"])
@pytest.mark.parametrize("value", [-0.25, 0.0, 0.25])
def test_a_bound_of_a_metric_is_what_was_declared(bound: str, value: float) -> None:
    assert Backtest(metric="total_return", span="holdout", **{bound: value}).threshold == value
    for endless in (math.inf, -math.inf, math.nan):
        with pytest.raises(ValidationError, match="finite"):
            Backtest(metric="sharpe", span="holdout", **{bound: endless})


@pytest.mark.parametrize(
    ("days", "verdict"),
    [
        ((0.01, 0.0, -0.01, 0.02), ("passed", 0.5, 0.5, 4)),
        ((-0.01, 0.005, 0.02, -0.01, -0.03), ("failed", 0.25, 0.5, 4)),
    ],
)
def test_a_window_needs_one_day_and_a_gain_of_all_of_them(days: tuple[float, ...], verdict: tuple[Any, ...]) -> None:
    case = SimpleNamespace(why_idle=lambda span: "", daily_returns=lambda span: np.array(days))
    gate = PositiveWindows(at_least=0.5)
    found = gate.judge(case)
    assert figures(found) == verdict
    case.daily_returns = lambda span: np.array(days[:3])
    assert is_not_run(gate.judge(case), "needs 4 days, has 3", 4)
    case.daily_returns = lambda span: np.zeros(9)
    assert is_not_run(gate.judge(case), "nothing was traded in any window", 4)


def test_a_figure_of_an_account_is_told_with_its_equity_and_its_sleeves_beside_it() -> None:
    metrics = {"sharpe": 1.5, "sharpe_sleeves": 2.25, "tracking_error": 0.031, "volatility": 0.2, "trades": 7.0}
    case = SimpleNamespace(
        metrics=lambda span: metrics,
        daily_returns=lambda span: np.zeros(40),
        why_idle=lambda span: "",
        grounds=SimpleNamespace(equity_usd=12_345.0),
    )
    of = {name: Backtest(metric=name, span="holdout", at_least=0).judge(case) for name in ("sharpe", "volatility")}
    assert of["sharpe"].reason == (
        "sharpe 1.5 in an account of 12,345 USD (2.25 of its ideal sleeves, tracking error 3.1 % a year), "
        "at least 0 needed"
    )
    assert of["volatility"].reason == "volatility 0.2 in an account of 12,345 USD, at least 0 needed"
    assert of["volatility"].n_used == 40
    trades = Backtest(metric="trades", span="holdout", at_least=7).judge(case)
    assert (trades.reason, trades.n_used) == ("trades 7, at least 7 needed", 7)


def test_budget_and_haircut_of_one_trial_and_of_none() -> None:
    # One trial is expected to show no luck, and pays for nothing.
    assert figures(TrialBudget(at_most=0.5).judge(tried(1))) == ("passed", 0.0, 0.5, 1)
    haircut = HaircutSharpe(at_least=1.5).judge(tried(1))
    assert figures(haircut) == ("passed", pytest.approx(1.5, abs=1e-9), 1.5, 1)
    assert haircut.reason == "a Sharpe ratio of 1.50 is worth 1.50 after 1 trials"
    assert is_not_run(TrialBudget(at_most=0.5).judge(tried(0)), "nothing was tried on these days")
    assert is_not_run(HaircutSharpe(at_least=0.5).judge(tried(0)), "nothing was tried on these days")
    idle = tried(4)
    idle.metrics = lambda _: {"sharpe": math.nan}
    assert is_not_run(HaircutSharpe(at_least=0.5).judge(idle), "nothing was traded", 4)


@pytest.mark.parametrize(("p", "status"), [(0.04, "passed"), (0.05, "passed"), (0.06, "failed")])
def test_founders_against_cash(p: float, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, asked = tried(9), []
    grounds = case.grounds
    grounds.trials.founders, grounds.in_sample, grounds.costs = ("one", "two"), "days", "costs"
    daily = np.arange(10.0).reshape(2, 5)
    grounds.evaluator = SimpleNamespace(
        evaluate=lambda *things: asked.append(things) or SimpleNamespace(daily_returns=daily)
    )

    def ability(returns: np.ndarray, *, seed: int) -> Any:
        asked.append((returns.shape, seed))
        return SimpleNamespace(p_value=p, models=2)

    def survivors(returns: np.ndarray, *, seed: int, level: float) -> Any:
        asked.append((returns.shape, seed, level))
        return SimpleNamespace(columns=[1])

    monkeypatch.setattr(overfitting, "predictive_ability", ability)
    monkeypatch.setattr(overfitting, "stepwise_survivors", survivors)
    verdict = PredictiveAbility(at_most=0.05).judge(case)
    assert figures(verdict) == (status, p, 0.05, 2)
    assert asked == [(("one", "two"), "days", "costs"), ((5, 2), 7), ((5, 2), 7, 0.05)]
    assert verdict.reason == (
        f"the best of 2 random founders does as well without an edge with probability {p:g}; "
        "1 of them beat cash for certain"
    )
    monkeypatch.setattr(overfitting, "stepwise_survivors", lambda *_, **__: NONE)
    assert "; 0 of them" in PredictiveAbility(at_most=0.05).judge(case).reason
    monkeypatch.setattr(overfitting, "predictive_ability", lambda *_, **__: NONE)
    assert is_not_run(PredictiveAbility(at_most=0.05).judge(case), "there was nothing", 2)


@pytest.mark.parametrize(("p", "status"), [(0.04, "passed"), (0.05, "passed"), (0.06, "failed")])
def test_p_values_of_before_the_search_and_of_all_of_it(p: float, status: str) -> None:
    grounds = SimpleNamespace(pretest=PValue(p, 39), significance={"committee": PValue(p, 99)}, candidates=())
    case = SimpleNamespace(grounds=grounds, candidate=SimpleNamespace(origin="committee", id="a"))
    before, whole = Pretest(at_most=0.05).judge(case), SearchLuck(at_most=0.05).judge(case)
    assert (figures(before), figures(whole)) == ((status, p, 0.05, 39), (status, p, 0.05, 99))
    assert before.reason == (
        f"random strategies do as well where nothing can be found with probability {p:g}, at most 0.05 accepted"
    )
    assert whole.reason == f"the whole search does as well where nothing can be found with probability {p:g}"
    grounds.pretest = grounds.significance = NONE
    assert is_not_run(Pretest(at_most=0.05).judge(case), "there was nothing")
    assert is_not_run(SearchLuck(at_most=0.05).judge(case), "there was nothing")


def of_both(search: float, unseen: float, *, rerun: int = 0, candidates: int = 1) -> Any:
    """Return the case of a committee whose search and whose unseen days have these p-values."""
    opening = SimpleNamespace(rerun=rerun, candidates=candidates)
    grounds = SimpleNamespace(significance={"committee": PValue(search, 99)}, candidates=(), opening=opening)
    luck = Verdict("holdout", "holdout_mean", "passed", unseen, 0.05, 60, "as it is")
    known = {("holdout", "holdout_mean"): luck}
    return SimpleNamespace(
        grounds=grounds,
        candidate=SimpleNamespace(origin="committee", id="a"),
        verdict=lambda stage, gate: known.get((stage, gate)),
    )


@pytest.mark.parametrize(
    ("rerun", "candidates", "wealth"), [(0, 1, 2.5), (1, 1, 1.25), (2, 1, 0.625), (0, 4, 0.625), (3, 2, 0.15625)]
)
def test_the_wealth_that_both_p_values_buy_is_halved_by_looks_and_shared_by_candidates(
    rerun: int, candidates: int, wealth: float
) -> None:
    verdict = CombinedSignificance(at_least=1.25).judge(of_both(0.04, 0.25, rerun=rerun, candidates=candidates))
    # 1 / (4 sqrt(.04 x .25)) is 2.5; a quarter on the unseen days is the most that is not vetoed.
    assert figures(verdict) == ("passed" if wealth >= 1.25 else "failed", pytest.approx(wealth), 1.25, 99)
    assert verdict.reason == (
        f"search (0.04) and unseen days (0.25) buy a starting wealth of {wealth:.4g}, at least 1.25 needed"
    )


@pytest.mark.parametrize(("unseen", "status"), [(0.5, "passed"), (0.501, "failed")])
def test_unseen_days_that_speak_against_a_strategy_are_a_veto_however_good_the_search(unseen: float, status) -> None:
    verdict = CombinedSignificance(at_least=1.0, unseen_at_most=0.5).judge(of_both(0.0001, unseen))
    assert figures(verdict) == (status, pytest.approx(0.25 / math.sqrt(0.0001 * unseen)), 1.0, 99)
    assert verdict.reason.endswith("needed; unseen days of p = 0.501 are vetoed, at most 0.5 accepted") == (
        status == "failed"
    )


def test_without_either_p_value_there_is_no_decision() -> None:
    gate, case = CombinedSignificance(at_least=1.0), of_both(0.04, math.nan)
    assert is_not_run(gate.judge(case), "the unseen days have no p-value: as it is")
    case.verdict = lambda stage, gate: None
    assert is_not_run(gate.judge(case), "the unseen days have no p-value: they were not looked at")
    case.grounds.significance = NONE
    assert is_not_run(gate.judge(case), "the search has no p-value: there was nothing")


def test_a_champion_is_judged_by_the_search_for_one_of_its_rank() -> None:
    champions = [SimpleNamespace(origin="champion", id=name) for name in "abc"]
    grounds = SimpleNamespace(
        significance={"champion 1": PValue(0.01, 99), "champion 2": PValue(0.02, 98), "committee": PValue(0.03, 97)},
        candidates=(champions[0], SimpleNamespace(origin="committee", id="d"), *champions[1:]),
    )
    judged = [SearchLuck(at_most=0.05).judge(SimpleNamespace(grounds=grounds, candidate=c)) for c in grounds.candidates]
    assert [(verdict.value, verdict.n_used) for verdict in judged[:3]] == [(0.01, 99), (0.03, 97), (0.02, 98)]
    assert is_not_run(judged[3], "the repeated searches have no champion 3")


def test_luck_of_a_steady_gain_is_told_with_its_days() -> None:
    noise = np.random.default_rng(2).normal(0.0, 1.0, 400)
    days = (noise - noise.mean()) / noise.std() + 0.1
    opening = SimpleNamespace(sentence="opened for the 1st time")
    case = SimpleNamespace(
        grounds=SimpleNamespace(opening=opening, seed=0),
        daily_returns=lambda span: days if span == "holdout" else None,
        why_idle=lambda span: "" if span == "holdout" else "another span",
    )
    verdict = Luck(at_most=0.05).judge(case)
    # The t-statistic of the mean is 0.1 x sqrt(400) = 2, which one in 44 reaches; returns of each day count alone.
    assert (verdict.status, verdict.n_used, verdict.threshold) == ("passed", 400, 0.05)
    assert 0.0114 < verdict.value < 0.0456
    assert verdict.reason == (
        f"without an edge, it does as well with probability {verdict.value:.3g} (these days are opened for the 1st "
        "time); at most 0.05 accepted"
    )


@pytest.mark.parametrize(("reached", "status"), [(0.7, "failed"), (0.8, "passed"), (0.9, "passed")])
@pytest.mark.parametrize(
    ("gate", "field"), [(ReplaySharpe(at_least=0.8), "mean_sharpe"), (ReplayConsistency(at_least=0.8), "consistency")]
)
def test_replayed_periods(gate: Gate, field: str, reached: float, status: str, monkeypatch) -> None:
    found = SimpleNamespace(periods=("one", "two", "three"), **{field: reached})
    monkeypatch.setattr(replay_gates, "replay_of", lambda case, mode: found if mode == "fast" else None)
    assert figures(gate.judge(None)) == (status, reached, 0.8, 3)
    monkeypatch.setattr(replay_gates, "replay_of", lambda *_: NONE)
    assert is_not_run(gate.judge(None), "there was nothing")


@pytest.mark.parametrize(
    ("orders_equal", "difference", "verdict"),
    [
        (2, "", ("passed", 1.0, 1.0, 12)),
        (1, "period 2: ...", ("failed", 5 / 6, 1.0, 12)),
    ],
)
def test_trades_and_orders_of_a_replay(
    orders_equal: int, difference: str, verdict: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SimpleNamespace(
        equal=4,
        compared=4,
        orders_equal=orders_equal,
        periods=("one", "two"),
        trade_hash="ab" * 32,
        order_hash="cd" * 32,
        difference=difference,
        is_equal=not difference,
        trades=(5, 7),
    )
    monkeypatch.setattr(replay_gates, "replay_of", lambda case, mode: found if mode == "fast" else None)
    told = TradeParity().judge(None)
    assert figures(told) == verdict
    trades, orders = "trades equal the backtest's in 4 of 4 replays", "orders of its account in"
    if difference:
        assert told.reason == f"{trades}, {orders} {orders_equal} of 2 periods; {difference}"
    else:
        assert told.reason == f"{trades}, hash {'ab' * 8}; {orders} {orders_equal} of 2 periods, hash {'cd' * 8}"
    monkeypatch.setattr(replay_gates, "replay_of", lambda *_: NONE)
    assert is_not_run(TradeParity().judge(None), "there was nothing")


def test_books_of_an_account_that_cannot_trade_fail_and_those_of_one_that_did_not_are_not_looked_at() -> None:
    case = SimpleNamespace(
        promise="holdout",
        why_idle=lambda span: "it cannot trade" if span == "holdout" else "",
        account=lambda: SimpleNamespace(path=SimpleNamespace(fills=())),
    )
    verdict = SecondOpinionOnBooks().judge(case)
    assert (verdict.status, verdict.reason, verdict.n_used) == ("failed", "it cannot trade", 0)
    case.why_idle = lambda span: ""
    assert is_not_run(SecondOpinionOnBooks().judge(case), "nothing was traded")


@pytest.mark.parametrize("agrees", [True, False])
def test_books_of_a_second_library_are_the_same_or_where_they_differ_is_named(agrees: bool, monkeypatch) -> None:
    path = SimpleNamespace(fills=(1, 2, 3), equity=np.array([12_345_000_000, 1]))
    run = SimpleNamespace(path=path)
    case = SimpleNamespace(promise="holdout", why_idle=lambda span: "", account=lambda: run)
    opinion = SimpleNamespace(agrees=agrees, first_difference="at the first close", equity_difference=0.25)
    monkeypatch.setattr(replay_gates, "recompute_with_vectorbt", lambda of: opinion if of is run else None)
    verdict = SecondOpinionOnBooks().judge(case)
    assert figures(verdict) == ("passed" if agrees else "failed", 0.25, 1e-9, 3)
    how = "to the same equity" if agrees else "otherwise: at the first close"
    assert verdict.reason == f"vectorbt books 3 fills of 12,345 USD {how}"


REHEARSED = VenueRehearsal(
    network="testnet",
    minutes=30.0,
    plans=30,
    orders=40,
    filled=38,
    differences=(),
    differing=0,
    paid_usd=4.0,
    stated_usd=2.0,
    latencies_ms=(100.0, 200.0, 150.0),
    gaps=(),
    gap_usd=0.01,
)


@pytest.mark.parametrize(
    ("gate", "changes", "verdict", "reason"),
    [
        ("testnet_orders", {}, ("passed", 1.0, 1.0, 40), "40 of 40 orders as planned and booked as filled, 38 filled"),
        ("testnet_orders", {"differences": ("x", "y"), "differing": 2}, ("failed", 0.95, 1.0, 40), "filled; x"),
        ("testnet_books", {}, ("passed", 0.01, 0.01, 30), "differ by 0.010000 USD at most after 30 plans"),
        ("testnet_books", {"gap_usd": 0.0101, "gaps": ("x", "y")}, ("failed", 0.0101, 0.01, 30), "plans; x"),
        ("testnet_slippage", {}, ("passed", 2.0, 2.0, 38), "slippage of 4.00 USD, the model states 2.00"),
        ("testnet_slippage", {"paid_usd": 4.01}, ("failed", 2.005, 2.0, 38), "slippage of 4.01 USD"),
        ("testnet_latency", {}, ("passed", 150.0, 150.0, 3), "150 ms on average, 200 ms at worst"),
        ("testnet_latency", {"latencies_ms": (150.1,)}, ("failed", 150.1, 150.0, 1), "150 ms on average"),
        ("testnet_score", {}, ("passed", 1.0, 0.5, 40), "testnet score 1, at least 0.5 needed"),
        ("testnet_score", {"gap_usd": 0.02}, ("failed", 0.0, 0.5, 40), "testnet score 0, at least 0.5 needed"),
    ],
)
def test_a_rehearsal_on_its_bounds(
    gate: str, changes: dict[str, Any], verdict: tuple[Any, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kind,) = [kind for kind in venue_gates.GATES if kind.kind == gate]
    monkeypatch.setattr(venue_gates, "rehearsal_of", lambda _: replace(REHEARSED, **changes))
    found = kind().judge(None)
    assert (found.stage, found.gate) == ("testnet", gate)
    assert figures(found) == (verdict[0], pytest.approx(verdict[1]), *verdict[2:])
    assert reason in found.reason


@pytest.mark.parametrize(
    ("gate", "changes", "reason"),
    [
        ("testnet_orders", {"orders": 0}, "none of 30 plans asked for an order"),
        ("testnet_slippage", {"stated_usd": 0.0}, "no order filled"),
        ("testnet_latency", {"latencies_ms": ()}, "no order was sent"),
    ],
)
def test_a_rehearsal_without_orders_shows_nothing(gate: str, changes, reason: str, monkeypatch) -> None:
    (kind,) = [kind for kind in venue_gates.GATES if kind.kind == gate]
    monkeypatch.setattr(venue_gates, "rehearsal_of", lambda _: replace(REHEARSED, **changes))
    assert is_not_run(kind().judge(None), reason)


@pytest.mark.parametrize(("overall", "status"), [(0.69, "failed"), (0.7, "passed"), (0.71, "passed")])
def test_the_triple_score_on_its_bound(overall: float, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    score = SimpleNamespace(overall=overall, stages={"a": 1.0, "b": NONE, "c": 0.0}, sentence="so much")
    monkeypatch.setattr(venue_gates, "triple_of", lambda case, mode: score if mode == "full" else None)
    verdict = venue_gates.TripleValidation(mode="full").judge(SimpleNamespace(promise="holdout"))
    assert figures(verdict) == (status, overall, 0.7, 2)
    assert verdict.reason == "so much; at least 0.7 needed"
