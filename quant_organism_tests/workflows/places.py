"""A small market on which workflows run in a blink, and the place that they run in."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from quant_organism.cycle import Compute, SplitPanel
from quant_organism.deployment import StrategyRepository
from quant_organism.market import Lake
from quant_organism.workflows.plan import WorkflowPlan, plan_workflow
from quant_organism.workflows.run import WorkflowRun, Workplace, run_workflow
from quant_organism.workflows.spec import parse_workflow
from quant_organism_tests.panels import ASSETS, trending_panel

ID: Final = "workflow_20260102_030405_0000abcd"
OTHER: Final = "workflow_20260102_030406_0000abce"

CHANNEL: Final[dict[str, Any]] = {"name": "channel", "type": "donchian_breakout"}
CROSS: Final[dict[str, Any]] = {"name": "cross", "type": "moving_average_crossover"}
WIDE: Final[dict[str, Any]] = {
    "name": "wide",
    "type": "optimization",
    "strategies": [CHANNEL, CROSS],
    "optimization": {"parameters": {"channel.channel_period": [20, 35, 50], "cross.slow_period": [30, 50]}},
    "risk": {"position_sizers": [{"name": "flat", "type": "fixed", "size": 1000}]},
}
PROOF: Final[dict[str, Any]] = {"name": "proof", "type": "walk_forward", "inherit_best_from": "wide", "top": 3}

CHECKED: Final[dict[str, Any]] = {
    "name": "gates",
    "type": "analysis",
    "checks": [{"name": "found", "phase": "wide", "metric": "strategies", "at_least": 5}],
}


def place_in(folder: Path, *, days: int = 120, assets: int = ASSETS, **how: Any) -> Workplace:
    """Return a place in a folder, on some days of a market with trends; its clock counts the times that it is asked."""
    ticks = count()
    panel = trending_panel(days=days, assets=assets, drift=0.0015)
    return Workplace(
        lake=Lake(folder / "lake"),
        market=panel.market,
        interval=panel.interval,
        data=SplitPanel(panel),
        folder=folder / "runs",
        repository=StrategyRepository(folder / "strategies"),
        compute=Compute(threads=1),
        clock=how.pop("clock", lambda: float(next(ticks))),
        now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        **how,
    )


def text_of(*phases: dict[str, Any], **top: Any) -> bytes:
    """Return the text of a workflow's file."""
    return json.dumps({"workflow": {"name": "small", **top, "phases": list(phases)}}).encode()


def planned(*phases: dict[str, Any], folder: Path = Path(), **top: Any) -> WorkflowPlan:
    """Return a workflow, resolved."""
    return plan_workflow(parse_workflow(text_of(*phases, **top)), folder)


def lived(
    place: Workplace,
    *phases: dict[str, Any],
    id: str = ID,
    chosen: Sequence[str] = (),
    folder: Path = Path(),
    **top: Any,
) -> WorkflowRun:
    """Run a workflow."""
    text = text_of(*phases, **top)
    return run_workflow(plan_workflow(parse_workflow(text), folder), text, id, place, phases=chosen)
