"""Twenty strategies over ninety days: compiled backtest, replay and paper trading send the same orders, to the last."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quant_organism.backtest import Evaluator
from quant_organism.backtest.account import FillModel
from quant_organism.deployment import StrategyConfig
from quant_organism.market.panel import Panel
from quant_organism.market.splits import Span
from quant_organism.strategies import Committee, Genome, evolving_families, random_genome
from quant_organism.trading import LedgerReader
from quant_organism.trading.parity import Parity, backtest_lane
from quant_organism.trading.records import LedgerOrder, TradeDecision
from quant_organism.trading.replaying import panel_bars
from quant_organism.trading.runtime import Trader
from quant_organism.trading.starting import SessionSpec, begin_session
from quant_organism.validation.replay import Replay, replay_committee
from quant_organism_tests.deployment.documents import document
from quant_organism_tests.trading.sessions import COSTS, START, ledger, market, spec

STRATEGIES, DAYS, FEWEST_TRADES = 20, 90, 10


@pytest.fixture(scope="module")
def panel() -> Panel:
    found = market(days=START // 24 + DAYS)
    # A rate that stays for days, or nobody would carry.
    rate = 1e-4 * np.sin(np.arange(found.n_bars)[:, None] / 27 + np.arange(found.n_assets))
    return replace(found, funding_rate=rate, funding_paid=rate)


@pytest.fixture(scope="module")
def genomes(panel: Panel) -> list[Genome]:
    # Of each family the first that are drawn and trade: between lists without orders nothing would be compared.
    families, rng, evaluator = evolving_families(), np.random.default_rng(0), Evaluator(threads=1)
    found = list[Genome]()
    while len(found) < STRATEGIES:
        genome = random_genome(rng, families[len(found) % len(families)])
        if "lookback_window" in genome.genes:
            genome = Genome(genome.family, dict(genome.genes) | {"lookback_window": "250", "refit_interval": "168"})
        if evaluator.trades(genome, panel, COSTS, start=START, stop=panel.n_bars).frame.height >= FEWEST_TRADES:
            found.append(genome)
    return found


def documented(genomes: list[Genome]) -> StrategyConfig:
    return document(strategy=Committee.of(genomes), universe=("S0", "S1", "S2"), interval="1h")


@pytest.fixture(scope="module")
def session(panel: Panel, genomes: list[Genome]) -> SessionSpec:
    """Return a session on paper: twenty strategies share an account, and three of them as one have another."""
    traded = [(documented([genome]), "trades") for genome in genomes]
    return spec(panel, [*traded, (documented(genomes[:3]), "shadow")], mode="paper")


@pytest.fixture(scope="module")
def traded(panel: Panel, session: SessionSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trader, Path]:
    folder = tmp_path_factory.mktemp("traded")
    written = ledger(folder)
    trader = begin_session(written, session, panel.window(0, START), 0)
    for bar in panel_bars(panel, FillModel.of(session.costs), START):
        trader.on_bar(bar)
    written.close()
    return trader, folder / "ledger.sqlite"


@pytest.fixture(scope="module")
def compared(traded: tuple[Trader, Path], session: SessionSpec, panel: Panel) -> Callable[[str, SessionSpec], Parity]:
    trader, path = traded

    def against(role: str, backtested: SessionSpec = session) -> Parity:
        (lane,) = (lane for lane in trader.lanes.values() if lane.role == role)
        reader = LedgerReader(path)
        orders = reader.read(LedgerOrder, account=lane.account.account)
        reader.close()
        return backtest_lane(lane, backtested, panel, START, orders)

    return against


def test_a_portfolio_sends_the_orders_of_its_backtest(
    traded: tuple[Trader, Path], compared: Callable[..., Parity], session: SessionSpec
) -> None:
    found = compared("trades")
    assert found.difference == ""
    assert found.trader_hash == found.backtest_hash
    assert found.orders > 1_000
    reader = LedgerReader(traded[1])
    deciding = {decision.strategy for decision in reader.read(TradeDecision)}
    reader.close()
    assert deciding == {each.id for each, _ in session.documents}


def test_a_deliberate_difference_is_named(compared: Callable[..., Parity], session: SessionSpec) -> None:
    dearer = replace(session, costs=replace(session.costs, slippage_bps=session.costs.slippage_bps + 20.0))
    found = compared("trades", dearer)
    assert found.trader_hash != found.backtest_hash
    order = r"ioc of [+-][\d,]+ lots S\d at lot price \d+, planned at 2024-[\d-]+ [\d:]+ UTC"
    assert re.fullmatch(rf"order \d+: the trader {order}, the backtest {order}", found.difference)


def test_replay_paper_and_backtest_of_one_strategy_are_equal_by_hash(
    compared: Callable[..., Parity], panel: Panel, genomes: list[Genome]
) -> None:
    paper = compared("shadow")
    found = replay_committee(Committee.of(genomes[:3]), panel, COSTS, (Span("all", START, panel.n_bars),))
    assert isinstance(found, Replay)
    assert paper.orders > 100
    (account,) = found.accounts
    assert account.order_hash == account.backtest_hash == paper.trader_hash == paper.backtest_hash


def test_twenty_strategies_are_replayed_as_they_were_backtested(panel: Panel, genomes: list[Genome]) -> None:
    found = replay_committee(Committee.of(genomes), panel, COSTS, (Span("all", START, panel.n_bars),))
    assert isinstance(found, Replay)
    assert found.difference == ""
    assert (found.equal, found.compared, found.orders_equal) == (STRATEGIES, STRATEGIES, 1)
    assert found.trades[0] >= STRATEGIES * FEWEST_TRADES
    assert found.accounts[0].orders > 100
