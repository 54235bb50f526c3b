"""The final choice of a search: the committee that it puts forward, and a few single genomes beside it.

The best of many trials owes much to its luck; the mean of many good ones owes less. What the committee is made of
depends on where the edge sits:

`pooled`
    The best genomes by their Sharpe ratio over all assets, on all assets: for an edge that assets share.
`per_asset`
    For each asset the best genomes by their Sharpe ratio there, each restricted to it.
`own_assets`
    The best of all units, a unit being a genome on all assets or on one of them, by the unit's own Sharpe ratio.

Each candidate costs significance: there is one committee, and not more champions than asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.market import Panel
from quant_organism.strategies import Committee, Genome

if TYPE_CHECKING:
    from quant_organism.evolution.spec import Choice, EvolutionSpec
    from quant_organism.evolution.trials import Trials

ORIGINS = {
    "pooled": "best on all assets",
    "per_asset": "best on each asset",
    "own_assets": "best on assets of their own",
}
"""What a committee is called, by what it is made of."""

REJECTION_LEVEL = 0.05
"""Largest p-value that counts as evidence of an edge."""

WITHOUT_EVIDENCE: Choice = "own_assets"
"""What the committee is made of where nothing was tested; measured, see docs/evolution.md."""

_FEWEST_MEMBERS = 3
_MOST_LOOKED_AT = 20
"""How many times the members wanted are measured at most, to find enough that are distinct and traded enough."""

ALL_ASSETS = -1

Unit = tuple[int, int]
"""A trial, and the one asset that it is restricted to, or `ALL_ASSETS`."""


@dataclass(frozen=True)
class EdgeEvidence:
    """What tests before the search found.

    Attributes
    ----------
    pooled_p
        p-value of the statistic over all assets together.
    per_asset_p
        p-value of the statistic that looks at assets one by one.
    """

    pooled_p: float
    per_asset_p: float


@dataclass(frozen=True)
class Candidate:
    """A strategy that a search puts forward.

    Attributes
    ----------
    committee
        The strategy.
    origin
        Where it came from: one of `ORIGINS`, or `champion` for a single genome.
    """

    committee: Committee
    origin: str

    @property
    def id(self) -> str:
        """Identity of its committee."""
        return self.committee.id


def choose_candidates(
    trials: Trials,
    spec: EvolutionSpec,
    panel: Panel,
    costs: Costs,
    evaluator: Evaluator,
    *,
    evidence: EdgeEvidence | None = None,
) -> list[Candidate]:
    """Make the final choice of a search.

    The committee comes first: of the best share of what it is made of, each traded at least `min_trades` times and
    equal daily returns count once. Seats are taken by falling Sharpe ratio by those that correlate by no more than
    `max_correlation` with everyone seated; what stays free goes to the best of the others. Members are weighted by
    inverse volatility. Then come the best single genomes of the Pareto front within the same limit of correlation.

    Parameters
    ----------
    trials
        All trials of the search.
    spec
        Sizes, fractions and the correlation limit of the choice.
    panel, costs, evaluator
        What the search saw, and who measured it.
    evidence
        Decides what the committee is made of where the spec says `auto`.

    Returns
    -------
    list of Candidate
        Without repetition; empty when no trial is feasible.
    """
    made_of = composition(spec.choice, evidence)
    found: dict[str, Candidate] = {}
    committee = _committee(trials, spec, made_of, _Scales(trials, panel, costs, evaluator, spec.min_trades))
    if committee is not None:
        found[committee.id] = Candidate(committee, ORIGINS[made_of])
    for trial in _champions(trials, spec):
        champion = Committee.of([trials.genomes[trial]])
        found.setdefault(champion.id, Candidate(champion, "champion"))
    return list(found.values())


def composition(choice: Choice, evidence: EdgeEvidence | None) -> Choice:
    """Return what the committee is made of.

    Under `auto`: `pooled` where the pooled statistic rejects, `per_asset` where only the other does, `own_assets` where
    neither does, and `WITHOUT_EVIDENCE` where nothing was tested.
    """
    if choice != "auto":
        return choice
    if evidence is None:
        return WITHOUT_EVIDENCE
    if evidence.pooled_p <= REJECTION_LEVEL:
        return "pooled"
    return "per_asset" if evidence.per_asset_p <= REJECTION_LEVEL else "own_assets"


@dataclass(frozen=True)
class _Weighed:
    # A unit that traded enough, with its daily returns.
    unit: Unit
    returns: NDArray[np.float64]


@dataclass(frozen=True)
class _Scales:
    """Measures units again, now each asset for itself."""

    trials: Trials
    panel: Panel
    costs: Costs
    evaluator: Evaluator
    min_trades: int

    def weighed(self, units: Sequence[Unit]) -> list[_Weighed]:
        """Return those units that traded enough and vary, in their order."""
        trials = sorted({trial for trial, _ in units})
        genomes = [self.trials.genomes[trial] for trial in trials]
        measured = self.evaluator.evaluate(genomes, self.panel, self.costs, asset_daily_returns=True)
        assert measured.asset_daily_returns is not None
        found = []
        for trial, asset in units:
            row = trials.index(trial)
            whole = asset == ALL_ASSETS
            trades = measured.metrics["trades"][row] if whole else measured.asset_metrics["trades"][row, asset]
            returns = measured.daily_returns[row] if whole else measured.asset_daily_returns[row, asset]
            if trades >= self.min_trades and returns.std() > 0.0:
                found.append(_Weighed((trial, asset), returns))
        return found


def _committee(trials: Trials, spec: EvolutionSpec, made_of: Choice, scales: _Scales) -> Committee | None:
    whole = _ranked(trials, [ALL_ASSETS])
    assets = range(len(trials.symbols))
    if made_of == "per_asset":
        # The best of each asset, then the second best of each, and so on.
        ranked = [
            unit for units in zip_longest(*(_ranked(trials, [asset]) for asset in assets)) for unit in units if unit
        ]
    elif made_of == "own_assets":
        ranked = _ranked(trials, [ALL_ASSETS, *assets])
    else:
        ranked = whole
    wanted = max(_FEWEST_MEMBERS, round(spec.committee_fraction * len(whole)))
    seated = _seated(list(_material(ranked, wanted, spec.committee_size, scales)), spec)
    if len(seated) < _FEWEST_MEMBERS:
        return None
    genomes: list[Genome] = [trials.genomes[member.unit[0]] for member in seated]
    weights = [1.0 / float(member.returns.std(ddof=1)) for member in seated]
    symbols = [() if asset == ALL_ASSETS else (trials.symbols[asset],) for _, asset in (m.unit for m in seated)]
    return Committee.of(genomes, weights, symbols)


def _ranked(trials: Trials, assets: Sequence[int]) -> list[Unit]:
    """Return the units of feasible trials on these assets by falling Sharpe ratio."""
    columns = [trials.metrics["sharpe"] if a == ALL_ASSETS else trials.asset_sharpe[:, a] for a in assets]
    sharpe = np.where(trials.feasible[:, None], np.column_stack(columns), np.nan)
    order = np.argsort(-sharpe, axis=None, kind="stable")[: np.isfinite(sharpe).sum()]
    return [(int(place) // len(assets), assets[int(place) % len(assets)]) for place in order]


def _material(ranked: Sequence[Unit], wanted: int, seats: int, scales: _Scales) -> Iterator[_Weighed]:
    """Yield the best units that differ in what they did and traded enough, as many as wanted if there are."""
    seen: set[bytes] = set()
    for begin in range(0, min(len(ranked), _MOST_LOOKED_AT * max(wanted, seats)), wanted):
        for unit in scales.weighed(ranked[begin : begin + wanted]):
            digest = unit.returns.tobytes()
            if digest not in seen:
                seen.add(digest)
                yield unit
            if len(seen) == wanted:
                return


def _seated(material: Sequence[_Weighed], spec: EvolutionSpec) -> list[_Weighed]:
    chosen = _uncorrelated([unit.returns for unit in material], spec.committee_size, spec.max_correlation)
    others = [place for place in range(len(material)) if place not in chosen]
    return [material[place] for place in [*chosen, *others][: spec.committee_size]]


def _champions(trials: Trials, spec: EvolutionSpec) -> list[int]:
    front = [trial for trial, _ in _ranked(trials, [ALL_ASSETS]) if trials.on_front[trial]]
    chosen = _uncorrelated([trials.daily_returns[trial] for trial in front], spec.champions, spec.max_correlation)
    return [front[place] for place in chosen]


def _uncorrelated(returns: Sequence[NDArray[np.float64]], most: int, limit: float) -> list[int]:
    """Return places, in their order, of those that correlate by no more than the limit with all chosen before."""
    chosen: list[int] = []
    for place, own in enumerate(returns):
        if len(chosen) == most:
            break
        others = np.array([returns[other] for other in chosen])
        if not chosen or np.max(np.corrcoef(np.vstack([others, own]))[-1, :-1]) <= limit:
            chosen.append(place)
    return chosen
