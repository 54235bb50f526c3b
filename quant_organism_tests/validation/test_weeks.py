"""A week of a market has one official cycle; others put nobody forward unless they are offered."""

from datetime import date
from pathlib import Path

import pytest

from quant_organism.errors import IntegrityError
from quant_organism.market.lines import week_of
from quant_organism.validation.weeks import WeekRegister, question_of

MONDAY, SUNDAY, NEXT = date(2024, 4, 1), date(2024, 4, 7), date(2024, 4, 8)
ONE, OTHER, THIRD = (question_of("plan", seed) for seed in range(3))


@pytest.fixture
def register(tmp_path: Path) -> WeekRegister:
    return WeekRegister(tmp_path)


def test_the_first_cycle_of_a_week_is_its_official_one_and_stays_so(register: WeekRegister) -> None:
    assert register.find("m", "1h", MONDAY, ONE) is None
    for _ in range(2):
        place = register.place("m", "1h", MONDAY, "a", ONE, offer=False)
        assert (place.standing, place.official_cycle, place.official_day) == ("official", "a", MONDAY)
        assert place.sealed == ""
    assert register.frame("m").height == 1


def test_another_of_the_same_week_is_exploratory_and_leaves_nothing(register: WeekRegister) -> None:
    register.place("m", "1h", MONDAY, "a", ONE, offer=False)
    for day, question in ((MONDAY, OTHER), (SUNDAY, ONE)):
        place = register.place("m", "1h", day, "b", question, offer=False)
        assert (place.standing, place.official_cycle) == ("exploratory", "a")
        assert "the official cycle of its week is a of 2024-04-01" in place.sealed
    assert register.frame("m").height == 1


def test_what_is_offered_once_stays_offered(register: WeekRegister) -> None:
    register.place("m", "1h", MONDAY, "a", ONE, offer=False)
    register.place("m", "1h", MONDAY, "b", OTHER, offer=False)
    for offer in (True, False, True):
        place = register.place("m", "1h", MONDAY, "b", OTHER, offer=offer)
        assert (place.standing, place.official_cycle, place.sealed) == ("offered", "a", "")
    assert register.place("m", "1h", MONDAY, "c", THIRD, offer=False).standing == "exploratory"
    assert register.frame("m")["standing"].to_list() == ["official", "offered"]


def test_an_offer_in_a_week_without_an_official_cycle_is_the_official_one(register: WeekRegister) -> None:
    assert register.place("m", "1h", MONDAY, "a", ONE, offer=True).standing == "official"


@pytest.mark.parametrize("place", [("n", "1h", MONDAY), ("m", "4h", MONDAY), ("m", "1h", NEXT)])
def test_other_markets_bars_and_weeks_have_official_cycles_of_their_own(
    register: WeekRegister, place: tuple[str, str, date]
) -> None:
    register.place("m", "1h", SUNDAY, "a", ONE, offer=False)
    assert register.place(*place, "b", OTHER, offer=False).standing == "official"


def test_the_same_question_with_other_data_keeps_its_place(register: WeekRegister) -> None:
    register.place("m", "1h", MONDAY, "a", ONE, offer=False)
    place = register.place("m", "1h", MONDAY, "a after the archive changed", ONE, offer=False)
    assert (place.standing, place.official_cycle) == ("official", "a")


def test_the_week_is_counted_from_the_first_monday(register: WeekRegister) -> None:
    register.place("m", "1h", SUNDAY, "a", ONE, offer=False)
    assert register.frame("m")["week"].to_list() == [week_of(SUNDAY)] == [2830]


def test_a_damaged_entry_is_named(register: WeekRegister, tmp_path: Path) -> None:
    register.place("m", "1h", MONDAY, "a", ONE, offer=False)
    (entry,) = (tmp_path / "official_cycles" / "market=m").glob("*.parquet")
    entry.write_bytes(entry.read_bytes()[:-9])
    with pytest.raises(IntegrityError, match=entry.name):
        register.place("m", "1h", MONDAY, "a", ONE, offer=False)
