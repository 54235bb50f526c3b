"""Lanes do to eight numbers what plain code does to one."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.kernels.lanes import (
    LANES,
    before,
    first,
    greatest,
    lane,
    least,
    load,
    maximum,
    minimum,
    root,
    running_maximum,
    set_true,
    shifted,
    splat,
    store,
    total,
    where,
)

numbers = st.lists(st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: x + 0.0), min_size=LANES, max_size=LANES).map(
    np.array
)


@numba.njit
def _calculate(x, y, out):
    place, end = np.uint64(0), np.uint64(x.size)
    inside = before(place, end)
    a, b = load(x, place, inside, 0.0), load(y, place, inside, 0.0)
    results = (a + b, a - b, a * b, maximum(a, b), minimum(a, b), shifted(a, b), running_maximum(a))
    for row in range(len(results)):
        store(out[row], place, inside, results[row])
    store(out[7], place, inside, where(a <= b, a, b))
    store(out[8], place, inside, where((a > b) | (a >= splat(0.0)), a / splat(3.0), b))
    store(out[9], place, inside, root(a * a + b * b))
    return total(a), greatest(a), least(a), lane(a, np.uint64(3)), int(first(a > b))


@settings(deadline=None)
@given(numbers, numbers)
def test_each_lane_is_computed_as_a_number_of_its_own(x, y):
    out = np.empty((10, LANES))
    summed, most, fewest, fourth, found = _calculate(x, y, out)
    np.testing.assert_array_equal(out[0], x + y)
    np.testing.assert_array_equal(out[1], x - y)
    np.testing.assert_array_equal(out[2], x * y)
    np.testing.assert_array_equal(out[3], np.maximum(x, y))
    np.testing.assert_array_equal(out[4], np.minimum(x, y))
    np.testing.assert_array_equal(out[5], np.concatenate([y[-1:], x[:-1]]))
    np.testing.assert_array_equal(out[6], np.maximum.accumulate(x))
    np.testing.assert_array_equal(out[7], np.where(x <= y, x, y))
    np.testing.assert_array_equal(out[8], np.where((x > y) | (x >= 0.0), x / 3.0, y))
    np.testing.assert_array_equal(out[9], np.sqrt(x * x + y * y))
    # Halves are folded onto each other: the same order of sums on every machine.
    quarters = x[:4] + x[4:]
    halves = quarters[:2] + quarters[2:]
    assert summed == halves[0] + halves[1]
    assert (most, fewest, fourth) == (x.max(), x.min(), x[3])
    assert found == next((k for k in range(LANES) if x[k] > y[k]), LANES)


@numba.njit
def _copy(x, place, end, out, flags):
    inside = before(np.uint64(place), np.uint64(end))
    store(out, np.uint64(place), inside, load(x, np.uint64(place), inside, -1.0))
    set_true(flags, np.uint64(place), inside)
    return total(load(x, np.uint64(place), inside, -1.0))


@pytest.mark.parametrize("place", [0, 3, 9, 15, 16])
@pytest.mark.parametrize("end", [0, 9, 12, 16])
def test_only_bars_before_the_end_are_touched(place, end):
    x, out, flags = np.arange(16.0), np.full(16, np.nan), np.zeros(16, dtype=np.bool_)
    bars = np.arange(place, min(end, place + LANES))
    assert _copy(x, place, end, out, flags) == x[bars].sum() - (LANES - bars.size)
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(out)), bars)
    np.testing.assert_array_equal(out[bars], x[bars])
    np.testing.assert_array_equal(np.flatnonzero(flags), bars)
