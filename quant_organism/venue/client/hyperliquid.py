"""An account at Hyperliquid, or the simulator that speaks its wire, that is traded with: typed outcomes."""

import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from quant_organism.errors import InputError
from quant_organism.venue.client import requests
from quant_organism.venue.client.acting import AccountStanding, check_account
from quant_organism.venue.client.limits import AddressBudget, NonceSource
from quant_organism.venue.client.listings import Listings, load_listings
from quant_organism.venue.client.network import VenueSpec
from quant_organism.venue.client.outcomes import Accepted, Outcome, Rejected, Unknown, Why, read_outcomes
from quant_organism.venue.client.reading import AccountReader
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
from quant_organism.venue.protocol.wire import Grouping

LOW_BUDGET: Final = 500
"""Requests left of the account below which its true number is asked for."""
EXPIRY_FACTOR: Final = 2
"""So many times `action_seconds` after its nonce an action is past, also by a clock of the venue that is behind."""
K = TypeVar("K", str, int)


class Fence(StrEnum):
    """What burning an action's nonce has shown about the action."""

    NEVER = "never"
    """It was not processed and can never be."""
    CLOSED = "closed"
    """It cannot be processed any more; whether it was is shown by the order's status."""
    UNSURE = "unsure"
    """Nothing: the fence itself did not arrive, or its answer was lost."""


class HyperliquidVenue(AccountReader):
    """A connected account: what can be asked of it, and what can be done for it; made by `connect`.

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
        super().__init__(transport, listings, budget, standing)
        self._wallet, self._nonces, self._now = wallet, nonces, now_ms

    @property
    def signer(self) -> str:
        """The wallet that signs for it: its own, or an agent's."""
        return self._wallet.address

    def close(self) -> None:
        """Let others sign with the wallet."""
        self._nonces.close()

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
