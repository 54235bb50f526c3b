"""The way of a decision: policy, risk guard, portfolio, governor; then the plan, the executor and the monitor.

The first four are steps of one kind: each sees the close and what the steps before it have left, and can only take
something away: a share of the equity, an entry, a part of everything. What it took and why stands in the ledger.
Exits pass every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from quant_organism.backtest.account import AccountBook, AccountClose, LegKey, MarketWeather, Restraint
from quant_organism.errors import InputError
from quant_organism.strategies.handwritten.sizing import Entry
from quant_organism.trading.entries import EntryCase
from quant_organism.trading.records import LedgerBreaker, LedgerReading, Mode, StepVerdict, TradeDecision
from quant_organism.trading.risk_limits import RiskLimits

STEPS = ("policy", "risk guard", "portfolio", "governor")
"""The steps before the plan, in their order."""

Pair = tuple[str, str]
"""Strategy and symbol."""

_CEILINGS = RiskLimits()


@dataclass(frozen=True)
class CloseStanding:
    """What every step sees of a close; nobody changes it.

    Parameters
    ----------
    session, mode
        Which run.
    close
        Prices, virtual units and shares of the strategies as they are without any step.
    account
        Before it plans: positions, marks of the close before, risk.
    decisions
        Of the strategies that trade, in the order of strategy, symbol and kind.
    interval_ms
        Length of a bar.
    virtual_returns
        Of each strategy what its virtual book has returned in the bar that closes here.
    cases
        Entries of condition documents, by the identity of the decision.
    held
        Legs that are in a trade since before this close.
    received_ms
        When the last bar came, by the venue's clock; the close where bars are read.
    weather
        Of each strategy that of its market, as it is at this close.
    foreseen_losses
        Of each strategy what a bad day would cost by its own models, over its virtual equity.
    """

    session: int
    mode: Mode
    close: AccountClose
    account: AccountBook
    decisions: Sequence[TradeDecision]
    interval_ms: int
    virtual_returns: Mapping[str, float] = field(default_factory=dict)
    cases: Mapping[str, EntryCase] = field(default_factory=dict)
    held: Sequence[LegKey] = ()
    received_ms: int = 0
    weather: Mapping[str, MarketWeather] = field(default_factory=dict)
    foreseen_losses: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Allowance:
    """What the steps have left so far.

    Parameters
    ----------
    shares
        Of each strategy its share of the equity.
    restraint
        What is held against all targets: factors of long and short ones, and how far positions may grow.
    barred
        Pairs of strategy and symbol whose position must not grow at this close.
    refused
        Decisions that a step did not let pass, each with the reason.
    verdicts
        What was said, in the order of the steps.
    breakers
        Breakers that have changed their state at this close.
    entries
        Confidence and size of the entries that were judged as their documents say, by the identity of the decision.
    readings
        What the guard read.
    risk_mode
        Of the policy in force; empty without one.
    limits
        Bounds that the account and the steps after it keep.
    """

    shares: Mapping[str, float]
    restraint: Restraint = field(default_factory=Restraint)
    barred: Set[Pair] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    verdicts: tuple[StepVerdict, ...] = ()
    breakers: tuple[LedgerBreaker, ...] = ()
    entries: Mapping[str, Entry] = field(default_factory=dict)
    readings: tuple[LedgerReading, ...] = ()
    risk_mode: str = ""
    limits: RiskLimits = _CEILINGS


class PipelineStep(Protocol):
    """A step: the same close and the same memory give the same verdicts in every mode; it asks no clock."""

    @property
    def name(self) -> str:
        """One of `STEPS`."""
        ...

    def judge(self, standing: CloseStanding, left: Allowance) -> Allowance:
        """Return what is left after it: no share, restraint or right to enter is larger than before.

        Parameters
        ----------
        standing
            The close.
        left
            What the steps before have left; its verdicts are kept and added to.
        """
        ...

    def state(self) -> Mapping[str, Any]:
        """Return what it remembers from close to close, as values of JSON; empty where it remembers nothing."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned; nothing is in a state that was empty."""
        ...


@dataclass(frozen=True)
class Passage:
    """A step that lets everything pass: what stands where no policy, guard, portfolio or governor is set."""

    name: str

    def judge(self, standing: CloseStanding, left: Allowance) -> Allowance:
        """Return what was left."""
        return left

    def state(self) -> Mapping[str, Any]:
        """Return nothing."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""


class Pipeline:
    """The four steps before the plan.

    Parameters
    ----------
    steps
        In the order of `STEPS`; those left out let everything pass, as for one strategy that has the account alone.

    Raises
    ------
    InputError
        A step of another name, or out of order.
    """

    def __init__(self, steps: Sequence[PipelineStep] = ()) -> None:
        places = [STEPS.index(step.name) if step.name in STEPS else -1 for step in steps]
        if -1 in places or places != sorted(set(places)):
            raise InputError(
                f"steps are {', '.join(step.name for step in steps)}",
                where="pipeline",
                remedy=f"give each at most once, in the order {', '.join(STEPS)}",
            )
        given = {step.name: step for step in steps}
        self.steps: tuple[PipelineStep, ...] = tuple(given.get(name, Passage(name)) for name in STEPS)

    def judge(self, standing: CloseStanding) -> Allowance:
        """Return what all steps leave of a close.

        Raises
        ------
        InputError
            A step has given more than there was before it.
        """
        left = Allowance(dict(standing.close.shares), standing.close.restraint)
        for step in self.steps:
            before, left = left, step.judge(standing, left)
            _check_shrunk(step.name, before, left)
        return left

    def state(self) -> dict[str, Mapping[str, Any]]:
        """Return what each step remembers, as values of JSON."""
        return {step.name: step.state() for step in self.steps}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up what `state` returned."""
        for step in self.steps:
            step.restore(state[step.name])


def refuse(left: Allowance, decision: TradeDecision, verdict: StepVerdict) -> Allowance:
    """Return an allowance in which a decision's position must not grow, with the verdict that says why."""
    return replace(
        left,
        barred=left.barred | {(decision.strategy, decision.symbol)},
        refused={**left.refused, decision.decision_id: verdict.reason},
        verdicts=(*left.verdicts, verdict),
    )


def _check_shrunk(name: str, before: Allowance, after: Allowance) -> None:
    grown = sorted(
        strategy for strategy, share in after.shares.items() if not 0.0 <= share <= before.shares.get(strategy, 0.0)
    )
    lost = before.shares.keys() - after.shares.keys()
    opened = before.barred - after.barred
    held = all(0.0 <= new <= old for new, old in zip(after.restraint, before.restraint, strict=True))
    kept = after.limits is before.limits or after.limits.is_within(before.limits)
    if grown or lost or opened or not held or not kept:
        raise InputError(
            f"the step gave back what another had taken: shares of {', '.join(grown) or 'none'} grew, "
            f"{', '.join(sorted(lost)) or 'none'} left out, {len(opened)} entries opened, {after.restraint}, "
            f"limits {'kept' if kept else 'loosened'}",
            where=f"pipeline, {name}",
            remedy="a step takes away or leaves; it never gives",
        )
