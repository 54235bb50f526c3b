"""`quant-organism workflow`: research flows of a page of YAML: run, resume, look at them, tell two apart."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table, progress_bars

if TYPE_CHECKING:
    from quant_organism.orchestration.workflows import OpenedWorkflow
    from quant_organism.workflows import WorkflowRun

app = typer.Typer(help="Workflows: phases of research in a page of YAML.", no_args_is_help=True)

SETTINGS: Final = ("data_dir", "market", "threads")

File = Annotated[str, typer.Argument(help="A workflow's YAML file, or the name of a shipped one.")]
Run = Annotated[
    str, typer.Argument(help="A run as `workflow list` shows it, how it begins, or a workflow's name: its latest.")
]
Phases = Annotated[list[str] | None, typer.Option("--phase", help="Only this phase; may be said again. (default: all)")]
OwnCode = Annotated[
    bool, typer.Option("--own-code", help="Allow functions of your own files: they may do whatever you may do.")
]

_SHOWN: Final = ("phase", "part", "rank", "name", "strategy", "sharpe", "max_drawdown", "trades", "passed", "in_sample")
_BEST: Final = 3


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

    opened = open_workflow(workflow_path(file), options.said(context).settings())
    day = options.parse_day(date)
    _finish(opened, _new_id(), day, phase or (), own_code=own_code, as_json=as_json)


@app.command(cls=options.with_settings("data_dir", "threads"))
def resume(
    context: typer.Context, name: Run, phase: Phases = None, own_code: OwnCode = False, as_json: options.Json = False
) -> None:
    """Go on with a run: what is finished is taken up, and the result is that of a run that was never interrupted."""
    from quant_organism.orchestration.workflows import reopened
    from quant_organism.workflows import choose_workflow

    settings = options.said(context).settings()
    id = choose_workflow(settings.data_dir / "lake", name)
    opened, day = reopened(id, settings)
    _finish(opened, id, day, phase or (), own_code=own_code, as_json=as_json)


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
    print_table(
        list(rows[0]), [list(row.values()) for row in rows], title=f"{plan.spec.name}: nothing is wrong with it"
    )


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
    rows = stored_workflows(options.said(context).settings().data_dir / "lake").select(columns)
    if as_json:
        print_json(rows.to_dicts())
    elif rows.is_empty():
        typer.echo("No runs here yet. Make one with: quant-organism workflow run breakouts")
    else:
        print_table(columns, rows.iter_rows())


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
    _print_phases(tables[WorkflowPhaseTable.dataset].to_dicts())
    _print_results(tables[WorkflowResultTable.dataset].to_dicts())
    _print_checks(tables[WorkflowCheckTable.dataset].to_dicts())


@app.command(cls=options.with_settings("data_dir"))
def diff(context: typer.Context, a: Run, b: Run, as_json: options.Json = False) -> None:
    """Show what sets two runs apart: what was said, on what, and what came out."""
    from quant_organism.workflows import WorkflowPhaseTable, WorkflowRunTable, WorkflowStore, choose_workflow

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
        sides.append({"run": id, **on, **said, **came})
    left, right = sides
    rows = [(key, left.get(key), right.get(key)) for key in {**left, **right} if left.get(key) != right.get(key)]
    if as_json:
        print_json({"a": left["run"], "b": right["run"], "differences": {key: [x, y] for key, x, y in rows}})
        return
    print_table(("what", "A", "B"), [(key, _short(x), _short(y)) for key, x, y in rows])


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
    opened: "OpenedWorkflow", id: str, day: Any, phases: "list[str] | tuple[str, ...]", *, own_code: bool, as_json: bool
) -> None:
    with progress_bars() as bars:
        from quant_organism.orchestration.run_lock import run_lock
        from quant_organism.orchestration.workflows import workplace
        from quant_organism.workflows import run_workflow

        opened.plan.chosen(phases)
        with run_lock(opened.settings.data_dir), workplace(opened, id, bars, day=day, own_code=own_code) as place:
            finished = run_workflow(opened.plan, opened.source, id, place, phases=phases)
    _tell(id, finished, as_json=as_json)


def _tell(id: str, finished: "WorkflowRun", *, as_json: bool) -> None:
    from quant_organism.workflows import WorkflowCheckTable, WorkflowPhaseTable, WorkflowResultTable

    states, store = list(finished.states.values()), finished.store
    checks = store.read(WorkflowCheckTable).to_dicts()
    results = store.read(WorkflowResultTable).to_dicts()
    if as_json:
        print_json(
            {"workflow": id, "phases": store.read(WorkflowPhaseTable).to_dicts(), "results": results, "checks": checks}
        )
    else:
        _print_phases(store.read(WorkflowPhaseTable).to_dicts())
        _print_results(results)
        _print_checks(checks)
        typer.echo(f"run {id}")
    if any(state.status == "failed" for state in states) or any(check["passed"] is False for check in checks):
        raise typer.Exit(1)


def _print_phases(rows: list[dict[str, Any]]) -> None:
    columns = ("phase", "type", "status", "seconds", "strategies", "winners", "trials", "span", "stopped_by", "note")
    print_table(columns, [[row[name] for name in columns] for row in rows], title="Phases")


def _print_results(rows: list[dict[str, Any]]) -> None:
    best = [row for row in rows if row["rank"] <= _BEST]
    if best:
        print_table(
            _SHOWN, [[row[name] for name in _SHOWN] for row in best], title=f"Results, the best {_BEST} of each part"
        )


def _print_checks(rows: list[dict[str, Any]]) -> None:
    columns = ("name", "asked", "metric", "statistic", "value", "bound", "passed")
    if rows:
        print_table(columns, [[row[name] for name in columns] for row in rows], title="Checks")


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        parts = [_flat(inner, f"{path}.{key}" if path else str(key)) for key, inner in value.items()]
    elif isinstance(value, list):
        parts = [_flat(inner, f"{path}[{place}]") for place, inner in enumerate(value)]
    else:
        return {path: value}
    return {key: inner for part in parts for key, inner in part.items()}


def _short(value: Any) -> str:
    return "-" if value is None else str(value)[:60]
