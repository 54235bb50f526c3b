"""A symbol that was traded by hand is left alone until a person has said what becomes of it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from quant_organism.backtest.account import AccountFill, book
from quant_organism.backtest.account.door import BY_HAND
from quant_organism.errors import InputError
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.reading import LedgerReader
from quant_organism.trading.records import LedgerEvent, LedgerOrder
from quant_organism.trading.releases import ReleaseWatcher, releases_folder, say_release
from quant_organism.trading.replaying import panel_bars, replay_session
from quant_organism.trading.runtime import Trader
from quant_organism_tests.program import finish
from quant_organism_tests.trading.sessions import START, ledger, market, spec, strategy

FROZEN_AT, SAID_AT, CLOSES = 40, 80, 200


def traded(folder: Path, *words: tuple[str, str]) -> tuple[Trader, TraderLedger]:
    """Trade 200 closes; after 40 of them somebody buys a lot of S0 by hand, and after 80 words are left."""
    panel, book_of = market(holes=False), ledger(folder)
    trader = replay_session(
        book_of, spec(panel, [(strategy(), "trades")]), panel, START, started_ms=0, closes=FROZEN_AT
    )
    come, account = ReleaseWatcher(releases_folder(folder)), trader.main.account

    def watch(close_ms: int, of: Trader) -> list[LedgerEvent]:
        come(of)
        return []

    trader.watcher = watch  # type: ignore[assignment]
    for place, bar in enumerate(panel_bars(panel, trader.main.execution.model, START)):  # type: ignore[attr-defined]
        if place == FROZEN_AT:
            price = account.marks["S0"]
            book(account, AccountFill(trader.last_close_ms, "S0", 1, price, 0, BY_HAND, price))
        if place == SAID_AT:
            assert account.frozen == {"S0"}
            for symbol, word in words:
                say_release(folder, symbol, word)
        if FROZEN_AT <= place < CLOSES:
            trader.on_bar(bar)
    return trader, book_of


def closes_of(book_of: TraderLedger) -> list[int]:
    """Return how many closes from the first on each order in S0 was sent."""
    orders = [each for each in book_of.read(LedgerOrder, symbol="S0") if each.kind == "ioc"]
    first = min(each.close_ms for each in book_of.read(LedgerOrder))
    return [(each.close_ms - first) // 3_600_000 for each in orders]


@pytest.mark.parametrize("word", ["adopt", "restore"])
def test_a_word_frees_the_symbol_at_the_next_close_and_is_taken_once(word: str, tmp_path: Path) -> None:
    trader, written = traded(tmp_path, ("S0", word))
    sent = closes_of(written)
    assert [place for place in sent if FROZEN_AT + 2 < place < SAID_AT - 2] == []
    assert [place for place in sent if place > SAID_AT + 2]
    assert trader.main.account.frozen == set()
    assert list(releases_folder(tmp_path).iterdir()) == []
    events = [each for each in written.read(LedgerEvent) if each.kind == "release"]
    assert [each.text for each in events] == [f"S0, which was traded by hand, is free again: {word}"]
    written.close()


def test_without_a_word_nothing_is_sent_and_the_status_names_it(tmp_path: Path) -> None:
    _, written = traded(tmp_path, ("S1", "adopt"))
    assert [place for place in closes_of(written) if place > FROZEN_AT + 2] == []
    events = [each.text for each in written.read(LedgerEvent) if each.kind == "release"]
    assert events == ["nothing becomes of the word on S1: it is not frozen"]
    written.close()
    reader = LedgerReader(tmp_path / "ledger.sqlite")
    assert reader.status().frozen == ("S0",)
    reader.close()


def test_a_person_says_it_in_a_shell(tmp_path: Path) -> None:
    said = finish("trade", "release", "dex:A/B", "--restore", "--json", "--data-dir", tmp_path, folder=tmp_path)
    found = orjson.loads(said.out)
    assert (found["symbol"], found["word"]) == ("dex:A/B", "restore")
    assert Path(found["path"]).read_text() == "restore"
    assert Path(found["path"]).parent == releases_folder(tmp_path)
    with pytest.raises(InputError, match="say adopt or restore"):
        say_release(tmp_path, "BTC", "keep")
