"""Who enters the shadow pool: best first, not too alike, no more than there is room for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from quant_organism.deployment.config import StrategyConfig
from quant_organism.errors import InputError

Action = Literal["deploy", "wait", "keep"]

POOL_LIMIT: Final = 10
MAX_CORRELATION: Final = 0.7

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


def choose_for_shadow(
    candidates: Sequence[StrategyConfig],
    active: Sequence[StrategyConfig],
    returns: Mapping[str, NDArray[np.float64]],
    *,
    limit: int = POOL_LIMIT,
    max_correlation: float = MAX_CORRELATION,
) -> list[PoolDecision]:
    """Choose greedily, best fitness first, who joins the strategies already in the pool.

    Parameters
    ----------
    candidates
        Strategies that survived validation; those already active are kept, not chosen again.
    active
        Strategies in the pool.
    returns
        Net daily returns of every candidate and active strategy, float64 (days,), all on the same days.
    limit
        Largest size of the pool.
    max_correlation
        Largest correlation of daily returns that a newcomer may have with anyone in the pool. A strategy whose
        returns do not vary took no risk: as a newcomer it waits, in the pool it is like nobody.

    Returns
    -------
    list of PoolDecision
        First the active strategies, then the other candidates, best first; ties are broken by id.

    Raises
    ------
    InputError
        Returns are missing, not finite, or not all of the same length.
    """
    kept = sorted(active, key=lambda document: document.id)
    known = {document.id for document in kept}
    newcomers = sorted(
        (document for document in candidates if document.id not in known), key=lambda d: (-d.fitness, d.id)
    )
    _check_returns([document.id for document in [*kept, *newcomers]], returns)

    decisions = [PoolDecision(document.id, "keep", "in the pool already") for document in kept]
    pool = [document.id for document in kept]
    for document in newcomers:
        decision = _judge(document, pool, returns, limit, max_correlation)
        decisions.append(decision)
        if decision.action == "deploy":
            pool.append(document.id)
    return decisions


def _judge(
    document: StrategyConfig,
    pool: Sequence[str],
    returns: Mapping[str, NDArray[np.float64]],
    limit: int,
    max_correlation: float,
) -> PoolDecision:
    own = returns[document.id]
    if len(pool) >= limit:
        return PoolDecision(document.id, "wait", f"pool full: {len(pool)} of {limit}")
    if not _varies(own):
        return PoolDecision(document.id, "wait", f"its returns do not vary over {len(own)} days")
    alike = {other: _correlation(own, returns[other]) for other in pool if _varies(returns[other])}
    rank = f"Sharpe ratio {document.fitness:.2f} on unseen days, place {len(pool) + 1} of {limit}"
    if not alike:
        return PoolDecision(document.id, "deploy", f"{rank}; nobody in the pool to compare with")
    nearest = max(sorted(alike), key=alike.__getitem__)
    if alike[nearest] > max_correlation:
        reason = f"correlation {alike[nearest]:.2f} with {nearest}, at most {max_correlation:.2f} allowed"
        return PoolDecision(document.id, "wait", reason)
    return PoolDecision(document.id, "deploy", f"{rank}; largest correlation {alike[nearest]:.2f}, with {nearest}")


def _check_returns(ids: Sequence[str], returns: Mapping[str, NDArray[np.float64]]) -> None:
    missing = [id for id in ids if id not in returns]
    if missing:
        raise InputError(
            f"no daily returns of {', '.join(missing)}", remedy="evaluate every candidate and active strategy"
        )
    for id in ids:
        if len(returns[id]) != len(returns[ids[0]]):
            raise InputError(
                f"{len(returns[id])} daily returns, but {ids[0]} has {len(returns[ids[0]])}",
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
