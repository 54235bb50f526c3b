"""A second opinion on an account's books: its fills through vectorbt's `Portfolio.from_orders`, one row per fill.

vectorbt is a reference only; nothing else of the account needs it. It knows no funding, which is compared apart, and no
whole micro-USD: notionals and fees are handed over as they were booked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.committee import AccountRun
from quant_organism.backtest.account.rules import TradedAsset
from quant_organism.backtest.account.walk_layout import ASSET, FEE, NOTIONAL, ROW, TRADED
from quant_organism.backtest.account.window import AccountMarket
from quant_organism.market.schema import format_ms

Floats = NDArray[np.float64]

_CASH_MULTIPLE: Final = 100.0
"""Initial cash in vectorbt over the capital: it knows no margin, and fills an order only as far as cash reaches."""

TOLERANCE: Final = 1e-9
"""Difference of equity that is rounding, as a share of the capital."""

_FUNDING_TOLERANCE_USD: Final = 1e-6


@dataclass(frozen=True, eq=False)
class SecondOpinion:
    """What vectorbt makes of an account's fills.

    Parameters
    ----------
    times
        Of these closes, UTC milliseconds, shape (T + 1,).
    portfolio
        The `vectorbt.Portfolio`, its columns grouped into one account.
    equity
        USD at the close before the first bar and at each close after it, funding left out, shape (T + 1,).
    booked
        The same of the account, shape (T + 1,).
    funding
        USD that its positions pay in each bar, shape (T, N).
    funding_difference
        Largest difference of the funding of one asset in one bar, USD; rounding to whole micro-USD makes up to half of
        one.
    """

    times: NDArray[np.int64]
    portfolio: Any
    equity: Floats
    booked: Floats
    funding: Floats
    funding_difference: float

    @property
    def equity_difference(self) -> float:
        """Largest difference of the two equities, as a share of the capital."""
        return float(np.max(np.abs(self.equity - self.booked)) / self.booked[0])

    @property
    def agrees(self) -> bool:
        """Whether both are the same but for rounding."""
        return self.equity_difference <= TOLERANCE and self.funding_difference <= _FUNDING_TOLERANCE_USD

    @property
    def first_difference(self) -> str:
        """Where they first differ, in words; empty where they agree."""
        if self.agrees:
            return ""
        far = np.abs(self.equity - self.booked) > TOLERANCE * self.booked[0]
        if not far.any():
            return f"funding of one asset in one bar differs by up to {self.funding_difference:.3g} USD"
        row = int(np.argmax(far))
        return (
            f"at the close of {format_ms(int(self.times[row]))} its books say {self.booked[row]:,.6f} USD, vectorbt "
            f"{self.equity[row]:,.6f} USD, funding left out"
        )


def recompute_with_vectorbt(run: AccountRun) -> SecondOpinion:
    """Book an account's fills once more, by vectorbt.

    Parameters
    ----------
    run
        The account, its fills and the bars that it was run on.
    """
    import pandas as pd
    import vectorbt

    market = run.setting.market
    path, assets = run.path, [run.account.assets[symbol] for symbol in market.symbols]
    rows, count = market.valid.shape
    fills = path.fills
    # A row per fill, and after the fills of each bar one for its close.
    places = np.arange(len(fills)) + fills[:, ROW]
    closes = np.searchsorted(fills[:, ROW], np.arange(rows), side="right") + np.arange(rows)
    total = len(fills) + rows
    marks = _marks(market, assets)
    bar_of_row = np.searchsorted(closes, np.arange(total))
    prices, sizes = marks[bar_of_row].copy(), np.full((total, count), np.nan)
    fees = np.zeros((total, count))
    per_unit = np.array([asset.lots_per_unit for asset in assets])[fills[:, ASSET]]
    units = fills[:, TRADED] / per_unit
    sizes[places, fills[:, ASSET]] = units
    prices[places, fills[:, ASSET]] = fills[:, NOTIONAL] / 1e6 / np.abs(units)
    fees[places, fills[:, ASSET]] = fills[:, FEE] / 1e6
    capital = float(path.equity[0] / 1e6)
    portfolio = vectorbt.Portfolio.from_orders(
        close=pd.DataFrame(marks[bar_of_row], columns=list(market.symbols)),
        size=sizes,
        price=prices,
        fixed_fees=fees,
        init_cash=_CASH_MULTIPLE * capital,
        group_by=True,
        cash_sharing=True,
    )
    equity = np.append(capital, portfolio.value().to_numpy()[closes] - (_CASH_MULTIPLE - 1.0) * capital)
    held = portfolio.assets().to_numpy()[closes]
    fractions = np.where(held >= 0.0, market.funding_long, market.funding_short)
    funding = np.where(market.valid, held * marks * fractions, 0.0)
    ours = path.equity / 1e6 + np.append(0.0, np.cumsum(path.funding.sum(axis=1) / 1e6))
    # Of an asset that ends, funding comes before what is left is settled.
    counted = np.arange(rows)[:, None] != market.ended[None, :]
    return SecondOpinion(
        path.times,
        portfolio,
        equity,
        ours,
        funding,
        float(np.max(np.abs(funding - path.funding / 1e6), initial=0.0, where=counted)),
    )


def _marks(market: AccountMarket, assets: list[TradedAsset]) -> Floats:
    # The price in USD at which each asset is marked at each close: the last one known, shape (T, N).
    marks = np.full(market.valid.shape, np.nan)
    for place, asset in enumerate(assets):
        rows = np.flatnonzero(market.valid[:, place])
        marks[rows, place] = [asset.price(asset.lot_price(price)) for price in market.close[rows, place].tolist()]
        latest = market.close_before[place]
        latest = asset.price(asset.lot_price(latest)) if latest == latest else 1.0
        for row in range(len(marks)):
            latest = marks[row, place] = marks[row, place] if market.valid[row, place] else latest
    return marks
