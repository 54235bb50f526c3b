"""Simulated markets look like markets: the average over twelve worlds lies where real ones do."""

import numpy as np
import pytest

from quant_organism.market.world.generator import generate
from quant_organism.market.world.spec import WorldSpec

SEEDS = range(12)


def correlation(x, y):
    return float(np.corrcoef(x, y)[0, 1])


def autocorrelation(x, lag):
    return correlation(x[lag:], x[:-lag])


def hill(returns, share=0.01):
    largest = np.sort(np.abs(returns))[-int(share * len(returns)) - 1 :]
    return 1.0 / np.mean(np.log(largest[1:] / largest[0]))


def variance_ratio(returns, bars):
    logs = np.log1p(returns)
    summed = np.convolve(logs, np.ones(bars), "valid")
    return summed.var() / (bars * logs.var())


def kurtosis(x):
    return np.mean((x - x.mean()) ** 4) / x.var() ** 2


def facts(seed: int) -> dict[str, float]:
    spec = WorldSpec.model_validate(
        {"name": "facts", "assets": [{"symbol": f"A{i}", "volatility": v} for i, v in enumerate((1, 1.25, 1.6, 1.5))]}
    )
    bars, _ = generate(spec, seed)
    returns = bars.close / bars.open - 1
    r = returns[:, 0]
    size = np.abs(r)
    daily = np.prod(1 + r.reshape(-1, 24), axis=1) - 1
    volume = np.log(bars.volume[:, 0])
    parkinson = np.mean(np.log(bars.high[:, 0] / bars.low[:, 0]) ** 2) / (4 * np.log(2))
    funding = 8 * bars.funding_rate[::8, 0]
    pairs = np.corrcoef(returns.T)[np.triu_indices(4, 1)]
    return {
        "annual volatility": r.std() * np.sqrt(8760),
        "kurtosis 1h": kurtosis(r),
        "kurtosis daily": kurtosis(daily),
        "skew": float(np.mean((r - r.mean()) ** 3) / r.std() ** 3),
        "autocorrelation 1": autocorrelation(r, 1),
        "autocorrelation 24": autocorrelation(r, 24),
        "size autocorrelation 1": autocorrelation(size, 1),
        "size autocorrelation 24": autocorrelation(size, 24),
        "size autocorrelation 168": autocorrelation(size, 168),
        "leverage": float(np.mean([correlation(r[:-lag], size[lag:]) for lag in range(1, 25)])),
        "tail index": hill(r),
        "variance ratio 4": variance_ratio(r, 4),
        "variance ratio 24": variance_ratio(r, 24),
        "variance ratio 168": variance_ratio(r, 168),
        "cross-correlation": float(pairs.mean()),
        "volume with size": correlation(volume, np.log(size + 1e-9)),
        "volume autocorrelation 1": autocorrelation(volume, 1),
        "volume autocorrelation 24": autocorrelation(volume, 24),
        "Parkinson over close": parkinson / np.mean(np.log1p(r) ** 2),
        "funding mean bp": 1e4 * funding.mean(),
        "funding sd bp": 1e4 * funding.std(),
        "funding autocorrelation": autocorrelation(funding, 1),
    }


@pytest.fixture(scope="module")
def averages() -> dict[str, float]:
    worlds = [facts(seed) for seed in SEEDS]
    return {name: float(np.mean([world[name] for world in worlds])) for name in worlds[0]}


@pytest.mark.parametrize(
    ("fact", "low", "high"),
    [
        ("annual volatility", 0.50, 0.72),
        ("kurtosis 1h", 20, 70),
        ("kurtosis daily", 6, 18),
        ("skew", -1, 1),
        ("autocorrelation 1", -0.02, 0.02),
        ("autocorrelation 24", -0.02, 0.02),
        ("size autocorrelation 1", 0.22, 0.36),
        ("size autocorrelation 24", 0.15, 0.30),
        ("size autocorrelation 168", 0.08, 0.21),
        ("leverage", -1, 0),
        ("tail index", 2.8, 3.8),
        ("variance ratio 4", 0.96, 1.04),
        ("variance ratio 24", 0.92, 1.08),
        ("variance ratio 168", 0.85, 1.15),
        ("cross-correlation", 0.40, 0.60),
        ("volume with size", 0.6, 0.85),
        ("volume autocorrelation 1", 0.35, 0.7),
        ("volume autocorrelation 24", 0.25, 0.6),
        ("Parkinson over close", 0.6, 1.1),
        ("funding mean bp", 0, 2.5),
        ("funding sd bp", 2, 3.5),
        ("funding autocorrelation", 0.85, 0.95),
    ],
)
def test_a_stylised_fact_holds_on_average(averages, fact, low, high):
    assert low <= averages[fact] <= high
