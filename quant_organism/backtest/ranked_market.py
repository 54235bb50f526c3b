"""A window of a panel as cross-sectional genomes see it: what they decide on, and what their books trade."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.costs import Costs
from quant_organism.market.panel import Panel
from quant_organism.strategies.cross_section.history import CrossSectionBars

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class BookMarket(NamedTuple):
    """Bars of N assets in the order of their symbols, over the rows of a panel up to a window's end.

    Parameters
    ----------
    opens, close, volume, paid, valid
        As `book.trade_book_bar` reads them, shape (T, N).
    long_returns
        Return of a long unit in each bar of the window, 0 without a bar, shape (T', N).
    """

    opens: Floats
    close: Floats
    volume: Floats
    paid: Floats
    valid: Flags
    long_returns: Floats


@dataclass(frozen=True, eq=False)
class RankedMarket:
    """A window as cross-sectional genomes see it.

    Parameters
    ----------
    bars
        What they decide on.
    market
        What they trade.
    order
        Column of the panel of each asset, shape (N,): assets stand in the order of their symbols here.
    first_marks
        Last close before the window and its row, for each asset, shape (N, 2).
    """

    bars: CrossSectionBars
    market: BookMarket
    order: Ints
    first_marks: Floats

    @classmethod
    def of(cls, panel: Panel, costs: Costs, start: int, stop: int, long_returns: Floats) -> RankedMarket:
        """Collect the rows of a panel before `stop`; `long_returns` are those of its assets, shape (T', N)."""
        order = np.array(sorted(range(panel.n_assets), key=panel.symbols.__getitem__), dtype=np.int64)

        def columns(values: Floats) -> Floats:
            return np.ascontiguousarray(values[:stop][:, order])

        valid = np.ascontiguousarray(panel.valid[:stop][:, order])
        close, paid = columns(panel.close), columns(panel.funding_paid)
        market = BookMarket(
            opens=columns(panel.open),
            close=close,
            volume=columns(panel.volume) / costs.capital_usd,
            paid=paid if costs.charge_funding else np.zeros_like(paid),
            valid=valid,
            long_returns=np.ascontiguousarray(np.nan_to_num(long_returns[:, order])),
        )
        return cls(CrossSectionBars.of(panel, stop), market, order, latest_marks(close[:start], valid[:start]))


def latest_marks(close: Floats, valid: Flags) -> Floats:
    """Return the last close of each asset and its row, 0 and minus infinity without any, shape (N, 2)."""
    marks = np.tile([0.0, -math.inf], (valid.shape[1], 1))
    for asset in range(valid.shape[1]):
        rows = np.flatnonzero(valid[:, asset])
        if rows.size:
            marks[asset] = close[rows[-1], asset], rows[-1]
    return marks
