"""A verdict: one measured number against one threshold, and a sentence that says why."""

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

Status = Literal["passed", "failed", "not_run", "not_applicable"]

Stage = Literal[
    "in_sample",
    "out_of_sample",
    "walk_forward",
    "holdout",
    "overfitting",
    "robustness",
    "replay",
    "testnet",
    "significance",
]
"""What is looked at, in the order in which it is: cheap before dear, the decision last."""

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

UNSEEN: Final[frozenset[Stage]] = frozenset({"out_of_sample", "walk_forward", "holdout"})
"""Stages that read bars which the search has not seen: they have to be opened first."""


@dataclass(frozen=True)
class Verdict:
    """What a gate found.

    Attributes
    ----------
    stage, gate
        What was looked at, and for what.
    status
        `not_run` never counts as passed. `not_applicable`, where there is nothing that the gate could look at: it
        speaks neither for nor against.
    value, threshold
        The measured number (nan when there is none) and its bound.
    n_used
        Trades, days, windows or draws that the number rests on.
    reason
        One sentence for people.
    """

    stage: Stage
    gate: str
    status: Status
    value: float
    threshold: float
    n_used: int
    reason: str


def at_least(
    stage: Stage,
    gate: str,
    value: float,
    threshold: float,
    n_used: int,
    reason: str | None = None,
    *,
    of: str = "",
) -> Verdict:
    """Pass a value that reaches the threshold; without a reason one is made from the numbers, and what they are of."""
    return _compare(stage, gate, value, threshold, n_used, value >= threshold, reason, "at least", of)


def at_most(
    stage: Stage,
    gate: str,
    value: float,
    threshold: float,
    n_used: int,
    reason: str | None = None,
    *,
    of: str = "",
) -> Verdict:
    """Pass a value that does not exceed the threshold; otherwise as `at_least`."""
    return _compare(stage, gate, value, threshold, n_used, value <= threshold, reason, "at most", of)


def not_run(stage: Stage, gate: str, threshold: float, reason: str, n_used: int = 0) -> Verdict:
    """Say that a gate could not be computed, and why."""
    return Verdict(stage, gate, "not_run", math.nan, threshold, n_used, reason)


def not_applicable(stage: Stage, gate: str, threshold: float, reason: str) -> Verdict:
    """Say that there is nothing that a gate could look at, and why."""
    return Verdict(stage, gate, "not_applicable", math.nan, threshold, 0, reason)


def _compare(
    stage: Stage,
    gate: str,
    value: float,
    threshold: float,
    n_used: int,
    good: bool,
    reason: str | None,
    bound: str,
    of: str,
) -> Verdict:
    label = gate.replace("_", " ")
    if math.isnan(value):
        return not_run(stage, gate, threshold, f"{label} is undefined: nothing was traded", n_used)
    said = reason or f"{label} {_figure(value)}{of}, {bound} {_figure(threshold)} needed"
    return Verdict(stage, gate, "passed" if good else "failed", value, threshold, n_used, said)


def _figure(value: float) -> str:
    # Counts are written out.
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.3g}"
