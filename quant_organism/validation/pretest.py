"""Is there anything to find? Random strategies on the market and on copies of it in which nothing can be found.

The question comes before any search: if a few random strategies of each family do no better here than where nothing is
to be found, a search would find its own luck. On each copy they are drawn afresh, from the priors of that copy and by
the same random numbers, and turned away where they hardly trade or cost too much there: the market and its copies are
treated alike, so the p-value is exact.

Two statistics look at different things. The best family's ensemble (the mean of all its strategies, none chosen) sees
an edge that assets share. The mean Sharpe ratio of the best hundredth of all units, a unit being a strategy on all
assets or on one of them, sees an edge that sits on one asset only. Each is counted in standard deviations of what it
is on the copies, and the larger of the two decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluation, Evaluator
from quant_organism.evolution import EdgeEvidence, GenomeSource
from quant_organism.kernels.closure import code_identity
from quant_organism.market import MIN_DAYS, Panel
from quant_organism.strategies import Genome, get_family
from quant_organism.validation.draws import Statistics, in_order
from quant_organism.validation.nulls import draw_copies
from quant_organism.validation.statistics.evidence import NotRun, require, too_few
from quant_organism.validation.statistics.p_values import simulated_p_value

Floats = NDArray[np.float64]

LEVEL: Final = 0.1
"""Largest p-value that leaves it open whether there is something to find."""

TOP_SHARE: Final = 0.01
DAYS_PER_YEAR: Final = 365

_ENSEMBLE, _TOP = "ensemble ", "top units"
_STREAM: Final = 1
"""Keeps the random numbers of this test apart from those of a search with the same seed."""


@dataclass(frozen=True)
class PretestResult:
    """What random strategies say about a market.

    Attributes
    ----------
    p_value
        Of the larger of the two statistics; smallest possible 1 / (1 + draws).
    pooled_p, per_asset_p
        Of each alone: the best family's ensemble on all assets, and the best units, most of them on one asset.
    percentile
        Share of the copies on which the statistic was lower.
    draws, undefined
        Copies that were looked at, and those of them on which the statistic was undefined; they count as lower.
    genomes
        Random strategies on the market and on every copy.
    best_family
        The family whose ensemble stands out most.
    ensemble_sharpe
        Annual Sharpe ratio of each family's ensemble on the market itself, nan where it did not trade enough.
    top_sharpe
        Mean annual Sharpe ratio of the best units on the market itself.
    """

    p_value: float
    pooled_p: float
    per_asset_p: float
    percentile: float
    draws: int
    undefined: int
    genomes: int
    best_family: str
    ensemble_sharpe: Mapping[str, float]
    top_sharpe: float

    @property
    def found(self) -> bool:
        """Whether there may be something to find."""
        return self.p_value <= LEVEL

    @property
    def evidence(self) -> EdgeEvidence:
        """What the final choice of a search wants to know."""
        return EdgeEvidence(pooled_p=self.pooled_p, per_asset_p=self.per_asset_p)

    @property
    def sentence(self) -> str:
        """The answer for people."""
        against = (
            f"p = {self.p_value:.3g}: {self.genomes} random strategies did better here than on "
            f"{self.percentile:.0%} of {self.draws} copies of this market in which nothing can be found"
        )
        if self.found:
            where = (
                "on all assets together"
                if self.pooled_p <= self.per_asset_p
                else "on single assets rather than on all together"
            )
            return f"There may be something to find ({against}), most of all by {self.best_family}, {where}."
        return f"Nothing to find in this window at this size ({against})."


@dataclass(frozen=True)
class RandomStrategies:
    """The random strategies of the test, and how they are measured; makes the statistics of a draw.

    Parameters
    ----------
    panel
        The in-sample span only.
    families
        Rule families in whose turn the strategies are drawn.
    costs, threads
        What trading costs, and the threads of the evaluator.
    genomes
        How many strategies.
    min_trades
        Closed trades below which a strategy, or its sleeve on one asset, is not judged.
    seed
        Of the strategies and of the copies.
    """

    panel: Panel
    families: tuple[str, ...]
    costs: Costs
    threads: int
    genomes: int
    min_trades: int
    seed: int

    def population(self, panel: Panel) -> list[Genome]:
        """Return the strategies that are drawn for the market itself or for a copy, from the same random numbers."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(_STREAM,)))
        turns = [self.families[place % len(self.families)] for place in range(self.genomes)]
        return GenomeSource(panel, self.costs, Evaluator(threads=self.threads)).draw(turns, rng)[0]

    def __call__(self, draw: int) -> Statistics:
        """Return the statistics on the market itself (draw 0) or on a copy."""
        panel, ranked = self.panel, None
        if draw:
            seed = np.random.SeedSequence(self.seed, spawn_key=(_STREAM, draw))
            charged = self.costs.charge_funding
            panel, ranked = draw_copies(panel, "mean_preserving", seed, self.families, charge_funding=charged)
        evaluator = Evaluator(threads=self.threads, ranked_on=ranked)
        return statistics(evaluator.evaluate(self.population(panel), panel, self.costs), self.min_trades)

    @property
    def identity(self) -> dict[str, str]:
        """All that a draw is a function of."""
        return {
            "panel": self.panel.hash,
            "families": ",".join(self.families),
            "costs": self.costs.hash,
            "genomes": str(self.genomes),
            "min_trades": str(self.min_trades),
            "seed": str(self.seed),
            "code": code_identity(__name__),
        }


def rule_families(families: Sequence[str]) -> tuple[str, ...]:
    """Return the families that fit no model, whose strategies cost little to evaluate on many copies of a market."""
    return tuple(name for name in families if not get_family(name).model_genes)


def pretest(
    strategies: RandomStrategies,
    *,
    draws: int = 39,
    make: Callable[[int], Statistics] | None = None,
    processes: int | None = 1,
    executor: str = "threads",
    progress: Callable[[int, int], None] | None = None,
) -> PretestResult | NotRun:
    """Ask whether there is anything to find.

    Parameters
    ----------
    strategies
        What is measured, and on what.
    draws
        Copies of the market B; 19 at least to reach 0.05.
    make
        Makes draws in place of `strategies`, such as one that remembers them.
    processes, executor
        Draws made at once, and where, as `in_order` takes them; the answer depends on neither.
    progress
        Told how many of the 1 + B draws are made.

    Returns
    -------
    PretestResult or NotRun
        Not run on less than 90 days, without a family, or where nothing traded.

    Raises
    ------
    InputError
        There is no draw, or no strategy.
    """
    require(draws >= 1, f"{draws} draws are none", "99 are usual")
    require(
        strategies.genomes >= 1, f"{strategies.genomes} random strategies are none", "four of each family are usual"
    )
    if (unfit := unfit_for_nulls(strategies.panel, strategies.families)) is not None:
        return unfit
    # The market itself comes first and alone: where kernels have to be compiled, that happens once.
    made, table = make or strategies, []
    others = in_order(made, range(1, draws + 1), processes, executor)
    for number, found in chain(in_order(made, [0], 1), others):
        table.append(found)
        if progress is not None:
            progress(number + 1, draws + 1)
    return compared(table, strategies.genomes)


def unfit_for_nulls(panel: Panel, families: Sequence[str]) -> NotRun | None:
    """Return why a market cannot be compared with its null panels, else None."""
    days = int(panel.n_bars / panel.interval.bars_per_day)
    if (few := too_few(MIN_DAYS, days, "days")) is not None:
        return few
    return None if families else NotRun("no rule family takes part: fitted ones are not run on copies of the market")


def statistics(evaluation: Evaluation, min_trades: int) -> Statistics:
    """Return the statistics of one panel: the Sharpe ratio of each family's ensemble, and that of the best units.

    Members of an ensemble are weighted by inverse volatility of their daily returns.

    Parameters
    ----------
    evaluation
        Of the random strategies.
    min_trades
        Closed trades below which a unit does not count.
    """
    found = {}
    enough = evaluation.metrics["trades"] >= min_trades
    family = np.array([genome.family for genome in evaluation.genomes])
    for name in sorted(set(family.tolist())):
        found[_ENSEMBLE + name] = _ensemble_sharpe(evaluation.daily_returns[enough & (family == name)])
    sharpe, trades = [evaluation.metrics["sharpe"]], [evaluation.metrics["trades"]]
    if len(evaluation.symbols) > 1:
        sharpe += list(evaluation.asset_metrics["sharpe"].T)
        trades += list(evaluation.asset_metrics["trades"].T)
    units = np.concatenate(sharpe)
    judged = np.sort(units[(np.concatenate(trades) >= min_trades) & np.isfinite(units)])
    best = judged[-math.ceil(TOP_SHARE * len(units)) :]
    return found | {_TOP: float(best.mean()) if len(best) else math.nan}


def _ensemble_sharpe(returns: Floats) -> float:
    deviations = returns.std(axis=1, ddof=1)
    moving = deviations > 0.0
    if not moving.any():
        return math.nan
    weights = 1.0 / deviations[moving]
    mean = weights @ returns[moving] / weights.sum()
    deviation = mean.std(ddof=1)
    return float(mean.mean() / deviation * math.sqrt(DAYS_PER_YEAR)) if deviation > 0.0 else math.nan


def compared(table: Sequence[Statistics], genomes: int) -> PretestResult | NotRun:
    """Compare the market with its copies.

    The market itself is among those that a value is standardised by: it then has no place of its own under the null,
    and the p-value is exact.

    Parameters
    ----------
    table
        Statistics of the market, then of each copy.
    genomes
        How many random strategies they rest on.
    """
    names = [name for name in table[0] if name.startswith(_ENSEMBLE)]
    by_family = _standardised(np.array([[found[name] for name in names] for found in table]))
    pooled = _standardised(_largest(by_family)[:, None])[:, 0]
    per_asset = _standardised(np.array([[found[_TOP]] for found in table]))[:, 0]
    combined = _largest(np.column_stack([pooled, per_asset]))
    overall = simulated_p_value(float(combined[0]), combined[1:].tolist())
    if isinstance(overall, NotRun):
        return NotRun("no random strategy traded enough to be judged")
    ones = [simulated_p_value(float(part[0]), part[1:].tolist()) for part in (pooled, per_asset)]
    pooled_p, per_asset_p = (1.0 if isinstance(one, NotRun) else one.p_value for one in ones)
    standing = np.where(np.isnan(by_family[0]), -np.inf, by_family[0])
    return PretestResult(
        p_value=overall.p_value,
        pooled_p=pooled_p,
        per_asset_p=per_asset_p,
        percentile=1.0 - overall.exceedances / overall.draws,
        draws=overall.draws,
        undefined=overall.undefined,
        genomes=genomes,
        best_family=names[int(np.argmax(standing))].removeprefix(_ENSEMBLE),
        ensemble_sharpe={name.removeprefix(_ENSEMBLE): table[0][name] for name in names},
        top_sharpe=table[0][_TOP],
    )


def _standardised(columns: Floats) -> Floats:
    """Return the distance from the mean of each column in standard deviations, nan where a value is undefined."""
    known = np.isfinite(columns)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, columns, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, columns - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.where(known, (columns - mean) / np.where(deviation > 0.0, deviation, 1.0), np.nan)


def _largest(columns: Floats) -> Floats:
    """Return the largest known value of each row, nan where none is known."""
    largest = np.where(np.isnan(columns), -np.inf, columns).max(axis=1)
    return np.where(np.isinf(largest), np.nan, largest)
