"""Equity is explained to the cent: by what there was, by trades, fees and funding, by what came and went."""

import os
import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quant_organism.market import Interval
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import Asset, WorldSpec
from quant_organism.simulator import MarketSpec, RunningVenue, ServerSpec, VenueClock, VenueServer, open_engine
from quant_organism.simulator.core import settlement
from quant_organism.trading.orders import Journal, OrderManager, accept_balance, reconcile
from quant_organism.venue import AccountState, CashFlow, Fill, Position, quantised_price, quantised_size
from quant_organism_tests.simulator.loopback import Failure, LoopbackVenue
from quant_organism_tests.simulator.venues import ETH, set_mark
from quant_organism_tests.trading.trader import ADDRESS, D, close, new_order, open_manager

ACCOUNT = f"simulator {ADDRESS}"
DAYS = 30
MONTHS = int(os.environ.get("EQUITY_MONTHS", "1"))


def fund(server: LoopbackVenue, rate_e10: int) -> None:
    """Pay an hour's funding of ETH."""
    with server.lock:
        settlement.pay_funding(server.venue.core, {ETH: rate_e10}, server.venue.state.now_ms + 30)
        server.venue.pass_time(server.venue.state.now_ms + 30)


def test_trades_funding_and_transfers_explain_equity(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d", px="2010", sz="3")])
    fund(server, 1_000_000)
    with server.lock:
        server.venue.deposit(ADDRESS, 250_000_000)
        server.venue.deposit(ADDRESS, -100_000_000)
        set_mark(server.venue, ETH, 2050)
    manager.place("e", [new_order("e", px="1990", sz="1", is_buy=False)])
    result = reconcile(manager)
    assert result.is_clean
    assert result.balance is not None
    assert [(flow.kind, flow.usd) for flow in result.transfers] == [("deposit", D(250)), ("withdraw", D(-100))]
    fees = 3 * D("2001") * D("0.00045") + D("1999") * D("0.00045")
    balance = result.balance
    assert (balance.opening_usd, balance.funding_usd, balance.transfers_usd) == (D(100_000), D("-0.6"), D(150))
    assert (balance.realised_usd, balance.fees_usd) == (D("-2"), fees.quantize(D("1e-6")))
    assert balance.unrealised_usd == 2 * (D(2050) - D(2001))
    assert balance.gap_usd == 0
    assert reconcile(manager).transfers == ()  # told once


def test_what_nobody_explains_is_told_until_a_person_accepts_it(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d", px="2010")])
    with server.lock:
        server.account.add_raw(0, -1_230_000)
    for _ in range(2):
        result = reconcile(manager)
        assert not result.is_clean
        assert result.balance_gap is not None
        assert result.balance_gap.gap_usd == D("-1.23")
    accept_balance(manager, "the venue took a fee for a transfer")
    assert reconcile(manager).is_clean
    accepted = manager.journal.money.flows()[-1]
    assert (accepted.kind, accepted.usd, accepted.name) == (
        "accepted",
        D("-1.23"),
        "the venue took a fee for a transfer",
    )


def test_a_cent_is_enough_to_be_told_and_less_is_not(server: LoopbackVenue, manager: OrderManager) -> None:
    with server.lock:
        server.account.add_raw(0, 9_999)
    assert reconcile(manager).is_clean
    with server.lock:
        server.account.add_raw(0, 1)
    assert reconcile(manager).balance_gap is not None


def test_a_transfer_that_shows_itself_late_is_waited_for(server: LoopbackVenue, manager: OrderManager) -> None:
    with server.lock:
        server.venue.deposit(ADDRESS, 50_000_000)
    hidden = [Failure("after", edit=lambda rows: [])]
    server.inject = lambda endpoint, body: (
        hidden.pop() if hidden and body.get("type") == "userNonFundingLedgerUpdates" else None
    )
    assert reconcile(manager).is_clean


def test_books_that_were_closed_meanwhile_catch_up(
    server: LoopbackVenue, manager: OrderManager, tmp_path: Path
) -> None:
    manager.place("d", [new_order("d", px="2010", sz="2")])
    close(manager)
    for _ in range(3):
        fund(server, -2_000_000)
    with server.lock:
        server.venue.deposit(ADDRESS, 7_000_000)
    again = open_manager(server.url, tmp_path)
    result = reconcile(again)
    assert result.is_clean
    assert result.balance is not None
    assert result.balance.funding_usd == 3 * D("0.8")
    assert result.balance.transfers_usd == 7
    again.journal.close()


def test_money_is_kept_once_however_often_it_is_told_of(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ledger.sqlite", ACCOUNT)
    flows = [CashFlow(5, "funding", "ETH", "", D("-1.5")), CashFlow(5, "deposit", "", "0x1 a", D(3))]
    assert journal.money.add(flows) == []  # it has not begun
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("INSERT INTO facts VALUES ('opening_ms', '4')")
    db.close()
    assert journal.money.add(flows) == flows
    assert journal.money.add([*flows, CashFlow(4, "deposit", "", "0x2 b", D(1))]) == []
    assert (journal.money.last_funding_ms(), journal.money.last_transfer_ms()) == (5, 5)
    journal.close()


def state(equity: str, *held: tuple[str, str | None], at_ms: int = 50) -> AccountState:
    """Return equity, and positions in ETH by their size and mark."""
    positions = (
        Position("ETH", D(szi), None, None if mark is None else D(mark), None, D(0), 1, True) for szi, mark in held
    )
    return AccountState(D(equity), D(0), D(0), tuple(positions), at_ms)


def test_money_begins_once_and_with_what_can_be_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ledger.sqlite", ACCOUNT)
    money = journal.money
    money.open(state("100", ("1", None)))  # a position without a mark: the cash cannot be told
    assert (money.opened_ms(), money.balance(state("100")), money.cash()) == (None, None, 0)
    money.open(state("100", ("0.01", "2000"), at_ms=51))
    money.open(state("700", at_ms=52))
    assert (money.opened_ms(), money.last_funding_ms(), money.last_transfer_ms(), money.cash()) == (51, 51, 51, 80)
    assert money.balance(state("100", ("1", None))) is None
    balance = money.balance(state("111", ("0.01", "3000")))
    assert balance is not None
    assert (balance.opening_usd, balance.unrealised_usd, balance.venue_usd, balance.gap_usd) == (100, 10, 111, 1)
    journal.close()


def test_what_flows_counts_by_its_kind_and_from_the_opening_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ledger.sqlite", ACCOUNT)
    money = journal.money
    money.open(state("100"))
    kinds = [("deposit", 50, 7), ("deposit", 51, 8), ("funding", 52, -3), ("withdraw", 53, -1), ("funding", 54, 5)]
    flows = [CashFlow(at_ms, kind, "", f"{kind} {at_ms}", D(usd)) for kind, at_ms, usd in kinds]
    assert money.add(flows) == flows[1:] == money.flows()
    assert (money.last_funding_ms(), money.last_transfer_ms(), money.cash()) == (54, 53, 109)
    balance = money.balance(state("109"))
    assert balance is not None
    assert (balance.funding_usd, balance.transfers_usd, balance.gap_usd) == (2, 7, 0)
    money.accept(replace(balance, venue_usd=D(112)), 60, "a gift")
    assert money.last_transfer_ms() == 53  # what a person said was not the venue's word
    assert [flow.usd for flow in money.take_transfers()] == [8, -1, 3]
    assert money.take_transfers() == []
    assert [(place, flow.usd) for place, flow in money.flows_after(3)] == [(4, 5), (5, 3)]
    assert money.newest_place() == 5
    journal.close()


@pytest.mark.parametrize(("is_buy", "sign"), [(True, 1), (False, -1)])
@pytest.mark.parametrize(
    ("coin", "at_ms", "place", "counts"),
    [
        ("ETH", 50, None, True),
        ("ETH", 51, None, False),
        ("@107", 50, None, False),
        ("ETH", 50, 1, True),  # of an order that came before the opening
        ("ETH", 50, 2, False),
    ],
)
def test_a_fill_from_before_the_opening_that_is_heard_of_late_was_in_it(
    tmp_path: Path, is_buy: bool, sign: int, coin: str, at_ms: int, place: int | None, counts: bool
) -> None:
    journal = Journal(tmp_path / "ledger.sqlite", ACCOUNT)
    journal.begin_placing([new_order("d")], "d", 1, ADDRESS, 1)
    late = Fill(coin, is_buy, D(2000), D(3), at_ms, 7, 1, None, D(5), "USDC", D(11), True, False)
    journal.money.note_early(late, place)  # it has not begun: nothing to be in
    journal.money.open(state("100"))
    for _ in range(2):
        journal.money.note_early(late, place)
    balance = journal.money.balance(state("100"))
    assert balance is not None
    assert (balance.realised_usd, balance.fees_usd) == ((-22, -10) if counts else (0, 0))
    assert journal.money.cash() == 100 + ((sign * 12_000 + 10) if counts else 0)
    journal.close()


def old_journal(path: Path, version: int) -> None:
    """Write a journal as it was written then, with an order, an amendment and a fill."""
    oids, fills = ("", "") if version == 2 else (", sz TEXT, said_filled TEXT NOT NULL", " liquidation_method TEXT,")
    change = '["1950", "3"]' if version == 2 else '["1950", "3", "3"]'
    with sqlite3.connect(path) as db:
        db.executescript(f"""
            CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
            CREATE TABLE orders (
                cloid TEXT PRIMARY KEY, decision_id TEXT NOT NULL, coin TEXT NOT NULL, is_buy INTEGER NOT NULL,
                px TEXT NOT NULL, sz TEXT NOT NULL, tif TEXT NOT NULL, reduce_only INTEGER NOT NULL,
                trigger_px TEXT, tpsl TEXT, trigger_is_market INTEGER, state TEXT NOT NULL, oid INTEGER,
                text TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT;
            CREATE TABLE oids (oid INTEGER PRIMARY KEY, cloid TEXT NOT NULL{oids}) STRICT;
            CREATE TABLE actions (
                nonce INTEGER PRIMARY KEY, signer TEXT NOT NULL, kind TEXT NOT NULL, cloids TEXT NOT NULL,
                changes TEXT NOT NULL, is_settled INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
            CREATE TABLE fills (
                tid INTEGER NOT NULL, oid INTEGER NOT NULL, cloid TEXT, coin TEXT NOT NULL, is_buy INTEGER NOT NULL,
                px TEXT NOT NULL, sz TEXT NOT NULL, time_ms INTEGER NOT NULL, fee TEXT NOT NULL,
                fee_token TEXT NOT NULL, closed_pnl TEXT NOT NULL, crossed INTEGER NOT NULL,
                is_liquidation INTEGER NOT NULL,{fills} PRIMARY KEY (tid, oid)) STRICT;
            CREATE TABLE baseline (coin TEXT PRIMARY KEY, szi TEXT NOT NULL) STRICT;
            CREATE TABLE moves (
                at_ms INTEGER NOT NULL, cloid TEXT NOT NULL, before TEXT NOT NULL, event TEXT NOT NULL,
                after TEXT NOT NULL, text TEXT NOT NULL) STRICT;
            INSERT INTO facts VALUES ('account', '{ACCOUNT}'), ('schema_version', '{version}'), ('baseline_ms', '5');
            INSERT INTO orders VALUES ('0x716f00000000000000000000000000aa', 'd', 'ETH', 1, '1950', '3', 'Gtc', 0,
                NULL, NULL, NULL, 'canceled', 7, '', 10, 11);
            INSERT INTO oids (oid, cloid{", said_filled" if version > 2 else ""})
                VALUES (7, '0x716f00000000000000000000000000aa'{", '0'" if version > 2 else ""});
            INSERT INTO actions VALUES (9, '0x1', 'amend', '["0x716f00000000000000000000000000aa"]',
                '{{"0x716f00000000000000000000000000aa": {change}}}', 1, '');
            INSERT INTO fills (tid, oid, cloid, coin, is_buy, px, sz, time_ms, fee, fee_token, closed_pnl, crossed,
                is_liquidation) VALUES (1, 7, '0x716f00000000000000000000000000aa', 'ETH', 1, '1950', '1', 12, '0.5',
                'USDC', '0', 1, 0);
            INSERT INTO baseline VALUES ('ETH', '-1');
        """)
    db.close()


@pytest.mark.parametrize("version", [2, 3])
def test_an_older_journal_is_brought_up_to_date(server: LoopbackVenue, tmp_path: Path, version: int) -> None:
    """Its orders, fills and positions stay; its money begins with the next comparison."""
    old_journal(tmp_path / "ledger.sqlite", version)
    manager = open_manager(server.url, tmp_path)
    cloid = "0x716f00000000000000000000000000aa"
    record = manager.journal.order(cloid)
    assert (record.state, record.filled_sz, record.oid) == ("canceled", D(1), 7)
    assert manager.journal.positions() == {}
    assert manager.journal.money.opened_ms() is None
    assert manager.journal.fills()[0].liquidation_method is None
    reconcile(manager)
    manager.place("e", [new_order("e", px="2010")])
    fund(server, 1_000_000)
    result = reconcile(manager)
    assert result.is_clean
    assert result.balance is not None
    assert (result.balance.opening_usd, result.balance.funding_usd) == (D(100_000), D("-0.02"))
    close(manager)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        facts = dict(db.execute("SELECT name, value FROM facts"))
        changes = db.execute("SELECT changes FROM actions WHERE nonce = 9").fetchone()[0]
    db.close()
    assert facts["schema_version"] == "4"
    assert changes.replace(" ", "") == f'{{"{cloid}":["1950","3","3"]}}'
    close(open_manager(server.url, tmp_path))


def trade(manager: OrderManager, rng: np.random.Generator, number: int, usd: int) -> None:
    """Buy or sell some of a coin at market."""
    coin = str(rng.choice(["BTC", "ETH", "DOGE"]))
    listed, mid = manager.venue.listed(coin), manager.venue.mids()[coin]
    buys = bool(rng.random() < 0.5)
    px = quantised_price(mid * (D("1.03") if buys else D("0.97")), listed, up=not buys)
    sz = quantised_size(D(usd) / mid, listed)
    order = new_order(f"d{number}", coin=coin, is_buy=buys, px=str(px), sz=str(sz), tif="Ioc")
    manager.place(f"d{number}", [order])


@pytest.mark.parametrize("month", range(MONTHS))
def test_thirty_days_are_explained_to_the_cent(tmp_path: Path, month: int) -> None:
    """With funding every hour, deposits and withdrawals, and liquidations at market and by the vault.

    Every other month the account is unified.
    """
    world = WorldSpec(
        name="month",
        start=date(2026, 1, 1),
        days=2 * DAYS + 2,
        assets=(
            Asset(symbol="BTC", price=80_000.0),
            Asset(symbol="ETH", price=2_000.0),
            Asset(symbol="DOGE", price=0.2),
        ),
        seed=5 + month,
    )
    engine = open_engine(
        WorldSource(world), Interval.parse("1h"), future_days=DAYS + 1, spec=MarketSpec(ticks_per_bar=4), seed=4 + month
    )
    engine.deposit(ADDRESS, 20_000_000_000)
    account, rng = engine.venue.state.accounts[ADDRESS], np.random.default_rng(7 + month)
    if month % 2 == 1:
        account.unify()
    server = VenueServer(engine, VenueClock(engine.now_ms, 0, lambda: 0.0), ServerSpec(ip_weight_per_minute=None))
    with RunningVenue(server) as running:
        manager = open_manager(running.url, tmp_path)
        assert reconcile(manager).is_clean
        for day in range(DAYS):
            if day % 10 == 9:  # so much that a day's move is too much
                state, listed, mid = manager.venue.account(), manager.venue.listed("ETH"), manager.venue.mids()["ETH"]
                manager.venue.set_leverage("ETH", listed.max_leverage, manager.venue.draw_nonce())
                sz = quantised_size(state.withdrawable_usd * listed.max_leverage * D("0.9") / mid, listed)
                px = quantised_price(mid * D("1.03"), listed, up=False)
                manager.place(f"d{day}", [new_order(f"d{day}", px=str(px), sz=str(sz), tif="Ioc")])
                # more is taken out than the venue would let go: at market, and at the end by its vault, it closes all
                margin = engine.venue.core.margin(account, 0)
                left = margin.cross_maintenance() * (10 if day == DAYS - 1 else 90) // 100
                engine.deposit(ADDRESS, left - margin.cross_equity())
            else:
                trade(manager, rng, day, 2_000)
            server.step(engine.now_ms + 24 * 3_600_000)
            if day % 3 == 2:
                engine.deposit(ADDRESS, int(rng.integers(-50, 4_000)) * 1_000_000)
            result = reconcile(manager)
            assert result.balance is not None
            assert result.balance.gap_usd == 0, day  # the simulator's money is whole micro-USD
            assert result.position_gaps == {}
        money = manager.journal.money
        kinds = Counter(flow.kind for flow in money.flows())
        assert kinds["funding"] == sum(1 for row in account.fundings)
        assert kinds["liquidation"] > 0
        assert kinds["deposit"] > 5
        assert kinds["withdraw"] > 0
        methods = Counter(fill.liquidation_method for fill in manager.journal.fills())
        assert methods["market"] > 0
        assert methods["backstop"] > 0
        close(manager)
