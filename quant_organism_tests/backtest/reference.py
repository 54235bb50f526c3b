"""The rules of docs/execution.md, bar by bar in plain Python: slow, readable, and what the compiled walk must equal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, signal
from quant_organism_tests.backtest.reference_margin import Tiers, liquidation_price, maintenance_margin
from quant_organism_tests.backtest.reference_weights import turbulence, weight_table


@dataclass
class Bar:
    """One valid bar; `room` is what market orders may still trade of its volume, `volume` all of it, both in units
    of a sleeve's quantity."""

    row: int
    open: float
    high: float
    low: float
    close: float
    funding: float
    volume: float
    room: float


@dataclass
class Order:
    """An entry that is not filled yet."""

    side: int
    quantity: float


@dataclass
class Position:
    """An open position: what was entered, what is left of it, and why its exit has begun if it has."""

    side: int
    entry_bar: int
    equity_before: float
    entered: float = 0.0
    entry_value: float = 0.0
    left: float = 0.0
    exit_value: float = 0.0
    exit_bar: int = -1
    fees: float = 0.0
    exit_fees: float = 0.0
    funding: float = 0.0
    reason: str = ""
    highest: float = -math.inf
    lowest: float = math.inf

    @property
    def entry_price(self) -> float:
        """Average entry fill."""
        return self.entry_value / self.entered


@dataclass
class SleeveAccount:
    """Cash, order, position and history of one genome on one asset."""

    genes: Mapping[str, float]
    costs: Costs
    tiers: Tiers
    holding: int
    stops_from_next_bar: bool = False
    cash: float = 1.0
    order: Order | None = None
    position: Position | None = None
    blocked_side: int = 0
    ruined: bool = False
    trades: list[dict] = field(default_factory=list)
    turnover: dict[int, float] = field(default_factory=dict)

    def worse(self, price: float, side: int, quantity: float, bar: Bar) -> float:
        """Rules 3 and 16: the fill of a market order on `side`: +1 buys, -1 sells."""
        bps = self.costs.slippage_bps
        if self.costs.max_participation is not None:
            bps += self.costs.impact_bps * math.sqrt(quantity / bar.volume)
        return price * (1 + side * bps / 10_000)

    def equity(self, price: float) -> float:
        """Return cash plus position at `price`."""
        return self.cash + (self.position.side * self.position.left * price if self.position else 0.0)

    def trade(self, bar: Bar, target: float, weight: float, permitted: bool) -> None:
        """Go through one bar, with the target decided at the close before it."""
        wanted = int(np.sign(target))
        if wanted != self.blocked_side:
            self.blocked_side = 0
        if self.stops_from_next_bar and self.position and self.position.entry_bar < bar.row:
            exiting = bool(self.position.reason)
            self.look_at_levels(bar)
            if self.position is None or bool(self.position.reason) != exiting:
                self.blocked_side = wanted  # rule 17: what was ordered for this bar is lost
                return
        self.exit_at_open(bar, wanted)
        self.enter_at_open(bar, wanted, weight * abs(target), permitted)
        if not self.stops_from_next_bar:
            self.look_at_levels(bar)

    def exit_at_open(self, bar: Bar, wanted: int) -> None:
        """Rules 2, 7 and 16: close what the target or the holding time ends, or what an exit has left over."""
        held = self.position
        if held is None:
            return
        if not held.reason and wanted != held.side:
            held.reason = "signal"
        elif not held.reason and bar.row - held.entry_bar >= self.holding:
            held.reason, self.blocked_side = "max_holding", held.side
        if held.reason:
            self.order = None
        if held.reason == "liquidation":
            self.liquidate(bar, bar.open)
        elif held.reason:
            self.sell_off(bar, bar.open)

    def enter_at_open(self, bar: Bar, wanted: int, weight: float, permitted: bool) -> None:
        """Rules 2, 4, 14 and 16: send a new order, or again what is left of one."""
        if self.order and self.order.side != wanted:
            self.order = None
        free = self.position is None and self.order is None and not self.ruined
        if free and permitted and wanted not in (0, self.blocked_side):
            aimed = bar.open * (1 + wanted * self.costs.slippage_bps / 10_000)
            self.order = Order(wanted, weight * self.cash / aimed)
        if self.order is None:
            return
        side, quantity = self.order.side, min(self.order.quantity, bar.room)
        if quantity == 0:
            return
        bar.room -= quantity
        self.order.quantity -= quantity
        if self.order.quantity == 0:
            self.order = None
        if self.position is None:
            self.position = Position(side, bar.row, self.cash)
        held, fill = self.position, self.worse(bar.open, side, quantity, bar)
        self.count_turnover(bar, quantity, fill)
        fee = quantity * fill * self.costs.taker_fee
        self.cash -= side * quantity * fill + fee
        held.entered += quantity
        held.left += quantity
        held.entry_value += quantity * fill
        held.fees += fee
        if self.equity(fill) <= 0:
            self.ruin(bar, fill)

    def look_at_levels(self, bar: Bar) -> None:
        """Rules 5, 6 and 15: leave where this bar reaches a level."""
        held = self.position
        if held is None or held.reason:
            return
        side, genes = held.side, self.genes
        stop, reason = held.entry_price * (1 - side * genes["stop_loss"]), "stop_loss"
        if genes["trailing_stop"] >= 0.005:
            peak = max(held.entry_price, held.highest) if side > 0 else min(held.entry_price, held.lowest)
            trailing = peak * (1 - side * genes["trailing_stop"])
            if side * trailing > side * stop:
                stop, reason = trailing, "trailing_stop"
        margin = self.margin_left()
        forced = liquidation_price(side, held.left, held.entry_price, margin, self.tiers, self.costs.capital_usd)
        if side * forced > side * stop:
            stop, reason = forced, "liquidation"
        target = held.entry_price * (1 + side * genes["take_profit"])
        worst, best = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
        if side * worst <= side * stop:
            self.begin_exit(reason)
            price = bar.open if side * bar.open < side * stop else stop
            if reason == "liquidation":
                self.liquidate(bar, price)
            else:
                self.sell_off(bar, price)
        elif side * best >= side * target:
            self.begin_exit("take_profit")
            self.sell_off(bar, bar.open if side * bar.open > side * target else target, resting=True)

    def begin_exit(self, reason: str) -> None:
        """Rule 8: the direction is spent."""
        self.position.reason, self.blocked_side, self.order = reason, self.position.side, None

    def margin_left(self) -> float:
        """Rule 15: the margin of the entry, less the funding paid and what a liquidation has realised of the loss."""
        held = self.position
        margin = held.entry_value / min(self.costs.leverage, self.tiers[0][1])
        gone = held.entered - held.left
        return margin - held.funding + held.side * (held.exit_value - gone * held.entry_price) - held.exit_fees

    def liquidate(self, bar: Bar, price: float) -> None:
        """Rule 15: a market fill that with its fee takes no more than the margin, or the venue takes all of it."""
        held, margin = self.position, self.margin_left()
        side, capital = held.side, self.costs.capital_usd
        nothing_left = held.entry_price - side * margin / held.left
        at_open = side * held.left * (bar.open - nothing_left)
        if at_open < 2 / 3 * maintenance_margin(held.left * bar.open * capital, self.tiers) / capital:
            self.fill_exit(bar, held.left, nothing_left, fee=0.0)
            return
        quantity = min(held.left, bar.room)
        if quantity > 0:
            fill = self.worse(price, -side, quantity, bar)
            fill = max(fill, nothing_left) if side > 0 else min(fill, nothing_left)
            fee = min(quantity * fill * self.costs.taker_fee, side * quantity * (fill - nothing_left))
            self.fill_exit(bar, quantity, fill, fee=fee)

    def sell_off(self, bar: Bar, price: float, *, resting: bool = False) -> None:
        """Close as much as the bar's volume allows."""
        quantity = min(self.position.left, bar.room)
        if quantity > 0:
            fill = price if resting else self.worse(price, -self.position.side, quantity, bar)
            rate = self.costs.maker_fee if resting else self.costs.taker_fee
            self.fill_exit(bar, quantity, fill, fee=quantity * fill * rate)

    def fill_exit(self, bar: Bar, quantity: float, fill: float, *, fee: float) -> None:
        """Close a part of the position, and book the trade with its last part."""
        held = self.position
        bar.room = max(0.0, bar.room - quantity)
        self.count_turnover(bar, quantity, fill)
        self.cash += held.side * quantity * fill - fee
        held.left -= quantity
        held.exit_value += quantity * fill
        held.exit_bar = bar.row
        held.fees += fee
        held.exit_fees += fee
        if self.equity(fill) <= 0:
            self.ruin(bar, fill)
        elif held.left == 0:
            self.position = None
            self.book(held, held.exit_bar, held.reason, self.cash)

    def close_bar(self, bar: Bar, *, delisted: bool) -> None:
        """Rules 10 to 12: funding, ruin and delisting at the close; the bar's extremes count from the next on."""
        held = self.position
        if held is None:
            return
        held.highest, held.lowest = max(held.highest, bar.high), min(held.lowest, bar.low)
        if self.costs.charge_funding:
            paid = held.side * held.left * bar.close * bar.funding
            held.funding += paid
            self.cash -= paid
        if self.equity(bar.close) <= 0:
            self.ruin(bar, bar.close)
        elif delisted:
            held.reason = held.reason or "delisted"
            fill = bar.close * (1 - held.side * self.costs.slippage_bps / 10_000)
            self.fill_exit(bar, held.left, fill, fee=held.left * fill * self.costs.taker_fee)

    def ruin(self, bar: Bar, price: float) -> None:
        """Rule 12."""
        held, self.position, self.order = self.position, None, None
        self.cash, self.ruined = 0.0, True
        held.exit_value += held.left * price
        self.book(held, bar.row, "ruined", 0.0)

    def mark_open(self, bar: Bar) -> None:
        """Rule 11: list the position that is open at the window's end."""
        if held := self.position:
            held.exit_value += held.left * bar.close
            self.book(held, bar.row, "open", self.equity(bar.close))

    def count_turnover(self, bar: Bar, quantity: float, fill: float) -> None:
        """Add the traded notional over equity."""
        if self.equity(fill) > 0:
            self.turnover[bar.row] = self.turnover.get(bar.row, 0.0) + quantity * fill / self.equity(fill)

    def book(self, held: Position, exit_bar: int, reason: str, equity: float) -> None:
        """Record a trade."""
        self.trades.append(
            {
                "entry": held.entry_bar,
                "exit": exit_bar,
                "side": held.side,
                "quantity": held.entered,
                "entry_price": held.entry_price,
                "exit_price": held.exit_value / held.entered,
                "fees": held.fees,
                "funding": held.funding,
                "pnl": equity - held.equity_before,
                "return": (equity - held.equity_before) / held.equity_before,
                "reason": reason,
            }
        )


@dataclass
class SleeveResult:
    """What became of a sleeve: one entry per row of the window."""

    equity: np.ndarray
    returns: np.ndarray
    weights: np.ndarray
    turnover: np.ndarray
    in_position: np.ndarray
    trades: list[dict]


@dataclass(frozen=True)
class Decisions:
    """What one genome decides on one asset at the close of each row of a panel, shape (rows,) each."""

    target: np.ndarray
    weight: np.ndarray
    turbulence: np.ndarray


def decide(genome: Genome, panel: Panel, asset: int, stop: int) -> Decisions:
    """Return targets, weights and turbulence of an asset, from the rows before `stop`."""
    rows = np.flatnonzero(panel.valid[:stop, asset])
    names = ("open", "high", "low", "close", "volume", "funding_rate")
    columns = {name: getattr(panel, name)[rows, asset] for name in names}
    numbers = panel.times[rows] // panel.interval.milliseconds
    target = np.zeros(stop)
    target[rows] = signal(genome, columns, bar_hours=panel.interval.hours, numbers=numbers)
    return Decisions(target, weight_table(genome, panel, stop)[:, asset], turbulence(panel, asset, stop))


def mood_share(target: float, index: float, sensitivity: float) -> float:
    """Return what is left of an entry that goes along with extreme greed or fear (rule 18)."""
    if math.isnan(index):
        return 1.0
    if target > 0 and index > 75:
        return 1 - sensitivity * (index - 75) / 25
    if target < 0 and index < 25:
        return 1 - sensitivity * (25 - index) / 25
    return 1.0


def run_sleeve(
    genome: Genome,
    panel: Panel,
    asset: int,
    costs: Costs,
    start: int,
    stop: int,
    *,
    decisions: Decisions | None = None,
    stops_from_next_bar: bool = False,
) -> SleeveResult:
    """Trade one genome, or given decisions with its risk genes, on one asset in rows start..stop-1 of a panel."""
    decided = decide(genome, panel, asset, stop) if decisions is None else decisions
    rows = [row for row in range(stop) if panel.valid[row, asset]]
    holding = max(1, math.ceil(genome.genes["max_holding_hours"] / panel.interval.hours))
    tiers = costs.tiers(panel.symbols[asset])
    account = SleeveAccount(genome.genes, costs, tiers, holding, stops_from_next_bar)
    n = stop - start
    result = SleeveResult(np.full(n, np.nan), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, bool), account.trades)
    equity = highest = 1.0
    for place, row in enumerate(rows):
        if row < start or account.ruined:
            continue
        bar = read_bar(panel, asset, row, costs)
        if place > 0:
            before = rows[place - 1]
            calm = decided.turbulence[before] <= genome.genes["volatility_threshold"]
            shallow = 1 - equity / highest < genome.genes["max_drawdown"]
            permitted = bool(decided.weight[before] > 0 and calm and shallow)
            mood = mood_share(decided.target[before], panel.fear_greed[before], genome.genes["fear_greed_sensitivity"])
            account.trade(bar, decided.target[before], decided.weight[before] * mood, permitted and mood > 0)
        account.close_bar(bar, delisted=row == rows[-1] and row < stop - 1)
        last, equity = equity, account.equity(bar.close)
        highest = max(highest, equity)
        k = row - start
        result.equity[k], result.returns[k] = equity, equity / last - 1
        if held := account.position:
            result.weights[k] = held.left * bar.close / equity
            result.in_position[k] = True
        if row == rows[-1]:
            account.mark_open(bar)
    for row, weight in account.turnover.items():
        result.turnover[row - start] = weight
    for k in range(n):
        if np.isnan(result.equity[k]):
            result.equity[k] = result.equity[k - 1] if k else 1.0
    return result


def read_bar(panel: Panel, asset: int, row: int, costs: Costs) -> Bar:
    """Return a valid bar with its volume in units of a sleeve's quantity."""
    opened, high, low, close = (getattr(panel, name)[row, asset] for name in ("open", "high", "low", "close"))
    volume = panel.volume[row, asset] / costs.capital_usd
    room = math.inf if costs.max_participation is None else costs.max_participation * volume
    return Bar(row, opened, high, low, close, panel.funding_paid[row, asset], volume, room)
