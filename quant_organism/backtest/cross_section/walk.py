"""Cross-sectional genomes over a window: decisions, the book that follows them, and what is counted of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from quant_organism.backtest import layout
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.cross_section.book import (
    ASSET,
    BOUGHT,
    GAIN,
    GONE_HOURS,
    GUARD,
    HELD,
    LATEST,
    MARK,
    N_BOOK_TRADE,
    PRICE,
    UNITS,
    BookFriction,
    Flags,
    Floats,
    Ints,
    decide_book,
    end_book,
    new_book,
    trade_book_bar,
)
from quant_organism.backtest.ranked_market import BookMarket
from quant_organism.backtest.sleeves import EvaluationWindow
from quant_organism.kernels.compiled import compiled
from quant_organism.strategies import Genome, get_family
from quant_organism.strategies.cross_section.family import CrossSectionFamily


def ranking_family(genome: Genome) -> CrossSectionFamily:
    """Return the family of a genome that ranks."""
    return cast("CrossSectionFamily", get_family(genome.family))


def book_friction(costs: Costs, bar_hours: float) -> BookFriction:
    """Return what trading costs in the form that books read."""
    return BookFriction(
        taker_fee=costs.taker_fee,
        slippage=costs.slippage,
        participation=np.inf if costs.max_participation is None else costs.max_participation,
        impact=costs.impact_bps / 10_000.0,
        gone_rows=math.ceil(GONE_HOURS / bar_hours),
    )


@dataclass(frozen=True, eq=False)
class BookPath:
    """What one genome's book did in a window of T' bars; assets are in the order of their symbols.

    Parameters
    ----------
    returns, held
        Net return of each bar, and whether anything is held through its close, shape (T',).
    gains
        Of each asset the part of the return that it brought, shape (T', N); empty unless asked for.
    units
        Units wanted per unit of equity as decided before each bar, and at the last close, shape (T' + 1, N); empty
        unless asked for.
    guards
        Levels that guard an account against disaster in each bar, NaN without a position or bar, shape (T', N).
    totals
        As the sleeves', shape (N, N_TOTALS): returns are the parts that assets brought.
    trades
        Shape (any, N_BOOK_TRADE), in the order in which they ended, those last that are open.
    """

    returns: Floats
    held: Flags
    gains: Floats
    units: Floats
    guards: Floats
    totals: Floats
    trades: Floats


def walk_genome(genome: Genome, window: EvaluationWindow, *, gains: bool = False, units: bool = False) -> BookPath:
    """Trade a cross-sectional genome over a window (rules X1 to X6).

    Parameters
    ----------
    genome
        Of a family that ranks.
    window
        Where and at which costs.
    gains, units
        Whether these are wanted.
    """
    ranked, start, stop = window.ranked, window.start, window.stop
    family, hours = ranking_family(genome), window.panel.interval.hours
    decided = np.flatnonzero(family.decides(genome.genes, ranked.bars.numbers, hours))
    # What was decided at the close before the window is traded at its first open; nothing earlier is.
    rows = decided + window.delay_bars
    inside = (rows >= start - 1) & (rows < stop)
    weights = np.ascontiguousarray(family.weights(ranked.bars.view(decided[inside]), genome.genes).T)
    assets, bars = window.panel.n_assets, window.n_bars
    none = np.empty((0, assets))
    path = BookPath(
        returns=np.zeros(bars),
        held=np.zeros(bars, dtype=np.bool_),
        gains=np.zeros((bars, assets)) if gains else none,
        units=np.zeros((bars + 1, assets)) if units else none,
        guards=np.full((bars, assets), np.nan) if units else none,
        totals=np.zeros((assets, layout.N_TOTALS)),
        # A trade ends at most once for each asset and decision, and at the end.
        trades=np.empty(((len(weights) + 1) * assets, N_BOOK_TRADE)),
    )
    book = new_book(assets)
    book[:, [MARK, LATEST]] = ranked.first_marks
    count = _walk(
        start,
        rows[inside],
        weights,
        ranked.market,
        float(genome.genes["band"]),  # type: ignore[arg-type]
        book_friction(window.costs, hours),
        book,
        (path.returns, path.held, path.gains, path.units, path.guards, path.totals, path.trades),
    )
    _count_trades(path.trades[:count], path.totals)
    return BookPath(path.returns, path.held, path.gains, path.units, path.guards, path.totals, path.trades[:count])


def _count_trades(trades: Floats, totals: Floats) -> None:
    ended = trades[trades[:, layout.REASON] != layout.OPEN]
    asset, earned = ended[:, ASSET].astype(np.int64), ended[:, layout.RETURN]
    counted = {
        layout.TRADES: np.ones(len(ended)),
        layout.WINS: earned > 0.0,
        layout.GAINS: np.maximum(earned, 0.0),
        layout.LOSSES: np.maximum(-earned, 0.0),
        layout.HELD_BARS: ended[:, layout.EXIT_BAR] - ended[:, layout.ENTRY_BAR],
    }
    for column, values in counted.items():
        np.add.at(totals[:, column], asset, values)


@compiled
def _walk(
    start: int,
    rows: Ints,
    weights: Floats,
    market: BookMarket,
    band: float,
    friction: BookFriction,
    book: Floats,
    path: tuple[Floats, Flags, Floats, Floats, Floats, Floats, Floats],
) -> int:
    returns, held, gains, units, guards, totals, trades = path
    assets = market.valid.shape[1]
    peak = np.ones(assets)
    totals[:, layout.EQUITY] = totals[:, layout.DEEPEST] = 1.0
    equity, count, place = 1.0, 0, 0
    if rows.size > 0 and rows[0] == start - 1:
        decide_book(equity, weights[0], band, book)
        place = 1
    for t in range(returns.size):
        row = start + t
        decides = place < rows.size and rows[place] == row
        if units.shape[0] > 0:
            for a in range(assets):
                units[t, a] = book[a, UNITS]
                if market.valid[row, a] and book[a, UNITS] != 0.0:
                    guards[t, a] = book[a, GUARD]
        if equity > 0.0:
            after, count = trade_book_bar(
                row,
                market.opens[row],
                market.close[row],
                market.volume[row],
                market.paid[row],
                market.valid[row],
                decides,
                equity,
                friction,
                book,
                trades,
                count,
            )
            for a in range(assets):
                own, gain = totals[a], book[a, GAIN]
                if book[a, BOUGHT] != 0.0:
                    own[layout.TURNOVER] += abs(book[a, BOUGHT]) * book[a, PRICE] / equity
                if gain != 0.0:
                    returns[t] += gain
                    if gains.shape[0] > 0:
                        gains[t, a] = gain
                    own[layout.RETURN_SUM] += gain
                    own[layout.RETURN_SQUARES] += gain * gain
                    own[layout.LOSS_SQUARES] += gain * gain if gain < 0.0 else 0.0
                    own[layout.MARKET_PRODUCTS] += gain * market.long_returns[t, a]
                    own[layout.EQUITY] *= 1.0 + gain
                    peak[a] = max(peak[a], own[layout.EQUITY])
                    own[layout.DEEPEST] = min(own[layout.DEEPEST], own[layout.EQUITY] / peak[a])
                if book[a, HELD] != 0.0:
                    held[t] = True
                    worth = book[a, HELD] * book[a, MARK] / after
                    own[layout.EXPOSURE] += abs(worth)
                    own[layout.NET_EXPOSURE] += worth
                    own[layout.BARS_IN_POSITION] += 1.0
            equity = after
        if decides:
            decide_book(equity, weights[place], band, book)
            place += 1
    for a in range(assets):
        if units.shape[0] > 0:
            units[returns.size, a] = book[a, UNITS]
    return end_book(start + returns.size - 1, equity, book, trades, count)
