"""The gauntlet: every candidate through the gates of a profile, cheap ones first, and one decision for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from quant_organism.evolution.candidates import Candidate
from quant_organism.validation.case import Case, Grounds
from quant_organism.validation.profile import GOALS, Goal, Profile
from quant_organism.validation.verdict import STAGES, UNSEEN, Stage, Verdict

Standing = Literal["fallen", "shadow", "paper"]
"""What a candidate has earned: nothing, a place in the shadow pool (unproven), or paper trading."""

NOT_LOOKED_AT: Final = "not looked at: it fell before, at "


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
        """Tell whether every gate before a stage of life ran and passed; never where none stands there."""
        wanted = len(getattr(self.profile, goal))
        found = [j.verdict.status for j in self.judgements if goal in j.goals]
        return wanted > 0 and len(found) == wanted and set(found) == {"passed"}

    def stopped(self, goal: Goal) -> Verdict | None:
        """Return the first verdict that keeps it from a stage of life, if one does."""
        return next((j.verdict for j in self.judgements if goal in j.goals and j.verdict.status != "passed"), None)

    @property
    def open_goals(self) -> tuple[Goal, ...]:
        """Stages of life that no verdict has closed to it so far."""
        return tuple(g for g in GOALS if getattr(self.profile, g) and self.stopped(g) is None)


def run_gauntlet(
    grounds: Grounds,
    profile: Profile,
    *,
    stages: Collection[Stage] = STAGES,
    before: Mapping[str, Sequence[Judgement]] | None = None,
    every_gate: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Review]:
    """Judge all candidates, gate by gate.

    A candidate to which every stage of life is closed is not judged further: its remaining verdicts are `not_run` and
    say where it fell. One that may still enter the shadow pool meets all gates, so that it is known what it lacks.

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
    clock
        Seconds, for the costs.

    Returns
    -------
    list of Review
        In the order of the candidates, with the judgements from before.
    """
    told = before or {}
    cases = [
        Case(candidate, grounds, [judgement.verdict for judgement in told.get(candidate.id, ())])
        for candidate in grounds.candidates
    ]
    judged = {candidate.id: list(told.get(candidate.id, ())) for candidate in grounds.candidates}

    def review(case: Case) -> Review:
        return Review(case.candidate, tuple(judged[case.candidate.id]), profile)

    for gate in (gate for gate in profile.gates if gate.stage in stages):
        alive = [case for case in cases if every_gate or review(case).open_goals]
        if gate.stage in UNSEEN and not grounds.admitted:
            grounds.admit([case.candidate for case in alive])
        for case in cases:
            if case in alive:
                began = clock()
                verdict = gate.judge(case)
                seconds = clock() - began
            else:
                verdict, seconds = gate.without(_fell_at(review(case))), 0.0
            case.verdicts.append(verdict)
            judged[case.candidate.id].append(Judgement(verdict, profile.goals(gate), seconds))
    return [review(case) for case in cases]


def _fell_at(review: Review) -> str:
    verdict = review.stopped("paper") or review.stopped("shadow")
    return f"{NOT_LOOKED_AT}{verdict.gate.replace('_', ' ') if verdict else 'an earlier gate'}"
