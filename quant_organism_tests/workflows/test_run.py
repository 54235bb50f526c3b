"""A run of a workflow: each phase gives what the direct call gives, and whoever kills it finds the same bytes later."""

import json
import os
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import polars as pl
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError
from quant_organism.evolution import EvolutionSpec, evolve
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.tables import PopulationTable
from quant_organism.market import day_of, encode
from quant_organism.resilience import write_file
from quant_organism.strategies import Committee, Genome, default_genome, get_family
from quant_organism.strategies.cross_section.family import CrossSectionFamily
from quant_organism.strategies.cross_section.history import CrossSectionBars
from quant_organism.strategies.handwritten import configured
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.significance_records import read_evidence
from quant_organism.validation.tables import PretestTable
from quant_organism.workflows.inputs import PhaseInputs, PointMetrics
from quant_organism.workflows.run import WorkflowRun, panel_of
from quant_organism.workflows.tables import (
    MinedPatternTable,
    WorkflowCheckTable,
    WorkflowPhaseTable,
    WorkflowResultTable,
    WorkflowRunTable,
    WorkflowSignalTable,
)
from quant_organism_tests.workflows.places import CHANNEL, CROSS, ID, OTHER, PROOF, WIDE, lived, place_in, planned

KILLS = int(os.environ.get("WORKFLOW_KILLS", "3"))
"""How often a run is killed; 20 by hand."""

MONTE = {"name": "luck", "type": "monte_carlo", "inherit_best_from": "wide", "draws": 50}
SIGNALS = {"name": "signals", "type": "signal_generation", "inherit_best_from": "wide"}
REPLAY = {"name": "bars", "type": "signal_replay", "inherit_best_from": "wide"}
GATES = {
    "name": "gates",
    "type": "analysis",
    "checks": [
        {"name": "found", "phase": "wide", "at_least": 0.5},
        {"name": "impossible", "phase": "proof", "at_least": 1e6},
        {"name": "how many", "phase": "wide", "metric": "strategies"},
    ],
}
WHOLE = (WIDE, PROOF, MONTE, SIGNALS, REPLAY, GATES)


@cache
def whole() -> WorkflowRun:
    """Return a run of a workflow that went through; look, do not touch."""
    return lived(place_in(Path(mkdtemp())), *WHOLE)


def results(run: WorkflowRun, phase: str, part: str = "all") -> pl.DataFrame:
    """Return the results of a phase, best first."""
    return run.store.read(WorkflowResultTable).filter(phase=phase, part=part).sort("rank")


def grid_genomes(size: float = 0.1) -> list[Genome]:
    """Return the genomes of the wide grid, as they would be written by hand."""
    channel = [
        Genome("donchian_breakout", {**default_genome("donchian_breakout").genes, "channel_period": n})
        for n in (20, 35, 50)
    ]
    cross = [configured("moving_average_crossover", {"slow_period": n}) for n in (30, 50)]
    return [Genome(g.family, {**g.genes, "position_size": size}) for g in (*channel, *cross)]


def test_a_grid_gives_what_the_evaluator_gives_to_the_bit() -> None:
    run, genomes = whole(), grid_genomes()
    direct = Evaluator(threads=1).evaluate(genomes, run.place.data.in_sample, Costs())
    found = results(run, "wide")
    assert sorted(found["strategy"]) == sorted(genome.id for genome in genomes)
    for row in found.iter_rows(named=True):
        place = [genome.id for genome in genomes].index(row["strategy"])
        assert [row["sharpe"], row["max_drawdown"]] == [direct.metrics[m][place] for m in ("sharpe", "max_drawdown")]
    assert found["objective"].is_sorted(descending=True)


def test_a_walk_forward_chooses_on_earlier_days_and_trades_later_ones() -> None:
    run = whole()
    panel, unseen = run.place.data.panel, run.place.data.splits.unseen
    candidates = {genome.id: genome for genome in grid_genomes()}
    best = [candidates[name] for name in results(run, "wide")["strategy"][:3]]
    windows = run.store.read(WorkflowResultTable).filter(pl.col("part").str.starts_with("window"), phase="proof")
    days = len(unseen) // 24
    bounds = [unseen.start + 24 * (days * k // 4) for k in range(4)] + [unseen.stop]
    for row, start, stop in zip(windows.sort("part").iter_rows(named=True), bounds[:-1], bounds[1:], strict=True):
        before = Evaluator(threads=1).evaluate(best, panel.window(0, start), Costs())
        chosen = best[int(np.argmax(before.metrics["sharpe"]))]
        after = Evaluator(threads=1).evaluate([chosen], panel.window(0, stop), Costs(), start=start)
        assert (row["strategy"], row["sharpe"]) == (chosen.id, after.metrics["sharpe"][0])


def test_every_genome_that_is_evaluated_is_counted_whatever_pattern_asked_for_it() -> None:
    run = whole()
    ledger = TrialLedger(run.place.lake.root)
    on_search = ledger.frame(["genome_hash", "cycle"], panel_hash=run.place.data.in_sample.hash)
    assert set(on_search["genome_hash"]) == {genome.hash for genome in grid_genomes()}
    assert on_search["cycle"].unique().to_list() == [f"{ID}.wide"]
    names = {name.removeprefix(f"{ID}.") for name in ledger.frame(["cycle"])["cycle"]}
    assert {"wide", "proof", "luck"} <= names


def test_a_look_at_unseen_days_is_on_record_with_all_who_were_looked_at() -> None:
    run = whole()
    looks = HoldoutRegister(run.place.lake.root).frame(run.place.market).filter(event="opened")
    assert set(looks["reason"].str.extract(r"^(\w+) of")) == {"walk_forward", "monte_carlo", "signal_replay"}
    assert sorted(looks["candidates"].list.len()) == [1, 1, 3]


def test_the_state_of_each_phase_is_written_down() -> None:
    run = whole()
    phases, row = run.store.read(WorkflowPhaseTable), run.store.read(WorkflowRunTable).row(0, named=True)
    assert phases["status"].to_list() == ["completed"] * len(WHOLE)
    assert phases["health"].unique().to_list() == ["connected"]
    assert (phases["seconds"] > 0).all()
    assert phases["note"][-1] == "1 of 2 bounds are kept; not impossible"
    assert (row["status"], row["completed"], row["strategies"]) == ("completed", 6, int(phases["strategies"].sum()))


def test_an_analysis_answers_and_holds_against_bounds() -> None:
    checks = whole().store.read(WorkflowCheckTable)
    assert checks["passed"].to_list() == [True, False, None]
    assert checks["value"][0] == results(whole(), "wide")["sharpe"].max()
    assert checks["value"][2] == 5.0


def test_signals_are_what_the_replay_trades() -> None:
    run = whole()
    signals = run.store.read(WorkflowSignalTable)
    assert signals["symbol"].unique().sort().to_list() == list(run.place.data.panel.symbols)
    assert set(signals["target"]) <= {-1.0, 0.0, 1.0}
    assert results(run, "bars")["passed"].to_list() == [True]


def test_a_family_that_ranks_is_tried_and_its_signals_are_its_weights(tmp_path: Path) -> None:
    ranks = {"name": "ranks", "type": "xs_momentum", "parameters": {"rebalance_hours": 24}}
    tried = {
        "name": "tried",
        "type": "optimization",
        "strategies": [ranks],
        "optimization": {"parameters": {"ranks.lookback": [168, 240]}},
    }
    signals = {"name": "signals", "type": "signal_generation", "inherit_best_from": "tried"}
    run = lived(place_in(tmp_path, assets=6), tried, signals)
    best, panel = results(run, "tried").row(0, named=True), run.place.data.panel
    genes = {
        **default_genome("xs_momentum").genes,
        "rebalance_hours": 24,
        "lookback": json.loads(best["parameters"])["lookback"],
    }
    genome = Genome("xs_momentum", genes)
    direct = Evaluator(threads=1).evaluate([genome], run.place.data.in_sample, Costs())
    assert (best["strategy"], best["sharpe"]) == (genome.id, direct.metrics["sharpe"][0])
    family = get_family("xs_momentum")
    assert isinstance(family, CrossSectionFamily)
    rows = np.flatnonzero(panel.times // 3_600_000 % 24 == 0)
    weights = family.weights(CrossSectionBars.of(panel).view(rows), genes).T
    written = run.store.read(WorkflowSignalTable)
    assert set(written["symbol"]) == set(panel.symbols)
    for row in written.with_columns(pl.col("timestamp").dt.epoch("ms")).iter_rows(named=True):
        decision = np.searchsorted(panel.times[rows], row["timestamp"], side="right") - 1
        assert row["target"] == weights[decision, sorted(panel.symbols).index(row["symbol"])]


def files_of(run: WorkflowRun) -> dict[str, bytes]:
    """Return the files that are functions of the inputs; moments, seconds and locks are not among them."""
    root = run.place.lake.root.parent
    beside = ("workflow_runs", "workflow_phases", "holdout_openings")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix in (".parquet", ".json", ".yaml") and not set(beside) & set(path.parts)
    }


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("kill", range(KILLS))
def test_killed_while_writing_and_resumed_it_leaves_the_same_bytes(
    kill: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, flush = count(), os.fsync
    deadly = 5 + kill * 100 // KILLS  # a whole run flushes more often

    def flush_or_die(number: int) -> None:
        if next(steps) == deadly:
            raise Killed
        flush(number)

    monkeypatch.setattr(os, "fsync", flush_or_die)
    with pytest.raises(Killed):
        lived(place_in(tmp_path), *WHOLE)
    monkeypatch.undo()
    again = lived(place_in(tmp_path), *WHOLE)
    assert not again.failed
    assert files_of(again) == files_of(whole())


@pytest.mark.parametrize(("seconds", "again"), [(10.0, 2), (0.0, 5)])
def test_of_a_grid_that_was_killed_only_batches_that_took_long_are_kept(
    seconds: float, again: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five batches, the fourth of which is killed; `again` of them are measured when the run goes on."""
    monkeypatch.setattr("quant_organism.workflows.inputs.BATCH", 1)
    measured, measure = count(1), PhaseInputs.measure

    def measure_or_die(*said: Any) -> PointMetrics:
        if next(measured) == 4:
            raise Killed
        return measure(*said)

    monkeypatch.setattr(PhaseInputs, "measure", measure_or_die)
    with pytest.raises(Killed):
        lived(place_in(tmp_path, clock=(lambda ticks: lambda: seconds * next(ticks))(count())), WIDE)
    run = lived(place_in(tmp_path), WIDE)
    assert next(measured) == 4 + again + 1
    assert run.states["wide"].outputs == whole().states["wide"].outputs
    assert [path.name for path in (tmp_path / "runs" / ID).iterdir() if path.is_dir()] == []


def test_what_is_finished_is_taken_up_and_not_computed_again(tmp_path: Path) -> None:
    lived(place_in(tmp_path), WIDE, PROOF)
    told: list[str] = []
    again = lived(
        place_in(tmp_path, noted=lambda status, where: told.append(where)), WIDE, PROOF, {**MONTE, "draws": 60}
    )
    assert told == [f"{ID}.luck"] * 2
    assert [state.status for state in again.states.values()] == ["completed"] * 3


@pytest.mark.parametrize(
    ("changed", "top", "key"),
    [
        ({"optimization": {"parameters": {"channel.channel_period": [20, 35]}}}, {}, "phase.optimization.parameters"),
        ({"costs": {"times": 2.0}}, {}, "costs"),
        ({"market": {"exclude": ["S1"]}}, {}, "panel"),
        ({}, {"seed": 1}, "seed"),
    ],
)
def test_a_checkpoint_of_another_workflow_is_refused_by_its_key(
    changed: dict[str, Any], top: dict[str, Any], key: str, tmp_path: Path
) -> None:
    lived(place_in(tmp_path), WIDE)
    with pytest.raises(InputError, match=rf"phase wide is of another {key}"):
        lived(place_in(tmp_path), {**WIDE, **changed}, **top)


def test_the_correlation_id_reaches_the_rows_and_nothing_that_is_hashed(tmp_path: Path) -> None:
    other = lived(place_in(tmp_path), WIDE, PROOF, id=OTHER)
    outputs = {name: state.outputs for name, state in whole().states.items()}
    assert {name: state.outputs for name, state in other.states.items()} == {n: outputs[n] for n in ("wide", "proof")}
    assert [path.parent.name for path in other.place.lake.root.glob("workflow_runs/*/*/*")] == [f"workflow={OTHER}"]


def test_some_phases_alone_need_those_before_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reads phase wide, which is not completed"):
        lived(place_in(tmp_path), WIDE, PROOF, chosen=["proof"])
    first = lived(place_in(tmp_path), WIDE, PROOF, chosen=["wide"])
    assert [state.status for state in first.states.values()] == ["completed", "skipped"]
    second = lived(place_in(tmp_path), WIDE, PROOF, chosen=["proof"])
    assert [state.status for state in second.states.values()] == ["completed", "completed"]


def test_a_failure_is_written_down_and_those_who_lean_on_it_are_skipped(tmp_path: Path) -> None:
    alone = {"name": "alone", "type": "backtest", "strategies": [CROSS]}
    run = lived(
        place_in(tmp_path),
        WIDE,
        {**PROOF, "folds": 90},
        {**MONTE, "inherit_best_from": "proof", "in_sample": "mark"},
        alone,
    )
    phases = run.store.read(WorkflowPhaseTable)
    assert phases["status"].to_list() == ["completed", "failed", "skipped", "completed"]
    assert phases["health"].to_list() == ["connected", "error", "disconnected", "connected"]
    assert "ask for fewer folds" in phases["note"][1]
    assert phases["note"][2] == "phase proof is not completed"
    assert run.store.read(WorkflowRunTable)["status"].to_list() == ["failed"]


def test_a_phase_without_a_winner_leaves_its_heirs_out(tmp_path: Path) -> None:
    strict = {**WIDE, "optimization": {**WIDE["optimization"], "objective": {"min_trades": 10_000}}}
    run = lived(place_in(tmp_path), strict, PROOF)
    assert [(s.status, s.note) for s in run.states.values()][1] == ("skipped", "phase wide has no winner")


def test_results_of_days_that_were_chosen_by_carry_the_mark(tmp_path: Path) -> None:
    again = {"name": "again", "type": "backtest", "inherit_best_from": "wide", "span": "in_sample", "in_sample": "mark"}
    run = lived(place_in(tmp_path), WIDE, again)
    assert results(run, "again")["in_sample"].to_list() == [True]
    assert not results(run, "wide")["in_sample"].any()


def test_a_budget_of_evaluations_ends_a_phase_in_good_order(tmp_path: Path) -> None:
    run = lived(place_in(tmp_path), {**WIDE, "budget": {"evaluations": 2}}, PROOF)
    state = run.states["wide"]
    assert state.outcome is not None
    assert (state.status, state.outcome.stopped_by) == ("completed", "evaluations: 2 of 5 points were tried")
    assert run.states["proof"].status == "completed"


def test_what_a_limit_of_time_cut_short_goes_on_to_the_same_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quant_organism.workflows.inputs.BATCH", 2)
    monkeypatch.setattr("quant_organism.workflows.patterns.search.BATCH", 2)
    short = {**WIDE, "budget": {"hours": 1.0}}
    hours = place_in(tmp_path, clock=(lambda ticks: lambda: 7200.0 * next(ticks))(count()))
    first = lived(hours, short).states["wide"]
    assert first.outcome is not None
    assert first.outcome.stopped_by == "hours: 2 of 5 points were tried"
    again = lived(place_in(tmp_path), short).states["wide"]
    assert again.outcome is not None
    assert again.outcome.results.equals(results(whole(), "wide"))


def test_strategies_made_one_are_a_committee(tmp_path: Path) -> None:
    one = {"name": "one", "type": "backtest", "strategies": [CHANNEL, CROSS], "aggregate": {"method": "mean"}}
    heavy = {**one, "name": "heavy", "aggregate": {"method": "weights", "weights": {"channel": 3.0, "cross": 1.0}}}
    run = lived(place_in(tmp_path), one, heavy)
    members = [default_genome("donchian_breakout"), configured("moving_average_crossover")]
    for phase, weights in (("one", [1.0, 1.0]), ("heavy", [3.0, 1.0])):
        committee = Committee.of(members, weights)
        direct = Evaluator(threads=1).evaluate_committees([committee], run.place.data.in_sample, Costs())
        found = results(run, phase).row(0, named=True)
        assert (found["strategy"], found["sharpe"]) == (committee.id, direct.metrics["sharpe"][0])


def test_the_majority_of_votes_holds(tmp_path: Path) -> None:
    voters = [{"name": name, "type": name} for name in ("donchian_breakout", "ema_crossover", "sma_trend_filter")]
    council = {"name": "council", "type": "backtest", "strategies": voters, "aggregate": {"method": "vote"}}
    found = results(lived(place_in(tmp_path), council), "council").row(0, named=True)
    assert found["families"] == "composite"
    assert found["trades"] > 0


def test_a_neighbourhood_is_ranked_by_its_mean(tmp_path: Path) -> None:
    periods = [20, 35, 50]
    smooth = {
        **WIDE,
        "strategies": [CHANNEL],
        "optimization": {"objective": {"neighbours": 1}, "parameters": {"channel.channel_period": periods}},
    }
    found = results(lived(place_in(tmp_path), smooth), "wide")
    sharpe = {row["strategy"]: row["sharpe"] for row in found.iter_rows(named=True)}
    a, b, c = (sharpe[genome.id] for genome in grid_genomes()[:3])
    wanted = dict(zip([g.id for g in grid_genomes()[:3]], [(a + b) / 2, (a + b + c) / 3, (b + c) / 2], strict=True))
    assert {row["strategy"]: row["objective"] for row in found.iter_rows(named=True)} == pytest.approx(wanted)


def test_random_points_are_a_function_of_the_seed(tmp_path: Path) -> None:
    drawn = {
        **WIDE,
        "method": "random",
        "optimization": {"draws": 6, "parameters": {"channel.channel_period": {"low": 20, "high": 50}}},
    }
    runs = [lived(place_in(tmp_path / str(n)), drawn, seed=seed) for n, seed in enumerate((1, 1, 2))]
    same, again, other = (set(results(run, "wide")["strategy"]) for run in runs)
    assert same == again != other


def test_an_asset_left_out_is_another_market(tmp_path: Path) -> None:
    run = lived(place_in(tmp_path), {**WIDE, "market": {"exclude": ["S1"]}})
    part = panel_of(run.place.data.panel, ["S0", "S2"]).window(0, run.place.data.splits.in_sample.stop)
    direct = Evaluator(threads=1).evaluate(grid_genomes(), part, Costs())
    assert results(run, "wide")["sharpe"].max() == direct.metrics["sharpe"].max()
    with pytest.raises(InputError, match="the market has no S9"):
        lived(place_in(tmp_path), {**WIDE, "market": {"exclude": ["S9"]}}, id=OTHER)


OWN = """
from quant_organism.workflows import PhaseOutcome

def halves(inputs, spec):
    points, span = list(inputs.points()), inputs.span
    found = inputs.measure(points, span.start, (span.start + span.stop) // 2)
    rows = [inputs.row(p, {"sharpe": found.metrics["sharpe"][n]}, rank=n + 1) for n, p in enumerate(points)]
    from quant_organism.workflows.outcome import result_rows
    return PhaseOutcome(result_rows(rows), strategies=len(points), trials=inputs.trials, notes=(spec.options["say"],))
"""


def test_a_pattern_of_ones_own_is_a_function_in_a_file_and_runs_only_when_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    mine = {"name": "mine", "type": "own", "file": "mine.py", "function": "halves", "strategies": [CHANNEL]}
    mine["options"] = {"say": "half"}
    with pytest.raises(InputError, match="whatever you may do"):
        lived(place_in(tmp_path), mine, folder=tmp_path)
    run = lived(place_in(tmp_path, own_code=True), mine, folder=tmp_path)
    assert [(s.status, s.note) for s in run.states.values()] == [("completed", "half")]
    assert results(run, "mine").height == 1


def test_an_evolution_gives_what_the_direct_search_gives(tmp_path: Path) -> None:
    size = {"islands": 1, "population": 8, "generations": 1}
    bred = {
        "name": "bred",
        "type": "optimization",
        "method": "evolution",
        "strategies": [{"name": "a", "type": "donchian_breakout"}, {"name": "b", "type": "ema_crossover"}],
        "evolution": size,
        "significance": {"strategies": 20, "copies": 1, "searches": 1},
    }
    run = lived(place_in(tmp_path), bred, seed=5)
    outcome = run.states["bred"].outcome
    assert outcome is not None
    stored = run.place.lake.table(PopulationTable, cycle=outcome.cycle)
    where = {"market": run.place.market, "interval": "1h"}
    population = stored.read(**where)
    pretest = run.place.lake.table(PretestTable, cycle=outcome.cycle).read(**where)
    spec = EvolutionSpec.profile("smoke", families=("donchian_breakout", "ema_crossover"), min_trades=5, **size)
    evidence = read_evidence(pretest)
    direct = evolve(run.place.data.in_sample, spec, Costs(), Evaluator(threads=1), seed=5, evidence=evidence)
    assert population.equals(direct.population)
    assert [w.point.committee.id for w in outcome.winners] == [c.id for c in direct.candidates]
    counted = TrialLedger(run.place.lake.root).frame(["cycle"])["cycle"].unique().to_list()
    assert counted == [f"{ID}.bred"]


def test_founders_lie_in_regions_that_earlier_days_alone_have_confirmed(tmp_path: Path) -> None:
    """At most a fifth of the seats; a region of the same days, or one that is only found, founds nothing."""
    place = place_in(tmp_path)
    first = day_of(int(place.data.in_sample.times[0]))

    def mined(low: int, last: date, status: str) -> dict[str, Any]:
        known = {n: "" if k == pl.String else 0 if k.is_integer() else 0.0 for n, k in MinedPatternTable.schema.items()}
        days = {f"{part}_{end}_day": last for part in ("found", "again") for end in ("first", "last")}
        gene = json.dumps({"channel_period": [low, low + 10]})
        more = {"id": f"{low:08x}", "family": "donchian_breakout", "kind": "genes", "ranges": gene, "status": status}
        return known | days | more

    before = first - timedelta(days=1)
    rows = [mined(100, before, "confirmed"), mined(60, first, "confirmed"), mined(30, before, "found")]
    part = place.lake.root / MinedPatternTable.dataset / "interval=1h" / f"date={before}" / "part.parquet"
    write_file(part, encode(MinedPatternTable, MinedPatternTable.frame(rows)))
    bred = {
        "name": "bred",
        "type": "optimization",
        "method": "evolution",
        "strategies": [{"name": "a", "type": "donchian_breakout"}],
        "evolution": {"islands": 1, "population": 20, "generations": 0},
        "significance": {"strategies": 20, "copies": 1, "searches": 1},
        "founders_in_regions": 0.2,
    }
    run = lived(place, bred, seed=5)
    outcome = run.states["bred"].outcome
    assert outcome is not None, run.states["bred"].note
    population = run.place.lake.table(PopulationTable, cycle=outcome.cycle).read(market=place.market, interval="1h")
    invited = population.filter(pl.col("operator") == "archive")
    periods = [json.loads(text)["genes"]["channel_period"] for text in invited["genome"]]
    assert len(periods) == 4
    assert all(100 <= period <= 110 for period in periods)
    assert "4 founders of 1 regions" in outcome.notes
    other = MinedPatternTable.frame([mined(80, before, "confirmed")])
    write_file(part, encode(MinedPatternTable, other))
    with pytest.raises(InputError, match=r"files\.regions"):
        lived(place, bred, seed=5)


EASY = """\
name: easy
shadow:
  - {gate: backtest, metric: sharpe, span: in_sample, at_least: 0.5}
  - {gate: backtest, metric: sharpe, span: holdout, at_least: -5.0}
  - {gate: trade_parity, mode: minimal}
information:
  - {gate: holdout_mean, at_most: 0.5}
  - {gate: pretest, at_most: 0.1}
"""


def test_one_page_leads_from_optimisation_to_the_shadow_pool(tmp_path: Path) -> None:
    (tmp_path / "easy.yaml").write_text(EASY)
    court = {"name": "court", "type": "validation", "inherit_best_from": "wide", "top": 2, "gates": "easy.yaml"}
    court["significance"] = {"strategies": 20, "copies": 9}
    pool = {"name": "pool", "type": "deployment", "inherit_best_from": "court"}
    run = lived(place_in(tmp_path, days=200), WIDE, PROOF, court, pool, folder=tmp_path)
    assert [state.status for state in run.states.values()] == ["completed"] * 4
    assert results(run, "court")["passed"].any()
    documents = run.place.repository.load_all().documents
    assert {document.stage for document in documents} <= {"born", "shadow"}
    entered = results(run, "pool").filter("passed")["strategy"]
    assert set(entered) == {document.id for document in documents if document.stage == "shadow"}
    assert entered.len() >= 1


@pytest.fixture(autouse=True)
def _nothing_is_left_in_whole() -> Iterator[None]:
    """Hold that no test has changed the run that all look at."""
    before = len(files_of(whole()))
    yield
    assert len(files_of(whole())) == before


def test_a_workflow_is_planned_without_a_place() -> None:
    assert [phase.points for phase in planned(*WHOLE).phases] == [5, 2, 2, 2, 2, 0]
