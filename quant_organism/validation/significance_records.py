"""The test before the search and the significance of the search at rest, as frames."""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from quant_organism.evolution import EdgeEvidence
from quant_organism.validation.case import PValue
from quant_organism.validation.permutation import Incomplete, SearchSignificance
from quant_organism.validation.pretest import LEVEL, PretestResult
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.p_values import SimulatedP
from quant_organism.validation.tables import PretestTable, SignificanceTable


def pretest_frame(result: PretestResult | NotRun) -> pl.DataFrame:
    """Return one row: `passed` if there may be something to find, `failed` if not, `not_run` with the reason."""
    if isinstance(result, NotRun):
        return PretestTable.frame([{"status": "not_run", "level": LEVEL, "sentence": result.reason}])
    row = {name: getattr(result, name) for name in PretestTable.schema if hasattr(result, name)}
    status = "passed" if result.found else "failed"
    return PretestTable.frame([row | {"status": status, "level": LEVEL}])


def read_evidence(frame: pl.DataFrame) -> EdgeEvidence | None:
    """Return what the final choice of a search wants to know of `pretest_frame`; None where the test did not run."""
    row = frame.row(0, named=True)
    return None if row["status"] == "not_run" else EdgeEvidence(row["pooled_p"], row["per_asset_p"])


def read_pretest(frame: pl.DataFrame | None) -> PValue | NotRun:
    """Return the p-value of `pretest_frame`, or why there is none."""
    if frame is None:
        return NotRun("the test before the search was not made")
    row = frame.row(0, named=True)
    return NotRun(row["sentence"]) if row["status"] == "not_run" else PValue(row["p_value"], row["draws"])


def read_p_values(frame: pl.DataFrame | None) -> Mapping[str, PValue | NotRun] | NotRun:
    """Return the p-values of `significance_frame` by statistic, or why there are none."""
    if frame is None:
        return NotRun("the search was not repeated")
    rows = frame.to_dicts()
    if all(row["p_value"] is None for row in rows):
        return NotRun(rows[0]["sentence"])
    return {
        row["statistic"]: NotRun(row["sentence"]) if row["p_value"] is None else PValue(row["p_value"], row["draws"])
        for row in rows
    }


def p_values(result: SearchSignificance | NotRun) -> Mapping[str, PValue | NotRun] | NotRun:
    """Return the p-values of a search by statistic, as the gates ask for them."""
    return read_p_values(significance_frame(result))


def significance_frame(result: SearchSignificance | NotRun) -> pl.DataFrame:
    """Return one row per statistic, the committee first: `measured`, or why not.

    `not_run` comes with the reason. `incomplete`, where the repetitions were cut short, with the number of copies that
    are made and how to go on; copies that are missing count in its p-value as if they had done at least as well.
    """
    if isinstance(result, NotRun):
        unknown: dict[str, Any] = {"statistic": "committee", "status": "not_run", "sentence": result.reason}
        if isinstance(result, Incomplete):
            unknown |= {"status": "incomplete", "draws": result.made}
        return SignificanceTable.frame([unknown])
    rows = []
    for name, found in result.p_values.items():
        row: dict[str, Any] = {
            "statistic": name,
            "sharpe": _known(result.sharpe[name]),
            "luck_sharpe": _known(result.luck_sharpe[name]),
            "null": result.kind,
            "left_out": list(result.left_out),
        }
        if isinstance(found, SimulatedP):
            row |= {
                "status": "incomplete" if result.missing else "measured",
                "p_value": found.p_value,
                "draws": found.draws,
            }
            row |= {"exceedances": found.exceedances, "sentence": result.sentence}
        else:
            row |= {"status": "not_run", "draws": result.draws, "sentence": found.reason}
        rows.append(row)
    return SignificanceTable.frame(rows)


def sentences(pretest: pl.DataFrame, significance: pl.DataFrame) -> list[str]:
    """Say in plain words whether there was anything to find, and whether what was found is more than luck.

    Parameters
    ----------
    pretest, significance
        As `pretest_frame` and `significance_frame` return them.
    """
    asked, measured = pretest.row(0, named=True), significance.row(0, named=True)
    first = asked["sentence"]
    if asked["status"] == "not_run":
        first = f"Whether there is anything to find was not asked: {first}."
    second = measured["sentence"]
    if measured["status"] == "incomplete":
        second = f"How good such a search looks by luck alone is not known yet ({second})."
    if measured["status"] == "not_run":
        second = f"How good such a search looks by luck alone was not measured: {second}."
    return [first, second]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
