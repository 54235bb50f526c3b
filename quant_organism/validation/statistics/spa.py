"""Is the best of several fixed strategies better than a benchmark? Hansen's SPA and the stepwise survivors (StepM).

Valid only for strategies that were fixed without looking at these returns (generation 0, a fixed grid). A search
chooses its trials on the data; over them the test rejects more often than it says.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.statistics.evidence import NotRun, flat_columns, require, require_finite, too_few
from quant_organism.validation.statistics.resampling import long_run_variance, politis_white_length

MIN_DAYS = 100
MIN_MODELS = 2
DRAWS = 1_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SuperiorPredictiveAbility:
    """A test of "no strategy has a mean above the benchmark's".

    Attributes
    ----------
    p_value
        Hansen's consistent p-value, `(1 + exceedances) / (1 + draws)`.
    lower, upper
        Its bounds: poor strategies count not at all, or as if they were as good as the benchmark.
    best
        Column with the largest studentised mean excess.
    statistic
        That mean over its standard error.
    models, dropped
        Columns used, and constant ones left out.
    days, draws, block_days, seed
        What it rests on.
    """

    p_value: float
    lower: float
    upper: float
    best: int
    statistic: float
    models: int
    dropped: int
    days: int
    draws: int
    block_days: int
    seed: int


@dataclass(frozen=True)
class Survivors:
    """Strategies that beat the benchmark, with the chance of any false one among them held to a level.

    Attributes
    ----------
    columns
        int64 (k,), ascending; may be empty.
    level
        Largest probability of any false survivor.
    models, dropped, days, draws, block_days, seed
        As for `SuperiorPredictiveAbility`.
    """

    columns: NDArray[np.int64]
    level: float
    models: int
    dropped: int
    days: int
    draws: int
    block_days: int
    seed: int


@dataclass(frozen=True)
class _Studentised:
    """Excess returns in units of their own standard error per square root of time, and where they came from."""

    excess: Floats
    columns: NDArray[np.int64]
    dropped: int
    block_days: int


def predictive_ability(
    returns: Floats, *, seed: int, benchmark: Floats | None = None, draws: int = DRAWS, block_days: int | None = None
) -> SuperiorPredictiveAbility | NotRun:
    """Test whether any of several strategies has a mean return above the benchmark's.

    Parameters
    ----------
    returns
        Net daily returns, float64 (T, N), one column per strategy. Constant excess returns are dropped and counted.
    seed, draws
        Of the stationary bootstrap.
    benchmark
        Daily returns, float64 (T,); by default cash, 0.
    block_days
        Mean block length; by default what Politis and White advise, averaged over the strategies. The customary square
        root of T is far too long for daily returns: on independent ones it rejected 14 to 24 % instead of 5 %.

    Raises
    ------
    InputError
        A return is not a number, the lengths differ, or there is no draw.

    Notes
    -----
    Hansen 2005 (JBES 23), through `arch`. Strategies are recentred when `t >= -sqrt(2 ln ln T)`. `arch` takes the
    maximum over plain means; each column is divided by its long-run standard deviation first, which studentises it.
    """
    from arch.bootstrap import SPA

    prepared = _studentise(returns, benchmark, draws, block_days)
    if isinstance(prepared, NotRun):
        return prepared
    days, models = prepared.excess.shape
    # arch compares losses: the benchmark's are 0, a strategy's are its excess returns with the sign turned.
    test = SPA(np.zeros(days), -prepared.excess, block_size=prepared.block_days, reps=draws, seed=seed)
    test.compute()
    p_values = {name: (1 + round(float(p) * draws)) / (1 + draws) for name, p in test.pvalues.items()}
    statistics = prepared.excess.mean(axis=0) * np.sqrt(days)
    return SuperiorPredictiveAbility(
        p_value=p_values["consistent"],
        lower=p_values["lower"],
        upper=p_values["upper"],
        best=int(prepared.columns[statistics.argmax()]),
        statistic=float(statistics.max()),
        models=models,
        dropped=prepared.dropped,
        days=days,
        draws=draws,
        block_days=prepared.block_days,
        seed=seed,
    )


def stepwise_survivors(
    returns: Floats,
    *,
    seed: int,
    level: float = 0.05,
    benchmark: Floats | None = None,
    draws: int = DRAWS,
    block_days: int | None = None,
) -> Survivors | NotRun:
    """List the strategies that beat the benchmark, step by step, at one level for all together.

    Parameters
    ----------
    returns, seed, benchmark, draws, block_days
        As for `predictive_ability`.
    level
        Largest probability of any false survivor, in (0, 1).

    Raises
    ------
    InputError
        As for `predictive_ability`, or a level outside (0, 1).

    Notes
    -----
    Romano, Wolf 2005 (Econometrica 73), through `arch`, studentised as for `predictive_ability`.
    """
    from arch.bootstrap import StepM

    require(0 < level < 1, f"level {level} is not in (0, 1)", "0.05 is usual")
    prepared = _studentise(returns, benchmark, draws, block_days)
    if isinstance(prepared, NotRun):
        return prepared
    days, models = prepared.excess.shape
    test = StepM(np.zeros(days), -prepared.excess, size=level, block_size=prepared.block_days, reps=draws, seed=seed)
    test.compute()
    columns = np.sort(prepared.columns[np.array(test.superior_models, dtype=np.int64)])
    return Survivors(columns, level, models, prepared.dropped, days, draws, prepared.block_days, seed)


def _studentise(returns: Floats, benchmark: Floats | None, draws: int, block_days: int | None) -> _Studentised | NotRun:
    require_finite(returns)
    require(draws >= 1, f"{draws} draws are none", f"{DRAWS} is usual")
    days = len(returns)
    excess = returns
    if benchmark is not None:
        require_finite(benchmark, "benchmark return")
        require(len(benchmark) == days, f"{days} returns, {len(benchmark)} of the benchmark", "give the same days")
        excess = returns - benchmark[:, None]
    if (few := too_few(MIN_DAYS, days, "days")) is not None:
        return few
    kept = np.flatnonzero(~flat_columns(excess))
    if (few := too_few(MIN_MODELS, len(kept), "strategies that trade")) is not None:
        return few
    block = block_days
    if block is None:
        block = int(np.ceil(np.mean([politis_white_length(excess[:, column]) for column in kept])))
    require(block >= 1, f"a block of {block} days is none", "use at least 1")
    deviation = np.sqrt([long_run_variance(excess[:, column], block) for column in kept])
    return _Studentised(excess[:, kept] / deviation, kept, returns.shape[1] - len(kept), block)
