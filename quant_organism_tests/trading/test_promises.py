"""What documents promise a portfolio, and a session of several that shares its account by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_organism.trading import Pipeline
from quant_organism.trading.portfolio_step import PortfolioStep
from quant_organism.trading.promises import DocumentPromises
from quant_organism.trading.records import LedgerPlan, StepVerdict
from quant_organism.trading.replaying import replay_session
from quant_organism.trading.starting import daily_before
from quant_organism_tests.trading.sessions import COSTS, START, ledger, market, spec, strategy


def test_a_session_of_several_shares_its_account_by_what_they_promise_and_do(tmp_path: Path) -> None:
    panel = market()
    documents = {each.id: each for each in (strategy(), strategy(("donchian_breakout",)))}
    promises = DocumentPromises(documents.__getitem__, lambda document: 1.25, lambda: panel.window(0, START), COSTS)
    step = PortfolioStep(promises)
    book = ledger(tmp_path)
    session = spec(panel, [(each, "trades") for each in documents.values()], pipeline=lambda: Pipeline([step]))
    trader = replay_session(book, session, panel, START, started_ms=0)
    for name in documents:
        promise = promises(name)
        assert promise is not None
        assert len(promise.backtest) == 60
        assert promise.sharpe == 1.25
        assert len(step.live[name]) == 15
        assert set(step.live[name]).isdisjoint(promise.backtest)
        assert 0.0 <= step.shares[name] <= 0.25
    assert any(step.shares.values())
    assert book.read(LedgerPlan)
    assert all(each.step == "portfolio" for each in book.read(StepVerdict) if each.number is not None)
    one = next(iter(trader.main.strategies.values()))
    trader.main.strategies = {one.id: one}
    promise = promises(one.id)
    assert promise is not None
    assert list(promise.backtest.values()) == pytest.approx(daily_before(trader.main, panel.window(0, START), COSTS))
    book.close()


def test_a_short_history_promises_nothing() -> None:
    panel, document = market(), strategy()
    promises = DocumentPromises(
        {document.id: document}.__getitem__, lambda document: 1.25, lambda: panel.window(0, 24 * 19), COSTS
    )
    assert promises(document.id) is None
