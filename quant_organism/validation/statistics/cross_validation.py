"""Cross-validation in time: rolling walk-forward windows, and every choice of k of N test groups with clean borders."""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from quant_organism.market import Span
from quant_organism.validation.statistics.evidence import NotRun, require, too_few

GROUPS = 10
TEST_GROUPS = 2

MIN_WINDOWS = 3


@dataclass(frozen=True)
class Window:
    """One step: bars to fit on, and later bars to score; between them an embargo that belongs to neither."""

    train: Span
    test: Span


def walk_forward(periods: int, *, train: int, test: int, embargo: int = 0) -> tuple[Window, ...] | NotRun:
    """Cut periods into rolling windows whose tests adjoin and never overlap.

    Parameters
    ----------
    periods
        T, in time order.
    train, test
        Length of each, at least 1.
    embargo
        Periods left out between them: at least the longest holding, plus the look-back of fitted features.

    Returns
    -------
    tuple of Window, or NotRun
        Oldest first; the last test ends at T, and the oldest periods that fill no window are left out.

    Raises
    ------
    InputError
        A length is not positive, or the embargo is negative.
    """
    require(train >= 1 and test >= 1, f"train {train}, test {test}", "both need at least one period")
    require(embargo >= 0, f"an embargo of {embargo} is negative", "use 0 for none")
    count = max(0, (periods - train - embargo) // test)
    if (few := too_few(MIN_WINDOWS, count, "windows")) is not None:
        return few
    windows = []
    for i in range(count):
        begin = periods - (count - i) * test
        stop = begin - embargo
        windows.append(Window(Span(f"train {i}", stop - train, stop), Span(f"test {i}", begin, begin + test)))
    return tuple(windows)


@dataclass(frozen=True)
class PurgedSplit:
    """One choice of test groups.

    Attributes
    ----------
    groups
        Test groups, ascending.
    train, test
        int64, ascending: periods of each; what lies near a border belongs to neither.
    """

    groups: tuple[int, ...]
    train: NDArray[np.int64]
    test: NDArray[np.int64]


def purged_splits(
    periods: int, *, groups: int = GROUPS, test_groups: int = TEST_GROUPS, purge: int = 0, embargo: int = 0
) -> tuple[PurgedSplit, ...]:
    """Return all C(N, k) splits of periods into train and test.

    Parameters
    ----------
    periods
        T, in time order; groups are contiguous and differ in length by at most one, the longer first.
    groups, test_groups
        N and k, 1 <= k < N <= T.
    purge
        Periods left out of train before and after each test block: as many as a position or label may last.
    embargo
        Further periods left out on both sides: the look-back of fitted features.

    Returns
    -------
    tuple of PurgedSplit
        In lexicographic order of their groups.

    Raises
    ------
    InputError
        The numbers do not fit each other.

    Notes
    -----
    Lopez de Prado 2018, chapter 12.
    """
    _require_groups(groups, test_groups)
    require(groups <= periods, f"{periods} periods for {groups} groups", "use fewer groups")
    require(purge >= 0 and embargo >= 0, f"purge {purge}, embargo {embargo}", "neither can be negative")
    bounds = np.cumsum([0] + [len(part) for part in np.array_split(np.arange(periods), groups)])
    gap = purge + embargo
    splits = []
    for chosen in combinations(range(groups), test_groups):
        test, free = np.zeros(periods, dtype=np.bool_), np.ones(periods, dtype=np.bool_)
        for group in chosen:
            start, stop = int(bounds[group]), int(bounds[group + 1])
            test[start:stop] = True
            free[max(0, start - gap) : stop + gap] = False
        splits.append(PurgedSplit(chosen, np.flatnonzero(free), np.flatnonzero(test)))
    return tuple(splits)


def n_paths(groups: int = GROUPS, test_groups: int = TEST_GROUPS) -> int:
    """Return how many whole histories the splits' tests make up: `k C(N, k) / N`."""
    _require_groups(groups, test_groups)
    return comb(groups - 1, test_groups - 1)


def backtest_paths(groups: int = GROUPS, test_groups: int = TEST_GROUPS) -> NDArray[np.int64]:
    """Say which split tests each group on each path.

    For rules without a fit all paths coincide: report the distribution over splits instead, as block resampling.

    Returns
    -------
    int64 (paths, N)
        Index into `purged_splits`; every test of a split is used exactly once.

    Raises
    ------
    InputError
        The numbers do not fit each other.
    """
    _require_groups(groups, test_groups)
    choices = list(combinations(range(groups), test_groups))
    return np.array(
        [[split for split, chosen in enumerate(choices) if group in chosen] for group in range(groups)], dtype=np.int64
    ).T


def _require_groups(groups: int, test_groups: int) -> None:
    require(1 <= test_groups < groups, f"{test_groups} test groups of {groups}", "leave at least one group to train on")
