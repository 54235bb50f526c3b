"""A night in the pool: holders of seats first, the wealthiest next, standbys, births, and the year that it comes to."""

from dataclasses import replace

import pytest

from benchmarks.year import Market, lived
from quant_organism.deployment.lifecycle import rulings
from quant_organism.deployment.live_evidence import LiveEvidence, Promise
from quant_organism.deployment.pool import Life, discoveries_from, entered, night
from quant_organism_tests.deployment.documents import enough, rule_of

PROMISE = Promise(0.01, 1.5)
OF_THE_POOL = {"near_living", "near_judged", "near_seated", "in_shadow", "seated"}
NIGHT = {
    kind: value
    for kind, value in (enough(rule_of("one look")) | enough(rule_of("night door"))).items()
    if kind not in OF_THE_POOL
}


def life(name, stage="shadow", *, wealth=1.0, since=0, total=1.0, shortfall=0.0, **known):
    evidence = LiveEvidence.born(PROMISE, 1.0)
    evidence = evidence._replace(
        wealth=wealth, recent=replace(evidence.recent, total=total, days=50.0), shortfall=shortfall, fresh_days=80
    )
    return Life(name, stage, since, 0, PROMISE, evidence, {**NIGHT, **known})


def pool(*lives):
    return {one.id: one for one in lives}


def strangers(one, other):
    return 0.1


def moved(moves):
    return [(move.id, move.start, move.rule.end, move.rule.name) for move in moves]


def test_wealth_earned_on_fresh_days_opens_paper():
    lives, moves = night(pool(life("poor", wealth=11.9), life("rich", wealth=12)), strangers, 30)
    assert moved(moves) == [("rich", "shadow", "paper", "day door")]
    assert (lives["rich"].stage, lives["rich"].since, lives["poor"].stage) == ("paper", 30, "shadow")


def test_one_seat_left_goes_to_the_wealthiest():
    seated = [life(f"seat {n}", "paper", since=30) for n in range(9)]
    _, moves = night(pool(life("a", wealth=13), life("b", wealth=14), *seated), strangers, 30)
    assert [move.id for move in moves] == ["b"]


def test_of_two_that_are_too_alike_only_one_is_seated():
    _, moves = night(pool(life("a", wealth=13), life("b", wealth=14)), lambda one, other: 0.71, 30)
    assert [move.id for move in moves] == ["b"]


def test_a_standby_takes_the_seat_in_the_night_in_which_its_holder_decays():
    holder, standby = life("holder", "paper", since=0, shortfall=25.1), life("standby", wealth=5)
    _, moves = night(pool(standby, holder), lambda one, other: 0.8, 3)
    assert moved(moves) == [
        ("holder", "paper", "decaying", "shortfall"),
        ("standby", "shadow", "paper", "standby"),
    ]
    _, moves = night(pool(standby, life("holder", "paper", since=3)), lambda one, other: 0.8, 3)
    assert moves == []


def test_who_comes_back_from_decaying_begins_at_one():
    lives, moves = night(pool(life("a", "decaying", wealth=30, total=2.0)), strangers, 31)
    assert moved(moves) == [("a", "decaying", "shadow", "recovered")]
    assert (lives["a"].evidence.wealth, lives["a"].evidence.fresh_days) == (1, 0)


def test_the_dead_count_among_births_and_earn_nothing():
    dead = [life(f"dead {n}", "retired", wealth=0.1) for n in range(7)]
    assert discoveries_from(pool(life("a", "canary", wealth=39), *dead), 100) == float("inf")
    assert discoveries_from(pool(life("a", "canary", wealth=41), *dead), 100) == pytest.approx(40)
    assert discoveries_from(pool(life("a", "canary", wealth=25), *dead), 730) == float("inf")
    assert dead[0].after(0.5) == dead[0]


def test_full_money_needs_a_person_and_a_discovery():
    lives = pool(life("a", "canary", wealth=25), life("b", "retired", wealth=0.2))
    asked = []

    def yes(one):
        asked.append(one.id)
        numbers = {**one.known, "approved": 1.0}
        return next((ruling.rule for ruling in rulings(one.stage, numbers, to="live") if ruling.allowed), None)

    assert night(lives, strangers, 100)[1] == []
    _, moves = night(lives, strangers, 100, approves=yes)
    assert moved(moves) == [("a", "canary", "live", "full money")]
    assert asked == ["a"]
    many = {**lives, **pool(*(life(f"dead {n}", "retired", wealth=0.1) for n in range(8)))}
    assert night(many, strangers, 100, approves=yes)[1] == []


def newcomer(**known):
    return Life("new", "born", 30, 30, PROMISE, LiveEvidence.born(PROMISE, 3.0), {**NIGHT, **known})


@pytest.mark.parametrize(
    ("known", "alike", "judged", "stages"),
    [
        ({}, 0.1, {}, ["shadow", "paper"]),
        ({"unseen_p": 0.3}, 0.1, {}, ["shadow"]),
        ({"unseen_p": 0.6}, 0.1, {}, ["retired"]),
        ({"pretest_p": 0.11}, 0.1, {}, []),
        ({"old_days": 0.0}, 0.1, {}, ["shadow"]),
        ({}, 0.7, {}, ["shadow", "paper"]),  # on each limit it is just not too alike
        ({}, 0.8, {}, ["shadow"]),
        ({}, 0.9, {}, ["shadow"]),
        ({}, 0.91, {}, []),
        ({}, 0.1, {"judged": 0.9}, ["shadow", "paper"]),
        ({}, 0.1, {"judged": 0.91}, []),
    ],
)
def test_how_far_a_newcomer_gets_in_its_first_night(known, alike, judged, stages):
    lives = pool(life("seated", "paper"))
    _, moves = entered(newcomer(**known), lives, lambda one, other: alike, 30, judged=judged)
    assert [move.rule.end for move in moves] == stages


def test_nobody_is_born_into_a_full_shadow_pool():
    lives = pool(*(life(f"s {n}") for n in range(10)))
    assert entered(newcomer(), lives, strangers, 30)[1] == []


def test_the_simulated_years_are_a_function_of_their_seed():
    market = Market.drawn(3, 2.5)
    assert lived(market, 3) == lived(Market.drawn(3, 2.5), 3)
    assert lived(market, 3).money is not None


def test_closed_seats_are_not_taken():
    seated = [life(f"seat {n}", "paper", since=30) for n in range(3)]
    lives = pool(life("a", wealth=13), life("b", wealth=14), *seated)
    assert [move.id for move in night(lives, strangers, 30, closed_seats=6)[1]] == ["b"]
    assert night(lives, strangers, 30, closed_seats=7)[1] == []
