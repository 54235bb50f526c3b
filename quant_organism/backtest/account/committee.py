"""The account over committees: what their members hold virtually in a window, and what accounts make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.book import AccountBook, LegKey
from quant_organism.backtest.account.model import FillModel
from quant_organism.backtest.account.risk import RiskState
from quant_organism.backtest.account.rules import AccountRules, traded_assets
from quant_organism.backtest.account.walk import AccountPath, walk
from quant_organism.backtest.account.window import AccountMarket, VirtualWindow
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.evaluator import Evaluator
from quant_organism.market.panel import Panel
from quant_organism.market.schema import MS_PER_DAY
from quant_organism.strategies import Committee
from quant_organism.strategies.committee import Member

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AccountSetting:
    """What accounts of any size share: a market, virtual positions in it, and what binds and costs trading.

    Parameters
    ----------
    market, virtual
        Bars and virtual positions of the window.
    costs
        Hold the margin tiers.
    model
        What fills cost.
    rules
        Limits of the account.
    sz_decimals
        Decimals of sizes as the venue states them, by symbol; others are assumed (`traded_assets`).
    daily_before
        Daily returns of the virtual book before the window; without, the account is flat until its risk is known.
    """

    market: AccountMarket
    virtual: VirtualWindow
    costs: Costs
    model: FillModel
    rules: AccountRules
    sz_decimals: Mapping[str, int]
    daily_before: tuple[float, ...] = ()

    def opened(self, capital_usd: float, name: str = "backtest") -> AccountBook:
        """Return an account of so much capital before the window's first plan."""
        prices = dict(zip(self.market.symbols, self._first_prices(), strict=True))
        assets = traded_assets(
            self.market.symbols,
            {symbol: price for symbol, price in prices.items() if price > 0.0},
            self.costs,
            self.sz_decimals,
        )
        account = AccountBook.opened(name, self.rules, assets, round(capital_usd * 1e6))
        account.risk = RiskState.seeded(self.daily_before, self.rules)
        return account

    def run(self, capital_usd: float, *, model: FillModel | None = None, digests: bool = True) -> AccountRun:
        """Take an account of so much capital over the window; without digests, where only its figures matter."""
        account = self.opened(capital_usd)
        path = walk(account, self.market, self.virtual, model or self.model, digests=digests)
        return AccountRun(account, path, self.virtual)

    def with_model(self, panel: Panel, model: FillModel, *, start: int = 0, stop: int | None = None) -> AccountSetting:
        """Return the same with other fills, whose impact is that of the window's own bars of the panel."""
        return replace(self, model=model, market=AccountMarket.of(panel, model, start=start, stop=stop))

    def _first_prices(self) -> list[float]:
        # The first open of each asset, 0 where it never trades.
        first = np.argmax(self.market.valid, axis=0)
        opens = self.market.open[first, np.arange(len(self.market.symbols))]
        prices: list[float] = np.where(self.market.valid.any(axis=0), opens, 0.0).tolist()
        return prices


@dataclass(frozen=True, eq=False)
class AccountRun:
    """An account at the end of a window, and how it came there.

    Parameters
    ----------
    account
        At the last close, with its digests and sub-accounts.
    path
        Equity, orders and fills.
    virtual
        What it followed.
    """

    account: AccountBook
    path: AccountPath
    virtual: VirtualWindow

    @property
    def days(self) -> NDArray[np.int64]:
        """First millisecond of each UTC day, shape (D,)."""
        return self.path.times[self._day_starts] // MS_PER_DAY * MS_PER_DAY

    @property
    def daily_equity(self) -> Floats:
        """Equity at the last close of each UTC day, USD, shape (D,)."""
        ends = np.append(self._day_starts[1:], self.path.times.size - 1)
        return np.asarray(self.path.equity[ends] / 1e6)

    @property
    def daily_returns(self) -> Floats:
        """Returns of the account per UTC day, shape (D,)."""
        equity = self.daily_equity
        before = np.concatenate([[self.path.equity[0] / 1e6], equity[:-1]])
        grown = np.divide(equity, before, out=np.ones_like(equity), where=before > 0.0)
        return np.asarray(grown - 1.0)

    @property
    def ideal_daily_returns(self) -> Floats:
        """What the virtual book would have returned per UTC day at the account's risk scale, shape (D,)."""
        return self._by_day(self.path.scale * self.virtual.virtual_returns[1:])

    @property
    def virtual_daily_returns(self) -> Floats:
        """Returns of the virtual book per UTC day, not scaled, shape (D,): the past of the window that follows."""
        return self._by_day(self.virtual.virtual_returns[1:])

    def _by_day(self, returns: Floats) -> Floats:
        return np.asarray(np.multiply.reduceat(1.0 + returns, self._day_starts) - 1.0)

    @property
    def _day_starts(self) -> NDArray[np.int64]:
        day = self.path.times[:-1] // MS_PER_DAY
        return np.flatnonzero(np.diff(day, prepend=day[0] - 1))


def member_name(member: Member) -> str:
    """Return how a member is named in an account: the genome's hash, and the assets where it is restricted to some."""
    return "@".join([member.genome.hash, ",".join(member.assets)] if member.assets else [member.genome.hash])


def virtual_window(
    committees: Mapping[str, Committee],
    panel: Panel,
    costs: Costs,
    *,
    start: int = 0,
    stop: int | None = None,
    shares: Mapping[str, float] | None = None,
    evaluator: Evaluator | None = None,
) -> VirtualWindow:
    """Return what the members of committees hold virtually over a window.

    Parameters
    ----------
    committees
        By the name of their strategy.
    panel, costs
        The market and the costs of the sleeves; a limit on volume is left to the account's own fills.
    start, stop
        Rows between which to trade. Default: the whole panel.
    shares
        Of each strategy its share of the equity; 1 without.
    evaluator
        Keeps indicators from call to call.
    """
    evaluate = (evaluator or Evaluator()).exposures
    own = replace(costs, max_participation=None, impact_bps=0.0)
    last = panel.n_bars if stop is None else stop
    columns: dict[LegKey, tuple[Floats, Floats, Floats]] = {}
    returns = np.zeros((last - start + 1, len(committees)))
    for place, name in enumerate(sorted(committees)):
        members = sorted(committees[name].members, key=member_name)
        assets = [member.assets for member in members] if any(member.assets for member in members) else None
        exposed = evaluate([member.genome for member in members], panel, own, start=start, stop=last, assets=assets)
        for column, (number, asset) in enumerate(zip(exposed.genomes, exposed.assets, strict=True)):
            member = members[number]
            units = exposed.units[:, column] * member.weight
            leg = name, member_name(member), panel.symbols[asset]
            columns[leg] = units, exposed.stops[:, column], exposed.targets[:, column]
        for number, member in enumerate(members):
            returns[1:, place] += member.weight * exposed.returns[number]
    legs = sorted(columns, key=lambda leg: (leg[2], leg[0], leg[1]))
    stated = shares or {}
    return VirtualWindow(
        strategies=tuple(sorted(committees)),
        legs=tuple(legs),
        stopless=frozenset(),
        units=_side_by_side([columns[leg][0] for leg in legs], last - start + 1),
        stops=_side_by_side([columns[leg][1] for leg in legs], last - start),
        targets=_side_by_side([columns[leg][2] for leg in legs], last - start),
        returns=returns,
        shares=np.repeat([[stated.get(name, 1.0) for name in sorted(committees)]], last - start + 1, axis=0),
    )


def committee_setting(
    committee: Committee,
    panel: Panel,
    costs: Costs,
    *,
    start: int = 0,
    stop: int | None = None,
    rules: AccountRules | None = None,
    model: FillModel | None = None,
    sz_decimals: Mapping[str, int] | None = None,
    daily_before: Sequence[float] = (),
    evaluator: Evaluator | None = None,
) -> AccountSetting:
    """Return what accounts share that trade one committee alone over a window.

    Parameters
    ----------
    committee, panel, costs, start, stop, evaluator
        As in `virtual_window`.
    rules, model
        Default: those of an account with one strategy, and the fills of the costs.
    sz_decimals, daily_before
        As in `AccountSetting`.
    """
    fills = model or FillModel.of(costs)
    return AccountSetting(
        market=AccountMarket.of(panel, fills, start=start, stop=stop),
        virtual=virtual_window({committee.id: committee}, panel, costs, start=start, stop=stop, evaluator=evaluator),
        costs=costs,
        model=fills,
        rules=rules or AccountRules.alone(),
        sz_decimals=sz_decimals or {},
        daily_before=tuple(daily_before),
    )


def _side_by_side(columns: Sequence[Floats], rows: int) -> Floats:
    table = np.empty((rows, len(columns)))
    for place, column in enumerate(columns):
        table[:, place] = column
    return table
