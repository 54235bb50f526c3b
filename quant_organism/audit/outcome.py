"""One world of an audit: what the organism did there, and what the audit itself measures of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from quant_organism.audit.organism import Organism, Submission
from quant_organism.audit.profile import AuditProfile
from quant_organism.audit.worlds import Market, World
from quant_organism.backtest import Evaluator
from quant_organism.errors import IntegrityError
from quant_organism.market import Panel, split
from quant_organism.strategies import Committee
from quant_organism.validation import GOALS, MeanTest, NotRun, Review, Standing, mean_return_test

_RESAMPLES = 999


@dataclass(frozen=True)
class GateOutcome:
    """One gate in one world, for the candidate that got furthest.

    Attributes
    ----------
    stage, gate, status, value, threshold
        As in its verdict; `value` None where there is none.
    goals
        Stages of life that it stands before.
    cpu_seconds
        What it took, shared evidence with the first gate that asked for it.
    """

    stage: str
    gate: str
    status: str
    value: float | None
    threshold: float | None
    goals: tuple[str, ...]
    cpu_seconds: float

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What tells it from other gates: its name, and what it stands before."""
        return self.name, self.goals

    @property
    def name(self) -> str:
        """What tables call it: a profile may ask for the same number twice, with two bounds."""
        return f"{self.stage} {self.gate}" + ("" if self.threshold is None else f" {self.threshold:g}")


@dataclass(frozen=True)
class Outcome:
    """What came of one world. Figures that are undefined are None.

    Attributes
    ----------
    world, origin, strength, family, seed, oracle_sharpe
        Which world.
    candidates
        How many the search put forward.
    standing
        The highest stage of life that any of them reached.
    gates
        All judgements on the candidate that got furthest, in their order.
    pretest_p
        As the organism says.
    unseen_p
        One-sided p-value of that candidate's mean daily return on the days that its search had not seen, as the audit
        measures it, for every world, whatever the gates said.
    claimed_sharpe, in_sample_sharpe
        Its in-sample Sharpe ratio as the organism's gates say, and as the audit measures it.
    later_sharpe, later_trades
        On the days that no gate touched.
    families
        Share of its weight on each family, the largest first.
    right_share
        Share of its weight on families that fit the planted edge.
    drift
        As in `Market`.
    cpu_seconds
        By part; `audit` is the audit's own.
    """

    world: str
    origin: str
    strength: str
    family: str | None
    seed: int
    oracle_sharpe: float | None
    candidates: int
    standing: Standing
    gates: tuple[GateOutcome, ...]
    pretest_p: float | None
    unseen_p: float | None
    claimed_sharpe: float | None
    in_sample_sharpe: float | None
    later_sharpe: float | None
    later_trades: float | None
    families: dict[str, float]
    right_share: float | None
    drift: float | None
    cpu_seconds: dict[str, float]

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_DATACLASS)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `to_bytes` gave.

        Raises
        ------
        IntegrityError
            The file is damaged.
        """
        try:
            fields: dict[str, Any] = orjson.loads(path.read_bytes())
            gates = [GateOutcome(**{**gate, "goals": tuple(gate["goals"])}) for gate in fields["gates"]]
            return cls(**{**fields, "gates": tuple(gates)})
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"the outcome of a world cannot be read: {error}",
                where=str(path),
                remedy="delete it: the world is run again",
            ) from error

    def stopped_by(self, goal: str) -> GateOutcome | None:
        """Return the first gate that keeps it from a stage of life, None if none does."""
        return next((gate for gate in self.gates if goal in gate.goals and gate.status != "passed"), None)


def live_through(world: World, profile: AuditProfile, organism: Organism, folder: Path, real: Panel | None) -> Outcome:
    """Let the organism live through one cycle in a world, and measure what came of it.

    Parameters
    ----------
    world, real
        As `World.market` takes them.
    profile
        The frozen organism; the audit measures with the costs that it states.
    organism
        Who lives.
    folder
        For its draws.
    """
    began = time.process_time()
    market = world.market(profile.days, profile.later_days, real)
    drawn = time.process_time()
    submitted = organism(market.given, profile.with_ranking if world.ranked else profile, world.seed, folder)
    lived = time.process_time()
    best = _furthest(submitted)
    measured = _measured(best, market, profile) if best is not None else {}
    edge = world.edge
    committee = None if best is None else best.candidate.committee
    return Outcome(
        world=world.name,
        origin=world.origin,
        strength=world.strength,
        family=None if edge is None else edge.family,
        seed=world.seed,
        oracle_sharpe=None if edge is None else edge.oracle_sharpe,
        candidates=len(submitted.reviews),
        standing="fallen" if best is None else best.standing,
        gates=() if best is None else _gates(best),
        pretest_p=None if isinstance(submitted.pretest, NotRun) else submitted.pretest.p_value,
        unseen_p=measured.get("unseen_p"),
        claimed_sharpe=None if best is None else _claimed(best),
        in_sample_sharpe=measured.get("in_sample_sharpe"),
        later_sharpe=measured.get("later_sharpe"),
        later_trades=measured.get("later_trades"),
        families={} if committee is None else _families(committee),
        right_share=None if edge is None or committee is None else edge.right_share(committee),
        drift=_known(market.drift),
        cpu_seconds={**submitted.cpu_seconds, "audit": drawn - began + time.process_time() - lived},
    )


def _families(committee: Committee) -> dict[str, float]:
    weights: dict[str, float] = {}
    for member in committee.members:
        weights[member.genome.family] = weights.get(member.genome.family, 0.0) + member.weight
    total = sum(weights.values())
    return {family: weights[family] / total for family in sorted(weights, key=lambda name: (-weights[name], name))}


def _furthest(submitted: Submission) -> Review | None:
    ranks = ("fallen", *GOALS)
    return max(submitted.reviews, key=lambda review: ranks.index(review.standing), default=None)


def _gates(review: Review) -> tuple[GateOutcome, ...]:
    return tuple(
        GateOutcome(
            stage=judgement.verdict.stage,
            gate=judgement.verdict.gate,
            status=judgement.verdict.status,
            value=_known(judgement.verdict.value),
            threshold=_known(judgement.verdict.threshold),
            goals=judgement.goals,
            cpu_seconds=judgement.seconds,
        )
        for judgement in review.judgements
    )


def _claimed(review: Review) -> float | None:
    verdicts = [judgement.verdict for judgement in review.judgements]
    return next((_known(v.value) for v in verdicts if (v.stage, v.gate) == ("in_sample", "sharpe")), None)


def _measured(review: Review, market: Market, profile: AuditProfile) -> dict[str, float | None]:
    """Measure a candidate by the audit's own evaluator and costs, on all days of the world."""
    splits = split(market.bars, market.panel.interval)
    committee, evaluator = [review.candidate.committee], Evaluator(threads=1)
    seen = evaluator.evaluate_committees(
        committee, market.panel.window(0, splits.in_sample.stop), profile.costs, start=0, stop=splits.in_sample.stop
    )
    unseen = evaluator.evaluate_committees(
        committee, market.given, profile.costs, start=splits.unseen.start, stop=splits.unseen.stop
    )
    tested = mean_return_test(unseen.daily_returns[0], seed=0, draws=_RESAMPLES)
    found = {
        "in_sample_sharpe": _known(float(seen.metrics["sharpe"][0])),
        "unseen_p": tested.p_value if isinstance(tested, MeanTest) else None,
    }
    if market.panel.n_bars > market.bars:
        later = evaluator.evaluate_committees(committee, market.panel, profile.costs, start=market.bars)
        found |= {name: _known(float(later.metrics[metric][0])) for name, metric in _LATER.items()}
    return found


_LATER = {"later_sharpe": "sharpe", "later_trades": "trades"}


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
