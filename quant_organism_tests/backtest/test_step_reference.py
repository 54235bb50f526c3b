"""The steps against the plain reference of their rules: sleeves with scarce volume, thin margin and given decisions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from quant_organism.backtest import Costs, layout
from quant_organism.backtest.sleeve_state import BOUGHT, TURNOVER, Ledger, SleeveDecision, Terms, Tick, new_state
from quant_organism.backtest.sleeves import friction_of
from quant_organism.backtest.step import end_sleeve, mark_bar, trade_bar
from quant_organism_tests.backtest.reference import Bar, SleeveAccount

TIERS = (((0.0, 50),), ((0.0, 50), (300.0, 20), (900.0, 5)), ((0.0, 10), (500.0, 2)))
FIELDS = ("entry", "exit", "side", "quantity", "entry_price", "exit_price", "fees", "funding", "pnl", "return")


@dataclass(frozen=True)
class Sleeve:
    """Bars of one asset, what is decided at the close before each, and the terms on which it is traded."""

    bars: list[Bar]
    decisions: list[SleeveDecision]
    genes: dict[str, float]
    costs: Costs
    stops_from_next_bar: bool
    delisted: bool

    @property
    def terms(self) -> Terms:
        """Genes and costs as the steps read them."""
        genes = ("stop_loss", "take_profit", "trailing_stop", "max_holding_bars", "max_drawdown")
        friction = friction_of(self.costs, "X", stops_from_next_bar=self.stops_from_next_bar)
        return Terms(*(self.genes[gene] for gene in genes), friction)


@dataclass
class Outcome:
    """What became of a sleeve: its trades, and at each close its equity and the turnover of the bar."""

    trades: list[dict[str, float | str]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    turnover: list[float] = field(default_factory=list)


def draw(rng: np.random.Generator) -> Sleeve:
    """Draw a sleeve in which much happens."""
    n, choose = 40, lambda *values: values[rng.integers(len(values))]
    volatility, shocks = choose(0.005, 0.02, 0.06, 0.2), choose(0.0, 0.0, 0.2)
    scarce = rng.random() < 0.7
    costs = Costs(
        taker_fee=choose(0.0, 0.00045, 0.02),
        maker_fee=choose(-0.001, 0.00015, 0.01),
        slippage_bps=choose(0.0, 5.0, 200.0),
        leverage=1.0 if shocks else choose(1.0, 3.0, 20.0, 50.0),
        default_tiers=choose(*TIERS),
        max_participation=choose(0.05, 0.3, 1.0) if scarce else None,
        impact_bps=choose(0.0, 300.0, 2_000.0) if scarce else 0.0,
        capital_usd=1e3,
    )
    genes = {
        "stop_loss": rng.uniform(0.01, 0.3),
        "take_profit": rng.uniform(0.01, 0.5),
        "trailing_stop": choose(0.0, rng.uniform(0.006, 0.2)),
        "max_holding_bars": choose(2, 5, 300),
        "max_drawdown": choose(0.05, 0.3, 1.0),
    }
    stops_from_next_bar = bool(rng.random() < 0.3)
    if stops_from_next_bar:
        genes["trailing_stop"] = 0.0  # rule 17 knows none
    bars, decisions, close, side = [], [], float(rng.uniform(1, 1e4)), 0
    for row in range(n):
        gap = rng.normal(0, volatility) * (rng.random() < 0.5) + rng.normal() * (rng.random() < shocks)
        opened = close * float(np.exp(gap))
        close = opened * float(np.exp(rng.normal(0, volatility)))
        high = max(opened, close) * (1 + abs(rng.normal(0, volatility / 2)))
        low = min(opened, close) / (1 + abs(rng.normal(0, volatility / 2)))
        volume = float(rng.exponential(2.0)) / opened * (rng.random() > 0.1)
        paid = float(rng.normal(0, choose(1e-4, 0.02)))
        room = np.inf if costs.max_participation is None else costs.max_participation * volume
        bars.append(Bar(row, opened, high, low, close, paid, volume, room))
        side = choose(-1, 0, 1) if rng.random() < 0.25 else side
        decisions.append(SleeveDecision(side, float(rng.uniform(0.05, 1.0)), bool(rng.random() < 0.9)))
    return Sleeve(bars, decisions, genes, costs, stops_from_next_bar, bool(rng.random() < 0.5))


def stepped(sleeve: Sleeve) -> Outcome:
    """Go through a sleeve by the compiled steps."""
    state, ledger, terms = new_state(-1, 0.0), Ledger.empty(), sleeve.terms
    outcome, settled = Outcome(), 0.0
    for bar, decision in zip(sleeve.bars, sleeve.decisions, strict=True):
        settled += bar.close * bar.funding
        tick = Tick(bar.row, bar.open, bar.high, bar.low, bar.close, bar.volume, settled)
        trade_bar(state, tick, decision, terms, ledger)
        marked = mark_bar(state, bar.close, settled, ledger)
        if bar.row == len(sleeve.bars) - 1:
            end_sleeve(state, bar.close, settled, sleeve.delisted, terms, ledger)
            if sleeve.delisted:
                marked = mark_bar(state, bar.close, settled, ledger)
        outcome.equity.append(marked)
        fills = ledger.fills[: ledger.counts[1]]
        assert (fills[:, BOUGHT] != 0.0).all()
        outcome.turnover.append(float(fills[:, TURNOVER].sum()))
        for row in ledger.trades[: ledger.counts[0]]:
            trade = dict(zip(FIELDS, row.tolist(), strict=False))
            outcome.trades.append(trade | {"reason": layout.REASONS[int(row[layout.REASON])]})
    return outcome


def by_the_rules(sleeve: Sleeve) -> Outcome:
    """Go through it in plain Python."""
    holding = int(sleeve.genes["max_holding_bars"])
    account = SleeveAccount(sleeve.genes, sleeve.costs, sleeve.costs.tiers("X"), holding, sleeve.stops_from_next_bar)
    outcome, equity, highest = Outcome(account.trades), 1.0, 1.0
    for bar, decision in zip(sleeve.bars, sleeve.decisions, strict=True):
        shallow = 1 - equity / highest < sleeve.genes["max_drawdown"]
        last = bar.row == len(sleeve.bars) - 1
        if not account.ruined:
            account.trade(bar, decision.side, decision.size, decision.permitted and shallow)
            account.close_bar(bar, delisted=last and sleeve.delisted)
        equity = account.equity(bar.close)
        highest = max(highest, equity)
        outcome.equity.append(equity)
        outcome.turnover.append(account.turnover.get(bar.row, 0.0))
        if last:
            account.mark_open(bar)
    return outcome


@pytest.mark.parametrize("first", [0, 150, 300, 450])
def test_steps_trade_as_the_rules_say(first: int) -> None:
    reasons: set[str] = set()
    for seed in range(first, first + 150):
        sleeve = draw(np.random.default_rng(seed))
        found, expected = stepped(sleeve), by_the_rules(sleeve)
        assert [t["reason"] for t in found.trades] == [t["reason"] for t in expected.trades], seed
        for name in FIELDS:
            values = [trade[name] for trade in expected.trades]
            assert [t[name] for t in found.trades] == pytest.approx(values, rel=1e-9, abs=1e-12), (seed, name)
        assert found.equity == pytest.approx(expected.equity, rel=1e-9, abs=1e-12), seed
        assert found.turnover == pytest.approx(expected.turnover, rel=1e-9, abs=1e-12), seed
        reasons.update(str(trade["reason"]) for trade in found.trades)
    assert reasons == set(layout.REASONS)
