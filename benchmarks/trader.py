"""The trader: how long a decision and an order take, and whether replay makes the orders of the compiled backtest.

Every family alone, ten committees of three members and a portfolio of twenty strategies, each over ninety days of hours
on three assets, with genomes that send orders there; then twenty single genomes, and twenty committees, on fifty
assets. A decision is all between a bar and its plan: the strategies see the bar, decide, pass the pipeline and are
planned for; an order adds what the ledger takes before anything may be sent. Milliseconds on the clock.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluator import panel, row
from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import FillModel, committee_run
from quant_organism.deployment import Provenance, StrategyConfig
from quant_organism.market.panel import Panel
from quant_organism.strategies import Committee, Genome, evolving_families, random_genome
from quant_organism.trading import TraderLedger
from quant_organism.trading.parity import Parity, backtest_lane
from quant_organism.trading.records import LedgerOrder, LedgerRecord
from quant_organism.trading.replaying import panel_assets, panel_bars
from quant_organism.trading.starting import SessionSpec, begin_session

ASSETS, HISTORY_DAYS, TRADED_DAYS, COMMITTEES, PORTFOLIO = 3, 60, 90, 10, 20
WIDE_ASSETS, WIDE_CLOSES = 50, 101
MEMBERS, MANY_CLOSES = 30, 3
CAPITAL_USD, CARRY_RATE = 10_000.0, 5e-5


@dataclass
class TimedLedger:
    """A ledger that notes when it is asked to write."""

    ledger: TraderLedger
    begun: float = 0.0
    decided: list[float] = field(default_factory=list)
    written: list[float] = field(default_factory=list)

    def write(self, records: Sequence[LedgerRecord], states: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Write, and note how long it took since the bar came."""
        self.decided.append(time.perf_counter() - self.begun)
        self.ledger.write(records, states)
        self.written.append(time.perf_counter() - self.begun)


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    market, families = _carried(_market(ASSETS, TRADED_DAYS * 24)), sorted(evolving_families())
    drawn = _TradingGenomes(market)
    alone = [[_document([drawn.draw(family)], market)] for family in families]
    committees = [
        [_document([drawn.draw(families[(3 * place + k) % len(families)]) for k in range(3)], market)]
        for place in range(COMMITTEES)
    ]
    many = [_document([drawn.draw(families[place % len(families)])], market) for place in range(PORTFOLIO)]
    decided: list[float] = []
    written: list[float] = []
    equal = orders = 0
    sessions = [*alone, *committees, many]
    for documents in sessions:
        timed, is_equal, lines = _replayed(documents, market)
        assert lines > 0, f"{documents[0].id} sends no order: nothing is compared"
        decided += timed.decided[1:]
        written += timed.written[1:]
        equal, orders = equal + is_equal, orders + lines
    wide, many_wide = _wide(1, WIDE_CLOSES), _wide(MEMBERS, MANY_CLOSES)
    note = (
        f"{len(families)} families, {COMMITTEES} committees, a portfolio of {PORTFOLIO}; {TRADED_DAYS} days of hours, "
        f"{ASSETS} assets, load {os.getloadavg()[0]:.1f}"
    )
    return [
        row("parity_lists_equal_share", equal / len(sessions), "share", f"{orders:,} orders; {note}"),
        row("decision_p50_ms", float(np.quantile(decided, 0.50)) * 1e3, "ms", f"{len(decided):,} closes"),
        row("decision_p99_ms", float(np.quantile(decided, 0.99)) * 1e3, "ms", "from a bar to its plan"),
        row("order_p50_ms", float(np.quantile(written, 0.50)) * 1e3, "ms", "the ledger on disk, as a live trader's"),
        row("order_p99_ms", float(np.quantile(written, 0.99)) * 1e3, "ms", "from a bar to the first order"),
        row(
            "wide_decision_p50_ms",
            float(np.quantile(wide, 0.50)) * 1e3,
            "ms",
            f"{PORTFOLIO} genomes, {WIDE_ASSETS} assets",
        ),
        row(
            "wide_decision_p99_ms", float(np.quantile(wide, 0.99)) * 1e3, "ms", f"{len(wide)} closes; the goal is 5 ms"
        ),
        row(
            "wide_committees_decision_ms",
            max(many_wide) * 1e3,
            "ms",
            f"{PORTFOLIO} committees of {MEMBERS}, {WIDE_ASSETS} assets; the most of {len(many_wide)} closes",
        ),
    ]


def _market(assets: int, closes: int) -> Panel:
    made = panel(HISTORY_DAYS * 24 + closes, assets)
    return replace(made, symbols=tuple(f"A{place:02}" for place in range(assets)))  # sorted, as a lake's are


def _carried(market: Panel) -> Panel:
    """Return the market at funding that keeps its sign for days, without which nobody carries."""
    waves = CARRY_RATE * np.sin(2.0 * np.pi * np.arange(market.n_bars)[:, None] / (7 * 24) + np.arange(market.n_assets))
    return replace(market, funding_rate=waves, funding_paid=waves)


class _TradingGenomes:
    """Draws genomes whose account sends orders in the days that are traded: between empty lists nothing is compared."""

    def __init__(self, market: Panel) -> None:
        self._market, self._rng, self._evaluator = market, np.random.default_rng(0), Evaluator(threads=1)

    def draw(self, family: str) -> Genome:
        """Return the next genome of a family that trades."""
        while True:
            genome = random_genome(self._rng, family)
            run = committee_run(
                Committee.of([genome]),
                self._market,
                Costs(),
                CAPITAL_USD,
                start=HISTORY_DAYS * 24,
                evaluator=self._evaluator,
            )
            if run.path.fills.size:
                return genome


def _wide(members: int, closes: int) -> list[float]:
    """Return how long each close but the first took to be decided on: a portfolio on many assets."""
    market, rng, families = _market(WIDE_ASSETS, closes), np.random.default_rng(1), sorted(evolving_families())
    documents = [
        _document([random_genome(rng, families[(members * place + k) % len(families)]) for k in range(members)], market)
        for place in range(PORTFOLIO)
    ]
    timed, _ = _traded(documents, market)
    return timed.decided[1:]


def _document(genomes: list[Genome], market: Panel) -> StrategyConfig:
    return StrategyConfig.born(
        Committee.of(genomes),
        universe=market.symbols,
        interval=market.interval.name,
        fitness=0.0,
        provenance=Provenance(
            market="benchmark", date="2024-01-01", panel_hash="-", spec_hash="-", code_version="-", seed=0
        ),
        evidence={},
        at="2024-01-01",
        reason="to be measured",
    )


def _replayed(documents: list[StrategyConfig], market: Panel) -> tuple[TimedLedger, bool, int]:
    timed, found = _traded(documents, market)
    return timed, found.is_equal, found.orders


def _traded(documents: list[StrategyConfig], market: Panel) -> tuple[TimedLedger, Parity]:
    start, costs = HISTORY_DAYS * 24, Costs()
    spec = SessionSpec(
        mode="replay",
        profile="intraday",
        market="benchmark",
        interval=market.interval,
        capital_usd=CAPITAL_USD,
        costs=costs,
        assets=panel_assets(market, start, costs),
        documents=[(document, "trades") for document in documents],
        history_days=HISTORY_DAYS,
        history_end="2024-01-01",
    )
    with tempfile.TemporaryDirectory() as folder:
        ledger = TraderLedger(Path(folder) / "ledger.sqlite")
        trader = begin_session(ledger, spec, market.window(0, start), 0)
        timed = TimedLedger(ledger)
        trader.ledger = timed  # type: ignore[assignment]
        for bar in panel_bars(market, FillModel.of(costs), start):
            timed.begun = time.perf_counter()
            trader.on_bar(bar)
        written = ledger.read(LedgerOrder, account=trader.main.account.account)
        ledger.close()
    return timed, backtest_lane(trader.main, spec, market, start, written)
