"""How often a claimed edge is false, given how rare edges are: planned and observed false discovery rates."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from quant_organism.validation.statistics.evidence import require
from quant_organism.validation.statistics.sharpe import SharpeMoments, sharpe_variance


@dataclass(frozen=True)
class DiscoveryRates:
    """What a test of one Sharpe ratio implies about discoveries.

    Attributes
    ----------
    critical_sharpe
        Per period: the least Sharpe ratio that rejects the null at level alpha.
    beta
        Probability that a strategy with the alternative's Sharpe ratio is missed.
    planned
        pFDR: share of false discoveries among all that pass the test.
    observed
        oFDR: the same at the Sharpe ratio that was in fact seen.
    """

    critical_sharpe: float
    beta: float
    planned: float
    observed: float


def discovery_rates(
    moments: SharpeMoments, *, alternative: float, skilled_share: float, alpha: float = 0.05, benchmark: float = 0.0
) -> DiscoveryRates:
    """Read a Sharpe ratio as a discovery among many strategies of which few have skill.

    Parameters
    ----------
    moments
        Of the returns, per period.
    alternative
        Sharpe ratio per period of a strategy with skill, above the benchmark.
    skilled_share
        p1: share of strategies with skill among those tested, in (0, 1).
    alpha
        Level of the test.
    benchmark
        Sharpe ratio per period without skill.

    Returns
    -------
    DiscoveryRates
        All nan when the returns do not vary or their skew is too extreme for the formula.

    Raises
    ------
    InputError
        A share or level outside (0, 1), or an alternative at or below the benchmark.

    Notes
    -----
    Lopez de Prado, Lipton, Zoonekynd 2025 (SSRN 5520741).
    """
    require(0 < skilled_share < 1, f"a skilled share of {skilled_share} is not in (0, 1)", "0.05 to 0.2 is usual")
    require(0 < alpha < 1, f"alpha {alpha} is not in (0, 1)", "0.05 is usual")
    require(alternative > benchmark, f"alternative {alternative} is not above {benchmark}", "raise the alternative")
    null_error = np.sqrt(sharpe_variance(moments, benchmark))
    skill_error = np.sqrt(sharpe_variance(moments, alternative))
    critical = benchmark + ndtri(1 - alpha) * null_error
    beta = ndtr((critical - alternative) / skill_error)
    luck_share = 1 - skilled_share
    planned = 1 / (1 + (1 - beta) * skilled_share / (alpha * luck_share))
    null_tail = ndtr(-(moments.sharpe - benchmark) / null_error) * luck_share
    skill_tail = ndtr(-(moments.sharpe - alternative) / skill_error) * skilled_share
    observed = null_tail / (null_tail + skill_tail)
    return DiscoveryRates(float(critical), float(beta), float(planned), float(observed))
