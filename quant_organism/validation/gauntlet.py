"""The gauntlet: every candidate through the gates of a profile, cheap ones first, and one decision for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from quant_organism.evolution import Candidate
from quant_organism.market import has_unseen
from quant_organism.validation.case import Case, Grounds
from quant_organism.validation.profile import GOALS, Goal, Profile
from quant_organism.validation.verdict import STAGES, UNSEEN, Stage, Verdict

Standing = Literal["fallen", "shadow", "paper"]
"""What a candidate has earned: nothing, a place in the shadow pool (unproven), or paper trading."""

BACKTEST: Final[tuple[Stage, ...]] = (
    "in_sample",
    "out_of_sample",
    "walk_forward",
    "holdout",
    "overfitting",
    "robustness",
)
"""Stages that the backtest alone can judge."""

REPLAY: Final[tuple[Stage, ...]] = ("replay",)
"""Stages that trade bar by bar what the backtest has traded."""

TESTNET: Final[tuple[Stage, ...]] = ("testnet",)
"""Stages that trade on a venue."""

DECISION: Final[tuple[Stage, ...]] = ("significance",)
"""Stages that put all evidence together."""

NOT_LOOKED_AT: Final = "not looked at: it fell before, at "

NOTHING_UNSEEN: Final = "the search saw all days, so there are none that it did not see"


@dataclass(frozen=True)
class Judgement:
    """A gate's verdict on a candidate, what it decides, and what it cost.

    Attributes
    ----------
    verdict
        What was found.
    goals
        Stages of life that the gate stands before; none where it only informs.
    seconds
        What it took, shared evidence with the first who asked for it; never stored with results.
    """

    verdict: Verdict
    goals: tuple[Goal, ...]
    seconds: float = 0.0


@dataclass(frozen=True)
class Review:
    """One candidate and all judgements on it, in the order in which they were given."""

    candidate: Candidate
    judgements: tuple[Judgement, ...]
    profile: Profile

    @property
    def standing(self) -> Standing:
        """The highest stage of life all of whose gates ran and passed."""
        reached: Standing = "fallen"
        for goal in GOALS:
            if self.passed(goal):
                reached = goal
        return reached

    def passed(self, goal: Goal) -> bool:
        """Tell whether every gate before a stage of life ran and passed; never where none stands there.

        A gate that has nothing to look at says nothing. Before paper that is too little: where the past leaves a gate
        without an answer, days to come have to give it.
        """
        wanted = len(getattr(self.profile, goal))
        found = [j.verdict.status for j in self.judgements if goal in j.goals]
        enough = {"passed", "not_applicable"} if goal == "shadow" else {"passed"}
        return wanted > 0 and len(found) == wanted and "passed" in found and set(found) <= enough

    def stopped(self, goal: Goal) -> Verdict | None:
        """Return the first verdict that keeps it from a stage of life, if one does."""
        return next((j.verdict for j in self.judgements if goal in j.goals and _closes(j.verdict)), None)

    @property
    def why(self) -> str:
        """Why it has earned no more, in a sentence."""
        if self.standing == "paper":
            return f"passed every gate of profile {self.profile.name}"
        if self.standing == "fallen":
            verdict = self.stopped("shadow")
            return f"fell at {_spelled(verdict)}" if verdict else "was not judged by every gate"
        if not self.profile.paper:
            return f"unproven: profile {self.profile.name} promotes nobody beyond the shadow pool"
        verdict = self.stopped("paper")
        if verdict is None and any("paper" in j.goals and not _passed(j.verdict) for j in self.judgements):
            return "unproven: there are no unseen days, so that only days to come can open paper"
        return (
            f"unproven: fell short of paper at {_spelled(verdict)}" if verdict else "unproven: not judged by every gate"
        )

    @property
    def open_goals(self) -> tuple[Goal, ...]:
        """Stages of life that no verdict has closed to it so far."""
        return _open(self.judgements, self.profile)


def run_gauntlet(
    grounds: Grounds,
    profile: Profile,
    *,
    stages: Collection[Stage] = STAGES,
    before: Mapping[str, Sequence[Judgement]] | None = None,
    every_gate: bool = False,
    sealed: str = "",
    clock: Callable[[], float] = time.perf_counter,
) -> list[Review]:
    """Judge all candidates, gate by gate.

    A candidate to which every stage of life is closed is not judged further: its remaining verdicts are `not_run` and
    say where it fell. As long as one is open it meets all gates, so that it is known what it lacks.

    Parameters
    ----------
    grounds
        What they are judged on; its candidates are judged.
    profile
        The gates.
    stages
        Only gates of these stages; the others are judged elsewhere.
    before
        Judgements of earlier stages, by the identity of the candidate.
    every_gate
        Judge by every gate, whoever has fallen.
    sealed
        Why nobody is put forward and the unseen days stay sealed; empty where they may be opened.
    clock
        Seconds, for the costs.

    Returns
    -------
    list of Review
        In the order of the candidates, with the judgements from before.
    """
    told = before or {}
    judged = [list(told.get(candidate.id, ())) for candidate in grounds.candidates]
    cases = [
        Case(candidate, grounds, [judgement.verdict for judgement in known])
        for candidate, known in zip(grounds.candidates, judged, strict=True)
    ]
    for gate in (gate for gate in profile.gates if gate.stage in stages):
        alive = [every_gate or bool(_open(known, profile)) for known in judged]
        if gate.stage in UNSEEN and not grounds.admitted and not sealed:
            grounds.admit([case.candidate for case, lives in zip(cases, alive, strict=True) if lives])
        for case, known, lives in zip(cases, judged, alive, strict=True):
            began = clock()
            if gate.stage in UNSEEN and sealed:
                verdict = gate.without(sealed)
            elif gate.stage in UNSEEN and not has_unseen(grounds.splits):
                verdict = gate.beside_the_point(NOTHING_UNSEEN)
            else:
                verdict = gate.judge(case) if lives else gate.without(_fell_at(known))
            case.verdicts.append(verdict)
            known.append(Judgement(verdict, profile.goals(gate), clock() - began if lives else 0.0))
    return [Review(case.candidate, tuple(known), profile) for case, known in zip(cases, judged, strict=True)]


def anybody_left(judged: Mapping[str, Sequence[Judgement]], profile: Profile) -> bool:
    """Tell whether any stage of life is still open to any candidate, by the judgements so far."""
    return any(_open(judgements, profile) for judgements in judged.values())


def _open(judgements: Sequence[Judgement], profile: Profile) -> tuple[Goal, ...]:
    closed = {goal for j in judgements if _closes(j.verdict) for goal in j.goals}
    return tuple(goal for goal in GOALS if getattr(profile, goal) and goal not in closed)


def _fell_at(judgements: Sequence[Judgement]) -> str:
    """Say which verdict closed the last stage of life that was open."""
    open_goals = set(GOALS)
    for judgement in judgements:
        if _closes(judgement.verdict) and open_goals.intersection(judgement.goals):
            open_goals -= set(judgement.goals)
            last = judgement.verdict
    return f"{NOT_LOOKED_AT}{last.gate.replace('_', ' ')} ({last.stage.replace('_', ' ')})"


def _closes(verdict: Verdict) -> bool:
    return verdict.status in ("failed", "not_run")


def _passed(verdict: Verdict) -> bool:
    return verdict.status == "passed"


def _spelled(verdict: Verdict) -> str:
    return f"{verdict.gate.replace('_', ' ')} ({verdict.stage.replace('_', ' ')}): {verdict.reason}"
