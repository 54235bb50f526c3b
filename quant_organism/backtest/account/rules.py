"""What binds an account: its limits (rules A1 to A12 of docs/execution.md), and the lots and prices of each asset.

All that is traded is counted in whole lots and all money in whole micro-USD. A venue's price has at most
`6 - sz_decimals` decimals and a lot is `10^-sz_decimals`, so that the price of one lot is a whole number of micro-USD:
prices stand here as such **lot prices**, and no sum of money is ever rounded twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from quant_organism.backtest.costs import Costs, MarginTiers
from quant_organism.errors import InputError

MICRO_USD: Final = 1_000_000
_PRICE_DECIMALS: Final = 6
_SIGNIFICANT_FIGURES: Final = 5
_LEAST_LOT_USD: Final = 1.0

_SHARES: Final = (
    "scale_band",
    "asset_cap",
    "order_band",
    "cap_excess",
    "slippage_bound",
    "default_stop",
    "replace_band",
    "liquidation_share",
    "halve_at",
    "restore_below",
    "no_entries_at",
    "flat_at",
    "day_no_entries_at",
    "day_flat_at",
    "rapid_loss",
    "tail_loss_at",
)


class AccountRules(NamedTuple):
    """Limits of an account; all shares are fractions.

    Parameters
    ----------
    target_volatility
        Volatility a year at which the risk scale aims (A2).
    volatility_days, least_volatility_days
        Days of the virtual book that it is measured over, and the fewest; before, the account is flat.
    scale_band
        The scale stays where a new one differs by no more.
    strategy_cap
        Most gross of one strategy over equity; infinite where one strategy has the account alone (A4).
    asset_cap, gross_cap, margin_cap
        Most of an asset's net position, of the gross and of the initial margin, over equity.
    leverage
        Most leverage that margin is counted with; an asset's own limit where that is lower (A9).
    least_order_usd
        The venue's minimum, at the order's limit price (A5).
    order_band
        Least order over equity.
    cap_excess
        By how much a position may exceed its cap before any order that reduces it is sent.
    slippage_bound
        How far an order's limit lies from the close (A6).
    default_stop
        Distance of the stop from the last close where no member stands behind a position (A7).
    replace_band
        Move of a level that replaces a resting order.
    liquidation_share
        Part of the distance to liquidation that the stop stays inside of it.
    halve_at, restore_below, no_entries_at, flat_at
        Drawdowns (A8): half size, whole again, no entries, everything closed.
    day_no_entries_at, day_flat_at
        Loss since 00:00 UTC after which nothing grows until the next day, and after which everything is closed.
    rapid_exits, rapid_loss, pause_minutes
        So many losing exits in an hour, or such a loss within a quarter of an hour, let nothing grow for so long, and
        for as long again only to half.
    tail_loss_at
        Most that one day in a hundred may cost, over equity; what is foreseen beyond it scales everything down.
    rearm_days
        Days flat before the account trades again, and days of little drawdown before it does so in full.
    person_rearms
        Whether a person must say so too, as where money is at stake.
    margin_multiple
        All targets are halved where equity is less than so many times the maintenance margin (A9).
    """

    target_volatility: float = 0.10
    volatility_days: int = 90
    least_volatility_days: int = 30
    scale_band: float = 0.1
    strategy_cap: float = 0.25
    asset_cap: float = 0.15
    gross_cap: float = 2.0
    margin_cap: float = 0.5
    leverage: float = 3.0
    least_order_usd: float = 10.0
    order_band: float = 0.01
    cap_excess: float = 0.1
    slippage_bound: float = 0.01
    default_stop: float = 0.10
    replace_band: float = 0.001
    liquidation_share: float = 0.25
    halve_at: float = 0.05
    restore_below: float = 0.025
    no_entries_at: float = 0.08
    flat_at: float = 0.10
    day_no_entries_at: float = 0.03
    day_flat_at: float = 0.05
    rapid_exits: int = 5
    rapid_loss: float = 0.015
    pause_minutes: int = 60
    tail_loss_at: float = 0.03
    rearm_days: int = 14
    person_rearms: bool = False
    margin_multiple: float = 3.0

    @classmethod
    def alone(cls, **others: Any) -> AccountRules:
        """Return the rules of an account that one strategy has alone (no cap of its own); `others` as in the class."""
        return cls(**{"strategy_cap": math.inf, **others}).checked()

    def checked(self) -> AccountRules:
        """Return these rules.

        Raises
        ------
        InputError
            If a figure is not one that the rules are defined for.
        """
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}, expected a share in [0, 1)", where="account rules"
                )
        positive = (
            "target_volatility",
            "strategy_cap",
            "gross_cap",
            "margin_cap",
            "least_order_usd",
            "rearm_days",
            "rapid_exits",
        )
        for name in positive:
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected more than 0", where="account rules")
        if not self.leverage >= 1.0:
            raise InputError(f"leverage is {self.leverage!r}, expected at least 1", where="account rules")
        if not 2 <= self.least_volatility_days <= self.volatility_days:
            raise InputError(
                f"volatility is measured over {self.least_volatility_days} to {self.volatility_days} days, expected "
                "2 or more, and no fewer at most than at least",
                where="account rules",
            )
        if not self.restore_below <= self.halve_at <= self.no_entries_at <= self.flat_at:
            raise InputError(
                f"drawdowns are {self.restore_below}, {self.halve_at}, {self.no_entries_at}, {self.flat_at}, expected "
                "an ascending order",
                where="account rules",
            )
        if not self.day_no_entries_at <= self.day_flat_at:
            raise InputError(
                f"losses of a day are {self.day_no_entries_at}, {self.day_flat_at}, expected an ascending order",
                where="account rules",
            )
        return self

    @property
    def least_order(self) -> float:
        """The venue's minimum in micro-USD."""
        return self.least_order_usd * MICRO_USD


@dataclass(frozen=True)
class TradedAsset:
    """What the venue says of an asset: how finely it is traded, and what margin it takes.

    Parameters
    ----------
    sz_decimals
        Decimals of a size: a lot is `10^-sz_decimals`.
    tiers
        Margin tiers: lower bound of the notional in USD and the maximum leverage from there on.

    Raises
    ------
    InputError
        Decimals outside 0 to 6.
    """

    sz_decimals: int
    tiers: MarginTiers = ((0.0, 10),)

    def __post_init__(self) -> None:
        if not 0 <= self.sz_decimals <= _PRICE_DECIMALS:
            raise InputError(f"sz_decimals is {self.sz_decimals}, expected 0 to {_PRICE_DECIMALS}", where="asset")

    @cached_property
    def lots_per_unit(self) -> float:
        """Lots in one unit of the asset."""
        return float(10**self.sz_decimals)

    @cached_property
    def lot_price_per_usd(self) -> float:
        """Lot price of an asset that costs one USD."""
        return float(10 ** (_PRICE_DECIMALS - self.sz_decimals))

    def lot_price(self, price: float) -> int:
        """Return the price of one lot in micro-USD, to the nearest, at least 1."""
        return max(math.floor(price * self.lot_price_per_usd + 0.5), 1)

    def price(self, lot_price: int) -> float:
        """Return the price in USD that a lot price stands for."""
        return lot_price / self.lot_price_per_usd

    def initial_rate(self, leverage: float) -> float:
        """Return the initial margin over notional."""
        return 1.0 / min(leverage, float(self.tiers[0][1]))

    @cached_property
    def maintenance_rates(self) -> list[tuple[float, float, float]]:
        """Lower bound in micro-USD, rate, and deduction in micro-USD of each tier."""
        rows: list[tuple[float, float, float]] = []
        deduction, before = 0.0, 0.5 / self.tiers[0][1]
        for bound, most in self.tiers:
            rate = 0.5 / most
            deduction += bound * MICRO_USD * (rate - before)
            rows.append((bound * MICRO_USD, rate, deduction))
            before = rate
        return rows

    def maintenance_margin(self, notional: float) -> float:
        """Return the maintenance margin of a notional, both in micro-USD."""
        margin = 0.0
        for bound, rate, deduction in self.maintenance_rates:
            if notional >= bound:
                margin = notional * rate - deduction
        return margin

    def step(self, lot_price: int) -> int:
        """Return the tick at a lot price: five significant figures, though whole prices are always legal."""
        digits = len(str(lot_price))
        return int(10 ** min(max(0, digits - _SIGNIFICANT_FIGURES), _PRICE_DECIMALS - self.sz_decimals))

    def legal(self, lot_price: float, *, up: bool) -> int:
        """Return the nearest price on the tick at or beyond a lot price."""
        whole = max(math.ceil(lot_price) if up else math.floor(lot_price), 1)
        step = self.step(whole)
        return max(-(-whole // step) * step if up else whole // step * step, 1)


def traded_assets(
    symbols: Sequence[str], prices: Mapping[str, float], costs: Costs, sz_decimals: Mapping[str, int] | None = None
) -> dict[str, TradedAsset]:
    """Return what an account needs to know of assets.

    Parameters
    ----------
    symbols
        The assets.
    prices
        A price of each that ever has a bar, from before anything is traded: where nothing is known of an asset's
        lots, they are the coarsest power of ten worth no more than one USD.
    costs
        Hold the margin tiers.
    sz_decimals
        As the venue states them.
    """
    stated = sz_decimals or {}
    return {
        symbol: TradedAsset(
            stated[symbol] if symbol in stated else _assumed(prices.get(symbol, _LEAST_LOT_USD)), costs.tiers(symbol)
        )
        for symbol in symbols
    }


def _assumed(price: float) -> int:
    return min(max(math.ceil(math.log10(price / _LEAST_LOT_USD) - 1e-9), 0), _PRICE_DECIMALS)
