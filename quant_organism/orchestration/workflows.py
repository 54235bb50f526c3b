"""Workflows on a data folder: where they run by the settings, and the same file as Dagster assets, job and schedule."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import dagster as dg
from pydantic import ValidationError

from quant_organism.cycle import Compute, Panels, Progress, SplitPanel
from quant_organism.deployment import StrategyRepository
from quant_organism.errors import InputError
from quant_organism.market import Lake
from quant_organism.market.ingest import ingest
from quant_organism.market.migration import migrate
from quant_organism.orchestration.access import Signing
from quant_organism.orchestration.partitions import days_of
from quant_organism.orchestration.resources import LakeResource, MarketResource, log_progress
from quant_organism.resilience import write_file
from quant_organism.settings import MarketSettings, Settings, load_settings
from quant_organism.workflows import (
    PhasePlan,
    WorkflowPlan,
    WorkflowRun,
    WorkflowSpec,
    Workplace,
    correlation_id,
    plan_workflow,
    read_workflow,
)

WORKFLOW_TAG: Final = "quant_organism/workflow"
"""On Dagster runs: correlation id of the run of a workflow."""

_PLACE: Final = "place.json"
_ORIGIN: Final = frozenset({"source", "world", "path", "name", "sentiment", "sentiment_url", "base_url", "world_seed"})
_IS_WORKFLOW: Final = re.compile(r"^\{?\s*\"?workflow\"?\s*:", re.MULTILINE)
_SHOWN: Final = ("rank", "part", "strategy", "objective", "sharpe", "max_drawdown", "trades")
_MOST_SHOWN: Final = 10


@dataclass(frozen=True)
class OpenedWorkflow:
    """A workflow's file with what it is run by.

    Attributes
    ----------
    plan, source
        The workflow, and the text of its file.
    settings
        With the market that the file names.
    """

    plan: WorkflowPlan
    source: bytes
    settings: Settings


def open_workflow(path: Path, settings: Settings, *, folder: Path | None = None) -> OpenedWorkflow:
    """Read a workflow's file and resolve it; its market before that of the settings.

    Parameters
    ----------
    path
        The file.
    settings
        What holds where the file says nothing.
    folder
        That paths in the file begin in; None: the file's own.

    Raises
    ------
    InputError
        The file cannot be run; the message names the key.
    """
    spec, where = read_workflow(path), (folder or path.parent).resolve()
    repository = StrategyRepository(settings.data_dir / "strategies")
    plan = plan_workflow(spec, where, lambda id: repository.load(id).committee)
    return OpenedWorkflow(
        plan, path.read_bytes(), settings.model_copy(update={"market": _market(spec, settings, where)})
    )


def _market(spec: WorkflowSpec, settings: Settings, folder: Path) -> MarketSettings:
    said: dict[str, Any] = spec.market.model_dump(exclude_none=True)
    for key in ("world", "path"):
        if key in said and (folder / said[key]).exists():
            said[key] = str(folder / said[key])
    if "source" not in said and ("world" in said or "path" in said):
        said["source"] = "world" if "world" in said else "files"
    before = settings.market.model_dump(exclude_unset=True)
    if "source" in said:  # another market: what tells where the one of the settings comes from means nothing to it
        before = {key: value for key, value in before.items() if key not in _ORIGIN}
    try:
        return MarketSettings.model_validate({**before, **said})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(("market", *map(str, first["loc"])))
        raise InputError(first["msg"], where=place, remedy="correct the workflow's market") from None


@contextmanager
def workplace(
    opened: OpenedWorkflow,
    id: str,
    progress: Progress,
    *,
    day: date | None = None,
    own_code: bool = False,
) -> Iterator[Workplace]:
    """Bring the market into the lake, and yield where a workflow runs; hold the data folder's run lock for it.

    Parameters
    ----------
    opened
        The workflow.
    id
        Correlation id of the run.
    progress
        Told what is going on.
    day
        Last day that is seen; None: the newest complete one.
    own_code
        Whether functions of somebody's own files may be called.

    Raises
    ------
    InputError
        The market has no such days.
    DataQualityError
        Its candles are not sound enough.
    """
    settings = opened.settings
    market = MarketResource.of(settings.market, settings.data_dir)
    lake, source = Lake(settings.data_dir.resolve() / "lake"), market.open()
    days = days_of(source, market.bars, settings.market, day)
    migrate(lake.root)
    symbols = settings.market.symbols
    ingest(
        source,
        lake,
        market.bars,
        days.first,
        days.last,
        symbols,
        progress=lambda done, total: progress("Market", done, total, source.market),
    )
    made = Panels().make(
        lake, source.market, market.bars, days.last, lookback_days=settings.market.lookback_days, symbols=symbols
    )
    made.require_quality(settings.market.min_quality)
    log = settings.data_dir / "logs" / f"{id}.log"
    runs = runs_folder(settings)
    document = {
        "market": settings.market.model_dump(mode="json", exclude_unset=True),
        "day": days.last.isoformat(),
        "folder": str(opened.plan.folder),
    }
    write_file(runs / id / _PLACE, json.dumps(document, indent=2, sort_keys=True).encode())

    def noted(status: str, where: str) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {where} {status}\n")

    yield Workplace(
        lake=lake,
        market=source.market,
        interval=market.bars,
        data=SplitPanel(made.panel),
        folder=runs,
        repository=StrategyRepository(settings.data_dir / "strategies", signer=Signing(settings).signer()),
        compute=Compute(threads=settings.worker_threads),
        own_code=own_code,
        clock=perf_counter,
        now=lambda: datetime.now(UTC).replace(microsecond=0),
        progress=progress,
        noted=noted,
    )


def runs_folder(settings: Settings) -> Path:
    """Return the folder of checkpoints of a data folder."""
    return settings.data_dir.resolve() / "workflows" / "runs"


def reopened(id: str, settings: Settings) -> tuple[OpenedWorkflow, date]:
    """Return the workflow of a run that was begun, and the last day that it sees, as it was begun.

    Raises
    ------
    InputError
        Nothing of it is kept.
    """
    folder = runs_folder(settings) / id
    try:
        place = json.loads((folder / _PLACE).read_bytes())
    except OSError as error:
        raise InputError(
            f"nothing of the run is kept: {error.strerror}", where=str(folder), remedy="run the workflow anew"
        ) from None
    begun = settings.model_copy(update={"market": MarketSettings.model_validate(place["market"])})
    opened = open_workflow(folder / "workflow.yaml", begun, folder=Path(place["folder"]))
    return opened, date.fromisoformat(place["day"])


def workflow_assets(path: Path, settings: Settings) -> list[dg.AssetsDefinition]:
    """Return one asset per phase of a workflow, with the lineage of what phases read of each other."""
    opened = open_workflow(path, settings)
    return [_asset(phase, path, opened.plan, settings) for phase in opened.plan.phases]


def workflow_definitions(paths: Sequence[Path], settings: Settings) -> dg.Definitions:
    """Return assets, job and schedule of each workflow; resources are those of whoever takes them up."""
    assets: list[dg.AssetsDefinition] = []
    jobs: list[Any] = []
    schedules: list[dg.ScheduleDefinition] = []
    for path in paths:
        own = workflow_assets(path, settings)
        spec = read_workflow(path)
        job = dg.define_asset_job(
            f"workflow_{spec.name}", selection=dg.AssetSelection.assets(*own), description=spec.description or None
        )
        assets, jobs = [*assets, *own], [*jobs, job]
        if spec.schedule is not None:
            schedules.append(
                dg.ScheduleDefinition(
                    name=f"workflow_{spec.name}_schedule",
                    job=job,
                    cron_schedule=spec.schedule,
                    execution_timezone="UTC",
                )
            )
    return dg.Definitions(assets=assets, jobs=jobs, schedules=schedules)


def workflow_files(data_dir: Path) -> list[Path]:
    """Return the workflows of a data folder that the web UI shows; worlds and documents beside them are none."""
    files = sorted((data_dir / "workflows").glob("*.yaml"))
    return [path for path in files if _IS_WORKFLOW.search(path.read_text(encoding="utf-8"))]


def asset_name(workflow: str, phase: str) -> str:
    """Return the name of a phase's asset."""
    return f"{workflow}__{phase}"


def _asset(phase: PhasePlan, path: Path, plan: WorkflowPlan, settings: Settings) -> dg.AssetsDefinition:
    name = plan.spec.name

    @dg.asset(
        name=asset_name(name, phase.name),
        group_name=f"workflow_{name}",
        deps=[asset_name(name, need) for need in phase.needs],
        description=phase.spec.description or phase.kind.summary,
        kinds={"workflow"},
        metadata={"type": phase.spec.type, "days": phase.span},
    )
    def run_phase(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        opened = open_workflow(path, settings)
        id = _id_of(context, opened.plan, phase)
        context.instance.add_run_tags(context.run.run_id, {WORKFLOW_TAG: id})
        with workplace(opened, id, log_progress) as place:
            run = WorkflowRun(opened.plan, opened.source, id, place)
            run.begin([phase.name])
            state = run.phase(phase.name)
            run.end()
        if state.status == "failed":
            raise dg.Failure(description=state.note)
        return dg.MaterializeResult(metadata=_metadata(id, run, phase.name))

    return run_phase


def _metadata(id: str, run: WorkflowRun, phase: str) -> Mapping[str, Any]:
    state = run.states[phase]
    outcome = state.outcome
    facts: dict[str, Any] = {
        "workflow": id,
        "status": state.status,
        "seconds": state.seconds,
        "note": state.note or "none",
        "outputs": state.outputs or "none",
    }
    if outcome is not None:
        facts |= {"strategies": outcome.strategies, "winners": len(outcome.winners), "trials": outcome.trials}
        best = outcome.results.select(*_SHOWN).head(_MOST_SHOWN)
        rows = [best.columns, ["---"] * best.width, *([_cell(value) for value in row] for row in best.iter_rows())]
        facts["results"] = dg.MetadataValue.md("\n".join(f"| {' | '.join(row)} |" for row in rows))
    return facts


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _id_of(context: dg.AssetExecutionContext, plan: WorkflowPlan, phase: PhasePlan) -> str:
    """Return the correlation id: of the Dagster run, or of the run that made what this phase reads."""
    chosen = {key.to_user_string() for key in context.run.asset_selection or ()}
    if chosen and phase.needs and not chosen & {asset_name(plan.spec.name, need) for need in phase.needs}:
        event = context.instance.get_latest_materialization_event(
            dg.AssetKey(asset_name(plan.spec.name, phase.needs[0]))
        )
        made = event.asset_materialization.metadata if event and event.asset_materialization else {}
        if "workflow" in made:
            return str(made["workflow"].value)
    record = context.instance.get_run_record_by_id(context.run.run_id)
    begun = datetime.now(UTC) if record is None else record.create_timestamp
    return correlation_id(begun, bytes.fromhex(context.run.run_id.replace("-", "")[:8]))


class WorkflowComponent(dg.Component, dg.Model, dg.Resolvable):
    """A workflow's file as a component: one asset per phase, a job, and the schedule that the file names.

    Parameters
    ----------
    file
        Path of the workflow, from the component's folder.
    """

    file: str

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the definitions, with the lake of the settings."""
        settings = load_settings()
        lake = LakeResource(folder=str(settings.data_dir.resolve() / "lake"))
        own = workflow_definitions([Path(context.path) / self.file], settings)
        return dg.Definitions.merge(own, dg.Definitions(resources={"lake": lake}))
