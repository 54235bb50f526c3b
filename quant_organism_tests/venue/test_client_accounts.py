"""Accounts that are traded for by another's wallet: sub-accounts and vaults; and unified ones, whose money is spot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import InputError
from quant_organism.simulator import RunningVenue, Tape
from quant_organism.simulator.core.account import Account, Agent
from quant_organism.trading.orders import Journal, OrderManager, cancel_all, flatten, reconcile
from quant_organism.venue import HyperliquidVenue, Limits, VenueSpec, Wallet, connect, wallet_of
from quant_organism.venue.client.requests import quantised_price
from quant_organism.venue.protocol.decimals import MICRO_USD
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.simulator.conftest import make_server
from quant_organism_tests.trading.trader import ADDRESS, KEY, D, new_order

SUB, OTHER = "0x" + "5b" * 20, "0x" + "6c" * 20
AGENT = wallet_of("0x" + "42" * 32)


@pytest.fixture
def served(small_tape: Tape) -> Iterator[RunningVenue]:
    """Serve a venue on which the wallet has 100 USD, a sub-account 10,000, and somebody else a sub-account too."""
    server = make_server(small_tape)
    server.engine.deposit(ADDRESS, 100 * MICRO_USD).agents = [Agent("bot", AGENT.address, 1 << 60)]
    server.engine.deposit(SUB, 10_000 * MICRO_USD).master = ADDRESS
    server.engine.deposit(OTHER, 10_000 * MICRO_USD).master = "0x" + "7d" * 20
    with RunningVenue(server) as running:
        yield running


def account_of(served: RunningVenue, address: str) -> Account:
    """Return an account as the venue has it."""
    return served.server.engine.venue.state.accounts[address]


def connected(served: RunningVenue, folder: Path, address: str, wallet: Wallet) -> HyperliquidVenue:
    """Return a connected account."""
    spec = VenueSpec("simulator", address, served.url, limits=Limits(10**6, 10**5))
    return connect(spec, wallet, folder / "signers")


@pytest.mark.parametrize("wallet", [wallet_of(KEY), AGENT], ids=["master", "agent of the master"])
def test_a_sub_account_is_traded_for_by_its_master_and_its_master_s_agent(
    served: RunningVenue, tmp_path: Path, wallet: Wallet
) -> None:
    venue = connected(served, tmp_path, SUB, wallet)
    manager = OrderManager(venue, Journal(tmp_path / "ledger.sqlite", f"simulator {SUB}"))
    assert reconcile(manager).is_clean
    assert venue.account().account_value_usd == 10_000
    mid, listed = venue.mids()["BTC"], venue.listed("BTC")
    taking, resting = (quantised_price(mid * factor, listed, up=False) for factor in (D("1.02"), D("0.9")))
    manager.place("d", [new_order("d", coin="BTC", px=str(taking), sz="0.01", tif="Ioc")])
    (order,) = manager.place("e", [new_order("e", coin="BTC", px=str(resting), sz="0.01")])
    assert order.state == "open"
    assert reconcile(manager).is_clean
    check_journal_is_venue(manager, served.server.engine.venue, account_of(served, SUB))
    assert cancel_all(venue, sleep=lambda seconds: None)
    flatten(manager, "stop now", sleep=lambda seconds: None)
    assert account_of(served, SUB).positions() == []
    assert account_of(served, ADDRESS).history == []
    manager.journal.close()
    venue.close()


@pytest.mark.parametrize(
    ("address", "wallet"), [(OTHER, wallet_of(KEY)), (OTHER, AGENT), (SUB, wallet_of("0x" + "43" * 32))]
)
def test_nobody_else_trades_for_a_sub_account(
    served: RunningVenue, tmp_path: Path, address: str, wallet: Wallet
) -> None:
    with pytest.raises(InputError, match="may not act for"):
        connected(served, tmp_path, address, wallet)


def test_the_money_of_a_unified_account_is_read_where_it_lies(served: RunningVenue, tmp_path: Path) -> None:
    account_of(served, SUB).unify()
    venue = connected(served, tmp_path, SUB, AGENT)
    state = venue.account()
    assert (state.account_value_usd, state.withdrawable_usd) == (10_000, 10_000)
    account_of(served, SUB).is_unified = False
    venue.find_dexs()
    assert venue.account().account_value_usd == 10_000
    venue.close()


def test_money_and_positions_of_a_unified_account_are_of_one_moment(
    served: RunningVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, core = account_of(served, SUB), served.server.engine.venue
    account.unify()
    venue = connected(served, tmp_path, SUB, AGENT)
    mid, listed = venue.mids()["BTC"], venue.listed("BTC")
    px = quantised_price(mid * D("1.02"), listed, up=False)
    venue.place([new_order("d", coin="BTC", px=str(px), sz="0.01", tif="Ioc")], venue.draw_nonce())
    cash, info, moves = venue.account().cash_usd, venue.transport.info, [2]

    def moving(body: Mapping[str, Any]) -> Any:
        if body["type"] == "spotClearinghouseState" and moves[0]:
            moves[0] -= 1
            listing = core.state.listings[listed.asset]
            core.set_prices({listed.asset: (int(listing.mark * 0.99), listing.oracle)})
        return info(body)

    monkeypatch.setattr(venue.transport, "info", moving)
    assert venue.account().cash_usd == cash
    assert moves == [0]
    venue.close()
