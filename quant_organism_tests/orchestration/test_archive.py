"""The archive goes from cycle to cycle: read by the next later search, and recorded there."""

from datetime import date, timedelta

import polars as pl

from quant_organism.evolution.archive import archive_hash, merge
from quant_organism.market.lake import Lake
from quant_organism_tests.tiny import LAST, Workshop

BEFORE = LAST - timedelta(days=3)
EVOLUTION = ("market_panel", "edge_pretest", "evolved_population", "strategy_archive")


def read(workshop: Workshop, dataset: str, day: date) -> pl.DataFrame:
    lake = Lake(workshop.settings.data_dir / "lake")
    return lake.read(dataset, market=workshop.market.id, interval="1h", start=day, end=day)


def test_the_first_archive_is_what_its_search_found(finished: Workshop) -> None:
    assert read(finished, "cycles", LAST)["archive_hash"].to_list() == [""]
    archive = read(finished, "strategy_archive", LAST)
    assert archive.equals(read(finished, "elites", LAST))
    assert archive.height > 0


def test_a_search_is_founded_with_the_archive_of_the_newest_earlier_cycle_whenever_that_was(
    ingested: Workshop, finished: Workshop
) -> None:
    workshop = ingested
    # The later day first: no archive is there yet, and one of a later day is not looked at.
    assert workshop.materialize(*EVOLUTION, day=LAST).success
    assert read(workshop, "evolved_population", LAST).equals(read(finished, "evolved_population", LAST))
    assert workshop.materialize(*EVOLUTION, day=BEFORE).success
    assert read(workshop, "cycles", BEFORE)["archive_hash"].to_list() == [""]

    before = read(workshop, "strategy_archive", BEFORE)
    assert workshop.materialize(*EVOLUTION, day=LAST).success
    population = read(workshop, "evolved_population", LAST)
    cycle = read(workshop, "cycles", LAST)
    assert cycle["archive_hash"].to_list() == [archive_hash(before)]
    assert cycle["founded_by"][0].startswith(f"{BEFORE}/")
    assert cycle["spec_hash"].to_list() != read(finished, "cycles", LAST)["spec_hash"].to_list()
    founders = population.filter(pl.col("generation") == 0)["hash"]
    best = before.sort(["sharpe", "hash"], descending=[True, False])["hash"].to_list()
    assert best[0] in founders
    merged = merge(before, read(workshop, "elites", LAST), tried=population["hash"])
    assert read(workshop, "strategy_archive", LAST).equals(merged)
