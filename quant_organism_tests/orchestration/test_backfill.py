"""Weeks that are lived through: one cycle each, in order, to the same end however often it was stopped."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.orchestration.backfill import live_through, live_weeks
from quant_organism.orchestration.jobs import official_seed
from quant_organism_tests.tiny import EARLIER, LAST, settings

DAYS = st.dates(date(2020, 1, 1), date(2021, 12, 31))


class Killed(BaseException):
    """Where somebody has pulled the plug."""


class Organism:
    """Cycles that write two files each, the last of which makes them whole, and whose content hangs on those before."""

    def __init__(self, steps: list[int] | None = None) -> None:
        self.written: dict[date, str] = {}
        self.begun: list[date] = []
        self._steps = steps or []

    def complete(self) -> list[date]:
        """Return the days of whole cycles."""
        return [day for day, text in self.written.items() if text.endswith(".")]

    def cycle(self, day: date) -> None:
        """Write half of it, then all of it."""
        self.begun.append(day)
        before = "".join(self.written[other] for other in sorted(self.complete()) if other < day)
        self.written[day] = f"{day} after {hash(before)}"
        self._step()
        self.written[day] += "."
        self._step()

    def live(self, first: date, last: date, tell: Callable[..., None] = lambda *_: None) -> None:
        """Live through days."""
        live_weeks(first, last, self.complete, self.cycle, tell)

    def _step(self) -> None:
        if self._steps:
            self._steps[0] -= 1
            if self._steps[0] < 0:
                self._steps.pop(0)
                raise Killed


@given(DAYS, st.integers(0, 80))
def test_every_iso_week_has_one_cycle_in_its_first_night(first: date, length: int) -> None:
    organism, last = Organism(), first + timedelta(days=length)
    organism.live(first, last)
    weeks = {(first + timedelta(days=n)).isocalendar()[:2] for n in range(length + 1)}
    assert {day.isocalendar()[:2] for day in organism.begun} == weeks
    assert len(organism.begun) == len(weeks)
    assert all(day.weekday() == 0 or day == first for day in organism.begun)
    assert organism.begun == sorted(organism.begun)


@given(DAYS, st.integers(0, 60), st.lists(st.integers(0, 12), max_size=5))
def test_stopped_anywhere_it_comes_to_the_same_end(first: date, length: int, steps: list[int]) -> None:
    whole, stopped, last = Organism(), Organism(steps), first + timedelta(days=length)
    whole.live(first, last)
    for _ in range(len(steps) + 1):
        try:
            stopped.live(first, last)
            break
        except Killed:
            continue
    assert stopped.written == whole.written


def test_weeks_that_were_lived_are_not_lived_again() -> None:
    organism, told = Organism(), []
    organism.live(date(2024, 4, 10), date(2024, 4, 30))
    organism.begun.clear()
    organism.live(date(2024, 4, 10), date(2024, 5, 7), lambda *said: told.append(said[:3]))
    assert organism.begun == [date(2024, 5, 6)]
    assert told == [
        (
            "Weeks",
            done,
            5,
        )
        for done in range(6)
    ]


def test_the_seed_is_of_the_week_and_not_of_the_day() -> None:
    seeds = {official_seed("m", None, "1h", date(2024, 4, 22) + timedelta(days=n)) for n in range(7)}
    assert len(seeds) == 1
    assert official_seed("m", None, "1h", date(2024, 4, 29)) not in seeds
    assert official_seed("m", ("A",), "1h", date(2024, 4, 22)) not in seeds


def test_days_that_are_not_there_are_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    with pytest.raises(InputError, match=f"end on {EARLIER}, before {LAST}"):
        live_through(chosen, LAST, EARLIER, lambda *_: None)
    with pytest.raises(InputError, match="no complete data of 2024-04-30"):
        live_through(chosen, EARLIER, LAST + timedelta(days=1), lambda *_: None)
    assert not (tmp_path / "data").exists()
