"""What the pool says of a newcomer: how many are where, and whom it is like."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from quant_organism.deployment.lifecycle import LIKE_SEATED, SEATED
from quant_organism.deployment.moves import Kind
from quant_organism.deployment.stages import DEPLOYED, Stage
from quant_organism.errors import InputError

Action = Literal["deploy", "wait", "keep"]

NOBODY: Final = -1.0
"""Correlation with the nearest of none."""

_NO_VARIATION = 1e-12


@dataclass(frozen=True)
class PoolDecision:
    """What happens to one strategy, and why.

    Attributes
    ----------
    id
        Identity of the strategy.
    action
        `deploy`: it enters the pool now; `wait`: it does not; `keep`: its document is left as it is.
    reason
        One sentence with the numbers.
    """

    id: str
    action: Action
    reason: str


@dataclass(frozen=True)
class PoolAround:
    """The pool around one strategy.

    Attributes
    ----------
    numbers
        What the table of moves asks about the pool; a correlation is not among them where the strategy's returns do
        not vary, for who took no risk is like nobody and proves nothing.
    nearest
        Living strategy that it is most like; none where there is nobody to compare with.
    holder
        Who has or had the seat that it stands by for: the one strategy on paper or beyond, or decaying, that is too
        much like it to be seated beside it; none where there is no such strategy, or more than one.
    """

    numbers: Mapping[Kind, float]
    nearest: str | None
    holder: str | None

    @classmethod
    def of(
        cls,
        others: Mapping[str, Stage],
        alike: Mapping[str, float | None] | None,
        judged: Mapping[str, float],
        closed_seats: int = 0,
    ) -> Self:
        """Sum up a pool.

        Parameters
        ----------
        others
            Stages of the other living strategies, by identity.
        alike
            Correlations with them, none where they do not vary; None: its own returns do not vary.
        judged
            Correlations with those who failed their look lately.
        closed_seats
            Seats that nobody may take; they count as taken.
        """
        numbers: dict[Kind, float] = {"in_shadow": sum(stage == "shadow" for stage in others.values())}
        seated = [other for other, stage in others.items() if stage in SEATED]
        numbers["seated"] = len(seated) + closed_seats
        if alike is None:
            return cls(numbers, None, None)
        near = {other: value for other, value in alike.items() if value is not None}
        nearest = max(sorted(near), key=near.__getitem__, default=None)
        too_alike = [
            other
            for other, stage in others.items()
            if (stage in SEATED or stage == "decaying") and near.get(other, NOBODY) > LIKE_SEATED
        ]
        numbers["near_living"] = NOBODY if nearest is None else near[nearest]
        numbers["near_judged"] = max(judged.values(), default=NOBODY)
        numbers["near_seated"] = max((near.get(other, NOBODY) for other in seated), default=NOBODY)
        if len(too_alike) != 1:
            return cls(numbers, nearest, None)
        numbers["near_holder"] = near[too_alike[0]]
        numbers["holder_decaying"] = float(others[too_alike[0]] == "decaying")
        return cls(numbers, nearest, too_alike[0])


def neighbours(
    id: str,
    pool: Mapping[str, Stage],
    returns: Mapping[str, NDArray[np.float64]],
    *,
    judged: Collection[str] = (),
    closed_seats: int = 0,
) -> PoolAround:
    """Compare a strategy with the pool.

    Parameters
    ----------
    id
        The strategy; left out where it is in the pool itself.
    pool
        Stage of every living strategy of the market, by identity.
    returns
        Net daily returns of all of them and of those in `judged`, float64 (days,), all on the same days.
    judged
        Strategies that failed their look lately.
    closed_seats
        As in `PoolAround.of`.

    Raises
    ------
    InputError
        Returns are missing, not finite, or not all of the same length.
    """
    others = {other: stage for other, stage in pool.items() if other != id and stage in DEPLOYED}
    _check_returns([id, *others, *judged], returns)
    own = returns[id]

    def alike(other: str) -> float | None:
        return _correlation(own, returns[other]) if _varies(own) and _varies(returns[other]) else None

    if not _varies(own):
        return PoolAround.of(others, None, {}, closed_seats)
    found = ((other, alike(other)) for other in judged)
    return PoolAround.of(
        others,
        {other: alike(other) for other in others},
        {other: value for other, value in found if value is not None},
        closed_seats,
    )


def nearest_of(id: str, others: Collection[str], returns: Mapping[str, NDArray[np.float64]]) -> float:
    """Return the largest correlation of a strategy with some others, `NOBODY` where there is none to compare with."""
    _check_returns([id, *others], returns)
    own = returns[id]
    found = (_correlation(own, returns[other]) for other in others if _varies(returns[other]))
    return max(found, default=NOBODY) if _varies(own) else NOBODY


def _check_returns(ids: Collection[str], returns: Mapping[str, NDArray[np.float64]]) -> None:
    missing = [id for id in ids if id not in returns]
    if missing:
        raise InputError(
            f"no daily returns of {', '.join(missing)}", remedy="evaluate every candidate and active strategy"
        )
    first_id = next(iter(ids))
    for id in ids:
        if len(returns[id]) != len(returns[first_id]):
            raise InputError(
                f"{len(returns[id])} daily returns, but {first_id} has {len(returns[first_id])}",
                where=id,
                remedy="cut all to their common days",
            )
        if not np.all(np.isfinite(returns[id])):
            first = int(np.flatnonzero(~np.isfinite(returns[id]))[0])
            raise InputError(
                f"the daily return at index {first} is {returns[id][first]}",
                where=id,
                remedy="settle gaps in the data before strategies are compared",
            )


def _varies(returns: NDArray[np.float64]) -> bool:
    return len(returns) > 1 and float(np.std(returns)) > _NO_VARIATION


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    x, y = a - a.mean(), b - b.mean()
    return float(np.sum(x * y) / np.sqrt(np.sum(x * x) * np.sum(y * y)))
