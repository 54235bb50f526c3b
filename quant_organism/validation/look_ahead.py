"""Proof that nothing of a strategy knows the future: every decision of a sample, made again from the bars before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quant_organism.backtest import Costs, streamed_targets
from quant_organism.market import Panel, format_ms
from quant_organism.strategies import Genome
from quant_organism.validation.draws import in_order
from quant_organism.validation.genome_replay import OwnEvaluator


@dataclass(frozen=True)
class Decisions:
    """Decisions of a genome in the backtest beside those made bar by bar.

    Attributes
    ----------
    compared, differing
        How many decisions, of all bars of all assets, were compared, and how many differ.
    difference
        The first that differs, in words; empty where none does.
    """

    compared: int
    differing: int
    difference: str


@dataclass(frozen=True, eq=False)
class DecisionProver(OwnEvaluator):
    """Compares the decisions of genomes over a whole sample with those made when later bars were not there yet.

    A function of its fields and the number of the genome. A look ahead need not show in any few bars that are tried: a
    rule may peek before the largest moves alone. Here no bar is left out.

    Parameters
    ----------
    genomes
        Whose decisions.
    panel, costs
        The market and the costs of the backtest.
    stops
        Rows before which the backtest saw bars: of each, all decisions are compared.
    """

    genomes: tuple[Genome, ...]
    panel: Panel
    costs: Costs
    stops: tuple[int, ...]

    def __call__(self, number: int) -> Decisions:
        """Compare the decisions of one genome."""
        genome, panel = self.genomes[number], self.panel
        streamed = streamed_targets(genome, panel, stop=max(self.stops), models=self.models)
        compared, differing, difference = 0, 0, ""
        for stop in self.stops:
            seen = panel.window(0, stop)
            wanted = self.evaluator.targets(genome, seen, self.costs)
            differs = seen.valid & (wanted != streamed[:stop])
            compared += int(seen.valid.sum())
            differing += int(differs.sum())
            if not difference and differs.any():
                row, asset = np.argwhere(differs)[0].tolist()
                difference = (
                    f"{genome.id} wanted {wanted[row, asset]:g} of {panel.symbols[asset]} at the close of "
                    f"{format_ms(int(panel.times[row]))}, but {streamed[row, asset]:g} while later bars were not there"
                )
        return Decisions(compared, differing, difference)


def prove_decisions(
    genomes: Sequence[Genome], panel: Panel, costs: Costs, stops: Sequence[int], *, processes: int = 1
) -> tuple[Decisions, ...]:
    """Compare the decisions of genomes over a whole sample; see `DecisionProver`.

    Parameters
    ----------
    genomes, panel, costs, stops
        As for `DecisionProver`.
    processes
        Genomes that are looked at at once; nothing depends on it.
    """
    prover = DecisionProver(tuple(genomes), panel, costs, tuple(stops))
    return tuple(found for _, found in in_order(prover, range(len(genomes)), processes))
