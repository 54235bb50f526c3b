"""Rolling walk-forward windows."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.walk_forward import walk_forward


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
