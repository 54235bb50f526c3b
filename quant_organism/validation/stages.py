"""Judge candidates stage by stage: in-sample, out-of-sample, walk-forward, and the luck of both unseen spans."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import CommitteeEvaluation, Costs, Evaluator
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.code_version import code_version
from quant_organism.market.panel import Panel
from quant_organism.validation.holdout import HoldoutRegister, Opening
from quant_organism.validation.old_gates import ValidationProfile, luck, window_consistency
from quant_organism.validation.splits import Span, Splits
from quant_organism.validation.verdict import Stage, Verdict, at_least, at_most


@dataclass(frozen=True)
class Review:
    """One candidate, its verdicts in the order of the stages, and its metrics in each span."""

    candidate: Candidate
    verdicts: tuple[Verdict, ...]
    metrics: dict[Stage, dict[str, float]]

    @property
    def passed(self) -> bool:
        """True if every gate ran and passed."""
        return all(verdict.status == "passed" for verdict in self.verdicts)

    @property
    def score(self) -> float:
        """Annual net Sharpe ratio over the unseen spans: what survivors are ranked by."""
        return self.metrics["holdout"]["sharpe"]


@dataclass(frozen=True)
class ValidationResult:
    """Reviews of all candidates and their daily returns over the scored spans.

    Attributes
    ----------
    reviews
        One per candidate, in the order they were put forward.
    days
        int64 (D,): UTC days in milliseconds, in-sample ones first, then the unseen ones; the embargo is left out.
    daily_returns
        float64 (C, D), net.
    opening
        The look at the unseen days; None when there was nobody to judge.
    """

    reviews: tuple[Review, ...]
    days: NDArray[np.int64]
    daily_returns: NDArray[np.float64]
    opening: Opening | None

    @property
    def survivors(self) -> list[Review]:
        """Those that passed every gate, best score first; ties by identity."""
        return sorted((r for r in self.reviews if r.passed), key=lambda r: (-r.score, r.candidate.id))


def validate(
    candidates: Sequence[Candidate],
    panel: Panel,
    splits: Splits,
    profile: ValidationProfile,
    costs: Costs,
    evaluator: Evaluator,
    register: HoldoutRegister,
    *,
    reason: str,
) -> ValidationResult:
    """Judge candidates on spans of a panel that their search has and has not seen.

    The unseen spans are opened once, for all candidates together, after the register has it on record.

    Parameters
    ----------
    candidates
        May be empty.
    panel, splits
        The whole panel of the cycle and its spans.
    profile
        Thresholds.
    costs, evaluator
        The same as the search's.
    register, reason
        Where the opening of the unseen spans is written down, and why they are opened.

    Raises
    ------
    IntegrityError, BusyError, StorageError
        The opening cannot be recorded; then the unseen spans stay sealed.
    """
    if not candidates:
        return ValidationResult((), np.empty(0, dtype=np.int64), np.empty((0, 0)), None)
    committees = [candidate.committee for candidate in candidates]

    def over(bars: Panel, span: Span) -> CommitteeEvaluation:
        return evaluator.evaluate_committees(committees, bars, costs, start=span.start, stop=span.stop)

    inside = over(panel.window(0, splits.in_sample.stop), splits.in_sample)
    identities = [candidate.id for candidate in candidates]
    measured_with = f"{costs.hash} {code_version()}"
    opening = register.open(panel, splits.unseen, identities, measured_with=measured_with, reason=reason)
    whole = register.unseal(panel, opening)
    spans: dict[Stage, CommitteeEvaluation] = {
        "in_sample": inside,
        "out_of_sample": over(whole, splits.out_of_sample),
        "walk_forward": over(whole, splits.walk_forward),
        "holdout": over(whole, splits.unseen),
    }
    register.close(panel, opening, _result(candidates, spans["holdout"]))
    reviews = tuple(_review(i, candidate, spans, profile, opening) for i, candidate in enumerate(candidates))
    return ValidationResult(
        reviews,
        np.concatenate([spans["in_sample"].days, spans["holdout"].days]),
        np.concatenate([spans["in_sample"].daily_returns, spans["holdout"].daily_returns], axis=1),
        opening,
    )


def _result(candidates: Sequence[Candidate], holdout: CommitteeEvaluation) -> bytes:
    """Return what a look showed, whatever the order of the candidates."""
    rows = sorted(
        (candidate.id.encode(), returns.tobytes())
        for candidate, returns in zip(candidates, holdout.daily_returns, strict=True)
    )
    return b"".join(part for row in rows for part in row)


def _review(
    row: int,
    candidate: Candidate,
    spans: dict[Stage, CommitteeEvaluation],
    profile: ValidationProfile,
    opening: Opening,
) -> Review:
    metrics: dict[Stage, dict[str, float]] = {
        stage: {name: float(values[row]) for name, values in span.metrics.items()} for stage, span in spans.items()
    }
    inside, outside, forward = metrics["in_sample"], metrics["out_of_sample"], metrics["walk_forward"]

    def days(stage: Stage) -> int:
        return len(spans[stage].days)

    verdicts = (
        at_least("in_sample", "sharpe", inside["sharpe"], profile.in_sample_sharpe, days("in_sample")),
        at_least("in_sample", "trades", inside["trades"], profile.in_sample_trades, int(inside["trades"])),
        at_most("in_sample", "max_drawdown", inside["max_drawdown"], profile.max_drawdown, days("in_sample")),
        at_least("out_of_sample", "sharpe", outside["sharpe"], profile.out_of_sample_sharpe, days("out_of_sample")),
        at_least("out_of_sample", "trades", outside["trades"], profile.out_of_sample_trades, int(outside["trades"])),
        at_most("out_of_sample", "max_drawdown", outside["max_drawdown"], profile.max_drawdown, days("out_of_sample")),
        at_least("walk_forward", "sharpe", forward["sharpe"], profile.walk_forward_sharpe, days("walk_forward")),
        at_most("walk_forward", "max_drawdown", forward["max_drawdown"], profile.max_drawdown, days("walk_forward")),
        window_consistency(
            "walk_forward", spans["walk_forward"].bar_returns[row], profile.windows, profile.positive_windows
        ),
        luck(spans["holdout"].daily_returns[row], opening, profile.luck),
    )
    return Review(candidate, verdicts, metrics)
