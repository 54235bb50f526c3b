"""Bets that a standby does better than the holder of the seat it waits for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

from quant_organism.deployment.lifecycle import LIKE_SEATED
from quant_organism.validation.statistics.sequential import DEFAULT_BET, standardised_day

DIFFERENCE_DEVIATION: Final = math.sqrt(2.0 * (1.0 - LIKE_SEATED))
"""Deviation of the difference of two standardised returns that correlate as little as a standby and its holder may.

Of nearer ones it is too large a start and floor: that costs power, and never honesty."""

Days = Sequence[tuple[date, float]]
"""Days with a record and their standardised returns, in order."""


class _Bet(NamedTuple):
    wealth: float = 1.0
    mean_square: float = DIFFERENCE_DEVIATION**2
    newcomer: int = 0
    holder: int = 0
    days: int = 0


class PairedBets:
    """Wealth of the bet `d_t = x_new - x_old` of pairs of strategies, on the days on which both have a record.

    Both have records from the younger's birth on, which are the days that count. What was bet is kept, so that a day
    more costs a day.
    """

    def __init__(self) -> None:
        self._bets: dict[tuple[str, str], _Bet] = {}

    def wealth(self, pair: tuple[str, str], newcomer: Days, holder: Days) -> float | None:
        """Return the wealth of a pair after all of its days, none before the first.

        Parameters
        ----------
        pair
            Identities of newcomer and holder.
        newcomer, holder
            Their days; from call to call they only get longer.
        """
        wealth, square, left, right, days = self._bets.get(pair, _Bet())
        while left < len(newcomer) and right < len(holder):
            if newcomer[left][0] < holder[right][0]:
                left += 1
            elif newcomer[left][0] > holder[right][0]:
                right += 1
            else:
                difference = newcomer[left][1] - holder[right][1]
                day = standardised_day(difference, square, backtest_deviation=DIFFERENCE_DEVIATION)
                wealth, square, days = wealth * DEFAULT_BET.factor(day.value), day.mean_square, days + 1
                left, right = left + 1, right + 1
        self._bets[pair] = _Bet(wealth, square, left, right, days)
        return wealth if days else None
