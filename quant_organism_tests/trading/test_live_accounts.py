"""A trader on each kind of account that is not its wallet's own plain one: unified, a sub-account, a vault."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from quant_organism.simulator import RunningVenue, Tape
from quant_organism.simulator.core.account import Account, Agent
from quant_organism.trading import AccountFollower
from quant_organism.trading.kill import KillFlag, kill, kill_file
from quant_organism.trading.orders import flatten, reconcile
from quant_organism.venue import account_feed, connect, quantised_price, wallet_of
from quant_organism.venue.protocol import MICRO_USD, MoveUsd, SendSpot, SubAccountUsd, VaultUsd
from quant_organism_tests.simulator.conftest import make_server, small_tape
from quant_organism_tests.trading.test_follower import LINE, SPEC
from quant_organism_tests.trading.test_live import HOUR, Desk
from quant_organism_tests.trading.trader import ADDRESS, KEY, D, close, eventually, new_order, spec

__all__ = ["small_tape"]

OTHER = "0x" + "5b" * 20
AGENT_KEY = "0x" + "42" * 32
PAID = 250


def unified(owner: Account, other: Account) -> None:
    """Have half of the owner's money in spot, all of it serving perpetuals."""
    owner.spot["USDC"] = owner.cross_raw[0] = owner.cross_raw[0] // 2
    owner.unify()


def sub_account(owner: Account, other: Account) -> None:
    """Have the other account be one of the owner's."""
    other.master = owner.address


def vault(owner: Account, other: Account) -> None:
    """Have the other account be a vault that the owner leads."""
    other.master, other.shares = owner.address, {owner.address: other.cross_raw[0]}


@pytest.mark.parametrize(
    ("kind", "address", "key", "pay"),
    [
        (unified, ADDRESS, KEY, SendSpot(ADDRESS, "USDC", Decimal(PAID), 1)),
        (sub_account, OTHER, AGENT_KEY, SubAccountUsd(OTHER, True, PAID * MICRO_USD)),
        (vault, OTHER, AGENT_KEY, VaultUsd(OTHER, True, PAID * MICRO_USD)),
    ],
    ids=["unified", "sub-account", "vault"],
)
def test_it_trades_books_flattens_and_kills(
    small_tape: Tape,
    tmp_path: Path,
    kind: Callable[[Account, Account], None],
    address: str,
    key: str,
    pay: SendSpot | SubAccountUsd | VaultUsd,
) -> None:
    server = make_server(small_tape)
    owner, other = (server.engine.deposit(each, 10_000 * MICRO_USD) for each in (ADDRESS, OTHER))
    owner.agents = [Agent("bot", wallet_of(AGENT_KEY).address, 1 << 60)]
    venue = server.engine.venue
    if kind is unified:
        assert venue.act(other, MoveUsd(Decimal(PAID), False, None))["status"] == "ok"
    kind(owner, other)
    with RunningVenue(server) as running:
        desk = Desk(running, tmp_path, np.random.default_rng(5), key=key, address=address)
        desk.connect()
        assert desk.account.capital == 10_000 * MICRO_USD
        for _ in range(3):
            desk.step()
            desk.check()
            desk.pass_ms(HOUR)
        assert desk.there.positions()
        assert desk.there.fundings
        assert venue.act(owner if desk.there is other else other, pay)["status"] == "ok"
        desk.pass_ms(1_000)
        compared = reconcile(desk.manager)
        assert compared.is_clean
        assert [flow.usd for flow in compared.transfers] == [PAID]
        desk.watch()
        desk.check()
        assert desk.account.capital == (10_000 + PAID) * MICRO_USD
        state, margin = desk.manager.venue.account(), venue.core.margin(desk.there, 0)
        assert state.account_value_usd == Decimal(margin.cross_equity()).scaleb(-6)
        used = margin.cross_initial() + (margin.resting_margin() if kind is unified else 0)
        assert state.margin_used_usd == Decimal(used).scaleb(-6)

        feed = account_feed(desk.manager.venue, rng=np.random.default_rng(0), line=LINE)
        follower = AccountFollower(desk.manager, feed, SPEC)
        follower.start()
        assert eventually(lambda: follower.standing().is_known)
        follower.close()
        flatten(desk.manager, "end", sleep=lambda seconds: None)
        assert (desk.there.positions(), desk.there.open_oids) == ([], {})
        assert reconcile(desk.manager).is_clean
        listed, mid = desk.manager.venue.listed("BTC"), desk.manager.venue.mids()["BTC"]
        px = quantised_price(mid * D("1.02"), listed, up=False)
        desk.manager.place("again", [new_order("again", coin="BTC", px=str(px), sz="0.01", tif="Ioc")])
        assert desk.there.positions()

        done = kill(
            lambda: connect(spec(running.url, address), wallet_of(key), tmp_path / "signers", beside_others=True),
            KillFlag(1, f"simulator {address}", "a test"),
            kill_file(tmp_path),
            patience_seconds=60.0,
            sleep=lambda seconds: None,
        )
        assert (done.is_flat, desk.there.positions(), desk.there.open_oids) == (True, [], {})
        idle = owner if desk.there is other else other
        assert (idle.history, idle.fills) == ([], [])
        close(desk.manager)
