"""`quant-organism workflow`: research flows of a page of YAML: run, resume, look at them, tell two apart."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from quant_organism.cli import completion, options
from quant_organism.cli.output import print_json, print_table, progress_bars

if TYPE_CHECKING:
    from quant_organism.orchestration.workflows import OpenedWorkflow
    from quant_organism.workflows import WorkflowRun

app = typer.Typer(help="Workflows: phases of research in a page of YAML.", no_args_is_help=True)

SETTINGS: Final = ("data_dir", "market", "threads")

File = Annotated[
    str,
    typer.Argument(
        help="A workflow's YAML file, or the name of a shipped one.", autocompletion=completion.workflow_files
    ),
]
Run = Annotated[
    str,
    typer.Argument(
        help="A run as `workflow list` shows it, how it begins, or a workflow's name: its latest.",
        autocompletion=completion.workflow_runs,
    ),
]
Phases = Annotated[list[str] | None, typer.Option("--phase", help="Only this phase; may be said again. (default: all)")]
OwnCode = Annotated[
    bool, typer.Option("--own-code", help="Allow functions of your own files: they may do whatever you may do.")
]

_PHASES: Final = ("phase", "type", "status", "seconds", "strategies", "winners", "trials", "span", "stopped_by")
_RESULTS: Final = ("phase", "part", "rank", "strategy", "objective", "sharpe", "max_drawdown", "trades", "passed")
_USUAL: Final = {"part": "all", "in_sample": False}
"""What results say of themselves where there is nothing to say."""
_BEST: Final = 3
_DIGEST: Final = re.compile("[0-9a-f]{64}")


@app.command(cls=options.with_settings(*SETTINGS))
def run(
    context: typer.Context,
    file: File,
    phase: Phases = None,
    date: options.CycleDay = None,
    own_code: OwnCode = False,
    as_json: options.Json = False,
) -> None:
    """Run a workflow; exit code 1 if a phase failed or a bound is not kept."""
    from quant_organism.orchestration.workflows import open_workflow
    from quant_organism.workflows.spec import workflow_path

    said = options.said(context)
    opened = open_workflow(workflow_path(file), said.settings())
    day = options.parse_day(date)
    _finish(said, opened, _new_id(), day, phase or (), own_code=own_code, as_json=as_json)


@app.command(cls=options.with_settings("data_dir", "threads"))
def resume(
    context: typer.Context, name: Run, phase: Phases = None, own_code: OwnCode = False, as_json: options.Json = False
) -> None:
    """Go on with a run: what is finished is taken up, and the result is that of a run that was never interrupted."""
    from quant_organism.orchestration.workflows import reopened
    from quant_organism.workflows import choose_workflow

    said = options.said(context)
    settings = said.settings()
    id = choose_workflow(settings.data_dir / "lake", name)
    opened, day = reopened(id, settings)
    _finish(said, opened, id, day, phase or (), own_code=own_code, as_json=as_json)


@app.command(cls=options.with_settings("data_dir"))
def validate(context: typer.Context, file: File, as_json: options.Json = False) -> None:
    """Say what a workflow would do; reads no market data and runs nothing."""
    from quant_organism.deployment import StrategyRepository
    from quant_organism.workflows import plan_workflow, read_workflow
    from quant_organism.workflows.spec import workflow_path

    repository = StrategyRepository(options.said(context).settings().data_dir / "strategies")
    path = workflow_path(file)
    plan = plan_workflow(read_workflow(path), path.parent, lambda id: repository.load(id).committee)
    rows = [
        {
            "phase": phase.name,
            "type": phase.spec.type,
            "inherits": phase.spec.inherit_best_from,
            "days": phase.span,
            "in_sample": phase.marked,
            "strategies": phase.points,
            "hours": phase.hours,
        }
        for phase in plan.phases
    ]
    if as_json:
        print_json({"workflow": plan.spec.name, "hash": plan.hash, "phases": rows})
        return
    shown = [row | {name: row[name] or None for name in ("in_sample", "strategies")} for row in rows]
    _print_filled(tuple(rows[0]), shown, f"{plan.spec.name}: nothing is wrong with it")
    typer.echo(f"Next: {options.said(context).command_line(f'workflow run {shlex.quote(file)}', 'data_dir')}")


@app.command("list", cls=options.with_settings("data_dir"))
def list_workflows(context: typer.Context, as_json: options.Json = False) -> None:
    """List the runs that are kept, the newest last."""
    from quant_organism.workflows import stored_workflows

    columns = [
        "workflow",
        "name",
        "status",
        "market",
        "interval",
        "last_day",
        "completed",
        "phases",
        "trials",
        "seconds",
    ]
    said = options.said(context)
    rows = stored_workflows(said.settings().data_dir / "lake").select(columns).to_dicts()
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo(f"No runs here yet. Make one with: {said.command_line('workflow run breakouts', 'data_dir')}")
    else:
        shown = [row | {"phases": f"{row['completed']} of {row['phases']}"} for row in rows]
        columns = ["workflow", "name", "status", "last_day", "phases", "trials", "seconds"]
        print_table(columns, [[row[name] for name in columns] for row in shown])


@app.command(cls=options.with_settings("data_dir"))
def show(context: typer.Context, name: Run, as_json: options.Json = False) -> None:
    """Show one run: its phases, the best of each, and what checks found."""
    from quant_organism.workflows import (
        WorkflowCheckTable,
        WorkflowPhaseTable,
        WorkflowResultTable,
        WorkflowRunTable,
        WorkflowStore,
        choose_workflow,
    )

    data_dir = options.said(context).settings().data_dir
    id = choose_workflow(data_dir / "lake", name)
    store = WorkflowStore(data_dir / "lake", data_dir / "workflows" / "runs", id)
    tables = {
        table.dataset: store.read(table)
        for table in (WorkflowRunTable, WorkflowPhaseTable, WorkflowResultTable, WorkflowCheckTable)
    }
    if as_json:
        print_json({"workflow": id, **{dataset: frame.to_dicts() for dataset, frame in tables.items()}})
        return
    row = tables[WorkflowRunTable.dataset].row(0, named=True)
    typer.echo(f"{id}   {row['name']}: {row['status']} on {row['market']} to {row['last_day']}\n")
    _print_run(*(tables[t.dataset].to_dicts() for t in (WorkflowPhaseTable, WorkflowResultTable, WorkflowCheckTable)))


@app.command(cls=options.with_settings("data_dir"))
def diff(context: typer.Context, a: Run, b: Run, as_json: options.Json = False) -> None:
    """Show what sets two runs apart: what was said, on what, and what came out."""
    from quant_organism.workflows import (
        WorkflowPhaseTable,
        WorkflowResultTable,
        WorkflowRunTable,
        WorkflowStore,
        choose_workflow,
    )

    data_dir = options.said(context).settings().data_dir
    sides: list[dict[str, Any]] = []
    for name in (a, b):
        id = choose_workflow(data_dir / "lake", name)
        store = WorkflowStore(data_dir / "lake", data_dir / "workflows" / "runs", id)
        row = store.read(WorkflowRunTable).row(0, named=True)
        said = _flat({"spec": json.loads(row["spec"])})
        on = {key: row[key] for key in ("market", "interval", "last_day", "panel_hash", "code", "status")}
        came = {
            f"{phase['phase']}.{key}": phase[key]
            for phase in store.read(WorkflowPhaseTable).to_dicts()
            for key in ("status", "strategies", "winners", "outputs", "note")
        }
        best = {
            f"{result['phase']}.best": result["objective"]
            for result in store.read(WorkflowResultTable).filter(rank=1, part="all").to_dicts()
        }
        sides.append({"run": id, **on, **said, **came, **best})
    left, right = sides
    rows = [(key, left.get(key), right.get(key)) for key in {**left, **right} if left.get(key) != right.get(key)]
    if as_json:
        print_json({"a": left["run"], "b": right["run"], "differences": {key: [x, y] for key, x, y in rows}})
        return
    shown = [(key, _short(x), _short(y)) for key, x, y in rows]
    if all(key == "run" for key, _, _ in rows):
        typer.echo("The two say the same, look at the same days, and gave the same.")
    else:
        print_table(("what", "A", "B"), [row for row in shown if row[1] != row[2]])


@app.command()
def patterns(as_json: options.Json = False) -> None:
    """List the types of phases with the keys that they read, and the workflows that are shipped."""
    from quant_organism.workflows import KINDS, read_workflow
    from quant_organism.workflows.spec import gallery

    kinds = {name: {"summary": kind.summary, "reads": sorted(kind.reads)} for name, kind in KINDS.items()}
    shipped = {name: read_workflow(path).description for name, path in gallery().items()}
    if as_json:
        print_json({"patterns": kinds, "workflows": shipped})
        return
    print_table(
        ("type", "what it does", "keys of its own"),
        [(n, k["summary"], ", ".join(k["reads"])) for n, k in kinds.items()],
    )
    print_table(("shipped workflow", "what it asks"), list(shipped.items()))


def _new_id() -> str:
    import secrets
    from datetime import UTC, datetime

    from quant_organism.workflows import correlation_id

    return correlation_id(datetime.now(UTC), secrets.token_bytes(4))


def _finish(
    said: options.Said,
    opened: "OpenedWorkflow",
    id: str,
    day: Any,
    phases: "list[str] | tuple[str, ...]",
    *,
    own_code: bool,
    as_json: bool,
) -> None:
    with progress_bars() as bars:
        from quant_organism.orchestration.run_lock import run_lock
        from quant_organism.orchestration.workflows import workplace
        from quant_organism.workflows import run_workflow

        opened.plan.chosen(phases)
        with run_lock(opened.settings.data_dir), workplace(opened, id, bars, day=day, own_code=own_code) as place:
            finished = run_workflow(opened.plan, opened.source, id, place, phases=phases)
    _tell(said, id, finished, as_json=as_json)


def _tell(said: options.Said, id: str, finished: "WorkflowRun", *, as_json: bool) -> None:
    from quant_organism.workflows import WorkflowCheckTable, WorkflowPhaseTable, WorkflowResultTable

    statuses, store = [state.status for state in finished.states.values()], finished.store
    phases, checks = store.read(WorkflowPhaseTable).to_dicts(), store.read(WorkflowCheckTable).to_dicts()
    results = store.read(WorkflowResultTable).to_dicts()
    if as_json:
        print_json({"workflow": id, "phases": phases, "results": results, "checks": checks})
    else:
        _print_run(phases, results, checks)
        follow = "show" if set(statuses) == {"completed"} else "resume"
        typer.echo(f"Next: {said.command_line(f'workflow {follow} {id}', 'data_dir')}")
    if "failed" in statuses or any(check["passed"] is False for check in checks):
        raise typer.Exit(1)


def _print_run(phases: list[dict[str, Any]], results: list[dict[str, Any]], checks: list[dict[str, Any]]) -> None:
    """Print the tables of a run, each column that says something; notes have lines of their own beneath."""
    _print_filled(_PHASES, phases, "Phases")
    _print_notes((phase["phase"], phase["note"]) for phase in phases)
    place = {phase["phase"]: phase["place"] for phase in phases}
    best = sorted((row for row in results if row["rank"] <= _BEST), key=lambda row: place[row["phase"]])
    if all(row["objective"] in (None, row["sharpe"]) for row in best):
        best = [row | {"objective": None} for row in best]
    for name, usual in _USUAL.items():
        if all(row[name] == usual for row in best):
            best = [row | {name: None} for row in best]
    _print_filled((*_RESULTS, "in_sample"), best, f"Results, the best {_BEST} of each part")
    _print_notes((f"{row['phase']}, {row['strategy']}", row["note"]) for row in best)
    chosen = {row["strategy"]: _chosen(row) for row in best}
    _print_notes(chosen.items())
    columns = ("name", "asked", "metric", "statistic", "value", "bound", "passed")
    _print_filled(columns, checks, "Checks")


def _print_filled(columns: tuple[str, ...], rows: list[dict[str, Any]], title: str) -> None:
    """Print a table without the columns in which no row says anything; nothing where there are no rows."""
    filled = [name for name in columns if any(row[name] not in (None, "") for row in rows)]
    if rows:
        print_table(filled, [[row[name] for name in filled] for row in rows], title=title)


def _print_notes(notes: Iterable[tuple[str, str]]) -> None:
    lines = [f"{of}: {note}" for of, note in notes if note]
    if lines:
        typer.echo("\n".join([*lines, ""]))


def _chosen(row: Mapping[str, Any]) -> str:
    """Return what was chosen for a strategy, in words."""
    parameters = ", ".join(f"{name} {value}" for name, value in json.loads(row["parameters"]).items())
    return f"{row['name']}{' with ' * bool(parameters)}{parameters}{', ' * bool(row['sizer'])}{row['sizer']}"


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return nested values by their paths; what has a name in a list, by its name."""
    if isinstance(value, list) and value and all(isinstance(inner, Mapping) and "name" in inner for inner in value):
        value = {inner["name"]: {key: own for key, own in inner.items() if key != "name"} for inner in value}
    if not isinstance(value, Mapping):
        return {path: value}
    parts = [_flat(inner, f"{path}.{key}" if path else str(key)) for key, inner in value.items()]
    return {key: inner for part in parts for key, inner in part.items()}


def _short(value: Any) -> str:
    """Return a value in few characters; of a digest its first ones tell as much."""
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return str(value)[:12]
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value in (None, "") else str(value)[:60]
