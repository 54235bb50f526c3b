"""A rehearsal at a venue: the decisions that an account made last, carried out with real orders on a test network.

What it earns in half an hour says nothing and is not asked. It shows that orders reach the venue as they were planned,
that books and venue agree, and what sending costs in time and slippage. Research knows no venue: who stands above both
hands over what carries it out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Protocol

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.backtest.account import AccountRun
from quant_organism.validation.statistics.evidence import NotRun

MOST_SLIPPAGE_RATIO: Final = 2.0
"""Slippage paid, over what the cost model states, that is still as expected."""

MOST_LATENCY_MS: Final = 150.0
"""Mean milliseconds from sending an order to the venue's word on it that are still quick."""

MOST_GAP_USD: Final = 0.01
"""Books and venue agree to the cent."""


@dataclass(frozen=True, kw_only=True)
class VenueRehearsal:
    """What came of a rehearsal.

    Parameters
    ----------
    network
        Where.
    minutes, plans
        How long it took by the venue's time, and how many plans were made.
    orders, filled
        Orders that the plans asked for, and how many of them filled at all.
    differences
        Every order that was not at the venue as planned, and every fill that was booked otherwise than it was made, in
        words.
    differing
        How many of the orders these are about.
    paid_usd, stated_usd
        Slippage of the plans' fills against the middle of the market at sending, and what the cost model states.
    latencies_ms
        From sending each order to the venue's word on it.
    gaps
        Where books and venue differed after a plan, in words.
    gap_usd
        The largest of these differences.
    """

    network: str
    minutes: float
    plans: int
    orders: int
    filled: int
    differences: tuple[str, ...]
    differing: int
    paid_usd: float
    stated_usd: float
    latencies_ms: tuple[float, ...]
    gaps: tuple[str, ...]
    gap_usd: float

    @property
    def equal_share(self) -> float:
        """Share of the orders that were planned, placed, filled and booked as one and the same."""
        return 1.0 - self.differing / self.orders if self.orders else math.nan

    @property
    def slippage_ratio(self) -> float:
        """Slippage paid over what the model states; nan where nothing filled."""
        return self.paid_usd / self.stated_usd if self.stated_usd else math.nan

    @property
    def latency_ms(self) -> float:
        """Mean of the latencies; nan without an order."""
        return fmean(self.latencies_ms) if self.latencies_ms else math.nan

    @property
    def score(self) -> float:
        """How far slippage and latency keep their bounds, on average, in [0, 1]; 0 where orders or books differ."""
        if self.differences or self.gap_usd > MOST_GAP_USD:
            return 0.0
        return fmean((_kept(self.slippage_ratio, MOST_SLIPPAGE_RATIO), _kept(self.latency_ms, MOST_LATENCY_MS)))


class Rehearses(Protocol):
    """Carries a rehearsal out at the venue of a person's settings."""

    @property
    def closes(self) -> int:
        """How many decisions it has time for."""
        ...

    def __call__(self, wanted: Sequence[Mapping[str, float]], costs: Costs, /) -> VenueRehearsal | NotRun:
        """Return what came of it, or why nothing was sent.

        Parameters
        ----------
        wanted
            Net positions over equity by symbol, one mapping per decision, the earliest first.
        costs
            State the slippage that is expected.
        """
        ...


def last_decisions(run: AccountRun, closes: int) -> list[dict[str, float]]:
    """Return what an account wanted at the last closes at which its strategy decided anything anew.

    Parameters
    ----------
    run
        The account over some days.
    closes
        At most so many.

    Returns
    -------
    list of dict
        Net positions over equity by symbol, signed, those of 0 left out; the earliest first.
    """
    virtual, market = run.setting.virtual, run.setting.market
    units = virtual.units[:-1]
    before = np.vstack([market.close_before, market.close[:-1]])
    fresh = np.flatnonzero((units != np.vstack([np.zeros_like(units[:1]), units[:-1]])).any(axis=1))
    places = [market.symbols.index(symbol) for _, _, symbol in virtual.legs]
    found = []
    for row in fresh[run.path.scale[fresh] > 0.0][-closes:].tolist():
        wanted = dict.fromkeys(market.symbols, 0.0)
        for leg, place in enumerate(places):
            if not math.isnan(price := float(before[row, place])):
                wanted[market.symbols[place]] += float(units[row, leg] * run.path.scale[row]) * price
        found.append({symbol: share for symbol, share in wanted.items() if share})
    return found


def _kept(value: float, most: float) -> float:
    return 0.0 if math.isnan(value) else 1.0 if value <= most else most / value
