"""Bars that judge a search are opened on record, and each further look costs."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from quant_organism.errors import InputError, IntegrityError
from quant_organism.evolution.candidates import Candidate
from quant_organism.market.lines import week_of
from quant_organism.market.panel import Panel
from quant_organism.market.query import connect
from quant_organism.market.schema import day_of
from quant_organism.market.splits import Span
from quant_organism.market.stored import parquet_bytes
from quant_organism.strategies import Committee
from quant_organism.validation.gauntlet import run_gauntlet
from quant_organism.validation.holdout import HoldoutRegister, Opening
from quant_organism.validation.profile import Profile
from quant_organism.validation.tables import OpeningTable
from quant_organism.validation.verdict import UNSEEN
from quant_organism_tests.chain import PROFILE, edge, grounds_of
from quant_organism_tests.panels import trending_panel

LATE = Span("unseen", 1_920, 2_880)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return trending_panel()


@pytest.fixture
def register(tmp_path: Path) -> HoldoutRegister:
    return HoldoutRegister(tmp_path, now=lambda: datetime(2026, 1, 2, tzinfo=UTC))


def look(register: HoldoutRegister, panel: Panel, *names: str, span: Span = LATE, how: str = "costs") -> Opening:
    """Open, read and close a holdout."""
    opening = register.open(panel, span, names or ("a",), measured_with=how, reason="to see")
    register.close(panel, opening, b"".join(name.encode() for name in names))
    return opening


def test_each_look_at_the_same_bars_counts_whoever_is_judged(register, panel):
    assert [look(register, panel, name).nth for name in "abc"] == [1, 2, 3]


def test_the_same_look_again_is_the_same_opening(register, panel):
    look(register, panel, "a", "b")
    first = look(register, panel, "c")
    again = register.open(panel, LATE, ["c"], measured_with="costs", reason="once more")
    assert again == first
    assert look(register, panel, "c", how="other costs").nth == 3


def test_the_order_of_the_candidates_is_no_other_look(register, panel):
    opening = register.open(panel, LATE, ["b", "a"], measured_with="costs", reason="to see")
    register.close(panel, opening, b"result")
    assert register.open(panel, LATE, ["a", "b"], measured_with="costs", reason="to see") == opening


def test_a_crash_after_the_opening_counts_as_a_look_that_only_the_same_may_take_up_again(register, panel):
    crashed = register.open(panel, LATE, ["a"], measured_with="costs", reason="to see")  # and never closed
    assert look(register, panel, "b").nth == 2
    assert look(register, panel, "a") == crashed
    assert look(register, panel, "c").nth == 3


@pytest.mark.parametrize(
    ("span", "nth"),
    [
        (Span("all of it", 0, 2_880), 2),
        (Span("its first bar", 0, 1_921), 2),
        (Span("its last bar", 2_879, 2_880), 2),
        (Span("before it", 0, 1_920), 1),
    ],
)
def test_only_openings_that_share_a_bar_count(register, panel, span, nth):
    look(register, panel, "a")
    assert look(register, panel, "b", span=span).nth == nth


def test_fresh_bars_of_a_longer_history_cost_nothing(register):
    long = trending_panel(days=160)
    look(register, long.window(0, 2_880), "a")
    assert look(register, long, "b", span=Span("fresh", 2_880, 3_840)).nth == 1
    assert look(register, long, "b", span=Span("mixed", 2_000, 3_840)).nth == 3


def test_other_markets_have_openings_of_their_own(register, panel):
    look(register, panel, "a")
    assert look(register, replace(panel, market="elsewhere"), "a").nth == 1


def test_the_looks_of_a_week_are_numbered_and_the_first_is_the_official_one(register, panel):
    """The trending panel ends on a Wednesday; a panel that ends a week later belongs to the next week."""
    assert [look(register, panel, name).rerun for name in "abc"] == [0, 1, 2]
    assert look(register, panel, "b").rerun == 1
    longer = trending_panel(days=127)
    assert week_of(day_of(int(longer.times[-1]))) == week_of(day_of(int(panel.times[-1]))) + 1
    assert look(register, longer, "d").rerun == 0
    found = [register.opening_of(panel.market, panel.hash, name) for name in "abcx"]
    assert [opening and (opening.rerun, opening.candidates) for opening in found] == [(0, 1), (1, 1), (2, 1), None]


def test_weeks_begin_on_mondays_and_no_new_year_breaks_one():
    assert week_of(date(1970, 1, 5)) == 0
    assert week_of(date(2026, 12, 28)) == week_of(date(2027, 1, 3)) == week_of(date(2026, 12, 27)) + 1
    assert week_of(date(2027, 1, 4)) == week_of(date(2027, 1, 3)) + 1


def test_openings_of_an_earlier_form_are_read_as_official_ones(register, panel, tmp_path):
    look(register, panel, "a")
    for part in tmp_path.rglob("*.parquet"):
        old = pl.read_parquet(part, hive_partitioning=False).drop("week", "rerun")
        part.write_bytes(parquet_bytes(old, {}))
    assert register.frame(panel.market)["rerun"].to_list() == [0, 0]
    assert look(register, panel, "b").nth == 2


@pytest.mark.parametrize(("nth", "words"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")])
def test_it_says_how_often(nth, words):
    assert Opening(1, "x", nth, 1).sentence == f"opened for the {words} time"


def test_nothing_is_read_without_an_opening_on_record(register, panel):
    with pytest.raises(IntegrityError, match="sealed"):
        register.unseal(panel, Opening(1, "made up", 1, 1))
    opening = register.open(panel, LATE, ["a"], measured_with="costs", reason="to see")
    assert register.unseal(panel, opening) is panel
    with pytest.raises(IntegrityError, match="sealed"):
        register.unseal(trending_panel(seed=8), opening)


def test_a_repeated_look_that_shows_something_else_is_an_alarm(register, panel):
    opening = look(register, panel, "a")
    with pytest.raises(IntegrityError, match="something else"):
        register.close(panel, opening, b"other")


def test_no_candidate_opens_nothing(register, panel):
    with pytest.raises(InputError, match="no candidate"):
        register.open(panel, LATE, [], measured_with="costs", reason="to see")
    assert register.frame(panel.market).is_empty()


def test_the_register_is_a_table_of_the_lake(register, panel, tmp_path):
    look(register, panel, "a", "b")
    rows = connect(tmp_path, [OpeningTable]).sql(
        "select market, event, nth, candidates from holdout_openings order by event"
    )
    assert rows.fetchall() == [("arrays", "opened", 1, ["a", "b"]), ("arrays", "read", 1, ["a", "b"])]
    frame = register.frame(panel.market)
    assert frame["event"].to_list() == ["opened", "read"]
    assert frame["result_hash"].null_count() == 1
    assert frame["recorded_at"][0] == datetime(2026, 1, 2, tzinfo=UTC)


def test_a_damaged_opening_is_named_and_stops_everything(register, panel, tmp_path):
    look(register, panel, "a")
    part = next(tmp_path.rglob("*-read.parquet"))
    part.write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match="nobody knows how often") as caught:
        register.open(panel, LATE, ["b"], measured_with="costs", reason="to see")
    assert caught.value.where == str(part)


def test_looks_at_the_same_time_are_all_counted(register, panel):
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda name=name: found.append(look(register, panel, name).nth)) for name in "abcdefgh"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_validation_opens_the_unseen_days_on_record_and_a_later_look_shows_what_it_would_have_shown(tmp_path):
    found = edge()
    register, candidates = HoldoutRegister(tmp_path), found.search.candidates
    alone = Candidate(Committee.of([candidates[0].committee.genomes[0]]), "champion")

    def luck_of(chosen: list[Candidate], register: HoldoutRegister) -> float:
        grounds = grounds_of(chosen, found.panel, found.splits, trials=found.search.search.trials)
        (review,) = run_gauntlet(replace(grounds, register=register), PROFILE, every_gate=True)
        return next(j.verdict.value for j in review.judgements if j.verdict.gate == "holdout_mean")

    first = luck_of(candidates, register)
    assert luck_of(candidates, register) == first
    fresh = luck_of([alone], HoldoutRegister(tmp_path / "elsewhere"))
    assert luck_of([alone], register) == fresh
    record = register.frame(found.panel.market)
    assert record["event"].to_list() == ["opened", "read"] * 2
    assert record["first_bar"][0].timestamp() * 1000 == found.panel.times[found.splits.unseen.start]


def test_whom_the_known_days_have_stopped_opens_no_others(tmp_path):
    found = edge()
    hopeless = Profile.of(
        {
            "name": "hopeless",
            "shadow": [
                {"gate": "backtest", "metric": "sharpe", "span": "in_sample", "at_least": 1_000},
                {"gate": "luck", "at_most": 0.5},
            ],
        }
    )
    grounds = grounds_of(found.search.candidates, found.panel, found.splits, trials=found.search.search.trials)
    sealed = replace(grounds, register=HoldoutRegister(tmp_path))
    (review,) = run_gauntlet(sealed, hopeless)
    assert sealed.register.frame(found.panel.market).is_empty()
    assert [j.verdict.status for j in review.judgements] == ["failed", "not_run"]
    assert "fell before, at sharpe (in sample)" in review.judgements[1].verdict.reason
    run_gauntlet(sealed, hopeless, every_gate=True)
    assert sealed.register.frame(found.panel.market).height == 2


@pytest.mark.parametrize("every_gate", [False, True])
def test_of_a_cycle_that_puts_nobody_forward_no_unseen_day_is_opened(tmp_path, every_gate):
    found = edge()
    grounds = grounds_of(found.search.candidates, found.panel, found.splits, trials=found.search.search.trials)
    grounds = replace(grounds, register=HoldoutRegister(tmp_path))
    (review,) = run_gauntlet(grounds, PROFILE, every_gate=every_gate, sealed="because of a test")
    assert (review.standing, grounds.admitted) == ("fallen", ())
    assert grounds.register.frame(found.panel.market).is_empty()
    told = [j.verdict for j in review.judgements]
    assert {(v.status, v.reason) for v in told if v.stage in UNSEEN} == {("not_run", "because of a test")}
    assert {v.status for v in told if v.stage == "in_sample"} == {"passed"}


def test_only_who_was_judged_on_unseen_bars_may_see_them_again(register, panel):
    with pytest.raises(InputError, match="never opened for it"):
        register.check_opened(panel.market, panel.hash, "a")
    look(register, panel, "a", "b")
    register.check_opened(panel.market, panel.hash, "a")
    for market, panel_hash, candidate in (
        (panel.market, panel.hash, "c"),
        (panel.market, "0" * 64, "a"),
        ("another", panel.hash, "a"),
    ):
        with pytest.raises(InputError) as caught:
            register.check_opened(market, panel_hash, candidate)
        assert caught.value.where == candidate
        assert "run that judged them" in caught.value.remedy
