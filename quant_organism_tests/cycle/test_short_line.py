"""A cycle of the short line from the search to the births, on a market of 250 days with a strong planted trend."""

import math
import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from quant_organism.backtest.account import EQUITY_USD
from quant_organism.cycle import Compute, Cycle, CyclePlan, Panels, SignificancePlan, SplitPanel, run_cycle
from quant_organism.deployment.birth import promised_sharpe
from quant_organism.deployment.marks import mark_days
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.tables import AccountTable, BirthTable, EvidenceDayTable
from quant_organism.errors import InputError
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import ArchiveTable, PopulationTable
from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism.market.lines import Line
from quant_organism.market.schema import Interval
from quant_organism.market.world import WorldSource, load_world
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.profile import Profile
from quant_organism.validation.statistics.sequential import starting_wealth
from quant_organism.validation.tables import CandidateReturnTable, SignificanceTable, VerdictTable
from quant_organism.validation.verdict import UNSEEN
from quant_organism.workflows.mining.drawn import DRAWN_BY, read_drawn
from quant_organism_tests.tiny import WORLD

HOUR = Interval.parse("1h")
DAY = date(2024, 9, 2)
GATES = Profile.of(
    {
        "name": "few",
        "shadow": [
            {"gate": "backtest", "metric": "sharpe", "span": "in_sample", "at_least": 0.5},
            {"gate": "backtest", "metric": "sharpe", "span": "walk_forward", "at_least": 0.5},
            {"gate": "luck", "at_most": 0.05},
        ],
        "paper": [
            {"gate": "deflated_sharpe", "at_least": 0.5},
            {"gate": "backtest", "metric": "trades", "span": "holdout", "at_least": 20},
            {"gate": "late_execution", "above": 0.0},
            {"gate": "trade_parity", "mode": "minimal"},
            {"gate": "decision", "at_least": 0.1},
        ],
        "information": [
            {"gate": "pretest", "at_most": 0.1},
            {"gate": "search_luck", "at_most": 0.05},
            {"gate": "holdout_mean", "at_most": 0.05},
        ],
    }
)
PLAN = CyclePlan(
    spec=EvolutionSpec.profile(
        "smoke", islands=1, population=16, generations=1, families=("ema_crossover", "donchian_breakout")
    ),
    gates=GATES,
    significance=SignificancePlan.profile("smoke", strategies=8, copies=19, searches=3),
    line="short",
)


def cycle_of(lake: Lake, day: date, line: Line = "short", seed: int = 0) -> Cycle:
    market = lake.markets()[0].market
    panel = Panels().make(lake, market, HOUR, day, line=line).panel
    return Cycle(
        plan=replace(PLAN, line=line, seed=seed),
        lake=lake,
        market=market,
        interval=HOUR,
        day=day,
        data=SplitPanel(panel, line),
        compute=Compute(threads=1),
    )


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Cycle:
    """Return a cycle of the short line that was run."""
    folder = tmp_path_factory.mktemp("short")
    world = folder / "world.yaml"
    world.write_text(WORLD.replace("days: 120", "days: 260"), encoding="utf-8")
    lake, source = Lake(folder / "data" / "lake"), WorldSource(load_world(str(world)))
    ingest(source, lake, HOUR, *source.span(HOUR), None)
    cycle = cycle_of(lake, DAY)
    run_cycle(cycle, StrategyRepository(lake.root.parent / "strategies"))
    return cycle


def births(cycle: Cycle) -> pl.DataFrame:
    stored = cycle.lake.table(BirthTable)
    return stored.read_day(cycle.day, market=cycle.market, interval=HOUR.name).filter(cycle=cycle.id)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_it_bears_into_the_shadow_pool_with_the_wealth_that_its_search_buys(lived: Cycle) -> None:
    (birth,) = births(lived).to_dicts()
    assert (birth["unseen_p"], birth["search_copies"], birth["credit"]) == (None, 3, "full")
    assert birth["search_p"] == 0.25
    assert birth["starting_wealth"] == starting_wealth(0.25) == 1.0
    document = StrategyRepository(lived.lake.root.parent / "strategies").load(birth["id"])
    assert (document.stage, document.history[-1].rule) == ("shadow", "no look")
    assert document.evidence["walk_forward"].status == "not_applicable"
    assert document.account is not None
    assert document.account.in_sample
    assert b'"in_sample":true' in document.to_json()
    statuses = lived.read(VerdictTable).filter(pl.col("stage").is_in(["walk_forward", "holdout"]))["status"]
    assert set(statuses) == {"not_applicable"}
    register = HoldoutRegister(lived.lake.root).frame(lived.market)
    assert register.select("event", "candidates", "rerun").rows() == [("offered", [birth["id"]], 0)]


def test_the_promise_is_what_the_account_did_in_sample_less_what_its_search_does_by_luck(lived: Cycle) -> None:
    (birth,) = births(lived).to_dicts()
    days = lived.read(CandidateReturnTable).filter(candidate=birth["id"]).sort("day")
    assert days.height == lived.panel.n_bars // 24
    own = days.filter(pl.col("day") >= birth["judged_from"])["net_return"].to_numpy()
    assert days.filter(pl.col("day") < birth["judged_from"])["net_return"].to_list() == [0.0] * (days.height - own.size)
    assert own[0] != 0.0
    assert birth["deviation"] == pytest.approx(own.std(ddof=1))
    shown = own.mean() / own.std(ddof=1) * math.sqrt(365)
    committee = lived.read(SignificanceTable).row(0, named=True)
    kept = 1 - committee["luck_sharpe"] / committee["sharpe"]
    assert 0.1 < kept < 1
    assert birth["sharpe"] == pytest.approx(kept * shown)
    assert set(lived.read(AccountTable)["span"]) == {"in_sample"}


def test_a_trader_is_promised_what_its_birth_promises(lived: Cycle, tmp_path: Path) -> None:
    (birth,) = births(lived).to_dicts()
    document = StrategyRepository(lived.lake.root.parent / "strategies").load(birth["id"])
    assert promised_sharpe(lived.lake, document) == birth["sharpe"] < document.fitness
    assert promised_sharpe(Lake(tmp_path), document) == document.fitness
    on_unseen_days = document.model_copy(update={"account": None})
    assert promised_sharpe(lived.lake, on_unseen_days) == document.fitness


def test_run_again_it_leaves_the_same_bytes(lived: Cycle) -> None:
    folder = lived.lake.root.parent
    before = files_of(folder)
    run_cycle(cycle_of(lived.lake, DAY), StrategyRepository(folder / "strategies"))
    assert files_of(folder) == before


def test_each_line_is_founded_by_its_own_archive(lived: Cycle) -> None:
    week = DAY + timedelta(days=7)
    assert cycle_of(lived.lake, week).founded_by == (DAY, lived.id)
    assert lived.read(ArchiveTable).height > 0
    assert cycle_of(lived.lake, week, "long").founded_by is None


def test_patterns_are_not_mined_from_it(lived: Cycle) -> None:
    drawn = lived.read(PopulationTable).filter(pl.col("operator").is_in(DRAWN_BY))
    assert drawn.height > 0
    assert read_drawn(lived.lake, HOUR.name).rows.is_empty()


def test_fresh_days_are_booked_and_no_night_door_opens(lived: Cycle, tmp_path: Path) -> None:
    shutil.copytree(lived.lake.root.parent, tmp_path / "data")
    lake, repository = Lake(tmp_path / "data" / "lake"), StrategyRepository(tmp_path / "data" / "strategies")
    through = DAY + timedelta(days=5)
    mark_days(lake, repository, market=lived.market, interval=HOUR, through=through, equity_usd=EQUITY_USD)
    rows = lake.table(EvidenceDayTable).read_day(through, market=lived.market, interval=HOUR.name)
    assert rows["fresh_days"].to_list() == [5]
    assert rows["fresh_wealth"].to_list() == [pytest.approx(rows["wealth"][0] / 1.0)]
    assert rows["stage"].to_list() == ["shadow"]


def test_a_further_offer_in_the_same_week_is_its_second(lived: Cycle, tmp_path: Path) -> None:
    shutil.copytree(lived.lake.root.parent, tmp_path / "data")
    again = cycle_of(Lake(tmp_path / "data" / "lake"), DAY + timedelta(days=1), seed=1)
    register = HoldoutRegister(again.lake.root)
    assert register.offer(again.panel, ["x"], reason="a test").rerun == 1
    offer = register.opening_of(lived.market, lived.panel.hash, births(lived)["id"][0])
    assert offer is not None
    assert offer.rerun == 0


def test_a_second_cycle_of_the_week_is_exploratory_until_it_is_offered(lived: Cycle, tmp_path: Path) -> None:
    shutil.copytree(lived.lake.root.parent, tmp_path / "data")
    lake, repository = Lake(tmp_path / "data" / "lake"), StrategyRepository(tmp_path / "data" / "strategies")
    openings, documents = (files_of(tmp_path / "data" / name) for name in ("lake/holdout_openings", "strategies"))
    second = cycle_of(lake, DAY, seed=1)
    found = run_cycle(second, repository)
    assert second.take_place().standing == "exploratory"
    assert found.searched.result.population.height > 0
    assert births(second).is_empty()
    unseen = second.read(VerdictTable).filter(pl.col("stage").is_in(list(UNSEEN)))
    assert set(unseen["status"]) == {"not_run"}
    assert any(f"the official cycle of its week is {lived.id}" in reason for reason in unseen["reason"])
    assert files_of(tmp_path / "data" / "lake/holdout_openings") == openings
    assert files_of(tmp_path / "data" / "strategies") == documents

    offered = replace(cycle_of(lake, DAY, seed=1), offer=True)
    run_cycle(offered, repository)
    again = cycle_of(lake, DAY, seed=1)
    assert offered.id == again.id == second.id
    assert again.take_place().standing == "offered"
    statuses = offered.read(VerdictTable).filter(pl.col("stage").is_in(list(UNSEEN)))["status"]
    assert set(statuses) == {"not_applicable"}
    assert cycle_of(lake, DAY).take_place().standing == "official"
    assert cycle_of(lake, DAY + timedelta(days=7), seed=1).take_place().standing == "official"


def test_a_plan_of_one_line_on_the_spans_of_the_other_is_refused(lived: Cycle) -> None:
    with pytest.raises(InputError, match="a plan of the short line on the spans of the long one"):
        replace(lived, data=SplitPanel(lived.panel))


def test_plans_of_the_long_line_are_what_they_were_before_there_was_a_short_one() -> None:
    long = replace(PLAN, line="long")
    assert "line" not in long.document
    assert PLAN.document == {**long.document, "line": "short"}
    assert PLAN.hash != long.hash
