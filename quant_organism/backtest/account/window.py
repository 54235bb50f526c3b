"""What an account walks over: the bars of a window as modelled fills see them, and the members' virtual positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.book import LegKey
from quant_organism.backtest.account.model import AccountBar, FillModel
from quant_organism.backtest.account.plan import AccountClose
from quant_organism.backtest.account.resting import LegLevels
from quant_organism.backtest.account.risk import Restraint
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel

Floats = NDArray[np.float64]

_VOLATILITY_DAYS = 30
_GONE_AFTER_HOURS = 24
_MISSED_SETTLEMENTS = 2


@dataclass(frozen=True, eq=False)
class AccountMarket:
    """Bars of N assets over a window of T bars; prices are NaN where an asset has no bar.

    Parameters
    ----------
    symbols
        The N assets, sorted.
    times
        Open times, UTC milliseconds, shape (T,).
    interval_ms
        Length of a bar.
    valid
        Whether an asset has a bar, shape (T, N).
    open, high, low, close, volume
        Shape (T, N).
    close_before
        Close of the bar before the window, NaN where there is none, shape (N,).
    funding_long, funding_short
        Fraction of the notional that a long pays at each close, and that a short receives, shape (T, N).
    impact_rate
        Further slippage of an order of one micro-USD in each bar; it goes with the root of the notional, shape (T, N).
    ended
        Row of the last bar of an asset that is not traded any more, T for the others, shape (N,).
    """

    symbols: tuple[str, ...]
    times: NDArray[np.int64]
    interval_ms: int
    valid: NDArray[np.bool_]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    close_before: Floats
    funding_long: Floats
    funding_short: Floats
    impact_rate: Floats
    ended: NDArray[np.int64]

    @classmethod
    def of(cls, panel: Panel, model: FillModel, *, start: int = 0, stop: int | None = None) -> AccountMarket:
        """Return rows `start` to `stop` of a panel.

        An asset without a bar in the last day of the window, or since before it, has ended; a shorter absence is a gap.

        Parameters
        ----------
        panel
            The market.
        model
            Says what unknown funding costs, and what impact orders have.
        start, stop
            Default: the whole panel.

        Raises
        ------
        InputError
            A window outside the panel.
        """
        last = panel.n_bars if stop is None else stop
        if not 0 <= start < last <= panel.n_bars:
            raise InputError(
                f"no window from bar {start} to {last} in a panel of {panel.n_bars} bars",
                remedy="give 0 <= start < stop <= T",
            )
        order = sorted(range(panel.n_assets), key=panel.symbols.__getitem__)
        rows = slice(start, last)
        valid = panel.valid[rows][:, order]
        unknown = _unknown_funding(panel)[rows][:, order]
        charged = np.where(unknown, model.unknown_funding * panel.interval.hours, 0.0)
        paid = np.where(unknown, 0.0, panel.funding_paid[rows][:, order])
        columns = {
            name: np.ascontiguousarray(getattr(panel, name)[rows][:, order])
            for name in ("open", "high", "low", "close", "volume")
        }
        before = np.full(len(order), np.nan)
        if start:
            before = np.where(panel.valid[start - 1][order], panel.close[start - 1][order], np.nan)
        return cls(
            symbols=tuple(panel.symbols[place] for place in order),
            times=panel.times[rows],
            interval_ms=panel.interval.milliseconds,
            valid=valid,
            **columns,
            close_before=before,
            funding_long=(paid + charged) * model.charge_funding,
            funding_short=(paid - charged) * model.charge_funding,
            impact_rate=_impact_rates(panel, model, last)[rows][:, order],
            ended=_last_rows(valid, panel.interval.hours),
        )

    @property
    def n_bars(self) -> int:
        """Number of bars T."""
        return int(self.times.size)

    def part(self, start: int, stop: int) -> AccountMarket:
        """Return bars `start` to `stop`."""
        rows = slice(start, stop)
        names = ("times", "valid", "open", "high", "low", "close", "volume")
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in (*names, "funding_long", "funding_short", "impact_rate")},
            close_before=np.where(self.valid[start - 1], self.close[start - 1], np.nan) if start else self.close_before,
            ended=self.ended - start,
        )

    def prices(self, row: int) -> dict[str, float]:
        """Return the closes that are known when bar `row` opens, of the assets that had a bar then, in USD."""
        if row:
            return self._by_symbol(row - 1, self._lists["close"])
        known = np.flatnonzero(np.isfinite(self.close_before))
        return {self.symbols[place]: float(self.close_before[place]) for place in known}

    def bar(self, row: int) -> AccountBar:
        """Return one bar as modelled fills see it."""
        columns = {name: self._by_symbol(row, rows) for name, rows in self._lists.items()}
        return AccountBar(time=int(self.times[row]), ended=self._ends.get(row, frozenset()), **columns)

    def _by_symbol(self, row: int, rows: list[list[float]]) -> dict[str, float]:
        # Of the assets that have a bar.
        places, values = self._places[row], rows[row]
        if len(places) == len(values):
            return dict(zip(self.symbols, values, strict=True))
        return {self.symbols[place]: values[place] for place in places}

    # What is asked for row by row stands in lists: one number after the other costs a tenth of what an array's does.

    @cached_property
    def _lists(self) -> dict[str, list[list[float]]]:
        names = ("open", "high", "low", "close", "volume", "funding_long", "funding_short", "impact_rate")
        return {name: getattr(self, name).tolist() for name in names}

    @cached_property
    def _places(self) -> list[list[int]]:
        return [np.flatnonzero(row).tolist() for row in self.valid]

    @cached_property
    def _ends(self) -> dict[int, frozenset[str]]:
        ended = self.ended.tolist()
        return {
            row: frozenset(symbol for symbol, last in zip(self.symbols, ended, strict=True) if last == row)
            for row in set(ended)
        }


@dataclass(frozen=True, eq=False)
class VirtualWindow:
    """Virtual positions of members over a window of T bars; they follow from the bars alone.

    Parameters
    ----------
    strategies
        The S strategies, sorted.
    legs
        The P legs, in the order of symbol, strategy, member.
    stopless
        Members, as (strategy, member), whose levels are no stops of their own.
    units
        Virtual units per unit of equity as decided at the close before each bar, and at the last, shape (T + 1, P).
    stops, targets
        Prices at which a leg leaves within each bar, NaN where it has none, shape (T, P).
    returns
        What each strategy returned virtually in the bar before each row, 0 in the first, shape (T + 1, S).
    shares
        Of each strategy its share of the equity at the close before each bar, shape (T + 1, S).
    restraints
        What is held against the targets at the close before each bar (`Restraint`), shape (T + 1, 3); without, nothing.
    """

    strategies: tuple[str, ...]
    legs: tuple[LegKey, ...]
    stopless: frozenset[tuple[str, str]]
    units: Floats
    stops: Floats
    targets: Floats
    returns: Floats
    shares: Floats
    restraints: Floats = field(default_factory=lambda: np.ones((0, len(Restraint._fields))))

    def __post_init__(self) -> None:
        if self.restraints.size == 0:
            object.__setattr__(self, "restraints", np.ones((len(self.units), len(Restraint._fields))))
        if list(self.legs) != sorted(self.legs, key=lambda leg: (leg[2], leg[0], leg[1])):
            raise InputError("legs are not in the order of symbol, strategy, member", where="virtual positions")
        rows, legs = self.stops.shape
        count = len(self.strategies)
        shapes = {
            "units": (rows + 1, legs),
            "targets": (rows, legs),
            "returns": (rows + 1, count),
            "shares": (rows + 1, count),
            "restraints": (rows + 1, len(Restraint._fields)),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} has shape {getattr(self, name).shape}, expected {shape}", where="window")

    @cached_property
    def virtual_returns(self) -> Floats:
        """Return of the virtual book in the bar before each row, shares counted, shape (T + 1,)."""
        total = np.zeros(len(self.returns))
        for place in range(len(self.strategies)):
            total += self.shares[:, place] * self.returns[:, place]
        return total

    def part(self, start: int, stop: int) -> VirtualWindow:
        """Return the positions of bars `start` to `stop`; two parts that meet know the same of the close between."""
        rows, further = slice(start, stop), slice(start, stop + 1)
        return VirtualWindow(
            self.strategies,
            self.legs,
            self.stopless,
            self.units[further],
            self.stops[rows],
            self.targets[rows],
            self.returns[further],
            self.shares[further],
            self.restraints[further],
        )

    def close(self, row: int, time: int, prices: Mapping[str, float]) -> AccountClose:
        """Return what an account knows at the close before bar `row`."""
        units, shares, held_back = (rows[row] for rows in self._lists[:3])
        return AccountClose(
            time,
            prices,
            {leg: held for leg, held in zip(self.legs, units, strict=True) if held},
            dict(zip(self.strategies, shares, strict=True)),
            float(self.virtual_returns[row]),
            self.stopless,
            Restraint(*held_back),
        )

    def levels(self, row: int) -> dict[LegKey, LegLevels]:
        """Return the levels that stand in bar `row`."""
        stops, targets = (rows[row] for rows in self._lists[3:])
        return dict(zip(self.legs, map(LegLevels, stops, targets), strict=True))

    @cached_property
    def _lists(self) -> tuple[list[list[float]], ...]:
        tables = self.units, self.shares, self.restraints, self.stops, self.targets
        return tuple(table.tolist() for table in tables)


def _unknown_funding(panel: Panel) -> NDArray[np.bool_]:
    # Whether what a holder pays in a bar is unknown: no rate yet, or two settlements that should have come have not.
    # Only the past tells when one is due: the smaller of the last two distances between settlements. Shape (T, N).
    unknown = ~np.isfinite(panel.funding_rate)
    rows = np.arange(panel.n_bars)
    for asset in range(panel.n_assets):
        settled = np.flatnonzero(panel.funding_paid[:, asset] != 0.0)
        if settled.size == 0:
            continue
        distances = np.diff(settled, prepend=settled[0] - panel.n_bars)
        due = np.minimum(distances, np.concatenate([distances[:1], distances[:-1]]))
        latest = np.searchsorted(settled, rows, side="right") - 1
        since = rows - settled[latest]
        unknown[:, asset] |= (latest >= 0) & (since > _MISSED_SETTLEMENTS * due[latest])
    return unknown


def _last_rows(valid: NDArray[np.bool_], bar_hours: float) -> NDArray[np.int64]:
    rows, assets = valid.shape
    ended = np.full(assets, rows, dtype=np.int64)
    for place in range(assets):
        traded = np.flatnonzero(valid[:, place])
        if traded.size and (rows - 1 - traded[-1]) * bar_hours >= _GONE_AFTER_HOURS:
            ended[place] = traded[-1]
    return ended


def _impact_rates(panel: Panel, model: FillModel, stop: int) -> Floats:
    # Daily volatility over the root of the volume of 24 hours, both as known when a bar opens; shape (stop, N).
    rates = np.zeros((stop, panel.n_assets))
    if model.impact == 0.0:
        return rates
    day = max(round(24 / panel.interval.hours), 1)
    for asset in range(panel.n_assets):
        rows = np.flatnonzero(panel.valid[:stop, asset])
        if rows.size < 2:
            continue
        close = panel.close[rows, asset]
        squares = np.diff(np.log(close), prepend=np.log(close[0])) ** 2
        volatility = np.sqrt(_trailing_means(squares, day * _VOLATILITY_DAYS) * day)
        traded = _trailing_means(close * panel.volume[rows, asset], day) * day * 1e6
        with np.errstate(divide="ignore"):
            rate = model.impact * volatility / np.sqrt(traded)
        rates[rows[1:], asset] = rate[:-1]
        rates[rows[0], asset] = rate[0]
    return rates


def _trailing_means(values: Sequence[float] | Floats, count: int) -> Floats:
    sums = np.cumsum(np.concatenate([[0.0], values]))
    places = np.arange(1, sums.size)
    before = np.maximum(places - count, 0)
    return np.asarray(np.maximum(sums[places] - sums[before], 0.0) / (places - before))
