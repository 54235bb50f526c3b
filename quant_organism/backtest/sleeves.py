"""Sleeves: the bars of each asset of a panel in the form that signals and the walk read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.costs import Costs
from quant_organism.backtest.kernel import AHEAD, SleeveBars
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import MS_PER_DAY, format_ms
from quant_organism.strategies.bank import Bars
from quant_organism.strategies.compiled import compiled

HOURS_PER_YEAR = 24 * 365


@dataclass(frozen=True, eq=False)
class Sleeve:
    """One asset inside a window of a panel: only its valid bars, from the panel's first row on.

    Parameters
    ----------
    signal_bars
        What families read, warm-up before the window included.
    bars
        What the walk reads.
    window_rows
        Row within the window of each valid bar of the window, shape (n - first,).
    has_gaps
        Whether these rows leave some out. Then `bars.origin` makes the walk count valid bars, not rows.
    """

    signal_bars: Bars
    bars: SleeveBars
    window_rows: NDArray[np.int64]
    has_gaps: bool

    @property
    def n_bars(self) -> int:
        """Number of valid bars inside the window."""
        return int(self.window_rows.size)


@dataclass(frozen=True, eq=False)
class Window:
    """Rows `start` to `stop` of a panel, in which genomes trade under given costs; rows before are warm-up."""

    panel: Panel
    costs: Costs
    start: int
    stop: int

    @property
    def n_bars(self) -> int:
        """Number of bars T' to trade and score."""
        return self.stop - self.start

    @property
    def times(self) -> NDArray[np.int64]:
        """Open times of the bars, UTC milliseconds, shape (T',)."""
        return self.panel.times[self.start : self.stop]

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days."""
        return HOURS_PER_YEAR / self.panel.interval.hours

    @property
    def assets_by_symbol(self) -> list[int]:
        """Columns of the panel in the order of their symbols."""
        return sorted(range(self.panel.n_assets), key=self.panel.symbols.__getitem__)

    @cached_property
    def day_starts(self) -> NDArray[np.int64]:
        """First bar of each UTC day, shape (D,)."""
        day = self.times // MS_PER_DAY
        return np.flatnonzero(np.diff(day, prepend=day[0] - 1))

    @property
    def days(self) -> NDArray[np.int64]:
        """First millisecond of each UTC day, shape (D,)."""
        return self.times[self.day_starts] // MS_PER_DAY * MS_PER_DAY

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """One over the number of assets that had a valid bar just before each row up to `stop`, shape (stop,)."""
        listed = self.panel.valid[: self.stop].sum(axis=1)
        before = np.concatenate([listed[:1], listed[:-1]])
        return np.asarray(1.0 / np.maximum(before, 1))

    def sleeve(self, asset: int) -> Sleeve:
        """Collect the valid bars of a column of the panel."""
        panel, stop = self.panel, self.stop
        rows = np.flatnonzero(panel.valid[:stop, asset])
        opens, high, low, close, volume = (
            np.ascontiguousarray(column[:stop, asset][rows])
            for column in (panel.open, panel.high, panel.low, panel.close, panel.volume)
        )
        settled = np.zeros(rows.size)
        if self.costs.charge_funding:
            np.cumsum(close * panel.funding_paid[:stop, asset][rows], out=settled)
        adverse, favourable = np.stack([-high, low]), np.stack([-low, high])
        first = int(np.searchsorted(rows, self.start))
        inside = rows[first:] - self.start
        has_gaps = bool(inside.size and inside[-1] - inside[0] >= inside.size)
        return Sleeve(
            signal_bars=Bars(
                open=opens,
                high=high,
                low=low,
                close=close,
                volume=volume,
                funding_rate=np.ascontiguousarray(panel.funding_rate[:stop, asset][rows]),
                numbers=panel.times[rows] // panel.interval.milliseconds,
                bar_hours=panel.interval.hours,
            ),
            bars=SleeveBars(
                opens=opens,
                close=close,
                adverse=adverse,
                favourable=favourable,
                worst_ahead=-_greatest_ahead(-adverse),
                best_ahead=_greatest_ahead(favourable),
                settled=settled,
                funded=close - settled,
                rows=rows,
                share=self.share[rows],
                first=first,
                origin=first if has_gaps or inside.size == 0 else first - int(inside[0]),
                delisted=bool(rows.size and rows[-1] < stop - 1),
            ),
            window_rows=inside,
            has_gaps=has_gaps,
        )


def _greatest_ahead(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Over each bar and the AHEAD - 1 after it, along the last axis; AHEAD is a power of two.
    span = 1
    while span < AHEAD:
        values = np.maximum(values[:, :-span], values[:, span:])
        span *= 2
    return values


def check_panel(panel: Panel, start: int, stop: int) -> None:
    """Refuse a panel that the rules are not defined on, before any work.

    Raises
    ------
    InputError
        Arrays of other shapes than (T, N), time stamps that are not a regular grid, a valid bar whose prices are not
        finite, positive and enclosed by low and high, or a window outside the panel.
    """
    shape = (panel.times.size, len(panel.symbols))
    for name in ("open", "high", "low", "close", "volume", "funding_paid", "valid"):
        array = getattr(panel, name)
        if array.shape != shape:
            raise InputError(f"{name} has shape {array.shape}, expected {shape} (bars, assets)", where="panel")
    steps = np.flatnonzero(np.diff(panel.times) != panel.interval.milliseconds)
    if steps.size:
        raise InputError(
            f"the bars are not one {panel.interval} apart",
            where=f"panel, after {format_ms(int(panel.times[steps[0]]))}",
            remedy="put the bars on a regular grid and mark the missing ones as not valid",
        )
    broken = _first_broken_bar(
        panel.open, panel.high, panel.low, panel.close, panel.volume, panel.funding_paid, panel.valid
    )
    if broken >= 0:
        bar, asset = divmod(int(broken), len(panel.symbols))
        found = ", ".join(
            f"{name} {getattr(panel, name)[bar, asset]}"
            for name in ("open", "high", "low", "close", "volume", "funding_paid")
        )
        raise InputError(
            f"not a possible bar: {found}",
            where=f"{panel.symbols[asset]} at {format_ms(int(panel.times[bar]))}",
            remedy="mark it as not valid, or repair it at its source",
        )
    if not 0 <= start < stop <= shape[0]:
        raise InputError(
            f"no window from bar {start} to {stop} in a panel of {shape[0]} bars", remedy="give 0 <= start < stop <= T"
        )


@compiled
def _first_broken_bar(
    opens: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    funding_paid: NDArray[np.float64],
    valid: NDArray[np.bool_],
) -> int:
    bars, assets = valid.shape
    for t in range(bars):
        for a in range(assets):
            enclosed = (low[t, a] <= min(opens[t, a], close[t, a])) & (high[t, a] >= max(opens[t, a], close[t, a]))
            finite = (low[t, a] > 0.0) & (high[t, a] < np.inf) & np.isfinite(opens[t, a]) & np.isfinite(close[t, a])
            paid = (volume[t, a] >= 0.0) & np.isfinite(volume[t, a]) & np.isfinite(funding_paid[t, a])
            if valid[t, a] and not (enclosed & finite & paid):
                return int(t * assets + a)
    return -1
