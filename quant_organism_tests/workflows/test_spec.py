"""A workflow's file is read strictly: what is wrong in it is refused before any work, by its path, with a remedy."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from quant_organism.errors import InputError
from quant_organism.strategies import default_genome
from quant_organism.workflows.plan import WorkflowPlan, plan_workflow
from quant_organism.workflows.spec import parse_workflow

GRID: dict[str, Any] = {
    "name": "wide",
    "type": "optimization",
    "strategies": [{"name": "channel", "type": "donchian_breakout", "parameters": {"max_holding_hours": 48}}],
    "optimization": {"objective": "sharpe_ratio", "parameters": {"channel.channel_period": [20, 35, 50]}},
    "risk": {"position_sizers": [{"name": "flat", "type": "fixed", "size": 1000}]},
}
PROOF: dict[str, Any] = {"name": "proof", "type": "walk_forward", "inherit_best_from": "wide", "top": 3}


def planned(*phases: dict[str, Any], folder: Path = Path(), **top: Any) -> WorkflowPlan:
    text = json.dumps({"workflow": {"name": "breakouts", **top, "phases": list(phases)}})
    return plan_workflow(parse_workflow(text.encode()), folder)


def grid(**changes: Any) -> dict[str, Any]:
    return {**GRID, **changes}


def strategy(**changes: Any) -> dict[str, Any]:
    return grid(strategies=[{**GRID["strategies"][0], **changes}])


def axis(key: str, values: object) -> dict[str, Any]:
    return grid(optimization={"parameters": {key: values}})


def sizer(**said: Any) -> dict[str, Any]:
    return grid(risk={"position_sizers": [{"name": "flat", **said}]})


SECOND = {"name": "waves", "type": "rsi_filter"}
TWO = [{"name": "channel", "type": "donchian_breakout"}, SECOND]
EVOLUTION = {"name": "bred", "type": "optimization", "method": "evolution"}
COURT = {"name": "court", "type": "validation", "inherit_best_from": "wide"}
MONTE = {"name": "luck", "type": "monte_carlo", "inherit_best_from": "wide"}

WRONG: list[tuple[str, list[dict[str, Any]], dict[str, Any], str, str]] = [
    # id, phases, top, where it is said to be, what is said
    ("top key", [GRID], {"sede": 7}, "sede", "did you mean seed"),
    ("market key", [GRID], {"market": {"symbol": ["BTC"]}}, "market.symbol", "did you mean symbols"),
    ("phase key", [grid(strategy=[])], {}, "phases[0].strategy", "did you mean strategies"),
    ("strategy key", [strategy(params={})], {}, "phases[0].strategies[0].params", "did you mean parameters"),
    ("sizer key", [sizer(type="fixed", sise=1)], {}, "phases[0].risk.position_sizers[0].sise", "did you mean size"),
    ("budget key", [grid(budget={"hour": 1})], {}, "phases[0].budget.hour", "did you mean hours"),
    ("objective key", [grid(optimization={"objective": {"metrics": "sharpe"}})], {}, "objective.metrics", "metric?"),
    ("evolution key", [{**EVOLUTION, "evolution": {"island": 2}}], {}, "phases[0].evolution.island", "mean islands"),
    ("evolution value", [{**EVOLUTION, "evolution": {"islands": 0}}], {}, "phases[0].evolution", "greater than"),
    ("evolution profile", [{**EVOLUTION, "evolution": {"profile": "smok"}}], {}, "evolution.profile", "mean smoke"),
    ("evolution grid", [{**EVOLUTION, "optimization": {"parameters": {"a.b": [1]}}}], {}, "optimization", "its own"),
    ("evolution sizes", [{**EVOLUTION, "risk": GRID["risk"]}], {}, "phases[0].risk", "does not read"),
    ("no name", [{"type": "backtest"}], {}, "phases[0].name", "missing key"),
    ("name", [grid(name="Wide phase")], {}, "phases[0].name", "pattern"),
    ("seed kind", [GRID], {"seed": "seven"}, "seed", "valid integer"),
    ("negative seed", [GRID], {"seed": -1}, "seed", "greater than or equal"),
    ("no phases", [], {}, "phases", "at least 1"),
    ("newer form", [GRID], {"schema_version": 99}, "schema_version", "less than or equal"),
    ("workflow type", [GRID], {"type": "multi_phases"}, "type", "did you mean multi_phase"),
    ("phase type", [grid(type="optimisation")], {}, "phases[0].type", "did you mean optimization"),
    ("two names", [GRID, GRID], {}, "phases", "two phases are called wide"),
    ("two strategies", [grid(strategies=[TWO[0], TWO[0]])], {}, "phases[0]", "two strategies are called channel"),
    ("two sizers", [grid(risk={"position_sizers": GRID["risk"]["position_sizers"] * 2})], {}, "phases[0]", "two pos"),
    ("strategy type", [strategy(type="donchian")], {}, "strategies[0].type", "no strategy type 'donchian'"),
    (
        "sizes of a book",
        [grid(strategies=[{"name": "channel", "type": "xs_momentum"}], optimization={})],
        {},
        "phases[0].risk.position_sizers",
        "channel ranks assets (xs_momentum)",
    ),
    ("gene", [strategy(parameters={"chanel_period": 20})], {}, "parameters.chanel_period", "did you mean channel_per"),
    ("gene's value", [strategy(parameters={"stop_loss": 0.9})], {}, "strategies[0].parameters", "stop_loss is 0.9"),
    ("plain parameter", [strategy(type="momentum", parameters={"loopback": 9})], {}, "parameters", "mean lookback"),
    ("no document", [strategy(type="conditions", parameters={})], {}, "phases[0].strategies[0]", "has a document"),
    (
        "lost document",
        [strategy(type="conditions", parameters={}, document="x.yaml")],
        {},
        "document",
        "cannot be read",
    ),
    ("misplaced document", [strategy(document="x.yaml")], {}, "strategies[0].document", "belongs to type conditions"),
    ("stored without id", [strategy(type="stored", parameters={})], {}, "phases[0].strategies[0]", "has an id"),
    ("lost strategy", [strategy(type="stored", parameters={}, id="x_0_1")], {}, "", "there is no strategy x_0_1"),
    ("grid without owner", [axis("channel_period", [20])], {}, "channel_period", "names no strategy"),
    ("grid of another", [axis("chanel.channel_period", [20])], {}, "chanel.channel_period", "did you mean channel"),
    ("grid of no gene", [axis("channel.period", [20])], {}, "parameters.period", "no parameter 'period'"),
    (
        "grid value",
        [axis("channel.channel_period", [20, 9000])],
        {},
        "channel.channel_period",
        "channel_period is 9000",
    ),
    ("grid of nothing", [axis("channel.channel_period", [])], {}, "channel.channel_period", "a list of values"),
    ("grid twice", [axis("channel.channel_period", [20, 20])], {}, "channel.channel_period", "stands twice"),
    (
        "grid too large",
        [
            grid(
                optimization={
                    "parameters": {
                        f"channel.{gene}": [0.01 + 0.0003 * n for n in range(330)]
                        for gene in ("stop_loss", "position_size")
                    }
                },
                risk=None,
            )
        ],
        {},
        "optimization.parameters",
        "a grid of 108,900 points",
    ),
    ("sizes twice", [axis("channel.position_size", [0.05])], {}, "channel.position_size", "in the sizers"),
    ("sizer's number", [sizer(type="fixed", percentage=5)], {}, "position_sizers[0]", "type fixed has size"),
    ("sizer's type", [sizer(type="kelly", size=5)], {}, "position_sizers[0].type", "'fixed' or 'percentage'"),
    ("metric", [grid(optimization={"objective": "sharp"})], {}, "optimization.objective", "did you mean sharpe"),
    ("unknown phase", [GRID, {**PROOF, "inherit_best_from": "wid"}], {}, "phases[1].inherit_best_from", "mean wide"),
    ("later phase", [PROOF, GRID], {}, "phases[0].inherit_best_from", "comes later"),
    (
        "circle",
        [{**PROOF, "inherit_best_from": "b"}, {**PROOF, "name": "b", "inherit_best_from": "proof"}],
        {},
        "phases[0].inherit_best_from",
        "a circle of inheritance: proof -> b -> proof",
    ),
    ("no winners", [GRID, MONTE, {**PROOF, "inherit_best_from": "luck"}], {}, "phases[2]", "has no winners"),
    ("both", [GRID, {**PROOF, "strategies": TWO}], {}, "phases[1].strategies", "stated and inherited"),
    ("top of nothing", [grid(top=3)], {}, "phases[0].top", "nothing is"),
    ("key of another type", [grid(folds=3)], {}, "phases[0].folds", "belongs to walk_forward"),
    ("no strategies", [{"name": "a", "type": "backtest"}], {}, "phases[0]", "no strategies, and none inherited"),
    ("days seen", [GRID, {**PROOF, "span": "in_sample"}], {}, "phases[1].span", "cannot be judged by them"),
    ("all days seen", [grid(span="all"), PROOF], {}, "phases[1].inherit_best_from", "cannot be judged by them"),
    ("court after proof", [GRID, PROOF, {**COURT, "inherit_best_from": "proof"}], {}, "phases[2]", "validation judges"),
    (
        "too many founders of regions",
        [grid(method="evolution", optimization={}, founders_in_regions=0.3)],
        {},
        "phases[0].founders_in_regions",
        "0.2",
    ),
    ("founders of a grid", [grid(founders_in_regions=0.1)], {}, "phases[0].founders_in_regions", "only an evolution"),
    ("span of a search", [grid(span="unseen")], {}, "phases[0].span", "in-sample days"),
    ("gates", [GRID, {**COURT, "gates": "lihgt"}], {}, "phases[1].gates", "choose light"),
    (
        "nobody judged",
        [GRID, {"name": "d", "type": "deployment", "inherit_best_from": "wide"}],
        {},
        "phases[1]",
        "judged",
    ),
    ("deployed from nothing", [{"name": "d", "type": "deployment"}], {}, "phases[0]", "inherits"),
    ("one made one", [grid(aggregate={"method": "mean"})], {}, "phases[0].aggregate", "one strategy alone"),
    (
        "weights of others",
        [grid(strategies=TWO, aggregate={"method": "weights", "weights": {"channel": 1.0}})],
        {},
        "aggregate.weights",
        "differ in waves",
    ),
    ("weights without method", [grid(aggregate={"method": "mean", "weights": {"a": 1.0}})], {}, "aggregate", "weights"),
    ("two votes", [grid(strategies=TWO, aggregate={"method": "vote"})], {}, "aggregate", "2 strategies vote"),
    ("cost without price", [grid(budget={"cost_usd": 5.0})], {}, "phases[0].budget", "cost_per_worker_hour_usd"),
    ("costs", [grid(costs={"slippage_bps": -1.0})], {}, "phases[0].costs", "slippage_bps is -1.0"),
    ("no checks", [GRID, {"name": "a", "type": "analysis"}], {}, "phases[1]", "asks nothing"),
    (
        "check of no metric",
        [GRID, {"name": "a", "type": "analysis", "checks": [{"name": "x", "phase": "wide", "metric": "sharp"}]}],
        {},
        "checks[0].metric",
        "did you mean sharpe",
    ),
    (
        "check of no phase",
        [GRID, {"name": "a", "type": "analysis", "checks": [{"name": "x", "phase": "wid"}]}],
        {},
        "checks[0].phase",
        "did you mean wide",
    ),
    ("own without file", [grid(type="own", function="f")], {}, "phases[0]", "has file and function"),
    ("own lost file", [grid(type="own", function="f", file="none.py")], {}, "phases[0].file", "cannot be read"),
]


@pytest.mark.parametrize(("phases", "top", "where", "said"), [case[1:] for case in WRONG], ids=[c[0] for c in WRONG])
def test_a_wrong_file_is_refused_with_its_path_and_a_remedy(
    phases: list[dict[str, Any]], top: dict[str, Any], where: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        planned(*phases, folder=tmp_path, **top)
    error = caught.value
    assert where in (error.where or "")
    assert said in f"{error.what} {error.remedy}"
    assert error.remedy


def test_there_are_fifty_wrong_files() -> None:
    assert len(WRONG) >= 50


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("phases: []", "expected one key, workflow"),
        ("workflow: [1]", "expected a mapping"),
        ("workflow: {name: a, name: b}", "stands twice"),
        ("workflow: &a {name: a}", "anchors"),
        ("workflow: {", "not YAML"),
        ("workflow: {name: a, strategees: []}", "did you mean strategies"),
    ],
)
def test_a_text_that_is_no_workflow_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        parse_workflow(text.encode())


def test_a_phase_inherits_market_costs_and_objective_and_states_what_differs() -> None:
    wide = grid(
        costs={"slippage_bps": 8.0},
        market={"exclude": ["ETH"]},
        optimization={**GRID["optimization"], "objective": "sortino"},
    )
    plan = planned(wide, {**PROOF, "costs": {"times": 2.0}}, costs={"taker_fee": 0.001})
    proof = plan.phase("proof")
    assert (proof.costs.slippage_bps, proof.costs.taker_fee) == (16.0, 0.002)
    assert proof.spec.market.exclude == ["ETH"]
    assert proof.spec.optimization.objective.metric == "sortino"
    assert proof.spec.optimization.parameters == {}
    assert proof.needs == ("wide",)


def test_what_was_chosen_in_sample_is_measured_on_unseen_days_unless_a_mark_is_asked_for() -> None:
    again = {"name": "again", "type": "backtest", "inherit_best_from": "wide", "span": "all", "in_sample": "mark"}
    plan = planned(GRID, PROOF, again, strategy_alone := {"name": "alone", "type": "backtest", "strategies": TWO})
    assert [(phase.span, phase.marked) for phase in plan.phases[1:3]] == [("unseen", False), ("all", True)]
    assert plan.phase(strategy_alone["name"]).span == "in_sample"


def test_points_of_strategies_side_by_side_add_up_and_of_those_made_one_multiply() -> None:
    axes = {"parameters": {"channel.channel_period": [20, 35, 50], "waves.stop_loss": [0.02, 0.03]}}
    beside = grid(strategies=TWO, optimization=axes)
    assert planned(beside).phases[0].points == 5
    assert planned({**beside, "aggregate": {"method": "mean"}}).phases[0].points == 6


def test_a_workflow_without_phases_is_one_phase() -> None:
    text = yaml.safe_dump({"workflow": {"name": "simple", "strategies": TWO, "seed": 3}})
    plan = plan_workflow(parse_workflow(text.encode()), Path())
    assert [phase.spec.type for phase in plan.phases] == ["backtest"]
    assert plan.spec.seed == 3


def test_hours_are_shared_out() -> None:
    plan = planned(
        GRID, PROOF, COURT, {"name": "pool", "type": "deployment", "inherit_best_from": "court"}, budget={"hours": 8.0}
    )
    assert [phase.hours for phase in plan.phases] == [4.0, 1.5, 1.5, 1.0]


def test_a_type_maps_to_a_family_and_its_genes() -> None:
    template = planned(GRID).phases[0].templates[0]
    genome = template.build({"channel_period": 35}).genomes[0]
    assert genome.genes == {**default_genome("donchian_breakout").genes, "channel_period": 35}
