"""The interval of a share: how far a count of successes pins a probability down."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from quant_organism.validation.statistics.evidence import require


class ProportionInterval(NamedTuple):
    """Bounds of a probability."""

    low: float
    high: float


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> ProportionInterval:
    """Return Wilson's score interval of a probability.

    Parameters
    ----------
    successes, trials
        Counts, 0 <= successes <= trials, at least one trial.
    level
        Two-sided confidence.

    Raises
    ------
    InputError
        The counts or the level make no sense.

    Notes
    -----
    Wilson 1927 (JASA 22).
    """
    require(0 <= successes <= trials and trials >= 1, f"{successes} of {trials} is no share", "mend the counts")
    require(0 < level < 1, f"level {level} is not in (0, 1)", "0.95 is usual")
    z = float(ndtri((1 + level) / 2))
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == trials else float(centre + half)
    return ProportionInterval(low, high)
