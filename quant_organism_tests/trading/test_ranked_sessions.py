"""A trader that follows a member which ranks the assets of its panel: the orders of the backtest, and how it reads."""

from __future__ import annotations

from pathlib import Path

from quant_organism.deployment import StrategyConfig
from quant_organism.trading import LedgerReader
from quant_organism.trading.parity import backtest_lane
from quant_organism.trading.records import LedgerOrder, TradeDecision
from quant_organism.trading.replaying import replay_session
from quant_organism_tests.trading.sessions import START, ledger, market, spec, strategy

ASSETS = 8


def test_a_session_with_a_ranking_member_makes_the_orders_of_the_backtest(tmp_path: Path) -> None:
    panel = market(assets=ASSETS)
    document = strategy(("xs_low_risk", "ema_crossover"), assets=ASSETS)
    assert StrategyConfig.from_json(document.to_json(), where="a test") == document
    session = spec(panel, [(document, "trades")])
    written = ledger(tmp_path)
    try:
        trader = replay_session(written, session, panel, START, started_ms=0)
    finally:
        written.close()
    reader = LedgerReader(tmp_path / "ledger.sqlite")
    try:
        lane = trader.main
        found = backtest_lane(lane, session, panel, START, reader.read(LedgerOrder, account=lane.account.account))
        decisions = reader.read(TradeDecision)
    finally:
        reader.close()
    assert found.is_equal
    assert found.difference == ""
    assert found.orders > 100
    assert {name for name, _ in lane.account.stopless} == {document.id}
    # A book is resized while it keeps its side.
    assert "adjust" in {decision.kind for decision in decisions}
