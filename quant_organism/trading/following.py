"""A strategy as the trader follows it: its document, its virtual positions bar by bar, and what it says of a symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from quant_organism.backtest import Costs, MarketRow
from quant_organism.backtest.account import (
    LegKey,
    LegLevels,
    MarketWeather,
    Restraint,
    VirtualMarket,
    VirtualStream,
    VirtualWindow,
    member_name,
    virtual_window,
)
from quant_organism.deployment import StrategyConfig
from quant_organism.errors import InputError
from quant_organism.market import Interval
from quant_organism.market.panel import Panel
from quant_organism.strategies import COLUMNS, Committee, FittedModels, get_family
from quant_organism.trading.entries import ConditionBars, EntryCase
from quant_organism.trading.records import Role

_COLUMNS = ("open", "high", "low", "close", "volume", "funding_rate", "funding_paid", "valid")


class Followed(Protocol):
    """Who wants positions bar by bar: a strategy of a document, or a source of signals."""

    symbols: tuple[str, ...]
    since_ms: int
    is_leaving: bool
    virtual_return: float
    not_evaluated: dict[str, str]
    trouble: str

    @property
    def id(self) -> str:
        """Its identity."""
        ...

    @property
    def role(self) -> Role:
        """What becomes of its decisions."""
        ...

    @property
    def stage(self) -> str:
        """How far it has come."""
        ...

    @property
    def stored(self) -> str:
        """What it is, as it is written down."""
        ...

    @property
    def largest_share(self) -> float:
        """Of the equity that it may have."""
        ...

    @property
    def units(self) -> Mapping[LegKey, float]:
        """Virtual units per unit of equity of each leg that is in a trade (A1)."""
        ...

    @property
    def foreseen_loss(self) -> float:
        """What a bad day would cost, over its virtual equity, by its own models; 0 where it has none that tell."""
        ...

    @property
    def restraint(self) -> Restraint:
        """What the weather of its market holds back at the last close."""
        ...

    @property
    def weather(self) -> MarketWeather:
        """The weather of its market."""
        ...

    @property
    def stopless(self) -> frozenset[tuple[str, str]]:
        """Its members, as (strategy, member), that have no stops of their own (A7)."""
        ...

    def levels(self, opens: Mapping[str, float]) -> dict[LegKey, LegLevels]:
        """Return the levels of its legs in the bar that has just opened at these prices, USD."""
        ...

    def advance(self, row: MarketRow, symbols: Sequence[str]) -> None:
        """Take it through a bar of some symbols, its own among them."""
        ...

    def prepare(self) -> None:
        """Do what can be done of the next decision before its bar has come."""
        ...

    def agreement(self, symbol: str) -> float:
        """Return how sure it is of what it wants of a symbol, 0 to 1."""
        ...

    def evaluated(self, symbol: str) -> dict[str, Any]:
        """Return what it evaluated in a symbol at the last close."""
        ...

    def entry_case(self, symbol: str, price: float) -> EntryCase | None:
        """Return the entry that it wants, where a document names its size."""
        ...


class FollowedDocument:
    """What the followed of a document have in common: its identity and stage, its role, its symbols.

    Parameters
    ----------
    document
        What trades.
    role
        What becomes of its decisions.
    panel
        The session's market.
    since_ms
        The close at which it joins.

    Raises
    ------
    InputError
        The market lacks a symbol of its universe, or has bars of another length.
    """

    def __init__(self, document: StrategyConfig, role: Role, panel: Panel, *, since_ms: int) -> None:
        _check_market(document, panel)
        self.document, self.since_ms = document, since_ms
        self._role = role
        self.symbols = document.universe
        self.is_leaving = False
        """Whether it makes no entries any more, and leaves once it is flat."""
        self.trouble = ""
        """Why it cannot go on: never where its rules are this program's own."""
        self.virtual_return = 0.0
        """Of its virtual book in the last bar."""
        self.not_evaluated: dict[str, str] = {}
        """Of each symbol that could not be evaluated at the last close why not."""

    @property
    def id(self) -> str:
        """The strategy's identity."""
        return self.document.id

    @property
    def role(self) -> Role:
        """What becomes of its decisions."""
        return self._role

    @property
    def stage(self) -> str:
        """Of its document."""
        return self.document.stage

    @property
    def stored(self) -> str:
        """Its document's stored form; code is not in it."""
        return self.document.to_json().decode()

    @property
    def largest_share(self) -> float:
        """Of the equity that it may have: all that the session leaves it."""
        return 1.0

    @property
    def foreseen_loss(self) -> float:
        """What a bad day would cost by its own models: 0, it has none that tell."""
        return 0.0

    def prepare(self) -> None:
        """Do nothing: all that it decides needs the bar."""


class SeenBar(NamedTuple):
    """What a strategy sees of a bar.

    Parameters
    ----------
    closes
        Of its symbols, USD.
    unseen
        Of each symbol of which something is unknown why it cannot be evaluated.
    """

    closes: dict[str, float]
    unseen: dict[str, str]


class FollowedMarket:
    """The bars that several strategies follow from the same close on: what follows from these alone is made once.

    Parameters
    ----------
    history
        Bars before the first that they trade.
    """

    def __init__(self, history: Panel) -> None:
        self.history = history
        self._parts: dict[tuple[str, ...], tuple[Panel, VirtualMarket]] = {}
        self._row: MarketRow | None = None
        self._rows: dict[tuple[str, ...], MarketRow] = {}
        self._looked_at: MarketRow | None = None
        self._closes: dict[tuple[str, ...], dict[str, float]] = {}
        self._seen: dict[tuple[tuple[str, ...], tuple[str, ...]], SeenBar] = {}

    def part(self, symbols: tuple[str, ...]) -> tuple[Panel, VirtualMarket]:
        """Return the history of some symbols, in their order, and the market that begins with it."""
        if symbols not in self._parts:
            own = panel_of(self.history, symbols)
            self._parts[symbols] = own, VirtualMarket(symbols, own.interval, own)
        return self._parts[symbols]

    def row_of(self, row: MarketRow, symbols: Sequence[str], wanted: tuple[str, ...]) -> MarketRow:
        """Return a bar of some of its symbols, in their order."""
        if row is not self._row:
            self._row, self._rows = row, {}
        if wanted not in self._rows:
            self._rows[wanted] = row_of(row, symbols, wanted)
        return self._rows[wanted]

    def seen(self, row: MarketRow, symbols: tuple[str, ...], columns: tuple[str, ...]) -> SeenBar:
        """Return what who reads some columns sees of a bar of some symbols; it is looked at once, however many ask."""
        if row is not self._looked_at:
            self._looked_at, self._seen, self._closes = row, {}, {}
        if symbols not in self._closes:
            self._closes[symbols] = dict(zip(symbols, row.close.tolist(), strict=True))
        if (symbols, columns) not in self._seen:
            self._seen[symbols, columns] = SeenBar(self._closes[symbols], _unseen(row, symbols, columns))
        return self._seen[symbols, columns]


class FollowedStrategy(FollowedDocument):
    """A strategy bar by bar, on the symbols that it was bred on.

    Parameters
    ----------
    document
        What trades.
    role
        What becomes of its decisions.
    costs
        Of its sleeves.
    market
        Bars from before the first that it trades, of at least its own symbols; others that follow it share it.
    models
        Keeps fitted models.
    since_ms
        The close at which it joins.

    Raises
    ------
    InputError
        The market lacks a symbol of its universe, or has bars of another length.
    """

    def __init__(
        self,
        document: StrategyConfig,
        role: Role,
        costs: Costs,
        market: FollowedMarket,
        *,
        since_ms: int,
        models: FittedModels | None = None,
    ) -> None:
        super().__init__(document, role, market.history, since_ms=since_ms)
        self._market = market
        own, virtual = market.part(self.symbols)
        self._stream = VirtualStream(
            {self.id: document.committee}, self.symbols, own.interval, costs, models=models, market=virtual
        )
        self._bars = ConditionBars.of(document.committee, own)
        self._weights = [(member_name(member), member.weight, member.assets) for member in document.committee.members]
        self._columns = _columns_read(document.committee)
        self._closes, self.not_evaluated = self._seen(MarketRow.of(own, own.n_bars - 1))

    @property
    def units(self) -> Mapping[LegKey, float]:
        """Virtual units per unit of equity of each leg that is in a trade (A1)."""
        return self._stream.units()

    @property
    def foreseen_loss(self) -> float:
        """What a bad day would cost, over its virtual equity, by the models of its members."""
        return self._stream.foreseen_loss(self.id, self._closes)

    @property
    def stopless(self) -> frozenset[tuple[str, str]]:
        """Its members, as (strategy, member), that have no stops of their own (A7)."""
        return self._stream.stopless

    def window(self, panel: Panel, costs: Costs, share: float, start: int, stop: int) -> VirtualWindow:
        """Return what it wants on rows of a panel, with its share of the equity."""
        own, shares = panel_of(panel, self.symbols), {self.id: share}
        return virtual_window({self.id: self.document.committee}, own, costs, start=start, stop=stop, shares=shares)

    def levels(self, opens: Mapping[str, float]) -> dict[LegKey, LegLevels]:
        """Return the levels of its legs in the bar that has just opened at these prices, USD."""
        return self._stream.levels(opens)

    def advance(self, row: MarketRow, symbols: Sequence[str]) -> None:
        """Take its sleeves through a bar of some symbols, its own among them."""
        own = self._market.row_of(row, symbols, self.symbols)
        self._stream.advance(own)
        if self._bars is not None:
            self._bars.advance(own)
        self._closes, self.not_evaluated = self._seen(own)
        self.virtual_return = self._stream.virtual_return(self.id)

    def prepare(self) -> None:
        """Fit the models that the next close decides by, whose training rows have all come."""
        self._stream.prepare()

    @property
    def weather(self) -> MarketWeather:
        """The weather of its market, and where the breakers of it stand."""
        return self._stream.weather

    @property
    def restraint(self) -> Restraint:
        """What the weather of its market holds back at the last close."""
        return self.weather.restraint

    def evaluated(self, symbol: str) -> dict[str, Any]:
        """Return what its rule evaluated in a symbol at the last close.

        Returns
        -------
        dict
            Of a document of conditions each condition by where it stands: what is compared, both values and whether it
            holds; of every other committee each member that may trade the symbol: its weight, and what it wants as a
            share of the equity. Values that are not there yet are none.
        """
        if symbol in self.not_evaluated:
            return {}
        if self._bars is not None:
            return {
                found.path: {
                    "condition": str(found.condition),
                    "left": found.left if np.isfinite(found.left) else None,
                    "right": found.right if np.isfinite(found.right) else None,
                    "status": found.status,
                }
                for rule in self._bars.explained(symbol).rules
                for found in rule.conditions
            }
        price, units = self._closes[symbol], self._stream.units()
        return {
            member: {"weight": weight, "target": units.get((self.id, member, symbol), 0.0) * price}
            for member, weight, assets in self._weights
            if not assets or symbol in assets
        }

    def entry_case(self, symbol: str, price: float) -> EntryCase | None:
        """Return the entry that it wants in a symbol with a bar at the last close; none but of condition documents."""
        return None if self._bars is None else self._bars.case(symbol, price)

    def agreement(self, symbol: str) -> float:
        """Return how far its members agree on a symbol: net over gross weight of those that may trade it, 0 to 1."""
        units = self._stream.units()
        net = gross = 0.0
        for member, weight, assets in self._weights:
            if assets and symbol not in assets:
                continue
            gross += weight
            held = units.get((self.id, member, symbol), 0.0)
            net += weight * ((held > 0.0) - (held < 0.0))
        return abs(net) / gross if gross > 0.0 else 0.0

    def _seen(self, row: MarketRow) -> SeenBar:
        return self._market.seen(row, self.symbols, self._columns)


def _unseen(row: MarketRow, symbols: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    # Symbols without a bar, and those of whose bar something is unknown that is read.
    known = row.valid & np.isfinite(row.columns[[COLUMNS.index(name) for name in columns]]).all(axis=0)
    found: dict[str, str] = {}
    if known.all():
        return found
    for place in np.flatnonzero(~known).tolist():
        unknown = [name for name in columns if not np.isfinite(getattr(row, name)[place])]
        is_void = row.valid[place] and unknown
        found[symbols[place]] = f"unknown in its bar: {', '.join(unknown)}" if is_void else "no bar has closed"
    return found


def _columns_read(committee: Committee) -> tuple[str, ...]:
    # Of a bar, by any member.
    genomes = [member.genome for member in committee.members]
    read = {name for genome in genomes for name in get_family(genome.family).columns_of(genome.genes)}
    return tuple(name for name in COLUMNS if name in read)


def _check_market(document: StrategyConfig, panel: Panel) -> None:
    """Refuse a market that lacks a symbol of a document's universe, or has bars of another length."""
    missing = sorted(set(document.universe) - set(panel.symbols))
    if missing or Interval.parse(document.interval) != panel.interval:
        raise InputError(
            f"it trades {document.interval} bars of {', '.join(document.universe)}; here are {panel.interval} "
            f"bars without {', '.join(missing) or 'none of them'}",
            where=document.id,
            remedy="start a session of its interval and symbols",
        )


def followed_by(panel: Panel, row: MarketRow) -> Panel:
    """Return a panel with one more bar of its symbols; bars that are missing before it are gaps."""
    step = panel.interval.milliseconds
    begin = int(panel.times[-1]) + step
    count = (row.time - begin) // step + 1
    made: dict[str, Any] = {name: np.full((count, panel.n_assets), np.nan) for name in _COLUMNS[:6]}
    made |= {"funding_paid": np.zeros((count, panel.n_assets)), "valid": np.zeros((count, panel.n_assets), dtype=bool)}
    for name, values in made.items():
        values[-1] = getattr(row, name)
    for name in _COLUMNS[:5]:
        made[name][-1, ~row.valid] = np.nan
    made |= {"fear_greed": np.full(count, np.nan), "times": begin + step * np.arange(count)}
    made["fear_greed"][-1] = row.fear_greed
    joined: dict[str, Any] = {name: np.concatenate([getattr(panel, name), made[name]]) for name in made}
    return replace(panel, **joined)


def panel_of(panel: Panel, symbols: Sequence[str]) -> Panel:
    """Return a panel of some of its symbols, in their order."""
    if panel.symbols == tuple(symbols):
        return panel
    places = [panel.symbols.index(symbol) for symbol in symbols]
    columns: dict[str, Any] = {name: np.ascontiguousarray(getattr(panel, name)[:, places]) for name in _COLUMNS}
    return replace(panel, symbols=tuple(symbols), **columns)


def row_of(row: MarketRow, symbols: Sequence[str], wanted: Sequence[str]) -> MarketRow:
    """Return a bar of some of its symbols, in their order."""
    if tuple(symbols) == tuple(wanted):
        return row
    places = [symbols.index(symbol) for symbol in wanted]
    columns = {name: np.ascontiguousarray(getattr(row, name)[places]) for name in _COLUMNS}
    return MarketRow(time=row.time, fear_greed=row.fear_greed, **columns)
