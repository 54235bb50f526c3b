"""Documents of a session: who trades and who is watched, and how the folder is followed while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from quant_organism.backtest.account import FillModel
from quant_organism.deployment import DocumentSignatures, DocumentSigner, StrategyConfig, StrategyRepository
from quant_organism.deployment.stages import Stage
from quant_organism.errors import InputError
from quant_organism.strategies import FittedModels
from quant_organism.trading.choosing import DocumentWatcher, chosen_documents
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.profiles import session_profile
from quant_organism.trading.records import LedgerEvent, LedgerStrategy
from quant_organism.trading.replaying import panel_bars
from quant_organism.trading.runtime import TradedBar, Trader
from quant_organism.trading.starting import SessionSpec, begin_session, resumable, resume_session
from quant_organism_tests.deployment.documents import records
from quant_organism_tests.trading.sessions import COSTS, START, ledger, market, spec, strategy

INTRADAY = session_profile("intraday")


def at_stage(document: StrategyConfig, stage: Stage) -> StrategyConfig:
    """Return a document that has gone as far as shadow, paper or testnet."""
    document = document.moved("shadow", at="2025-06-01", reason="for a test", records=records("one look"))
    if stage in ("paper", "testnet"):
        document = document.moved("paper", at="2025-06-01", reason="for a test", records=records("night door"))
    if stage == "testnet":
        document = document.moved("testnet", at="2025-07-01", reason="for a test", records=records("paper by days"))
    return document


def test_stages_and_bars_say_who_trades() -> None:
    paper, shadow = at_stage(strategy(), "paper"), at_stage(strategy(("donchian_breakout",)), "shadow")
    daily = at_stage(strategy(("bollinger_bands",), 2), "paper")
    daily = daily.model_copy(update={"interval": "1d"})
    chosen = chosen_documents([daily, paper, shadow], INTRADAY, "paper")
    assert [(document.id, role) for document, role in chosen] == [(paper.id, "trades"), (shadow.id, "shadow")]
    assert chosen_documents([daily, paper], session_profile("swing"), "paper") == [(daily, "trades")]
    with pytest.raises(InputError, match="stage testnet"):
        chosen_documents([paper, shadow], INTRADAY, "testnet")
    with pytest.raises(InputError, match="bars of 1h"):
        chosen_documents([paper], session_profile("scalping"), "paper")


def test_a_profile_takes_so_many() -> None:
    families = ("ema_crossover", "rsi_filter", "donchian_breakout", "bollinger_bands", "vwap_reversion")
    documents = [at_stage(strategy((family,)), "paper") for family in families]
    scalping = replace(session_profile("scalping"), intervals=("1h",))
    assert [document for document, _ in chosen_documents(documents, scalping, "paper")] == documents[:3]


def test_where_orders_are_sent_only_documents_trade_that_somebody_stands_for(tmp_path: Path) -> None:
    signer = DocumentSigner(tmp_path, "5e" * 32)
    signatures = DocumentSignatures(tmp_path, signer.public_key)
    paper, one = at_stage(strategy(), "paper"), at_stage(strategy(), "testnet")
    other = at_stage(strategy(("donchian_breakout",)), "testnet")
    assert len(chosen_documents([one, other], INTRADAY, "testnet")) == 2  # nobody asks
    assert len(chosen_documents([paper], INTRADAY, "paper", signatures=signatures)) == 1  # nothing is sent
    with pytest.raises(InputError, match=f"nobody stands for.*{one.id} is not signed; {other.id} is not signed"):
        chosen_documents([one, other], INTRADAY, "testnet", signatures=signatures)
    signer.sign(one)
    signer.sign(other.moved("canary", at="2026-01-01", reason="for a test", records=records("canary"), by="person"))
    assert chosen_documents([one, other], INTRADAY, "testnet", signatures=signatures) == [(one, "trades")]


def test_who_loses_its_signature_makes_no_entries_any_more_and_leaves(tmp_path: Path) -> None:
    panel, repository = market(holes=False), StrategyRepository(tmp_path / "strategies")
    signer = DocumentSigner(repository.root, "5e" * 32)
    document = at_stage(strategy(), "testnet")
    repository.save(document)
    signed = signer.sign(document)
    book = ledger(tmp_path)
    session = replace(spec(panel, [(document, "trades")]), mode="testnet")
    trader = begin_session(book, session, panel.window(0, START), 0)
    trader.watcher = DocumentWatcher(
        repository,
        INTRADAY,
        "testnet",
        COSTS,
        FittedModels(),
        lambda close_ms: panel,
        signatures=DocumentSignatures(repository.root, signer.public_key),
    )
    bars = iter(panel_bars(panel, FillModel.of(COSTS), START))
    for _ in range(10):
        trader.on_bar(next(bars))
    assert not trader.strategies[document.id].is_leaving
    assert book.read(LedgerEvent) == []
    signed.unlink()
    trader.on_bar(next(bars))
    assert document.id not in trader.strategies or trader.strategies[document.id].is_leaving
    notes = [event.text for event in book.read(LedgerEvent) if event.kind == "documents"]
    assert f"it sends nothing: {document.id} is not signed" in notes
    while document.id in trader.strategies:
        trader.on_bar(next(bars))
    assert not trader.main.account.positions
    book.close()


def test_documents_come_and_go_while_it_trades_and_a_restart_knows(tmp_path: Path) -> None:
    panel, repository = market(holes=False), StrategyRepository(tmp_path / "strategies")
    first, second = at_stage(strategy(), "paper"), at_stage(strategy(("donchian_breakout",)), "paper")
    third = at_stage(strategy(("bollinger_bands",)), "shadow")
    repository.save(first)
    session = replace(spec(panel, [(first, "trades")]), mode="paper")
    book = ledger(tmp_path)

    def watched(trader: Trader) -> Trader:
        trader.watcher = DocumentWatcher(
            repository,
            INTRADAY,
            "paper",
            COSTS,
            FittedModels(),
            lambda close_ms: panel.window(0, int((close_ms - int(panel.times[0])) // panel.interval.milliseconds)),
        )
        return trader

    trader = watched(begin_session(book, session, panel.window(0, START), 0))
    bars = list(panel_bars(panel, FillModel.of(COSTS), START))
    for bar in bars[:30]:
        trader.on_bar(bar)
    repository.save(second)
    repository.save(third)
    trader.on_bar(bars[30])
    assert set(trader.strategies) == {first.id, second.id, third.id}
    assert trader.lane_of(third.id).account.risk.scale > 0.0  # it is not flat until its account is thirty days old
    assert trader.main.account.rules.strategy_cap == 0.25
    for bar in bars[31:60]:
        trader.on_bar(bar)
    repository.archive(first.id, "for a test", at="2025-06-02")
    trader.on_bar(bars[60])
    went = 60
    while first.id in trader.strategies:
        assert trader.strategies[first.id].is_leaving
        went += 1
        trader.on_bar(bars[went])
    assert [(record.strategy, record.joins) for record in book.read(LedgerStrategy)] == [
        (first.id, True),
        (second.id, True),
        (third.id, True),
        (first.id, False),
    ]
    assert [event.kind for event in book.read(LedgerEvent)] == ["leaving"]
    trader.on_bar(bars[went + 1])
    check_restart(book, session, trader, watched, bars[went + 2 : went + 30])
    book.close()


def check_restart(
    book: TraderLedger,
    session: SessionSpec,
    trader: Trader,
    watched: Callable[[Trader], Trader],
    bars: Sequence[TradedBar],
) -> None:
    """Have a restarted trader and the one that never stopped make the same orders from the same bars."""
    begun, panel = resumable(book, session), market(holes=False)
    assert begun is not None
    known = panel.window(0, int((trader.last_close_ms - int(panel.times[0])) // panel.interval.milliseconds))
    again = watched(resume_session(book, session, begun, known))
    assert set(again.strategies) == set(trader.strategies)
    for bar in bars:
        again.on_bar(bar)
    for bar in bars:
        trader.on_bar(bar)
    assert again.main.account == trader.main.account
    assert trader.main.account.number > 0
