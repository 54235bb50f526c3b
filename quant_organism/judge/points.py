"""Points in the space of a callable's parameters, proposed round after round by somebody else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs
from quant_organism.errors import InputError
from quant_organism.evolution.proposals import Proposal, ProposalResult, measured, refused
from quant_organism.judge.outside import Attempts, CallableStrategy
from quant_organism.judge.parameters import ParameterRange, Parameters, ParameterValue
from quant_organism.judge.sandbox import StrategySource
from quant_organism.market import Panel


@dataclass(frozen=True, kw_only=True)
class CallableSpace:
    """A callable, and the space that somebody proposes its parameters from.

    Parameters
    ----------
    source
        Its file.
    space
        By name a value, a list of values or a `ParameterRange`, as `trials_of` takes it; between the bounds of a range
        any number may be proposed, whole where the range is of whole numbers.
    """

    source: StrategySource
    space: Mapping[str, Any]

    def point_of(self, proposal: Proposal) -> Parameters:
        """Return the parameters that a proposal means: `{parameters: {name: value}}`, fixed ones may be left out.

        Raises
        ------
        InputError
            It means no point of the space; which parameter and why is said.
        """
        described = proposal if isinstance(proposal, Mapping) else {}
        said = described.get("parameters")
        if not isinstance(said, Mapping) or len(described) != 1:
            raise InputError(
                "a point is described by parameters alone", where="proposal", remedy='write {"parameters": {...}}'
            )
        if unknown := sorted(set(said) - set(self.space), key=str):
            raise InputError(
                f"no parameter of the space, which has {', '.join(self.space)}",
                where=f"parameters.{unknown[0]}",
                remedy="leave it out",
            )
        return {name: _value_of(name, said, known) for name, known in self.space.items()}

    def strategy(self, name: str, points: Sequence[Parameters]) -> CallableStrategy:
        """Return the search that some points are."""
        return CallableStrategy(name, self.source, tuple(points))


def _value_of(name: str, said: Mapping[str, Any], known: Any) -> ParameterValue:
    where = f"parameters.{name}"
    if isinstance(known, ParameterRange):
        value, is_whole = said.get(name), all(isinstance(each, int) for each in (known.low, known.high, known.step))
        sort = int if is_whole else int | float
        if not isinstance(value, sort) or isinstance(value, bool) or not math.isfinite(value):
            raise InputError(f"{value!r} is no {'whole ' if is_whole else ''}number", where=where, remedy="propose one")
        if not known.low <= value <= known.high:
            raise InputError(f"{value} is not from {known.low} to {known.high}", where=where, remedy="stay within")
        return value
    listed = known if isinstance(known, list | tuple) else [known]
    value = said.get(name, listed[0]) if len(listed) == 1 else said.get(name)
    same: list[ParameterValue] = [
        each for each in listed if value == each and isinstance(value, bool) == isinstance(each, bool)
    ]
    if not same:
        raise InputError(
            f"{value!r} is none of {', '.join(map(repr, listed))}", where=where, remedy="propose one of these"
        )
    return same[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class MeasuredPoints:
    """Measures proposals that describe points in the space of a callable.

    Parameters
    ----------
    space
        The callable.
    panel
        In sample only: what is not here cannot be seen.
    costs
        What trading costs.
    record
        Enters what was tried in the ledger, with the number of the round; none: on a copy of the market.
    """

    space: CallableSpace
    panel: Panel
    costs: Costs
    record: Callable[[CallableStrategy, Attempts, int], None] | None = None

    def __call__(self, proposals: Sequence[Proposal], number: int) -> list[ProposalResult]:
        """Return what each was worth, or why it is no point of the space."""
        read = [self._read(proposal) for proposal in proposals]
        identify = self.space.strategy("proposals", ()).hash_of
        points = {identify(point): point for point in read if not isinstance(point, str)}
        worth: dict[str, tuple[float, float, int]] = {}
        if points:
            strategy = self.space.strategy("proposals", tuple(points.values()))
            attempts = strategy.attempts(self.panel, self.costs)
            if self.record is not None:
                self.record(strategy, attempts, number)
            columns = (attempts.sharpes.tolist(), map(_drawdown, attempts.daily), attempts.trades.tolist())
            worth = dict(zip(points, zip(*columns, strict=True), strict=True))
        return [
            refused(proposal, point) if isinstance(point, str) else measured(proposal, None, worth[identify(point)])
            for proposal, point in zip(proposals, read, strict=True)
        ]

    def _read(self, proposal: Proposal) -> Parameters | str:
        try:
            return self.space.point_of(proposal)
        except InputError as error:
            return str(error)


def _drawdown(daily: NDArray[np.float64]) -> float:
    equity = np.cumprod(1.0 + daily)
    return float((1.0 - equity / np.maximum.accumulate(np.maximum(equity, 1.0))).max())
