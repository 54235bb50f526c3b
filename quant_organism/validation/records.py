"""Verdicts, decisions, metrics and returns at rest, as frames."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, get_args

import orjson
import polars as pl

from quant_organism.errors import IntegrityError
from quant_organism.validation.case import Grounds, SpanName
from quant_organism.validation.gauntlet import Judgement, Review
from quant_organism.validation.profile import Profile
from quant_organism.validation.verdict import Verdict

_Schema = dict[str, type[pl.DataType] | pl.DataType]

VERDICT_SCHEMA: Final[_Schema] = {
    "candidate": pl.Utf8,
    "origin": pl.Utf8,
    "profile": pl.Utf8,
    "profile_hash": pl.Utf8,
    "stage": pl.Utf8,
    "gate": pl.Utf8,
    "needed_for": pl.List(pl.Utf8),
    "status": pl.Utf8,
    "value": pl.Float64,
    "threshold": pl.Float64,
    "n_used": pl.Int64,
    "reason": pl.Utf8,
}
"""One row per candidate and gate; `needed_for` names the stages of life that the gate stands before, none if it only
informs."""

METRIC_SCHEMA: Final[_Schema] = {
    "candidate": pl.Utf8,
    "looked_at": pl.Boolean,
    "score": pl.Float64,
    "metrics": pl.Utf8,
}
"""One row per candidate: whether it was looked at on the unseen days, its Sharpe ratio there, metrics by span."""

SUMMARY_SCHEMA: Final[_Schema] = {
    "candidate": pl.Utf8,
    "origin": pl.Utf8,
    "members": pl.Int64,
    "standing": pl.Utf8,
    "passed": pl.Boolean,
    "score": pl.Float64,
    "why": pl.Utf8,
    "metrics": pl.Utf8,
}
"""One row per candidate: what it has earned, and in a sentence why not more."""

_RETURNS_SCHEMA: Final[_Schema] = {"candidate": pl.Utf8, "day": pl.Int64, "net_return": pl.Float64}


def verdicts_frame(reviews: Sequence[Review], profile: Profile) -> pl.DataFrame:
    """Return one row per candidate and gate, in the order in which they were judged."""
    rows = [
        (
            review.candidate.id,
            review.candidate.origin,
            profile.name,
            profile.hash,
            judgement.verdict.stage,
            judgement.verdict.gate,
            list(judgement.goals),
            judgement.verdict.status,
            judgement.verdict.value,
            judgement.verdict.threshold,
            judgement.verdict.n_used,
            judgement.verdict.reason,
        )
        for review in reviews
        for judgement in review.judgements
    ]
    return pl.DataFrame(rows, schema=VERDICT_SCHEMA, orient="row")


def read_judgements(frame: pl.DataFrame, profile: Profile) -> dict[str, list[Judgement]]:
    """Return the judgements of a frame made by `verdicts_frame`, by candidate.

    Raises
    ------
    IntegrityError
        They were made by another profile.
    """
    other = frame.filter(pl.col("profile_hash") != profile.hash)
    if other.height:
        raise IntegrityError(
            f"judged by profile {other['profile'][0]} {other['profile_hash'][0][:8]}, "
            f"but the gates now are {profile.name} {profile.hash[:8]}",
            where="verdicts",
            remedy="materialise backtest_validation and what follows again",
        )
    found: dict[str, list[Judgement]] = {}
    for row in frame.iter_rows(named=True):
        verdict = Verdict(**{field.name: row[field.name] for field in fields(Verdict)})
        found.setdefault(row["candidate"], []).append(Judgement(verdict, tuple(row["needed_for"])))
    return found


def metrics_frame(grounds: Grounds) -> pl.DataFrame:
    """Return one row per candidate: its metrics in the spans in which it was looked at, as JSON."""
    admitted = [candidate.id for candidate in grounds.admitted]
    rows = []
    for row, candidate in enumerate(grounds.candidates):
        metrics = {"in_sample": _metrics(grounds, "in_sample", row)}
        if candidate.id in admitted:
            place = admitted.index(candidate.id)
            metrics |= {span: _metrics(grounds, span, place) for span in get_args(SpanName) if span != "in_sample"}
        score = metrics["holdout"]["sharpe"] if "holdout" in metrics else math.nan
        text = orjson.dumps(metrics, option=orjson.OPT_SORT_KEYS).decode()
        rows.append((candidate.id, candidate.id in admitted, score, text))
    return pl.DataFrame(rows, schema=METRIC_SCHEMA, orient="row")


def summary_frame(reviews: Sequence[Review], metrics: pl.DataFrame) -> pl.DataFrame:
    """Return one row per candidate: what it has earned and why not more, its score and its metrics.

    Parameters
    ----------
    reviews
        After all gates.
    metrics
        As `metrics_frame` returns them.
    """
    known: Mapping[str, dict[str, Any]] = {row["candidate"]: row for row in metrics.iter_rows(named=True)}
    rows = [
        (
            review.candidate.id,
            review.candidate.origin,
            len(review.candidate.committee.members),
            review.standing,
            review.standing != "fallen",
            known[review.candidate.id]["score"],
            review.why,
            known[review.candidate.id]["metrics"],
        )
        for review in reviews
    ]
    return pl.DataFrame(rows, schema=SUMMARY_SCHEMA, orient="row")


def returns_frame(grounds: Grounds) -> pl.DataFrame:
    """Return one row per candidate and day on which it was looked at: `candidate`, `day`, `net_return`.

    The embargo is left out, and for those who were not looked at on the unseen days, these days.
    """
    spans = [grounds.measured("in_sample")] if grounds.candidates else []
    spans += [grounds.measured("holdout")] if grounds.admitted else []
    parts = [
        pl.DataFrame(
            {"candidate": committee.id, "day": span.days, "net_return": span.daily_returns[row]}, schema=_RETURNS_SCHEMA
        )
        for span in spans
        for row, committee in enumerate(span.committees)
    ]
    order = {candidate.id: place for place, candidate in enumerate(grounds.candidates)}
    frame = pl.concat(parts) if parts else pl.DataFrame(schema=_RETURNS_SCHEMA)
    ranked = frame.sort(pl.col("candidate").replace_strict(order, return_dtype=pl.Int64), "day")
    return ranked.with_columns(pl.col("day").cast(pl.Datetime("ms", "UTC")).dt.date())


def _metrics(grounds: Grounds, span: SpanName, row: int) -> dict[str, float]:
    return {name: float(values[row]) for name, values in grounds.measured(span).metrics.items()}
