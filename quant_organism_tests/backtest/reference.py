"""The rules of docs/execution.md, bar by bar in plain Python: slow, readable, and what the compiled walk must equal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome
from quant_organism.strategies.signals import signal


@dataclass
class Position:
    """An open position; prices as filled."""

    side: int
    quantity: float
    entry_bar: int
    entry_price: float
    best_price: float
    equity_before: float
    fees: float
    funding: float = 0.0


@dataclass
class SleeveAccount:
    """Cash, position and history of one genome on one asset."""

    genome: Genome
    costs: Costs
    cash: float = 1.0
    position: Position | None = None
    blocked_side: int = 0
    ruined: bool = False
    trades: list[dict] = field(default_factory=list)
    turnover: dict[int, float] = field(default_factory=dict)

    def worse(self, price: float, side: int) -> float:
        """Return the fill of a market order on `side`: +1 buys, -1 sells."""
        return price * (1 + side * self.costs.slippage)

    def equity(self, price: float) -> float:
        """Return cash plus position at `price`."""
        return self.cash + (self.position.side * self.position.quantity * price if self.position else 0.0)

    def enter(self, bar: int, side: int, conviction: float, price: float) -> None:
        """Rules 2 to 4."""
        fill = self.worse(price, side)
        notional = self.genome.genes["position_size"] * conviction * self.cash
        fee = notional * self.costs.taker_fee
        self.position = Position(side, notional / fill, bar, fill, fill, self.cash, fee)
        self.turnover[bar] = self.turnover.get(bar, 0.0) + notional / self.cash
        self.cash -= side * notional + fee

    def leave(self, bar: int, fill: float, reason: str) -> None:
        """Close the whole position at `fill` and book the trade."""
        held = self.position
        value = self.equity(fill)
        fee = held.quantity * fill * self.costs.taker_fee
        held.fees += fee
        self.cash = value - fee
        self.position = None
        if self.cash <= 0:
            self.ruin(bar, fill, held)
            return
        self.turnover[bar] = self.turnover.get(bar, 0.0) + held.quantity * fill / value
        self.book(held, bar, fill, reason)

    def ruin(self, bar: int, price: float, held: Position) -> None:
        """Rule 12."""
        self.cash, self.position, self.ruined = 0.0, None, True
        self.book(held, bar, price, "ruined")

    def book(self, held: Position, bar: int, price: float, reason: str) -> None:
        """Record a trade."""
        pnl = self.equity(price) - held.equity_before
        self.trades.append(
            {
                "entry": held.entry_bar,
                "exit": bar,
                "side": held.side,
                "quantity": held.quantity,
                "entry_price": held.entry_price,
                "exit_price": price,
                "fees": held.fees,
                "funding": held.funding,
                "pnl": pnl,
                "return": pnl / held.equity_before,
                "reason": reason,
            }
        )

    def stop_or_target(self, open_: float, high: float, low: float) -> tuple[float, str] | None:
        """Rules 5 and 6: the fill and the reason if this bar reaches a level."""
        genes, held = self.genome.genes, self.position
        side = held.side
        stop, reason = held.entry_price * (1 - side * genes["stop_loss"]), "stop_loss"
        if genes["trailing_stop"] >= 0.005:
            trailing = held.best_price * (1 - side * genes["trailing_stop"])
            if side * trailing > side * stop:
                stop, reason = trailing, "trailing_stop"
        target = held.entry_price * (1 + side * genes["take_profit"])
        worst, best = (low, high) if side > 0 else (high, low)
        if side * worst <= side * stop:
            level = open_ if side * open_ < side * stop else stop
            return self.worse(level, -side), reason
        if side * best >= side * target:
            return (open_ if side * open_ > side * target else target), "take_profit"
        held.best_price = max(held.best_price, high) if side > 0 else min(held.best_price, low)
        return None


@dataclass
class SleeveResult:
    """What became of a sleeve: one entry per row of the window."""

    equity: np.ndarray
    returns: np.ndarray
    weights: np.ndarray
    turnover: np.ndarray
    in_position: np.ndarray
    trades: list[dict]


def run_sleeve(genome: Genome, panel: Panel, asset: int, costs: Costs, start: int, stop: int) -> SleeveResult:
    """Trade one genome on one asset of a panel, in rows start..stop-1."""
    columns = {name: getattr(panel, name)[:stop, asset] for name in ("open", "high", "low", "close", "volume")}
    target = signal(genome, columns)
    rows = [row for row in range(stop) if panel.valid[row, asset]]
    holding = max(1, math.ceil(genome.genes["max_holding_hours"] / panel.interval.hours))
    account = SleeveAccount(genome, costs)
    n = stop - start
    result = SleeveResult(np.full(n, np.nan), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, bool), [])
    last_equity = 1.0
    for place, row in enumerate(rows):
        if row < start or account.ruined:
            continue
        open_, high, low, close = (columns[name][row] for name in ("open", "high", "low", "close"))
        decided = target[rows[place - 1]] if place > 0 else 0.0
        wanted = int(np.sign(decided))
        if wanted != account.blocked_side:
            account.blocked_side = 0
        held = account.position
        if held and wanted != held.side:
            account.leave(row, account.worse(open_, -held.side), "signal")
        elif held and row - held.entry_bar >= holding:
            account.blocked_side = held.side
            account.leave(row, account.worse(open_, -held.side), "max_holding")
        if account.position is None and not account.ruined and wanted not in (0, account.blocked_side):
            account.enter(row, wanted, abs(decided), open_)
        if held := account.position:
            reached = account.stop_or_target(open_, high, low)
            if reached:
                account.blocked_side = held.side
                account.leave(row, *reached)
        if held := account.position:
            if costs.charge_funding:
                paid = held.side * held.quantity * close * panel.funding_paid[row, asset]
                held.funding += paid
                account.cash -= paid
            if account.equity(close) <= 0:
                account.ruin(row, close, held)
            elif row == rows[-1] and row < stop - 1:
                account.leave(row, account.worse(close, -held.side), "delisted")
        equity = account.equity(close)
        k = row - start
        result.returns[k] = equity / last_equity - 1
        if held := account.position:
            result.weights[k] = held.quantity * close / equity
            result.in_position[k] = True
        last_equity = equity
        result.equity[k] = equity
    if held := account.position:
        account.book(held, rows[-1], columns["close"][rows[-1]], "open")
    for row, weight in account.turnover.items():
        result.turnover[row - start] = weight
    for k in range(n):
        if np.isnan(result.equity[k]):
            result.equity[k] = result.equity[k - 1] if k else 1.0
    result.trades = account.trades
    return result


def portfolio_scale(genome: Genome, panel: Panel, start: int, stop: int) -> np.ndarray:
    """Rule 13: the factor on each bar's sleeve returns that keeps gross exposure within equity."""
    scale = []
    for row in range(start, stop):
        listed = max(1, int(panel.valid[max(row - 1, 0)].sum()))
        scale.append(min(1.0, 1.0 / (listed * genome.genes["position_size"])))
    return np.array(scale)
