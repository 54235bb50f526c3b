"""Funding on bars: who pays which settlement, and which rate is in force when. All numbers worked out by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.market.funding import align_funding, funding_coverage, settlement_day
from quant_organism.market.schema import TIMESTAMP, Interval
from quant_organism_tests.market.frames import funding

MIDNIGHT = datetime(2024, 1, 1, tzinfo=UTC)
NAN = float("nan")


def hours(*numbers: float, late_ms: Sequence[int] = ()) -> list[datetime]:
    late = [*late_ms, *[0] * (len(numbers) - len(late_ms))]
    return [MIDNIGHT + timedelta(hours=n, milliseconds=ms) for n, ms in zip(numbers, late, strict=True)]


def aligned(
    stamps: Sequence[datetime], fractions: Sequence[float], *, n_bars: int, interval: str = "1h"
) -> tuple[list[float], list[float]]:
    length = Interval.parse(interval)
    times = int(MIDNIGHT.timestamp() * 1000) + np.arange(n_bars) * length.milliseconds
    rate, paid = align_funding(funding("A", stamps, fractions), ("A",), times, length)
    return rate[:, 0].tolist(), paid[:, 0].tolist()


def test_hourly_settlements_are_paid_by_the_bar_that_they_close() -> None:
    # The settlement at 00:00 was paid by the bar before the window; the last one closes the last bar.
    rate, paid = aligned(hours(0, 1, 2, 3), [0.1, 0.2, 0.3, 0.4], n_bars=3)
    assert paid == [0.2, 0.3, 0.4]
    assert rate == [0.2, 0.3, 0.4]


def test_eight_hourly_settlements_are_paid_at_once_and_the_rate_is_per_hour() -> None:
    rate, paid = aligned(hours(-8, 0, 8), [0.4, 0.8, 1.6], n_bars=9)
    assert paid == [0, 0, 0, 0, 0, 0, 0, 1.6, 0]
    assert rate == [0.1] * 7 + [0.2] * 2


def test_stamps_that_are_a_little_late_or_early_count_for_their_minute() -> None:
    stamps = hours(0, 1, 2, 3, late_ms=[400, 1, -3, 5_457])
    rate, paid = aligned(stamps, [0.1, 0.2, 0.3, 0.4], n_bars=4)
    assert paid == [0.2, 0.3, 0.4, 0.0]
    assert rate == [0.2, 0.3, 0.4, 0.4]


def test_a_settlement_minutes_late_is_paid_when_it_is_stamped_and_keeps_its_period() -> None:
    stamps = hours(0, 1, 2, 3, late_ms=[0, 0, 24 * 60_000])
    rate, paid = aligned(stamps, [0.1, 0.2, 0.3, 0.4], n_bars=3)
    assert paid == [0.2, 0.0, 0.7]
    assert rate == [0.2, 0.2, 0.4]


def test_a_missing_settlement_is_not_taken_for_a_longer_period() -> None:
    rate, paid = aligned(hours(-1, 0, 1, 3, 4), [0.1, 0.1, 0.2, 0.3, 0.4], n_bars=4)
    assert paid == [0.2, 0.0, 0.3, 0.4]
    assert rate == [0.2, 0.2, 0.3, 0.4]


def test_a_venue_that_turns_from_eight_hours_to_one() -> None:
    rate, paid = aligned(hours(-16, -8, 0, 1, 2), [0.8, 0.8, 0.8, 0.2, 0.3], n_bars=3)
    assert paid == [0.2, 0.3, 0.0]
    assert rate == [0.2, 0.3, 0.3]


def test_before_the_second_settlement_no_rate_is_known_but_the_first_is_paid() -> None:
    rate, paid = aligned(hours(2, 3), [0.2, 0.3], n_bars=4)
    assert paid == [0.0, 0.2, 0.3, 0.0]
    np.testing.assert_array_equal(rate, [NAN, NAN, 0.3, 0.3])


def test_a_long_bar_pays_the_sum_and_knows_the_mean_rate() -> None:
    rate, paid = aligned(hours(*range(9)), [1.0] * 8 + [3.0], n_bars=2, interval="4h")
    assert paid == [4.0, 6.0]
    assert rate == [1.0, 1.5]


def test_the_sign_of_a_day_is_that_of_its_mean_not_of_its_last_settlement() -> None:
    rate, paid = aligned(hours(0, 8, 16, 24), [0.1, 0.8, 0.8, -0.8], n_bars=1, interval="1d")
    assert paid == pytest.approx([0.8])
    assert rate == pytest.approx([0.8 / 24])


def test_a_rate_ages_out_once_two_settlements_are_missing() -> None:
    rate, paid = aligned(hours(-8, 0, 8), [0.8, 0.8, 1.6], n_bars=40)
    assert paid == [0.0] * 7 + [1.6] + [0.0] * 32
    assert rate[:7] == [0.1] * 7
    assert rate[7:24] == [0.2] * 17  # closes at 08:00 to 24:00: the settlement at 16:00 is missing, 24:00 just now
    assert np.isnan(rate[24:]).all()
    back, _ = aligned(hours(-8, 0, 8, 32), [0.8, 0.8, 1.6, 2.4], n_bars=40)
    assert back[31:] == pytest.approx([0.3] * 9)


def test_a_feed_of_hours_ages_out_in_long_bars_too() -> None:
    rate, _ = aligned(hours(*range(-2, 9)), [1.0] * 11, n_bars=4, interval="4h")
    np.testing.assert_array_equal(rate, [1.0, 1.0, NAN, NAN])


def test_where_there_is_no_bar_a_rate_does_not_age() -> None:
    times = int(MIDNIGHT.timestamp() * 1000) + np.arange(6) * 3_600_000
    valid = np.array([True, True, True, False, True, False])[:, None]
    frame = funding("A", hours(-1, 0, 1), [0.1, 0.1, 0.1])
    rate, _ = align_funding(frame, ("A",), times, Interval.parse("1h"), valid)
    np.testing.assert_array_equal(rate[:, 0], [0.1, 0.1, 0.1, 0.1, NAN, 0.1])


def test_coverage_is_the_share_of_bars_with_a_known_rate() -> None:
    stamps = [MIDNIGHT + timedelta(hours=hour) for hour in range(48)]
    candles = pl.DataFrame({"symbol": ["A"] * 48 + ["B"] * 48, "timestamp": stamps * 2}).cast({"timestamp": TIMESTAMP})
    settled = funding("A", hours(-1, 0, *range(1, 31)), [0.1] * 32)
    found = funding_coverage(candles, settled, Interval.parse("1h")).sort("symbol", "day")
    assert found["funding"].to_list() == [1.0, 8 / 24, 0.0, 0.0]  # the last settlement at 30:00 holds until 32:00


def test_a_short_bar_pays_only_what_closes_it() -> None:
    _, paid = aligned(hours(0, 1, late_ms=[0, 80]), [0.1, 0.2], n_bars=6, interval="15m")
    assert paid == [0.0, 0.0, 0.0, 0.2, 0.0, 0.0]


def test_assets_without_funding_pay_nothing_and_know_no_rate() -> None:
    times = np.arange(2) * 3_600_000
    rate, paid = align_funding(funding("A", [], []), ("A", "B"), times, Interval.parse("1h"))
    assert np.isnan(rate).all()
    assert (paid == 0).all()


@pytest.mark.parametrize(
    ("hour", "late_ms", "day"), [(0, 0, 31), (0, 300, 31), (0, -5, 31), (0, 60_000, 1), (8, 0, 1), (24, 17, 1)]
)
def test_a_settlement_at_midnight_belongs_to_the_day_that_it_closes(hour: int, late_ms: int, day: int) -> None:
    frame = funding("A", hours(hour, late_ms=[late_ms]), [0.1])
    assert frame.select(settlement_day(pl.col("timestamp"))).item().day == day


@given(st.lists(st.integers(-20, 60), unique=True, min_size=1, max_size=40), st.integers(1, 30))
def test_later_settlements_never_change_an_earlier_bar(at_hours: list[int], n_bars: int) -> None:
    at_hours = sorted(at_hours)
    fractions = [0.001 * (number + 1) for number in range(len(at_hours))]
    past = [number for number, hour in enumerate(at_hours) if hour <= n_bars]
    everything = aligned(hours(*at_hours), fractions, n_bars=n_bars)
    only_past = aligned(hours(*[at_hours[i] for i in past]), [fractions[i] for i in past], n_bars=n_bars)
    np.testing.assert_array_equal(everything, only_past)


@given(st.lists(st.integers(1, 48), unique=True, min_size=1), st.sampled_from(["15m", "1h", "4h", "8h", "1d"]))
def test_nothing_is_paid_twice_or_forgotten(at_hours: list[int], interval: str) -> None:
    fractions = [0.001 * hour for hour in sorted(at_hours)]
    n_bars = 2 * Interval.parse(interval).bars_per_day
    _, paid = aligned(hours(*sorted(at_hours)), fractions, n_bars=n_bars, interval=interval)
    assert sum(paid) == pytest.approx(sum(fractions))
