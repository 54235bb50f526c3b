"""What an account knows at a close, as it is kept between runs, and the part of a bar that is its own."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from quant_organism.backtest.account import AccountBar, AccountClose, Restraint


def part_of_bar(bar: AccountBar, assets: Mapping[str, object]) -> AccountBar:
    """Return a bar of an account's own symbols."""
    if bar.open.keys() <= assets.keys():
        return bar

    def own(values: Mapping[str, float]) -> dict[str, float]:
        return {symbol: value for symbol, value in values.items() if symbol in assets}

    return AccountBar(
        time=bar.time,
        open=own(bar.open),
        high=own(bar.high),
        low=own(bar.low),
        close=own(bar.close),
        volume=own(bar.volume),
        funding_long=own(bar.funding_long),
        funding_short=own(bar.funding_short),
        impact_rate=own(bar.impact_rate),
        ended=bar.ended & assets.keys(),
    )


def close_to_dict(close: AccountClose) -> dict[str, Any]:
    """Return what an account knew at a close as values of JSON."""
    return {
        "time": close.time,
        "prices": dict(close.prices),
        "units": [[*key, units] for key, units in sorted(close.units.items(), key=itemgetter(0))],
        "shares": dict(close.shares),
        "virtual_return": close.virtual_return,
        "stopless": sorted(list(key) for key in close.stopless),
        "restraint": list(close.restraint),
    }


def close_of(fields: Mapping[str, Any]) -> AccountClose:
    """Return what `close_to_dict` wrote."""
    return AccountClose(
        time=fields["time"],
        prices=dict(fields["prices"]),
        units={(strategy, member, symbol): units for strategy, member, symbol, units in fields["units"]},
        shares=dict(fields["shares"]),
        virtual_return=fields["virtual_return"],
        stopless=frozenset((strategy, member) for strategy, member in fields["stopless"]),
        restraint=Restraint(*fields["restraint"]),
    )
