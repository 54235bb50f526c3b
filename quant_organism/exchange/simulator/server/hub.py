"""All WebSockets: who has subscribed to what, and who is told of an event (reference: section 8)."""

from collections import defaultdict
from typing import Any

from quant_organism.exchange.protocol.decimals import usd
from quant_organism.exchange.simulator.core import forms
from quant_organism.exchange.simulator.core.events import (
    CanceledByVenue,
    Event,
    Filled,
    FundingPaid,
    Liquidated,
    MoneyMoved,
    OrderUpdated,
    Traded,
    TwapChanged,
)
from quant_organism.exchange.simulator.core.state import LIQUIDATOR
from quant_organism.exchange.simulator.engine import Engine
from quant_organism.exchange.simulator.faults.answers import distort
from quant_organism.exchange.simulator.faults.injector import FaultInjector
from quant_organism.exchange.simulator.server import market_views as market
from quant_organism.exchange.simulator.server import subscriptions as subs
from quant_organism.exchange.simulator.server.account_views import AccountView
from quant_organism.exchange.simulator.server.sockets import Socket
from quant_organism.exchange.simulator.server.subscriptions import Subscription


class Hub:
    """Publishes what the venue does.

    Parameters
    ----------
    engine
        The venue; its events come to `publish`.
    injector
        Faults of what is published.
    push_interval_ms
        Least time of the venue between two states of a subscription.
    """

    def __init__(self, engine: Engine, injector: FaultInjector, push_interval_ms: int) -> None:
        self._engine, self._injector, self._interval = engine, injector, push_interval_ms
        self.sockets: set[Socket] = set()
        self._members: dict[Subscription, dict[Socket, None]] = {}
        self._pushed: dict[Subscription, tuple[int, Any]] = {}
        engine.listener = self.publish

    def join(self, socket: Socket, sub: Subscription) -> None:
        """Enter a subscription."""
        socket.subscriptions[sub] = None
        self._members.setdefault(sub, {})[socket] = None

    def leave(self, socket: Socket, sub: Subscription) -> None:
        """End a subscription."""
        socket.subscriptions.pop(sub, None)
        members = self._members.get(sub, {})
        members.pop(socket, None)
        if not members:
            self._members.pop(sub, None)
            self._pushed.pop(sub, None)

    def forget(self, socket: Socket) -> None:
        """End everything of a socket that is gone."""
        self.sockets.discard(socket)
        for sub in list(socket.subscriptions):
            self.leave(socket, sub)

    def greet(self, socket: Socket, sub: Subscription) -> None:
        """Send the first message of a subscription, where its type has one."""
        data = subs.first_message(self._engine, sub)
        if data is not None:
            socket.send({"channel": sub.channel, "data": distort(self._injector, sub.kind, data)}, sub)

    def publish(self, events: list[Event]) -> None:
        """Tell everyone concerned of what has happened, in its order."""
        if not self._members:
            return
        trades: dict[int, list[Traded]] = defaultdict(list)
        by_user: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            if isinstance(event, Traded):
                trades[event.asset].append(event)
            else:
                by_user[event.account].append(event)
        for user, own in by_user.items():
            self._publish_user(user, own)
        for asset, printed in trades.items():
            listing = self._engine.venue.state.listings[asset]
            rows = [market.public_trade(trade, listing) for trade in printed]
            self._tell(Subscription("trades", listing.instrument.name), rows)
            self.publish_candles(asset)

    def publish_candles(self, asset: int) -> None:
        """Send the forming candle of every interval that somebody follows."""
        coin = self._engine.venue.state.listings[asset].instrument.name
        for sub in [sub for sub in self._members if sub.kind == "candle" and sub.coin == coin]:
            data = subs.candle(self._engine, sub)
            if data is not None:
                self._tell(sub, data)

    def publish_states(self) -> None:
        """Send every state whose interval has passed; best bid and ask only when they have changed."""
        now = self._engine.now_ms
        for sub in list(self._members):
            if sub.kind not in subs.MARKET_STATES | subs.USER_STATES:
                continue
            before, last = self._pushed.get(sub, (-(1 << 60), None))
            if now - before < self._interval:
                continue
            data = subs.state(self._engine, sub)
            same = last is not None and sub.kind == "bbo" and data["bbo"] == last["bbo"]
            self._pushed[sub] = (now, data)
            if not same:
                self._tell(sub, distort(self._injector, sub.kind, data))

    def _publish_user(self, user: str, events: list[Event]) -> None:
        view, listings = AccountView(self._engine, user), self._engine.venue.state.listings
        updates = [
            {"order": e.order, "status": e.status, "statusTimestamp": e.time_ms}
            for e in events
            if isinstance(e, OrderUpdated)
        ]
        fills = [forms.fill(e.fill, listings[e.fill.asset]) for e in events if isinstance(e, Filled)]
        paid = [subs.flat_funding(view, e.payment) for e in events if isinstance(e, FundingPaid)]
        gone = [
            {"coin": listings[e.asset].instrument.name, "oid": e.oid} for e in events if isinstance(e, CanceledByVenue)
        ]
        moved = [e.entry for e in events if isinstance(e, MoneyMoved)]
        entries = [{"time": entry.time_ms, "hash": entry.hash, "delta": entry.delta} for entry in moved]
        own = Subscription("userEvents", user=user)
        if updates:
            self._tell(Subscription("orderUpdates", user=user), updates)
        if fills:
            self._tell(own, {"fills": fills})
            self._tell(Subscription("userFills", user=user), {"user": user, "fills": fills})
        for payment in paid:
            self._tell(own, {"funding": payment})
        if paid:
            self._tell(Subscription("userFundings", user=user), {"user": user, "fundings": paid})
        for event in events:
            if isinstance(event, Liquidated):
                self._tell(own, {"liquidation": _liquidation(event)})
        if gone:
            self._tell(own, {"nonUserCancel": gone})
        history = [e.row for e in events if isinstance(e, TwapChanged)]
        if history:
            self._tell(Subscription("userTwapHistory", user=user), {"user": user, "history": history})
        slices = [{"fill": form, "twapId": form["twapId"]} for form in fills if form["twapId"] is not None]
        if slices:
            self._tell(Subscription("userTwapSliceFills", user=user), {"user": user, "twapSliceFills": slices})
        if entries:
            data = {"user": user, "nonFundingLedgerUpdates": entries}
            self._tell(Subscription("userNonFundingLedgerUpdates", user=user), data)

    def _tell(self, sub: Subscription, data: Any) -> None:
        for socket in self._members.get(sub, ()):
            socket.send({"channel": sub.channel, "data": data}, sub)


def _liquidation(event: Liquidated) -> dict[str, Any]:
    return {
        "lid": event.lid,
        "liquidator": LIQUIDATOR,
        "liquidated_user": event.account,
        "liquidated_ntl_pos": usd(event.notional),
        "liquidated_account_value": usd(event.equity),
    }
