"""The test before the search and the significance of the search at rest, as frames."""

import math
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from quant_organism.evolution.candidates import Evidence
from quant_organism.validation.case import PValue
from quant_organism.validation.permutation import SearchSignificance
from quant_organism.validation.pretest import LEVEL, PretestResult
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.simulated_p import SimulatedP

_Schema = dict[str, type[pl.DataType] | pl.DataType]

PRETEST_SCHEMA: Final[_Schema] = {
    "status": pl.Utf8,
    "p_value": pl.Float64,
    "pooled_p": pl.Float64,
    "per_asset_p": pl.Float64,
    "level": pl.Float64,
    "percentile": pl.Float64,
    "draws": pl.Int64,
    "genomes": pl.Int64,
    "best_family": pl.Utf8,
    "top_sharpe": pl.Float64,
    "sentence": pl.Utf8,
}

SIGNIFICANCE_SCHEMA: Final[_Schema] = {
    "statistic": pl.Utf8,
    "status": pl.Utf8,
    "sharpe": pl.Float64,
    "luck_sharpe": pl.Float64,
    "p_value": pl.Float64,
    "exceedances": pl.Int64,
    "draws": pl.Int64,
    "null": pl.Utf8,
    "left_out": pl.List(pl.Utf8),
    "sentence": pl.Utf8,
}


def pretest_frame(result: PretestResult | NotRun) -> pl.DataFrame:
    """Return one row: `passed` if there may be something to find, `failed` if not, `not_run` with the reason."""
    if isinstance(result, NotRun):
        return pl.DataFrame([{"status": "not_run", "level": LEVEL, "sentence": result.reason}], schema=PRETEST_SCHEMA)
    row = {name: getattr(result, name) for name in PRETEST_SCHEMA if hasattr(result, name)}
    status = "passed" if result.found else "failed"
    return pl.DataFrame([row | {"status": status, "level": LEVEL}], schema=PRETEST_SCHEMA)


def read_evidence(frame: pl.DataFrame) -> Evidence | None:
    """Return what the final choice of a search wants to know of `pretest_frame`; None where the test did not run."""
    row = frame.row(0, named=True)
    return None if row["status"] == "not_run" else Evidence(row["pooled_p"], row["per_asset_p"])


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
    """Return one row per statistic, the committee first: `measured`, or `not_run` with the reason."""
    if isinstance(result, NotRun):
        unknown = {"statistic": "committee", "status": "not_run", "sentence": result.reason}
        return pl.DataFrame([unknown], schema=SIGNIFICANCE_SCHEMA)
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
            row |= {"status": "measured", "p_value": found.p_value, "draws": found.draws}
            row |= {"exceedances": found.exceedances, "sentence": result.sentence}
        else:
            row |= {"status": "not_run", "draws": result.draws, "sentence": found.reason}
        rows.append(row)
    return pl.DataFrame(rows, schema=SIGNIFICANCE_SCHEMA)


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
    if measured["status"] == "not_run":
        second = f"How good such a search looks by luck alone was not measured: {second}."
    return [first, second]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
