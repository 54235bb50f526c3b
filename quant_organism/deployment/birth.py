"""From reviewed candidates to documents at birth, and the returns by which they are compared with the pool."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.booking import read_rows
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.deploy import Earned
from quant_organism.deployment.executed import ExecutedStrategy
from quant_organism.deployment.live_evidence import Credit, credited_wealth
from quant_organism.deployment.moves import Kind, source_of
from quant_organism.deployment.records import Provenance, StageEvidence
from quant_organism.deployment.selection import NOBODY
from quant_organism.deployment.stages import DEPLOYED
from quant_organism.deployment.tables import BirthTable, EvidenceDayTable
from quant_organism.market import MS_PER_DAY, Lake, Panel, Splits, day_of
from quant_organism.strategies import Committee
from quant_organism.validation import CandidateReturnTable, ReviewedCandidate, Stage, Verdict
from quant_organism.validation.holdout import Opening
from quant_organism.validation.profile import Goal
from quant_organism.validation.verdict import UNSEEN

_SHOWN: Final = ("sharpe", "total_return", "max_drawdown", "trades", "win_rate", "turnover_per_year")

LEAST_PROMISE: Final = 0.1
"""Annual Sharpe ratio that a strategy is held to at least: unseen days of p <= .5 may have shown a little less."""

_P_VALUES: Final[Mapping[Kind, tuple[Stage, str]]] = {
    "pretest_p": ("significance", "pretest"),
    "search_p": ("significance", "search_luck"),
    "unseen_p": ("holdout", "holdout_mean"),
}
"""Gates whose number is a p-value that the table of moves asks for."""

_SHARES: Final[tuple[tuple[Kind, tuple[Stage, ...], Goal], ...]] = (
    ("gates", ("in_sample", "overfitting"), "shadow"),
    ("trade_parity", ("replay",), "paper"),
    ("perturbations", ("robustness",), "paper"),
)
"""Stages of which the share of passed gates is asked for, and the goal that these stand before."""


def born_documents(
    reviewed: Iterable[ReviewedCandidate],
    executed: Mapping[str, ExecutedStrategy],
    *,
    panel: Panel,
    provenance: Provenance,
    at: str,
) -> list[StrategyConfig]:
    """Write the documents of the candidates that have earned a place in the shadow pool or more, best fitness first.

    A document carries the evidence of the gates before the stage of life that its strategy has earned.

    Parameters
    ----------
    reviewed
        Candidates of the cycle; those that have fallen get no document.
    executed
        What accounts execute of the others, by identity.
    panel
        The cycle's panel: its symbols are the universe.
    provenance, at
        The cycle, and the moment of birth.
    """
    return [
        StrategyConfig.born(
            review.candidate.committee,
            universe=panel.symbols,
            interval=panel.interval.name,
            fitness=review.score,
            provenance=provenance,
            evidence=_evidence(review),
            account=executed[review.candidate.id].at_birth,
            at=at,
            reason=f"passed every gate before {review.standing} ({review.candidate.origin})",
        )
        for review in sorted(survivors(reviewed), key=lambda review: (-review.score, review.candidate.id))
    ]


def earned(
    reviewed: Iterable[ReviewedCandidate],
    opening_of: Callable[[str], Opening | None] = lambda id: None,
    nearest_dead: Mapping[str, float] | None = None,
) -> dict[str, Earned]:
    """Return how far each survivor may go, and what speaks for it, by identity.

    Parameters
    ----------
    reviewed
        Candidates of the cycle.
    opening_of
        Returns the look at a candidate's unseen days: what it buys is shared by all that were looked at in it.
    nearest_dead
        Largest correlation of each with a strategy that died lately.
    """
    near = nearest_dead or {}
    return {
        review.candidate.id: _earned(review, opening_of(review.candidate.id), near.get(review.candidate.id, NOBODY))
        for review in survivors(reviewed)
    }


def _earned(review: ReviewedCandidate, opening: Opening | None, nearest_dead: float) -> Earned:
    verdicts = {(judgement.verdict.stage, judgement.verdict.gate): judgement.verdict for judgement in review.judgements}
    numbers: dict[Kind, float] = {}
    counts: dict[Kind, int] = {}
    for kind, place in _P_VALUES.items():
        verdict = verdicts.get(place)
        if verdict is not None and verdict.status in ("passed", "failed"):
            numbers[kind], counts[kind] = verdict.value, verdict.n_used
    for kind, stages, goal in _SHARES:
        standing = (j.verdict for j in review.judgements if goal in j.goals and j.verdict.stage in stages)
        own = [verdict for verdict in standing if verdict.status != "not_applicable"]
        if own:
            numbers[kind], counts[kind] = sum(v.status == "passed" for v in own) / len(own), len(own)
    if "search_p" in numbers and ("unseen_p" in numbers or not _has_look(review)):
        numbers["starting_wealth"], credit = _bought(numbers, opening, nearest_dead)
        numbers["old_days"] = float(credit != "no old days")
    numbers["stage_days"] = 0
    rows = orjson.dumps([[*place, str(v.value), v.status, v.n_used] for place, v in sorted(verdicts.items())])
    return Earned(review.standing == "paper", review.why, numbers, source_of(rows), counts)


def _has_look(review: ReviewedCandidate) -> bool:
    """Tell whether there were days to look at that the search did not see."""
    return all(j.verdict.status != "not_applicable" for j in review.judgements if j.verdict.stage in UNSEEN)


def birth_rows(
    documents: Iterable[StrategyConfig],
    earned: Mapping[str, Earned],
    returns: pl.DataFrame,
    *,
    promised_from: date,
    first_day: date,
    search_copies: int,
    opening_of: Callable[[str], Opening | None] = lambda id: None,
    nearest_dead: Mapping[str, float] | None = None,
    from_first_trade: bool = False,
    kept: float = 1.0,
) -> list[dict[str, object]]:
    """Return the births of a cycle, by `BirthTable`: one row for each strategy that is watched from now on.

    Parameters
    ----------
    documents
        As the deployment step wrote them; who is not watched gets no row.
    earned
        What they had to show.
    returns
        Table `candidate_returns` of the cycle: what the accounts of the candidates earned by day.
    promised_from
        First day that the search did not see, or first of all where it saw all: what the account did from there on is
        the promise.
    first_day
        First day that judges them.
    search_copies
        Copies of the market that the whole search was repeated on.
    opening_of, nearest_dead
        As for `earned`.
    from_first_trade
        Leave out the days before an account's first return: one that begins with the in-sample days is flat until its
        risk is known.
    kept
        Share of the Sharpe ratio of these days that is promised; see `kept_share` where the search saw them.
    """
    rows: list[dict[str, object]] = []
    for document in (document for document in documents if document.stage in DEPLOYED):
        numbers = earned[document.id].numbers
        judged = returns.filter(
            pl.col(CandidateReturnTable.candidate) == document.id, pl.col(CandidateReturnTable.day) >= promised_from
        ).sort(CandidateReturnTable.day)
        if from_first_trade:
            judged = judged.filter((pl.col(CandidateReturnTable.net_return) != 0).cum_sum() > 0)
        own = judged[CandidateReturnTable.net_return].to_numpy()
        deviation = float(own.std(ddof=1))
        search_p = numbers.get("search_p", 1.0)
        wealth, credit = _bought(numbers, opening_of(document.id), (nearest_dead or {}).get(document.id, NOBODY))
        entry = {record.kind: record.value for record in document.history[1].records}
        rows.append(
            {
                BirthTable.id: document.id,
                BirthTable.cycle: document.provenance.cycle,
                BirthTable.first_day: first_day,
                BirthTable.panel_hash: document.provenance.panel_hash,
                BirthTable.spec_hash: document.provenance.spec_hash,
                BirthTable.pretest_p: numbers.get("pretest_p"),
                BirthTable.search_p: search_p,
                BirthTable.search_copies: search_copies,
                BirthTable.unseen_p: numbers.get("unseen_p"),
                BirthTable.starting_wealth: wealth,
                BirthTable.credit: credit,
                BirthTable.deviation: deviation,
                BirthTable.sharpe: max(LEAST_PROMISE, kept * (float(own.mean()) / deviation * math.sqrt(365.0))),
                BirthTable.trade_parity: numbers.get("trade_parity"),
                BirthTable.perturbations: numbers.get("perturbations"),
                BirthTable.near_living: entry["near_living"],
                BirthTable.judged_from: judged[0, CandidateReturnTable.day] if from_first_trade else promised_from,
            }
        )
    return rows


def kept_share(sharpe: float | None, luck_sharpe: float | None) -> float:
    """Return what share of a Sharpe ratio in sample is left when what its search shows by luck is taken off.

    Nothing is where copies of the market without an edge show as much. `make bench NAME=promise` tells what this does.

    Parameters
    ----------
    sharpe
        What the search shows; None where it is undefined.
    luck_sharpe
        What it shows on copies without an edge, their median; None where it was not repeated: all of it is kept.
    """
    if sharpe is None or luck_sharpe is None or luck_sharpe <= 0:
        return 1.0
    return max(0.0, 1.0 - luck_sharpe / sharpe) if sharpe > 0 else 0.0


def promised_sharpe(lake: Lake, document: StrategyConfig) -> float:
    """Return the annual Sharpe ratio that a document promises: what unseen days showed, or its birth's where none were.

    One that promises in sample and has no birth on record promises all that it showed there.
    """
    if not document.promises_in_sample:
        return document.fitness
    where = {"market": document.provenance.market, "interval": document.interval}
    births = read_rows(lake, BirthTable, **where).filter(pl.col(BirthTable.id) == document.id)
    return float(births[0, BirthTable.sharpe]) if births.height else document.fitness


def _bought(numbers: Mapping[Kind, float], opening: Opening | None, nearest_dead: float) -> tuple[float, Credit]:
    """Return what the look back bought; a search whose repetitions were not made counts as one without an edge."""
    return credited_wealth(
        numbers.get("search_p", 1.0),
        numbers.get("unseen_p"),
        nearest_dead=nearest_dead,
        extra_looks=opening.rerun if opening else 0,
        committees=opening.candidates if opening else 1,
    )


def survivors(reviewed: Iterable[ReviewedCandidate]) -> list[ReviewedCandidate]:
    """Return those that have earned a place in the shadow pool or more."""
    return [review for review in reviewed if review.standing != "fallen"]


def _evidence(review: ReviewedCandidate) -> dict[str, StageEvidence]:
    stages: dict[str, list[Verdict]] = {}
    for verdict in review.evidence:
        stages.setdefault(verdict.stage, []).append(verdict)
    return {
        stage: StageEvidence.of(verdicts, {name: review.metrics[stage][name] for name in _SHOWN})
        if stage in review.metrics
        else StageEvidence.of(verdicts, {})
        for stage, verdicts in stages.items()
    }


def scored_returns(
    committees: Sequence[Committee], panel: Panel, splits: Splits, costs: Costs, evaluator: Evaluator
) -> dict[str, NDArray[np.float64]]:
    """Return each committee's net daily returns over the in-sample and unseen spans, by identity, on common days."""
    if not committees:
        return {}
    spans = [
        evaluator.evaluate_committees(committees, panel, costs, start=span.start, stop=span.stop).daily_returns
        for span in (splits.in_sample, splits.unseen)
        if len(span)
    ]
    joined = np.concatenate(spans, axis=1)
    return {committee.id: returns for committee, returns in zip(committees, joined, strict=True)}


def pool_returns(
    lake: Lake,
    strategies: Mapping[str, Committee | StrategyConfig],
    panel: Panel,
    splits: Splits,
    costs: Costs,
    evaluator: Evaluator,
) -> dict[str, NDArray[np.float64]]:
    """Return net daily returns over the in-sample and unseen spans, by identity, on common days.

    No code that was made elsewhere is run for it: of that the account's days that judged it count, and those that were
    booked since; on any other it earned nothing.

    Parameters
    ----------
    lake
        Births and booked days.
    strategies
        Genomes, or documents, by identity.
    panel, splits, costs, evaluator
        As for `scored_returns`.
    """
    committees = {
        id: one if isinstance(one, Committee) else one.committee
        for id, one in strategies.items()
        if isinstance(one, Committee) or one.external is None
    }
    found = scored_returns(list(committees.values()), panel, splits, costs, evaluator)
    if len(committees) == len(strategies):
        return found
    spans = [span for span in (splits.in_sample, splits.unseen) if len(span)]
    numbers = np.concatenate([np.unique(panel.times[span.start : span.stop] // MS_PER_DAY) for span in spans])
    days = [day_of(int(number) * MS_PER_DAY) for number in numbers]
    for id, one in strategies.items():
        if id not in committees:
            assert isinstance(one, StrategyConfig)
            known = booked_returns(lake, one)
            found[id] = np.array([known.get(day, 0.0) for day in days])
    return found


def booked_returns(lake: Lake, document: StrategyConfig) -> dict[date, float]:
    """Return what a strategy earned by day as the lake has it: on the days that judged it, and on those since."""
    where = {"market": document.provenance.market, "interval": document.interval}
    births = read_rows(lake, BirthTable, **where).filter(pl.col(BirthTable.id) == document.id)
    found: dict[date, float] = {}
    for birth in births.head(1).iter_rows(named=True):
        judged = lake.table(CandidateReturnTable, cycle=birth[BirthTable.cycle])
        day = date.fromisoformat(document.provenance.date)
        if day in judged.days(**where):
            rows = judged.read_day(day, **where)
            own = rows.filter(pl.col(CandidateReturnTable.candidate) == document.id)
            found |= dict(zip(own[CandidateReturnTable.day], own[CandidateReturnTable.net_return], strict=True))
    marks = read_rows(lake, EvidenceDayTable, **where).filter(
        pl.col(EvidenceDayTable.id) == document.id, pl.col(EvidenceDayTable.net_return).is_not_null()
    )
    return found | dict(zip(marks["date"], marks[EvidenceDayTable.net_return], strict=True))
