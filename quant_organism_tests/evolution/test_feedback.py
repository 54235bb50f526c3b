"""When the edge of a market changes, the archive follows, once searches see enough of the new days."""

import pytest

from quant_organism_tests.evolution.feedback import FADE, MOMENTUM, REVERSION, TREND, Week, market, weeks, world

WEEKS_AFTER_FIRST_SIGHT = 6
"""Weekly cycles within which the new edge holds most of the archive, from the first whose search sees a day of it."""


@pytest.fixture(
    scope="module",
    params=[(MOMENTUM, REVERSION, FADE), (REVERSION, MOMENTUM, TREND)],
    ids=["trend to reversion", "reversion to trend"],
)
def found(request: pytest.FixtureRequest) -> list[Week]:
    first, second, families = request.param
    return list(weeks(market(world(first, second), seed=1), families))


def test_the_archive_holds_the_first_edge_as_long_as_searches_see_nothing_else(found: list[Week]) -> None:
    before = [week for week in found if week.new_share == 0]
    assert len(before) == 8  # the search sees the first 60 % of 90 days, so it is 36 days behind
    # Within 54 days some genomes of the other families are lucky.
    assert max(week.second_share for week in before) < 0.2


def test_the_archive_moves_to_the_second_edge_within_six_cycles_of_its_first_sight(found: list[Week]) -> None:
    sighted = [week for week in found if week.new_share > 0]
    assert sighted[0].days_after_change == 42
    moved = [week.second_share > 0.5 for week in sighted]
    assert any(moved[:WEEKS_AFTER_FIRST_SIGHT])
    assert all(moved[WEEKS_AFTER_FIRST_SIGHT:])


def test_it_moves_although_searches_are_founded_with_the_old_edge(found: list[Week]) -> None:
    assert found[0].invited == 0
    assert min(week.invited for week in found[1:]) > 10
