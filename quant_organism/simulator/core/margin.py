"""Margin formulas (reference: sections 15 and 16), exact, in micro-USD and scaled prices."""

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction

from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.venue.protocol import MarginTier, dex_of


def deductions(tiers: Sequence[MarginTier]) -> list[Fraction]:
    """Return what each tier takes off the maintenance margin, in micro-USD, so that it has no jumps."""
    taken = [Fraction(0)]
    for below, tier in itertools.pairwise(tiers):
        step = Fraction(1, 2 * tier.max_leverage) - Fraction(1, 2 * below.max_leverage)
        taken.append(taken[-1] + tier.lower_micro_usd * step)
    return taken


def maintenance(tiers: Sequence[MarginTier], notional: int) -> int:
    """Return the maintenance margin of a notional, both in micro-USD."""
    if len(tiers) == 1:
        return notional // (2 * tiers[0].max_leverage)
    n = max(i for i, tier in enumerate(tiers) if notional >= tier.lower_micro_usd)
    return int(Fraction(notional, 2 * tiers[n].max_leverage) - deductions(tiers)[n])


def liquidation_price(tiers: Sequence[MarginTier], szi: int, free_of_position: int) -> Fraction | None:
    """Return the scaled mark at which equity equals maintenance, or None where there is none.

    Parameters
    ----------
    tiers
        Margin tiers of the asset.
    szi
        Scaled signed size.
    free_of_position
        Micro-USD of equity without the value of this position, less the maintenance of all others.
    """
    side, size, taken = (1 if szi > 0 else -1), abs(szi), deductions(tiers)
    for n, tier in enumerate(tiers):
        rate = Fraction(1, 2 * tier.max_leverage)
        price = (-free_of_position - taken[n]) / (size * (side - rate))
        upper = tiers[n + 1].lower_micro_usd if n + 1 < len(tiers) else None
        if price > 0 and price * size >= tier.lower_micro_usd and (upper is None or price * size < upper):
            return price
    return None


def order_margin(order: SimulatedOrder, leverage: int) -> int:
    """Return the margin that an open order holds; one that only reduces holds none."""
    return 0 if order.reduce_only else order.sz * order.px // leverage


class MarginView:
    """An account on one dex against the marks of this moment; all results in millionths of the dex's collateral.

    Parameters
    ----------
    account
        Whose.
    dex
        Index of the dex; its positions, orders and money stand for themselves.
    marks
        Scaled mark by asset id.
    tiers
        Margin tiers by asset id.
    """

    def __init__(
        self,
        account: Account,
        dex: int,
        marks: Mapping[int, int],
        tiers: Mapping[int, Sequence[MarginTier]],
    ) -> None:
        self._account, self._dex, self._marks, self._tiers = account, dex, marks, tiers

    def assets(self) -> list[int]:
        """Return the assets of all positions."""
        return [asset for asset, _ in self._account.positions() if dex_of(asset) == self._dex]

    def notional(self, asset: int) -> int:
        """Return the absolute value of a position."""
        return abs(self._account.holdings[asset].szi) * self._marks[asset]

    def initial(self, asset: int) -> int:
        """Return the initial margin of a cross position."""
        return self.notional(asset) // self._account.holdings[asset].leverage

    def maintenance(self, asset: int) -> int:
        """Return the maintenance margin of a position."""
        return maintenance(self._tiers[asset], self.notional(asset))

    def isolated_equity(self, asset: int) -> int:
        """Return what an isolated position is worth, its margin included."""
        holding = self._account.holdings[asset]
        return holding.raw + holding.szi * self._marks[asset]

    def cross_assets(self) -> list[int]:
        """Return the assets of cross positions."""
        return [asset for asset in self.assets() if self._account.holdings[asset].is_cross]

    def isolated_assets(self) -> list[int]:
        """Return the assets of isolated positions."""
        return [asset for asset in self.assets() if not self._account.holdings[asset].is_cross]

    def cross_raw(self) -> int:
        """Return what is outside isolated positions, the price of cross positions included."""
        return self._account.cross_raw.get(self._dex, 0)

    def cross_equity(self) -> int:
        """Return the value of everything outside isolated positions."""
        holdings = self._account.holdings
        return self.cross_raw() + sum(holdings[a].szi * self._marks[a] for a in self.cross_assets())

    def cross_notional(self) -> int:
        """Return the sum of the absolute values of cross positions."""
        return sum(self.notional(asset) for asset in self.cross_assets())

    def cross_initial(self) -> int:
        """Return the initial margin of all cross positions."""
        return sum(self.initial(asset) for asset in self.cross_assets())

    def cross_maintenance(self) -> int:
        """Return the maintenance margin of all cross positions."""
        return sum(self.maintenance(asset) for asset in self.cross_assets())

    def resting_margin(self, leaving_out: SimulatedOrder | None = None) -> int:
        """Return the margin that open orders hold, one of them perhaps left out."""
        reserved = self._account.reserved.get(self._dex, 0)
        if leaving_out is None:
            return reserved
        return reserved - order_margin(leaving_out, self._account.holdings[leaving_out.asset].leverage)

    def available(self, leaving_out: SimulatedOrder | None = None) -> int:
        """Return what new orders can use as margin."""
        holdings, marks = self._account.holdings, self._marks
        free = sum(holdings[asset].szi * marks[asset] - self.initial(asset) for asset in self.cross_assets())
        return self.cross_raw() + free - self.resting_margin(leaving_out)

    def withdrawable(self) -> int:
        """Return what can be taken out: a tenth of the cross notional stays in any case."""
        held = max(self.cross_initial(), self.cross_notional() // 10)
        return max(0, self.cross_equity() - held - self.resting_margin())

    def liquidation_price(self, asset: int) -> Fraction | None:
        """Return the scaled mark at which a position is liquidated while the others stay where they are."""
        holding = self._account.holdings[asset]
        if self._account.is_unified:
            return None
        if holding.is_cross:
            others = self.cross_maintenance() - self.maintenance(asset)
            free = self.cross_equity() - holding.szi * self._marks[asset] - others
        else:
            free = holding.raw
        return liquidation_price(self._tiers[asset], holding.szi, free)


def return_on_equity(unrealized: int, leverage: int, cost: int) -> int:
    """Return unrealised PnL over margin at entry, in units of 1e-10."""
    return 0 if cost == 0 else round(Fraction(unrealized * leverage * 10**10, cost))
