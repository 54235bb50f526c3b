"""Rows and targets of many assets that grow bar by bar are those of a batch of each, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from quant_organism.strategies import AssetBars, FittedModels, Genome, family_names, get_family, random_genome
from quant_organism.strategies.bank import AbreastBank, IndicatorBank
from quant_organism.strategies.bars import COLUMNS, Histories
from quant_organism.strategies.family import LastTargets, StrategyFamily
from quant_organism.strategies.genome import gene_arrays
from quant_organism.strategies.indicators.indicator import Indicator, pair
from quant_organism.strategies.store import Arrays
from quant_organism.strategies.targets import Targets
from quant_organism_tests.strategies.catalogue import all_indicators

PERIODS = np.array([7, 12, 40])
PAIRS = {
    "macd": [pair(3, 8), pair(12, 26)],
    "macd_signal": [pair(pair(3, 8), 5), pair(pair(12, 26), 9)],
    "stochastic_d": [pair(5, 3), pair(14, 8)],
    "stochastic_crossing": [pair(5, 3), pair(14, 8)],
    "kernel_regression": [pair(5, 0), pair(9, 1)],
    "swing_start": [pair(12, 0), pair(20, 1), pair(31, 2)],
    "swing_end": [pair(12, 0), pair(20, 1), pair(31, 2)],
    "features": [0],
}
ELSEWHERE = {"svc_score", "return_levels", "family_sign", "swings", "vwap_moments"}
"""Those that families' targets are made of, and parts that nobody reads alone."""


def made_bars(seed: int, count: int, *, bar_hours: float = 1.0) -> AssetBars:
    """Return a random walk with bars that stand still, bars without volume and gaps in its numbers."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(count) * (rng.random(count) > 0.1)))
    opens = np.concatenate([[100.0], close[:-1]])
    spread = np.exp(np.abs(0.004 * rng.standard_normal(count)) * (rng.random(count) > 0.2))
    return AssetBars(
        open=opens,
        high=np.maximum(opens, close) * spread,
        low=np.minimum(opens, close) / spread,
        close=close,
        volume=np.exp(rng.standard_normal(count)) * (rng.random(count) > 0.3),
        funding_rate=1e-5 * rng.standard_normal(count),
        numbers=1000 + np.cumsum(rng.integers(1, 3, count)),
        bar_hours=bar_hours,
    )


def appended(histories: Histories, asset: int, bars: AssetBars, end: int) -> None:
    """Let an asset have the bars up to number `end`."""
    new = bars.since(int(histories.counts[asset]), end)
    histories.extend(asset, np.stack([getattr(new, name) for name in COLUMNS]), new.numbers)


def all_targets(genome: Genome, bars: AssetBars, models: FittedModels) -> list[float]:
    """Return the target of a genome on each bar, made of all bars at once."""
    family, genes = get_family(genome.family), gene_arrays([genome])
    targets = Targets.empty(1, bars.numbers.size, conviction=family.conviction)
    family.targets(IndicatorBank(bars, family.indicators(genes), models), genes, targets)
    found: list[float] = targets.expanded(0, bars.numbers.size).tolist()
    return found


@pytest.mark.parametrize("name", family_names())
def test_before_the_first_bar_the_target_is_0(name: str) -> None:
    bars, genome, histories = made_bars(3, 5), random_genome(np.random.default_rng(1), name), Histories(2, 1.0)
    last = LastTargets(get_family(genome.family), genome.genes, FittedModels(), 2)
    last.follow(histories, np.arange(2))
    assert last.targets.tolist() == [0.0, 0.0]
    appended(histories, 1, bars, 1)
    last.follow(histories, np.arange(2))
    assert last.targets.tolist() == [0.0, all_targets(genome, bars.since(0, 1), FittedModels())[0]]


def test_every_indicator_has_a_name_of_its_own() -> None:
    names = [indicator.name for indicator in all_indicators()]
    assert len(names) > 30
    assert len(names) == len(set(names))


@pytest.mark.parametrize("indicator", [i for i in all_indicators() if i.name not in ELSEWHERE], ids=lambda i: i.name)
@pytest.mark.parametrize("bar_hours", [1.0, 4.0])
def test_rows_are_those_of_a_batch(indicator: Indicator, bar_hours: float) -> None:
    keys = np.array(PAIRS.get(indicator.name, PERIODS), dtype=np.int64)
    rng = np.random.default_rng(5)
    every = [made_bars(seed, 420, bar_hours=bar_hours) for seed in (5, 6, 7)]
    for counts in ((0, 0, 0), (1, 300, 40), (150, 0, 151), (300, 301, 300)):
        bank, histories = AbreastBank({indicator: keys}, FittedModels(), 3), Histories(3, bar_hours)
        for asset, count in enumerate(counts):
            appended(histories, asset, every[asset], count)
        while histories.counts.min() < 420:
            # One by one, now and then several at once, and now and then none.
            for asset, bars in enumerate(every):
                new = int(rng.choice([0, 1, 2, 9], p=[0.1, 0.88, 0.01, 0.01]))
                appended(histories, asset, bars, min(int(histories.counts[asset]) + new, 420))
            bank.follow(histories, np.flatnonzero(histories.counts > bank.counts))
        bank.look_at(histories, np.arange(3), histories.counts, np.full(3, -1))
        for asset, bars in enumerate(every):
            rows, places = bank.of_asset(asset).rows(indicator, keys)
            expected, expected_places = IndicatorBank(bars, {indicator: keys}).rows(indicator, keys)
            np.testing.assert_array_equal(rows[places], expected[expected_places])
        for width in (1, 2) if expected.ndim == 2 else ():  # kernels take rows whose columns lie beside each other
            bank.look_at(histories, np.arange(3), np.full(3, width), np.full(3, -1))
            rows, _ = bank.joined(COLUMNS).rows(indicator, keys)
            assert rows.flags.c_contiguous
            assert rows.shape[-1] == 3 * width


def short_fits(genome: Genome) -> Genome:
    """Return a genome whose models, if it has any, are fitted early and often."""
    windows = {"linear_svc_classifier": "lookback_window", "pca_tree_quantile": "feature_window"}
    if genome.family not in windows:
        return genome
    return Genome(genome.family, dict(genome.genes) | {windows[genome.family]: "250", "refit_interval": "24"})


@pytest.mark.parametrize("family", family_names())
def test_targets_are_those_of_a_batch(family: str) -> None:
    # Assets that began at different times; the third stands still for a while, and then has several bars at once.
    models, every = FittedModels(), [made_bars(3, 760), made_bars(4, 700), made_bars(8, 690)]
    for seed in range(2):
        genome = short_fits(random_genome(np.random.default_rng(seed), family))
        last, histories = LastTargets(get_family(family), genome.genes, models, 3), Histories(3, 1.0)
        found: list[dict[int, float]] = [{}, {}, {}]
        for step in range(330, 761):
            counts = (step, step - 60, step - 70 if not 600 < step < 610 else 530)
            for asset, count in enumerate(counts):
                appended(histories, asset, every[asset], count)
            last.follow(histories, np.arange(3))
            if step % 2:
                last.prepare(histories)
            for asset, count in enumerate(counts):
                found[asset][count - 1] = float(last.targets[asset])
        for asset, bars in enumerate(every):
            expected = all_targets(genome, bars, models)
            assert found[asset] == {bar: expected[bar] for bar in found[asset]}


class CountedModels(FittedModels):
    """Counts fits."""

    fits = 0

    def remember(self, key: bytes, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays under a key, and count if they are made."""

        def counted() -> Arrays:
            self.fits += 1
            return make()

        return super().remember(key, counted)


@pytest.mark.parametrize("family", ["linear_svc_classifier", "pca_tree_quantile"])
def test_no_close_waits_for_a_fit_that_could_be_made_before_it(family: str) -> None:
    every = [made_bars(seed, 420)._replace(numbers=1000 + np.arange(420)) for seed in (3, 4)]
    genome, models = short_fits(random_genome(np.random.default_rng(1), family)), CountedModels()
    last, histories = LastTargets(get_family(family), genome.genes, models, 2), Histories(2, 1.0)
    for step in range(340, 421):
        for asset, bars in enumerate(every):
            appended(histories, asset, bars, step)
        before = models.fits
        last.follow(histories, np.arange(2))
        assert step == 340 or models.fits == before
        last.prepare(histories)
    assert models.fits >= 2 * (420 - 340) // 24
    assert last.targets.tolist() == [all_targets(genome, bars, models)[-1] for bars in every]


def test_latest_bars_stand_end_to_end_however_many_have_come() -> None:
    every, histories = [made_bars(3, 1400), made_bars(4, 1400)], Histories(2, 1.0)
    for step in [60, *range(61, 1200), 1210, 1211]:
        for asset, bars in enumerate(every):
            appended(histories, asset, bars, step if asset == 0 or step != 700 else 699)
        for assets in ([0, 1], [1]) if step % 50 == 0 else ([0, 1],):
            found = histories.end_to_end(np.array(assets), 30)
            latest = [
                every[asset].since(int(histories.counts[asset]) - 30, int(histories.counts[asset])) for asset in assets
            ]
            for name in (*COLUMNS, "numbers"):
                np.testing.assert_array_equal(
                    getattr(found, name), np.concatenate([getattr(bars, name) for bars in latest])
                )


@pytest.mark.parametrize("bar_hours", [0.25, 8.0])
def test_hours_are_counted_in_bars(bar_hours: float) -> None:
    # So low a threshold that the rates of these bars pass it now and then.
    genes = {"funding_persistence": 2, "carry_duration": 3, "funding_threshold": 5e-6}
    genome = Genome("funding_rate_carry", get_family("funding_rate_carry").default_genes | genes)
    every = [made_bars(seed, 500, bar_hours=bar_hours) for seed in (3, 4)]
    last = LastTargets(get_family(genome.family), genome.genes, FittedModels(), 2)
    histories, found = Histories(2, bar_hours), []
    for count in range(1, 501):
        for asset, bars in enumerate(every):
            appended(histories, asset, bars, count)
        last.follow(histories, np.arange(2))
        found.append(last.targets.tolist())
    expected = [all_targets(genome, bars, FittedModels()) for bars in every]
    assert found == [list(pair) for pair in zip(*expected, strict=True)]
    assert len({value for pair in found for value in pair}) > 1


def test_a_family_that_decides_asset_after_asset_decides_the_same() -> None:
    class OneByOne(type(get_family("ichimoku_cloud"))):  # type: ignore[misc]
        abreast = False

    genome, every = random_genome(np.random.default_rng(2), "ichimoku_cloud"), [made_bars(3, 500), made_bars(4, 460)]
    family: StrategyFamily = OneByOne()
    last, histories, found = LastTargets(family, genome.genes, FittedModels(), 2), Histories(2, 1.0), []
    for step in range(401, 501):
        for asset, count in enumerate((step, step - 40)):
            appended(histories, asset, every[asset], count)
        last.follow(histories, np.arange(2))
        found.append(last.targets.tolist())
    expected = [all_targets(genome, bars, FittedModels())[-100:] for bars in every]
    assert found == [list(pair) for pair in zip(*expected, strict=True)]
    assert any(value != 0.0 for pair in found for value in pair)
