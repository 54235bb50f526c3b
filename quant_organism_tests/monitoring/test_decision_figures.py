"""Figures that decisions rest on, as a trader leaves them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from quant_organism.deployment.decisions import Figure, decide
from quant_organism.market import Interval, Lake
from quant_organism.monitoring import LifeSpan, account_figures
from quant_organism.trading import LinesAtRest, lines_file
from quant_organism.trading.tables import LivePerformanceTable
from quant_organism.venue import DOUBLINGS, LatencyFigures
from quant_organism_tests.monitoring.test_trader_metrics import LINES

DAY = date(2026, 5, 6)
NIGHT = int(datetime(2026, 5, 7, 0, 30, tzinfo=UTC).timestamp() * 1000)
SPAN = LifeSpan("made", Interval.parse("1h"), DAY - timedelta(days=364), DAY)


def latency_of(
    folder: Path, *, written_ms: int = NIGHT, beyond_ms: float = 100.0, trades: bool = True
) -> Figure | None:
    """Return the figure where 2 % of 1,000 events took longer than so many milliseconds, the others none."""
    if trades:
        fields = {"account": "paper-1", "strategy": "s", "role": "trades", "closes": 24, "mode": "paper"}
        known = dict.fromkeys(("profit", "total_profit", "equity", "daily_return", "weight"), 0.0)
        kinds = dict.fromkeys(("exits", "closed_trades", "breakers", "liquidations"), 0)
        kept = {"fill_slippage": 0.0, "model_slippage": 0.0, "virtual_hash": "", "order_hash": "", "reconciled": True}
        row = LivePerformanceTable.frame([fields | known | kinds | kept])
        Lake(folder / "lake").table(LivePerformanceTable).write(row, market="made", interval="1h", day=DAY)
    within = tuple(1_000 if 2**n / 1e3 > beyond_ms else 980 for n in DOUBLINGS)
    market = replace(LINES.lines["market"], latency=LatencyFigures(within, 1_000, 1.0))
    at_rest = LinesAtRest(written_ms, {"market": market})
    folder.mkdir(exist_ok=True)
    lines_file(folder).write_bytes(TypeAdapter(LinesAtRest).dump_json(at_rest))
    return account_figures(folder, SPAN, 10_000.0).get("latency_p99_ms")


@pytest.mark.parametrize(("beyond_ms", "found"), [(100.0, 131.072), (150.0, 262.144), (1e9, 2**26 / 1e3)])
def test_the_latency_of_a_night_is_that_of_whoever_trades_then(tmp_path: Path, beyond_ms: float, found: float) -> None:
    figure = latency_of(tmp_path, beyond_ms=beyond_ms)
    assert figure is not None
    assert figure.value == found
    known = {"latency_p99_ms": figure, "spread_share": Figure(0.1), "turbulent": Figure(0.0)}
    assert decide("session", "account", known, DAY).value == ("scalping" if found < 150.0 else "no scalping")


def test_lines_of_another_night_or_of_nobody_who_trades_say_nothing(tmp_path: Path) -> None:
    assert latency_of(tmp_path / "late", written_ms=NIGHT + 86_400_000) is None
    assert latency_of(tmp_path / "early", written_ms=NIGHT - 86_400_000) is None
    assert latency_of(tmp_path / "nobody", trades=False) is None
