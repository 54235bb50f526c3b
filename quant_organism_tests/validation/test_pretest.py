"""Before any search: does the market hold more than its copies in which nothing can be found?"""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.validation.draws import DrawStore, Remembered
from quant_organism.validation.pretest import (
    PretestResult,
    RandomStrategies,
    _standardised,
    compared,
    pretest,
    rule_families,
    statistics,
)
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism_tests.panels import trending_panel

FAMILIES = ("donchian_breakout", "ema_crossover", "rsi_filter")


def strategies(panel: Panel, *, seed: int = 0, genomes: int = 36, threads: int = 1) -> RandomStrategies:
    return RandomStrategies(panel, FAMILIES, Costs(), threads=threads, genomes=genomes, min_trades=5, seed=seed)


def found(*args, **options) -> PretestResult:
    result = pretest(*args, **options)
    assert isinstance(result, PretestResult)
    return result


@pytest.fixture(scope="module")
def edge() -> Panel:
    return trending_panel(days=100, drift=0.0015)


@pytest.fixture(scope="module")
def luck() -> Panel:
    return trending_panel(days=100, drift=0.0)


def test_a_planted_edge_is_seen_and_said(edge: Panel):
    result = found(strategies(edge), draws=19)
    assert result.p_value == pytest.approx(0.05)
    assert result.percentile == 1.0
    assert result.found
    assert result.ensemble_sharpe[result.best_family] == max(result.ensemble_sharpe.values())
    assert "may be something to find (p = 0.05" in result.sentence


def test_without_an_edge_the_answer_is_that_there_is_nothing(luck: Panel):
    result = found(strategies(luck), draws=19)
    assert result.p_value > 0.1
    assert "Nothing to find" in result.sentence


def test_a_bull_market_alone_is_nothing_to_find():
    panel = trending_panel(days=100, drift=0.0)
    rise = np.exp(0.0006 * np.arange(panel.n_bars))[:, None]
    risen = replace(panel, **{name: getattr(panel, name) * rise for name in ("open", "high", "low", "close")})
    assert found(strategies(risen), draws=19).p_value > 0.1


def test_the_p_value_has_its_level_on_markets_without_an_edge():
    # Few strategies on short markets, many times over: at 0.1 one in ten rejects.
    worlds = [trending_panel(seed=seed, days=91, assets=2, drift=0.0) for seed in range(30)]
    ps = [found(strategies(world, seed=seed, genomes=24), draws=9).p_value for seed, world in enumerate(worlds)]
    assert sum(p <= 0.1 for p in ps) <= 7  # more has a probability of 0.8 %
    assert 0.4 < np.mean(ps) < 0.7  # 0.55 is exact, with a deviation of 0.05


def test_the_answer_depends_on_neither_threads_nor_processes(edge: Panel):
    one = found(strategies(edge, genomes=9), draws=4)
    assert found(strategies(edge, genomes=9, threads=2), draws=4) == one
    assert found(strategies(edge, genomes=9), draws=4, processes=2) == one


def test_draws_that_were_made_are_not_made_again(edge: Panel, tmp_path: Path):
    measured = strategies(edge, genomes=9)
    store = DrawStore(tmp_path, "pretest", measured.identity)
    first = found(measured, draws=4, make=Remembered(measured, store))

    def refuse(draw: int):
        raise AssertionError(draw)

    assert found(measured, draws=4, make=Remembered(refuse, store)) == first
    with pytest.raises(AssertionError):
        found(measured, draws=5, make=Remembered(refuse, store))


def test_strategies_are_drawn_afresh_for_every_copy_by_the_same_random_numbers(edge: Panel):
    other, drawn = trending_panel(seed=9, days=100), strategies(edge)
    assert drawn.population(edge) == strategies(other).population(edge)
    assert drawn.population(edge) != strategies(edge, seed=1).population(edge)
    here, there = drawn.population(edge), drawn.population(other)
    measured = {"momentum_threshold", "trend_filter", "oversold_threshold", "overbought_threshold"}
    for one, two in zip(here, there, strict=True):
        differing = {name for name, value in one.genes.items() if two.genes[name] != value}
        assert differing == measured & set(one.genes) or differing < measured  # within their bounds, some are equal
    assert here != there


def test_statistics_by_hand(edge: Panel):
    evaluation = Evaluator(threads=1).evaluate(strategies(edge, genomes=60).population(edge), edge, Costs())
    values = statistics(evaluation, min_trades=5)
    rows = [
        row
        for row, genome in enumerate(evaluation.genomes)
        if genome.family == "rsi_filter" and evaluation.metrics["trades"][row] >= 5
    ]
    daily = evaluation.daily_returns[rows]
    mean = np.average(daily, axis=0, weights=1 / daily.std(axis=1, ddof=1))
    assert values["ensemble rsi_filter"] == pytest.approx(mean.mean() / mean.std(ddof=1) * math.sqrt(365))
    units = [
        (evaluation.asset_metrics["sharpe"][row, asset], evaluation.asset_metrics["trades"][row, asset])
        for row in range(60)
        for asset in range(3)
    ] + list(zip(evaluation.metrics["sharpe"], evaluation.metrics["trades"], strict=True))
    best = sorted(sharpe for sharpe, trades in units if trades >= 5 and np.isfinite(sharpe))[-3:]
    assert values["top units"] == pytest.approx(np.mean(best))


def row(a: float, b: float, top: float) -> dict[str, float]:
    return {"ensemble a": a, "ensemble b": b, "top units": top}


def test_which_of_the_two_rejects_is_told_apart():
    noise = np.random.default_rng(0).normal(size=(39, 3))
    copies = [row(*values) for values in noise]
    shared = compared([row(9.0, 0.0, 0.0), *copies], 500)
    lone = compared([row(0.0, 0.0, 9.0), *copies], 500)
    assert isinstance(shared, PretestResult)
    assert isinstance(lone, PretestResult)
    assert (shared.p_value, shared.pooled_p, shared.best_family) == (0.025, 0.025, "a")
    assert shared.per_asset_p > 0.3
    assert (lone.p_value, lone.per_asset_p) == (0.025, 0.025)
    assert lone.pooled_p > 0.3
    assert "single assets" in lone.sentence


def test_the_comparison_in_numbers():
    copies = [row(-1.0, 0.0, -1.0), row(-2.0, 0.0, 1.0), row(2.0, 0.0, 2.0), row(1.5, 0.0, -2.0)]
    result = compared([row(1.0, math.nan, 0.0), *copies], 12)
    assert isinstance(result, PretestResult)
    # Two of four copies stand out more in each; in standard deviations, three do in the larger of the two.
    assert (result.pooled_p, result.per_asset_p, result.p_value) == (0.6, 0.6, 0.8)
    assert (result.percentile, result.draws, result.undefined, result.genomes) == (0.25, 4, 0, 12)
    assert (result.best_family, result.top_sharpe) == ("a", 0.0)  # b did not trade enough, whatever a is worth
    assert result.ensemble_sharpe["a"] == 1.0
    assert math.isnan(result.ensemble_sharpe["b"])
    lone = compared([row(1.0, 0.0, math.nan), *copies], 12)
    assert isinstance(lone, PretestResult)
    assert (lone.per_asset_p, lone.pooled_p) == (1.0, 0.6)  # no unit was judged: nothing speaks for single assets


def test_a_unit_with_just_enough_trades_counts_and_an_ensemble_that_never_moves_says_nothing():
    returns = np.array([[0.01, -0.02, 0.03], [0.0, 0.0, 0.0], [0.02, 0.01, -0.01], [0.0, 0.0, 0.0]])
    evaluation = SimpleNamespace(
        metrics={"trades": np.array([5, 9, 4, 5]), "sharpe": np.array([2.5, np.nan, 3.0, np.nan])},
        asset_metrics={
            "trades": np.array([[5, 4], [0, 0], [4, 6], [0, 0]]),
            "sharpe": np.array([[0.5, 9.0], [8.0, 8.0], [7.0, 2.0], [0.0, 0.0]]),
        },
        genomes=[SimpleNamespace(family=name) for name in ("a", "b", "a", "a")],
        symbols=("X", "Y"),
        daily_returns=returns,
    )
    found = statistics(evaluation, 5)
    assert found["ensemble a"] == pytest.approx(returns[0].mean() / returns[0].std(ddof=1) * math.sqrt(365))
    assert math.isnan(found["ensemble b"])
    assert found["top units"] == 2.5  # the best of 2.5, .5 and 2: a hundredth of twelve units is one
    assert math.isnan(statistics(evaluation, 10)["top units"])


def test_every_draw_is_told(luck: Panel):
    told: list[tuple[int, int]] = []
    table = [row(1.0, 0.0, 1.0), row(0.0, 1.0, 0.0), row(2.0, 1.0, 0.5)]
    result = pretest(strategies(luck), draws=2, make=table.__getitem__, progress=lambda *place: told.append(place))
    assert isinstance(result, PretestResult)
    assert told == [(1, 3), (2, 3), (3, 3)]


@given(seed=st.integers(0, 1000), place=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_no_draw_has_a_place_of_its_own(seed: int, place: int):
    """Over all places that the market may have among its copies, each rank comes up once."""
    draws = [row(*values) for values in np.random.default_rng(seed).normal(size=(10, 3))]
    ps = []
    for k in range(10):
        result = compared([draws[k], *draws[:k], *draws[k + 1 :]], 1)
        assert isinstance(result, PretestResult)
        ps.append(result.p_value)
    assert sorted(ps) == pytest.approx([n / 10 for n in range(1, 11)])


def test_undefined_copies_count_as_lower_and_are_reported():
    nan = math.nan
    result = compared([row(1.0, nan, 1.0), row(0.0, 1.0, 0.0), row(nan, nan, nan), row(0.5, 2.0, 0.2)], 5)
    assert isinstance(result, PretestResult)
    assert result.undefined == 1
    assert result.draws == 3
    nothing = compared([row(nan, nan, nan), row(0.0, 1.0, 0.0)], 5)
    assert isinstance(nothing, NotRun)


def test_too_little_is_not_run():
    short = pretest(strategies(trending_panel(days=80)), draws=1)
    assert isinstance(short, NotRun)
    assert short.reason == "needs 90 days, has 80"
    alone = pretest(replace(strategies(trending_panel(days=100)), families=()), draws=1)
    assert isinstance(alone, NotRun)


def test_senseless_sizes_are_refused(edge: Panel):
    with pytest.raises(InputError, match="0 draws"):
        pretest(strategies(edge), draws=0)
    with pytest.raises(InputError, match="0 random strategies"):
        pretest(strategies(edge, genomes=0), draws=1)


def test_fitted_families_are_left_out():
    assert rule_families(["ema_crossover", "linear_svc_classifier"]) == ("ema_crossover",)


def test_statistics_are_standardised_column_by_column_and_what_is_undefined_stays_so():
    columns = np.array([[1.0, 5.0, np.nan], [2.0, 5.0, 7.0], [6.0, 5.0, 9.0], [3.0, 5.0, np.nan]])
    expected = (columns[:, 0] - 3.0) / np.sqrt(3.5)
    found = _standardised(columns)
    np.testing.assert_allclose(found[:, 0], expected)
    assert found[:, 1].tolist() == [0.0] * 4  # no deviation, no distance
    np.testing.assert_array_equal(found[:, 2], [np.nan, -1.0, 1.0, np.nan])
