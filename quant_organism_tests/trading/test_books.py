"""What the books say is what the venue did: amended orders, journals that were lost, liquidations, spot."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import InputError
from quant_organism.trading.orders import Journal, OrderManager, cloid_of, reconcile
from quant_organism.trading.orders.rebuilding import take_baseline
from quant_organism.venue import VenueError
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.simulator.loopback import Failure, LoopbackVenue
from quant_organism_tests.simulator.venues import ETH, order, place
from quant_organism_tests.trading.trader import ADDRESS, D, close, fail_once, new_order, open_manager


def sell_to(server: LoopbackVenue, lots: int) -> None:
    """Have the market sell so many lots of ETH at 1,950 or better, after its own bids are gone."""
    with server.lock:
        server.venue.withdraw_quotes(ETH)
        server.venue.take(ETH, 190_000, lots, is_buy=False)


def open_size(server: LoopbackVenue) -> Any:
    """Return the size that rests on the venue, in lots."""
    (oid,) = server.account.open_oids
    return server.venue.state.orders[oid].sz


@pytest.mark.parametrize("failure", [None, Failure("after")])
def test_the_size_of_an_amended_order_is_what_it_shall_have_in_all(
    server: LoopbackVenue, manager: OrderManager, failure: Failure | None
) -> None:
    manager.place("d", [new_order("d", px="1950", sz="3")])
    sell_to(server, 6_219)
    if failure is not None:
        fail_once(server, "batchModify", failure)
    manager.amend(cloid_of("d"), D(1960), D("2"))
    assert manager.settle() == []
    record = manager.journal.order(cloid_of("d"))
    assert (record.state, record.order.sz, record.filled_sz) == ("open", D("2"), D("0.6219"))
    assert open_size(server) == 13_781
    sell_to(server, 100_000)
    assert reconcile(manager).is_clean
    assert manager.journal.order(cloid_of("d")).state == "filled"
    assert manager.journal.positions() == {"ETH": D("2")}
    check_journal_is_venue(manager, server.venue, server.account)


def test_an_order_is_not_amended_below_what_it_has_and_can_still_be_canceled(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    manager.place("d", [new_order("d", px="1950", sz="3")])
    sell_to(server, 6_219)
    with pytest.raises(InputError, match=r"0\.6219 of it are filled"):
        manager.amend(cloid_of("d"), D(1960), D("0.2"))
    assert manager.cancel([cloid_of("d")])[0].state == "canceled"
    assert server.account.open_oids == {}


def test_an_order_amended_to_less_is_open_until_that_is_filled(server: LoopbackVenue, manager: OrderManager) -> None:
    """Fills count for the number that they are of, not for the life of the order against its newest size."""
    manager.place("d", [new_order("d", px="1950", sz="3")])
    sell_to(server, 6_219)
    manager.amend(cloid_of("d"), D(1960), D("0.8219"))
    manager.sync_fills()
    assert manager.journal.order(cloid_of("d")).state == "open"
    assert open_size(server) == 2_000
    assert manager.cancel([cloid_of("d")])[0].state == "canceled"
    assert server.account.open_oids == {}


def test_a_fill_that_comes_before_the_answer_to_an_amendment_counts_for_it(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    manager.place("d", [new_order("d", px="1950", sz="3")])
    sell_to(server, 6_219)
    fail_once(server, "batchModify", Failure("after"))
    manager.amend(cloid_of("d"), D(1960), D("1"))
    sell_to(server, 1_000)
    manager.sync_fills()
    assert manager.journal.order(cloid_of("d")).is_live
    sell_to(server, 100_000)
    manager.sync_fills()
    assert manager.journal.order(cloid_of("d")).state == "filled"
    assert manager.settle() == []
    assert reconcile(manager).is_clean
    check_journal_is_venue(manager, server.venue, server.account)


@pytest.mark.parametrize(("lots", "left"), [(3_781, 10_000), (13_781, 0), (20_000, 0)])
def test_what_fills_while_an_amendment_is_on_its_way_is_taken_off(
    server: LoopbackVenue, manager: OrderManager, lots: int, left: int
) -> None:
    """Between the question how much is filled and the amendment the old number fills on: the size in all stays."""
    manager.place("d", [new_order("d", px="1950", sz="3")])
    sell_to(server, 6_219)
    sold = [lots]

    def sell_meanwhile(endpoint: str, body: dict[str, Any]) -> None:
        if sold and body.get("action", {}).get("type") == "batchModify":
            sell_to(server, sold.pop())

    server.inject = sell_meanwhile
    record = manager.amend(cloid_of("d"), D(1960), D("2"))
    assert sum(server.venue.state.orders[oid].sz for oid in server.account.open_oids) == left
    assert record.is_live == (left > 0)
    sell_to(server, 100_000)
    assert reconcile(manager).is_clean
    assert manager.journal.positions() == {"ETH": D(max(20_000, 6_219 + lots)).scaleb(-4)}
    check_journal_is_venue(manager, server.venue, server.account)


def test_nothing_is_opened_before_the_books_have_been_compared(server: LoopbackVenue, tmp_path: Path) -> None:
    manager = open_manager(server.url, tmp_path)
    with pytest.raises(InputError, match="reconcile"):
        manager.place("d", [new_order("d")])
    assert server.orders() == []
    reconcile(manager)
    assert manager.place("d", [new_order("d")])[0].state == "open"
    close(manager)


def test_what_is_closed_before_the_books_were_compared_leaves_a_baseline(server: LoopbackVenue, tmp_path: Path) -> None:
    with server.lock:
        place(server.venue, server.account, order(ETH, "buy", "0.5", 2010))
    manager = open_manager(server.url, tmp_path)
    closing = new_order("out", px="1990", sz="0.2", is_buy=False, reduce_only=True, tif="Ioc")
    assert manager.place("out", [closing])[0].state == "filled"
    reconcile(manager)
    assert reconcile(manager).is_clean
    assert manager.journal.positions() == {"ETH": D("0.3")}
    close(manager)


def test_money_begins_where_the_baseline_is_taken(server: LoopbackVenue, tmp_path: Path) -> None:
    """Not only once nothing differs: what comes in between is explained from then on."""
    with server.lock:
        place(server.venue, server.account, order(ETH, "buy", "0.5", 2010))
    manager = open_manager(server.url, tmp_path)
    assert manager.journal.money.balance(manager.venue.account()) is None
    take_baseline(manager)
    with server.lock:
        server.account.add_raw(0, 1_230_000)
    balance = manager.journal.money.balance(manager.venue.account())
    assert balance is not None
    assert balance.gap_usd == D("1.23")
    close(manager)


def test_a_backup_takes_over_what_was_amended_after_it_and_nothing_else(server: LoopbackVenue, tmp_path: Path) -> None:
    first = open_manager(server.url, tmp_path / "first")
    reconcile(first)
    placed = [new_order("d", leg=leg, px="1950", sz="3") for leg in ("amended", "left")]
    first.place("d", placed)
    close(first)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    first = open_manager(server.url, tmp_path / "first")
    reconcile(first)
    number = first.amend(placed[0].cloid, D(1960), D(2)).oid
    close(first)
    manager = open_manager(server.url, tmp_path / "second")
    assert reconcile(manager).recovered == (placed[0].cloid,)
    record = manager.journal.order(placed[0].cloid)
    assert (record.oid, record.state, record.order.px, record.order.sz) == (number, "open", D(1960), D(2))
    close(manager)
    manager = open_manager(server.url, tmp_path / "second")
    assert reconcile(manager).recovered == ()
    close(manager)


def restored(server: LoopbackVenue, tmp_path: Path, *, backup: bool) -> OrderManager:
    """Trade, lose the journal, or put an old one in its place, and open it again."""
    first = open_manager(server.url, tmp_path / "first")
    reconcile(first)
    first.place("a", [new_order("a", px="2010")])
    first.sync_fills()
    close(first)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    first = open_manager(server.url, tmp_path / "first")
    reconcile(first)
    first.place("b", [new_order("b", px="2010")])
    first.place("c", [new_order("c", px="1950", sz="3")])
    sell_to(server, 6_219)
    first.amend(cloid_of("c"), D(1960), D("2"))
    close(first)
    return open_manager(server.url, tmp_path / ("second" if backup else "third"))


@pytest.mark.parametrize("backup", [True, False])
def test_a_journal_that_was_lost_is_rebuilt_and_nothing_is_placed_twice(
    server: LoopbackVenue, tmp_path: Path, backup: bool
) -> None:
    manager = restored(server, tmp_path, backup=backup)
    before = len(server.orders())
    result = reconcile(manager)
    assert not result.is_clean
    assert set(result.recovered) == {cloid_of(name) for name in ("abc" if not backup else "bc")}
    for name, px, sz in (("a", "2010", "0.1"), ("b", "2010", "0.1"), ("c", "1950", "3")):
        (record,) = manager.place(name, [new_order(name, px=px, sz=sz)])
        assert record.state == ("open" if name == "c" else "filled")
    assert len(server.orders()) == before
    assert manager.journal.order(cloid_of("c")).order.sz == D("2")
    assert reconcile(manager).is_clean
    assert manager.journal.positions() == {"ETH": D("0.8219")}
    sell_to(server, 100_000)
    assert reconcile(manager).is_clean
    assert manager.journal.positions() == {"ETH": D("2.2")}
    check_journal_is_venue(manager, server.venue, server.account)
    close(manager)


def test_after_a_loss_the_venue_is_asked_before_an_id_is_used_for_the_first_time(
    server: LoopbackVenue, tmp_path: Path
) -> None:
    """History shows the newest orders only: what is older is found by its id."""
    manager = restored(server, tmp_path, backup=False)
    forgotten = cloid_of("a")

    def cut(answer: Any) -> Any:
        return [row for row in answer if row["order"]["cloid"] != forgotten]

    server.inject = lambda endpoint, body: (
        Failure("after", edit=cut) if body.get("type") == "historicalOrders" else None
    )
    assert forgotten not in reconcile(manager).recovered
    before = len(server.orders())
    assert manager.place("a", [new_order("a", px="2010")])[0].state == "filled"
    assert len(server.orders()) == before
    server.inject = lambda endpoint, body: Failure("before", status=500) if body.get("type") == "orderStatus" else None
    with pytest.raises(VenueError):
        manager.place("new", [new_order("new")])
    server.inject = lambda endpoint, body: None
    assert manager.place("new", [new_order("new")])[0].state == "open"
    close(manager)


def test_fills_of_no_order_of_ours_are_reported_once(server: LoopbackVenue, manager: OrderManager) -> None:
    with server.lock:
        place(server.venue, server.account, order(ETH, "buy", "0.1", 2010, cloid="0x" + "ab" * 16))
    manager.sync_fills()
    result = reconcile(manager)
    assert not result.is_clean
    assert [fill.cloid for fill in result.foreign_fills] == ["0x" + "ab" * 16]
    assert reconcile(manager).is_clean
    assert manager.journal.positions() == {"ETH": D("0.1")}


def test_spot_is_beside_the_perpetual_books(server: LoopbackVenue, manager: OrderManager) -> None:
    """The venue converts dust without anybody asking for it."""
    manager.place("d", [new_order("d", px="2010")])
    perpetual = manager.venue.fills(0)[0]
    dust = [
        replace(perpetual, coin=coin, tid=tid, cloid=None, oid=tid) for tid, coin in enumerate(("@107", "PURR/USDC"), 1)
    ]
    manager.hear_fills([perpetual, *dust])
    assert manager.journal.positions() == {"ETH": D("0.1")}
    assert manager.journal.spot_sizes() == {"@107": D("0.1"), "PURR/USDC": D("0.1")}
    assert reconcile(manager).position_gaps == {}


@pytest.mark.parametrize(
    ("whose", "is_ours"), [(ADDRESS, True), (ADDRESS.upper().replace("0X", "0x"), True), ("0x" + "d" * 40, False)]
)
def test_a_liquidation_is_ours_only_if_we_were_liquidated(
    server: LoopbackVenue, manager: OrderManager, whose: str, is_ours: bool
) -> None:
    manager.place("d", [new_order("d", px="2010")])
    tag = {"liquidatedUser": whose, "markPx": "2000.0", "method": "market"}
    fail_once(
        server, "userFillsByTime", Failure("after", edit=lambda rows: [{**row, "liquidation": tag} for row in rows])
    )
    manager.sync_fills()
    (fill,) = manager.journal.fills()
    assert (fill.is_liquidation, fill.liquidation_method) == (is_ours, "market")


def test_a_reconciliation_after_a_liquidation_says_so(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.venue.set_leverage("ETH", 50, manager.venue.draw_nonce())
    manager.place("d", [new_order("d", px="2010", sz="99")])
    with server.lock:
        server.venue.deposit(ADDRESS, -95_000 * 1_000_000)
        server.venue.set_prices({ETH: (195_000, 195_000)})
    assert server.positions() == {}
    result = reconcile(manager)
    assert not result.is_clean
    assert result.liquidations
    assert reconcile(manager).is_clean


def test_what_the_venue_said_is_filled_is_known_before_its_fills(server: LoopbackVenue, manager: OrderManager) -> None:
    (record,) = manager.place("d", [new_order("d", px="2010", sz="0.2")])
    assert (record.state, record.filled_sz, record.missing_sz) == ("filled", D("0.2"), D("0.2"))
    manager.sync_fills()
    record = manager.journal.order(cloid_of("d"))
    assert (record.filled_sz, record.missing_sz) == (D("0.2"), 0)


def test_a_record_of_an_order_that_was_never_filled_has_no_fills(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ledger.sqlite", "simulator x")
    journal.begin_placing([new_order("d")], "d", 1, ADDRESS, 1)
    assert journal.order(cloid_of("d")).filled_sz == 0
    journal.close()
