"""Gates on what was computed once, computed another way: bar by bar, and by vectorbt."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from quant_organism.backtest.account.second_opinion import TOLERANCE, recompute_with_vectorbt
from quant_organism.validation.case import Case
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.replay_evidence import decisions_of, replay_of
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.triple import CONSISTENCY, REPLAY_SHARPE, Mode
from quant_organism.validation.verdict import Stage, Status, Verdict


class LookAhead(Gate):
    """No decision of any member, at any bar of the sample, changes when later bars come.

    Each is made again bar by bar from the bars before it, on the days of the search and on the unseen ones, and is
    compared with the two backtests that judged: the one that ended with the days of the search, and the one of all.
    """

    kind: ClassVar[str] = "look_ahead"

    @property
    def stage(self) -> Stage:
        """Replay."""
        return "replay"

    @property
    def threshold(self) -> float:
        """Not a single decision."""
        return 0.0

    def judge(self, case: Case) -> Verdict:
        """Count the decisions that differ; the first is named."""
        found = decisions_of(case)
        compared, differing = sum(each.compared for each in found), sum(each.differing for each in found)
        if not differing:
            reason = f"{compared:,} decisions of {len(found)} members stay as they are when later bars come"
        else:
            first = next(each.difference for each in found if each.difference)
            reason = f"{differing:,} of {compared:,} decisions change when later bars come; the first: {first}"
        return self.at_most_threshold(float(differing), compared, reason)


class _ReplayGate(Gate):
    mode: Mode = "fast"

    @property
    def stage(self) -> Stage:
        """Replay."""
        return "replay"


class TradeParity(_ReplayGate):
    """Trades and account's orders of a replay bar by bar are the backtest's: where one differs, something looked ahead.

    Parameters
    ----------
    mode
        How much is replayed.
    """

    kind: ClassVar[str] = "trade_parity"

    @property
    def threshold(self) -> float:
        """Every replay."""
        return 1.0

    def judge(self, case: Case) -> Verdict:
        """Compare hashes; a difference is named."""
        found = replay_of(case, self.mode)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        equal, compared = found.equal + found.orders_equal, found.compared + len(found.periods)
        trades = f"trades equal the backtest's in {found.equal} of {found.compared} replays"
        orders = f"orders of its account in {found.orders_equal} of {len(found.periods)} periods"
        reason = f"{trades}, hash {found.trade_hash[:16]}; {orders}, hash {found.order_hash[:16]}"
        if found.difference:
            reason = f"{trades}, {orders}; {found.difference}"
        status: Status = "passed" if found.is_equal else "failed"
        return Verdict(self.stage, self.name, status, equal / compared, self.threshold, sum(found.trades), reason)


class ReplaySharpe(_ReplayGate):
    """The mean Sharpe ratio of the account in the replayed periods.

    Parameters
    ----------
    mode
        How much is replayed.
    at_least
        Least mean.
    """

    kind: ClassVar[str] = "replay_sharpe"

    at_least: float = Field(REPLAY_SHARPE, allow_inf_nan=False)

    @property
    def threshold(self) -> float:
        """The least mean."""
        return self.at_least

    def judge(self, case: Case) -> Verdict:
        """Take the mean."""
        found = replay_of(case, self.mode)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        return self.at_least_threshold(found.mean_sharpe, len(found.periods))


class ReplayConsistency(_ReplayGate):
    """The share of the replayed periods that ended with a gain of the account.

    Parameters
    ----------
    mode
        How much is replayed.
    at_least
        Least share.
    """

    kind: ClassVar[str] = "replay_consistency"

    at_least: float = Field(CONSISTENCY, ge=0, le=1)

    @property
    def threshold(self) -> float:
        """The least share."""
        return self.at_least

    def judge(self, case: Case) -> Verdict:
        """Count the periods."""
        found = replay_of(case, self.mode)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        return self.at_least_threshold(found.consistency, len(found.periods))


class SecondOpinionOnBooks(Gate):
    """vectorbt, given the account's own fills of the unseen days, comes to the same equity at every close.

    Of the in-sample days where there are no others.
    """

    kind: ClassVar[str] = "second_opinion"

    @property
    def stage(self) -> Stage:
        """Replay: the last before anything is traded, as it takes seconds."""
        return "replay"

    @property
    def threshold(self) -> float:
        """The largest difference of equity, as a share of the capital, that is rounding."""
        return TOLERANCE

    def judge(self, case: Case) -> Verdict:
        """Book the fills once more; the first difference is named."""
        if why := case.why_idle(case.promise):
            return self.fails(why)
        run = case.account()
        fills = len(run.path.fills)
        if not fills:
            return self.without("nothing was traded")
        opinion = recompute_with_vectorbt(run)
        said = f"vectorbt books {fills:,} fills of {run.path.equity[0] / 1e6:,.0f} USD"
        reason = f"{said} to the same equity" if opinion.agrees else f"{said} otherwise: {opinion.first_difference}"
        status: Status = "passed" if opinion.agrees else "failed"
        return Verdict(self.stage, self.name, status, opinion.equity_difference, self.threshold, fills, reason)


GATES: Final[tuple[type[Gate], ...]] = (
    LookAhead,
    TradeParity,
    ReplaySharpe,
    ReplayConsistency,
    SecondOpinionOnBooks,
)
