"""What the bench of the organism's year counts: who earns, who gets to money, who is let go, and where weeks stop."""

from datetime import date, timedelta

import polars as pl
import pytest

from benchmarks import organism_year as year
from benchmarks.oracle import years_of
from quant_organism.audit.edges import edges
from quant_organism.market import WorldSource, WorldSpec
from quant_organism.market.schema import Interval
from quant_organism.market.world.continuation import continued

ZERO = date(2024, 12, 30)


def marks(*rows):
    """Rows of (id, day, stage, wealth, standardised return, size factor)."""
    return pl.DataFrame(
        [
            {
                "id": id,
                "day": ZERO + timedelta(days=day),
                "number": day,
                "stage": stage,
                "wealth": wealth,
                "standardised": x,
                "factor": factor,
                "recorded": True,
                "fresh_days": 60,
                "fresh_wealth": 2.0,
                "recent_sum": 1.0,
            }
            for id, day, stage, wealth, x, factor in rows
        ]
    )


def births(*ids):
    rows = [{"id": id, "first_day": ZERO, "starting_wealth": 1.0} for id in ids]
    return pl.DataFrame(rows, schema={"id": pl.String, "first_day": pl.Date, "starting_wealth": pl.Float64})


def money(days, wealth, *poor, stage="paper"):
    rows = [("rich", day, stage, wealth, 0.0, 1.0) for day in days]
    return year._money(births("rich", *poor), marks(*rows), {"rich": True}, ZERO)


def test_money_takes_the_wealth_a_discovery_and_the_days_between_paper_and_a_canary():
    assert money(range(30), 20.0) == [{"day": 13, "right": True}]
    assert money(range(30), 19.9) == []
    assert money(range(13), 20.0) == []
    assert money(range(30), 20.0, stage="shadow") == []


def test_the_price_of_money_grows_with_the_births():
    assert money(range(30), 24.9, *"abcd") == []
    assert money(range(30), 25.0, *"abcd") == [{"day": 13, "right": True}]


def test_an_account_gives_each_a_quarter_times_its_size_of_the_day_before():
    world = year.YearWorld("strong", 0)
    rows = [("a", 0, "paper", 1.0, 2.0, 0.5), ("a", 1, "paper", 1.0, 2.0, 1.0), ("b", 1, "paper", 1.0, 4.0, 1.0)]
    found = year._earned(world, marks(*rows, ("c", 1, "shadow", 1.0, 99.0, 1.0)))
    assert found["earned"] == pytest.approx(2.0 + (0.5 * 2.0 + 4.0) / 2)
    assert found["account"] == pytest.approx(2.0 / 4 + (0.5 * 2.0 + 4.0) / 4)
    assert found["seated_days"] == 2
    assert found["oracle"] == pytest.approx(year.ORACLES[world.edge.family, "strong"] / year.YEAR * 364)


def test_every_planted_edge_has_an_oracle():
    assert {(edge.family, edge.strength) for edge in edges()} == set(year.ORACLES)


def outcome(kind, **changes):
    empty = {name: [] for name in ("births", "moves", "paper", "money", "seated_at_death", "weeks")}
    numbers = {"seated_days": 0.0, "earned": 0.0, "account": 0.0, "oracle": 10.0, "cpu_seconds_a_cycle": 1.0}
    return {"world": f"{kind}-0", "seated": {}, **empty, **numbers, **changes}


def rows(*outcomes):
    return {row["metric"]: row for row in year.counted(list(outcomes))}


def test_power_counts_those_who_earn_while_there_is_an_edge_from_its_first_day():
    late, wrong, early = ({"day": day, "right": right} for day, right in ((150, True), (160, False), (100, True)))
    found = rows(outcome("appears", paper=[late, wrong]), outcome("appears", paper=[early, wrong]))
    assert found["paper_appears"]["value"] == 0.5
    assert "median day 30 of the edge; anybody at all in 2" in found["paper_appears"]["note"]
    assert found["false_paper_appears"]["value"] == 0.5
    assert found["money_appears"]["value"] == 0.0


def test_a_death_is_noticed_by_those_who_held_a_seat_then():
    moves = [
        {"id": "a", "number": 300, "start": "paper", "end": "decaying", "rule": "shortfall"},
        {"id": "a", "number": 350, "start": "decaying", "end": "retired", "rule": "decay expired"},
        {"id": "b", "number": 200, "start": "paper", "end": "decaying", "rule": "shortfall"},
        {"id": "late", "number": 280, "start": "paper", "end": "decaying", "rule": "shortfall"},
    ]
    found = rows(outcome("dies", seated_at_death=["a", "c"], moves=moves, births=[{"id": "b", "right": True}]))
    assert found["death_noticed"]["value"] == 0.5
    assert "1 of 2 seats" in found["death_noticed"]["note"]
    assert "median of 60 days, of 124 that were left" in found["death_noticed"]["note"]


def test_alarms_are_false_while_the_edge_lives_and_only_of_those_who_earn():
    moves = [
        {"id": id, "number": 100, "start": "paper", "end": "decaying", "rule": "drawdown"} for id in ("good", "bad")
    ]
    born = [{"id": "good", "right": True}, {"id": "bad", "right": False}]
    seated = {"good": list(range(73)), "bad": list(range(300))}
    found = rows(outcome("strong", moves=moves, births=born, seated=seated))
    assert found["false_alarms_strong"]["value"] == pytest.approx(5.0)
    assert found["false_alarms_strong"]["note"] == "1 in 73 days of seats: drawdown"


def test_weeks_are_told_by_where_they_stop():
    def week(pretest_p, standing, born, why="", search_p=None):
        named = {"pretest_p": pretest_p, "standing": standing, "born": born, "why": [why], "search_p": search_p}
        return {"line": "long", **named}

    weeks = [
        week(0.5, 0, False, "fell at sharpe (in sample): sharpe .1"),
        week(0.1, 0, False, "fell at luck (holdout): without an edge"),
        week(0.05, 1, False),
        week(0.05, 1, True, search_p=0.05),
    ]
    found = rows(outcome("weak", weeks=weeks))["births_long_weak"]
    assert found["value"] == 0.25
    assert found["note"] == (
        "of 4 weeks 3 had something to find, 2 a candidate through the gates, 1 a birth; 1 fell at luck (holdout); "
        "median p of the search 0.05"
    )


def test_years_of_an_edge_are_those_that_a_world_goes_on_with(monkeypatch):
    monkeypatch.setattr("benchmarks.oracle.DAYS", 40)
    edge = edges()[0]
    spec = WorldSpec(name="oracle", days=39, assets=edge.assets, plants=(edge.plant,))
    source = WorldSource(spec, 9_000)
    hours = years_of(edge, 9_000, Interval.parse("1h"))
    assert hours.hash == continued(source, source.symbols(), days=1).panel.hash
    longer = years_of(edge, 9_000, Interval.parse("4h"))
    assert (longer.close == hours.close[3::4]).all()
