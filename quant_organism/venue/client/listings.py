"""What the venue lists: asset ids and precision, read from answers that may be partly broken.

An asset's id is its position in the UNFILTERED universe. A malformed entry therefore keeps its place and loses only its
name; a malformed spot pair, which would stop the SDK, is left out.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from hyperliquid.info import Info

from quant_organism.errors import InputError
from quant_organism.venue.client.transport import AskInfo, VenueUnreadable
from quant_organism.venue.protocol.decimals import MICRO_USD, USD_DECIMALS, price_decimals
from quant_organism.venue.protocol.instruments import (
    DEX_OFFSET,
    DEX_STRIDE,
    SPOT_OFFSET,
    MarginTier,
    dex_asset_id,
    single_tier,
)

_NO_SPOT: Final[Mapping[str, Any]] = {"universe": [], "tokens": []}


@dataclass(frozen=True, slots=True)
class Listed:
    """A perpetual as it can be traded.

    Parameters
    ----------
    coin
        Its name; `dex:COIN` on a builder-deployed dex.
    asset
        Its number in actions.
    sz_decimals
        Decimals of a size.
    max_leverage
        Highest leverage of a small position.
    only_isolated, is_delisted
        As the venue flags them.
    tiers
        Of its margin table, by notional.
    """

    coin: str
    asset: int
    sz_decimals: int
    max_leverage: int
    only_isolated: bool
    is_delisted: bool
    tiers: tuple[MarginTier, ...]

    @property
    def px_decimals(self) -> int:
        """Decimals of a price."""
        return price_decimals(self.sz_decimals)


class Listings:
    """All that is listed, by name.

    Parameters
    ----------
    sdk
        The SDK's own table of assets, made from sanitised answers.
    metas
        Sanitised universes by dex; `""` is the venue's own.
    """

    def __init__(self, sdk: Info, metas: Mapping[str, Mapping[str, Any]]) -> None:
        self._sdk = sdk
        self._entries = {
            entry["name"]: entry for meta in metas.values() for entry in meta["universe"] if entry["name"] is not None
        }
        self._tiers = {
            entry["name"]: _tiers_of(entry, tables)
            for meta in metas.values()
            for tables in (_margin_tables(meta),)
            for entry in meta["universe"]
            if entry["name"] is not None
        }

    def __contains__(self, coin: object) -> bool:
        return coin in self._entries

    @property
    def coins(self) -> list[str]:
        """Names of all perpetuals, delisted ones included, in the venue's order."""
        return list(self._entries)

    def number(self, coin: str) -> int | None:
        """Return the number in actions of a perpetual or a spot pair; None: nothing of that name is listed."""
        name = self._sdk.name_to_coin.get(coin)
        asset = None if name is None else self._sdk.coin_to_asset.get(name)
        return None if asset is None else int(asset)

    def find(self, coin: str) -> Listed:
        """Return a perpetual by name.

        Raises
        ------
        InputError
            It is not listed.
        """
        entry = self._entries.get(coin)
        if entry is None:
            raise InputError(
                f"the venue lists no {coin!r}", where="coin", remedy=f"known: {', '.join(self.coins[:20])}"
            )
        return Listed(
            coin=coin,
            asset=int(self._sdk.name_to_asset(coin)),
            sz_decimals=entry["szDecimals"],
            max_leverage=entry["maxLeverage"],
            only_isolated=entry.get("onlyIsolated") is True,
            is_delisted=entry.get("isDelisted") is True,
            tiers=self._tiers[coin],
        )


def load_listings(base_url: str, ask: AskInfo, dexs: Sequence[str] = ()) -> Listings:
    """Return what a venue lists: its own perpetuals, and those of named dexs; a dex that it does not have has none.

    Raises
    ------
    VenueUnreadable
        An answer holds no universe.
    """
    names = dex_names(ask) if dexs else []
    metas = {"": ask({"type": "meta", "dex": ""})}
    metas |= {dex: ask({"type": "meta", "dex": dex}) for dex in dexs if dex in names}
    return read_listings(base_url, metas, ask({"type": "spotMeta"}), names)


def dex_names(ask: AskInfo) -> list[str]:
    """Return the names of the builder-deployed dexs, in the venue's order; an entry without one is left empty.

    Raises
    ------
    VenueUnreadable
        There is no list.
    """
    entries = ask({"type": "perpDexs"})
    if not isinstance(entries, list):
        raise VenueUnreadable(f"{entries!r}", where="info perpDexs")
    return [str(entry.get("name") or "") if isinstance(entry, Mapping) else "" for entry in entries[1:]]


def read_listings(base_url: str, metas: Mapping[str, Any], spot_meta: Any, dexs: Sequence[str] = ()) -> Listings:
    """Return what is listed.

    Parameters
    ----------
    base_url
        For the SDK's object; nothing is asked.
    metas
        Answers to `meta` by dex; `""` must be there.
    spot_meta
        Answer to `spotMeta`.
    dexs
        Named dexs in the venue's order, the first having index 1.

    Raises
    ------
    VenueUnreadable
        An answer holds no universe.
    """
    clean = {dex: sane_meta(meta) for dex, meta in metas.items()}
    named = {dex: _named(meta) for dex, meta in clean.items()}
    sdk = Info(base_url, skip_ws=True, meta=named[""], spot_meta=sane_spot_meta(spot_meta))
    for index, dex in enumerate(dexs, start=1):
        if dex in named:
            sdk.set_perp_meta(named[dex], dex_asset_id(index, 0))
    return Listings(sdk, clean)


def sane_meta(meta: Any) -> dict[str, Any]:
    """Return a universe in which every entry can be read; one that could not has no name, and keeps its place.

    Raises
    ------
    VenueUnreadable
        There is no universe.
    """
    universe = meta.get("universe") if isinstance(meta, Mapping) else None
    if not isinstance(universe, list):
        raise VenueUnreadable("meta without a universe", where="info meta")
    return {**meta, "universe": [_sane_entry(entry) for entry in universe]}


def sane_spot_meta(spot_meta: Any) -> dict[str, Any]:
    """Return spot pairs and tokens without those at which the SDK would stop."""
    if not isinstance(spot_meta, Mapping):
        return dict(_NO_SPOT)
    tokens = [
        token
        for token in _list(spot_meta.get("tokens"))
        if isinstance(token, Mapping)
        and isinstance(token.get("index"), int)
        and isinstance(token.get("szDecimals"), int)
        and isinstance(token.get("name"), str)
    ]
    known = {token["index"] for token in tokens}
    pairs = [
        pair
        for pair in _list(spot_meta.get("universe"))
        if isinstance(pair, Mapping)
        and isinstance(pair.get("name"), str)
        and isinstance(pair.get("index"), int)
        and isinstance(pair.get("tokens"), list)
        and len(pair["tokens"]) == 2
        and all(isinstance(token, int) and token in known for token in pair["tokens"])
    ]
    return {"universe": pairs, "tokens": tokens}


def is_perpetual(asset: int) -> bool:
    """Say whether an asset id is a perpetual's, of the venue or of a builder-deployed dex."""
    return 0 <= asset < SPOT_OFFSET or asset >= DEX_OFFSET + DEX_STRIDE


def _sane_entry(entry: Any) -> dict[str, Any]:
    usable = (
        isinstance(entry, Mapping)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("szDecimals"), int)
        and 0 <= entry["szDecimals"] <= USD_DECIMALS
    )
    if not usable:
        return {"name": None, "szDecimals": 0, "maxLeverage": 1, "isDelisted": True}
    leverage = entry.get("maxLeverage")  # absent in answers of 2023
    return {**entry, "maxLeverage": leverage if isinstance(leverage, int) and leverage > 0 else 1}


def _margin_tables(meta: Mapping[str, Any]) -> dict[int, tuple[MarginTier, ...]]:
    """Return the margin tables that can be read, by their ids."""
    tables = {}
    for pair in _list(meta.get("marginTables")):
        try:
            number, table = pair
            tiers = tuple(
                MarginTier(int(Decimal(tier["lowerBound"]) * MICRO_USD), int(tier["maxLeverage"]))
                for tier in table["marginTiers"]
            )
            falling = all(
                a.lower_micro_usd < b.lower_micro_usd and a.max_leverage > b.max_leverage
                for a, b in itertools.pairwise(tiers)
            )
            if tiers and tiers[0].lower_micro_usd == 0 and tiers[-1].max_leverage > 0 and falling:
                tables[int(number)] = tiers
        except (KeyError, TypeError, ValueError, ArithmeticError):
            continue
    return tables


def _tiers_of(entry: Mapping[str, Any], tables: Mapping[int, tuple[MarginTier, ...]]) -> tuple[MarginTier, ...]:
    """Return an asset's tiers: of its table, or the one of its own leverage, as where answers have no tables."""
    table = entry.get("marginTableId")
    tiers = tables.get(table) if isinstance(table, int) else None
    return single_tier(entry["maxLeverage"]) if tiers is None else tiers


def _named(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return a universe for the SDK, in which an entry without a name has one that nobody asks for."""
    universe = [
        {**entry, "name": f"\0{position}"} if entry["name"] is None else entry
        for position, entry in enumerate(meta["universe"])
    ]
    return {**meta, "universe": universe}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
