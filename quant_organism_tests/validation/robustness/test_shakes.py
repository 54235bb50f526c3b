"""What a strategy earns when it is shaken: nothing changed is the original, and what is fragile shows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from quant_organism.backtest import Costs
from quant_organism.errors import InputError
from quant_organism.market import Interval
from quant_organism.strategies import Committee, Member
from quant_organism.strategies.operators import default_genome
from quant_organism.validation.robustness.breakdown import by_asset, by_regime, day_unions
from quant_organism.validation.robustness.examination import examine, resampled_days
from quant_organism.validation.robustness.intervals import longer_bars, translated
from quant_organism.validation.robustness.made_markets import price_noise, resampled_bars
from quant_organism.validation.robustness.neighbourhood import neighbourhood, neighbours_of
from quant_organism.validation.robustness.stress import (
    asset_left_out,
    dearer,
    dearer_trading,
    late_execution,
    later_bars,
    later_start,
)
from quant_organism.validation.robustness.subject import Shake, Subject, closed_trades, of_members, once, without_models
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.monte_carlo import trade_skip
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.validation.robustness.strategies import (
    EVALUATOR,
    idle,
    one_exact_parameter,
    one_lucky_trade,
    panel_of,
    solid,
    subject_of,
    with_genes,
)

SHAKES = (
    lambda subject: neighbourhood(subject, seed=5, neighbours=10),
    lambda subject: price_noise(subject, seed=5, draws=2),
    dearer_trading,
    late_execution,
    later_start,
    asset_left_out,
    longer_bars,
    lambda subject: resampled_bars(subject, average_holding_bars=20, seed=5, draws=2),
    day_unions,
)


def permuted(subject: Subject) -> Subject:
    panel = subject.panel
    order = np.arange(panel.n_assets)[::-1]
    names = ("open", "high", "low", "close", "volume", "funding_rate", "funding_paid", "valid")
    arrays = {name: np.ascontiguousarray(getattr(panel, name)[:, order]) for name in names}
    symbols = tuple(panel.symbols[place] for place in order)
    return replace(subject, panel=replace(panel, symbols=symbols, **arrays))


def same(a: Shake, b: Shake) -> bool:
    return (a.changes, a.original, a.left_out) == (b.changes, b.original, b.left_out) and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("sharpe", "max_drawdown")
    )


def test_nothing_changed_is_the_original():
    subject = solid()
    unchanged = (
        neighbourhood(subject, seed=1, neighbours=3, step=0.0),
        price_noise(subject, seed=1, draws=2, noise=0.0),
        dearer_trading(subject, cost_factor=1.0, slippage_factor=1.0),
        late_execution(subject, bars=0),
        later_start(subject, hours=(0,)),
    )
    for shake in unchanged:
        assert shake.original == subject.sharpe
        np.testing.assert_array_equal(shake.sharpe, subject.sharpe)
        np.testing.assert_array_equal(shake.max_drawdown, subject.measured.metrics["max_drawdown"][0])


@pytest.mark.parametrize("shake", SHAKES)
def test_equal_seeds_give_equal_bits_whatever_the_threads_and_the_order_of_the_assets(shake):
    found = shake(solid())
    again = shake(replace(solid(), evaluator=replace(EVALUATOR, threads=1)))
    assert same(found, again)
    assert same(found, shake(permuted(solid())))


def test_other_seeds_give_other_draws():
    for draw in (SHAKES[0], SHAKES[1], SHAKES[7]):
        found = draw(solid())
        assert len(set(found.sharpe)) == len(found.sharpe)
    assert not same(neighbourhood(solid(), seed=1, neighbours=3), neighbourhood(solid(), seed=2, neighbours=3))


def test_a_solid_strategy_bears_it_all():
    subject = solid()
    found = examine(subject, seed=0)
    assert found.shakes["parameters"].sharpe_quantiles[1] > 0.8 * subject.sharpe
    for name in ("price noise", "dearer trading", "late execution", "later start", "asset left out", "longer bars"):
        assert found.shakes[name].worst[1] > 0, name
    assert found.bands["days resampled"].loss_probability < 0.01
    assert found.bands["trades skipped"].loss_probability == 0


def test_one_lucky_trade_is_found_out_when_trades_are_skipped():
    subject = one_lucky_trade()
    trades = closed_trades(subject)
    assert subject.sharpe > 0.5
    assert trade_skip(trades.returns, years=trades.years, seed=0).loss_probability > 0.05


def test_one_exact_parameter_is_found_out_among_its_neighbours():
    subject = one_exact_parameter()
    assert subject.sharpe > 3
    assert neighbourhood(subject, seed=0).sharpe_quantiles[1] < 0.5 * subject.sharpe


def test_neighbours_move_numbers_by_a_twentieth_of_their_range_within_their_bounds_and_nothing_else():
    genome = with_genes("bollinger_bands", stop_loss=0.08)
    found = neighbours_of(genome, np.random.default_rng(0), 4_000, 0.05)
    stops = np.array([neighbour.genes["stop_loss"] for neighbour in found])
    assert stops.mean() == pytest.approx(0.08, abs=0.0005)
    assert stops.std() == pytest.approx(0.05 * 0.14, rel=0.05)
    trailing = np.array([neighbour.genes["trailing_stop"] for neighbour in found])
    assert (trailing >= 0).all()
    assert 0.45 < np.mean(trailing == 0) < 0.55
    texts = [name for name, value in genome.genes.items() if isinstance(value, str)]
    assert all(neighbour.genes[name] == genome.genes[name] for neighbour in found[:50] for name in texts)


def test_models_are_fitted_with_the_same_genes_in_all_neighbours():
    genome = default_genome("linear_svc_classifier")
    found = neighbours_of(genome, np.random.default_rng(0), 50, 0.05)
    moved = {name for neighbour in found for name, value in neighbour.genes.items() if value != genome.genes[name]}
    assert {"ensemble_size", "decision_margin"} & moved
    assert not moved & {"lookback_window", "feature_count", "regularization", "quantile_bins"}


def test_dearer_costs_cost_more_but_rebates_and_funding_stay():
    costs = Costs(maker_fee=-0.0001, slippage_bps=3.0, max_participation=0.1, impact_bps=7.0)
    found = dearer(costs, 2.0)
    assert (found.taker_fee, found.maker_fee, found.slippage_bps, found.impact_bps) == (0.0009, -0.0001, 6.0, 14.0)
    assert replace(found, taker_fee=0.00045, slippage_bps=3.0, impact_bps=7.0) == costs
    shake = dearer_trading(solid())
    assert shake.changes == ("costs x 2", "slippage x 3")
    assert (shake.sharpe < shake.original).all()


def test_costs_that_would_leave_their_range_are_refused():
    with pytest.raises(InputError, match="slippage_bps is 1200"):
        dearer_trading(replace(solid(), costs=Costs(slippage_bps=400.0)))


def test_an_asset_left_out_takes_its_sleeve_with_it_and_nothing_else():
    subject = solid(1)
    shake = asset_left_out(subject)
    assert shake.changes == ("without S0", "without S1", "without S2")
    (member,) = subject.committee.members
    for place, others in enumerate((("S1", "S2"), ("S0", "S2"), ("S0", "S1"))):
        alone = subject.measure([Committee.of([member.genome], assets=[others])])
        assert shake.sharpe[place] == alone.metrics["sharpe"][0]


def test_a_member_that_trades_nothing_but_the_asset_left_out_is_gone():
    genomes = [member.genome for member in solid(2).committee.members]
    committee = Committee.of(genomes, assets=[("S0",), ("S1",)])
    shake = asset_left_out(replace(solid(), committee=committee))
    assert shake.changes == ("without S0", "without S1")
    alone = replace(solid(), committee=Committee.of(genomes[1:], assets=[("S1",)]))
    assert shake.sharpe[0] == pytest.approx(alone.sharpe)


def test_a_result_that_one_asset_made_flips_without_it():
    rng = np.random.default_rng(6)
    noise = 0.004 * rng.standard_normal((24 * 150, 2))
    trend = np.repeat(rng.choice([-0.003, 0.003], size=(24 * 150 // 72, 1)), 72, axis=0)
    moves = noise + np.hstack([trend, np.zeros_like(trend)])
    subject = subject_of(Committee.of([default_genome("ema_crossover")]), panel_of(100 * np.exp(np.cumsum(moves, 0))))
    assert subject.sharpe > 3
    assert asset_left_out(subject).worst[0] == "without S0"
    assert asset_left_out(subject).worst[1] < 0


def test_by_asset_is_the_committee_restricted_to_each():
    subject = solid()
    parts = by_asset(subject)
    assert [part.name for part in parts] == ["S0", "S1", "S2"]
    alone = of_members([replace(member, assets=("S1",)) for member in subject.committee.members])
    assert parts[1].sharpe == subject.measure([alone]).metrics["sharpe"][0]


def test_regimes_share_out_the_days_and_nothing_is_lost():
    subject = solid()
    days = len(subject.measured.days)
    parts = by_regime(subject)
    begun = int(subject.measured.days[0] - subject.panel.times[0]) // 86_400_000
    assert sum(part.days for part in parts) == days - max(0, 30 - begun)
    late = subject.measured.daily_returns[0][max(0, 30 - begun) :]
    assert np.prod([1 + part.total_return for part in parts if part.days]) == pytest.approx(np.prod(1 + late))


def test_a_later_start_is_the_panel_without_its_first_hours():
    subject = solid()
    shake = later_start(subject, hours=(5,))
    panel = subject.panel.window(5, subject.panel.n_bars)
    assert shake.sharpe[0] == replace(subject, panel=panel).sharpe


@pytest.mark.parametrize(
    ("bars", "shifts"),
    [("5m", (12, 60, 132, 204, 276)), ("1h", (1, 5, 11, 17, 23)), ("4h", (1, 2, 3, 5, 6)), ("1d", (1,))],
)
def test_a_later_start_is_by_whole_bars_of_any_length(bars, shifts):
    assert later_bars(Interval.parse(bars)) == shifts


def test_day_unions_are_all_pairs_of_tenths():
    shake = day_unions(solid())
    assert len(shake.changes) == 45
    returns = solid().measured.daily_returns[0]
    first, second = np.array_split(returns, 10)[:2]
    both = np.concatenate([first, second])
    assert shake.sharpe[0] == pytest.approx(both.mean() / both.std(ddof=1) * np.sqrt(365))


def test_trades_of_one_day_count_as_one_and_members_by_their_weight():
    subject = solid(2)
    trades = closed_trades(subject)
    assert trades.count == subject.measured.metrics["trades"][0]
    assert len(trades.returns) <= len(subject.measured.days)
    gained: dict[object, float] = {}
    for member in subject.committee.members:
        frame = subject.evaluator.trades(member.genome, subject.panel, Costs(), start=subject.start).frame
        for trade in frame.filter(pl.col("reason") != "open").to_dicts():
            day = trade["exit_time"].date()
            gained[day] = gained.get(day, 0.0) + member.weight * trade["return"]
    np.testing.assert_allclose(trades.returns, [gained[day] for day in sorted(gained)], atol=1e-15)
    assert trades.years == pytest.approx((subject.panel.n_bars - subject.start) / 8_760)


def test_periods_last_as_long_in_longer_bars_or_the_genome_is_left_out():
    genome = with_genes("bollinger_bands")
    period = next(name for name in genome.genes if name.endswith("period"))
    found = translated(with_genes("bollinger_bands", **{period: 40}), 2)
    assert found is not None
    assert found.genes[period] == 20
    assert translated(with_genes("bollinger_bands", **{period: 12}), 4) is None
    assert translated(default_genome("linear_svc_classifier"), 2) is None


def test_fitted_members_take_no_part_on_made_markets_unless_they_are_most_of_it():
    rule, fitted = default_genome("ema_crossover"), default_genome("linear_svc_classifier")
    subject = replace(solid(), committee=Committee.of([rule, fitted], [0.6, 0.4]))
    rest, left_out = without_models(subject)
    assert rest.committee == Committee.of([rule])
    assert [member.genome for member in left_out] == [fitted]
    mostly = replace(solid(), committee=Committee.of([rule, fitted], [0.4, 0.6]))
    assert "fitted anew" in without_models(mostly).reason


def test_members_that_become_the_same_add_up():
    genome, other = default_genome("ema_crossover"), default_genome("bollinger_bands")
    found = of_members([Member(0.25, genome), Member(0.5, other), Member(0.25, genome)])
    assert found == Committee.of([genome, other])


@pytest.mark.parametrize("shake", SHAKES)
def test_what_never_traded_is_not_run(shake):
    assert shake(idle()) == NotRun("the returns do not vary: nothing was traded")


def test_without_trades_there_is_nothing_to_shuffle_or_skip_and_one_asset_cannot_be_left_out():
    found = examine(idle(), seed=0)
    assert found.bands["trades skipped"] == NotRun("needs 10 trades, has 0")
    assert isinstance(found.bands["days resampled"], NotRun)
    assert [part.days for part in found.assets] == [100]
    assert np.isnan(found.assets[0].sharpe)
    assert "needs 2 assets" in asset_left_out(one_lucky_trade()).reason


def test_gaps_listings_and_delistings_are_borne():
    genomes = [default_genome(name) for name in ("ema_crossover", "rsi_filter", "donchian_breakout")]
    for seed in range(3):
        panel = random_panel(seed, bars=1_200, assets=4)
        found = examine(subject_of(Committee.of(genomes), panel, start=100), seed=seed)
        for name, shake in found.shakes.items():
            assert isinstance(shake, Shake | NotRun), name
            if isinstance(shake, Shake):
                assert np.isfinite(shake.sharpe).all()
                assert ((shake.max_drawdown >= 0) & (shake.max_drawdown <= 1)).all()


def test_a_span_too_short_says_so():
    short = subject_of(Committee.of([default_genome("ema_crossover")]), solid().panel.window(0, 240), start=220)
    for shake in (later_start, day_unions):
        found = shake(short)
        assert isinstance(found, NotRun)
    bands = resampled_days(short, closed_trades(short), seed=0)
    assert isinstance(bands, NotRun) or bands.draws > 0


@pytest.mark.parametrize("bars", [1, 2, 3, 30, 800])
def test_a_handful_of_bars_is_borne(bars):
    genomes = [default_genome("rsi_filter"), default_genome("ema_crossover")]
    found = examine(subject_of(Committee.of(genomes), random_panel(1, bars=900, holes=False).window(0, bars)), seed=0)
    assert all(np.isfinite(shake.sharpe).all() for shake in found.shakes.values() if isinstance(shake, Shake))
    assert isinstance(found.bands["trades skipped"], NotRun) or bars > 30


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: neighbourhood(solid(), seed=0, neighbours=0),
        lambda: neighbourhood(solid(), seed=0, step=-0.1),
        lambda: price_noise(solid(), seed=0, draws=0),
        lambda: price_noise(solid(), seed=0, noise=-1.0),
        lambda: resampled_bars(solid(), average_holding_bars=1.0, seed=0, draws=0),
        lambda: late_execution(solid(), bars=-1),
    ],
)
def test_arguments_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError):
        wrong()


def test_what_is_shown_is_made_once_and_anew_where_anything_that_it_rests_on_differs() -> None:
    made: list[tuple[object, ...]] = []

    @once
    def shown(subject: Subject, *, hours: Sequence[int] = (1,)) -> int:
        made.append((subject.identity, tuple(hours)))
        return len(made)

    subject = solid(2)
    early = replace(subject, evaluator=replace(subject.evaluator, stops_from_next_bar=True))
    dear = replace(subject, costs=replace(subject.costs, slippage_bps=subject.costs.slippage_bps + 1.0))
    others = [early, dear, replace(subject, start=subject.start + 1), solid(3)]
    assert [shown(subject), shown(subject, hours=[1]), shown(subject, hours=(1,))] == [1, 1, 1]
    assert shown(subject, hours=[2]) == 2
    assert [shown(other) for other in others] == [3, 4, 5, 6]
    assert [shown(other) for other in (subject, *others)] == [1, 3, 4, 5, 6]
