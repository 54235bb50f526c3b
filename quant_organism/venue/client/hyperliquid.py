"""Hyperliquid, or the simulator that speaks its wire, as the order manager sees it: typed questions, typed outcomes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from quant_organism.errors import InputError
from quant_organism.venue.client import requests
from quant_organism.venue.client.account import (
    AccountState,
    Fill,
    VenueOrder,
    amount,
    in_order,
    read_account,
    read_fills,
    read_open_orders,
    read_order_status,
    read_order_update,
    together,
    with_spot_money,
)
from quant_organism.venue.client.acting import UNIFIED, AccountStanding, account_mode, check_account
from quant_organism.venue.client.exposure import Holdings, Resting, see_open_orders, see_positions, see_twaps
from quant_organism.venue.client.flows import CashFlow, flows_in_order, read_fundings, read_ledger
from quant_organism.venue.client.limits import AddressBudget, NonceSource
from quant_organism.venue.client.listings import Listed, Listings, dex_names, load_listings
from quant_organism.venue.client.market_state import (
    CoinContext,
    DepthSnapshot,
    FeeRates,
    TradingRoom,
    read_contexts,
    read_depth,
    read_fee_rates,
    read_room,
)
from quant_organism.venue.client.network import VenueSpec
from quant_organism.venue.client.outcomes import Accepted, Outcome, Rejected, Unknown, Why, read_outcomes
from quant_organism.venue.client.requests import NewOrder
from quant_organism.venue.client.transport import (
    Transport,
    VenueError,
    VenueRefused,
    VenueUnreachable,
    VenueUnreadable,
)
from quant_organism.venue.keystore import Wallet
from quant_organism.venue.protocol.admission import STALE_EXPIRY_FACTOR
from quant_organism.venue.protocol.instruments import dex_name
from quant_organism.venue.protocol.wire import Grouping

FILLS_PER_ANSWER: Final = 2_000
FLOWS_PER_ANSWER: Final = 500
LOW_BUDGET: Final = 500
"""Requests left of the account below which its true number is asked for."""
EXPIRY_FACTOR: Final = 2
"""So many times `action_seconds` after its nonce an action is past, also by a clock of the venue that is behind."""
V = TypeVar("V", Resting, Holdings)
K = TypeVar("K", str, int)


class Fence(StrEnum):
    """What burning an action's nonce has shown about the action."""

    NEVER = "never"
    """It was not processed and can never be."""
    CLOSED = "closed"
    """It cannot be processed any more; whether it was is shown by the order's status."""
    UNSURE = "unsure"
    """Nothing: the fence itself did not arrive, or its answer was lost."""


class HyperliquidVenue:
    """A connected account; made by `connect`.

    Parameters
    ----------
    transport
        Shared by all tasks.
    wallet
        Signs: the account's own, or an agent of it.
    nonces
        Of that wallet.
    listings
        As of now; read anew when an unknown coin is asked for.
    budget
        Requests of the account.
    now_ms
        Wall clock.
    standing
        Whose it is, and where its money lies.
    """

    def __init__(
        self,
        transport: Transport,
        wallet: Wallet,
        nonces: NonceSource,
        listings: Listings,
        budget: AddressBudget,
        now_ms: Callable[[], int],
        standing: AccountStanding,
    ) -> None:
        self._standing = standing
        self.transport, self.budget, self._now = transport, budget, now_ms
        self._wallet, self._nonces, self._listings = wallet, nonces, listings
        self._user = transport.spec.account_address
        self._dexs = [""]

    @property
    def address(self) -> str:
        """The account."""
        return self._user

    @property
    def signer(self) -> str:
        """The wallet that signs for it: its own, or an agent's."""
        return self._wallet.address

    def close(self) -> None:
        """Let others sign with the wallet."""
        self._nonces.close()

    def listed(self, coin: str) -> Listed:
        """Return a perpetual by name; the list is read anew if it is not there.

        From then on its dex is one of those that the account is looked for on.

        Raises
        ------
        InputError
            It is not listed.
        """
        if coin not in self._listings:
            dexs = list(dict.fromkeys([*self._dexs, dex_name(coin)]))
            listings = load_listings(self.transport.spec.base_url, self.transport.info, dexs[1:])
            listings.find(coin)
            self._listings, self._dexs = listings, dexs
        return self._listings.find(coin)

    def refresh_listings(self) -> None:
        """Read anew what is listed: leverage, margin tiers and delistings change, precision may."""
        self._listings = load_listings(self.transport.spec.base_url, self.transport.info, self._dexs[1:])

    def find_dexs(self) -> list[str]:
        """Ask every dex of the venue for the account; return those with money, or traded on from here.

        Also whether its money is spot by now: an account may be unified, or not any more, at any time.

        They are what is asked for the account, its orders and mid prices from then on; `""` is the venue's own.
        """
        self._standing = replace(self._standing, is_unified=account_mode(self.transport) == UNIFIED)
        failure = None
        for dex in dex_names(self.transport.info):
            try:
                if dex and dex not in self._dexs and self._has_money(dex):
                    self._dexs.append(dex)
            except VenueError as error:  # the others are looked at all the same
                failure = error
        if failure is not None:
            raise failure
        return list(self._dexs)

    # what is asked

    def account(self, dex: str | None = None) -> AccountState:
        """Return money and positions.

        Parameters
        ----------
        dex
            Name of one, whose money alone can be used on it; none: all together, a token of collateral for a dollar.
        """
        state = together([self._account(each) for each in (self._dexs if dex is None else [dex])])
        if not self._standing.is_unified:
            return state
        return with_spot_money(state, self.transport.info({"type": "spotClearinghouseState", "user": self._user}))

    def open_orders(self) -> list[VenueOrder]:
        """Return all open orders, children that wait included."""
        kind = "frontendOpenOrders"
        answers = [self.transport.info({"type": kind, "user": self._user, "dex": dex}) for dex in self._dexs]
        return [order for answer in answers for order in read_open_orders(answer)]

    def order_status(self, key: str | int) -> VenueOrder | None:
        """Return an order by cloid or oid; None: the venue does not know it, or not yet."""
        return read_order_status(self.transport.info({"type": "orderStatus", "user": self._user, "oid": key}))

    def past_orders(self) -> list[VenueOrder]:
        """Return orders that have ended, the newest `PAST_ORDERS_PER_ANSWER` of them."""
        answer = self.transport.info({"type": "historicalOrders", "user": self._user})
        if not isinstance(answer, list):
            raise VenueUnreadable(f"{answer!r}"[:200], where="info historicalOrders")
        return [read_order_update(row) for row in answer]

    def fills(self, since_ms: int) -> list[Fill]:
        """Return all fills from a time on, by time, each once."""
        found: list[Fill] = []
        start = since_ms
        while True:
            body = {"type": "userFillsByTime", "user": self._user, "startTime": start, "endTime": None}
            page = read_fills(self.transport.info(body), self._user)
            found += page
            newest = max((fill.time_ms for fill in page), default=start)
            if len(page) < FILLS_PER_ANSWER:
                return in_order(found)
            # rows of one millisecond may fill a page: then there is no way past them but the next one
            start = newest if newest > start else start + 1

    def fundings(self, since_ms: int) -> list[CashFlow]:
        """Return all funding that was paid and received from a time on, by time, each once."""
        return self._flows("userFunding", since_ms, read_fundings)

    def transfers(self, since_ms: int) -> list[CashFlow]:
        """Return all other money that came or went without a trade from a time on, by time, each once."""
        return self._flows("userNonFundingLedgerUpdates", since_ms, lambda answer: read_ledger(answer, self._user))

    def mids(self) -> dict[str, Decimal]:
        """Return the mid price of every coin that has one."""
        mids: dict[str, Decimal] = {}
        for dex in self._dexs:
            answer = self.transport.info({"type": "allMids", "dex": dex})
            if not isinstance(answer, dict):
                raise VenueUnreadable(f"{answer!r}", where="info allMids")
            mids |= {coin: px for coin, text in answer.items() if (px := _price(text)) is not None}
        return mids

    def contexts(self) -> dict[str, CoinContext]:
        """Return mark, oracle, funding and volumes of every coin that has them, on all dexs that are covered."""
        answers = [self.transport.info({"type": "metaAndAssetCtxs", "dex": dex}) for dex in self._dexs]
        return {coin: context for answer in answers for coin, context in read_contexts(answer).items()}

    def depth(self, coin: str) -> DepthSnapshot:
        """Return the best levels of a book."""
        return read_depth(self.transport.info({"type": "l2Book", "coin": coin}), coin)

    def fee_rates(self) -> FeeRates:
        """Return what the account pays of the notional."""
        return read_fee_rates(self.transport.info({"type": "userFees", "user": self._user}))

    def room(self, coin: str) -> TradingRoom:
        """Return a coin's leverage, and how much of it the account could trade."""
        return read_room(self.transport.info({"type": "activeAssetData", "user": self._user, "coin": coin}), coin)

    def resting(self) -> Resting:
        """Return whatever may still trade, as far as it can be seen: what a dex or a row hides, hides nothing else."""
        seen = [
            self._see(f"open orders{_on(dex)}", {"type": "frontendOpenOrders", "dex": dex}, see_open_orders, Resting())
            for dex in self._dexs
        ]
        seen.append(self._see("TWAP orders", {"type": "twapHistory"}, see_twaps, Resting()))
        return Resting(
            tuple(order for part in seen for order in part.orders),
            tuple(twap for part in seen for twap in part.twaps),
            tuple(doubt for part in seen for doubt in part.doubts),
        )

    def holdings(self) -> Holdings:
        """Return what is held, as far as it can be seen."""
        seen = [
            self._see(f"positions{_on(dex)}", {"type": "clearinghouseState", "dex": dex}, see_positions, Holdings())
            for dex in self._dexs
        ]
        return Holdings(
            tuple(position for part in seen for position in part.positions),
            tuple(doubt for part in seen for doubt in part.doubts),
        )

    def refresh_budget(self) -> None:
        """Learn how many requests the account has left."""
        answer = self.transport.info({"type": "userRateLimit", "user": self._user})
        try:
            cap = int(answer.get("nRequestsCap") or 0)
            self.budget.learn(int(answer["nRequestsUsed"]), int(Decimal(answer["cumVlm"])), cap)
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
            raise VenueUnreadable(f"{answer!r}", where="info userRateLimit") from None

    # what is done

    def venue_ms(self) -> int:
        """Return the venue's time, as its answers have shown it; actions expire by it."""
        return self.transport.clock.venue_ms()

    def draw_nonce(self) -> int:
        """Return the nonce of the next action, so that it can be written down before the action is sent."""
        return self._nonces.draw()

    def place(self, orders: Sequence[NewOrder], nonce: int, *, grouping: Grouping = "na") -> list[Outcome]:
        """Place orders in one action; return what became of each."""
        action = requests.place_action([(order, self.listed(order.coin)) for order in orders], grouping)
        urgent = all(order.reduce_only for order in orders)
        return self._act(action, nonce, len(orders), is_urgent=urgent)

    def amend(self, orders: Sequence[NewOrder], nonce: int) -> list[Outcome]:
        """Replace open orders by ones with the same cloids."""
        action = requests.amend_action([(order, self.listed(order.coin)) for order in orders])
        return self._act(action, nonce, len(orders))

    def cancel(self, targets: Sequence[tuple[str, str]], nonce: int) -> list[Outcome]:
        """Cancel by coin and cloid; a coin that is not listed holds up no other."""
        return self._cancel(targets, nonce, requests.cancel_action)

    def cancel_oids(self, targets: Sequence[tuple[str, int]], nonce: int) -> list[Outcome]:
        """Cancel by coin and oid: orders that are not ours; a coin that is not listed holds up no other."""
        return self._cancel(targets, nonce, requests.cancel_oids_action)

    def cancel_twap(self, coin: str, number: int, nonce: int) -> Outcome:
        """End a TWAP order."""
        asset = self._asset(coin)
        if isinstance(asset, Rejected):
            return asset
        action = requests.cancel_twap_action(asset, number)
        return self._act(action, nonce, 1, is_urgent=True, is_cancel=True)[0]

    def schedule_cancel(self, time_ms: int | None, nonce: int) -> Outcome:
        """Let the venue cancel all open orders at a time; None takes it back."""
        return self._act(requests.schedule_cancel_action(time_ms), nonce, 1, is_urgent=True)[0]

    def set_leverage(self, coin: str, leverage: int, nonce: int, *, is_cross: bool = True) -> Outcome:
        """Set leverage and margin mode of a coin."""
        action = requests.leverage_action(self.listed(coin).asset, leverage, is_cross=is_cross)
        return self._act(action, nonce, 1)[0]

    def move_isolated_margin(self, coin: str, usd: Decimal, nonce: int) -> Outcome:
        """Move margin into an isolated position, or out of it with a negative amount."""
        return self._act(requests.isolated_margin_action(self.listed(coin).asset, usd), nonce, 1, is_urgent=usd > 0)[0]

    def reserve_requests(self, count: int, nonce: int) -> Outcome:
        """Buy requests for the account."""
        outcome = self._act(requests.reserve_action(count), nonce, 1)[0]
        if isinstance(outcome, Accepted):
            self._try_refresh_budget()
        return outcome

    def fence(self, nonce: int, signer: str) -> Fence:
        """Burn the nonce of an action whose outcome is not known, so that it cannot be processed from now on.

        A nonce is good once. If the venue takes an empty action under it, the first never came; if it says that the
        nonce is used or too old, the first has been admitted, or never will be. The nonce of another wallet, such as an
        agent that has been replaced, cannot be burnt: it is waited for until what that wallet signed has expired.
        """
        if signer != self.signer:
            expired = nonce + int(EXPIRY_FACTOR * self.transport.spec.action_seconds * 1000)
            return Fence.CLOSED if self._now() > expired else Fence.UNSURE
        outcome = self._act({"type": "noop"}, nonce, 1, is_urgent=True)[0]
        if isinstance(outcome, Accepted):
            return Fence.NEVER
        closed = "duplicate nonce" in outcome.text or "nonce too low" in outcome.text
        return Fence.CLOSED if closed else Fence.UNSURE

    def _flows(self, kind: str, since_ms: int, read: Callable[[Any], list[CashFlow]]) -> list[CashFlow]:
        found: list[CashFlow] = []
        start = since_ms
        while True:
            page = read(self.transport.info({"type": kind, "user": self._user, "startTime": start}))
            found += page
            if len(page) < FLOWS_PER_ANSWER:
                return flows_in_order(found)
            newest = max(flow.time_ms for flow in page)
            start = newest if newest > start else start + 1

    def _see(self, what: str, body: dict[str, str], see: Callable[[Any], V], empty: V) -> V:
        """Return what an answer shows; where there is none, nothing and a doubt."""
        try:
            seen = see(self.transport.info({**body, "user": self._user}))
        except VenueError as error:
            return replace(empty, doubts=(f"{what}: {error.what}",))
        return replace(seen, doubts=tuple(f"{what}: {doubt}" for doubt in seen.doubts))

    def _cancel(
        self, targets: Sequence[tuple[str, K]], nonce: int, action: Callable[[list[tuple[int, K]]], dict[str, Any]]
    ) -> list[Outcome]:
        assets = [self._asset(coin) for coin, _ in targets]
        known = [(asset, key) for asset, (_, key) in zip(assets, targets, strict=True) if isinstance(asset, int)]
        done: list[Outcome] = []
        if known:
            done = self._act(action(known), nonce, len(known), is_urgent=True, is_cancel=True)
        answered = iter(done)
        return [asset if isinstance(asset, Rejected) else next(answered) for asset in assets]

    def _asset(self, coin: str) -> int | Rejected:
        """Return the number of whatever can be canceled, spot pairs included, or why it has none."""
        number = self._listings.number(coin)
        if number is not None:
            return number
        try:
            return self.listed(coin).asset
        except InputError as error:
            return Rejected(Why.ASSET, error.what)
        except VenueError as error:
            return Rejected(Why.NOT_SENT, error.what)

    def _account(self, dex: str) -> AccountState:
        return read_account(self.transport.info({"type": "clearinghouseState", "user": self._user, "dex": dex}))

    def _has_money(self, dex: str) -> bool:
        state = self._account(dex)
        return state.account_value_usd != 0 or bool(state.positions)

    def _act(
        self, action: dict[str, Any], nonce: int, items: int, *, is_urgent: bool = False, is_cancel: bool = False
    ) -> list[Outcome]:
        if self.budget.left(is_cancel=is_cancel) < LOW_BUDGET:
            self._try_refresh_budget()
        self.budget.spend(items, is_cancel=is_cancel)
        spec = self.transport.spec
        # an empty action may be late: that it still uses up its nonce is all that it is for
        expires = None if action["type"] == "noop" else self.venue_ms() + int(spec.action_seconds * 1000)
        payload = {
            "action": action,
            "nonce": nonce,
            "signature": self._wallet.sign_l1(
                action, nonce, expires, mainnet=spec.is_mainnet, vault=self._standing.vault
            ),
            "vaultAddress": self._standing.vault,
            "expiresAfter": expires,
        }
        outcomes = self._send(payload, items, is_urgent=is_urgent)
        first = outcomes[0]
        if isinstance(first, Rejected) and first.why in (Why.ADDRESS_LIMIT, Why.IP_LIMIT, Why.NOT_SENT):
            self.budget.give_back(items)
            if first.why is Why.ADDRESS_LIMIT:
                self._try_refresh_budget()
        elif (
            isinstance(first, Rejected) and first.why is Why.EXPIRED
        ):  # the venue counts these more, whatever they hold
            self.budget.give_back(items - STALE_EXPIRY_FACTOR)
        return outcomes

    def _send(self, payload: dict[str, Any], items: int, *, is_urgent: bool) -> list[Outcome]:
        try:
            answer = self.transport.exchange(payload, items, is_urgent=is_urgent)
        except VenueRefused as error:
            return [Rejected(Why.IP_LIMIT if error.status == 429 else Why.UNREADABLE, error.what)] * items
        except VenueUnreachable as error:
            failed = Rejected(Why.NOT_SENT, error.what) if error.never_left else Unknown(error.what)
            return [failed] * items
        except VenueUnreadable as error:
            return [Unknown(error.what)] * items
        return read_outcomes(answer, items)

    def _try_refresh_budget(self) -> None:
        try:
            self.refresh_budget()
        except (VenueRefused, VenueUnreachable, VenueUnreadable):
            return  # what was counted here goes on to be used


def connect(
    spec: VenueSpec,
    wallet: Wallet,
    state_folder: Path,
    *,
    beside_others: bool = False,
    transport: Transport | None = None,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> HyperliquidVenue:
    """Return an account of a venue, having made sure that it can be traded with.

    Parameters
    ----------
    spec
        Venue and account.
    wallet
        The account's, or an agent's.
    state_folder
        Where nonces and locks of signers are kept.
    beside_others
        As for `NonceSource`.
    transport
        One that other tasks use too; none: a new one.
    now_ms, clock, sleep
        Wall clock in ms, a clock that never goes back in seconds, and how to wait.

    Raises
    ------
    InputError
        The wallet may not act for the account, or the account keeps its money where perpetuals do not see it.
    BusyError
        Another process signs with this wallet.
    VenueError
        The venue cannot be reached or read.
    """
    transport = transport or Transport(spec, clock=clock, sleep=sleep, now_ms=now_ms)
    nonces = NonceSource(state_folder, wallet.address, now_ms, beside_others=beside_others)
    try:
        standing = check_account(transport, wallet)
        budget = AddressBudget(clock=clock, sleep=sleep)
        listings = load_listings(transport.spec.base_url, transport.info)
        venue = HyperliquidVenue(transport, wallet, nonces, listings, budget, now_ms, standing)
        venue.refresh_budget()
        venue.find_dexs()
    except BaseException:
        nonces.close()
        raise
    return venue


def _price(text: Any) -> Decimal | None:
    """Return a mid price, or None where a coin has none that can be used."""
    try:
        return (amount(text) or None) if isinstance(text, str) else None
    except (ValueError, InvalidOperation):
        return None


def _on(dex: str) -> str:
    return f" on {dex}" if dex else ""
