"""The export: days of the ledger in the lake as tables say, the same bytes again, and documents that are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from quant_organism.deployment import StrategyRepository
from quant_organism.market import Lake, day_of
from quant_organism.trading import LedgerReader
from quant_organism.trading.exporting import export_ledger, observation
from quant_organism.trading.records import LedgerFill, TradeDecision
from quant_organism.trading.replaying import replay_session
from quant_organism.trading.tables import LiveDecisionTable, LiveFillTable, LivePerformanceTable
from quant_organism_tests.trading.sessions import START, ledger, market, spec, strategy


def test_days_of_the_ledger_are_days_of_the_lake(tmp_path: Path) -> None:
    panel, document, watched = market(), strategy(at="2024-01-01"), strategy(("donchian_breakout",))
    session = replace(spec(panel, [(document, "trades"), (watched, "shadow")]), mode="paper")
    book = ledger(tmp_path)
    trader = replay_session(book, session, panel, START, started_ms=0, closes=5 * 24 + 3)
    book.close()
    repository = StrategyRepository(tmp_path / "strategies")
    repository.save(document)
    reader, lake = LedgerReader(tmp_path / "ledger.sqlite"), Lake(tmp_path / "lake")
    exported = export_ledger(reader, lake, repository)
    assert (exported.days, exported.strategies) == (6, (document.id,))
    days = lake.table(LivePerformanceTable).read(market=panel.market, interval="1h")
    main = days.filter(account=trader.session.account)
    account = trader.main.account
    assert main["closes"].to_list() == [24] * 5 + [3]
    assert main["profit"].sum() == pytest.approx(main["total_profit"][-1])
    assert trader.main.pending is not None
    marks = trader.main.pending.marks
    member = sum(sub.profit(marks) for sub in account.members.values())
    assert main["total_profit"][-1] == pytest.approx(member / 1e6)
    last = reader.status().plan
    assert last is not None
    assert main["order_hash"][-1] == last.h2
    assert set(days["role"]) == {"trades", "shadow"}
    assert lake.table(LiveFillTable).read(market=panel.market, interval="1h").height == len(reader.read(LedgerFill))
    assert lake.table(LiveDecisionTable).read(market=panel.market, interval="1h").height == len(
        reader.read(TradeDecision)
    )
    told = repository.load(document.id).performance
    sixth = day_of(int(panel.times[START])) + timedelta(days=5)
    assert [(record.days, record.observed_at) for record in told] == [(5, f"{sixth}T00:00:00Z")]
    assert told[0].trades == main["exits"][:5].sum()
    again = export_ledger(reader, lake, repository)
    assert (again.files, again.strategies) == (0, ())
    reader.close()


def test_an_observation_is_of_the_newest_days() -> None:
    days = [date(2026, 1, 1 + day) for day in range(4)]
    found = observation(days, [0.1, -0.1, 0.0, 0.05], [1, 0, 2, 1])
    assert (found.days, found.trades, found.observed_at) == (4, 4, "2026-01-05T00:00:00Z")
    assert found.total_return == pytest.approx(1.1 * 0.9 * 1.05 - 1.0, rel=1e-5)
    assert found.max_drawdown == pytest.approx(0.1, rel=1e-5)
    assert observation(days[:1], [0.0], [0]).sharpe is None
