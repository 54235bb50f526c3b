"""What is listed survives broken entries, and orders are on tick and lot before they are signed."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.venue.client.listings import Listed, read_listings, sane_spot_meta
from quant_organism.venue.client.requests import (
    NewOrder,
    Trigger,
    check_order,
    order_wire,
    quantised_price,
    quantised_size,
    wire_number,
)
from quant_organism.venue.protocol import MarginTier, single_tier, tiers_of
from quant_organism.venue.protocol.decimals import is_legal_price, scaled

URL = "http://127.0.0.1:1"
META: dict[str, Any] = {
    "universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56},
        {"name": "OLD", "szDecimals": 1, "maxLeverage": 3, "isDelisted": True},
        {"szDecimals": "two"},
        {"name": "ETH", "szDecimals": 4, "maxLeverage": 25, "onlyIsolated": True, "aKeyOf2031": {}},
    ]
}
BAD_SPOT = {
    "tokens": [{"name": "USDC", "szDecimals": 8, "index": 0}, {"name": "PURR", "szDecimals": 0, "index": 1}, None],
    "universe": [
        {"name": "PURR/USDC", "tokens": [1, 0], "index": 0},
        {"name": "@367", "tokens": [999, 0], "index": 367},
        {"name": "@368", "tokens": [1], "index": 368},
        "nonsense",
    ],
}


def test_numbers_are_positions_in_the_unfiltered_universe() -> None:
    found = read_listings(URL, {"": META}, BAD_SPOT)
    assert found.coins == ["BTC", "OLD", "ETH"]
    assert [found.find(coin).asset for coin in found.coins] == [0, 1, 3]
    assert found.find("OLD").is_delisted
    assert found.find("ETH") == Listed("ETH", 3, 4, 25, only_isolated=True, is_delisted=False, tiers=single_tier(25))
    with pytest.raises(InputError, match="lists no 'SOL'"):
        found.find("SOL")


@pytest.mark.parametrize(
    ("table", "tiers"),
    [
        ([["0.0", 40], ["150000000.0", 20]], tiers_of([(0, 40), (150_000_000, 20)])),
        ([["0", 40]], single_tier(40)),
        ([["0.0", 40], ["NaN", 20]], single_tier(40)),  # what cannot be read is a plain table
        ([["5.0", 40]], single_tier(40)),
        ([["0.0", 40], ["1.0", 50]], single_tier(40)),
        ([["0.0", 0]], single_tier(40)),
        ([], single_tier(40)),
    ],
)
def test_margin_tiers_are_those_of_the_table(table: list[Any], tiers: tuple[MarginTier, ...]) -> None:
    rows = [{"lowerBound": lower, "maxLeverage": leverage} for lower, leverage in table]
    meta = {**META, "marginTables": [[56, {"description": "", "marginTiers": rows}], None, [1], ["x", {}]]}
    assert read_listings(URL, {"": meta}, None).find("BTC").tiers == tiers
    assert read_listings(URL, {"": meta}, None).find("OLD").tiers == single_tier(3)


def test_a_malformed_pair_does_not_stop_the_sdk() -> None:
    assert [pair["name"] for pair in sane_spot_meta(BAD_SPOT)["universe"]] == ["PURR/USDC"]
    for broken in (None, [], {}, {"universe": None}):
        assert sane_spot_meta(broken) == {"universe": [], "tokens": []}


def test_assets_of_builder_dexs_have_their_own_numbers() -> None:
    dex = {"universe": [{"name": "xyz:GOLD", "szDecimals": 3, "maxLeverage": 10}]}
    found = read_listings(URL, {"": META, "xyz": dex}, None, ["abc", "xyz"])
    gold = found.find("xyz:GOLD")
    assert (gold.asset, gold.px_decimals) == (120_000, 3)  # a perpetual's decimals, which the SDK gets wrong


BTC = Listed("BTC", 0, 5, 40, only_isolated=False, is_delisted=False, tiers=single_tier(40))
DOGE = Listed("DOGE", 1, 0, 10, only_isolated=False, is_delisted=False, tiers=single_tier(10))


@pytest.mark.parametrize(
    ("px", "listed", "down", "up"),
    [
        ("64123.45", BTC, "64123", "64124"),
        ("64123", BTC, "64123", "64123"),
        ("123456", BTC, "123456", "123456"),
        ("0.1234567", DOGE, "0.12345", "0.12346"),
        ("2332.0999", Listed("ETH", 4, 4, 25, False, False, single_tier(25)), "2332", "2332.1"),
        ("99999.5", BTC, "99999", "100000"),
    ],
)
def test_prices_are_rounded_to_five_figures_and_the_coin_s_decimals(
    px: str, listed: Listed, down: str, up: str
) -> None:
    assert quantised_price(Decimal(px), listed, up=False) == Decimal(down)
    assert quantised_price(Decimal(px), listed, up=True) == Decimal(up)


@given(
    st.decimals("0.0000001", "2000000", places=9),
    st.decimals("0", "100000", places=9),
    st.integers(0, 6),
    st.booleans(),
)
def test_what_is_quantised_is_legal_and_on_the_asked_side(px: Decimal, sz: Decimal, decimals: int, up: bool) -> None:
    listed = Listed("X", 0, decimals, 10, False, False, single_tier(10))
    price, size = quantised_price(px, listed, up=up), quantised_size(sz, listed)
    units = scaled(price, listed.px_decimals)
    assert units is not None
    assert is_legal_price(units, listed.px_decimals)
    assert price >= px if up else price <= px or price == Decimal(1).scaleb(-listed.px_decimals)
    assert 0 <= sz - size < Decimal(1).scaleb(-decimals)
    if size > 0:
        check_order(price, size, listed)
        assert Decimal(wire_number(price)) == price
        assert not ("." in wire_number(size) and wire_number(size).endswith(("0", ".")))


def order(**changes: Any) -> NewOrder:
    base: dict[str, Any] = {"cloid": "0x" + "1" * 32, "coin": "BTC", "is_buy": True, "px": Decimal(64000)}
    return NewOrder(**{**base, "sz": Decimal("0.001"), **changes})


def test_an_order_has_the_keys_of_the_sdk_in_their_order() -> None:
    assert list(order_wire(order(), BTC)) == ["a", "b", "p", "s", "r", "t", "c"]
    stop = order(reduce_only=True, trigger=Trigger(Decimal(63000), "sl"))
    assert order_wire(stop, BTC)["t"] == {"trigger": {"isMarket": True, "triggerPx": "63000", "tpsl": "sl"}}


def test_a_stop_entry_says_that_it_opens() -> None:
    entry = order(trigger=Trigger(Decimal(65000), "sl", opens=True))
    assert (order_wire(entry, BTC)["r"], "trigger" in order_wire(entry, BTC)["t"]) == (False, True)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (order(px=Decimal("64000.123")), "off the tick"),
        (order(sz=Decimal("0.000001")), "not a multiple of the lot"),
        (order(sz=Decimal(0)), "not a multiple of the lot"),
        (order(trigger=Trigger(Decimal(63000), "sl")), "reduces only, or opens"),
        (order(reduce_only=True, trigger=Trigger(Decimal(63000), "sl", opens=True)), "reduces only, or opens"),
        (order(reduce_only=True, trigger=Trigger(Decimal("63000.5"), "sl")), "off the tick"),
    ],
)
def test_an_order_off_tick_or_lot_is_not_signed(bad: NewOrder, message: str) -> None:
    with pytest.raises(InputError, match=message):
        order_wire(bad, BTC)


@pytest.mark.parametrize("asset", [10_000, 10_107, 99_999])
def test_spot_is_not_traded(asset: int) -> None:
    with pytest.raises(InputError, match="only perpetuals"):
        order_wire(order(), Listed("PURR/USDC", asset, 5, 1, False, False, single_tier(1)))
