"""Entries of condition documents: the published sizes through the policy, and the same door in a running session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from quant_organism.strategies import Committee
from quant_organism.strategies.conditions.document import Condition, ConditionGroup, Document
from quant_organism.strategies.handwritten.load import conditions_genome
from quant_organism.strategies.handwritten.sizing import condition_margin, whole_dollars
from quant_organism.trading import Pipeline, StrategySignal, TradeDecision
from quant_organism.trading.entries import EntryCase
from quant_organism.trading.policy import Policy, RiskMode
from quant_organism.trading.records import LedgerFill
from quant_organism.trading.replaying import replay_session
from quant_organism_tests.backtest.account.accounts import account_at
from quant_organism_tests.deployment.documents import document
from quant_organism_tests.strategies.conditions.documents import compare, simple
from quant_organism_tests.trading.sessions import START, ledger, market, spec
from quant_organism_tests.trading.test_policy import decided, standing, step_of

LOW, HIGH = Condition("RSI_14", "<", 30.0), Condition("RSI_14", ">", 70.0)


def case_of(
    side: str, rsi: float, *, fitness: float | None, base: float = 1_000.0, max_positions: int = 2, **seen: float
) -> EntryCase:
    """Return an entry at an RSI."""
    condition = LOW if side == "LONG" else HIGH
    return EntryCase(
        document=Document(
            strategy_id="published",
            side=side,
            entry=ConditionGroup("ALL", (condition,)),
            base_size_usd=base,
            fitness_score=fitness,
            max_positions=max_positions,
        ),
        price=100.0,
        margin=condition_margin(condition, side, rsi, condition.value),
        stop_loss=0.03,
        take_profit=0.06,
        position_size_limit=0.15,
        **seen,
    )


def judged(cases: dict[str, EntryCase], policy: Policy, *, equity: float = 1e6):  # type: ignore[no-untyped-def]
    seen = replace(standing(), cases=cases, account=account_at(equity, scale=4.0))
    return Pipeline([step_of(policy)]).judge(seen)


@pytest.mark.parametrize(
    ("case", "mode", "sure", "dollars"),
    [
        (case_of("LONG", 25.0, fitness=None, macd=1.0, macd_signal=0.5), "normal", "86.67%", 1_367),
        (case_of("LONG", 28.0, fitness=0.75), "aggressive", "62.17%", 1_682),
        (case_of("SHORT", 75.0, fitness=0.82, base=1_500.0), "aggressive", "71.27%", 2_728),
        (case_of("SHORT", 75.0, fitness=0.68, base=2_000.0, five_bar_return=-0.011), "aggressive", "74.07%", 3_722),
    ],
)
def test_the_published_figures_come_through_the_policy(
    case: EntryCase, mode: RiskMode, sure: str, dollars: int
) -> None:
    left = judged({"s BTC enter": case}, Policy(risk_mode=mode))
    entry = left.entries["s BTC enter"]
    assert f"{entry.confidence:.2%}" == sure
    assert whole_dollars(entry.size_usd) == dollars


def test_the_policy_says_mode_and_least_confidence_and_the_account_the_cap() -> None:
    case = case_of("LONG", 28.0, fitness=0.75)
    defensive = judged({"s BTC enter": case}, Policy(risk_mode="defensive"))
    assert round(defensive.entries["s BTC enter"].size_usd, 2) == 560.83
    refused = judged({"s BTC enter": case}, Policy(minimum_confidence=0.63))
    assert "confidence 0.6217 is below 0.6300" in refused.refused["s BTC enter"]
    assert refused.entries == {}
    small = judged({"s BTC enter": case}, Policy(risk_mode="aggressive"), equity=1_000.0)
    assert small.entries["s BTC enter"].size_usd == 150.0


def test_no_more_positions_are_opened_than_a_document_allows() -> None:
    case = case_of("LONG", 28.0, fitness=0.75, max_positions=1)
    left = judged({"s BTC enter": case, "s ETH enter": case}, Policy())
    assert set(left.entries) == {"s BTC enter"}
    assert left.refused["s ETH enter"] == "1 of 1 positions are open"
    assert decided("s", "ETH").decision_id == "s ETH enter"


def test_a_running_session_sizes_its_entries_by_their_document(tmp_path: Path) -> None:
    """The runtime judges each entry from the bars, and what is ordered is no larger than the document says."""
    panel = market()
    wanted = simple(
        "LONG",
        [compare("RSI_14", "<", 35)],
        [compare("RSI_14", ">", 55)],
        base_size_usd=200,
        min_confidence=0.5,
        max_positions=3,
    )
    made = document(strategy=Committee.of([conditions_genome(wanted)]), universe=("S0", "S1", "S2"), interval="1h")
    book = ledger(tmp_path)
    session = spec(panel, [(made, "trades")], pipeline=lambda: Pipeline([step_of(Policy(minimum_confidence=0.52))]))
    trader = replay_session(book, session, panel, START, started_ms=0)
    entries = [each for each in book.read(TradeDecision) if each.kind == "enter"]
    allowed = [each for each in entries if each.is_allowed]
    refused = [each for each in entries if not each.is_allowed]
    assert allowed
    assert any("is below 0.5200" in each.reason for each in refused)
    for each in allowed:
        assert 0.52 <= each.confidence <= 1.0
        assert each.size_usd <= 200 * (0.5 + each.confidence) * (1 + 1e-12)
    assert any(each.size_usd == pytest.approx(200 * (0.5 + each.confidence)) for each in allowed)
    largest = max(fill.notional for fill in book.read(LedgerFill) if fill.kind == "ioc")
    assert 200e6 < largest <= 1.05 * 300e6
    assert trader.last_close_ms > 0
    entered = {(each.symbol, each.close_ms) for each in entries}
    signals = [each for each in book.read(StrategySignal) if (each.symbol, each.close_ms) in entered]
    assert len(signals) == len(entered)
    found = [each for s in signals for path, each in s.conditions.items() if path.startswith("entry")]
    assert {(each["condition"], each["right"]) for each in found} == {("RSI_14 < 35", 35.0)}
    # A sleeve that was stopped out while the document stays long enters again without it.
    assert all((each["status"] == "holds") == (each["left"] < 35.0) for each in found)
    assert sum(each["status"] == "holds" for each in found) > len(found) / 2
    assert {each.risk_mode for each in entries} == {"normal"}
    book.close()
