"""Laws that every family's signal obeys, whatever its genes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.strategies import Genome, default_genome, family_names, get_family, random_genome, signal
from quant_organism_tests.strategies.scenarios import bars, noisy

SEEDS = st.integers(0, 2**32 - 1)
every_family = pytest.mark.parametrize("family", family_names())


def lively(family: str, seed: int) -> Genome:
    """Draw a genome whose thresholds are low enough to trade in a few hundred bars."""
    rng = np.random.default_rng(seed)
    genes = dict(random_genome(rng, family).genes)
    easy = {"momentum_threshold": 0.002, "breakout_threshold": 0.0, "channel_period": 10, "rsi_period": 6}
    easy |= {"slow_sma_period": 100, "trend_strength_period": 20, "vwap_period": 20}
    easy |= {"funding_threshold": 0.00002, "fibonacci_window": 20, "confluence_threshold": 0.02}
    easy |= {"lookback_window": "250", "feature_window": "250", "label_horizon": "1", "refit_interval": "24"}
    return Genome(family, genes | {name: value for name, value in easy.items() if name in genes})


@every_family
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, cut=st.integers(1, 399))
def test_later_bars_change_no_earlier_target(family: str, seed: int, cut: int) -> None:
    genome, columns = lively(family, seed), noisy(seed)
    whole = signal(genome, columns)
    np.testing.assert_array_equal(signal(genome, {k: v[:cut] for k, v in columns.items()}), whole[:cut])
    for later in (lambda x: 1.3 * x, lambda x: x[::-1], lambda x: np.full_like(x, np.nan)):
        altered = {k: np.concatenate([v[:cut], later(v[cut:])]) for k, v in columns.items()}
        np.testing.assert_array_equal(signal(genome, altered)[:cut], whole[:cut])


@every_family
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, power=st.integers(-12, 12))
def test_units_of_price_and_volume_do_not_matter(family: str, seed: int, power: int) -> None:
    genome, columns = lively(family, seed), noisy(seed)
    scaled = {k: v * {"volume": 8.0, "funding_rate": 1.0}.get(k, 2.0**power) for k, v in columns.items()}
    np.testing.assert_array_equal(signal(genome, scaled), signal(genome, columns))


@every_family
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_targets_are_bounded_and_wait_for_their_warm_up(family: str, seed: int) -> None:
    genome = random_genome(np.random.default_rng(seed), family)
    y = signal(genome, noisy(seed))
    assert np.isfinite(y).all()
    if get_family(family).conviction:
        assert np.abs(y).max() <= 1
    else:
        assert set(np.unique(y)) <= {-1.0, 0.0, 1.0}
    assert not y[: get_family(family).warmup(genome.genes)].any()


@every_family
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_void_bars_are_left_out(family: str, seed: int, data: st.DataObject) -> None:
    genome, columns = lively(family, seed), noisy(seed)
    n = columns["close"].size
    void = data.draw(st.sets(st.integers(0, n - 1), max_size=60)) | data.draw(st.sampled_from([set(), {0}, {n - 1}]))
    holed = {k: v.copy() for k, v in columns.items()}
    for bar in void:
        column = data.draw(st.sampled_from(get_family(family).columns))
        holed[column][bar] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    valid = np.array([bar not in void for bar in range(n)])
    y = signal(genome, holed)
    kept = {k: v[valid] for k, v in columns.items()}
    np.testing.assert_array_equal(y[valid], signal(genome, kept, numbers=np.flatnonzero(valid)))
    for bar in void:
        assert y[bar] == (y[bar - 1] if bar else 0.0)


@every_family
def test_flat_prices_and_missing_volume_trade_nothing(family: str) -> None:
    for seed in range(20):
        genome = random_genome(np.random.default_rng(seed), family)
        for price in (0.1, 1 / 3, 97.31):
            assert not signal(genome, bars(np.full(400, price))).any()
    quiet = noisy(1) | {"volume": np.zeros(400)}
    assert np.isfinite(signal(default_genome(family), quiet)).all()


@every_family
@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_a_short_history_is_no_error(family: str, count: int) -> None:
    y = signal(default_genome(family), {k: v[:count] for k, v in noisy(0).items()})
    assert y.shape == (count,)
    assert not y[: get_family(family).warmup(default_genome(family).genes)].any()


@every_family
def test_inputs_are_left_as_they_were(family: str) -> None:
    columns = noisy(5)
    before = {k: v.copy() for k, v in columns.items()}
    signal(default_genome(family), columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize(
    ("family", "gene"), [(f, spec.name) for f in family_names() for spec in get_family(f).own_genes]
)
def test_every_gene_is_live(family: str, gene: str) -> None:
    spec = next(spec for spec in get_family(family).own_genes if spec.name == gene)
    values: Sequence[Any] = spec.choices or np.linspace(spec.low, spec.high, 9).tolist()
    if spec.kind == "structure":
        values = [spec.draw(np.random.default_rng(seed)) for seed in range(9)]
    for seed in range(30):
        base, columns = lively(family, seed), noisy(seed)
        changed = [dict(base.genes) | {gene: int(v) if spec.kind == "int" else v} for v in values]
        swept = [Genome(family, get_family(family).repair(genes)) for genes in changed]
        if len({signal(genome, columns).tobytes() for genome in swept}) > 1:
            return
    pytest.fail(f"{gene} of {family} changes nothing")


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_a_stored_genome_speaks_as_before(seed: int) -> None:
    genome, columns = random_genome(np.random.default_rng(seed)), noisy(seed)
    np.testing.assert_array_equal(signal(Genome.from_dict(genome.to_dict()), columns), signal(genome, columns))


@every_family
def test_an_absent_column_is_named(family: str) -> None:
    for column in get_family(family).columns:
        with pytest.raises(InputError, match=rf"but {column} is absent"):
            signal(default_genome(family), {k: v for k, v in noisy(0).items() if k != column})


def test_columns_of_different_length_are_refused() -> None:
    columns = noisy(0)
    with pytest.raises(InputError, match="columns must be of one length"):
        signal(default_genome("donchian_breakout"), columns | {"low": columns["low"][:-1]})
