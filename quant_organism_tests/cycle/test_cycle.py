"""A cycle is one thing: in plain Python, as assets, and in an audit it comes to the same tables."""

import json
import re
import shutil
import urllib.request
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from quant_organism.audit.organism import run_organism
from quant_organism.audit.profile import AuditProfile
from quant_organism.cycle import Compute, Cycle, CyclePlan, Panels, SignificancePlan, SplitPanel, run_cycle
from quant_organism.cycle.stages import Searched
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.tables import DocumentTable
from quant_organism.errors import DataQualityError, IntegrityError
from quant_organism.evolution.cycle import without_search
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import ArchiveTable, PopulationTable, ProgressTable
from quant_organism.market.cycles import CycleIndex
from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism.market.query import ask, connect
from quant_organism.market.schema import Interval
from quant_organism.market.world import WorldSource, load_world
from quant_organism.monitoring.runs import compare_runs, stored_runs
from quant_organism.monitoring.site import serving_site
from quant_organism.monitoring.tables import TABLES
from quant_organism.settings import SignificanceSettings, ValidationSettings
from quant_organism.validation.profile import Profile
from quant_organism.validation.records import verdicts_frame
from quant_organism.validation.tables import StandingTable
from quant_organism_tests.finished import finished_run
from quant_organism_tests.panels import trending_panel
from quant_organism_tests.program import Caller, free_port
from quant_organism_tests.tiny import FIRST, LAST, Workshop, settings, write_world

HOUR = Interval.parse("1h")
MARKET = "world-tiny-d7d802"
COPIES = SignificancePlan.profile("smoke", searches=2, minutes=None)
SPEC = EvolutionSpec.profile("smoke")
GATES = "light"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake with the tiny market."""
    folder = tmp_path_factory.mktemp("plain")
    lake = Lake(folder / "data" / "lake")
    ingest(WorldSource(load_world(str(write_world(folder)))), lake, HOUR, FIRST, LAST, None)
    return lake


@pytest.fixture(scope="module")
def plain(lake: Lake) -> Path:
    """Return the data folder of a cycle that was run without Dagster."""
    panels = Panels()
    made = panels.make(lake, MARKET, HOUR, LAST)
    cycle = Cycle(
        plan=CyclePlan(spec=SPEC, gates=Profile.load(GATES), significance=COPIES),
        lake=lake,
        market=MARKET,
        interval=HOUR,
        day=LAST,
        data=panels.open(made.manifest, lake, market=MARKET, interval=HOUR, day=LAST),
        compute=Compute(threads=1),
    )
    run_cycle(cycle, StrategyRepository(lake.root.parent / "strategies"))
    return lake.root.parent


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of the same cycle, materialised."""
    folder = tmp_path_factory.mktemp("assets")
    copies, gates = SignificanceSettings(searches=2, minutes=60), ValidationSettings(gates=GATES)
    chosen = settings(folder).model_copy(update={"significance": copies, "validation": gates})
    with dg.DagsterInstance.ephemeral() as instance:
        workshop = Workshop(chosen, instance)
        assert workshop.ingest().success
        assert workshop.cycle().success
    return chosen.data_dir


def files_of(folder: Path, *, without: tuple[str, ...]) -> dict[str, bytes]:
    """Return all files of a folder by their path, but for some datasets."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path): (folder / path).read_bytes() for path in files if path.parts[0] not in without}


def test_assets_and_plain_python_leave_the_same_lake(plain: Path, assets: Path) -> None:
    beside = (
        "market_panel",
        "market_regime",
        "candle_quality",
        "symbol_ranks",
        "tear_sheets",
        "holdout_openings",
        "layout.json",
        "layout.lock",
    )
    by_hand, materialised = (files_of(folder / "lake", without=beside) for folder in (plain, assets))
    assert by_hand.keys() == materialised.keys()
    assert [path for path in by_hand if by_hand[path] != materialised[path]] == []


def test_assets_and_plain_python_write_the_same_documents(plain: Path, assets: Path) -> None:
    by_hand, materialised = (files_of(folder / "strategies", without=()) for folder in (plain, assets))
    assert by_hand == materialised
    assert any(path.startswith("active") for path in by_hand)


@pytest.fixture(scope="module")
def second(plain: Path, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Cycle:
    """Return a cycle by a smaller plan and another seed that was run on the same day of a copy of that folder."""
    data_dir = tmp_path_factory.mktemp("second") / "data"
    shutil.copytree(plain, data_dir)
    small = EvolutionSpec.profile("smoke", islands=1, generations=1)
    cycle = Cycle(
        plan=CyclePlan(spec=small, gates=Profile.load(GATES), significance=COPIES, seed=1),
        lake=Lake(data_dir / "lake"),
        market=MARKET,
        interval=HOUR,
        day=LAST,
        data=SplitPanel(Panels().make(lake, MARKET, HOUR, LAST).panel),
        compute=Compute(threads=1),
        offer=True,
    )
    run_cycle(cycle, StrategyRepository(data_dir / "strategies"))
    return cycle


def test_another_plan_and_seed_of_the_same_day_leave_every_record_as_it_was(plain: Path, second: Cycle) -> None:
    before, after = (files_of(folder, without=()) for folder in (plain, second.lake.root.parent))
    changed = [path for path, content in before.items() if after.get(path) != content]
    assert [Path(path).parts[1] for path in changed] == ["cycle_index"]
    own = {Path(path).parts[1] for path in after.keys() - before.keys() if f"cycle={second.id}" in path}
    assert own == {Path(path).parts[1] for path in before if f"date={LAST}" in path and "cycle=" in path}


def test_every_gate_of_an_exploratory_cycle_leaves_the_unseen_days_sealed(second: Cycle, tmp_path: Path) -> None:
    shutil.copytree(second.lake.root.parent, tmp_path / "data")
    lake = Lake(tmp_path / "data" / "lake")
    openings = files_of(lake.root / "holdout_openings", without=())
    plan = replace(second.plan, seed=2, every_gate=True, gates=Profile.load("full"))
    cycle = replace(second, plan=plan, lake=lake, offer=False)
    found = run_cycle(cycle, StrategyRepository(tmp_path / "data" / "strategies"))
    assert found.reviews
    assert {review.standing for review in found.reviews} == {"fallen"}
    assert files_of(lake.root / "holdout_openings", without=()) == openings


def test_views_of_the_day_show_the_later_cycle_and_the_others_beside_it(plain: Path, second: Cycle) -> None:
    views = connect(second.lake.root, TABLES)
    (first,) = CycleIndex(plain / "lake", MARKET, HOUR).rows(LAST)["cycle"]
    assert second.index.rows(LAST)["cycle"].to_list() == [first, second.id]
    shown = ask(views, "select distinct cycle from evolved_population")["cycle"].to_list()
    every = ask(views, "select distinct cycle from evolved_population_all")["cycle"].to_list()
    assert (shown, set(every)) == ([second.id], {first, second.id})
    assert (
        second.lake.table(PopulationTable)
        .read_day(LAST, market=MARKET, interval="1h")
        .equals(second.read(PopulationTable))
    )


def test_two_cycles_are_compared_by_what_was_set_and_what_came_of_it(second: Cycle) -> None:
    a, b = runs = stored_runs(second.lake.root.parent)
    assert [run.latest for run in runs] == [False, True]
    assert [run.state for run in runs] == ["complete", "complete"]
    assert (a.summary()["profile"], b.summary()["profile"]) == ("smoke", "smoke, other islands, generations")
    found = compare_runs(a, b)
    settings = {name: values for name, *values in found.settings}
    assert settings["seed"] == [0, 1]
    assert settings["search.generations"] == [SPEC.generations, 1]
    assert not settings.keys() & {"gates", "panel_hash", "symbols", "date", "costs.taker_fee"}
    figures = {name: values for name, *values in found.figures}
    assert figures["trials"][1] == second.read(PopulationTable).height < figures["trials"][0]
    assert {id for id, *_ in found.strategies} == {
        *a.read(StandingTable)["candidate"],
        *b.read(StandingTable)["candidate"],
    }
    assert [id for id, _, by_b in found.documents if by_b] == sorted(b.read(DocumentTable)["id"])
    assert compare_runs(b, b).settings == []


def test_a_list_of_markets_counts_cycles_not_their_days(
    second: Cycle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said = Caller(tmp_path, monkeypatch, capfd)("data", "list", "--json", "--data-dir", second.lake.root.parent)
    (held,) = json.loads(said.out)
    assert held["cycles"] == 2


def test_the_site_offers_the_two_newest_cycles_for_comparison(second: Cycle) -> None:
    data_dir = second.lake.root.parent
    before, newest = (run.name for run in stored_runs(data_dir))
    with serving_site(data_dir, "127.0.0.1", free_port(), "http://127.0.0.1:3000") as site:
        asked = {"": [before, newest], f"?a={newest.split('/')[-1]}&b={before}": [newest, before]}
        for query, offered in asked.items():
            with urllib.request.urlopen(f"{site}/compare{query}", timeout=50) as answer:
                chosen = re.findall(r"<option selected>([^<]*)</option>", answer.read().decode())
            assert chosen == offered


def test_a_later_cycle_is_founded_with_the_archive_of_the_newest_earlier_one_whenever_that_was(second: Cycle) -> None:
    later = replace(second, day=LAST + timedelta(days=40))
    official = stored_runs(second.lake.root.parent)[0].cycle
    assert second.index.latest(LAST) == second.id != official
    assert later.founded_by == (LAST, official)
    assert later.archive_before is not None
    stored = second.lake.table(ArchiveTable, cycle=official)
    assert later.archive_before.equals(stored.read_day(LAST, market=MARKET, interval="1h"))
    assert replace(second, day=LAST - timedelta(days=1)).founded_by is None


def test_a_day_without_an_official_cycle_founds_with_its_latest(second: Cycle, tmp_path: Path) -> None:
    day = LAST + timedelta(days=1)
    shutil.copytree(second.lake.root, tmp_path / "lake")
    other = replace(second, lake=Lake(tmp_path / "lake"), day=day)
    first, begun = other.founded_by, other.record
    shutil.rmtree(tmp_path / "lake" / "official_cycles")
    assert first != replace(other).founded_by == (LAST, second.id)
    # One that had begun goes on with the archive that it began with.
    assert replace(other, begun=begun).founded_by == first
    assert replace(other, begun=begun).id == other.id


def test_an_audit_comes_to_the_verdicts_of_the_program_by_every_gate(lake: Lake, tmp_path: Path) -> None:
    plan = SignificancePlan.profile("smoke")
    profile = AuditProfile(
        name="as the program",
        search=SPEC,
        strategies=plan.strategies,
        copies=plan.copies,
        searches=plan.searches,
        every_gate=False,
    )
    panel = Panels().make(lake, MARKET, HOUR, LAST).panel
    submitted = run_organism(panel, profile, 0, tmp_path)
    program = Lake(finished_run().data_dir / "lake")
    stored = program.read("validation_verdicts", market=MARKET, interval="1h", start=LAST, end=LAST)
    assert verdicts_frame(submitted.reviews, Profile.load("full")).equals(stored)
    assert stored.height > 0


def test_a_panel_is_built_once_and_again_when_its_files_have_changed(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    ingest(WorldSource(load_world(str(write_world(tmp_path)))), lake, HOUR, FIRST, LAST, None)
    where = {"market": MARKET, "interval": HOUR, "day": LAST}
    panels = Panels()
    made = panels.make(lake, MARKET, HOUR, LAST)
    data = panels.open(made.manifest, lake, **where)
    assert data.panel is made.panel
    assert panels.open(made.manifest, lake, **where) is data
    day = LAST - timedelta(days=3)
    candles = lake.read("candles", market=MARKET, interval="1h", start=day, end=day)
    lake.write("candles", candles.with_columns(volume=pl.col("volume") * 2), market=MARKET, interval="1h", day=day)
    with pytest.raises(IntegrityError, match="changed since the panel"):
        panels.open(made.manifest, lake, **where)


def test_unsound_candles_are_refused_with_days_and_reasons(lake: Lake) -> None:
    made = Panels().make(lake, MARKET, HOUR, LAST)
    made.require_quality(0.95)
    with pytest.raises(DataQualityError, match="score"):
        made.require_quality(1.01)


def test_a_cycle_that_did_not_search_has_the_tables_of_one_that_did() -> None:
    result = without_search(SPEC, trending_panel(days=100, drift=0.0), why="nothing to find")
    tables = Searched(result).tables
    assert len(tables) == 7
    for table, frame in tables.items():
        assert table.validate(frame).height == (1 if table is ProgressTable else 0)
