"""Priors: what is drawn lies where it should, follows the bars it is drawn for, and moves on the scale of its gene."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import signal_bars
from quant_organism.strategies import COMMON_GENES, AssetBars, GeneRows, Genome, GenomeSampler, family_names, get_family
from quant_organism.strategies.bank import row_of
from quant_organism.strategies.genes import PERIODS, GeneSpec, off_scale, on_scale
from quant_organism.strategies.indicators.averages import MEAN_FUNDING_RATE, RATE_OF_CHANGE
from quant_organism.strategies.indicators.oscillators import RSI
from quant_organism.strategies.operators import crossover, default_genome, mutate, random_genome
from quant_organism.strategies.priors import NeutralPrior, QuantilePrior, RangePrior
from quant_organism_tests.panels import trending_panel

SEEDS = st.integers(0, 2**32 - 1)
PANEL = trending_panel(days=60, assets=2)
RATES = 3e-5 * np.random.default_rng(0).standard_normal(PANEL.close.shape)
SAMPLES = [signal_bars(replace(PANEL, funding_rate=RATES), asset, PANEL.n_bars) for asset in range(2)]
every_family = pytest.mark.parametrize("family", family_names())


def drawn(family: str, count: int, seed: int = 0, samples: list[AssetBars] | None = None) -> list[Genome]:
    sampler, rng = GenomeSampler(SAMPLES if samples is None else samples), np.random.default_rng(seed)
    return [sampler.draw(rng, family) for _ in range(count)]


@every_family
def test_what_is_drawn_lies_within_its_prior(family: str) -> None:
    genomes = drawn(family, 60)
    for spec in get_family(family).genes:
        values = [genome.genes[spec.name] for genome in genomes]
        if isinstance(spec.prior, RangePrior):
            assert min(values) >= spec.prior.low
            assert max(values) <= spec.prior.high
            assert len(set(values)) > 1
        elif isinstance(spec.prior, NeutralPrior):
            share = np.mean([value == spec.prior.value for value in values])
            assert share == pytest.approx(spec.prior.share, abs=0.25)
            if isinstance(spec.prior.otherwise, RangePrior):
                others = [value for value in values if value != spec.prior.value]
                assert min(others) >= spec.prior.otherwise.low
                assert max(others) <= spec.prior.otherwise.high


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_equal_bars_and_seeds_draw_equal_genomes_whatever_was_drawn_before(seed: int) -> None:
    for family in ("ema_crossover", "funding_rate_carry", "ichimoku_cloud"):
        sampler = GenomeSampler(SAMPLES)
        sampler.draw(np.random.default_rng(1), family)
        assert sampler.draw(np.random.default_rng(seed), family) == drawn(family, 1, seed)[0]


@every_family
def test_what_has_a_grid_is_drawn_on_it(family: str) -> None:
    for genome in drawn(family, 40):
        for spec in get_family(family).genes:
            assert not spec.grid or genome.genes[spec.name] in spec.steps


def test_what_is_bred_moves_on_to_its_grid_and_what_does_not_move_stays_off_it() -> None:
    rng = np.random.default_rng(6)
    parents = [random_genome(rng, family) for family in family_names() for _ in range(20)]
    mutants = mutate(GeneRows.of(parents), np.ones(len(parents), dtype=bool), rng, rate=0.4, eta=20.0)
    first, second = crossover(GeneRows.of(parents[::2]), GeneRows.of(parents[1::2]), rng, eta=15.0)
    pairs = [*zip(parents[::2], parents[1::2], first.genomes(1), strict=True)]
    pairs += zip(parents[::2], parents[1::2], second.genomes(1), strict=True)
    pairs += zip(parents, parents, mutants.genomes(1), strict=True)
    kept = bred = 0
    for mother, father, child in pairs:
        for spec in get_family(child.family).own_genes:
            # A repair may exchange two windows of one genome.
            before = {*mother.genes.values(), *father.genes.values()} if spec.grid else set()
            if spec.grid and child.genes[spec.name] in before:
                kept += child.genes[spec.name] not in spec.grid
            elif spec.grid:
                assert child.genes[spec.name] in spec.grid
                bred += 1
    assert kept > 100
    assert bred > 100


def test_each_step_is_as_long_as_the_ratio_to_the_next_says() -> None:
    ratios = np.divide(PERIODS[1:], PERIODS[:-1])[PERIODS.index(10) :]
    assert ratios.min() > 1.15
    assert ratios.max() < 1.26
    assert {3 * period for period in PERIODS if 10 <= period <= 108} <= set(PERIODS)


def share_beyond(values: list[np.ndarray], threshold: float) -> float:
    joined = np.concatenate(values)
    return float(np.mean(joined[np.isfinite(joined)] > threshold))


def test_thresholds_are_the_quantiles_that_the_table_says() -> None:
    # Those that bounds cut off tell nothing.
    checked = 0
    for genome in drawn("ema_crossover", 40):
        threshold = genome.genes["momentum_threshold"]
        if 0.0 < threshold < 0.05:
            beyond = share_beyond(
                [np.abs(row_of(b, RATE_OF_CHANGE, genome.genes["fast_ema_period"])) for b in SAMPLES], threshold
            )
            assert 0.04 < beyond < 0.72
            checked += 1
    for genome in drawn("rsi_filter", 40):
        for name, sign in (("oversold_threshold", -1.0), ("overbought_threshold", 1.0)):
            threshold, (low, high) = genome.genes[name], {-1.0: (15.0, 35.0), 1.0: (65.0, 85.0)}[sign]
            if low < threshold < high:
                index = [sign * row_of(b, RSI, genome.genes["rsi_period"]) for b in SAMPLES]
                assert 0.008 < share_beyond(index, sign * threshold) < 0.125
                checked += 1
    for genome in drawn("funding_rate_carry", 40):
        threshold = genome.genes["funding_threshold"]
        if 0.000005 < threshold < 0.0005:
            rates = [np.abs(row_of(b, MEAN_FUNDING_RATE, genome.genes["funding_persistence"])) for b in SAMPLES]
            assert 0.02 < share_beyond(rates, threshold) < 0.52
            checked += 1
    assert checked > 60


def test_thresholds_follow_the_size_of_moves_and_not_the_price() -> None:
    calm = SAMPLES[0]
    dear = calm._replace(**{name: 1_000.0 * getattr(calm, name) for name in ("open", "high", "low", "close")})
    assert [g.genes for g in drawn("donchian_breakout", 5, samples=[dear])] == [
        g.genes for g in drawn("donchian_breakout", 5, samples=[calm])
    ]
    for one, other in zip(
        drawn("ema_crossover", 20, samples=[calm]), drawn("ema_crossover", 20, samples=[dear]), strict=True
    ):
        assert one.genes["momentum_threshold"] == pytest.approx(other.genes["momentum_threshold"], rel=1e-6)
    still = calm._replace(close=calm.close[0] * (calm.close / calm.close[0]) ** 0.25)
    smaller = [g.genes["momentum_threshold"] for g in drawn("ema_crossover", 20, samples=[still])]
    assert np.median(smaller) < 0.5 * np.median(
        [g.genes["momentum_threshold"] for g in drawn("ema_crossover", 20, samples=[calm])]
    )


def test_without_bars_to_read_a_threshold_is_drawn_from_its_bounds() -> None:
    unfunded = [b._replace(funding_rate=np.full(b.close.size, np.nan)) for b in SAMPLES]
    values = [g.genes["funding_threshold"] for g in drawn("funding_rate_carry", 200, samples=unfunded)]
    assert np.quantile(values, 0.5) == pytest.approx(0.00025, rel=0.3)


def test_what_is_on_a_log_scale_is_drawn_evenly_by_ratios() -> None:
    periods = [genome.genes["channel_period"] for genome in drawn("donchian_breakout", 400)]
    assert np.exp(np.mean(np.log(periods))) == pytest.approx(np.sqrt(20 * 168), rel=0.1)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20), st.sampled_from([0.0, 1e-4, 5.0, np.nan]))
def test_scales_lead_there_and_back(values: list[float], shift: float) -> None:
    numbers, shifts = np.array(values), np.full(len(values), shift)
    places = on_scale(numbers, shifts)
    np.testing.assert_allclose(
        off_scale(places, shifts), numbers, rtol=1e-9, atol=1e-9 * max(1.0, np.nan_to_num(shift))
    )
    assert (np.argsort(places) == np.argsort(numbers)).all() or len(set(values)) < len(values)


def test_a_gene_on_a_log_scale_moves_by_ratios_and_crosses_at_the_geometric_mean() -> None:
    rng = np.random.default_rng(3)
    default = default_genome("vwap_reversion")
    low, high = (Genome(default.family, {**default.genes, "vwap_period": period}) for period in (20, 100))

    def moves(parent: Genome) -> float:
        children = mutate(GeneRows.of([parent] * 1_500), np.zeros(1_500, dtype=bool), rng, rate=1.0, eta=20.0)
        periods = np.array([child.genes["vwap_period"] for child in children.genomes(1)])
        return float(np.abs(np.log(periods / parent.genes["vwap_period"])).mean())

    # On to a step of its grid, each about a fifth away from the next.
    assert moves(low) == pytest.approx(moves(high), abs=0.04)
    assert 0.18 < moves(high) < 0.3
    one, other = crossover(GeneRows.of([low] * 800), GeneRows.of([high] * 800), rng, eta=15.0)
    born = [child.genes["vwap_period"] for rows in (one, other) for child in rows.genomes(1)]
    assert np.exp(np.mean(np.log(born))) == pytest.approx(np.sqrt(20 * 100), rel=0.03)


@settings(deadline=None, max_examples=25)
@given(SEEDS)
def test_whatever_is_bred_keeps_its_windows_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parents = drawn("ema_crossover", 10, seed) + drawn("ichimoku_cloud", 10, seed)
    for child in mutate(GeneRows.of(parents), np.ones(20, dtype=bool), rng, rate=0.8, eta=1.0).genomes(1) + parents:
        genes = child.genes
        if child.family == "ema_crossover":
            assert genes["fast_ema_period"] < genes["slow_ema_period"]
        else:
            assert genes["tenkan_period"] <= genes["kijun_period"] <= genes["senkou_span_b_period"]


@every_family
def test_priors_lie_within_their_bounds_and_read_genes_that_there_are(family: str) -> None:
    specs = get_family(family).own_genes + COMMON_GENES
    names = {spec.name for spec in specs}
    for spec in specs:
        for span in (spec.prior, getattr(spec.prior, "otherwise", None)):
            if isinstance(span, RangePrior):
                assert spec.low <= span.low <= span.high <= spec.high
                assert spec.scale == "linear" or span.low > 0.0
        if isinstance(spec.prior, NeutralPrior):
            assert spec.check(spec.prior.value, family) == spec.prior.value
        if isinstance(spec.prior, QuantilePrior):
            assert set(spec.prior.reads) <= names - {spec.name}
        assert spec.drawn_from


def test_a_prior_says_in_words_what_it_draws() -> None:
    spec: GeneSpec = next(s for s in COMMON_GENES if s.name == "take_profit")
    assert spec.drawn_from == "0.3 in 50%, else uniform in [0.1, 0.3]"
    assert replace(spec, prior=None, scale="log").drawn_from == "log-uniform in [0.02, 0.3]"
