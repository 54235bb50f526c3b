"""The archive: one elite per way to behave, the same whatever the order of trials, and honest about what is old."""

from dataclasses import fields, replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import IntegrityError
from quant_organism.evolution.archive import (
    AXES,
    CELLS,
    Axis,
    archive_hash,
    behaviour_measures,
    elites,
    founders_from,
    market_volatility,
    merge,
    summarise,
)
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.search import search
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.tables import ArchiveTable
from quant_organism_tests.panels import trending_panel


@pytest.fixture(scope="module")
def trials(panel, spec, costs, evaluator):
    executor = ThreadExecutor(panel, costs, evaluator)
    source = GenomeSource(panel, costs, evaluator)
    return search(spec, spec.families, executor, source=source, seed=np.random.SeedSequence(3)).trials


@pytest.fixture(scope="module")
def archive(trials, panel):
    return elites(trials, panel)


def part(trials, rows):
    """Return some of the trials, in this order."""
    rows, count = np.asarray(rows), len(trials)

    def picked(values):
        if isinstance(values, dict):
            return {name: picked(column) for name, column in values.items()}
        if isinstance(values, tuple):
            return tuple(values[row] for row in rows)
        return values[rows]

    of_all = {field.name: getattr(trials, field.name) for field in fields(trials)}
    shared = ("symbols", "days")
    assert all(len(of_all[name]) != count for name in shared)
    return replace(trials, **{name: picked(values) for name, values in of_all.items() if name not in shared})


def cell_of(measures):
    """Return the cell of one trial by the edges of the axes."""
    places = [int(axis.place(np.array(value))) for axis, value in zip(AXES, measures, strict=True)]
    return int(np.ravel_multi_index(places, [axis.cells for axis in AXES]))


def test_a_value_belongs_to_the_cell_whose_lower_edge_it_reaches_and_outliers_to_the_outermost():
    axis = Axis("hours", 1.0, 1_000.0, 3, is_log=True)
    np.testing.assert_allclose(axis.edges, [1, 10, 100, 1_000])
    assert axis.place(np.array([0.1, 1.0, 9.9, 10.1, 99.0, 101.0, 1e6])).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_cells_are_those_of_pyribs_on_their_edges_too():
    from ribs.archives import GridArchive  # loads for almost a second, in every worker if it stood above

    rng, trials = np.random.default_rng(5), 4_000
    columns = []
    for axis in AXES:
        edges = rng.choice(axis.edges, trials)
        beside = np.nextafter(edges, rng.choice([-1e9, 1e9], trials))
        between = rng.uniform(axis.low - 1.0, 1.2 * axis.high, trials)
        columns.append(np.choose(rng.integers(3, size=trials), (edges, beside, between)))
    ranges = [tuple(axis.scaled(np.array([axis.low, axis.high]))) for axis in AXES]
    theirs = GridArchive(solution_dim=1, dims=[axis.cells for axis in AXES], ranges=ranges, dtype=np.float64)
    scaled = np.column_stack([axis.scaled(column) for axis, column in zip(AXES, columns, strict=True)])
    places = theirs.int_to_grid_index(theirs.index_of(scaled))
    for axis, column, place in zip(AXES, columns, places.T, strict=True):
        assert axis.place(column).tolist() == place.tolist()


def test_each_cell_has_its_best_trial_and_nobody_else(trials, panel, archive):
    measures, sharpe = behaviour_measures(trials, panel), trials.metrics["sharpe"]
    best: dict[int, int] = {}
    for trial in np.flatnonzero(trials.feasible & (sharpe > 0)):
        cell = cell_of(measures[trial])
        if cell not in best or sharpe[trial] > sharpe[best[cell]]:
            best[cell] = trial
    assert archive["cell"].to_list() == sorted(best)
    assert archive["sharpe"].to_list() == [sharpe[best[cell]] for cell in sorted(best)]
    assert archive.height > 5


def test_measures_are_what_they_say(trials, panel):
    measures = behaviour_measures(trials, panel)
    volatility = market_volatility(panel)
    trial = int(np.flatnonzero(trials.feasible)[0])
    months = trials.days.size / 30
    assert measures[trial, 0] == trials.metrics["avg_holding_hours"][trial]
    assert measures[trial, 1] == pytest.approx(trials.metrics["trades"][trial] / 3 / months)
    assert measures[trial, 2] == pytest.approx(
        trials.metrics["net_exposure"][trial] / trials.metrics["exposure"][trial]
    )
    expected = np.corrcoef(np.abs(trials.daily_returns[trial]), volatility)[0, 1]
    assert measures[trial, 3] == pytest.approx(expected)
    assert np.isfinite(measures).all()


def test_the_volatility_of_a_day_is_that_of_its_bars():
    panel = trending_panel(days=5, assets=1)
    returns = np.diff(np.log(panel.close[:, 0]))
    midnight = int(np.flatnonzero(panel.times % 86_400_000 == 0)[1])
    day = returns[midnight - 1 : midnight + 23]
    place = int((panel.times[midnight] // 86_400_000) - (panel.times[0] // 86_400_000))
    assert market_volatility(panel)[place] == pytest.approx(np.sqrt(np.mean(day**2)))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_the_order_of_trials_does_not_matter(trials, panel, archive, seed):
    order = np.random.default_rng(seed).permutation(len(trials))
    assert elites(part(trials, order), panel).equals(archive)


def test_coverage_and_score_are_those_of_the_grid(archive):
    found = summarise(archive)
    assert (found.cells, found.elites) == (CELLS, archive.height)
    assert found.coverage == pytest.approx(archive.height / CELLS)
    assert found.qd_score == pytest.approx(archive["sharpe"].sum())
    assert summarise(ArchiveTable.empty()).qd_score == 0.0


def test_more_trials_never_cover_less_nor_score_less(trials, panel, archive):
    half = summarise(elites(part(trials, range(len(trials) // 2)), panel))
    whole = summarise(archive)
    assert half.elites <= whole.elites
    assert half.qd_score <= whole.qd_score


def test_nothing_that_lost_money_or_hardly_traded_is_an_elite(trials, panel):
    losers = replace(trials, metrics={**trials.metrics, "sharpe": -np.abs(trials.metrics["sharpe"])})
    assert elites(losers, panel).is_empty()
    idle = replace(trials, feasible=np.zeros(len(trials), dtype=bool))
    assert elites(idle, panel).is_empty()
    assert elites(idle, panel).schema == pl.Schema(ArchiveTable.schema)


def test_a_merge_keeps_old_elites_where_the_new_search_found_nobody(trials, panel):
    half = len(trials) // 2
    before, now = (elites(part(trials, rows), panel) for rows in (range(half), range(half, len(trials))))
    merged = merge(before, now, tried=now["hash"].to_list())
    assert merged["cell"].to_list() == sorted({*before["cell"], *now["cell"]})
    assert merged.filter(pl.col("cell").is_in(now["cell"].implode())).equals(now)
    assert merge(merged, now, tried=now["hash"].to_list()).equals(merged)
    assert merge(ArchiveTable.empty(), now, tried=[]).equals(now)


def test_an_old_elite_that_was_tried_again_stands_where_it_was_found_now_or_nowhere(archive):
    nothing = ArchiveTable.empty()
    tried = archive["hash"].to_list()[:3]
    left = merge(archive, nothing, tried=tried)
    assert left["hash"].to_list() == archive["hash"].to_list()[3:]


def test_founders_are_the_best_first_and_of_the_families_asked_for(archive):
    families = archive["family"].unique().sort().to_list()
    everyone = founders_from(archive, families)
    assert {genome.hash for genome in everyone} == set(archive["hash"])
    assert everyone[0].hash == archive.sort("sharpe", descending=True)["hash"][0]
    assert {genome.family for genome in founders_from(archive, families[:1])} == {families[0]}
    assert founders_from(archive, []) == []


def test_an_altered_genome_is_no_founder(archive):
    other = archive["hash"][1]
    altered = archive.with_columns(pl.col("genome").str.replace(archive["hash"][0], other, literal=True))
    with pytest.raises(IntegrityError, match="hash"):
        founders_from(altered, archive["family"].unique().to_list())


def test_equal_archives_have_equal_hashes_and_any_change_another(archive):
    assert archive_hash(archive) == archive_hash(archive.clone())
    assert archive_hash(archive) != archive_hash(archive[1:])
    assert archive_hash(archive) != archive_hash(archive.with_columns(pl.col("sharpe") + 1))


def test_an_archive_survives_its_file(archive, tmp_path):
    archive.write_parquet(tmp_path / "archive.parquet")
    assert pl.read_parquet(tmp_path / "archive.parquet").equals(archive)
