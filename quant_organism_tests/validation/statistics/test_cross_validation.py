"""Cross-validation in time: no training period near a test, every path uses every test once, windows adjoin."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from purgedcv import CombinatorialPurgedCV

from quant_organism.errors import InputError
from quant_organism.validation.statistics.cross_validation import backtest_paths, n_paths, purged_splits, walk_forward
from quant_organism.validation.statistics.evidence import NotRun


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


def test_windows_by_hand():
    windows = walk_forward(100, train=40, test=15, embargo=3)
    assert not isinstance(windows, NotRun)
    bounds = [(w.train.start, w.train.stop, w.test.start, w.test.stop) for w in windows]
    assert bounds == [(12, 52, 55, 70), (27, 67, 70, 85), (42, 82, 85, 100)]


@given(periods=st.integers(0, 1_000), train=st.integers(1, 200), test=st.integers(1, 100), embargo=st.integers(0, 50))
def test_tests_adjoin_and_training_ends_an_embargo_before(periods, train, test, embargo):
    windows = walk_forward(periods, train=train, test=test, embargo=embargo)
    if isinstance(windows, NotRun):
        assert periods - train - embargo < 3 * test
        return
    assert windows[0].train.start >= 0
    assert windows[-1].test.stop == periods
    for window in windows:
        assert len(window.train) == train
        assert len(window.test) == test
        assert window.test.start - window.train.stop == embargo
    for one, following in pairwise(windows):
        assert one.test.stop == following.test.start


def test_fewer_than_three_windows_are_not_run():
    assert walk_forward(80, train=40, test=15) == NotRun("needs 3 windows, has 2")


@pytest.mark.parametrize("options", [{"train": 0, "test": 1}, {"train": 1, "test": 0}])
def test_empty_windows_are_errors(options):
    with pytest.raises(InputError):
        walk_forward(100, **options)
    with pytest.raises(InputError, match="embargo"):
        walk_forward(100, train=10, test=10, embargo=-1)
