"""The export: days of the ledger in the lake as tables say, the same bytes again, and documents that are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from quant_organism.deployment import StrategyRepository
from quant_organism.market import Lake, day_of
from quant_organism.trading import LedgerReader
from quant_organism.trading.breakers import LINES, LIQUIDATION
from quant_organism.trading.exporting import export_ledger, observation
from quant_organism.trading.performing import performance_rows
from quant_organism.trading.records import LedgerBreaker, LedgerFill, LedgerPlan, LedgerProfit, TradeDecision
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


def test_what_strategies_that_share_an_account_earned_can_be_told_from_its_scale(tmp_path: Path) -> None:
    panel, pair = market(), [strategy(at="2024-01-01"), strategy(("donchian_breakout",))]
    session = replace(spec(panel, [(document, "trades") for document in pair]), mode="testnet")
    book = ledger(tmp_path)
    trader = replay_session(book, session, panel, START, started_ms=0, closes=8 * 24 + 3)
    first = int(panel.times[START])
    lost = LedgerBreaker(
        session=1,
        close_ms=first + 26 * 3_600_000,
        name=LINES.name,
        state="open",
        value=1.0,
        bound=1.0,
        reason="the line is lost",
    )
    book.write([lost, replace(lost, close_ms=first + 27 * 3_600_000, state="half-open")])
    book.close()
    reader, lake = LedgerReader(tmp_path / "ledger.sqlite"), Lake(tmp_path / "lake")
    export_ledger(reader, lake)
    stored, where = lake.table(LivePerformanceTable), {"market": panel.market, "interval": "1h"}
    days = pl.concat([stored.read_day(day, **where).with_columns(date=pl.lit(day)) for day in stored.days(**where)])
    assert days["closes"].to_list() == [24] * 16 + [3] * 2
    plans = {plan.close_ms: plan for plan in reader.read(LedgerPlan, account=trader.session.account)}
    joined = min(plans)
    for row in days.sort("date", "strategy").iter_rows(named=True):
        plan = plans[max(close for close in plans if close <= max(joined, _midnight_ms(row["date"])))]
        assert row["weight"] == 0.25 * plan.scale * plan.factor
        assert row["mode"] == "testnet"
    whole = days.filter(pl.col("closes") == 24).group_by("date").agg(pl.col("reconciled").all()).sort("date")
    assert whole["reconciled"].to_list() == [True, False, *[True] * 6]
    assert not days.filter(pl.col("closes") < 24)["reconciled"].any()
    # modelled fills cost what the model says, to the rounding of prices
    traded = days.filter(pl.col("model_slippage") > 0)
    assert traded.height
    assert traded["fill_slippage"].sum() == pytest.approx(traded["model_slippage"].sum(), rel=0.1)
    assert (days["closed_trades"] <= days["exits"]).all()
    assert days["closed_trades"].sum() > 0
    assert days["breakers"].sum() == days["liquidations"].sum() == 0
    reader.close()


def test_what_was_never_let_in_is_no_trade_that_was_closed(tmp_path: Path) -> None:
    panel, document = market(), strategy(at="2024-01-01")
    session = replace(spec(panel, [(document, "trades")]), mode="paper")
    book = ledger(tmp_path)
    replay_session(book, session, panel, START, started_ms=0, closes=24)
    start = int(panel.times[START]) + 6 * 3_600_000
    same = replace(book.read(TradeDecision)[0], symbol="S9", close_ms=start)
    book.write(
        [
            replace(same, decision_id="a", kind="enter", is_allowed=False),
            replace(same, decision_id="b", kind="exit"),
            replace(same, decision_id="c", kind="enter"),
            replace(same, decision_id="d", kind="exit"),
            LedgerBreaker(
                session=1, close_ms=start, name=LIQUIDATION.name, state="open", value=0.8, bound=0.75, reason="near"
            ),
        ]
    )
    reader = LedgerReader(tmp_path / "ledger.sqlite")
    rows = [row for _, row in performance_rows(reader, reader.session(), [])]
    held = [each for each in reader.read(LedgerProfit) if each.close_ms == start and each.gross]
    before = dict(zip(LivePerformanceTable.schema, rows[0], strict=True))
    after = dict(
        zip(
            LivePerformanceTable.schema,
            next(row for _, row in performance_rows(reader, reader.session(), book.read(TradeDecision)[-4:])),
            strict=True,
        )
    )
    assert (before["closed_trades"], after["closed_trades"], after["exits"]) == (0, 1, 2)
    assert before["breakers"] == bool(held)
    reader.close()
    book.close()


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def test_an_observation_is_of_the_newest_days() -> None:
    days = [date(2026, 1, 1 + day) for day in range(4)]
    found = observation(days, [0.1, -0.1, 0.0, 0.05], [1, 0, 2, 1])
    assert (found.days, found.trades, found.observed_at) == (4, 4, "2026-01-05T00:00:00Z")
    assert found.total_return == pytest.approx(1.1 * 0.9 * 1.05 - 1.0, rel=1e-5)
    assert found.max_drawdown == pytest.approx(0.1, rel=1e-5)
    assert observation(days[:1], [0.0], [0]).sharpe is None
