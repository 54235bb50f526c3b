"""Slippage of each asset in an account: measured in recorded books, or assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from quant_organism.backtest.account.model import FillModel
from quant_organism.backtest.account.rules import AccountRules
from quant_organism.backtest.costs import Costs
from quant_organism.market.lake import Lake
from quant_organism.market.tables import SlippageTable

LEAST_BOOKS: Final = 100
"""Fewest books that count as a measurement."""

_MOST_BPS: Final = 5_000.0


def measured_costs(lake: Lake, market: str, equity_usd: float, costs: Costs | None = None) -> Costs:
    """Return costs with the slippage that was measured in recorded books of a market; without any, the same.

    Counted is the newest measurement of each asset, at the smallest order that is at least what the account may hold of
    an asset, else at the largest. Orders at the open pay the median of the books, stops the 95 % quantile and at least
    twice the median. Where some books were too shallow for the order, neither is less than what is assumed.

    Parameters
    ----------
    lake, market
        Where the dataset `slippage` is.
    equity_usd
        Of the account.
    costs
        What they are put into. Default: `Costs()`.
    """
    stated, table = costs or Costs(), lake.table(SlippageTable)
    if not table.days(market=market):
        return stated
    measured = table.read(market=market).filter(pl.col(SlippageTable.books) >= LEAST_BOOKS)
    if measured.is_empty():
        return stated
    assumed, largest = FillModel.of(stated.of_sleeves), AccountRules().asset_cap * equity_usd
    newest = measured.sort(SlippageTable.last).unique(SlippageTable.key, keep="last", maintain_order=True)
    own = {}
    for (symbol,), rows in newest.sort(SlippageTable.key).group_by(SlippageTable.symbol, maintain_order=True):
        enough = rows.filter(pl.col(SlippageTable.order_usd) >= largest * (1.0 - 1e-9))
        row = (enough.head(1) if enough.height else rows.tail(1)).row(0, named=True)
        at_open = row[SlippageTable.median_bps]
        at_stop = max(row[SlippageTable.high_bps], 2.0 * at_open)
        if row[SlippageTable.shallow]:
            at_open, at_stop = max(at_open, assumed.open_slippage_bps), max(at_stop, assumed.stop_slippage_bps)
        own[str(symbol)] = min(at_open, _MOST_BPS), min(at_stop, _MOST_BPS)
    return replace(stated, own_slippage_bps=own)


def slippage_sentence(costs: Costs, symbols: Sequence[str]) -> str:
    """Say of each asset whether the slippage of its fills was measured or is assumed."""
    model = FillModel.of(costs)
    measured = [symbol for symbol in sorted(symbols) if symbol in model.own_slippage_bps]
    others = [symbol for symbol in sorted(symbols) if symbol not in model.own_slippage_bps]
    assumed = f"{model.open_slippage_bps:g} bps at the open and {model.stop_slippage_bps:g} bps of stops"
    if not measured:
        return f"Slippage is assumed for every asset, {assumed}: no recorded books measure it."
    figures = ", ".join("{} {:.2g} and {:.2g}".format(symbol, *model.own_slippage_bps[symbol]) for symbol in measured)
    said = f"Slippage at the open and of stops was measured in recorded books, in bps: {figures}."
    return f"{said} For {', '.join(others)} it is assumed, {assumed}." if others else said
