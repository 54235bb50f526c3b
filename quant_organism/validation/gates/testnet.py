"""Gates on a rehearsal at a venue: orders, books, what sending costs in money and time, and all stages together."""

from __future__ import annotations

import math
from typing import ClassVar, Final

from pydantic import Field

from quant_organism.validation.case import Case
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.rehearsal import (
    MOST_GAP_USD,
    MOST_LATENCY_MS,
    MOST_SLIPPAGE_RATIO,
    VenueRehearsal,
    last_decisions,
)
from quant_organism.validation.replay_evidence import replay_of
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.triple import NO_VENUE, OVERALL, TESTNET_SCORE, Mode, TripleScore, triple_score
from quant_organism.validation.verdict import Stage, Status, Verdict


class _TestnetGate(Gate):
    @property
    def stage(self) -> Stage:
        """Testnet."""
        return "testnet"


class OrdersOnTestnet(_TestnetGate):
    """Orders stand at the venue as they were planned, and their fills in the books as they were made."""

    kind: ClassVar[str] = "testnet_orders"

    @property
    def threshold(self) -> float:
        """Every order."""
        return 1.0

    def judge(self, case: Case) -> Verdict:
        """Compare plans, venue and books; the first difference is named."""
        found = rehearsal_of(case)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        if not found.orders:
            return self.without(f"none of {found.plans} plans asked for an order")
        said = f"{found.orders - found.differing} of {found.orders} orders as planned and booked as filled"
        reason = f"{said}, {found.filled} filled, in {found.minutes:.0f} minutes on {found.network}"
        if found.differences:
            reason = f"{said}; {found.differences[0]}"
        status: Status = "failed" if found.differences else "passed"
        return Verdict(self.stage, self.name, status, found.equal_share, self.threshold, found.orders, reason)


class BooksOnTestnet(_TestnetGate):
    """Positions and cash of the books are the venue's after every plan.

    Parameters
    ----------
    at_most
        Largest difference in USD.
    """

    kind: ClassVar[str] = "testnet_books"

    at_most: float = Field(MOST_GAP_USD, ge=0, allow_inf_nan=False)

    @property
    def threshold(self) -> float:
        """The largest difference."""
        return self.at_most

    def judge(self, case: Case) -> Verdict:
        """Take the largest difference; the first is named."""
        found = rehearsal_of(case)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        named = f"; {found.gaps[0]}" if found.gaps else ""
        reason = f"books and venue differ by {found.gap_usd:.6f} USD at most after {found.plans} plans{named}"
        return self.at_most_threshold(found.gap_usd, found.plans, reason)


class SlippageOnTestnet(_TestnetGate):
    """Slippage paid over what the cost model states for the same fills.

    Parameters
    ----------
    at_most
        Largest ratio.
    """

    kind: ClassVar[str] = "testnet_slippage"

    at_most: float = Field(MOST_SLIPPAGE_RATIO, gt=0, allow_inf_nan=False)

    @property
    def threshold(self) -> float:
        """The largest ratio."""
        return self.at_most

    def judge(self, case: Case) -> Verdict:
        """Divide the two."""
        found = rehearsal_of(case)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        if math.isnan(found.slippage_ratio):
            return self.without("no order filled")
        reason = f"slippage of {found.paid_usd:.2f} USD, the model states {found.stated_usd:.2f}"
        return self.at_most_threshold(found.slippage_ratio, found.filled, reason)


class LatencyOnTestnet(_TestnetGate):
    """Mean time from sending an order to the venue's word on it.

    Parameters
    ----------
    at_most
        Largest mean in milliseconds.
    """

    kind: ClassVar[str] = "testnet_latency"

    at_most: float = Field(MOST_LATENCY_MS, gt=0, allow_inf_nan=False)

    @property
    def threshold(self) -> float:
        """The largest mean."""
        return self.at_most

    def judge(self, case: Case) -> Verdict:
        """Take the mean."""
        found = rehearsal_of(case)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        if not found.latencies_ms:
            return self.without("no order was sent")
        reason = f"{found.latency_ms:.0f} ms on average, {max(found.latencies_ms):.0f} ms at worst"
        return self.at_most_threshold(found.latency_ms, len(found.latencies_ms), reason)


class ScoreOnTestnet(_TestnetGate):
    """What the rehearsal comes to: how far slippage and latency keep their bounds, 0 where orders or books differ.

    Parameters
    ----------
    at_least
        Least score.
    """

    kind: ClassVar[str] = "testnet_score"

    at_least: float = Field(TESTNET_SCORE, gt=0, le=1)

    @property
    def threshold(self) -> float:
        """The least score."""
        return self.at_least

    def judge(self, case: Case) -> Verdict:
        """Take the score."""
        found = rehearsal_of(case)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        return self.at_least_threshold(found.score, found.orders)


class TripleValidation(_TestnetGate):
    """The weighted score of backtest, replay and testnet; a stage that did not run adds nothing.

    Parameters
    ----------
    mode
        How much is replayed.
    at_least
        Least score.
    """

    kind: ClassVar[str] = "triple_validation"

    mode: Mode = "fast"
    at_least: float = Field(OVERALL, gt=0, le=1)

    @property
    def threshold(self) -> float:
        """The least score."""
        return self.at_least

    def judge(self, case: Case) -> Verdict:
        """Weigh the stages."""
        if case.promise == "in_sample":
            return self.beside_the_point("its backtest is that of the unseen days, and there are none")
        score = triple_of(case, self.mode)
        status: Status = "passed" if score.overall >= self.at_least else "failed"
        ran = sum(not isinstance(stage, NotRun) for stage in score.stages.values())
        reason = f"{score.sentence}; at least {self.at_least:.3g} needed"
        return Verdict(self.stage, self.name, status, score.overall, self.threshold, ran, reason)


def rehearsal_of(case: Case) -> VenueRehearsal | NotRun:
    """Return the rehearsal of a candidate at the venue, made when it is first asked for; or why there is none."""

    def make() -> VenueRehearsal | NotRun:
        rehearses = case.grounds.rehearses
        if rehearses is None:
            return NO_VENUE
        decisions = last_decisions(case.account(), rehearses.closes)
        if not any(decisions):
            return NotRun("its account wanted nothing on the days that it promises by")
        return rehearses(decisions, case.grounds.costs)

    return case.once("rehearsal", make)


def triple_of(case: Case, mode: Mode) -> TripleScore:
    """Return a candidate's score over all three stages."""
    found = rehearsal_of(case)
    testnet = found if isinstance(found, NotRun) else found.score
    return triple_score(case.metrics("holdout"), replay_of(case, mode), testnet)


GATES: Final[tuple[type[Gate], ...]] = (
    OrdersOnTestnet,
    BooksOnTestnet,
    SlippageOnTestnet,
    LatencyOnTestnet,
    ScoreOnTestnet,
    TripleValidation,
)
