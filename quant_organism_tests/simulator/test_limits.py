"""How much an account may have open, and how much one order may be worth (reference: section 9)."""

from decimal import Decimal

import pytest

from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.placing import open_order_cap
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import MICRO_USD, OrderRequest, wire
from quant_organism_tests.simulator.venues import BTC, DOGE, ETH, fund, make_venue, order, place, quotes, resting


@pytest.fixture
def venue() -> SimulatedVenue:
    return make_venue()


@pytest.fixture
def rich(venue: SimulatedVenue) -> Account:
    return fund(venue, usd=10**9)


def low(count: int) -> tuple[OrderRequest, ...]:
    """Return orders of ten dollars far below the market."""
    return (order(ETH, "buy", "0.01", 1000),) * count


@pytest.mark.parametrize(
    ("traded_usd", "cap"),
    [(0, 1_000), (4_999_999, 1_000), (5_000_000, 1_001), (19_999_999_999, 4_999), (10**12, 5_000)],
)
def test_the_cap_grows_by_one_for_every_five_millions(rich: Account, traded_usd: int, cap: int) -> None:
    rich.volume = traded_usd * MICRO_USD
    assert open_order_cap(rich) == cap


def test_one_order_too_many_is_refused_and_room_is_made_by_any_end(venue: SimulatedVenue, rich: Account) -> None:
    statuses = place(venue, rich, *low(1_001))
    assert statuses[-1] == {"error": f"Too many open orders. Limit: 1000. asset={ETH}"}
    oid = resting(statuses[0])
    assert len(rich.open_oids) == 1_000
    replaced = venue.act(rich, wire.ModifyOrders(((oid, order(ETH, "buy", "0.01", 1001)),), single=False))
    oid = resting(replaced["response"]["data"]["statuses"][0])
    assert len(rich.open_oids) == 1_000
    venue.act(rich, wire.CancelOrders(((ETH, oid),)))
    assert [next(iter(status)) for status in place(venue, rich, *low(2))] == ["resting", "error"]


def test_with_a_thousand_open_nothing_that_reduces_or_waits_is_taken(venue: SimulatedVenue, rich: Account) -> None:
    """Which is why whoever closes must cancel first; what is taken at once and opens is no matter."""
    quotes(venue, BTC, 99_999, 100_000, 50)
    place(venue, rich, order(BTC, "buy", 2, 100_000, "Ioc"))
    rich.volume = 10**12 * MICRO_USD
    oid = resting(place(venue, rich, *low(1_000))[0])
    close = order(BTC, "sell", 1, 99_000, "Ioc", reduce_only=True)
    stop = order(BTC, "sell", 1, 90_000, trigger=(90_000, "sl"), reduce_only=True)
    for refused in place(venue, rich, close, stop):
        assert refused == {"error": f"Too many open orders to place reduce only or trigger orders. asset={BTC}"}
    assert "filled" in place(venue, rich, order(BTC, "sell", 1, 99_000, "Ioc"))[0]
    venue.act(rich, wire.CancelOrders(((ETH, oid),)))
    assert "filled" in place(venue, rich, close)[0]


@pytest.mark.parametrize(
    ("asset", "px", "most_usd"), [(ETH, 2000, 15_000_000), (BTC, 100_000, 15_000_000), (DOGE, "0.2", 2_000_000)]
)
def test_an_order_may_be_worth_so_much(
    venue: SimulatedVenue, rich: Account, asset: int, px: object, most_usd: int
) -> None:
    quotes(venue, asset, px, px, 10**9)
    largest, lot = most_usd / float(str(px)), Decimal(1).scaleb(-venue.state.listings[asset].instrument.sz_decimals)
    error = {"error": f"Order exceeds maximum order value. asset={asset}"}
    for tif, factor in (("Ioc", 1), ("Gtc", 10)):
        size = int(largest * factor)
        assert place(venue, rich, order(asset, "buy", size + lot, px, tif)) == [error]
        (taken,) = place(venue, rich, order(asset, "buy", size, px, tif))
        assert "error" not in taken
