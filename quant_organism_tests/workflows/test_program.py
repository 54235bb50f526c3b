"""Workflows as people meet them: the commands, and the same file as Dagster assets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from quant_organism.orchestration.resources import LakeResource
from quant_organism.orchestration.workflows import (
    WORKFLOW_TAG,
    WorkflowComponent,
    asset_name,
    workflow_definitions,
    workflow_files,
)
from quant_organism.settings import load_settings
from quant_organism.workflows import WorkflowPhaseTable, WorkflowStore, stored_workflows
from quant_organism_tests.program import Caller, Said
from quant_organism_tests.tiny import write_world
from quant_organism_tests.workflows.places import CHECKED, WIDE, text_of

Call = Callable[..., Said]
HEIR = {"name": "unseen", "type": "backtest", "inherit_best_from": "wide"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a workflow, its market and an empty data folder."""
    write_world(tmp_path)
    (tmp_path / "small.yaml").write_bytes(text_of(WIDE, HEIR, CHECKED, market={"world": "tiny.yaml"}))
    return tmp_path


@pytest.fixture
def call(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that calls the command line in this process, from that folder."""
    return Caller(folder, monkeypatch, capfd)


def answer(said: Said) -> Any:
    """Return the JSON that a command printed."""
    assert said.code == 0, said.out + said.err
    return json.loads(said.out)


def test_a_workflow_is_run_looked_at_resumed_and_told_from_another(call: Call, folder: Path) -> None:
    planned = answer(call("workflow", "validate", "small.yaml", "--json"))
    assert [phase["strategies"] for phase in planned["phases"]] == [5, 2, 0]
    assert not (folder / "data").exists()
    run = answer(call("workflow", "run", "small.yaml", "--phase", "wide", "--json"))
    assert [phase["status"] for phase in run["phases"]] == ["completed", "skipped", "skipped"]
    id = run["workflow"]
    whole = answer(call("workflow", "resume", id, "--json"))
    assert [phase["status"] for phase in whole["phases"]] == ["completed"] * 3
    assert whole["phases"][0] == run["phases"][0]
    shown = answer(call("workflow", "show", "small", "--json"))
    assert shown["workflow_results"] == whole["results"]
    assert [row["workflow"] for row in answer(call("workflow", "list", "--json"))] == [id]
    log = (folder / "data" / "logs" / f"{id}.log").read_text()
    assert f"{id}.unseen completed" in log
    other = answer(call("workflow", "run", "small.yaml", "--date", "2024-04-20", "--phase", "wide", "--json"))
    told = answer(call("workflow", "diff", id, other["workflow"], "--json"))["differences"]
    assert told["last_day"] == ["2024-04-29", "2024-04-20"]
    assert not any(key.startswith("spec") for key in told)
    for command in (["show", id], ["list"], ["diff", id, other["workflow"]], ["validate", "small.yaml"], ["patterns"]):
        assert call("workflow", *command).code == 0
    found = answer(
        call("sql", f"select distinct phase from workflow_results where workflow = '{id}' order by phase", "--json")
    )
    assert [row["phase"] for row in found] == ["unseen", "wide"]


def test_a_bound_that_is_not_kept_ends_with_code_1_and_a_wrong_file_with_2(call: Call, folder: Path) -> None:
    impossible = {**CHECKED, "checks": [{"name": "x", "phase": "wide", "at_least": 1e9}]}
    (folder / "bad.yaml").write_bytes(text_of(WIDE, impossible, market={"world": "tiny.yaml"}))
    assert call("workflow", "run", "bad.yaml").code == 1
    (folder / "wrong.yaml").write_bytes(text_of({**WIDE, "tpe": 1}))
    said = call("workflow", "run", "wrong.yaml")
    assert (said.code, "did you mean type" in said.err) == (2, True)
    assert call("workflow", "show", "nothing").code == 2


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("run", "brakouts"), "did you mean breakouts?"),
        (("run", "small.yml"), "shipped workflows: breakouts, costs"),
        (("validate", "tabs.yaml"), "indent with spaces"),
        (("show", "smal"), "run one with: quant-organism workflow run breakouts"),
    ],
)
def test_a_slip_of_the_hand_is_told_what_to_do(command: tuple[str, str], said: str, call: Call, folder: Path) -> None:
    (folder / "tabs.yaml").write_text("workflow:\n\tname: small\n")
    told = call("workflow", *command)
    assert (told.code, said in " ".join(told.err.replace("│", " ").split())) == (2, True), told.err


def test_tables_say_what_was_chosen_and_leave_out_what_says_nothing(call: Call) -> None:
    told = call("workflow", "run", "small.yaml")
    id = stored_workflows(Path("data/lake"))["workflow"].item()
    assert told.out.rstrip().endswith(f"workflow show {id}")
    assert "channel with channel_period 50, flat" in told.out
    assert "stopped_by" not in told.out
    results = told.out.split("Results")[1]
    assert results.index("wide") < results.index("unseen")
    assert "1 of 1 bounds are kept" in told.out
    again = call("workflow", "run", "small.yaml")
    other = stored_workflows(Path("data/lake"))["workflow"].to_list()[-1]
    assert "gave the same" in call("workflow", "diff", id, other).out
    for name, words in (("workflow_", "2 runs begin with"), ("smalls", "did you mean small?")):
        told = call("workflow", "show", name)
        assert (told.code, words in " ".join(told.err.replace("│", " ").split())) == (2, True), told.err
    assert again.code == 0


def test_the_same_file_is_assets_with_lineage_that_give_the_same(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = answer(call("workflow", "run", "small.yaml", "--json"))
    for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.delenv(name)
    settings = load_settings({"data_dir": str(folder / "assets")})
    shown = folder / "assets" / "workflows"
    shown.mkdir(parents=True)
    write_world(shown)
    (shown / "small.yaml").write_bytes((folder / "small.yaml").read_bytes())
    own = workflow_definitions(workflow_files(settings.data_dir), settings)
    lake = LakeResource(folder=str(settings.data_dir / "lake"))
    definitions = dg.Definitions.merge(own, dg.Definitions(resources={"lake": lake}))
    graph = definitions.resolve_asset_graph()
    keys = {name: dg.AssetKey(asset_name("small", name)) for name in ("wide", "unseen", "gates")}
    assert graph.get(keys["unseen"]).parent_keys == {keys["wide"]}
    assert graph.get(keys["gates"]).parent_keys == {keys["wide"]}
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("workflow_small").execute_in_process(instance=instance)
        assert result.success
        (run,) = instance.get_runs()
        id = run.tags[WORKFLOW_TAG]
    store = WorkflowStore(settings.data_dir / "lake", settings.data_dir / "workflows" / "runs", id)
    assert stored_workflows(settings.data_dir / "lake")["workflow"].to_list() == [id]
    outputs = {row["phase"]: row["outputs"] for row in plain["phases"]}
    assert {row["phase"]: row["outputs"] for row in store.read(WorkflowPhaseTable).to_dicts()} == outputs


def test_a_workflow_is_a_component(folder: Path) -> None:
    text = json.loads((folder / "small.yaml").read_bytes())
    text["workflow"]["schedule"] = "30 2 * * *"
    (folder / "small.yaml").write_text(json.dumps(text))
    definitions = dg.build_defs_for_component(WorkflowComponent(file=str(folder / "small.yaml")))
    assert {key.to_user_string() for key in definitions.resolve_all_asset_keys()} == {
        asset_name("small", name) for name in ("wide", "unseen", "gates")
    }
    (schedule,) = definitions.schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.cron_schedule == "30 2 * * *"
