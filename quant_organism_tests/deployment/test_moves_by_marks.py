"""Every way of the table is taken on booked facts, and on wrong or missing ones it is not."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from quant_organism.deployment.bands import ReturnBand
from quant_organism.deployment.lifecycle import records_of, rulings
from quant_organism.deployment.live_evidence import Promise
from quant_organism.deployment.moves import Move, approval
from quant_organism.deployment.postmortem import cause_of, postmortem_of
from quant_organism.deployment.tables import BirthTable, MoveTable, PostmortemTable
from quant_organism.deployment.trader_days import stage_facts
from quant_organism.deployment.watched import WatchedStrategy
from quant_organism.errors import InputError
from quant_organism_tests.deployment.watching import Place, crossovers

BORN = date(2024, 2, 15)
HOLDER, TWIN = crossovers(1), crossovers(3)
"""The twin correlates with the holder by 0.84 on the tiny world, and earns on it."""

GOOD = np.random.default_rng(5).normal(0.001, 0.01, 120).tolist()
"""Daily returns that judged a strategy."""

STEADY = np.random.default_rng(5).normal(0.002, 0.003, 120).tolist()
"""The same of a steadier one: one in a hundred falls by more than two percent or so within a year."""

SMALL = 0.0005
"""Return of an account a quarter of which earns some four tenths of a standard deviation of these."""


def day(number: int) -> date:
    """Return a day of a strategy's life, the first is 1."""
    return BORN + timedelta(days=number)


def at(number: int) -> datetime:
    """Return the moment of a night after a day."""
    after = day(number + 1)
    return datetime(after.year, after.month, after.day, 0, 40, tzinfo=UTC)


def on_paper(tmp_path, market, **birth) -> tuple[Place, str]:
    """Return a place with one strategy, on paper from its first day on."""
    place = Place(tmp_path, market, strategies=[HOLDER], born=BORN, **{"judged": GOOD, **birth})
    place.put(place.ids[0], "day door")
    return place, place.ids[0]


def taken(place: Place, id: str) -> tuple[str, str]:
    """Return where a strategy is, and by which rule."""
    document = place.load(id)
    return document.stage, document.history[-1].rule


def test_paper_opens_testnet_on_what_the_trader_booked_and_every_number_says_where_it_comes_from(tmp_path, market):
    place, id = on_paper(tmp_path, market)
    for number in range(1, 8):
        place.book(id, day(number), account_return=SMALL)
    place.mark(day(6))
    assert taken(place, id) == ("paper", "day door")
    place.mark(day(7))
    assert taken(place, id) == ("testnet", "paper by trades")
    records = {record.kind: record for record in place.load(id).history[-1].records}
    facts = stage_facts(place.trader[id], "paper", day(1), day(7))
    assert records["closed_trades"].value == 21
    assert records["closed_trades"].n == 7
    assert {records[kind].source for kind in ("closed_trades", "slippage_ratio", "own_breakers")} == {facts.source}
    assert records["recent_rank"].source != facts.source
    assert records["recent_rank"].n == 7
    booked = place.rows(MoveTable).filter(end="testnet")
    assert set(booked["kind"]) == set(records)


@pytest.mark.parametrize(
    ("facts", "birth", "lacks"),
    [
        ({"closed_trades": 2}, {}, "closed_trades"),
        ({"paid_slippage_usd": 2.1}, {}, "slippage_ratio"),
        ({"model_slippage_usd": 0.0}, {}, "slippage_ratio"),
        ({"breakers": 1}, {}, "own_breakers"),
        ({"mode": "testnet"}, {}, "closed_trades"),
        ({}, {"trade_parity": 0.5}, "trade_parity"),
        ({}, {"judged": None}, "recent_rank"),
        ({"account_return": -0.0009}, {}, "recent_rank"),
        (None, {}, "own_breakers"),
    ],
)
def test_on_wrong_or_missing_facts_paper_stays_paper_and_says_why(tmp_path, market, facts, birth, lacks):
    place, id = on_paper(tmp_path, market, **birth)
    for number in range(1, 9):
        if facts is not None:
            place.book(id, day(number), **{"account_return": SMALL, **facts})
    place.mark(day(8))
    assert taken(place, id) == ("paper", "day door")
    (way,) = [
        way
        for way in rulings("paper", place.known(id, at(8)).numbers, to="testnet")
        if way.rule.name == "paper by trades"
    ]
    assert any(refusal.startswith(f"{lacks} ") for refusal in way.refusals)


def test_who_trades_seldom_waits_four_weeks(tmp_path, market):
    place, id = on_paper(tmp_path, market)
    for number in range(1, 29):
        place.book(id, day(number), account_return=SMALL, closed_trades=0)
    place.mark(day(27))
    assert taken(place, id) == ("paper", "day door")
    place.mark(day(28))
    assert taken(place, id) == ("testnet", "paper by days")


@pytest.mark.parametrize(
    ("rule", "days", "facts", "birth"),
    [
        ("drawdown", 18, {"account_return": -0.0002}, {"judged": STEADY}),
        ("shortfall", 12, {"account_return": -0.0004}, {"judged": None, "deviation": 0.0005}),
        ("size factor", 40, {"account_return": -0.0003}, {"judged": None, "sharpe": 0.1}),
        ("hard limit", 2, {"account_return": -0.02}, {"judged": None}),
        ("hard limit", 1, {"liquidations": 1}, {}),
    ],
)
def test_whoever_breaks_its_promise_goes(tmp_path, market, rule, days, facts, birth):
    place, id = on_paper(tmp_path, market, **birth)
    for number in range(1, days + 1):
        place.book(id, day(number), breakers=1, **facts)
    if days > 1:
        place.mark(day(days // 3))
        assert taken(place, id) == ("paper", "day door")
    place.mark(day(days))
    assert taken(place, id) == ("retired" if rule == "hard limit" else "decaying", rule)


def test_who_only_seems_to_break_it_stays(tmp_path, market):
    """The same losses, but nobody knows what luck makes of them, or they were of half a day."""
    place, id = on_paper(tmp_path / "a", market, judged=None)
    for number in range(1, 4):
        place.book(id, day(number), account_return=-0.004, breakers=1)
    place.mark(day(3))
    assert taken(place, id) == ("paper", "day door")
    place, id = on_paper(tmp_path / "b", market)
    for number in range(1, 4):
        place.book(id, day(number), account_return=-0.004, breakers=1, is_whole=False)
    place.mark(day(3))
    assert taken(place, id) == ("paper", "day door")
    assert place.rows()["recorded"].to_list() == [False] * 3


def twins(tmp_path, market, *, holder_earns: float, days: int, **birth) -> tuple[Place, str, str]:
    """Return a holder of a seat and a standby after some days on which the holder earned the same."""
    place = Place(tmp_path, market, strategies=[HOLDER], born=BORN, deviation=0.002)
    standby = place.bear(TWIN, **birth)
    place.put(place.ids[0], "day door")
    for number in range(1, days + 1):
        place.book(place.ids[0], day(number), account_return=holder_earns, breakers=1)
    place.mark(day(days))
    return place, place.ids[0], standby


def test_a_standby_that_does_better_takes_the_seat(tmp_path, market):
    place, holder, standby = twins(tmp_path, market, holder_earns=-0.0002, days=26)
    assert taken(place, holder) == ("decaying", "beaten by a twin")
    assert taken(place, standby) == ("paper", "challenge")
    records = {record.kind: record.value for record in place.load(standby).history[-1].records}
    beaten = {record.kind: record.value for record in place.load(holder).history[-1].records}
    assert records["paired_wealth"] == beaten["challenger_wealth"] >= 10
    assert 0.7 < records["near_holder"] <= 0.9


def test_nobody_is_driven_out_for_a_standby_that_may_not_sit_down(tmp_path, market):
    place, holder, standby = twins(tmp_path, market, holder_earns=-0.0002, days=26, trade_parity=0.5)
    assert taken(place, holder) == ("paper", "day door")
    assert taken(place, standby) == ("shadow", "one look")


def test_a_standby_takes_the_seat_of_a_holder_that_decays(tmp_path, market):
    place, holder, standby = twins(tmp_path / "a", market, holder_earns=-0.002, days=5, starting_wealth=8.0)
    assert (taken(place, holder)[0], taken(place, standby)[0]) == ("paper", "shadow")
    place, holder, standby = twins(tmp_path / "b", market, holder_earns=-0.002, days=15, starting_wealth=8.0)
    assert taken(place, holder) == ("decaying", "shortfall")
    assert taken(place, standby) == ("paper", "standby")
    place, holder, standby = twins(tmp_path / "c", market, holder_earns=-0.002, days=8, starting_wealth=2.0)
    assert (taken(place, holder)[0], taken(place, standby)[0]) == ("decaying", "shadow")


def test_who_is_decaying_recovers_after_thirty_days_or_ends_after_ninety(tmp_path, long_market):
    place = Place(tmp_path / "a", long_market, strategies=[TWIN], born=BORN)
    place.put(place.ids[0], "day door", "shortfall")
    place.mark(day(29))
    assert taken(place, place.ids[0]) == ("decaying", "shortfall")
    place.mark(day(45))
    assert taken(place, place.ids[0]) == ("shadow", "recovered")
    restarted = place.rows().filter(stage="shadow")
    assert restarted["fresh_days"].to_list() == list(range(1, restarted.height + 1))
    place = Place(tmp_path / "b", long_market, strategies=[TWIN], born=date(2024, 1, 2), sharpe=30.0)
    place.put(place.ids[0], "day door", "shortfall")
    place.mark(date(2024, 1, 3) + timedelta(days=88))
    assert taken(place, place.ids[0]) == ("decaying", "shortfall")
    place.mark(date(2024, 1, 3) + timedelta(days=89))
    assert taken(place, place.ids[0]) == ("retired", "decay expired")


def test_paths_of_a_promise_in_sample_earn_what_is_promised_and_not_what_was_shown(tmp_path, market):
    """Less was promised than shown, for luck was taken off: a deeper drawdown is no alarm yet."""
    place, id = on_paper(tmp_path, market, sharpe=0.5, judged=STEADY)
    document, (birth,) = place.load(id), place.rows(BirthTable).filter(id=id).to_dicts()
    assert document.account is not None
    in_sample = document.model_copy(update={"account": document.account.model_copy(update={"in_sample": True})})
    shown, promised = (WatchedStrategy.at_birth(place.lake, one, birth, {}).band for one in (document, in_sample))
    assert shown is not None
    assert promised is not None
    deviation = float(np.std(STEADY, ddof=1))
    moved = np.array(STEADY) - np.mean(STEADY) + 0.5 * deviation / math.sqrt(365)
    expected = ReturnBand(id, moved, Promise(deviation, 0.5))
    assert promised.drawdown_alarm(1) == pytest.approx(expected.drawdown_alarm(1))
    assert promised.drawdown_alarm(1) > 2 * shown.drawdown_alarm(1)


def test_whoever_held_a_seat_gets_a_death_report_once_and_nobody_else(tmp_path, market):
    place, id = on_paper(tmp_path, market)
    never = place.bear(TWIN)
    for number in range(1, 13):
        place.book(id, day(number), account_return=-0.0004, paid_slippage_usd=2.5, is_whole=number != 3)
    place.mark(day(12))
    assert place.rows(PostmortemTable).is_empty()
    for each in (id, never):
        place.repository.archive(each, "no more of it", at=day(13).isoformat())
    place.mark(day(13))
    report = postmortem_of(place.rows(PostmortemTable), id)
    own = place.rows().filter(id=id).sort("date")
    band = ReturnBand(id, np.array(GOOD), Promise(float(np.std(GOOD, ddof=1)), 1.5))
    assert (report["days"], report["missing_days"], report["seated_days"]) == (11, 1, 12)
    assert (report["closed_trades"], report["slippage_ratio"], report["trader_days"]) == (36, 2.5, 12)
    assert report["cause"] == "execution"
    assert report["luck"] == band.rank(own["recent_sum"][-1], 11)
    ranks = [band.rank(total, n) for n, total in enumerate(own.filter(recorded=True)["recent_sum"].to_list(), 1)]
    first = next((n for n, rank in enumerate(ranks) if rank < 0.05), None)
    assert report["first_below"] == (None if first is None else own.filter(recorded=True)["date"][first])
    assert report["total_return"] == pytest.approx(float((1 + own["net_return"]).product()) - 1)
    assert report["no_credit_until"] == day(13) + timedelta(days=292)
    with pytest.raises(InputError, match="no death report"):
        postmortem_of(place.rows(PostmortemTable), never)
    place.mark(day(15))
    assert place.rows(PostmortemTable).height == 1


@pytest.mark.parametrize(
    ("rule", "by", "slippage", "breakers", "luck", "cause"),
    [
        ("hard limit", "machine", 3.0, 1, 0.0, "hard limit"),
        ("decay expired", "machine", 2.1, 0, 0.0, "execution"),
        ("decay expired", "machine", 2.0, 1, 0.5, "execution"),
        ("decay expired", "machine", 2.0, 0, 0.049, "edge gone"),
        ("by a person", "person", None, None, 0.01, "edge gone"),
        ("by a person", "person", None, None, 0.05, "person"),
        ("decay expired", "machine", None, None, 0.05, "luck"),
        ("decay expired", "machine", None, None, None, "not known"),
    ],
)
def test_the_cause_of_a_death_is_the_first_that_the_numbers_show(rule, by, slippage, breakers, luck, cause):
    end = Move(at="2024-03-01", from_stage="paper", to_stage="retired", rule=rule, by=by, reason="r")
    assert cause_of(end, slippage, breakers, luck) == cause


def yes(place: Place, id: str, to, now: datetime) -> None:
    """Say yes to a move as a person does by the command."""
    known = place.known(id, now)
    said = approval("looked at it")
    numbers = {**known.numbers, "approved": 1.0}
    (way,) = rulings(place.load(id).stage, numbers, to=to)
    records = records_of(
        way.rule, numbers, source=known.source, n=known.n, sources={**known.sources, "approved": said.source}
    )
    place.repository.move(id, to, reason="looked at it", records=records, by="person")


def test_a_whole_life_from_paper_to_full_money_and_no_step_of_it_without_its_days(tmp_path, long_market):
    place, id = on_paper(tmp_path, long_market, starting_wealth=13.0)
    for number in range(1, 8):
        place.book(id, day(number), account_return=SMALL)
    place.now = at(7)
    place.mark(day(7))
    assert taken(place, id) == ("testnet", "paper by trades")
    for number in range(8, 16):
        place.book(id, day(number), "testnet", account_return=SMALL, is_reconciled=number > 9)
    place.now = at(15)
    place.mark(day(15))
    with pytest.raises(InputError, match="reconciled_days is 6, at least 7 needed"):
        yes(place, id, "canary", at(15))
    place.book(id, day(16), "testnet", account_return=SMALL)
    place.now = at(16)
    place.mark(day(16))
    yes(place, id, "canary", at(16))
    assert {record.kind: record.value for record in place.load(id).history[-1].records}["capital_share"] == 0.05
    for number in range(17, 63):
        place.book(id, day(number), "mainnet", account_return=SMALL)
    place.now = at(61)
    place.mark(day(61))
    with pytest.raises(InputError, match="fresh_days is 59, at least 60 needed"):
        yes(place, id, "live", at(61))
    place.now = at(62)
    place.mark(day(62))
    yes(place, id, "live", at(62))
    assert taken(place, id) == ("live", "full money")
    # on the days of the two moves it was in one stage at midnight and in the other for the rest
    missing = place.rows().filter(recorded=False)
    assert missing["date"].to_list() == [day(8), day(17)]


def test_a_canary_that_needs_more_than_a_tenth_of_the_capital_is_refused_by_name(tmp_path, market):
    place, id = on_paper(tmp_path, market, min_equity=2_000.0)
    place.mark(day(2))
    (way,) = rulings("testnet", place.known(id, at(2)).numbers, to="canary")
    assert "capital_share is 0.2, at most 0.1 needed" in way.refusals


def test_day_by_day_as_the_trader_books_and_all_at_once_give_the_same_bytes(tmp_path, market):
    whole, id = on_paper(tmp_path / "whole", market)
    for number in (3, 4, 6, 7, 8):
        whole.book(id, day(number), account_return=SMALL * number, is_whole=number != 6)
    whole.mark(day(9))
    slow, _ = on_paper(tmp_path / "slow", market)
    for number in range(1, 10):
        slow.trader = {
            id: {when: rows for when, rows in days.items() if when <= day(number)} for id, days in whole.trader.items()
        }
        slow.mark(day(number))
    assert slow.bytes() == whole.bytes()
    assert whole.rows()["source"].to_list() == ["account"] * 2 + ["ledger"] * 7
    assert whole.rows()["recorded"].to_list() == [True] * 4 + [False, False, True, True, False]
