"""The pattern analysis, which asks earlier phases for numbers, and own, a function of somebody's file."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any, Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.workflows.inputs import PhaseInputs
from quant_organism.workflows.outcome import PhaseOutcome
from quant_organism.workflows.spec import CheckSpec, PhaseSpec
from quant_organism.workflows.tables import WorkflowCheckTable, WorkflowResultTable

_STATISTICS: Final[dict[str, Callable[[pl.Series], Any]]] = {
    "median": pl.Series.median,
    "mean": pl.Series.mean,
    "count": lambda values: float(values.len()),
}
_SMALL_IS_GOOD: Final = frozenset({"max_drawdown", "volatility", "turnover_per_year", "exposure"})


def analysis(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Ask the results of earlier phases for statistics, and hold each against its bound."""
    rows = []
    for check in spec.checks:
        value = _answer(check, inputs.outcomes[check.phase])
        bound = _bound(check)
        kept = None if not bound else _keeps(check, value)
        rows.append((inputs.phase.name, check.name, check.phase, check.metric, check.statistic, value, bound, kept))
    table = WorkflowCheckTable.frame(rows)
    failed = [str(row[1]) for row in rows if row[-1] is False]
    asked = sum(row[-1] is not None for row in rows)
    note = f"{asked - len(failed)} of {asked} bounds are kept" + (f"; not {', '.join(failed)}" if failed else "")
    notes = (note,) if asked else ()
    return PhaseOutcome(WorkflowResultTable.empty(), tables={WorkflowCheckTable: table}, notes=notes)


def own(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Call the function of a file; it has all that the patterns of the house have, and all rights of who runs it.

    Raises
    ------
    InputError
        The function returns no outcome.
    """
    path = inputs.plan.folder / str(spec.file)
    module_spec = importlib.util.spec_from_file_location(f"own_pattern_{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    found = getattr(module, str(spec.function))(inputs, spec)
    if not isinstance(found, PhaseOutcome):
        raise InputError(
            f"{spec.function} returned {type(found).__name__}, expected a PhaseOutcome",
            where=f"{inputs.phase.name}, {path.name}",
            remedy="return PhaseOutcome(results=..., winners=...)",
        )
    return found


def _answer(check: CheckSpec, outcome: PhaseOutcome) -> float | None:
    results = outcome.results
    whole = results.filter(pl.col("part").is_in(["all", "test"]))
    if check.metric == "strategies":
        return float(outcome.strategies)
    if check.metric == "passed":
        judged = whole["passed"].drop_nulls()
        return None if judged.is_empty() else float(judged.cast(pl.Float64()).mean())  # type: ignore[arg-type]
    values = whole.filter("feasible")[check.metric].drop_nulls()
    if check.statistic in _STATISTICS:
        answer = _STATISTICS[check.statistic](values)
    else:
        answer = values.max() if (check.statistic == "best") != (check.metric in _SMALL_IS_GOOD) else values.min()
    return None if answer is None or math.isnan(answer) else float(answer)


def _bound(check: CheckSpec) -> str:
    if check.at_least is not None:
        return f"at least {check.at_least:g}"
    return "" if check.at_most is None else f"at most {check.at_most:g}"


def _keeps(check: CheckSpec, value: float | None) -> bool:
    if value is None:
        return False
    return value >= check.at_least if check.at_least is not None else value <= float(check.at_most or 0.0)
