"""Figures of cycles over time: what was measured, and nothing where nothing was."""

from dataclasses import replace

import dagster as dg
import pytest

from quant_organism.deployment import DecisionTable
from quant_organism.market.lake import Lake
from quant_organism.orchestration.figures import CycleFigures, cycle_figures
from quant_organism.orchestration.home import open_instance
from quant_organism.validation.tables import StandingTable
from quant_organism_tests.finished import finished_run
from quant_organism_tests.tiny import LAST


def test_they_are_those_of_the_run_and_of_what_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    data_dir = finished_run().data_dir
    (found,) = cycle_figures(data_dir)
    with open_instance(data_dir) as instance:
        (run,) = instance.get_run_records(dg.RunsFilter(job_name="evolution_cycle"))
    assert run.start_time is not None
    assert run.end_time is not None
    assert found.hours == pytest.approx((run.end_time - run.start_time) / 3_600)
    assert found.date == LAST.isoformat()
    assert found.strategies_per_minute is not None
    assert found.strategies_per_minute > 0
    assert (found.hours_allowed, found.cost_usd, found.cost_per_deployed_usd) == (None, None, None)
    lake = Lake(data_dir / "lake")
    where = {"market": found.market, "interval": found.interval}
    judged = lake.table(StandingTable, cycle=found.cycle).read_day(LAST, **where)
    decided = lake.table(DecisionTable, cycle=found.cycle).read_day(LAST, **where)
    assert (found.put_forward, found.validated) == (judged.height, int(judged["passed"].sum()))
    assert found.deployed == decided.filter(action="deploy").height
    assert found.generated > found.put_forward


def test_a_folder_in_which_nothing_ran_has_none(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert cycle_figures(tmp_path / "data") == []


def test_what_a_deployed_strategy_costs_needs_a_price_and_a_strategy() -> None:
    figures = CycleFigures("", "", "", "", "", 2.0, None, None, None, 900, 9, 4, 2, 5.0)
    assert figures.cost_per_deployed_usd == 2.5
    assert replace(figures, deployed=0).cost_per_deployed_usd is None
    assert replace(figures, cost_usd=None).cost_per_deployed_usd is None
