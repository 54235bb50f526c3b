"""From reviewed candidates to documents at birth, and the returns by which they are compared with the pool."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.deploy import Earned
from quant_organism.deployment.executed import ExecutedStrategy
from quant_organism.deployment.live_evidence import credited_wealth
from quant_organism.deployment.moves import Kind, source_of
from quant_organism.deployment.records import Provenance, StageEvidence
from quant_organism.market import Panel, Splits
from quant_organism.strategies import Committee
from quant_organism.validation import ReviewedCandidate, Stage, Verdict
from quant_organism.validation.profile import Goal

_SHOWN: Final = ("sharpe", "total_return", "max_drawdown", "trades", "win_rate", "turnover_per_year")

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


def earned(reviewed: Iterable[ReviewedCandidate]) -> dict[str, Earned]:
    """Return how far each survivor may go, and what speaks for it, by identity."""
    return {review.candidate.id: _earned(review) for review in survivors(reviewed)}


def _earned(review: ReviewedCandidate) -> Earned:
    verdicts = {(judgement.verdict.stage, judgement.verdict.gate): judgement.verdict for judgement in review.judgements}
    numbers: dict[Kind, float] = {}
    counts: dict[Kind, int] = {}
    for kind, place in _P_VALUES.items():
        verdict = verdicts.get(place)
        if verdict is not None and verdict.status != "not_run":
            numbers[kind], counts[kind] = verdict.value, verdict.n_used
    for kind, stages, goal in _SHARES:
        own = [j.verdict for j in review.judgements if goal in j.goals and j.verdict.stage in stages]
        if own:
            numbers[kind], counts[kind] = sum(v.status == "passed" for v in own) / len(own), len(own)
    if "search_p" in numbers and "unseen_p" in numbers:
        numbers["starting_wealth"], credit = credited_wealth(numbers["search_p"], numbers["unseen_p"])
        numbers["old_days"] = float(credit == "full")
    numbers["fresh_days"] = 0
    rows = orjson.dumps([[*place, str(v.value), v.status, v.n_used] for place, v in sorted(verdicts.items())])
    return Earned(review.standing == "paper", review.why, numbers, source_of(rows), counts)


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
    ]
    joined = np.concatenate(spans, axis=1)
    return {committee.id: returns for committee, returns in zip(committees, joined, strict=True)}
