"""Helpers of windows of several lengths."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.strategies.indicators.extremes import distinct


@given(st.lists(st.integers(0, 6), max_size=12))
def test_distinct_numbers_ascend_and_every_number_is_found_among_them(numbers: list[int]) -> None:
    found, places = distinct(np.array(numbers, dtype=np.int64))
    assert found.tolist() == sorted(set(numbers))
    assert found[places].tolist() == numbers
