"""Laws of the venue over long random sessions."""

import json
import os
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from quant_organism.market import MS_PER_DAY
from quant_organism.simulator.core.account import Account, Event
from quant_organism.simulator.core.margin import order_margin
from quant_organism.simulator.core.state import LIQUIDATOR, VenueState
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import (
    MICRO_USD,
    SPOT,
    MoveUsd,
    SendAsset,
    SendSpot,
    SendUsd,
    SubAccountUsd,
    Transfer,
    VaultUsd,
    WithdrawUsd,
    dex_of,
    nearest_price,
    wire,
)
from quant_organism_tests.simulator.slow_venue import SlowOrder, SlowVenue
from quant_organism_tests.simulator.test_core_money import conserved
from quant_organism_tests.simulator.venues import (
    BTC,
    CARBON,
    DOGE,
    ETH,
    GOLD,
    OIL,
    fund,
    make_venue,
    order,
    place,
    set_mark,
)

OPERATIONS = int(os.environ.get("VENUE_OPERATIONS", "4000"))
USERS = ["0x" + f"{i:02x}" * 20 for i in range(1, 7)]
START = {ETH: 2000.0, BTC: 100_000.0, DOGE: 0.2, GOLD: 3_000.0, OIL: 60.0, CARBON: 8.0}
LOT = {ETH: 4, BTC: 5, DOGE: 0, GOLD: 3, OIL: 2, CARBON: 1}
ASSETS = tuple(START)
DEXS = ("", "xyz", "abc")
VAULT, SUB_ACCOUNT = "0x" + "7a" * 20, "0x" + "5a" * 20


def _legal(asset: int, price: float) -> Decimal:
    decimals = 6 - LOT[asset]
    return Decimal(nearest_price(price, decimals)).scaleb(-decimals)


def _random_order(rng: np.random.Generator, asset: int, price: float, usd: float) -> dict[str, Any]:
    size = round(float(rng.uniform(20, usd)) / price, LOT[asset])
    return {
        "asset": asset,
        "side": "buy" if rng.random() < 0.5 else "sell",
        "sz": Decimal(str(size)) if size else Decimal(1).scaleb(-LOT[asset]),
        "px": _legal(asset, price * float(rng.normal(1, 0.004))),
        "tif": str(rng.choice(["Gtc", "Gtc", "Ioc", "Alo"])),
        "reduce_only": bool(rng.random() < 0.2),
    }


def test_an_independent_slow_model_agrees() -> None:
    """The same orders, cancels and fundings end in the same money, positions and books."""
    rng = np.random.default_rng(5)
    venue = make_venue(deployed=True)
    slow = SlowVenue(fee_factors={1: Decimal(2), 2: Decimal("0.2")})
    venue.state.listings[GOLD].instrument = replace(venue.state.listings[GOLD].instrument, only_isolated=False)
    for user in USERS:
        for dex in range(3):
            fund(venue, user, 10**8, dex)
            slow.cash[user, dex] = Decimal(10**8)
    keys: dict[int, int] = {}  # ours by theirs
    for number in range(OPERATIONS):
        user, asset = USERS[rng.integers(len(USERS))], ASSETS[rng.integers(len(ASSETS))]
        account = venue.state.accounts[user]
        draw = rng.random()
        if draw < 0.75:
            said = _random_order(rng, asset, START[asset], 5_000)
            (status,) = place(venue, account, order(**said))
            refused = isinstance(status, dict) and "minimum value" in status.get("error", "")
            if not refused:
                slow.place(
                    SlowOrder(user, asset, said["side"] == "buy", said["px"], said["sz"], said["reduce_only"], number),
                    said["tif"],
                )
            if isinstance(status, dict) and "resting" in status:
                keys[status["resting"]["oid"]] = number
        elif draw < 0.97 and account.open_oids:
            oid = int(rng.choice(list(account.open_oids)))
            venue.act(account, wire.CancelOrders(((venue.state.orders[oid].asset, oid),)))
            slow.cancel(keys[oid])
        elif draw < 0.98:
            amount, (start, end) = Decimal(int(rng.integers(1, 10**10))).scaleb(-6), rng.permutation(2).tolist()
            send = SendAsset(user, DEXS[start], DEXS[end], "USDC", amount, number)
            assert venue.act(account, send)["status"] == "ok"
            slow.send(user, start, end, amount)
        else:
            rate = int(rng.integers(-200_000, 200_000))
            venue.pay_funding({asset: rate}, venue.state.now_ms)
            slow.fund(asset, Decimal(str(START[asset])), Decimal(rate).scaleb(-10))
    for user in USERS:
        account = venue.state.accounts[user]
        for dex in range(3):
            assert Decimal(account.cross_raw[dex]).scaleb(-6) == slow.cash[user, dex]
        for asset in START:
            held = account.holdings[asset].szi if asset in account.holdings else 0
            assert Decimal(held).scaleb(-LOT[asset]) == slow.position(user, asset)
    ours = sorted(
        (keys[o.oid], Decimal(o.sz).scaleb(-LOT[o.asset]))
        for account in venue.state.accounts.values()
        for o in (venue.state.orders[oid] for oid in account.open_oids)
    )
    assert ours == sorted((o.key, o.sz) for o in slow.orders)
    assert {i: Decimal(dex.fees).scaleb(-6) for i, dex in enumerate(venue.state.dexs)} == slow.fees
    assert sum(len(account.fills) for account in venue.state.accounts.values()) > OPERATIONS / 5


def session(venue: SimulatedVenue, seed: int, operations: int) -> list[Event]:
    """Trade with little money through moving prices, thin quotes, triggers, leverage changes and liquidations."""
    rng = np.random.default_rng(seed)
    prices: dict[int, float] = dict(START)
    seen: list[Event] = []
    fund(venue, VAULT, 0).shares = {}
    fund(venue, SUB_ACCOUNT, 0).master = USERS[0]
    for user in USERS:
        for dex in range(3):
            fund(venue, user, int(rng.integers(300, 3_000)), dex)
    for number in range(operations):
        if number == operations // 2:  # what was paid into a vault is free after a day
            venue.pass_time(venue.state.now_ms + MS_PER_DAY)
            for user in USERS:
                venue.act(venue.state.accounts[user], VaultUsd(VAULT, False, 1))
        user, asset = USERS[rng.integers(len(USERS))], ASSETS[rng.integers(len(ASSETS))]
        account, draw = venue.state.accounts[user], rng.random()
        if draw < 0.5:
            said = _random_order(rng, asset, prices[asset], 8_000)
            place(venue, account, order(**said))
        elif draw < 0.6:
            _family(venue, user, asset, prices[asset], rng)
        elif draw < 0.68 and account.open_oids:
            oid = int(rng.choice(list(account.open_oids)))
            replaced = venue.state.orders[oid].asset
            said = _random_order(rng, replaced, prices[replaced], 2_000)
            venue.act(account, wire.ModifyOrders(((oid, order(**said)),), single=bool(rng.random() < 0.5)))
        elif draw < 0.72 and account.open_oids:
            oid = int(rng.choice(list(account.open_oids)))
            venue.act(account, wire.CancelOrders(((venue.state.orders[oid].asset, oid),)))
        elif draw < 0.76:
            venue.act(account, wire.UpdateLeverage(asset, bool(rng.random() < 0.5), int(rng.integers(1, 41))))
        elif draw < 0.79:
            venue.act(account, wire.UpdateIsolatedMargin(asset, int(rng.integers(-50, 50)) * MICRO_USD))
        elif draw < 0.82:
            venue.pay_funding({asset: int(rng.integers(-(10**6), 10**6))}, venue.state.now_ms)
        elif draw < 0.83:
            sz = round(Decimal(400 / prices[asset]), LOT[asset])
            venue.act(account, wire.PlaceTwap(asset, bool(rng.random() < 0.5), sz, bool(rng.random() < 0.3), 5, True))
        elif draw < 0.88:
            _send(venue, user, rng)
        elif draw < 0.92:
            venue.withdraw_quotes(asset)
            for is_buy in (True, False):
                px = int(_legal(asset, prices[asset] * (0.999 if is_buy else 1.001)).scaleb(6 - LOT[asset]))
                venue.quote(asset, px, int(3_000 / prices[asset] * 10 ** LOT[asset]) + 1, is_buy=is_buy)
        else:
            prices[asset] = min(max(prices[asset] * float(rng.normal(1, 0.02)), START[asset] / 2), START[asset] * 2)
            set_mark(venue, asset, _legal(asset, prices[asset]), after_ms=int(rng.integers(1, 60_000)))
        if not conserved(venue):
            raise AssertionError("money or positions were made or lost")
        for each in venue.state.accounts.values():
            assert {dex: margin for dex, margin in each.reserved.items() if margin} == _reserved(venue, each)
        seen += venue.core.drain()
    return seen


def _reserved(venue: SimulatedVenue, account: Account) -> dict[int, int]:
    """Return what the open orders of an account hold on each dex, counted anew."""
    held: dict[int, int] = {}
    for standing in (venue.state.orders[oid] for oid in account.open_oids):
        margin = order_margin(standing, account.holdings[standing.asset].leverage)
        held[dex_of(standing.asset)] = held.get(dex_of(standing.asset), 0) + margin
    return {dex: margin for dex, margin in held.items() if margin}


def _send(venue: SimulatedVenue, user: str, rng: np.random.Generator) -> None:
    """Move money from anywhere to anywhere, of oneself or somebody else; also what one has not, or may not."""
    places = [*DEXS, SPOT, SPOT]
    source, target = (places[i] for i in rng.integers(len(places), size=2))
    token, other = str(rng.choice(["USDC", "USDC", "USDH"])), USERS[rng.integers(len(USERS))]
    micro_usd = int(rng.integers(1, 200 * MICRO_USD))
    amount, is_in = Decimal(micro_usd).scaleb(-6), bool(rng.random() < 0.6)
    moves: list[Transfer] = [
        SendAsset(other, source, target, token, amount, 1),
        MoveUsd(amount, is_in, None),
        SendUsd(other, amount),
        SendSpot(other, token, amount, 1),
        WithdrawUsd(other, amount / 20, 1),
        VaultUsd(VAULT, is_in, micro_usd),
        SubAccountUsd(SUB_ACCOUNT, is_in, micro_usd),
    ]
    move = moves[rng.integers(len(moves))]
    venue.act(venue.state.accounts[USERS[0] if isinstance(move, SubAccountUsd) else user], move)


def _family(venue: SimulatedVenue, user: str, asset: int, price: float, rng: np.random.Generator) -> None:
    side = "buy" if rng.random() < 0.5 else "sell"
    other, up = ("sell", 1) if side == "buy" else ("buy", -1)
    parent = _random_order(rng, asset, price, 3_000) | {"side": side, "reduce_only": False}
    children = [
        order(
            asset,
            other,
            parent["sz"],
            _legal(asset, price),
            trigger=(_legal(asset, price * (1 + up * sign * 0.01)), tpsl),
            reduce_only=True,
        )
        for sign, tpsl in ((1, "tp"), (-1, "sl"))
    ]
    grouping: wire.Grouping = "normalTpsl" if rng.random() < 0.7 else "positionTpsl"
    orders = [order(**parent), *children] if grouping == "normalTpsl" else children
    place(venue, venue.state.accounts[user], *orders, grouping=grouping)


@pytest.mark.parametrize("seed", [1, 2])
def test_money_and_positions_are_conserved(seed: int) -> None:
    """After every one of many random operations the sums are exactly zero, and nobody is left below nothing."""
    venue = make_venue(deployed=True)
    seen = {type(event).__name__ for event in session(venue, seed, OPERATIONS)}
    assert {"Filled", "OrderUpdated", "FundingPaid", "Liquidated", "CanceledByVenue", "TwapChanged"} <= seen
    assert {dex_of(fill.asset) for account in venue.state.accounts.values() for fill in account.fills} == {0, 1, 2}
    kinds = {entry.delta["type"] for account in venue.state.accounts.values() for entry in account.ledger}
    assert kinds == {
        *("deposit", "withdraw", "send", "accountClassTransfer", "internalTransfer", "spotTransfer"),
        *("vaultDeposit", "vaultWithdraw", "subAccountTransfer", "liquidation"),
    }
    assert any(fill.twap is not None for account in venue.state.accounts.values() for fill in account.fills)
    for account in venue.state.accounts.values():
        for dex, money in account.cross_raw.items():
            if account.address != LIQUIDATOR and not venue.core.margin(account, dex).assets():
                assert money >= 0
        for oid in account.open_oids:
            standing = venue.state.orders[oid]
            assert 0 < standing.sz <= standing.orig_sz
            assert standing.oid not in account.history


def test_the_same_session_gives_the_same_bytes() -> None:
    states = []
    for _ in range(2):
        venue = make_venue(deployed=True)
        session(venue, 3, OPERATIONS // 8)
        states.append(TypeAdapter(VenueState).dump_json(venue.state))
    assert states[0] == states[1]


def test_a_snapshot_goes_on_as_if_nothing_had_been() -> None:
    venue = make_venue(deployed=True)
    session(venue, 4, OPERATIONS // 8)
    adapter = TypeAdapter(VenueState)
    again = SimulatedVenue(adapter.validate_python(json.loads(adapter.dump_json(venue.state))))
    for one in (venue, again):
        session(one, 5, OPERATIONS // 8)
    assert adapter.dump_json(venue.state) == adapter.dump_json(again.state)
