"""`quant-organism data slippage`: recorded books into the lake, and from there into costs."""

import json
from collections.abc import Callable
from pathlib import Path

from quant_organism.backtest.account import measured_costs
from quant_organism.market import Lake
from quant_organism_tests.program import Said
from quant_organism_tests.venue.test_recorded_books import NOON, book, frame, written


def test_measured_books_are_what_accounts_pay(call: Callable[..., Said], tmp_path: Path) -> None:
    books = [frame("l2Book", book(NOON + 500 * n)) for n in range(100)]
    few = frame("l2Book", book(coin="ETH"))
    frames = written(tmp_path / "frames", *books, few, frame("l2Book", book(asks=[])))
    shown = call("data", "slippage", str(frames), "--market", "mine").out
    assert "Fewer than 100 books measure nothing: ETH stays at what is assumed." in shown
    assert "Left out, book with an empty side: 1" in shown
    said = json.loads(call("data", "slippage", str(frames), "--market", "mine", "--json").out)
    assert (said["day"], len(said["rows"])) == ("2026-07-28", 6)
    costs = measured_costs(Lake(tmp_path / "data" / "lake"), "mine", 1_000.0)
    assert {symbol: [round(bps, 6) for bps in own] for symbol, own in costs.own_slippage_bps.items()} == {
        "BTC": [15.0, 30.0]
    }


def test_what_cannot_be_measured_is_refused(call: Callable[..., Said], tmp_path: Path) -> None:
    empty = written(tmp_path / "frames", frame("pong", None))
    said = call("data", "slippage", str(empty), "--market", "mine")
    assert (said.code, "no book that can be used" in said.err) == (2, True)
    assert not (tmp_path / "data" / "lake" / "slippage").exists()
    assert call("data", "slippage", str(empty), "--market", "../mine").code == 2
