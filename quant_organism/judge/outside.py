"""Strategies from outside as the court sees them: something that puts one strategy forward on any panel it is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import VirtualWindow, virtual_window
from quant_organism.deployment import external_hash
from quant_organism.evolution import DAYS_A_YEAR
from quant_organism.evolution.proposals import positions_digest
from quant_organism.judge.parameters import Parameters
from quant_organism.judge.positions import annual_sharpe, daily_returns, follow
from quant_organism.judge.sandbox import StrategyProcess, StrategySource
from quant_organism.judge.trade_rules import TradeRules
from quant_organism.market import Panel, Span
from quant_organism.strategies import Committee, Genome
from quant_organism.validation import NotRun, Shake, Subject
from quant_organism.validation.robustness.made_markets import noisy, price_noise
from quant_organism.validation.robustness.stress import (
    COST_FACTOR,
    LATE_BARS,
    asset_left_out,
    dearer,
    dearer_trading,
    late_execution,
    later_bars,
    later_start,
)

Floats = NDArray[np.float64]

Repetition = Callable[[Panel, Costs], float]
"""Repeats a search on a panel, and returns the Sharpe ratio of what it puts forward there."""

Shakes = Mapping[str, float]
"""Annual Sharpe ratio under each change, by what was changed."""

_GENOME = "genome"

NOISY_MARKETS = 10
"""Markets with disturbed closes that a callable is asked on again."""


@dataclass(frozen=True, eq=False)
class Attempts:
    """What a search tried on a panel.

    Attributes
    ----------
    parameters
        Of each trial, G.
    daily
        Net daily returns of the virtual book, float64 (G, D).
    turnover, trades, digests
        Of each: notional traded a year in equities, changes of position, digest of the units.
    """

    parameters: tuple[Parameters, ...]
    daily: Floats
    turnover: Floats
    trades: NDArray[np.int64]
    digests: tuple[int, ...]

    @property
    def sharpes(self) -> Floats:
        """Annual Sharpe ratios, float64 (G,)."""
        return np.array([annual_sharpe(row) for row in self.daily])

    @property
    def best(self) -> int:
        """The one that is put forward: the best Sharpe ratio, ties by order."""
        return int(np.argmax(self.sharpes))


@dataclass(frozen=True)
class CallableStrategy:
    """A callable or a freqtrade file, with the parameters that are tried on a panel; the best is put forward.

    Parameters
    ----------
    name
        What it is called.
    source
        Its file.
    trials
        Parameters to try; one of them: it is taken as it is.
    again
        Repeats its search, where what was tried hung on what came of it; none: all trials are tried on any panel.
    """

    name: str
    source: StrategySource
    trials: tuple[Parameters, ...]
    again: Repetition | None = None

    @property
    def kind(self) -> str:
        """What it was handed in as."""
        return self.source.form

    @cached_property
    def rules(self) -> TradeRules | None:
        """What the class of a freqtrade file declares about its exits; none of a callable."""
        if self.source.form == "callable":
            return None
        with StrategyProcess(self.source) as process:
            return TradeRules.of(process.declared, where=str(self.source.path))

    @property
    def identity(self) -> str:
        """SHA-256 of its source, its function and its trials."""
        told = json.dumps([dict(trial) for trial in self.trials], sort_keys=True)
        return _digest(self.source_hash, self.source.function, told)

    @property
    def source_hash(self) -> str:
        """SHA-256 of its file."""
        return hashlib.sha256(self.source.read()).hexdigest()

    @property
    def n_trials(self) -> int:
        """Trials on a panel."""
        return len(self.trials)

    def hash_of(self, parameters: Parameters) -> str:
        """Return the identity of one trial, whatever search it is of."""
        return external_hash(self.source_hash, self.source.function, parameters)

    def attempts(self, panel: Panel, costs: Costs) -> Attempts:
        """Try all trials on a panel."""
        daily, turnover, trades, digests = [], [], [], []
        with StrategyProcess(self.source) as process:
            process.show(panel)
            for trial in self.trials:
                window = self.window(process.answer(trial), panel, costs)
                daily.append(daily_returns(window, panel, 0, panel.n_bars))
                changes = np.diff(window.units, axis=0)
                turnover.append(_turnover(changes, panel))
                trades.append(int(np.count_nonzero(changes)))
                digests.append(positions_digest(window.units))
        return Attempts(
            self.trials, np.array(daily), np.array(turnover), np.array(trades, dtype=np.int64), tuple(digests)
        )

    def best_sharpe(self, panel: Panel, costs: Costs) -> float:
        """Return the best Sharpe ratio of its search on a panel."""
        if self.again is not None:
            return self.again(panel, costs)
        return float(self.attempts(panel, costs).sharpes.max())

    def window(self, answer: Floats, panel: Panel, costs: Costs) -> VirtualWindow:
        """Return what it holds over a panel, by its answer there, float64 (T, N)."""
        wanted = answer if self.rules is None else self.rules.trades(answer, panel, costs)
        return follow(wanted, panel, costs, strategy=self.name)

    def shaken(
        self, panel: Panel, answer: Floats, parameters: Parameters, costs: Costs, seed: int
    ) -> dict[str, Shakes | NotRun]:
        """Return what one trial earns on a panel under each change, by the gate that asks.

        Parameters
        ----------
        panel, answer
            The days that were seen, and its answer on them, float64 (T, N).
        parameters, costs, seed
            The trial, what trading costs, and the seed of the noise.
        """
        bars = panel.n_bars

        def earned(said: Floats, market: Panel = panel, charged: Costs = costs) -> float:
            return annual_sharpe(daily_returns(self.window(said, market, charged), market, 0, market.n_bars))

        late = np.concatenate([np.zeros((LATE_BARS, panel.n_assets)), answer[:-LATE_BARS]])
        found: dict[str, Shakes | NotRun] = {
            "dearer_trading": {f"costs x {COST_FACTOR:g}": earned(answer, charged=dearer(costs, COST_FACTOR))},
            "late_execution": {f"{LATE_BARS} bar late": earned(late)},
        }
        if panel.n_assets > 1:
            left = {}
            for asset, symbol in enumerate(panel.symbols):
                without = answer.copy()
                without[:, asset] = 0.0
                left[f"without {symbol}"] = earned(without)
            found["asset_left_out"] = left
        later, noise = {}, {}
        with StrategyProcess(self.source) as process:
            for shift in later_bars(panel.interval):
                cut = panel.window(shift, bars)
                process.show(cut)
                later[f"{shift * panel.interval.hours:g} h later"] = earned(process.answer(parameters), cut)
            for number in range(NOISY_MARKETS):
                market = noisy(panel, np.random.default_rng([seed, number]))
                process.show(market)
                noise[f"noise {number}"] = earned(process.answer(parameters), market)
        return found | {"later_start": later, "price_noise": noise}


@dataclass(frozen=True)
class DocumentStrategy:
    """Condition documents, trees or other genomes as they are; of several the best on a panel is put forward.

    Parameters
    ----------
    name
        What it is called.
    genomes
        Each once.
    kind
        What they were handed in as.
    again
        As of a `CallableStrategy`.
    """

    name: str
    genomes: tuple[Genome, ...]
    kind: str = "document"
    again: Repetition | None = None

    @property
    def identity(self) -> str:
        """SHA-256 of the genomes."""
        return _digest(*(genome.hash for genome in self.genomes))

    @property
    def n_trials(self) -> int:
        """Genomes that are measured on a panel."""
        return len(self.genomes)

    def hash_of(self, parameters: Parameters) -> str:
        """Return the hash of the genome that is meant."""
        return self.genome_of(parameters).hash

    def genome_of(self, parameters: Parameters) -> Genome:
        """Return the genome that is meant."""
        return next(genome for genome in self.genomes if genome.id == parameters[_GENOME])

    def attempts(self, panel: Panel, costs: Costs) -> Attempts:
        """Measure all of them on a panel."""
        found = Evaluator().evaluate(list(self.genomes), panel, costs)
        return Attempts(
            tuple({_GENOME: genome.id} for genome in self.genomes),
            found.daily_returns,
            found.metrics["turnover_per_year"],
            found.metrics["trades"].astype(np.int64),
            tuple(int(digest) for digest in found.behaviour),
        )

    def best_sharpe(self, panel: Panel, costs: Costs) -> float:
        """Return the best annual Sharpe ratio of its search on a panel."""
        if self.again is not None:
            return self.again(panel, costs)
        return float(self.attempts(panel, costs).sharpes.max())

    def window(self, parameters: Parameters, panel: Panel, costs: Costs, start: int, stop: int) -> VirtualWindow:
        """Return what a genome holds over rows `start` to `stop`; it enters them flat."""
        committee = Committee.of([self.genome_of(parameters)])
        return virtual_window({self.name: committee}, panel, costs, start=start, stop=stop)

    def shaken(self, parameters: Parameters, panel: Panel, costs: Costs, seed: int) -> dict[str, Shakes | NotRun]:
        """Return what a genome earns on a panel under each change, by the gate that asks."""
        committee = Committee.of([self.genome_of(parameters)])
        subject = Subject.of(committee, panel, Span("in_sample", 0, panel.n_bars), costs, Evaluator())
        made = {
            "dearer_trading": dearer_trading(subject),
            "late_execution": late_execution(subject),
            "asset_left_out": asset_left_out(subject),
            "later_start": later_start(subject),
            "price_noise": price_noise(subject, seed=seed, draws=NOISY_MARKETS),
        }
        return {gate: _by_name(shake) if isinstance(shake, Shake) else shake for gate, shake in made.items()}


def _by_name(shake: Shake) -> Shakes:
    return dict(zip(shake.changes, shake.sharpe.tolist(), strict=True))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _turnover(changes: Floats, panel: Panel) -> float:
    order = sorted(range(panel.n_assets), key=panel.symbols.__getitem__)
    return _a_year(float(np.nansum(np.abs(changes) * panel.close[:, order])), panel)


def _a_year(traded: float, panel: Panel) -> float:
    return traded / (panel.n_bars / panel.interval.bars_per_day) * DAYS_A_YEAR
