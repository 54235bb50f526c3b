"""What is asked of an account at Hyperliquid, or the simulator that speaks its wire: typed questions, no key needed."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

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
from quant_organism.venue.client.acting import UNIFIED, AccountStanding, account_mode
from quant_organism.venue.client.exposure import Holdings, Resting, see_open_orders, see_positions, see_twaps
from quant_organism.venue.client.flows import CashFlow, flows_in_order, read_fundings, read_ledger
from quant_organism.venue.client.limits import AddressBudget
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
from quant_organism.venue.client.transport import Transport, VenueError, VenueUnreadable
from quant_organism.venue.protocol.instruments import dex_name

FILLS_PER_ANSWER: Final = 2_000
FLOWS_PER_ANSWER: Final = 500
_LOOKS_AT_SPOT: Final = 4
V = TypeVar("V", Resting, Holdings)


class AccountReader:
    """The questions about an account.

    Parameters
    ----------
    transport
        Shared by all tasks.
    listings
        As of now; read anew when an unknown coin is asked for.
    budget
        Requests of the account.
    standing
        Whose it is, and where its money lies.
    """

    def __init__(
        self, transport: Transport, listings: Listings, budget: AddressBudget, standing: AccountStanding
    ) -> None:
        self.transport, self.budget = transport, budget
        self._listings, self._standing = listings, standing
        self._user = transport.spec.account_address
        self._dexs = [""]

    @property
    def address(self) -> str:
        """The account."""
        return self._user

    def venue_ms(self) -> int:
        """Return the venue's time, as its answers have shown it; actions expire by it."""
        return self.transport.clock.venue_ms()

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

    def account(self, dex: str | None = None) -> AccountState:
        """Return money and positions.

        Parameters
        ----------
        dex
            Name of one, whose money alone can be used on it; none: all together, a token of collateral for a dollar.
        """
        dexs = self._dexs if dex is None else [dex]
        state = together([self._account(each) for each in dexs])
        if not self._standing.is_unified:
            return state
        for _ in range(_LOOKS_AT_SPOT):  # money and positions of one moment: marks move between two answers
            spot = self.transport.info({"type": "spotClearinghouseState", "user": self._user})
            before, state = state, together([self._account(each) for each in dexs])
            if state.positions == before.positions:
                break
        return with_spot_money(state, spot)

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
        return self._flows("userNonFundingLedgerUpdates", since_ms, self._read_ledger)

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

    def _read_ledger(self, answer: Any) -> list[CashFlow]:
        return read_ledger(answer, self._user, is_unified=self._standing.is_unified)

    def _see(self, what: str, body: dict[str, str], see: Callable[[Any], V], empty: V) -> V:
        """Return what an answer shows; where there is none, nothing and a doubt."""
        try:
            seen = see(self.transport.info({**body, "user": self._user}))
        except VenueError as error:
            return replace(empty, doubts=(f"{what}: {error.what}",))
        return replace(seen, doubts=tuple(f"{what}: {doubt}" for doubt in seen.doubts))

    def _account(self, dex: str) -> AccountState:
        return read_account(self.transport.info({"type": "clearinghouseState", "user": self._user, "dex": dex}))

    def _has_money(self, dex: str) -> bool:
        state = self._account(dex)
        return state.account_value_usd != 0 or bool(state.positions)


def _price(text: Any) -> Decimal | None:
    """Return a mid price, or None where a coin has none that can be used."""
    try:
        return (amount(text) or None) if isinstance(text, str) else None
    except (ValueError, InvalidOperation):
        return None


def _on(dex: str) -> str:
    return f" on {dex}" if dex else ""
