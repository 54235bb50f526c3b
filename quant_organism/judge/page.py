"""The page that a judgment is: one sentence, the verdicts it rests on, accounts, and what could not be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from quant_organism.backtest.account import AccountFigures, VirtualWindow
from quant_organism.judge.outside import CallableStrategy, Shakes
from quant_organism.judge.parameters import Parameters
from quant_organism.validation import NotRun, Verdict

Outcome = Literal["stands", "unproven", "falls"]
"""`stands`: all that decides was asked and passed; `unproven`: some of it could not be asked; `falls`: some of it
failed."""


@dataclass(frozen=True, eq=False)
class Survivor:
    """Code that stands.

    Attributes
    ----------
    strategy, parameters
        The search that put it forward, and its trial.
    content
        Its file as it was judged.
    window
        What it holds over all days of the court, those that its search did not see among them.
    shakes
        Annual Sharpe ratios on the seen days under each change, by the gate that asks.
    """

    strategy: CallableStrategy
    parameters: Parameters
    content: bytes
    window: VirtualWindow
    shakes: Mapping[str, Shakes | NotRun] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class JudgedPage:
    """What is said of one strategy made elsewhere.

    Parameters
    ----------
    name, kind
        Of the strategy, and what it was handed in as.
    outcome
        Whether it stands.
    sentence
        The answer for people.
    trials
        Trials that luck is reckoned with.
    overturned_at
        Least number of trials that would overturn the verdict; none: no number that anybody runs.
    verdicts
        What was asked, in order.
    decisive
        Names of the gates that decide.
    unsaid
        What cannot be said and why, by name.
    accounts
        What accounts of some sizes made of it on the days that it was judged on.
    facts
        Further figures by name.
    survivor
        The code that stands, and what it wants on all days of the court; none where it does not, or is no code.
    """

    name: str
    kind: str
    outcome: Outcome
    sentence: str
    trials: int
    overturned_at: int | None
    verdicts: tuple[Verdict, ...]
    decisive: tuple[str, ...]
    unsaid: Mapping[str, str] = field(default_factory=dict)
    accounts: tuple[AccountFigures, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    survivor: Survivor | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The page as plain values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "outcome": self.outcome,
            "sentence": self.sentence,
            "trials": self.trials,
            "overturned_at": self.overturned_at,
            "verdicts": [asdict(verdict) | {"decides": verdict.gate in self.decisive} for verdict in self.verdicts],
            "unsaid": dict(self.unsaid),
            "accounts": [asdict(account) for account in self.accounts],
            "facts": dict(self.facts),
        }


def outcome_of(verdicts: Sequence[Verdict], decisive: Sequence[str]) -> Outcome:
    """Return what some verdicts come to: one that fails decides, and what did not run never counts as passed.

    Parameters
    ----------
    verdicts
        All that were given.
    decisive
        Gates that each have to pass; one without a verdict did not run.
    """
    status = {verdict.gate: verdict.status for verdict in verdicts}
    if any(status.get(gate) == "failed" for gate in decisive):
        return "falls"
    return "stands" if all(status.get(gate) == "passed" for gate in decisive) else "unproven"


def why_not(verdicts: Sequence[Verdict], decisive: Sequence[str]) -> str:
    """Return the reasons of what failed, or else of what did not run, among the gates that decide; may be empty."""
    decides = [verdict for verdict in verdicts if verdict.gate in decisive]
    for status in ("failed", "not_run"):
        if reasons := [f"{verdict.gate}: {verdict.reason}" for verdict in decides if verdict.status == status]:
            return "; ".join(reasons)
    return ""
