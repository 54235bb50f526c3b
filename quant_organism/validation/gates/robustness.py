"""Vetoes on how a strategy bears being shaken, in sample; none of them is significance."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, Final, Literal

from pydantic import Field

from quant_organism.validation.case import Case
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.robustness.breakdown import day_unions
from quant_organism.validation.robustness.examination import resampled_days
from quant_organism.validation.robustness.intervals import longer_bars
from quant_organism.validation.robustness.made_markets import NOISE, price_noise, resampled_bars
from quant_organism.validation.robustness.neighbourhood import NEIGHBOURS, STEP, neighbourhood
from quant_organism.validation.robustness.stress import (
    COST_FACTOR,
    LATE_BARS,
    SLIPPAGE_FACTOR,
    asset_left_out,
    dearer_trading,
    late_execution,
    later_start,
)
from quant_organism.validation.robustness.subject import REEVALUATIONS, ClosedTrades, Shake, Subject, closed_trades
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.monte_carlo import DRAWS, Bands, trade_skip
from quant_organism.validation.verdict import Verdict

_MOST_DRAWS = 100_000


class RobustnessGate(Gate):
    """A gate of this kind: what it needs of a case."""

    @property
    def stage(self) -> Literal["robustness"]:
        """Robustness."""
        return "robustness"

    def subject(self, case: Case) -> Subject:
        """Return the candidate on the in-sample span, as all of these gates see it."""
        grounds = case.grounds
        return case.once(
            "robustness subject",
            lambda: Subject.of(
                case.candidate.committee, grounds.panel, grounds.splits.in_sample, grounds.costs, grounds.evaluator
            ),
        )

    def trades(self, case: Case) -> ClosedTrades:
        """Return the candidate's closed trades."""
        return case.once("closed trades", lambda: closed_trades(self.subject(case)))


class ParameterNeighbourhood(RobustnessGate):
    """The median Sharpe ratio of strategies with slightly different genes, over the candidate's own.

    Parameters
    ----------
    at_least
        Least share of the candidate's Sharpe ratio that the median neighbour keeps.
    neighbours, step
        How many, and how far: standard deviation of a gene's step as a share of its range.
    """

    kind: ClassVar[str] = "parameter_neighbourhood"

    at_least: float = Field(0.5, ge=0, le=1)
    neighbours: int = Field(NEIGHBOURS, ge=1, le=1_000)
    step: float = Field(STEP, gt=0, le=1)

    @property
    def threshold(self) -> float:
        """The least share."""
        return self.at_least

    def judge(self, case: Case) -> Verdict:
        """Measure the neighbours."""
        shake = neighbourhood(self.subject(case), seed=case.grounds.seed, neighbours=self.neighbours, step=self.step)
        if isinstance(shake, NotRun):
            return self.without(shake.reason)
        median = float(shake.sharpe_quantiles[1])
        if shake.original <= 0:
            reason = f"the Sharpe ratio itself is {shake.original:.2f}: there is nothing for neighbours to keep"
            return Verdict(self.stage, self.name, "failed", math.nan, self.threshold, len(shake.sharpe), reason)
        kept = median / shake.original
        reason = (
            f"the median of {len(shake.sharpe)} neighbours keeps {100 * kept:.0f} % of the Sharpe ratio "
            f"({median:.2f} of {shake.original:.2f}), at least {100 * self.at_least:.0f} % needed"
        )
        return self.at_least_threshold(kept, len(shake.sharpe), reason)


class ShakeGate(RobustnessGate):
    """The lowest Sharpe ratio under some changes stays above a bound: its sign does not flip.

    Parameters
    ----------
    above
        The bound.
    """

    above: float = Field(0.0, allow_inf_nan=False)

    @property
    def threshold(self) -> float:
        """The bound."""
        return self.above

    @abstractmethod
    def shake(self, case: Case) -> Shake | NotRun:
        """Return what the candidate earns under the changes."""

    def judge(self, case: Case) -> Verdict:
        """Look at the worst change."""
        shake = self.shake(case)
        if isinstance(shake, NotRun):
            return self.without(shake.reason)
        change, worst = shake.worst
        what = f"draw {change}" if shake.seed is not None else change
        reason = (
            f"Sharpe ratio {worst:.2f} at worst ({what}, {shake.original:.2f} as it is), above {self.above:g} needed"
        )
        if shake.left_out:
            reason += f"; left out: {len(shake.left_out)} of the genomes"
        status: Literal["passed", "failed"] = "passed" if worst > self.above else "failed"
        return Verdict(self.stage, self.name, status, worst, self.threshold, len(shake.sharpe), reason)


class PriceNoise(ShakeGate):
    """Closes disturbed by a share of each asset's own volatility.

    Parameters
    ----------
    draws
        How many made markets.
    noise
        Standard deviation of the noise, in those of a bar's log return.
    """

    kind: ClassVar[str] = "price_noise"

    draws: int = Field(REEVALUATIONS, ge=1, le=1_000)
    noise: float = Field(NOISE, gt=0, le=10)

    def shake(self, case: Case) -> Shake | NotRun:
        """Measure it on the made markets."""
        return price_noise(self.subject(case), seed=case.grounds.seed, draws=self.draws, noise=self.noise)


class DearerTrading(ShakeGate):
    """All costs of fills times a factor, and slippage alone times another.

    Parameters
    ----------
    cost_factor, slippage_factor
        The factors.
    """

    kind: ClassVar[str] = "dearer_trading"

    cost_factor: float = Field(COST_FACTOR, ge=1, le=100)
    slippage_factor: float = Field(SLIPPAGE_FACTOR, ge=1, le=100)

    def shake(self, case: Case) -> Shake | NotRun:
        """Measure it at these costs."""
        return dearer_trading(self.subject(case), cost_factor=self.cost_factor, slippage_factor=self.slippage_factor)


class LateExecution(ShakeGate):
    """Orders that reach the market some bars late.

    Parameters
    ----------
    bars
        How many.
    """

    kind: ClassVar[str] = "late_execution"

    bars: int = Field(LATE_BARS, ge=1, le=1_000)

    def shake(self, case: Case) -> Shake | NotRun:
        """Measure it that late."""
        return late_execution(self.subject(case), bars=self.bars)


class LaterStart(ShakeGate):
    """A history and a trading that begin some hours later."""

    kind: ClassVar[str] = "later_start"

    def shake(self, case: Case) -> Shake | NotRun:
        """Measure it from these starts."""
        return later_start(self.subject(case))


class AssetLeftOut(ShakeGate):
    """Each asset left out by turns."""

    kind: ClassVar[str] = "asset_left_out"

    def shake(self, case: Case) -> Shake | NotRun:
        """Measure it without each of them."""
        return asset_left_out(self.subject(case))


class LongerBars(ShakeGate):
    """The same rules on bars that are two and four times as long."""

    kind: ClassVar[str] = "longer_bars"

    def shake(self, case: Case) -> Shake | NotRun:
        """Measure it on these bars."""
        return longer_bars(self.subject(case))


class LossGate(RobustnessGate):
    """The share of resampled histories in which nothing is earned.

    Parameters
    ----------
    at_most
        Largest share.
    """

    at_most: float = Field(0.05, ge=0, le=1)

    @property
    def threshold(self) -> float:
        """The largest share."""
        return self.at_most

    @abstractmethod
    def histories(self, case: Case) -> Bands | Shake | NotRun:
        """Return the resampled histories."""

    def judge(self, case: Case) -> Verdict:
        """Count the histories without a gain."""
        found = self.histories(case)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        if isinstance(found, Bands):
            share, count, quantiles = found.loss_probability, found.draws, found.sharpe
        else:
            share, count, quantiles = found.loss_probability, len(found.sharpe), found.sharpe_quantiles
        low, middle, high = quantiles
        reason = (
            f"nothing earned in {100 * share:.1f} % of {count}, at most {100 * self.at_most:.1f} % accepted; "
            f"Sharpe ratio {low:.2f}, {middle:.2f}, {high:.2f} at 5, 50, 95 %"
        )
        return self.at_most_threshold(share, count, reason)


class TradeSkip(LossGate):
    """A tenth of the closed trades left out at random: does the result hang on a few of them?

    Parameters
    ----------
    draws
        How often.
    """

    kind: ClassVar[str] = "trade_skip"

    draws: int = Field(DRAWS, ge=1, le=_MOST_DRAWS)

    def histories(self, case: Case) -> Bands | NotRun:
        """Leave trades out."""
        trades = self.trades(case)
        return trade_skip(trades.returns, years=trades.years, seed=case.grounds.seed, draws=self.draws)


class ResampledDays(LossGate):
    """Net daily returns resampled in blocks."""

    kind: ClassVar[str] = "resampled_days"

    def histories(self, case: Case) -> Bands | NotRun:
        """Resample the days."""
        return resampled_days(self.subject(case), self.trades(case), seed=case.grounds.seed)


class ResampledBars(LossGate):
    """The market's bars resampled in blocks, and the strategy measured on them again.

    Parameters
    ----------
    draws
        How many made markets.
    """

    kind: ClassVar[str] = "resampled_bars"

    draws: int = Field(REEVALUATIONS, ge=1, le=1_000)

    def histories(self, case: Case) -> Shake | NotRun:
        """Measure it on the made markets."""
        subject = self.subject(case)
        holding = self.trades(case).average_holding_hours / subject.panel.interval.hours
        return resampled_bars(subject, average_holding_bars=holding, seed=case.grounds.seed, draws=self.draws)


class DayUnions(LossGate):
    """Every choice of two tenths of the days, as combinatorial purged cross-validation tests them."""

    kind: ClassVar[str] = "day_unions"

    def histories(self, case: Case) -> Shake | NotRun:
        """Measure them."""
        return day_unions(self.subject(case))


GATES: Final[tuple[type[Gate], ...]] = (
    ParameterNeighbourhood,
    PriceNoise,
    DearerTrading,
    LateExecution,
    LaterStart,
    AssetLeftOut,
    LongerBars,
    TradeSkip,
    ResampledDays,
    ResampledBars,
    DayUnions,
)
"""All kinds of this file."""
