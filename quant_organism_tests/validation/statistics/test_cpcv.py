"""Combinatorial purged cross-validation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from purgedcv import CombinatorialPurgedCV

from quant_organism.errors import InputError
from quant_organism.validation.statistics.cpcv import backtest_paths, n_paths, purged_splits


@pytest.mark.parametrize(
    ("groups", "test_groups", "splits", "paths"), [(6, 2, 15, 5), (10, 2, 45, 9), (16, 8, 12_870, 6_435)]
)
def test_combinatorics(groups, test_groups, splits, paths):
    assert len(purged_splits(32, groups=groups, test_groups=test_groups)) == splits
    assert n_paths(groups, test_groups) == paths


def test_first_split_by_hand():
    split = purged_splits(20, groups=5, test_groups=2, purge=1, embargo=1)[1]
    assert split.groups == (0, 2)
    assert split.test.tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert split.train.tolist() == [14, 15, 16, 17, 18, 19]


@given(
    periods=st.integers(10, 150),
    groups=st.integers(2, 7),
    data=st.data(),
    purge=st.integers(0, 10),
    embargo=st.integers(0, 10),
)
def test_no_training_period_lies_near_a_test(periods, groups, data, purge, embargo):
    test_groups = data.draw(st.integers(1, groups - 1))
    splits = purged_splits(periods, groups=groups, test_groups=test_groups, purge=purge, embargo=embargo)
    times_tested = np.zeros(periods, dtype=int)
    for split in splits:
        times_tested[split.test] += 1
        distance = np.abs(np.arange(periods)[:, None] - split.test).min(axis=1)
        assert split.train.tolist() == np.flatnonzero(distance > purge + embargo).tolist()
    assert (times_tested == n_paths(groups, test_groups)).all()


def test_purgedcv_agrees_on_purged_splits():
    """It embargoes after a test only, and lets labels touch: a label of 4 days leaves 3 days between."""
    holding = 4
    start = pd.Series(pd.date_range("2024-01-01", periods=60, freq="D"))
    theirs = CombinatorialPurgedCV(
        n_splits=6, n_test_groups=2, prediction_times=start, evaluation_times=start + pd.Timedelta(days=holding)
    )
    ours = purged_splits(60, groups=6, test_groups=2, purge=holding - 1)
    for split, (train, test) in zip(ours, theirs.split(np.zeros((60, 1))), strict=True):
        assert split.test.tolist() == test.tolist()
        assert split.train.tolist() == train.tolist()


@pytest.mark.parametrize(("groups", "test_groups"), [(6, 2), (5, 3), (10, 2)])
def test_paths_use_every_test_once(groups, test_groups):
    paths = backtest_paths(groups, test_groups)
    splits = purged_splits(groups, groups=groups, test_groups=test_groups)
    assert paths.shape == (n_paths(groups, test_groups), groups)
    used = {(int(split), group) for path in paths for group, split in enumerate(path)}
    assert used == {(i, group) for i, split in enumerate(splits) for group in split.groups}


@pytest.mark.parametrize(("periods", "groups", "test_groups"), [(20, 5, 0), (20, 5, 5), (4, 5, 2)])
def test_groups_that_do_not_fit_are_errors(periods, groups, test_groups):
    with pytest.raises(InputError):
        purged_splits(periods, groups=groups, test_groups=test_groups)
