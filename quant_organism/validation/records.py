"""Verdicts and returns at rest, as frames."""

import numpy as np
import orjson
import polars as pl

from quant_organism.validation.stages import ValidationResult

_VERDICT_SCHEMA = {
    "candidate": pl.Utf8,
    "origin": pl.Utf8,
    "stage": pl.Utf8,
    "gate": pl.Utf8,
    "status": pl.Utf8,
    "value": pl.Float64,
    "threshold": pl.Float64,
    "n_used": pl.Int64,
    "reason": pl.Utf8,
}
_SUMMARY_SCHEMA = {
    "candidate": pl.Utf8,
    "origin": pl.Utf8,
    "members": pl.Int64,
    "passed": pl.Boolean,
    "score": pl.Float64,
    "metrics": pl.Utf8,
}


def verdicts_frame(result: ValidationResult) -> pl.DataFrame:
    """Return one row per candidate and gate."""
    rows = [
        (
            review.candidate.id,
            review.candidate.origin,
            v.stage,
            v.gate,
            v.status,
            v.value,
            v.threshold,
            v.n_used,
            v.reason,
        )
        for review in result.reviews
        for v in review.verdicts
    ]
    return pl.DataFrame(rows, schema=_VERDICT_SCHEMA, orient="row")


def summary_frame(result: ValidationResult) -> pl.DataFrame:
    """Return one row per candidate: whether it passed, its score, and its metrics per span as JSON."""
    rows = [
        (
            review.candidate.id,
            review.candidate.origin,
            len(review.candidate.committee.members),
            review.passed,
            review.score,
            orjson.dumps(review.metrics, option=orjson.OPT_SORT_KEYS).decode(),
        )
        for review in result.reviews
    ]
    return pl.DataFrame(rows, schema=_SUMMARY_SCHEMA, orient="row")


def returns_frame(result: ValidationResult) -> pl.DataFrame:
    """Return one row per candidate and scored day: `candidate`, `day`, `net_return`."""
    count, days = len(result.reviews), len(result.days)
    return pl.DataFrame(
        {
            "candidate": np.repeat([review.candidate.id for review in result.reviews], days).tolist(),
            "day": np.tile(result.days, count),
            "net_return": result.daily_returns.ravel(),
        },
        schema={"candidate": pl.Utf8, "day": pl.Int64, "net_return": pl.Float64},
    ).with_columns(pl.col("day").cast(pl.Datetime("ms", "UTC")).dt.date())
