"""The exchange as a whole: what may be asked of it, and how time passes over it."""

from collections.abc import Mapping
from typing import Any, Final

from quant_organism.simulator.core import (
    changing,
    collateral,
    lifecycle,
    liquidation,
    matching,
    placing,
    settlement,
    standing,
    transfers,
    twap,
)
from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.simulator.core.state import MARKET, VenueCore, VenueState
from quant_organism.venue.protocol import (
    OWN_DEX,
    Action,
    ApproveAgent,
    ApproveBuilderFee,
    CancelOrders,
    CancelTwap,
    ConvertToMultiSig,
    CreateSubAccount,
    ModifyOrders,
    Noop,
    PlaceOrders,
    PlaceTwap,
    ScheduleCancel,
    SetAbstraction,
    SetReferrer,
    Unaffordable,
    UpdateIsolatedMargin,
    UpdateLeverage,
    texts,
)

OK: Final[Mapping[str, Any]] = {"status": "ok", "response": {"type": "default"}}


class SimulatedVenue:
    """An exchange in memory: the same calls at the same times give the same state, to the last bit.

    Parameters
    ----------
    state
        Where it begins.
    """

    def __init__(self, state: VenueState) -> None:
        self.core = VenueCore(state)

    @property
    def state(self) -> VenueState:
        """Everything that is kept."""
        return self.core.state

    def deposit(self, address: str, micro_usd: int, dex: int = OWN_DEX) -> Account:
        """Bring collateral of a dex in for an address, which exists from then on."""
        account = self.state.accounts.setdefault(address, Account(address))
        self.state.blocks += 1
        settlement.deposit(self.core, account, micro_usd, dex)
        return account

    def act(self, account: Account, action: Action) -> dict[str, Any]:
        """Carry out an action of an account; return the answer of /exchange."""
        self.state.blocks += 1
        if account.is_unified and isinstance(action, UpdateIsolatedMargin):
            return err(texts.UNIFIED)
        match action:
            case PlaceOrders(orders, grouping):
                return _statuses("order", placing.place_all(self.core, account, orders, grouping))
            case ModifyOrders():
                return self._modify(account, action)
            case CancelOrders(items):
                done = [changing.cancel(self.core, account, asset, key) for asset, key in items]
                return _statuses("cancel", done)
            case PlaceTwap():
                return _twap_status("twapOrder", twap.begin(self.core, account, action))
            case CancelTwap(asset, number):
                return _twap_status("twapCancel", twap.cancel(self.core, account, asset, number))
            case ScheduleCancel(time_ms):
                return _done(changing.schedule_cancel(self.core, account, time_ms))
            case UpdateLeverage(asset, is_cross, value):
                return _done(collateral.update_leverage(self.core, account, asset, value, is_cross=is_cross))
            case UpdateIsolatedMargin(asset, micro_usd):
                return _done(collateral.update_isolated_margin(self.core, account, asset, micro_usd))
            case ApproveAgent():
                return _done(standing.approve_agent(self.core, account, action))
            case SetReferrer() | ApproveBuilderFee() | SetAbstraction() | ConvertToMultiSig():
                return _done(standing.change(self.core, account, action))
            case CreateSubAccount(name):
                refusal, address = transfers.create_sub_account(self.core, account, name)
                made = {"status": "ok", "response": {"type": "createSubAccount", "data": address}}
                return made if refusal is None else err(refusal)
            case Unaffordable(text):
                return err(text)
            case Noop():
                return dict(OK)
            case _:
                return _done(transfers.transfer(self.core, account, action))

    def pass_time(self, now_ms: int) -> None:
        """Let the clock go on to a time, and do what falls due."""
        self.state.now_ms = max(now_ms, self.state.now_ms)
        changing.fire_scheduled(self.core)
        twap.fire_due(self.core)

    def next_ms(self) -> int | None:
        """Return when time alone makes something happen next, or None where it does not."""
        return twap.next_ms(self.core)

    def set_prices(self, prices: Mapping[int, tuple[int, int]]) -> None:
        """Take new scaled marks and oracle prices by asset id; fire triggers and liquidate on the marks."""
        for asset, (mark, oracle) in prices.items():
            listing = self.state.listings[asset]
            listing.mark_before, listing.mark, listing.oracle = listing.mark, mark, oracle
            self.core.marks[asset] = mark
        for asset in prices:
            if self.state.listings[asset].triggers:
                changing.fire_met(self.core, asset)
        liquidation.liquidate_due(self.core)

    def pay_funding(self, rates_e10: Mapping[int, int], time_ms: int) -> None:
        """Settle one hour's funding at rates by asset id, in 1e-10 an hour."""
        settlement.pay_funding(self.core, rates_e10, time_ms)

    def quote(self, asset: int, px: int, size: int, *, is_buy: bool) -> None:
        """Let the market offer a size at a price; it trades first with what it crosses."""
        order = self._market_order(asset, px, size, is_buy=is_buy)
        if self.core.books[asset].crosses(px, is_buy=is_buy):
            self.state.blocks += 1
            matching.match(self.core, order)
        if order.sz:
            self.state.quotes[order.oid] = order
            lifecycle.rest(self.core, order)

    def quote_levels(self, asset: int, bids: Mapping[int, int], asks: Mapping[int, int]) -> None:
        """Quote an asset anew with sizes by scaled price, behind whoever rests at the same prices."""
        self.withdraw_quotes(asset)
        for is_buy, levels in ((True, bids), (False, asks)):
            for px, size in levels.items():
                self.quote(asset, px, size, is_buy=is_buy)

    def print_trade(self, asset: int, px: int, size: int, *, is_buy: bool) -> None:
        """Publish a trade of the market with itself."""
        matching.print_trade(self.core, asset, px, size, is_buy=is_buy)

    def take(self, asset: int, px: int, size: int, *, is_buy: bool) -> int:
        """Let the market take at most a size from the book, up to a price; return what it did not get."""
        order = self._market_order(asset, px, size, is_buy=is_buy)
        self.state.blocks += 1
        matching.match(self.core, order)
        return order.sz

    def withdraw_quotes(self, asset: int) -> None:
        """Take the market's quotes out of a book."""
        book = self.core.books[asset]
        for order in [order for side in (book.bids, book.asks) for order in side if order.account == MARKET]:
            lifecycle.finish(self.core, order, texts.CANCELED)

    def delist(self, asset: int) -> None:
        """End all orders of an asset that trades no more; its id stays."""
        for order in list(self.state.orders.values()):
            if order.asset == asset and order.oid in self.state.accounts[order.account].open_oids:
                lifecycle.finish(self.core, order, texts.DELISTED_CANCELED)
        self.withdraw_quotes(asset)

    def _market_order(self, asset: int, px: int, size: int, *, is_buy: bool) -> SimulatedOrder:
        self.state.next_quote_oid -= 1
        return SimulatedOrder(
            oid=self.state.next_quote_oid,
            account=MARKET,
            asset=asset,
            is_buy=is_buy,
            px=px,
            sz=size,
            orig_sz=size,
            timestamp_ms=self.state.now_ms,
            tif="Gtc",
        )

    def _modify(self, account: Account, action: ModifyOrders) -> dict[str, Any]:
        done = [changing.modify(self.core, account, key, request) for key, request in action.items]
        if not action.single:
            return _statuses("order", [{"error": texts.CANNOT_MODIFY} if status is None else status for status in done])
        status = done[0]
        if status is None:
            return err(texts.CANNOT_MODIFY)
        refused = status.get("error") if isinstance(status, dict) else None
        return dict(OK) if refused is None else err(refused)


def err(text: str) -> dict[str, Any]:
    """Return the answer that refuses a whole action."""
    return {"status": "err", "response": text}


def _done(refusal: str | None) -> dict[str, Any]:
    return dict(OK) if refusal is None else err(refusal)


def _twap_status(kind: str, status: Any) -> dict[str, Any]:
    return {"status": "ok", "response": {"type": kind, "data": {"status": status}}}


def _statuses(kind: str, statuses: list[Any]) -> dict[str, Any]:
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": statuses}}}
