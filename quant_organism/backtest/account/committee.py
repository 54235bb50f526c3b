"""The account over committees: what their members hold virtually in a window, and what accounts make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.book import AccountBook, LegKey
from quant_organism.backtest.account.model import FillModel
from quant_organism.backtest.account.risk import RiskState
from quant_organism.backtest.account.rules import AccountRules, traded_assets
from quant_organism.backtest.account.walk import AccountPath, walk
from quant_organism.backtest.account.weather import window_restraints
from quant_organism.backtest.account.window import AccountMarket, VirtualWindow
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.evaluator import Evaluator
from quant_organism.market.panel import Panel
from quant_organism.market.schema import MS_PER_DAY
from quant_organism.strategies import Committee, get_family
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

    @classmethod
    def of(
        cls,
        virtual: VirtualWindow,
        panel: Panel,
        costs: Costs,
        *,
        start: int = 0,
        stop: int | None = None,
        rules: AccountRules | None = None,
        model: FillModel | None = None,
        sz_decimals: Mapping[str, int] | None = None,
        daily_before: Iterable[float] = (),
    ) -> AccountSetting:
        """Return what accounts share that hold these virtual positions on rows `start` to `stop` of a panel.

        Parameters
        ----------
        virtual
            Of these rows.
        panel, costs, sz_decimals, daily_before
            As in the class.
        rules, model
            Default: those of an account with one strategy, and the fills of the costs.
        """
        fills = model or FillModel.of(costs)
        return cls(
            market=AccountMarket.of(panel, fills, start=start, stop=stop),
            virtual=virtual,
            costs=costs,
            model=fills,
            rules=rules or AccountRules.alone(),
            sz_decimals=sz_decimals or {},
            daily_before=tuple(daily_before),
        )

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
        return AccountRun(self, account, path)

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
    setting
        The market and the virtual positions that it followed.
    account
        At the last close, with its digests and sub-accounts.
    path
        Equity, orders and fills.
    """

    setting: AccountSetting
    account: AccountBook
    path: AccountPath

    @property
    def days(self) -> NDArray[np.int64]:
        """First millisecond of each UTC day, shape (D,)."""
        return self.path.times[day_starts(self.path.times)] // MS_PER_DAY * MS_PER_DAY

    @property
    def daily_returns(self) -> Floats:
        """Returns of the account per UTC day, shape (D,)."""
        return self.returns_by_day()

    def returns_by_day(self, start: int = 0, stop: int | None = None) -> Floats:
        """Return them of the days of some bars of the window; the first day is measured from the close before it."""
        closes = slice(start, None if stop is None else stop + 1)
        return returns_of_days(self.path.times[closes], self.path.equity[closes] / 1e6)

    @property
    def ideal_returns(self) -> Floats:
        """What the virtual book would have returned in each bar at the account's risk scale, shape (T,)."""
        return np.asarray(self.path.scale * self.setting.virtual.virtual_returns[1:])

    @property
    def ideal_daily_returns(self) -> Floats:
        """The same per UTC day, shape (D,)."""
        return compounded(self.ideal_returns, day_starts(self.path.times))

    @property
    def virtual_daily_returns(self) -> Floats:
        """Returns of the virtual book per UTC day, not scaled, shape (D,): the past of the window that follows."""
        return compounded(self.setting.virtual.virtual_returns[1:], day_starts(self.path.times))

    @property
    def why_idle(self) -> str:
        """Why an account whose members traded has traded nothing, in words; empty where it has, or they have not."""
        virtual, equity = self.setting.virtual, f"an account of {self.path.equity[0] / 1e6:,.0f} USD"
        if self.path.fills.size or not virtual.units.any():
            return ""
        if not (self.path.scale * virtual.units[:-1].any(axis=1)).any():
            least = self.setting.rules.least_volatility_days
            return f"{equity} cannot size it: its risk is known after {least} days on which its members' returns vary"
        if self.path.lines.size:
            return f"{equity} cannot trade it: no bar had the volume for one lot of its orders"
        smallest = self.setting.rules.least_order_usd
        return f"{equity} cannot trade it: all of its orders would be below {smallest:g} USD, or 1 % of its equity"


def day_starts(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first bar of each UTC day.

    Parameters
    ----------
    times
        Close before each bar and the last close, UTC milliseconds, shape (T + 1,).
    """
    day = times[:-1] // MS_PER_DAY
    return np.flatnonzero(np.diff(day, prepend=day[0] - 1))


def returns_of_days(times: NDArray[np.int64], equity: Floats) -> Floats:
    """Return what equity at closes gained on each UTC day.

    Parameters
    ----------
    times, equity
        As in `day_starts`, and at these closes, shape (T + 1,).
    """
    starts = day_starts(times)
    ends = equity[np.append(starts[1:], equity.size - 1)]
    before = np.concatenate([equity[:1], ends[:-1]])
    grown = np.divide(ends, before, out=np.ones_like(ends), where=before > 0.0)
    return np.asarray(grown - 1.0)


def compounded(returns: Floats, starts: NDArray[np.int64]) -> Floats:
    """Return what returns per bar, shape (T,), come to on the days that begin with these bars, shape (D,)."""
    return np.asarray(np.multiply.reduceat(1.0 + returns, starts) - 1.0)


def member_name(member: Member) -> str:
    """Return how a member is named in an account: the genome's hash, and the assets where it is restricted to some."""
    return "@".join([member.genome.hash, ",".join(member.assets)] if member.assets else [member.genome.hash])


def stopless_members(committees: Mapping[str, Committee]) -> frozenset[tuple[str, str]]:
    """Return the members, as (strategy, member), that have no stops of their own: those that rank assets (rule A7)."""
    return frozenset(
        (name, member_name(member))
        for name, committee in committees.items()
        for member in committee.members
        if get_family(member.genome.family).ranks
    )


def virtual_costs(costs: Costs) -> Costs:
    """Return the costs of sleeves that are virtual: volume is limited by the account's own fills."""
    return replace(costs.of_sleeves, max_participation=None, impact_bps=0.0)


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
    own = virtual_costs(costs)
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
        stopless=stopless_members(committees),
        units=_side_by_side([columns[leg][0] for leg in legs], last - start + 1),
        stops=_side_by_side([columns[leg][1] for leg in legs], last - start),
        targets=_side_by_side([columns[leg][2] for leg in legs], last - start),
        returns=returns,
        shares=np.repeat([[stated.get(name, 1.0) for name in sorted(committees)]], last - start + 1, axis=0),
        restraints=window_restraints(panel, start, last),
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
    return AccountSetting.of(
        virtual_window({committee.id: committee}, panel, costs, start=start, stop=stop, evaluator=evaluator),
        panel,
        costs,
        start=start,
        stop=stop,
        rules=rules,
        model=model,
        sz_decimals=sz_decimals,
        daily_before=daily_before,
    )


def committee_run(
    committee: Committee,
    panel: Panel,
    costs: Costs,
    equity_usd: float,
    *,
    start: int = 0,
    stop: int | None = None,
    after: AccountRun | None = None,
    evaluator: Evaluator | None = None,
) -> AccountRun:
    """Take an account that trades one committee alone over the days of a window; `daily_returns` are what it made.

    Parameters
    ----------
    committee, panel, costs, start, stop, evaluator
        As in `virtual_window`.
    equity_usd
        At the start, where it is flat.
    after
        The same over days before: its virtual book sets the risk scale. Without, the account is flat until enough of
        its own days are known.
    """
    daily_before = () if after is None else after.virtual_daily_returns.tolist()
    setting = committee_setting(
        committee, panel, costs, start=start, stop=stop, daily_before=daily_before, evaluator=evaluator
    )
    return setting.run(equity_usd)


def _side_by_side(columns: Sequence[Floats], rows: int) -> Floats:
    table = np.empty((rows, len(columns)))
    for place, column in enumerate(columns):
        table[:, place] = column
    return table
