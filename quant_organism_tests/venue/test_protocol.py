"""Numbers, nonces, weights and requests of the wire."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.market.schema import MS_PER_DAY
from quant_organism.venue.protocol import admission, decimals, texts, wire
from quant_organism.venue.protocol.admission import KEPT, NonceWindow
from quant_organism.venue.protocol.decimals import Malformed
from quant_organism.venue.protocol.instruments import Instrument, dex_asset_id, meta_form, single_tier


@pytest.mark.parametrize(
    ("units", "places", "text"),
    [
        (27238902, 6, "27.238902"),
        (0, 6, "0.0"),
        (-68126246, 6, "-68.126246"),
        (837670, 1, "83767.0"),
        (-5, 3, "-0.005"),
    ],
)
def test_answers_write_at_least_one_decimal(units: int, places: int, text: str) -> None:
    assert decimals.answer_number(units, places) == text


@given(st.integers(-(10**18), 10**18), st.integers(0, 8))
def test_an_answer_says_its_number(units: int, places: int) -> None:
    assert Decimal(decimals.answer_number(units, places)) == Decimal(units).scaleb(-places)


@pytest.mark.parametrize(
    ("price", "sz_decimals", "legal"),
    [
        ("1234.5", 1, True),
        ("1234.56", 1, False),  # six significant figures
        ("0.001234", 0, True),
        ("0.0012345", 0, False),  # seven decimals
        ("0.01234", 1, True),
        ("0.012345", 1, False),  # six decimals where five are allowed
        ("123456", 2, True),  # whole numbers are always legal
        ("123456.7", 2, False),
        ("80942", 5, True),
        ("0", 0, False),
    ],
)
def test_legal_prices(price: str, sz_decimals: int, legal: bool) -> None:
    places = decimals.price_decimals(sz_decimals)
    units = decimals.scaled(Decimal(price), places)
    assert (units is not None and decimals.is_legal_price(units, places)) is legal


@given(st.integers(1, 10**13), st.integers(0, 5))
def test_rounded_prices_are_legal_and_on_their_side(units: int, sz_decimals: int) -> None:
    places = decimals.price_decimals(sz_decimals)
    up, down = decimals.round_units(units, places, up=True), decimals.round_units(units, places, up=False)
    assert decimals.is_legal_price(up, places)
    assert decimals.is_legal_price(down, places)
    assert down <= units <= up
    assert down <= decimals.nearest_price(units / 10**places, places) <= up


@pytest.mark.parametrize("text", ["1e3", "", ".5", "1.", "0.123456789", "NaN", "１", 5, None, "+1", "1 "])
def test_other_notations_are_malformed(text: object) -> None:
    with pytest.raises(Malformed):
        decimals.parse_wire(text)


def test_minus_zero_of_the_sdk_is_zero() -> None:
    assert decimals.scaled(decimals.parse_wire("-0"), 3) == 0


def test_asset_ids() -> None:
    assert dex_asset_id(1, 0) == 110_000
    assert dex_asset_id(2, 3) == 120_003


def test_meta_keeps_delisted_assets_in_place() -> None:
    listed = [Instrument("A", 2, single_tier(10), is_delisted=True), Instrument("B", 0, single_tier(3))]
    told = meta_form(listed)
    assert [entry["name"] for entry in told["universe"]] == ["A", "B"]
    assert told["universe"][0]["isDelisted"] is True
    assert [table[0] for table in told["marginTables"]] == [3, 10]


class TestNonces:
    NOW = 1_800_000_000_000

    def test_a_nonce_is_used_once(self) -> None:
        window = NonceWindow()
        window.consume(self.NOW)
        assert window.refusal(self.NOW, self.NOW) == f"Invalid nonce: duplicate nonce {self.NOW}"
        assert window.refusal(self.NOW - 1, self.NOW) is None

    def test_below_the_hundred_highest_it_is_too_low(self) -> None:
        window = NonceWindow()
        for i in range(KEPT + 1):
            window.consume(self.NOW + i)
        assert window.used == list(range(self.NOW + 1, self.NOW + KEPT + 1))
        assert window.refusal(self.NOW, self.NOW) == f"Invalid nonce: nonce too low {self.NOW} < {self.NOW + 1}"

    def test_the_window_of_time(self) -> None:
        window = NonceWindow()
        assert str(window.refusal(self.NOW - 2 * MS_PER_DAY, self.NOW)).startswith("Invalid nonce: nonce too low")
        assert str(window.refusal(self.NOW + MS_PER_DAY, self.NOW)).startswith("nonce too high")
        assert window.refusal(self.NOW - 2 * MS_PER_DAY + 1, self.NOW) is None
        assert window.refusal(self.NOW + MS_PER_DAY - 1, self.NOW) is None


def test_weights() -> None:
    assert [admission.exchange_weight(n) for n in (1, 39, 40, 80)] == [1, 1, 2, 3]
    assert admission.info_weight("l2Book") == 2
    assert admission.info_weight("userRole") == 60
    assert admission.info_weight("userFills", 2000) == 120
    assert admission.info_weight("candleSnapshot", 120) == 22
    assert admission.cancel_cap(0) == 20_000
    assert admission.cancel_cap(1_000_000) == 1_110_000
    assert admission.batch_length({"type": "order", "orders": [1, 2]}) == 2


def test_texts_that_were_recorded() -> None:
    assert texts.for_asset(texts.MIN_NOTIONAL, 4) == "Order must have minimum value of $10. asset=4"
    assert texts.too_many_requests(97460, 97456, "87457.46") == (
        "Too many cumulative requests sent (97460 > 97456) for cumulative volume traded $87457.46. "
        "Place taker orders to free up 1 request per USDC traded."
    )


ORDER = {"a": 3, "b": True, "p": "70415", "s": "0.00039", "r": False, "t": {"limit": {"tif": "Gtc"}}}


def test_an_order_is_read() -> None:
    read = wire.parse_action({"type": "order", "orders": [{**ORDER, "f": True}], "grouping": "na"})
    assert isinstance(read, wire.PlaceOrders)
    assert read.orders == (wire.OrderRequest(3, True, Decimal("70415"), Decimal("0.00039"), False, "Gtc", None, None),)


@pytest.mark.parametrize(
    "change",
    [
        {"a": True},
        {"a": "3"},
        {"b": 1},
        {"p": 70415},
        {"s": "1e3"},
        {"r": None},
        {"t": {}},
        {"t": {"limit": {"tif": "Fok"}}},
        {"t": {"limit": {"tif": "Gtc"}, "trigger": {}}},
        {"t": {"trigger": {"triggerPx": "1", "isMarket": True, "tpsl": "x"}}},
        {"c": "0x12"},
        {"a": 1 << 70},
    ],
)
def test_a_wrong_field_is_malformed(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        wire.parse_action({"type": "order", "orders": [{**ORDER, **change}], "grouping": "na"})


def test_a_type_that_is_not_served_is_none() -> None:
    assert wire.parse_action({"type": "createVault"}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab0x", max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab0x", max_size=4), inner, max_size=4),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["orders", "grouping", "cancels", "modifies", "oid", "order", "time"]), JSON),
    st.sampled_from(["order", "modify", "batchModify", "cancel", "cancelByCloid", "approveAgent", "updateLeverage"]),
)
def test_any_json_is_read_or_malformed(body: dict[str, object], kind: str) -> None:
    with pytest.raises(Malformed):
        wire.parse_action({"type": kind, **body})
