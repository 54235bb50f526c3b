"""Committees' virtual positions bar by bar: what replay and paper trading feed an account with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.book import LegKey
from quant_organism.backtest.account.committee import member_name, stopless_members, virtual_costs
from quant_organism.backtest.account.plan import AccountClose
from quant_organism.backtest.account.resting import LegLevels
from quant_organism.backtest.account.weather import MarketWeather
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.cross_section.stream import BookStream
from quant_organism.backtest.market_row import MarketRow
from quant_organism.backtest.market_stream import MarketStream
from quant_organism.backtest.stream import GenomeStream, open_stream
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import Committee, FittedModels, get_family
from quant_organism.strategies.committee import Member


class VirtualMarket:
    """What all committees on the same symbols see of their market, bar by bar: its bars, their ranks, its weather.

    Parameters
    ----------
    symbols, interval
        The N assets and the length of a bar.
    history
        Bars before the first that is traded.

    Attributes
    ----------
    bars
        Of these assets.
    weather
        Of the market of all symbols.
    """

    def __init__(self, symbols: Sequence[str], interval: Interval, history: Panel | None = None) -> None:
        self.bars = MarketStream(symbols, interval, history)
        self.weather = MarketWeather(self.bars.symbols, interval.milliseconds)
        if history is not None:
            self.weather.follow(history, history.n_bars)
        self._seen: int | None = None
        self._opens: tuple[Mapping[str, float], NDArray[np.float64]] | None = None

    def prices_of(self, opens: Mapping[str, float]) -> NDArray[np.float64]:
        """Return prices in the order of the symbols, NaN without one, shape (N,); made once, however many ask."""
        if self._opens is None or self._opens[0] is not opens:
            self._opens = opens, np.array([opens.get(symbol, np.nan) for symbol in self.bars.symbols])
        return self._opens[1]

    def look_at(self, row: MarketRow) -> None:
        """Move the weather to a bar, once however many ask."""
        if row.time != self._seen:
            self._seen = row.time
            self.weather.advance(row.time, row.close, row.valid)


class _FollowedMember(NamedTuple):
    # A member of a committee: its strategy and weight, what follows it, the assets that it trades with their legs, and
    # whether its models tell of the coming day.
    strategy: str
    weight: float
    stream: GenomeStream | BookStream
    legs: list[tuple[int, LegKey]]
    foresees: bool


class VirtualStream:
    """Follow committees bar by bar.

    Parameters
    ----------
    committees
        By the name of their strategy.
    symbols, interval
        The N assets and the length of a bar.
    costs
        Of the sleeves; a limit on volume is left to the account's own fills.
    history
        Bars before the first that is traded.
    models
        Keeps fitted models.
    market
        The bars, with their history, where others follow them too; none: they are this stream's own.
    """

    def __init__(
        self,
        committees: Mapping[str, Committee],
        symbols: Sequence[str],
        interval: Interval,
        costs: Costs,
        *,
        history: Panel | None = None,
        models: FittedModels | None = None,
        market: VirtualMarket | None = None,
    ) -> None:
        self.committees, self.symbols, self.interval = dict(committees), tuple(symbols), interval
        own, kept = virtual_costs(costs), models or FittedModels()
        self._members = [
            (name, member)
            for name in sorted(self.committees)
            for member in sorted(self.committees[name].members, key=member_name)
        ]
        self._market = market or VirtualMarket(self.symbols, interval, history)
        self._followed = [
            _FollowedMember(
                name,
                member.weight,
                open_stream(member.genome, self.symbols, interval, own, models=kept, market=self._market.bars),
                [(asset, (name, member_name(member), self.symbols[asset])) for asset in self._traded(member)],
                get_family(member.genome.family).foresees,
            )
            for name, member in self._members
        ]
        self._stopless = stopless_members(self.committees)
        self._units: dict[LegKey, float] | None = None

    def close(self, time: int, prices: Mapping[str, float], shares: Mapping[str, float] | None = None) -> AccountClose:
        """Return what an account knows at the last close.

        Parameters
        ----------
        time
            The close, UTC milliseconds.
        prices
            Of the symbols that had a bar, USD.
        shares
            Of each strategy its share of the equity; 1 without.
        """
        stated = {name: (shares or {}).get(name, 1.0) for name in sorted(self.committees)}
        total = 0.0
        for name in sorted(self.committees):
            total += stated[name] * self.virtual_return(name)
        return AccountClose(time, prices, self.units(), stated, total, self.stopless, restraint=self.weather.restraint)

    @property
    def weather(self) -> MarketWeather:
        """Of the market of all symbols."""
        return self._market.weather

    @property
    def stopless(self) -> frozenset[tuple[str, str]]:
        """Members, as (strategy, member), that have no stops of their own."""
        return self._stopless

    def units(self) -> Mapping[LegKey, float]:
        """Return the virtual units of each leg that is in a trade; what was returned stays as it is."""
        if self._units is None:
            self._units = {}
            for member in self._followed:
                own = member.stream.units.tolist()
                for asset, leg in member.legs:
                    if own[asset] != 0.0:
                        self._units[leg] = own[asset] * member.weight
        return self._units

    def levels(self, opens: Mapping[str, float]) -> dict[LegKey, LegLevels]:
        """Return the levels of the legs that are in a trade, in the bar that has just opened at these prices, USD."""
        prices = self._market.prices_of(opens)
        units, levels = self.units(), dict[LegKey, LegLevels]()
        for member in self._followed:
            held = [(asset, leg) for asset, leg in member.legs if leg in units]
            if held:
                stops, targets = (found.tolist() for found in member.stream.levels(prices))
                for asset, leg in held:
                    levels[leg] = LegLevels(stops[asset], targets[asset])
        return levels

    def foreseen_loss(self, name: str, prices: Mapping[str, float]) -> float:
        """Return what a bad day would cost a strategy, over its virtual equity, by its own members' models.

        All that its members hold goes at once to the level that they foresee against it; members that foresee nothing
        count for nothing.

        Parameters
        ----------
        name
            The strategy.
        prices
            Of the symbols at the last close, USD; one that is not finite has no price.
        """
        total = 0.0
        for member in self._followed:
            if member.strategy != name or not isinstance(member.stream, GenomeStream) or not member.foresees:
                continue
            days, units = member.stream.foreseen_days(), member.stream.units.tolist()
            for asset, leg in member.legs:
                held, price = units[asset], prices.get(leg[2], math.nan)
                if held == 0.0 or not math.isfinite(price):
                    continue
                move = float(np.expm1(days[asset, 0 if held > 0.0 else 1]))
                total += member.weight * max(-held * move, 0.0) * price
        return total

    def virtual_return(self, name: str) -> float:
        """Return what the virtual book of a strategy has returned in the last bar."""
        total = 0.0
        for member in self._followed:
            if member.strategy == name:
                portfolio, returns = 0.0, member.stream.sleeve_returns.tolist()
                for asset, _ in member.legs:
                    portfolio += returns[asset]
                total += member.weight * portfolio
        return total

    def advance(self, row: MarketRow) -> None:
        """Take all sleeves through a bar."""
        self._units = None
        self._market.look_at(row)
        for member in self._followed:
            member.stream.advance(row)

    def prepare(self) -> None:
        """Do what can be done of the next decisions before their bar has come; nothing else changes."""
        for member in self._followed:
            if isinstance(member.stream, GenomeStream):
                member.stream.prepare()

    def _traded(self, member: Member) -> list[int]:
        # In the order of symbols.
        traded = [place for place, symbol in enumerate(self.symbols) if not member.assets or symbol in member.assets]
        return sorted(traded, key=self.symbols.__getitem__)
