"""The official SDK: every public method of `Exchange` and `Info`, and every subscription, on the venue."""

import contextlib
import inspect
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import hyperliquid.exchange as sdk
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils import signing
from hyperliquid.utils.error import ClientError
from hyperliquid.utils.types import Cloid

from .trial import KEYS, SECONDS, VAULT, Refused, Trials, admin, main, next_nonce

COIN: Final = "ETH"
GTC: Final[Any] = {"limit": {"tif": "Gtc"}}
SIZE: Final = 0.1
_OF_COINS: Final = ("l2Book", "bbo", "trades", "activeAssetCtx", "candle", "activeAssetData")
_OF_USERS: Final = (
    *("activeAssetData", "userEvents", "userFills", "orderUpdates", "userFundings", "userNonFundingLedgerUpdates"),
    "webData2",
)
STREAMS: Final = tuple(dict.fromkeys(("allMids", *_OF_COINS, *_OF_USERS)))
NO_METHODS: Final = {"post", "set_expires_after", "spot_deploy_token_action_inner", "c_signer_inner"}
_NO_QUESTIONS: Final = {"post", "subscribe", "unsubscribe", "disconnect_websocket", "name_to_asset", "set_perp_meta"}


class Desk:
    """Alice at the venue, with what the methods need to be tried.

    Parameters
    ----------
    url
        Of the venue.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.alice = Exchange(Account.from_key(KEYS["alice"]), url, timeout=SECONDS)
        self.user = self.alice.wallet.address
        self.bob = Account.from_key(KEYS["bob"]).address.lower()
        admin(url, "volume", user=self.user, usd=2_000_000)
        admin(url, "vault", user=VAULT, master=self.bob)
        self.sub_account = _data(self.alice.create_sub_account("conformance"))

    def px(self, factor: float) -> float:
        """Return a price at so much of the mid."""
        return float(round(float(self.alice.info.all_mids()[COIN]) * factor))

    def resting(self) -> int:
        """Place an order that rests; return its number."""
        (status,) = _statuses(self.alice.order(COIN, True, SIZE, self.px(0.8), GTC))
        return int(status["resting"]["oid"])

    def cloid(self) -> Cloid:
        """Return a client id that was never used."""
        return Cloid.from_int(next_nonce())


def _data(answer: Any) -> Any:
    return _ok(answer)["response"]["data"]


def _ok(answer: Any) -> Any:
    assert answer["status"] == "ok", answer
    return answer


def _refused(answer: Any) -> None:
    assert answer["status"] == "err", answer
    assert "not supported" not in answer["response"], answer
    raise Refused(answer["response"])


def _statuses(answer: Any) -> list[Any]:
    found: list[Any] = _data(answer)["statuses"]
    assert not any(isinstance(status, dict) and "error" in status for status in found), found
    return found


def _order(desk: Desk) -> None:
    oid = desk.resting()
    shown = desk.alice.info.query_order_by_oid(desk.user, oid)
    assert shown["order"]["status"] == "open", shown


def _modify(desk: Desk) -> None:
    oid = desk.resting()
    (status,) = _statuses(desk.alice.modify_order(oid, COIN, True, SIZE, desk.px(0.81), GTC))
    assert status["resting"]["oid"] != oid


def _bulk_modify(desk: Desk) -> None:
    order = {"coin": COIN, "is_buy": True, "sz": SIZE, "limit_px": desk.px(0.79), "order_type": GTC}
    both = [{"oid": desk.resting(), "order": {**order, "reduce_only": False}} for _ in range(2)]
    assert len(_statuses(desk.alice.bulk_modify_orders_new(both))) == 2


def _bulk(desk: Desk) -> None:
    order = {"coin": COIN, "is_buy": True, "sz": SIZE, "limit_px": desk.px(0.8), "order_type": GTC}
    found = _statuses(desk.alice.bulk_orders([{**order, "reduce_only": False}] * 3))
    assert all("resting" in status for status in found)


def _cancel_by_cloid(desk: Desk, *, bulk: bool) -> None:
    cloid = desk.cloid()
    _statuses(desk.alice.order(COIN, True, SIZE, desk.px(0.8), GTC, cloid=cloid))
    if bulk:
        answer = desk.alice.bulk_cancel_by_cloid([{"coin": COIN, "cloid": cloid}])
    else:
        answer = desk.alice.cancel_by_cloid(COIN, cloid)
    assert _statuses(answer) == ["success"]


def _open_and_close(desk: Desk) -> None:
    (opened,) = _statuses(desk.alice.market_open(COIN, True, SIZE))
    assert float(opened["filled"]["totalSz"]) == SIZE
    (closed,) = _statuses(desk.alice.market_close(COIN))
    assert "filled" in closed


def _isolated(desk: Desk) -> None:
    _ok(desk.alice.update_leverage(5, COIN, is_cross=False))
    _statuses(desk.alice.market_open(COIN, True, SIZE))
    _ok(desk.alice.update_isolated_margin(10.0, COIN))
    _statuses(desk.alice.market_close(COIN))
    _ok(desk.alice.update_leverage(20, COIN))


def _schedule(desk: Desk) -> None:
    _ok(desk.alice.schedule_cancel(int(time.time() * 1000) + 3_600_000))
    _ok(desk.alice.schedule_cancel(None))


def _agent(desk: Desk) -> None:
    answer, key = desk.alice.approve_agent("conformance")
    _ok(answer)
    agent = Exchange(Account.from_key(key), desk.url, account_address=desk.user, timeout=SECONDS)
    _ok(agent.noop(next_nonce()))


def _vault(desk: Desk) -> None:
    _ok(desk.alice.vault_usd_transfer(VAULT, True, 100_000_000))
    (equity,) = desk.alice.info.user_vault_equities(desk.user)
    assert float(equity["equity"]) == 100


def _sub_account(desk: Desk) -> None:
    _ok(desk.alice.sub_account_transfer(desk.sub_account, True, 50_000_000))
    assert float(desk.alice.info.user_state(desk.sub_account)["withdrawable"]) == 50


def _spot(desk: Desk) -> None:
    _ok(desk.alice.usd_class_transfer(20.0, False))
    _ok(desk.alice.spot_transfer(1.0, desk.bob, "USDC"))


def _sub_account_spot(desk: Desk) -> None:
    _ok(desk.alice.usd_class_transfer(20.0, False))
    _ok(desk.alice.sub_account_spot_transfer(desk.sub_account, True, "USDC", 5.0))


def _abstraction(desk: Desk) -> None:
    _ok(desk.alice.user_set_abstraction(desk.user, "unifiedAccount"))
    assert desk.alice.info.query_user_abstraction_state(desk.user) == "unifiedAccount"
    _ok(desk.alice.user_set_abstraction(desk.user, "disabled"))


def _several(desk: Desk) -> None:
    """Make an account of several signers, and have both sign for it, an order and a transfer."""
    wallets = [Account.from_key(key) for key in KEYS.values()]
    family = Account.create()
    _ok(desk.alice.usd_transfer(500.0, family.address.lower()))
    exchange, users = Exchange(family, desk.url, timeout=SECONDS), [each.address.lower() for each in wallets]
    _ok(exchange.convert_to_multi_sig_user(users, 2))
    told = desk.alice.info.query_user_to_multi_sig_signers(family.address)
    assert told == {"authorizedUsers": sorted(users), "threshold": 2}, told
    name, sender = family.address.lower(), users[0]
    action, nonce = {"type": "updateLeverage", "asset": 1, "isCross": True, "leverage": 3}, next_nonce()
    signed = [
        signing.sign_multi_sig_l1_action_payload(each, action, False, None, nonce, None, name, sender)
        for each in wallets
    ]
    assert desk.alice.multi_sig(name, action, signed[:1], nonce)["status"] == "err"
    _ok(desk.alice.multi_sig(name, action, signed, nonce))
    nonce = next_nonce()
    transfer = {"type": "usdSend", "signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
    transfer |= {"destination": desk.bob, "amount": "5", "time": nonce}
    types, primary = signing.USD_SEND_SIGN_TYPES, "HyperliquidTransaction:UsdSend"
    signed = [
        signing.sign_multi_sig_user_signed_action_payload(each, transfer, False, types, primary, name, sender)
        for each in wallets
    ]
    _ok(desk.alice.multi_sig(name, transfer, signed, nonce))
    assert float(desk.alice.info.user_state(name)["withdrawable"]) == 495
    with contextlib.suppress(ClientError):  # 422: what both have signed names the request that it was signed for
        raise AssertionError(f"sent twice: {desk.alice.multi_sig(name, transfer, signed, next_nonce())}")
    assert exchange.noop(next_nonce())["status"] == "err"  # its own key does no more


METHODS: Final[Mapping[str, Callable[[Desk], object]]] = {
    "order": _order,
    "bulk_orders": _bulk,
    "modify_order": _modify,
    "bulk_modify_orders_new": _bulk_modify,
    "market_open": _open_and_close,
    "market_close": _open_and_close,
    "cancel": lambda desk: _statuses(desk.alice.cancel(COIN, desk.resting())),
    "bulk_cancel": lambda desk: _statuses(desk.alice.bulk_cancel([{"coin": COIN, "oid": desk.resting()}])),
    "cancel_by_cloid": lambda desk: _cancel_by_cloid(desk, bulk=False),
    "bulk_cancel_by_cloid": lambda desk: _cancel_by_cloid(desk, bulk=True),
    "schedule_cancel": _schedule,
    "update_leverage": lambda desk: _ok(desk.alice.update_leverage(10, COIN)),
    "update_isolated_margin": _isolated,
    "set_referrer": lambda desk: _ok(desk.alice.set_referrer("CONFORM")),
    "create_sub_account": lambda desk: _data(desk.alice.create_sub_account("second")),
    "usd_class_transfer": lambda desk: _ok(desk.alice.usd_class_transfer(10.0, False)),
    "send_asset": lambda desk: _ok(desk.alice.send_asset(desk.bob, "", "spot", "USDC", 5.0)),
    "sub_account_transfer": _sub_account,
    "sub_account_spot_transfer": _sub_account_spot,
    "vault_usd_transfer": _vault,
    "usd_transfer": lambda desk: _ok(desk.alice.usd_transfer(5.0, desk.bob)),
    "spot_transfer": _spot,
    "withdraw_from_bridge": lambda desk: _ok(desk.alice.withdraw_from_bridge(5.0, desk.user)),
    "approve_agent": _agent,
    "convert_to_multi_sig_user": _several,
    "multi_sig": _several,
    "approve_builder_fee": lambda desk: _ok(desk.alice.approve_builder_fee(desk.bob, "0.001%")),
    "noop": lambda desk: _ok(desk.alice.noop(next_nonce())),
    "use_big_blocks": lambda desk: _ok(desk.alice.use_big_blocks(True)),
    "user_dex_abstraction": lambda desk: _ok(desk.alice.user_dex_abstraction(desk.user, False)),
    "user_set_abstraction": _abstraction,
    "agent_set_abstraction": lambda desk: _ok(desk.alice.agent_set_abstraction("i")),
    "agent_enable_dex_abstraction": lambda desk: _ok(desk.alice.agent_enable_dex_abstraction()),
    "token_delegate": lambda desk: _refused(desk.alice.token_delegate(desk.bob, 1, False)),
    "gossip_priority_bid": lambda desk: _refused(desk.alice.gossip_priority_bid(0, "1.2.3.4", 1)),
    "spot_deploy_register_token": lambda desk: _refused(desk.alice.spot_deploy_register_token("T", 2, 8, 1, "Token")),
    "spot_deploy_user_genesis": lambda desk: _refused(desk.alice.spot_deploy_user_genesis(1, [], [])),
    "spot_deploy_enable_freeze_privilege": lambda desk: _refused(desk.alice.spot_deploy_enable_freeze_privilege(1)),
    "spot_deploy_revoke_freeze_privilege": lambda desk: _refused(desk.alice.spot_deploy_revoke_freeze_privilege(1)),
    "spot_deploy_freeze_user": lambda desk: _refused(desk.alice.spot_deploy_freeze_user(1, desk.bob, True)),
    "spot_deploy_enable_quote_token": lambda desk: _refused(desk.alice.spot_deploy_enable_quote_token(1)),
    "spot_deploy_genesis": lambda desk: _refused(desk.alice.spot_deploy_genesis(1, "1", True)),
    "spot_deploy_register_spot": lambda desk: _refused(desk.alice.spot_deploy_register_spot(1, 0)),
    "spot_deploy_register_hyperliquidity": lambda desk: _refused(
        desk.alice.spot_deploy_register_hyperliquidity(1, 1.0, 1.0, 1, None)
    ),
    "spot_deploy_set_deployer_trading_fee_share": lambda desk: _refused(
        desk.alice.spot_deploy_set_deployer_trading_fee_share(1, "1%")
    ),
    "perp_deploy_register_asset": lambda desk: _refused(
        desk.alice.perp_deploy_register_asset("xyz", None, "xyz:A", 2, "1.0", 1, True, None)
    ),
    "perp_deploy_set_oracle": lambda desk: _refused(desk.alice.perp_deploy_set_oracle("xyz", {}, [], {})),
    "c_signer_jail_self": lambda desk: _refused(desk.alice.c_signer_jail_self()),
    "c_signer_unjail_self": lambda desk: _refused(desk.alice.c_signer_unjail_self()),
    "c_validator_register": lambda desk: _refused(
        desk.alice.c_validator_register("1.2.3.4", "n", "d", True, 1, desk.user, False, 1)
    ),
    "c_validator_change_profile": lambda desk: _refused(
        desk.alice.c_validator_change_profile(None, None, None, False, None, None, None)
    ),
    "c_validator_unregister": lambda desk: _refused(desk.alice.c_validator_unregister()),
}
"""How each method of `Exchange` is tried."""


def methods_of(kind: type, but: set[str]) -> set[str]:
    """Return the public methods of a class of the SDK."""
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")} - but


def drive(url: str, trials: Trials) -> None:
    """Try everything."""
    sdk.get_timestamp_ms = next_nonce
    desk = Desk(url)
    for method in sorted(methods_of(Exchange, NO_METHODS)):
        trials.run("Exchange", method, lambda method=method: METHODS[method](desk))  # type: ignore[misc]
    for method in sorted(methods_of(Info, _NO_QUESTIONS)):
        trials.run("Info", method, lambda method=method: _ask(desk, method))  # type: ignore[misc]
    _listen(desk, trials)


def _ask(desk: Desk, method: str) -> None:
    call = getattr(desk.alice.info, method)
    given = {
        **dict.fromkeys(("address", "user", "multi_sig_user"), desk.user),
        **dict.fromkeys(("startTime", "start_time"), 1),
        "name": COIN,
        "endTime": 4_000_000_000_000,
        "interval": "1h",
        "oid": desk.resting() if method == "query_order_by_oid" else 5,
        "cloid": desk.cloid(),
    }
    needed = [p.name for p in inspect.signature(call).parameters.values() if p.default is p.empty]
    answer = call(**{name: given[name] for name in needed})
    assert not (isinstance(answer, dict) and "error" in answer), answer


def _listen(desk: Desk, trials: Trials) -> None:
    """Subscribe to everything, trade, and wait until each stream has told something."""
    info, heard = Info(desk.url, timeout=SECONDS), {kind: threading.Event() for kind in STREAMS}
    try:
        for kind in STREAMS:
            said = {"type": kind}
            said |= {"coin": COIN} if kind in _OF_COINS else {}
            said |= {"user": desk.user} if kind in _OF_USERS else {}
            said |= {"interval": "1m"} if kind == "candle" else {}
            info.subscribe(said, lambda _, kind=kind: heard[kind].set())
        time.sleep(0.5)  # neither orders nor events are told again to who comes late
        _open_and_close(desk)
        for kind in STREAMS:
            trials.run("WebSocket", kind, lambda kind=kind: _heard(heard[kind]))  # type: ignore[misc]
    finally:
        info.disconnect_websocket()


def _heard(event: threading.Event) -> None:
    assert event.wait(SECONDS), f"nothing within {SECONDS:.0f} s"


if __name__ == "__main__":
    main(drive)
