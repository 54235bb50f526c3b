"""What the tests of the account build: accounts at a given risk, and closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from quant_organism.backtest.account import AccountBook, AccountClose, AccountRules, RiskState, TradedAsset, book
from quant_organism.backtest.account.book import LegKey
from quant_organism.backtest.account.door import BY_HAND, AccountFill, HandRelease

CLOSE_MS = 1_704_070_800_000
ASSETS = {"BTC": TradedAsset(5), "ETH": TradedAsset(4), "COIN": TradedAsset(0)}
PRICES = {"BTC": 100_000.0, "ETH": 2_500.0, "COIN": 0.2}


def usd(amount: float) -> int:
    """Return USD as whole micro-USD."""
    return round(amount * 1_000_000)


def account_at(
    equity: float,
    *,
    scale: float = 1.0,
    rules: AccountRules | None = None,
    assets: Mapping[str, TradedAsset] = ASSETS,
    prices: Mapping[str, float] = PRICES,
    held: Mapping[str, int] | None = None,
    halved: bool = False,
) -> AccountBook:
    """Return an account whose next close, `CLOSE_MS`, is one that it knows: equity, base and scale are given."""
    account = AccountBook.opened("test", rules or AccountRules(), assets, usd(equity))
    for symbol, lots in (held or {}).items():
        notional = abs(lots) * assets[symbol].lot_price(prices[symbol])
        book(account, AccountFill(CLOSE_MS, symbol, lots, notional, 0, BY_HAND, notional // abs(lots)))
        book(account, HandRelease(symbol, restore=False))
    account.risk = RiskState(
        time=CLOSE_MS, equity=usd(equity), base=usd(equity), scale=scale, peak=usd(equity), halved=halved
    )
    return account


def close_at(
    units: Mapping[LegKey, float], prices: Mapping[str, float] = PRICES, *, time: int = CLOSE_MS
) -> AccountClose:
    """Return a close at which every strategy has the whole equity as its share."""
    return AccountClose(time, prices, units, {strategy: 1.0 for strategy, _, _ in units})


def with_risk(account: AccountBook, **fields: object) -> AccountBook:
    """Return the account with another risk."""
    account.risk = replace(account.risk, **fields)  # type: ignore[arg-type]
    return account
