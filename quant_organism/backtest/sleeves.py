"""Sleeves: the bars of each asset of a panel in the form that signals and the walk read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.allocation import Allocation, allocate
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.kernel import AHEAD
from quant_organism.backtest.layout import N_CONTEXT, Friction, SleeveBars
from quant_organism.backtest.ranked_market import RankedMarket
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import MS_PER_DAY, format_ms
from quant_organism.market.sentiment import beyond
from quant_organism.market.splits import LONGEST_HOLDING_HOURS
from quant_organism.strategies import AssetBars, IndicatorStore
from quant_organism.strategies.indicators.extremes import maximum_rows

HOURS_PER_YEAR = 24 * 365


@dataclass(frozen=True, eq=False)
class Sleeve:
    """One asset inside a window of a panel: only its valid bars, from the panel's first row on.

    Parameters
    ----------
    signal_bars
        What families read, warm-up before the window included.
    rated
        Those of them that have a funding rate, by number; what families read that need one.
    bars
        What the walk reads.
    friction
        What trading the asset costs.
    window_rows
        Row within the window of each valid bar of the window, shape (n - first,).
    has_gaps
        Whether these rows leave some out. Then `bars.origin` makes the walk count valid bars, not rows.
    delay_bars
        How many bars late every target is acted on (rule 20).
    """

    signal_bars: AssetBars
    rated: NDArray[np.int64]
    bars: SleeveBars
    friction: Friction
    window_rows: NDArray[np.int64]
    has_gaps: bool
    delay_bars: int

    @property
    def n_bars(self) -> int:
        """Number of valid bars inside the window."""
        return int(self.window_rows.size)

    @property
    def volume_is_limited(self) -> bool:
        """Whether orders may fill in parts (rule 16), which takes steps instead of the walk."""
        return bool(self.friction.participation < np.inf)

    @cached_property
    def rated_bars(self) -> AssetBars:
        """The bars that have a funding rate."""
        every = self.signal_bars
        if self.rated.size == every.numbers.size:
            return every
        return every.part(self.rated, "rated")


@dataclass(frozen=True, eq=False)
class EvaluationWindow:
    """Rows `start` to `stop` of a panel, in which genomes trade under given costs; rows before are warm-up."""

    panel: Panel
    costs: Costs
    start: int
    stop: int
    store: IndicatorStore
    stops_from_next_bar: bool = False
    delay_bars: int = 0

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
        """AssetBars in 365 days."""
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

    @property
    def market(self) -> str:
        """Name under which a store keeps what is computed from these bars."""
        return f"{self.panel.hash}, {self.stop}"

    @cached_property
    def traded_assets(self) -> list[int]:
        """Columns of the panel that have bars in the window, in the order of their symbols."""
        valid = self.panel.valid[self.start : self.stop]
        return [asset for asset in self.assets_by_symbol if valid[:, asset].any()]

    @cached_property
    def sleeves(self) -> dict[int, Sleeve]:
        """The sleeves of the assets that are traded."""
        return {asset: self.sleeve(asset) for asset in self.traded_assets}

    @cached_property
    def allocation(self) -> Allocation:
        """Scores and turbulence of all assets over the whole panel; each bar knows its past only."""
        panel = self.panel

        def ranked() -> tuple[NDArray[Any], ...]:
            found = allocate(panel.high, panel.low, panel.close, panel.volume, panel.valid, panel.interval.hours)
            return found.ranks, found.listed, found.turbulence

        return Allocation(*self.store.remember(f"allocation of {panel.hash}".encode(), ranked))

    @cached_property
    def rank_sums(self) -> NDArray[np.float64]:
        """Sums of the three ranks over the assets with a bar, in the order of symbols, shape (T, 3)."""
        sums = np.zeros((self.panel.n_bars, 3))
        for asset in self.assets_by_symbol:
            sums += self.allocation.ranks[:, asset]
        return sums

    @cached_property
    def asset_returns(self) -> NDArray[np.float64]:
        """Return of one long unit of each asset in each bar, funding paid; NaN without a bar, shape (T', N)."""
        returns = np.full((self.n_bars, self.panel.n_assets), np.nan)
        for asset in range(self.panel.n_assets):
            rows = np.flatnonzero(self.panel.valid[: self.stop, asset])
            inside = rows >= self.start
            returns[rows[inside] - self.start, asset] = self._long_returns(rows, asset)[inside]
        return returns

    @cached_property
    def market_returns(self) -> NDArray[np.float64]:
        """Mean of the assets' returns in each bar, 0 without any, shape (T',)."""
        total, listed = np.zeros(self.n_bars), np.zeros(self.n_bars)
        for asset in self.assets_by_symbol:
            known = np.isfinite(self.asset_returns[:, asset])
            total += np.where(known, self.asset_returns[:, asset], 0.0)
            listed += known
        return np.asarray(total / np.maximum(listed, 1.0))

    @cached_property
    def ranked(self) -> RankedMarket:
        """The window as genomes see it that rank the assets."""
        return RankedMarket.of(self.panel, self.costs, self.start, self.stop, self.asset_returns)

    def _long_returns(self, rows: NDArray[np.int64], asset: int) -> NDArray[np.float64]:
        close = self.panel.close[rows, asset]
        before = np.concatenate([close[:1], close[:-1]])
        paid = close * self.panel.funding_paid[rows, asset] if self.costs.charge_funding else 0.0
        returns = (close - before - paid) / before
        returns[:1] = 0.0
        return np.asarray(returns)

    def sleeve(self, asset: int) -> Sleeve:
        """Collect the valid bars of a column of the panel."""
        panel, stop, costs = self.panel, self.stop, self.costs
        rows = np.flatnonzero(panel.valid[:stop, asset])
        opens, high, low, close, volume = (
            np.ascontiguousarray(column[:stop, asset][rows])
            for column in (panel.open, panel.high, panel.low, panel.close, panel.volume)
        )
        settled = np.zeros(rows.size)
        if costs.charge_funding:
            np.cumsum(close * panel.funding_paid[:stop, asset][rows], out=settled)
        adverse, favourable = np.stack([-high, low]), np.stack([-low, high])
        first = int(np.searchsorted(rows, self.start))
        inside = rows[first:] - self.start
        has_gaps = bool(inside.size and inside[-1] - inside[0] >= inside.size)
        context = np.empty((rows.size, N_CONTEXT))
        context[:, :3] = self.allocation.ranks[rows, asset]
        context[:, 3:6] = self.rank_sums[rows]
        context[:, 6] = self.allocation.listed[rows]
        context[:, 7] = self.allocation.turbulence[rows, asset]
        context[:, 8], context[:, 9] = beyond(panel.fear_greed[rows])
        return Sleeve(
            signal_bars=signal_bars(panel, asset, stop, self.market),
            rated=np.flatnonzero(np.isfinite(panel.funding_rate[rows, asset])),
            bars=SleeveBars(
                opens=opens,
                close=close,
                adverse=adverse,
                favourable=favourable,
                worst_ahead=-_greatest_ahead(-adverse),
                best_ahead=_greatest_ahead(favourable),
                settled=settled,
                funded=close - settled,
                market=self._long_returns(rows, asset),
                volume=volume / costs.capital_usd,
                rows=rows,
                context=context,
                first=first,
                origin=first if has_gaps or inside.size == 0 else first - int(inside[0]),
                delisted=bool(rows.size and rows[-1] < stop - 1),
                funding_reach=_funding_reach(opens, settled, costs.slippage, panel.interval.hours),
            ),
            friction=friction_of(costs, panel.symbols[asset], stops_from_next_bar=self.stops_from_next_bar),
            window_rows=inside,
            has_gaps=has_gaps,
            delay_bars=self.delay_bars,
        )


def friction_of(costs: Costs, symbol: str, *, stops_from_next_bar: bool = False) -> Friction:
    """Return what trading an asset costs in the form that the engines read."""
    tiers = costs.tiers(symbol)
    bounds = np.array([bound for bound, _ in tiers]) / costs.capital_usd
    rates = np.array([0.5 / most for _, most in tiers])
    return Friction(
        taker_fee=costs.taker_fee,
        maker_fee=costs.maker_fee,
        slippage=costs.slippage,
        margin=1.0 / min(costs.leverage, tiers[0][1]),
        tier_bounds=bounds,
        maintenance=rates,
        deductions=np.cumsum(bounds * np.diff(rates, prepend=rates[:1])),
        participation=np.inf if costs.max_participation is None else costs.max_participation,
        impact=costs.impact_bps / 10_000.0,
        stops_from_next_bar=stops_from_next_bar,
    )


def signal_bars(panel: Panel, asset: int, stop: int, market: str = "") -> AssetBars:
    """Return the valid bars of a column of the panel before row `stop`, as families read them.

    With a name for the market, a store may keep what is computed from them.
    """
    rows = np.flatnonzero(panel.valid[:stop, asset])
    columns = {
        name: np.ascontiguousarray(getattr(panel, name)[:stop, asset][rows])
        for name in ("open", "high", "low", "close", "volume", "funding_rate")
    }
    return AssetBars(
        **columns,
        numbers=panel.times[rows] // panel.interval.milliseconds,
        bar_hours=panel.interval.hours,
        market=market,
        asset=panel.symbols[asset],
    )


def _funding_reach(
    opens: NDArray[np.float64], settled: NDArray[np.float64], slippage: float, bar_hours: float
) -> NDArray[np.float64]:
    # Most that one unit entered at any open pays until it must be closed, over its entry price: short, long.
    reach = np.zeros(2)
    bars = math.ceil(LONGEST_HOLDING_HOURS / bar_hours)
    if not settled.any():
        return reach
    for row, side in ((0, -1.0), (1, 1.0)):
        paid = np.concatenate([side * settled, np.full(bars, -np.inf)])
        most = maximum_rows(paid, np.array([bars]))[0, bars:]
        reach[row] = max(
            0.0, float(np.max((most - side * settled)[: opens.size - 1] / (opens[1:] * (1.0 - slippage)), initial=0.0))
        )
    return reach


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
    enclosed = (panel.low <= np.minimum(panel.open, panel.close)) & (panel.high >= np.maximum(panel.open, panel.close))
    finite = (panel.low > 0.0) & (panel.high < np.inf) & np.isfinite(panel.open) & np.isfinite(panel.close)
    paid = (panel.volume >= 0.0) & np.isfinite(panel.volume) & np.isfinite(panel.funding_paid)
    broken = np.flatnonzero(panel.valid & ~(enclosed & finite & paid))
    if broken.size:
        bar, asset = divmod(int(broken[0]), len(panel.symbols))
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
