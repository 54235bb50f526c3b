"""Probability of backtest overfitting by combinatorially symmetric cross-validation (CSCV)."""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.statistics.evidence import NotRun, require, require_finite, too_few

MIN_COLUMNS = 8
MIN_BLOCK_DAYS = 20
BLOCKS, FEWEST_BLOCKS = 12, 8
# A split whose variance is this small against its mean square is constant up to rounding.
_FLAT_SHARE = 1e-12
# Clones tie: their ratios differ in the last bits, depending on where they stand in a matrix product.
_DECIMALS = 12

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Overfitting:
    """What becomes, out of sample, of the column that looked best in sample.

    Attributes
    ----------
    probability
        PBO: share of splits in which it ranks in the lower half.
    loss_probability
        Share of splits in which its Sharpe ratio out of sample is negative or undefined.
    logits
        float64 (splits,): `ln(w / (1 - w))` of its relative rank out of sample.
    chosen
        int64 (splits,): the column.
    columns, blocks, periods
        What it rests on; the oldest periods that fill no block are left out.
    """

    probability: float
    loss_probability: float
    logits: Floats
    chosen: NDArray[np.int64]
    columns: int
    blocks: int
    periods: int


def backtest_overfitting(returns: Floats, blocks: int = BLOCKS) -> Overfitting | NotRun:
    """Measure the probability of backtest overfitting among cluster medoids.

    Parameters
    ----------
    returns
        Net daily returns, float64 (T, N), one column per medoid: among all trials of a search clones would be ranked
        against each other.
    blocks
        Most blocks S, even: 12 gives 924 splits, 16 gives 12,870. Fewer where they would be shorter than 20 days, down
        to 8, which gives 70.

    Raises
    ------
    InputError
        As `cscv`.

    Notes
    -----
    Bailey, Borwein, Lopez de Prado, Zhu 2017 (J. Comp. Finance 20).
    """
    fewest = min(blocks, FEWEST_BLOCKS)
    few = too_few(MIN_COLUMNS, returns.shape[1], "medoids") or too_few(fewest * MIN_BLOCK_DAYS, len(returns), "days")
    return few if few is not None else cscv(returns, min(blocks, len(returns) // (2 * MIN_BLOCK_DAYS) * 2))


def cscv(returns: Floats, blocks: int) -> Overfitting:
    """Choose the best column on every half of the blocks and rank it on the other half, whatever the size.

    Parameters
    ----------
    returns
        Float64 (T, N), T at least 2 S.
    blocks
        S, even and at least 2.

    Raises
    ------
    InputError
        A return is not a number, S is odd, or there are too few periods or no column.
    """
    require_finite(returns)
    require(blocks >= 2 and blocks % 2 == 0, f"{blocks} blocks cannot be halved", "use an even number, such as 12")
    size = len(returns) // blocks
    columns = returns.shape[1]
    require(
        size >= 2 and columns >= 1, f"{returns.shape} returns for {blocks} blocks", "use fewer blocks or longer data"
    )
    kept = returns[len(returns) - size * blocks :].reshape(blocks, size, columns)
    sums, squares = kept.sum(axis=1), (kept**2).sum(axis=1)
    halves = np.zeros((comb(blocks, blocks // 2), blocks))
    for row, half in enumerate(combinations(range(blocks), blocks // 2)):
        halves[row, list(half)] = 1
    periods = size * blocks // 2
    inside = _sharpe(halves @ sums, halves @ squares, periods)
    outside = _sharpe((1 - halves) @ sums, (1 - halves) @ squares, periods)
    chosen = inside.argmax(axis=1)
    result = outside[np.arange(len(chosen)), chosen]
    rank = 1 + (outside < result[:, None]).sum(axis=1)
    share = rank / (columns + 1)
    return Overfitting(
        probability=float(np.mean(share <= 0.5)),
        loss_probability=float(np.mean(result < 0)),
        logits=np.log(share / (1 - share)),
        chosen=chosen,
        columns=columns,
        blocks=blocks,
        periods=size * blocks,
    )


def _sharpe(sums: Floats, squares: Floats, periods: int) -> Floats:
    mean = sums / periods
    variance = (squares - sums * mean) / (periods - 1)
    flat = variance <= _FLAT_SHARE * squares / periods
    ratio: Floats = np.where(flat, -np.inf, mean / np.sqrt(np.where(flat, 1.0, variance)))
    return ratio.round(_DECIMALS)
