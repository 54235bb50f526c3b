"""Code of a document in a trader: the orders of its family twin; changed or hostile it is stopped alone, and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from quant_organism.backtest.account import IOC
from quant_organism.deployment import ExternalStrategy, StrategyConfig, StrategyRepository
from quant_organism.errors import InputError
from quant_organism.judge import SandboxRunner
from quant_organism.judge.sandbox import StrategyProcess, StrategySource
from quant_organism.judge.trade_rules import TradeRules
from quant_organism.market import Panel
from quant_organism.strategies import Committee, default_genome
from quant_organism.trading import LedgerReader
from quant_organism.trading.choosing import chosen_documents
from quant_organism.trading.parity import backtest_lane, ledger_lines
from quant_organism.trading.profiles import session_profile
from quant_organism.trading.records import LedgerEvent, LedgerOrder, Mode, StrategySignal, TradeDecision
from quant_organism.trading.replaying import replay_session
from quant_organism.trading.runtime import CloseReport, Trader
from quant_organism.trading.starting import SessionSpec
from quant_organism_tests.deployment.documents import document
from quant_organism_tests.judge.conftest import market, walls
from quant_organism_tests.judge.test_three_ways import CHANNEL, COSTS, FREQTRADE, GENES
from quant_organism_tests.trading.sessions import START, ledger, spec

DAYS = 10
"""Days that are traded: a market whose code holds nothing where they begin, for its twin begins flat."""

HOSTILE = """
    import numpy as np

    def signal(panel):
        bars = len(panel.close)
        if bars > {good}:
            {evil}
        held = np.zeros(panel.close.shape)
        held[12:] = 0.125 * np.sign(panel.close[12:] - panel.close[:-12])
        return held
"""


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Return one asset's hours."""
    whole = market(bars=START + 24 * DAYS, seed=4)
    columns = {name: getattr(whole, name)[:, :1] for name in ("open", "high", "low", "close", "volume", "valid")}
    return Panel.from_arrays(
        symbols=whole.symbols[:1], interval=whole.interval, times=whole.times, market=whole.market, **columns
    )


@pytest.fixture
def repository(tmp_path: Path) -> StrategyRepository:
    return StrategyRepository(tmp_path / "strategies")


@pytest.fixture
def runner(repository: StrategyRepository) -> Iterator[SandboxRunner]:
    with SandboxRunner(repository, most_seconds=10.0) as made:
        yield made


def kept(repository: StrategyRepository, panel: Panel, text: str, **changes: Any) -> StrategyConfig:
    """Return the document of code, as if it had been judged."""
    source = repository.keep_source(dedent(text).encode())
    path, form = repository.source_path(source), changes.get("form", "callable")
    rules: dict[str, Any] = {}
    fields = {"function": "signal", "form": "callable", "seconds": 10.0, "memory_mb": 1_024, **changes}
    if form == "freqtrade":
        own = StrategySource(path=path, function=fields["function"], form="freqtrade", trusted=bool(walls()))
        with StrategyProcess(own) as process:
            rules = TradeRules.of(process.declared, where="test").model_dump(mode="json")
    code = ExternalStrategy(name="made", source=source, rules=rules, trusted=bool(walls()), **fields)
    return document(strategy=code, universe=panel.symbols, interval="1h")


def twin(panel: Panel) -> StrategyConfig:
    genome = replace(base := default_genome("donchian_breakout"), genes={**base.genes, **GENES})
    return document(strategy=Committee.of([genome]), universe=panel.symbols, interval="1h")


def session_of(panel: Panel, runner: SandboxRunner, *documents: StrategyConfig) -> SessionSpec:
    return spec(panel, [(each, "trades") for each in documents], costs=COSTS, runner=runner)


def replayed(
    folder: Path,
    session: SessionSpec,
    panel: Panel,
    closes: int | None = None,
    told: Callable[[CloseReport], None] = lambda report: None,
) -> Trader:
    folder.mkdir(exist_ok=True)
    book = ledger(folder)
    try:
        return replay_session(book, session, panel, START, started_ms=0, told=told, closes=closes)
    finally:
        book.close()


def orders(folder: Path, trader: Trader, *kinds: str) -> list[str]:
    reader = LedgerReader(folder / "ledger.sqlite")
    written = reader.read(LedgerOrder, account=trader.session.account)
    reader.close()
    lines = ledger_lines(written, trader.last_close_ms + 1)
    return [line for line in lines if not kinds or line.split("|")[2] in kinds]


@pytest.mark.parametrize("form", ["callable", "freqtrade"])
def test_code_sends_the_orders_of_its_family_twin(
    form: str, panel: Panel, repository: StrategyRepository, runner: SandboxRunner, tmp_path: Path
) -> None:
    bred = replayed(tmp_path / "bred", session_of(panel, runner, twin(panel)), panel)
    code = kept(repository, panel, CHANNEL) if form == "callable" else None
    code = code or kept(repository, panel, FREQTRADE, form="freqtrade", function="Channel")
    session = session_of(panel, runner, code)
    trader = replayed(tmp_path / "code", session, panel)
    sent = orders(tmp_path / "bred", bred, IOC)
    assert len(sent) > 10
    assert orders(tmp_path / "code", trader, IOC) == sent
    if form == "freqtrade":  # stops and targets rest where the family's do
        assert orders(tmp_path / "code", trader) == orders(tmp_path / "bred", bred)
    reader = LedgerReader(tmp_path / "code" / "ledger.sqlite")
    parity = backtest_lane(trader.main, session, panel, START, reader.read(LedgerOrder, account=trader.session.account))
    decided = reader.read(TradeDecision)
    reader.close()
    assert parity.is_equal
    assert {each.kind for each in decided} >= {"enter", "exit"}


def test_a_session_that_is_taken_up_goes_on_to_the_same_orders(
    panel: Panel, repository: StrategyRepository, runner: SandboxRunner, tmp_path: Path
) -> None:
    session = session_of(panel, runner, kept(repository, panel, CHANNEL))
    whole = replayed(tmp_path / "whole", session, panel)
    replayed(tmp_path / "halves", session, panel, 100)
    again = replayed(tmp_path / "halves", session, panel)
    assert again.main.account == whole.main.account


EVILS = {
    "while True: pass": "did not come back within 1 seconds",
    "np.zeros(10**10)": "more than the 1,024 MB of memory",
    "open('/home/prices.csv')": "/home/prices.csv",
    "raise ValueError('tired')": "ValueError: tired",
}


def test_what_fails_is_stopped_alone(
    panel: Panel, repository: StrategyRepository, runner: SandboxRunner, tmp_path: Path
) -> None:
    """Each of them fails a day after the one before; the bred strategy beside them trades on."""
    fails = [START + 24 * day for day in range(1, 1 + len(EVILS))]
    hostile = [
        kept(repository, panel, HOSTILE.format(good=good, evil=evil), seconds=1.0)
        for good, evil in zip(fails, EVILS, strict=True)
    ]
    bred = twin(panel)
    trader = replayed(tmp_path / "both", session_of(panel, runner, bred, *hostile), panel)
    assert trader.last_close_ms == int(panel.times[-1]) + panel.interval.milliseconds
    reader = LedgerReader(tmp_path / "both" / "ledger.sqlite")
    events, decided = reader.read(LedgerEvent, level="error"), reader.read(TradeDecision)
    signals = [each for each in reader.read(StrategySignal) if each.not_evaluated]
    reader.close()
    closes = [int(panel.times[row]) + panel.interval.milliseconds for row in fails]
    assert [event.close_ms for event in events] == closes
    for one, event, said in zip(hostile, events, EVILS.values(), strict=True):
        assert one.id in event.text
        assert said in event.text
        own = [each for each in decided if each.strategy == one.id]
        assert {each.kind for each in own if each.close_ms == event.close_ms} == {"exit"}
        assert max(each.close_ms for each in own) == event.close_ms
        assert [each.close_ms for each in signals if each.strategy == one.id] == [event.close_ms]
    assert sum(each.strategy == bred.id and each.close_ms > closes[-1] for each in decided) > 5


def test_a_changed_source_refuses_to_trade(
    panel: Panel, repository: StrategyRepository, runner: SandboxRunner, tmp_path: Path
) -> None:
    code = kept(repository, panel, CHANNEL)
    assert code.external is not None
    path, bred = repository.source_path(code.external.source), twin(panel)
    honest, changed = path.read_bytes(), path.read_bytes().replace(b"side = 1", b"side = -1")
    closes = []

    def tamper(report: CloseReport) -> None:
        closes.append(report.close_ms)
        if len(closes) == 30:
            path.write_bytes(changed)

    replayed(tmp_path / "both", session_of(panel, runner, bred, code), panel, 50, tamper)
    reader = LedgerReader(tmp_path / "both" / "ledger.sqlite")
    (event,) = reader.read(LedgerEvent, level="error")
    assert event.close_ms == closes[30]
    assert f"{code.id}, {path}: the source was changed after it was judged" in event.text
    reader.close()
    with pytest.raises(InputError, match=r"no strategy can trade: .*changed after it was judged"):
        replayed(tmp_path / "alone", session_of(panel, runner, code), panel, 5)
    path.write_bytes(honest)
    replayed(tmp_path / "mended", session_of(panel, runner, code), panel, 5)


def test_code_sends_orders_where_somebody_runs_it_behind_walls(panel: Panel, repository: StrategyRepository) -> None:
    made, bred = kept(repository, panel, CHANNEL), twin(panel)
    profile = session_profile("intraday")
    assert made.external is not None
    walled = document(
        strategy=made.external.model_copy(update={"trusted": False}), universe=panel.symbols, interval="1h"
    )
    open_to_all = document(
        strategy=made.external.model_copy(update={"trusted": True}), universe=panel.symbols, interval="1h"
    )

    def chosen(*documents: StrategyConfig, mode: Mode, runs_code: bool = True) -> list[tuple[str, str]]:
        return [(each.id, role) for each, role in chosen_documents(documents, profile, mode, runs_code=runs_code)]

    canary, shadow = _at(bred, "canary"), _at(walled, "shadow")
    assert chosen(_at(walled, "canary"), mode="mainnet") == [(walled.id, "trades")]
    assert chosen(canary, shadow, mode="mainnet") == [(bred.id, "trades"), (walled.id, "shadow")]
    assert chosen(canary, shadow, mode="mainnet", runs_code=False) == [(bred.id, "trades")]
    assert chosen(canary, _at(open_to_all, "shadow"), mode="mainnet") == [(bred.id, "trades")]
    assert chosen(_at(bred, "paper"), _at(open_to_all, "shadow"), mode="paper")[1] == (open_to_all.id, "shadow")
    # What should trade is told by name where nobody runs it, and does not hold up the others.
    unserved = chosen(canary, _at(walled, "live"), mode="mainnet", runs_code=False)
    assert unserved == [(bred.id, "trades"), (walled.id, "trades")]


def _at(each: StrategyConfig, stage: str) -> StrategyConfig:
    moved = each.history[-1].model_copy(update={"from_stage": "born", "to_stage": stage})
    return each.model_copy(update={"history": (each.history[0], moved)})
