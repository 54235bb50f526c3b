"""Verdicts, decisions, metrics and returns at rest, as frames."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

import orjson
import polars as pl

from quant_organism.errors import IntegrityError
from quant_organism.evolution import Candidate
from quant_organism.market import TIMESTAMP, has_unseen
from quant_organism.validation.case import Case, Grounds, SpanName
from quant_organism.validation.gauntlet import Judgement, Review, Standing
from quant_organism.validation.profile import Profile
from quant_organism.validation.tables import CandidateMetricTable, CandidateReturnTable, StandingTable, VerdictTable
from quant_organism.validation.verdict import Verdict


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
    return VerdictTable.frame(rows)


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
    return _judgements(frame)


@dataclass(frozen=True)
class ReviewedCandidate:
    """One candidate with all that was said of it, and what it has earned by that: what validation hands to deployment.

    Attributes
    ----------
    candidate
        The strategy, and how it was chosen.
    standing, why
        What it has earned, and why no more.
    score
        Sharpe ratio of its account on all unseen days, nan where they were not looked at; in sample, where there are
        no others.
    metrics
        Metrics by span; none where one is undefined.
    judgements
        In the order in which they were given.
    """

    candidate: Candidate
    standing: Standing
    why: str
    score: float
    metrics: Mapping[str, Mapping[str, float | None]]
    judgements: tuple[Judgement, ...]

    @property
    def evidence(self) -> tuple[Verdict, ...]:
        """Verdicts of the gates before the stage of life that it has earned; none where it has fallen."""
        return tuple(judgement.verdict for judgement in self.judgements if self.standing in judgement.goals)


def read_reviewed(
    candidates: Sequence[Candidate], standings: pl.DataFrame, verdicts: pl.DataFrame
) -> list[ReviewedCandidate]:
    """Return the candidates of a cycle as they were reviewed, in the order of their standings.

    Parameters
    ----------
    candidates
        All candidates of the cycle.
    standings, verdicts
        As `summary_frame` and `verdicts_frame` return them, after all gates.
    """
    by_id, judged = {candidate.id: candidate for candidate in candidates}, _judgements(verdicts)
    return [
        ReviewedCandidate(
            candidate=by_id[row[StandingTable.candidate]],
            standing=row[StandingTable.standing],
            why=row[StandingTable.why],
            score=row[StandingTable.score],
            metrics=orjson.loads(row[StandingTable.metrics]),
            judgements=tuple(judged.get(row[StandingTable.candidate], ())),
        )
        for row in standings.iter_rows(named=True)
    ]


def metrics_frame(grounds: Grounds) -> pl.DataFrame:
    """Return one row per candidate: its metrics in the spans in which it was looked at, as JSON."""
    rows = []
    for candidate in grounds.candidates:
        case, is_admitted = Case(candidate, grounds), candidate in grounds.admitted
        looked = is_admitted and case.promise == "holdout"
        spans: tuple[SpanName, ...] = get_args(SpanName) if looked else ("in_sample",)
        metrics = {span: case.metrics(span) for span in spans}
        score = case.account_metrics()["sharpe"] if is_admitted else math.nan
        text = orjson.dumps(metrics, option=orjson.OPT_SORT_KEYS).decode()
        rows.append((candidate.id, is_admitted, score, text))
    return CandidateMetricTable.frame(rows)


def looked_at(metrics: pl.DataFrame) -> list[str]:
    """Return the candidates that were looked at on the unseen days, by a frame made by `metrics_frame`."""
    return metrics.filter("looked_at")["candidate"].to_list()


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
    return StandingTable.frame(rows)


def returns_frame(grounds: Grounds) -> pl.DataFrame:
    """Return one row per candidate and day on which it was looked at, by `CandidateReturnTable`.

    The embargo is left out, and for those who were not looked at on the unseen days, these days.
    """
    unseen = (
        dict(zip([candidate.id for candidate in grounds.admitted], grounds.accounts, strict=True))
        if grounds.admitted and has_unseen(grounds.splits)
        else {}
    )
    parts = [CandidateReturnTable.empty()]
    for candidate in grounds.candidates:
        runs = [grounds.account_before(candidate), *(run for id, run in unseen.items() if id == candidate.id)]
        parts += [
            pl.DataFrame(
                {
                    CandidateReturnTable.candidate: candidate.id,
                    CandidateReturnTable.day: pl.Series(run.days).cast(TIMESTAMP).dt.date(),
                    CandidateReturnTable.net_return: run.daily_returns,
                    CandidateReturnTable.ideal_return: run.ideal_daily_returns,
                }
            )
            for run in runs
        ]
    return pl.concat(parts)


def _judgements(frame: pl.DataFrame) -> dict[str, list[Judgement]]:
    judged: dict[str, list[Judgement]] = {}
    for row in frame.iter_rows(named=True):
        verdict = Verdict(**{field.name: row[field.name] for field in fields(Verdict)})
        judged.setdefault(row[VerdictTable.candidate], []).append(
            Judgement(verdict, tuple(row[VerdictTable.needed_for]))
        )
    return judged
