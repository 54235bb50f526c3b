"""Where new genomes come from: drawn by their priors, and turned away at once where nothing could come of them.

A genome that hardly trades cannot be judged, and one whose costs eat more than any edge pays need not be. Both show on
a short sample, the last days of those that are searched, at a fraction of an evaluation. What is turned away there is
a trial like any other: it is listed among the rejected genomes and counted in the trial ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from quant_organism.backtest import Costs, Evaluation, Evaluator, signal_bars
from quant_organism.market import Panel
from quant_organism.strategies import Flaw, Genome, GenomeSampler, get_family

SAMPLE_DAYS: Final = 100
"""Length of the short sample; without twice as many days nothing is turned away."""

LEAST_TRADES: Final = 0.5
"""Closed trades per asset and 30 days below which a genome hardly trades."""

MOST_DRAG: Final = 1.5
"""Annual Sharpe ratio that costs may take: turnover x cost of a side over volatility."""

REDRAWS: Final = 4
"""How often a seat is drawn again; then whoever loses least to costs has it."""

IDLE, EXPENSIVE = SCREENED = "hardly trades", "costs take too much"
"""Why genomes are turned away on the short sample, as the birth checks have kinds of their own."""

_CALIBRATED_ASSETS = 8
_DUPLICATES = 10


@dataclass(eq=False)
class Screened:
    """What was turned away on the short sample.

    Attributes
    ----------
    rejected
        Genomes, and why.
    evaluations
        Of the same genomes on the short sample.
    """

    rejected: list[tuple[Genome, Flaw]] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)

    def add(self, other: Screened) -> None:
        """Take what was turned away elsewhere."""
        self.rejected += other.rejected
        self.evaluations += other.evaluations


class GenomeSource:
    """Draws genomes for one panel. On another one, a copy without an edge among them, everything is done afresh.

    Parameters
    ----------
    panel
        The in-sample span only.
    costs
        What trading costs.
    evaluator
        Measures the short sample.
    """

    def __init__(self, panel: Panel, costs: Costs, evaluator: Evaluator) -> None:
        self.panel, self._costs, self._evaluator = panel, costs, evaluator
        bars = round(SAMPLE_DAYS * panel.interval.bars_per_day)
        self.sample = panel.window(panel.n_bars - bars, panel.n_bars) if panel.n_bars >= 2 * bars else None
        longest = sorted(range(panel.n_assets), key=lambda a: (-int(panel.valid[:, a].sum()), panel.symbols[a]))
        calibrated = longest[:: -(-panel.n_assets // _CALIBRATED_ASSETS)]
        self._sampler = GenomeSampler([signal_bars(panel, asset, panel.n_bars) for asset in calibrated])

    def draw(
        self,
        families: Sequence[str],
        rng: np.random.Generator,
        *,
        generation: int = 0,
        asked: set[str] | None = None,
        settled: Callable[[Genome, np.random.Generator], Genome] | None = None,
    ) -> tuple[list[Genome], Screened]:
        """Draw a genome of each of these families, and return them with what was turned away.

        Families that fit models are not looked at on the sample, which is shorter than what a model is fitted on, nor
        are those that rank assets, whose books trade any one of many assets seldom.

        Parameters
        ----------
        families
            One for each genome wanted, repetitions allowed.
        rng
            Source of randomness.
        generation
            Generation of the genomes.
        asked
            Hashes of genomes that are not drawn again; those drawn are added.
        settled
            Gives a genome the models that it may carry.

        Returns
        -------
        list of Genome, Screened
            The genomes in the order of `families`; fewer where nothing new is found.
        """
        asked = set() if asked is None else asked
        chosen: dict[int, Genome] = {}
        seen: list[list[_Look]] = [[] for _ in families]
        for _ in range(1 + REDRAWS):
            drawn: dict[int, Genome] = {}
            for place, family in enumerate(families):
                if place not in chosen and (new := self._new(family, rng, generation, asked, settled)) is not None:
                    drawn[place] = new
            for place, look in zip(drawn, self._looked_at(list(drawn.values())), strict=True):
                if look.flaw is None:
                    chosen[place] = look.genome
                else:
                    seen[place].append(look)
            if len(chosen) == len(families):
                break
        screened = Screened()
        for place, looks in enumerate(seen):
            if looks and place not in chosen:
                least = min(looks, key=lambda look: look.loss)
                looks.remove(least)
                chosen[place] = least.genome
            for look in looks:
                assert look.flaw is not None
                assert look.evaluation is not None
                screened.rejected.append((look.genome, look.flaw))
                screened.evaluations.append(look.evaluation)
        return [chosen[place] for place in sorted(chosen)], screened

    def _new(
        self,
        family: str,
        rng: np.random.Generator,
        generation: int,
        asked: set[str],
        settled: Callable[[Genome, np.random.Generator], Genome] | None,
    ) -> Genome | None:
        for _ in range(_DUPLICATES):
            genome = self._sampler.draw(rng, family, generation=generation)
            if settled is not None:
                genome = settled(genome, rng)
            if genome.hash not in asked:
                asked.add(genome.hash)
                return genome
        return None

    def _looked_at(self, genomes: Sequence[Genome]) -> list[_Look]:
        """Look at genomes on the sample, as far as there is one and it says something about their family."""
        looks = [_Look(genome, None, None, (False, 0.0)) for genome in genomes]
        judged = [place for place, genome in enumerate(genomes) if _is_judged(genome)]
        if self.sample is None or not judged:
            return looks
        measured = self._evaluator.evaluate([genomes[place] for place in judged], self.sample, self._costs)
        months = SAMPLE_DAYS / 30.0 * max(1, int(self.sample.valid.any(axis=0).sum()))
        trades = measured.metrics["trades"] / months
        paid = measured.metrics["turnover_per_year"] * (self._costs.taker_fee + self._costs.slippage)
        volatility = measured.metrics["volatility"]
        drag = np.divide(paid, volatility, out=np.full(len(paid), np.inf), where=volatility > 0.0)
        for row, place in enumerate(judged):
            looks[place] = _look(measured, row, float(trades[row]), float(drag[row]))
        return looks


@dataclass(frozen=True, eq=False)
class _Look:
    # A genome, what is wrong with it on the sample, and how far it is from what would do.
    genome: Genome
    flaw: Flaw | None
    evaluation: Evaluation | None
    loss: tuple[bool, float]


def _is_judged(genome: Genome) -> bool:
    family = get_family(genome.family)
    return not family.model_genes and not family.ranks


def _look(measured: Evaluation, row: int, trades: float, drag: float) -> _Look:
    genome, flaw = measured.genomes[row], None
    if trades < LEAST_TRADES:
        flaw = Flaw(genome.id, IDLE, f"{trades:.2g} trades per asset and month on the last {SAMPLE_DAYS} days")
    elif drag > MOST_DRAG:
        flaw = Flaw(genome.id, EXPENSIVE, f"a Sharpe ratio of {drag:.2g} on the last {SAMPLE_DAYS} days")
    loss = (trades < LEAST_TRADES, -trades if trades < LEAST_TRADES else drag)
    return _Look(genome, flaw, None if flaw is None else measured.rows([row]), loss)
