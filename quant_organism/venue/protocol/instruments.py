"""Assets as the venue lists them: precision, leverage, margin tiers, and the numbers they go by."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from quant_organism.errors import InputError
from quant_organism.venue.protocol.decimals import MICRO_USD, price_decimals, usd

SPOT_OFFSET: Final = 10_000
DEX_OFFSET: Final = 100_000
DEX_STRIDE: Final = 10_000
OWN_DEX: Final = 0
"""Index of the venue's own dex, whose name is empty."""


def dex_asset_id(dex_index: int, position: int) -> int:
    """Return the asset id of a builder-deployed dex's asset; the first named dex has index 1."""
    return DEX_OFFSET + DEX_STRIDE * dex_index + position


def dex_of(asset: int) -> int:
    """Return the index of the dex that a perpetual's asset id belongs to."""
    return OWN_DEX if asset < DEX_OFFSET else (asset - DEX_OFFSET) // DEX_STRIDE


def dex_name(coin: str) -> str:
    """Return the name of the dex that lists a coin: `xyz` of `xyz:GOLD`; empty: the venue's own."""
    dex, colon, _ = coin.partition(":")
    return dex if colon else ""


def is_perpetual_name(coin: str) -> bool:
    """Say whether a name is a perpetual's: spot pairs are `@107` or `PURR/USDC`, outcomes `+12` or `#12`."""
    return not coin.startswith(("@", "+", "#")) and "/" not in coin


def number_coins(coins: Sequence[str]) -> list[int]:
    """Return the asset ids of coins, each dex counting its own; dexs are numbered as they first appear."""
    listed: dict[str, int] = {"": 0}
    ids = []
    for coin in coins:
        dex = dex_name(coin)
        position = listed.setdefault(dex, 0)
        index = list(listed).index(dex)
        ids.append(position if index == OWN_DEX else dex_asset_id(index, position))
        listed[dex] += 1
    return ids


@dataclass(frozen=True, slots=True)
class MarginTier:
    """From this notional on, positions may have at most this leverage.

    Parameters
    ----------
    lower_micro_usd
        Notional at which the tier begins.
    max_leverage
        Highest leverage; half of its inverse is the tier's maintenance rate.
    """

    lower_micro_usd: int
    max_leverage: int


@dataclass(frozen=True)
class Instrument:
    """A perpetual.

    Parameters
    ----------
    name
        Coin.
    sz_decimals
        Decimals of a size.
    tiers
        Margin tiers, the first from zero on, each with less leverage than the one before.
    margin_table_id
        Below 50 a single tier of that leverage; none: taken from the first tier.
    only_isolated, is_delisted
        As the venue flags them.

    Raises
    ------
    InputError
        Decimals outside 0 to 6, or tiers that do not begin at zero and fall.
    """

    name: str
    sz_decimals: int
    tiers: tuple[MarginTier, ...]
    margin_table_id: int | None = None
    only_isolated: bool = False
    is_delisted: bool = False

    def __post_init__(self) -> None:
        steps = itertools.pairwise(self.tiers)
        falling = all(a.lower_micro_usd < b.lower_micro_usd and a.max_leverage > b.max_leverage for a, b in steps)
        if not 0 <= self.sz_decimals <= 6 or not self.tiers or self.tiers[0].lower_micro_usd != 0 or not falling:
            raise InputError(
                f"sz_decimals {self.sz_decimals}, tiers {self.tiers}",
                where=f"instrument {self.name}",
                remedy="use 0 to 6 decimals, and tiers that begin at 0 with falling leverage",
            )

    @cached_property
    def px_decimals(self) -> int:
        """Decimals of a price."""
        return price_decimals(self.sz_decimals)

    @property
    def max_leverage(self) -> int:
        """Highest leverage of a small position."""
        return self.tiers[0].max_leverage

    @property
    def table_id(self) -> int:
        """Id of its margin table."""
        return self.max_leverage if self.margin_table_id is None else self.margin_table_id

    def wire(self) -> dict[str, Any]:
        """Return its entry of `meta.universe`."""
        entry: dict[str, Any] = {
            "szDecimals": self.sz_decimals,
            "name": self.name,
            "maxLeverage": self.max_leverage,
            "marginTableId": self.table_id,
        }
        if self.only_isolated:
            entry["onlyIsolated"] = True
        if self.is_delisted:
            entry["isDelisted"] = True
        return entry


def meta_form(instruments: Sequence[Instrument], collateral_token: int = 0) -> dict[str, Any]:
    """Return the answer to `meta` for one dex; an asset is counted by its position here, delisted ones included.

    Parameters
    ----------
    instruments
        All that it lists.
    collateral_token
        Index of the token that its margin is kept in; 0: USDC.
    """
    tables: dict[int, dict[str, Any]] = {}
    for instrument in instruments:
        name = f"tiered {instrument.max_leverage}x" if len(instrument.tiers) > 1 else ""
        tiers = [
            {"lowerBound": usd(tier.lower_micro_usd), "maxLeverage": tier.max_leverage} for tier in instrument.tiers
        ]
        tables[instrument.table_id] = {"description": name, "marginTiers": tiers}
    return {
        "universe": [instrument.wire() for instrument in instruments],
        "marginTables": [[key, tables[key]] for key in sorted(tables)],
        "collateralToken": collateral_token,
    }


def single_tier(max_leverage: int) -> tuple[MarginTier, ...]:
    """Return the only tier of a plain margin table."""
    return (MarginTier(0, max_leverage),)


def tiers_of(bounds: Sequence[tuple[int, int]]) -> tuple[MarginTier, ...]:
    """Return tiers from pairs of lower bound in USD and leverage."""
    return tuple(MarginTier(lower_usd * MICRO_USD, leverage) for lower_usd, leverage in bounds)
