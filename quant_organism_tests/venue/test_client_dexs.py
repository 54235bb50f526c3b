"""Our own client over several dexs: sized, journalled, reconciled and flattened on all that the account is on."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from quant_organism.errors import InputError
from quant_organism.simulator import Account, RunningVenue, Tape
from quant_organism.trading.orders import OrderManager, cancel_all, flatten, reconcile
from quant_organism.venue.client.requests import quantised_price
from quant_organism.venue.protocol import wire
from quant_organism.venue.protocol.decimals import MICRO_USD
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.simulator.conftest import make_server
from quant_organism_tests.trading.trader import ADDRESS, close, new_order, open_manager

D = Decimal
COIN, ASSET = "xyz:ETH", 120_000
USDC_DEX, USDH_DEX = 2, 1


@pytest.fixture
def served(small_tape: Tape) -> Iterator[RunningVenue]:
    """Serve a venue with ETH on `xyz` and DOGE on `abc`; the account has 10,000 USD on its own dex, 5,000 on `xyz`."""
    server = make_server(small_tape.deployed({"ETH": "xyz", "DOGE": "abc"}))
    server.engine.deposit(ADDRESS, 10_000 * MICRO_USD)
    server.engine.deposit(ADDRESS, 5_000 * MICRO_USD, USDC_DEX)
    with RunningVenue(server) as running:
        yield running


@pytest.fixture
def manager(served: RunningVenue, tmp_path: Path) -> Iterator[OrderManager]:
    """Start with a clean journal."""
    found = open_manager(served.url, tmp_path)
    assert reconcile(found).is_clean
    yield found
    close(found)


def account_of(served: RunningVenue) -> Account:
    return served.server.engine.venue.state.accounts[ADDRESS]


def bound(manager: OrderManager, coin: str, factor: str) -> Decimal:
    return quantised_price(manager.venue.mids()[coin] * D(factor), manager.venue.listed(coin), up=False)


def enter(manager: OrderManager) -> None:
    """Hold BTC and ETH, with an order of each that rests."""
    for coin, sz in (("BTC", "0.01"), (COIN, "0.5")):
        taking, resting = bound(manager, coin, "1.02"), bound(manager, coin, "0.9")
        entry = new_order(coin, coin=coin, px=str(taking), sz=sz, tif="Ioc")
        assert manager.place(coin, [entry])[0].state == "filled"
        assert manager.place(f"{coin} rest", [new_order(f"{coin} rest", coin=coin, px=str(resting), sz=sz)])[0].is_live


def test_money_is_told_by_dex_and_together(manager: OrderManager) -> None:
    venue = manager.venue
    assert venue.find_dexs() == ["", "xyz"]
    assert [venue.account(dex).withdrawable_usd for dex in ("", "xyz", "abc")] == [10_000, 5_000, 0]
    assert venue.account().account_value_usd == 15_000
    assert set(venue.mids()) == {"BTC", COIN}
    assert venue.listed(COIN).asset == ASSET
    assert venue.listed("abc:DOGE").asset == 110_000
    assert venue.listed(COIN).asset == ASSET  # another dex's list does not take its place
    with pytest.raises(InputError, match="lists no 'moon:ROCK'"):
        venue.listed("moon:ROCK")
    assert venue.find_dexs() == ["", "xyz", "abc"]


def test_orders_of_two_dexs_share_a_journal_that_is_the_venues(served: RunningVenue, manager: OrderManager) -> None:
    enter(manager)
    manager.sync_fills()
    account = account_of(served)
    check_journal_is_venue(manager, served.server.engine.venue, account)
    assert manager.journal.positions() == {"BTC": D("0.01"), COIN: D("0.5")}
    (btc, eth) = (next(fill for fill in manager.journal.fills() if fill.coin == coin) for coin in ("BTC", COIN))
    rates = [fill.fee / (fill.px * fill.sz) for fill in (btc, eth)]
    assert [round(rate, 7) for rate in rates] == [D("0.00045"), D("0.0009")]
    amended = manager.amend(new_order(f"{COIN} rest").cloid, bound(manager, COIN, "0.89"), D("0.4"))
    assert (amended.state, amended.order.sz) == ("open", D("0.4"))
    assert {order.coin for order in manager.venue.open_orders()} == {"BTC", COIN}


def test_flat_means_flat_on_every_dex(served: RunningVenue, manager: OrderManager) -> None:
    enter(manager)
    assert flatten(manager, "end", sleep=lambda seconds: None) >= 1
    account = account_of(served)
    assert (account.positions(), account.open_oids) == ([], {})
    assert manager.journal.positions() == {}
    check_journal_is_venue(manager, served.server.engine.venue, account)


def test_what_was_done_by_hand_on_a_dex_never_traded_from_here_is_closed_too(
    served: RunningVenue, manager: OrderManager
) -> None:
    engine, account = served.server.engine, account_of(served)
    engine.deposit(ADDRESS, 1_000 * MICRO_USD, USDH_DEX)
    hand = wire.OrderRequest(110_000, True, D("0.25"), D(100), False, "Ioc", None, None)
    statuses = engine.act(account, wire.PlaceOrders((hand,), "na"))["response"]["data"]["statuses"]
    assert "filled" in statuses[0]
    gaps = reconcile(manager).position_gaps
    assert list(gaps) == ["abc:DOGE"]
    flatten(manager, "by hand", sleep=lambda seconds: None)
    assert account.positions() == []


def test_the_next_process_finds_the_dexs_by_itself(served: RunningVenue, tmp_path: Path) -> None:
    first = open_manager(served.url, tmp_path)
    reconcile(first)
    enter(first)
    close(first)
    again = open_manager(served.url, tmp_path)
    found = reconcile(again)
    assert found.is_clean
    assert [item.action for item in found.resolutions] == ["nothing", "nothing"]
    assert again.venue.find_dexs() == ["", "xyz"]
    assert again.journal.positions() == {"BTC": D("0.01"), COIN: D("0.5")}
    assert cancel_all(again.venue)  # the watchdog's way
    assert account_of(served).open_oids == {}
    close(again)
