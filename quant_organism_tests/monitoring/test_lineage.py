"""Who descends from whom, from the trials and the candidates of a search."""

import orjson
import polars as pl
import pytest

from quant_organism.monitoring.content import LineageRow
from quant_organism.monitoring.lineage import family_order, founder_of, genealogy
from quant_organism.strategies import Genome
from quant_organism_tests.chain import edge


@pytest.fixture(scope="module")
def rows() -> list[LineageRow]:
    return genealogy(edge().search.population, edge().search.candidate_members)


def test_those_put_forward_are_the_members_of_the_candidates(rows):
    hashes = dict(edge().search.population.select("trial", "hash").iter_rows())
    shown = {(name, hashes[row.trial]) for row in rows for name in row.put_forward_in}
    members = edge().search.candidate_members.select("candidate", "genome").iter_rows()
    assert shown == {(name, Genome.from_dict(orjson.loads(text)).hash) for name, text in members}


def test_every_line_leads_to_one_without_a_mother_and_stays_in_its_family(rows):
    by_trial = {row.trial: row for row in rows}
    for row in rows:
        assert row.mother is None or by_trial[row.mother].family == row.family
        founder = founder_of(row, by_trial)
        assert founder.operator in ("founder", "favoured", "immigrant", "archive")
        assert founder.generation <= row.generation


def test_nobody_is_shown_who_is_neither_put_forward_nor_a_mother(rows):
    mothers = {row.mother for row in rows}
    assert all(row.put_forward_in or row.trial in mothers for row in rows)
    assert any(row.mother is not None for row in rows)


def test_parents_and_operators_are_those_of_the_trials(rows):
    population = edge().search.population
    for row in rows:
        trial = population.row(row.trial, named=True)
        assert (row.id, row.mother, row.father, row.operator, row.sharpe) == tuple(
            trial[name] for name in ("id", "mother", "father", "operator", "sharpe")
        )


def line(trial: int, mother: int | None, family: str = "rsi_filter", *, chosen: bool = True) -> LineageRow:
    return LineageRow(
        trial=trial,
        id=f"{family}_{trial}",
        family=family,
        generation=trial,
        operator="founder" if mother is None else "mutation",
        mother=mother,
        father=None,
        sharpe=1.0,
        put_forward_in=["committee"] if chosen else [],
    )


def test_kin_stand_beside_each_other():
    rows = [line(0, None), line(1, None), line(2, 0), line(3, 1), line(4, None, "atr_stop_loss"), line(5, 2)]
    assert [row.trial for row in family_order(rows)] == [4, 0, 2, 5, 1, 3]


def test_a_search_that_put_nothing_forward_has_no_genealogy():
    assert genealogy(edge().search.population, edge().search.candidate_members.clear()) == []
    nothing: pl.DataFrame = edge().search.population.clear()
    assert genealogy(nothing, edge().search.candidate_members.clear()) == []
