"""The indicator bank: every (indicator, key) pair that a population reads on one asset, computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.indicators import (
    averages,
    dispersion,
    extremes,
    oscillators,
    swings,
    trend,
    volatility,
    volume,
)
from quant_organism.strategies.learning import features, linear_svc, pca_tree
from quant_organism.strategies.store import Arrays, IndicatorStore, Keys, Rows, Table

if TYPE_CHECKING:
    from quant_organism.strategies.family import GeneArrays, StrategyFamily

_PAIR_BITS = 20


class Bars(NamedTuple):
    """The valid bars of one asset.

    Parameters
    ----------
    open, high, low, close, volume
        Prices and base volume, each of shape (n,).
    funding_rate
        Fraction per hour in force at each close, shape (n,); NaN where there is none.
    numbers
        Absolute number of each bar: its open time over its length, shape (n,).
    bar_hours
        Length of a bar in hours.
    market, asset
        Names under which a store keeps what is computed from these bars; equal names promise equal bars. Bars without
        names leave nothing behind.
    """

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    funding_rate: NDArray[np.float64]
    numbers: NDArray[np.int64]
    bar_hours: float
    market: str = ""
    asset: str = ""

    def count_of(self, hours: Keys) -> Keys:
        """Return how many bars cover each number of hours, at least one."""
        return np.maximum(1, np.ceil(hours / self.bar_hours)).astype(np.int64)

    def part(self, chosen: NDArray[Any], name: str) -> Bars:
        """Return the chosen ones of these bars, by mask or by number, under a name that is added to the asset's."""
        columns = ("open", "high", "low", "close", "volume", "funding_rate", "numbers")
        kept: dict[str, Any] = {column: np.ascontiguousarray(getattr(self, column)[chosen]) for column in columns}
        return self._replace(**kept, asset=f"{self.asset}, {name}")

    def since(self, begin: int) -> Bars:
        """Return the bars from number `begin` on, without names."""
        opens, high, low, close, volume, funding_rate, numbers, bar_hours, _, _ = self
        return Bars(
            opens[begin:],
            high[begin:],
            low[begin:],
            close[begin:],
            volume[begin:],
            funding_rate[begin:],
            numbers[begin:],
            bar_hours,
        )


def pair(a: Any, b: Any) -> Any:
    """Return the key of an indicator with two parameters, each below 2**20; arrays give arrays."""
    return a << _PAIR_BITS | b


def unpair(keys: Keys) -> tuple[Keys, Keys]:
    """Return the two parameters of each key that `pair` made."""
    return keys >> _PAIR_BITS, keys & ((1 << _PAIR_BITS) - 1)


class IndicatorBank:
    """Indicators of one asset, shared by all genomes and read-only once built.

    Parameters
    ----------
    bars
        Valid bars of the asset.
    needs
        Keys in use per indicator name (a period, or a `pair`), in any order and with repetitions.
    store
        Where rows are looked up before they are computed, and kept for the next bank of the same bars.
    """

    def __init__(self, bars: Bars, needs: Mapping[str, Keys], store: IndicatorStore | None = None) -> None:
        self.bars = bars
        workshop = Workshop(bars, store)
        self._tables = {name: workshop.table(name, np.unique(keys)) for name, keys in needs.items()}

    def rows(self, name: str, keys: Keys) -> tuple[Rows, Keys]:
        """Return rows (K, n) of an indicator and the row number of each of the given keys."""
        table = self._tables[name]
        if not table.holds(keys).all():
            raise KeyError(f"{name} was not built for all of the keys {np.unique(keys)}")
        return table.rows, table.places_of(keys)


class Workshop:
    """Makes rows, and keeps those that others are made from as long as the bank is being built."""

    def __init__(self, bars: Bars, store: IndicatorStore | None) -> None:
        self.bars = bars
        self.store = store or IndicatorStore(0)
        self._keeps = bool(bars.market and bars.asset)
        self._made: dict[tuple[str, bytes], Rows] = {}

    def make(self, name: str, keys: Keys) -> Rows:
        """Return the rows (K, n) of an indicator for the given keys."""
        place = (name, keys.tobytes())
        if place not in self._made:
            self._made[place] = _RECIPES[name](self, keys)
        return self._made[place]

    def remember(self, key: bytes, make: Callable[[], Arrays]) -> Arrays:
        """Return arrays from the store, or make them; the key must stand for all that they depend on."""
        return self.store.remember(key, make)

    def table(self, name: str, keys: Keys) -> Table:
        """Return at least the rows of the given keys, each once."""
        market, asset = self.bars.market, self.bars.asset
        kept = self.store.table(market, asset, name) if self._keeps else None
        here = np.zeros(keys.size, dtype=np.bool_) if kept is None else kept.holds(keys)
        if kept is not None and here.all():
            return kept
        known, missing = keys[here], keys[~here]
        made = self.make(name, missing)
        everything = self.store.keep_table(market, asset, name, missing, made) if self._keeps else None
        if everything is not None:
            return everything
        if kept is None or known.size == 0:
            return Table.of(missing, made)
        rows = np.empty((keys.size, *made.shape[1:]), made.dtype)
        np.take(kept.rows, kept.places_of(known), axis=0, out=rows[: known.size], mode="clip")
        rows[known.size :] = made
        return Table.of(np.concatenate([known, missing]), rows)


def _z_score(shop: Workshop, periods: Keys) -> Rows:
    return dispersion.z_score_rows(shop.bars.close, shop.make("sma", periods), shop.make("deviation", periods))


def _bandwidth_rank(shop: Workshop, periods: Keys) -> Rows:
    return dispersion.bandwidth_rank_rows(shop.make("sma", periods), shop.make("deviation", periods), periods)


def _rsi_divergence(shop: Workshop, periods: Keys) -> Rows:
    close = shop.bars.close
    return oscillators.divergence_rows(close, close, shop.make("rsi", periods), periods, 1)


def _stochastic_k(shop: Workshop, periods: Keys) -> Rows:
    return oscillators.stochastic_k_rows(
        shop.bars.close, shop.make("highest_high", periods), shop.make("lowest_low", periods)
    )


def _stochastic_d(shop: Workshop, keys: Keys) -> Rows:
    k_period, d_period = unpair(keys)
    periods, row = extremes.distinct(k_period)
    return oscillators.stochastic_d_rows(shop.make("stochastic_k", periods), row, k_period, d_period)


def _stochastic_crossing(shop: Workshop, keys: Keys) -> Rows:
    periods, row = extremes.distinct(unpair(keys)[0])
    return oscillators.crossing_rows(shop.make("stochastic_k", periods), row, shop.make("stochastic_d", keys))


def _stochastic_divergence(shop: Workshop, periods: Keys) -> Rows:
    index = shop.make("stochastic_k", periods)
    return oscillators.divergence_rows(shop.bars.high, shop.bars.low, index, periods, 0)


def _midrange(shop: Workshop, periods: Keys) -> Rows:
    return extremes.midrange_rows(shop.make("highest_high", periods), shop.make("lowest_low", periods))


def _atr(shop: Workshop, periods: Keys) -> Rows:
    bars = shop.bars
    return volatility.atr_rows(volatility.true_range(bars.high, bars.low, bars.close), periods)


def _vwap_moments(shop: Workshop, periods: Keys) -> Rows:
    # Shape (2, K, n): what vwap and vwap_deviation share.
    bars = shop.bars
    return volume.vwap_rows(volume.typical_price(bars.high, bars.low, bars.close), bars.volume, periods)


def _mean_funding_rate(shop: Workshop, hours: Keys) -> Rows:
    return averages.mean_rows(shop.bars.funding_rate, shop.bars.count_of(hours))


def _volatility_ratio(shop: Workshop, periods: Keys) -> Rows:
    short, long = (shop.make("log_return_deviation", windows) for windows in (periods, 4 * periods))
    return volatility.volatility_ratio_rows(short, long)


def _kernel_regression(shop: Workshop, keys: Keys) -> Rows:
    return averages.kernel_regression_rows(shop.bars.close, *unpair(keys))


def _swings(shop: Workshop, keys: Keys) -> Rows:
    # Shape (2, K, n): what swing_start and swing_end share.
    return swings.swing_rows(shop.bars.high, shop.bars.low, shop.bars.close, *unpair(keys))


def _macd(shop: Workshop, spans: Keys) -> Rows:
    averages_of_both = shop.make("ema", np.concatenate(unpair(spans)))
    return averages_of_both[: spans.size] - averages_of_both[spans.size :]


def _macd_signal(shop: Workshop, keys: Keys) -> Rows:
    spans, periods = unpair(keys)
    return averages.ema_of_rows(shop.make("macd", spans), np.maximum(*unpair(spans)) - 1, periods)


def _family_sign(shop: Workshop, numbers: Keys) -> Rows:
    # The sign of each family's reference genome. What it is made of is not kept.
    from quant_organism.strategies.targets import Targets

    n = shop.bars.numbers.size
    references = [_reference(number) for number in numbers.tolist()]
    needs: dict[str, list[Keys]] = {}
    for family, genes in references:
        for name, keys in family.indicators(genes).items():
            needs.setdefault(name, []).append(keys)
    bars = shop.bars._replace(market="")
    bank = IndicatorBank(bars, {name: np.concatenate(keys) for name, keys in needs.items()}, shop.store)
    signs = np.empty((numbers.size, n), dtype=np.int8)
    for row, (family, genes) in zip(signs, references, strict=True):
        targets = Targets.empty(1, n, conviction=family.conviction)
        family.targets(bank, genes, targets)
        row[:] = np.sign(targets.expanded(0, n))
    return signs


@cache
def _reference(number: int) -> tuple[StrategyFamily, GeneArrays]:
    # The register of families comes before any bank.
    from quant_organism.strategies.family import families, get_family
    from quant_organism.strategies.operators import default_genome
    from quant_organism.strategies.signals import gene_arrays

    name = families()[number]
    return get_family(name), gene_arrays([default_genome(name)])


_RECIPES: dict[str, Callable[[Workshop, Keys], Rows]] = {
    "ema": lambda shop, periods: averages.ema_rows(shop.bars.close, periods),
    "rate_of_change": lambda shop, periods: averages.rate_of_change_rows(shop.bars.close, periods),
    "log_return": lambda shop, periods: np.log1p(shop.make("rate_of_change", periods)),
    "sma": lambda shop, periods: averages.mean_rows(shop.bars.close, periods),
    "deviation": lambda shop, periods: dispersion.deviation_rows(shop.bars.close, periods, 0),
    "previous_high": lambda shop, periods: extremes.maximum_rows(shop.bars.high, periods, 1),
    "previous_low": lambda shop, periods: extremes.minimum_rows(shop.bars.low, periods, 1),
    "previous_mean_volume": lambda shop, periods: averages.mean_rows(shop.bars.volume, periods, 1),
    "rsi": lambda shop, periods: oscillators.rsi_rows(shop.bars.close, periods),
    "rsi_divergence": _rsi_divergence,
    "z_score": _z_score,
    "macd": _macd,
    "macd_signal": _macd_signal,
    "bandwidth_rank": _bandwidth_rank,
    "highest_high": lambda shop, periods: extremes.maximum_rows(shop.bars.high, periods),
    "lowest_low": lambda shop, periods: extremes.minimum_rows(shop.bars.low, periods),
    "midrange": _midrange,
    "close_breakout": lambda shop, periods: extremes.breakout_rows(shop.bars.close, periods),
    "stochastic_k": _stochastic_k,
    "stochastic_d": _stochastic_d,
    "stochastic_crossing": _stochastic_crossing,
    "stochastic_divergence": _stochastic_divergence,
    "efficiency_ratio": lambda shop, periods: trend.efficiency_ratio_rows(shop.bars.close, periods),
    "closes_above_sma": lambda shop, periods: trend.count_above_rows(shop.bars.close, shop.make("sma", periods), 1),
    "closes_below_sma": lambda shop, periods: trend.count_above_rows(shop.bars.close, shop.make("sma", periods), -1),
    "atr": _atr,
    "log_atr_ratio": lambda shop, periods: volatility.log_atr_ratio_rows(shop.make("atr", periods), periods),
    "vwap_moments": _vwap_moments,
    "vwap": lambda shop, periods: shop.make("vwap_moments", periods)[0],
    "vwap_deviation": lambda shop, periods: shop.make("vwap_moments", periods)[1],
    "log_return_deviation": lambda shop, periods: volatility.log_return_deviation_rows(shop.bars.close, periods),
    "volatility_ratio": _volatility_ratio,
    "mean_funding_rate": _mean_funding_rate,
    "kernel_regression": _kernel_regression,
    "swings": _swings,
    "swing_start": lambda shop, keys: shop.make("swings", keys)[0],
    "swing_end": lambda shop, keys: shop.make("swings", keys)[1],
    "funding_mean": lambda shop, periods: averages.mean_rows(shop.bars.funding_rate, periods),
    "mean_volume": lambda shop, periods: averages.mean_rows(shop.bars.volume, periods),
    "family_sign": _family_sign,
    "features": lambda shop, _: features.feature_rows(shop.bars)[np.newaxis],
    "svc_score": linear_svc.score_rows,
    "return_levels": pca_tree.level_rows,
}
