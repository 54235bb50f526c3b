"""Two lines of cycles take turns by the week of the cycle's day; the short one leaves no day unseen."""

from datetime import date, timedelta

import pytest

from quant_organism.errors import InputError
from quant_organism.market.lines import has_unseen, line_of, line_of_week, promised, splits_of, week_of
from quant_organism.market.schema import Interval
from quant_organism.market.splits import split

HOUR = Interval.parse("1h")


def test_lines_alternate_every_monday_also_where_a_year_has_a_53rd_week():
    monday = date(2020, 12, 21)
    weeks = [line_of_week(monday + timedelta(weeks=n)) for n in range(6)]
    assert weeks in (["long", "short"] * 3, ["short", "long"] * 3)
    assert (date(2020, 12, 28).isocalendar().week, date(2021, 1, 4).isocalendar().week) == (53, 1)
    for n in range(7):
        assert line_of_week(monday + timedelta(days=n)) == weeks[0]


def test_the_first_week_of_the_count_is_even():
    assert week_of(date(1970, 1, 5)) == 0
    assert [line_of_week(date(1970, 1, day)) for day in (5, 11, 12, 18, 19)] == [
        "short",
        "short",
        "long",
        "long",
        "short",
    ]


def test_the_long_line_is_split_as_ever():
    assert splits_of("long", 730 * 24, HOUR) == split(730 * 24, HOUR)
    assert promised(splits_of("long", 730 * 24, HOUR)) == split(730 * 24, HOUR).unseen


@pytest.mark.parametrize("days", [240, 365])
def test_the_short_line_searches_all_days(days):
    splits = splits_of("short", days * 24, HOUR)
    assert (splits.in_sample.start, splits.in_sample.stop) == (0, days * 24)
    assert not has_unseen(splits)
    assert len(splits.out_of_sample) == len(splits.walk_forward) == len(splits.unseen) == 0
    assert promised(splits) == splits.in_sample


def test_the_short_line_needs_240_days():
    with pytest.raises(InputError, match="239 days of bars are too few for the short line: at least 240"):
        splits_of("short", 239 * 24, HOUR)


def test_a_plan_that_says_nothing_of_it_is_of_the_long_line():
    assert line_of({}) == "long"
    assert line_of({"line": "short"}) == "short"
