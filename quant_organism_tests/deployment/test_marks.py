"""Every living strategy is booked once a day, the same whenever and however often it is done, and never changed."""

import json
from datetime import timedelta

import polars as pl
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import committee_run
from quant_organism.deployment.day_summary import day_summary
from quant_organism.deployment.live_evidence import Promise, replayed
from quant_organism.deployment.marks import HISTORY_DAYS, known_of, mark_all
from quant_organism.deployment.tables import EvidenceDayTable, MoveTable
from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.panel import build_panel
from quant_organism_tests.deployment.watching import BORN, EQUITY, HOUR, LAST, Place
from quant_organism_tests.program import Caller
from quant_organism_tests.tiny import FIRST


def test_day_by_day_and_all_at_once_give_the_same_bytes_and_again_nothing_new(tmp_path, market):
    slow, fast = Place(tmp_path / "slow", market), Place(tmp_path / "fast", market)
    end = BORN + timedelta(days=7)
    for n in range(7):
        slow.mark(BORN + timedelta(days=1 + n))
    assert fast.mark(end).rows == 14
    assert slow.bytes() == fast.bytes()
    before = fast.bytes()
    again = fast.mark(end)
    assert (again.days, again.rows, again.moves) == ((), 0, ())
    assert fast.bytes() == before


def test_what_is_booked_is_what_an_account_earned_and_the_evidence_follows_from_it(place):
    place.mark()
    first = BORN + timedelta(days=1)
    days = (LAST - FIRST).days + 1
    panel = build_panel(place.lake, place.market, HOUR, LAST, min(days, (LAST - first).days + 1 + HISTORY_DAYS), None)
    start = (first - FIRST).days * 24
    for id in place.ids:
        committee = place.repository.load(id).committee
        before = committee_run(committee, panel, Costs(), EQUITY, stop=start, evaluator=Evaluator())
        run = committee_run(committee, panel, Costs(), EQUITY, start=start, after=before, evaluator=Evaluator())
        own = place.rows().filter(pl.col("id") == id).sort("date")
        assert own["date"].to_list() == [first + timedelta(days=n) for n in range((LAST - BORN).days)]
        assert own["net_return"].to_list() == run.daily_returns.tolist()
        state = replayed(Promise(0.01, 1.5), 2.0, own["net_return"].to_list())
        assert own["wealth"][-1] == state.wealth
        assert known_of(place.lake, place.repository, id, now="2024-04-06").numbers["wealth"] == state.wealth


def test_a_stored_day_that_somebody_changed_is_noticed(place):
    place.mark(BORN + timedelta(days=3))
    day = BORN + timedelta(days=2)
    stored = place.lake.table(EvidenceDayTable)
    where = {"market": place.market, "interval": "1h"}
    frame = stored.read_day(day, **where)
    stored.write(frame.with_columns(pl.col("net_return") + 0.01), **where, day=day)
    with pytest.raises(IntegrityError, match="is not what its days give"):
        place.mark()


def test_a_day_without_bars_has_no_record_and_changes_no_evidence(place):
    missing = BORN + timedelta(days=4)
    place.lake.table(EvidenceDayTable)
    for path in (place.lake.root / "candles").rglob(f"date={missing}/*"):
        path.unlink()
    place.mark()
    rows = place.rows().filter(pl.col("id") == place.ids[0]).sort("date")
    gap = rows.filter(pl.col("date") == missing).row(0, named=True)
    assert (gap["recorded"], gap["net_return"], gap["standardised"]) == (False, None, None)
    assert gap["wealth"] == rows.filter(pl.col("date") < missing)["wealth"][-1]
    assert gap["fresh_days"] == rows.filter(pl.col("date") < missing)["fresh_days"][-1]


def test_the_machine_moves_on_what_was_booked_and_the_lake_has_every_number(tmp_path, market):
    place = Place(tmp_path, market, starting_wealth=0.2, deviation=0.001)
    moves = place.mark().moves
    gone = [(day, move.id, move.rule.name) for day, move in moves if move.rule.end == "retired"]
    assert gone
    for day, id, rule in gone:
        retired = place.repository.load(id)
        assert (retired.stage, retired.history[-1].rule) == ("retired", rule)
        assert retired.history[-1].at == f"{day + timedelta(days=1)}T00:00:00Z"
        own = place.rows().filter(pl.col("id") == id).sort("date")
        assert own["date"][-1] == day
        assert own["wealth"][-1] < 0.2
    booked = place.rows(MoveTable)
    assert set(booked.filter(pl.col("end") == "retired")["id"]) == {id for _, id, _ in gone}
    assert booked.filter(pl.col("end") == "shadow", pl.col("kind") == "unseen_p").height == 2


def test_a_day_is_summed_up_from_what_was_booked_and_its_week_names_whom_evidence_has_archived(
    tmp_path, market, monkeypatch, capfd
):
    place = Place(tmp_path, market, starting_wealth=0.2, deviation=0.001)
    gone = [(day, move.id) for day, move in place.mark().moves if move.rule.end == "retired"]
    left, id = gone[0]
    where = {"market": place.market, "interval": HOUR}
    summary = day_summary(place.lake, day=left, **where)
    booked = place.rows().filter(pl.col("date") == left)
    assert summary.stages == {"shadow": booked.height}
    assert summary.net_returns == dict(booked.select("id", "net_return").iter_rows())
    assert list(summary.net_returns.values()) == sorted(booked["net_return"], reverse=True)
    assert [move["id"] for move in summary.moves] == [id for day, id in gone if day == left]
    archived = summary.archived[-1]
    last = place.repository.load(archived["id"]).history[-1]
    assert (archived["at"], archived["rule"], archived["reason"]) == (last.at, last.rule, last.reason)
    assert (place.repository.root / "archive" / f"{id}.json").exists()
    for day in (left - timedelta(days=1), left, left + timedelta(days=1)):
        week = [one for when, one in gone if when <= day and when.isocalendar()[:2] == day.isocalendar()[:2]]
        seen = day_summary(place.lake, day=day, **where)
        assert seen is None or sorted(move["id"] for move in seen.archived) == sorted(week)
    place.mark()
    assert day_summary(place.lake, day=left, **where) == summary
    assert day_summary(place.lake, day=BORN, **where) is None
    call, asked = Caller(tmp_path, monkeypatch, capfd), ("strategies", "summary", "--date", str(left))
    printed = call(*asked, "--data-dir", tmp_path, "--json")
    assert json.loads(printed.out)["days"] == [json.loads(json.dumps(summary.to_json()))]
    shown = call(*asked, "--data-dir", tmp_path)
    assert "Archived since Monday" in shown.out
    assert f"{left}, {place.market}, 1h: watched {booked.height} in shadow" in shown.out


def test_wealth_on_fresh_days_opens_paper_by_the_day_door(tmp_path, market):
    place = Place(tmp_path, market, starting_wealth=40.0, deviation=0.05)
    moves = [(move.rule.name, place.repository.load(move.id)) for _, move in place.mark().moves]
    opened = [found for name, found in moves if name == "day door"]
    assert opened
    numbers = {record.kind: record for record in opened[0].history[2].records}
    assert numbers["wealth"].value >= 12
    assert numbers["wealth"].n >= 1
    assert {"near_seated", "seated", "trade_parity", "perturbations", "recent_sum"} <= set(numbers)


def test_every_market_is_marked_up_to_its_newest_day(place):
    found = mark_all(place.lake, place.repository, equity_usd=EQUITY)
    assert set(found) == {(place.market, "1h")}
    assert found[place.market, "1h"].days[-1] == LAST
    with pytest.raises(InputError, match="no strategy"):
        known_of(place.lake, place.repository, "rsi_filter_0_00000000", now="2024-04-06")
