"""What a statistic asks of its input before it says anything."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError

FLAT = 1e-12
"""Standard deviation per period at or below which returns count as constant."""


@dataclass(frozen=True)
class NotRun:
    """A statistic that was not computed. It is no number, so that nothing can mistake it for a pass.

    Attributes
    ----------
    reason
        One sentence for people.
    """

    reason: str


def require_finite(values: NDArray[np.float64], what: str = "return") -> None:
    """Refuse NaN and infinity: a gap in the data is settled upstream, never dropped here.

    Parameters
    ----------
    values
        Float64 (T,) or (T, N).
    what
        What one value is called in the message.

    Raises
    ------
    InputError
        Names the first bad period, and the column of a matrix.
    """
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = tuple(int(i) for i in bad[0])
        column = f", column {place[1]}" if len(place) > 1 else ""
        raise InputError(
            f"{what} {values[place]} is not a number",
            where=f"period {place[0]}{column}",
            remedy="repair the data upstream",
        )


def require_probability(values: NDArray[np.float64], what: str = "p-value") -> None:
    """Refuse p-values outside (0, 1]; nan is refused as well.

    Raises
    ------
    InputError
        Names the first bad index.
    """
    bad = np.flatnonzero(~((values > 0) & (values <= 1)))
    if len(bad):
        raise InputError(
            f"{what} {values[bad[0]]} is not in (0, 1]",
            where=f"index {bad[0]}",
            remedy="a simulated p-value is (1 + exceedances) / (1 + draws), never 0; leave out what did not run",
        )


def require(condition: bool, what: str, remedy: str) -> None:
    """Refuse an argument that makes no sense.

    Raises
    ------
    InputError
        The condition does not hold.
    """
    if not condition:
        raise InputError(what, remedy=remedy)


def too_few(needed: int, found: int, what: str) -> NotRun | None:
    """Return the reason not to run when there is less than a test needs, else None."""
    return NotRun(f"needs {needed} {what}, has {found}") if found < needed else None


def flat_columns(matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which columns of a (T, N) matrix are constant, bool (N,)."""
    if len(matrix) < 2:
        return np.ones(matrix.shape[1], dtype=np.bool_)
    flat: NDArray[np.bool_] = matrix.std(axis=0, ddof=1) <= FLAT
    return flat
