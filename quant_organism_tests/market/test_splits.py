"""Spans in time order, with an embargo, at whole days."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.market.schema import Interval
from quant_organism.market.splits import split

HOUR = Interval.parse("1h")


def test_two_years_of_hours():
    splits = split(730 * 24, HOUR, embargo_hours=336)
    assert (splits.in_sample.start, splits.in_sample.stop) == (0, 438 * 24)
    assert (splits.out_of_sample.start, splits.out_of_sample.stop) == (452 * 24, 584 * 24)
    assert (splits.walk_forward.start, splits.walk_forward.stop) == (584 * 24, 730 * 24)
    assert len(splits.unseen) == 278 * 24


@given(days=st.integers(90, 2_000), name=st.sampled_from(["5m", "1h", "4h", "1d"]))
def test_spans_are_ordered_disjoint_and_apart_by_the_embargo(days, name):
    interval = Interval.parse(name)
    splits = split(days * interval.bars_per_day, interval, embargo_hours=336)
    spans = (splits.in_sample, splits.out_of_sample, splits.walk_forward)
    assert all(span.stop > span.start for span in spans)
    assert (splits.out_of_sample.start - splits.in_sample.stop) * interval.hours >= 336
    assert splits.out_of_sample.stop == splits.walk_forward.start
    assert splits.walk_forward.stop == days * interval.bars_per_day


def test_too_few_days_are_an_error():
    with pytest.raises(InputError, match="too few"):
        split(89 * 24, HOUR, embargo_hours=336)


def test_an_embargo_that_leaves_nothing_is_an_error():
    with pytest.raises(InputError, match="embargo"):
        split(100 * 24, HOUR, embargo_hours=24 * 30)
