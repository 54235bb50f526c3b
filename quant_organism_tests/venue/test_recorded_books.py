"""What orders pay in recorded books: by hand, in every form of a recording, and where recordings lie."""

import json
from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import InputError
from quant_organism.market import SlippageTable
from quant_organism.venue.feed.recording import Recorder
from quant_organism.venue.recorded_books import BookCosts, measure_books

NOON = 1_785_240_000_000
BIDS, ASKS = [(99.9, 1.0), (99.8, 10.0)], [(100.1, 1.0), (100.3, 10.0)]
"""Around a mid price of 100, eleven coins deep on each side."""


def book(time_ms: Any = NOON, bids: Any = BIDS, asks: Any = ASKS, coin: Any = "BTC", **said: Any) -> dict[str, Any]:
    levels = [[{"px": str(px), "sz": str(sz), "n": 1} for px, sz in side] for side in (bids, asks)]
    return {"coin": coin, "time": time_ms, "levels": levels} | said


def trade(time_ms: int, px: float, tid: int) -> dict[str, Any]:
    return {"coin": "BTC", "side": "B", "px": str(px), "sz": "0.1", "time": time_ms, "tid": tid, "hash": "0x0"}


def frame(channel: str, data: Any) -> dict[str, Any]:
    return {"channel": channel, "data": data}


def written(path: Path, *entries: Any) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def row(measured: BookCosts, usd: float, symbol: str = "BTC") -> dict[str, Any]:
    frame = measured.frame
    chosen = frame.filter((frame[SlippageTable.symbol] == symbol) & (frame[SlippageTable.order_usd] == usd))
    return chosen.row(0, named=True)


def test_costs_are_half_the_spread_and_the_walk_into_the_book(tmp_path: Path) -> None:
    measured = measure_books([written(tmp_path / "frames", frame("l2Book", book()))], [50.0, 150.0, 2_000.0])
    best, walked, beyond = (row(measured, usd) for usd in (50.0, 150.0, 2_000.0))
    assert best["median_bps"] == best["high_bps"] == pytest.approx(10.0)
    # Of 1.5 coins one is bought at 100.1 and half at 100.3, or sold at 99.9 and 99.8: 16.67 and 13.33 bps.
    assert walked["median_bps"] == pytest.approx(15.0)
    assert walked["high_bps"] == pytest.approx((13.0 + 1 / 3) + 0.95 * (3.0 + 1 / 3))
    # Twenty coins are more than rest there: 100.29 and 99.805 on average, at least.
    assert beyond["median_bps"] == pytest.approx((29.0 + 19.5) / 2)
    assert [each["shallow"] for each in (best, walked, beyond)] == [0, 0, 1]
    assert (walked["books"], walked["trades"], walked["paid_bps"]) == (1, 0, None)


def test_a_book_counts_once_and_trades_are_held_against_the_book_before(tmp_path: Path) -> None:
    tight = book(NOON + 60_000, bids=[(99.99, 5.0)], asks=[(100.01, 5.0)])
    trades = [
        trade(NOON - 1, 150.0, 1),  # before any book
        trade(NOON + 1_000, 100.05, 2),
        trade(NOON + 10_000, 99.9, 3),
        trade(NOON + 10_001, 130.0, 4),  # the book is too old
        trade(NOON + 60_000, 100.01, 5),
    ]
    entries = [frame("l2Book", book()), frame("l2Book", tight), frame("l2Book", book()), frame("trades", trades)]
    measured = measure_books([written(tmp_path / "frames", *entries, frame("trades", trades[:2]))], [150.0])
    found = row(measured, 150.0)
    assert (found["books"], found["trades"]) == (2, 3)
    assert found["paid_bps"] == pytest.approx(5.0)  # of 5, 10 and 1
    assert found["median_bps"] == pytest.approx((13.0 + 1 / 3 + 1.0) / 2)  # of 16.67, 13.33, 1 and 1
    assert (found["last"] - found["first"]).total_seconds() == 60.0


def test_every_form_of_a_recording_says_the_same(tmp_path: Path) -> None:
    other = book(NOON + 500, bids=[(99.0, 50.0)], asks=[(101.0, 50.0)])
    recorder = Recorder(tmp_path / "followed")
    for said in (book(), other):
        recorder.write(NOON, "frame", json.dumps(frame("l2Book", said)))
    recorder.write(NOON, "asked", ["candles", ["BTC"], 0, 1])
    recorder.close()
    answers = [
        {"request": {"type": "l2Book", "coin": "BTC"}, "status": 200, "response": said} for said in (book(), other)
    ]
    paths = [
        written(tmp_path / "frames", frame("l2Book", book()), frame("pong", None), frame("l2Book", other)),
        written(tmp_path / "session", *({"url": "u", "received": frame("l2Book", b)} for b in (book(), other))),
        written(tmp_path / "answers", *answers, {"request": {"type": "meta"}, "response": {}}),
        written(tmp_path / "cassette", answers),
        tmp_path / "followed",
        next((tmp_path / "followed").iterdir()),
    ]
    frames = [measure_books([path]).frame for path in paths]
    assert row(measure_books(paths[:1]), 150.0)["books"] == 2
    assert all(each.equals(frames[0]) for each in frames)
    assert measure_books(paths).frame.equals(frames[0])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (book(bids=[(100.2, 1.0)]), "crossed book"),
        (book(asks=[]), "book with an empty side"),
        (book(bids=BIDS[::-1]), "book out of order"),
        (book(asks=[(100.1, 0.0)]), "book out of order"),
        (book(time_ms=-5), "book without a coin or a time"),
        (book(time_ms=10**19), "book without a coin or a time"),
        (book(coin=""), "book without a coin or a time"),
        (book(asks=[("NaN", 1.0)]), "unreadable book"),
        (book(bids=[(1e400, 1.0)]), "unreadable book"),
        (book(levels=[[], [], []]), "unreadable book"),
        (book(levels=None), "unreadable book"),
        (book(coin={"a": 1}), "unreadable book"),
    ],
)
def test_a_book_that_is_none_is_left_out_and_counted(said: dict[str, Any], why: str, tmp_path: Path) -> None:
    alone = written(tmp_path / "alone", frame("l2Book", said))
    with pytest.raises(InputError, match=f"alone: no book that can be used; {why}: 1"):
        measure_books([alone])
    good = written(tmp_path / "good", frame("l2Book", book()))
    measured = measure_books([alone, good])
    assert measured.unused == {why: 1}
    assert measured.frame.equals(measure_books([good]).frame)


def test_what_is_no_recording_breaks_nothing(tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    late = [frame("l2Book", book()), frame("trades", [trade(10**19, 100.0, 1), trade(NOON, 1e308, 2)])]
    noise.write_bytes(b"\xff\xfe\n[[[\n\n12\n[1, null, {}]\n" + "\n".join(map(json.dumps, late)).encode())
    measured = measure_books([noise])
    assert (measured.unused, measured.frame.height) == ({"unreadable line": 2, "unreadable trade": 2}, 3)
    with pytest.raises(InputError, match="cannot be read"):
        measure_books([tmp_path / "none"])


def test_recorded_books_of_the_venue_are_measured(shared_venue: Path) -> None:
    frames = shared_venue.parent / "market" / "raw" / "hyperliquid_ws" / "testnet_frames_2026-07-28.jsonl"
    measured = measure_books([frames, shared_venue / "hl_python_sdk" / "json" / "test_get_l2_snapshot.json"])
    found = row(measured, 150.0)
    # Two books of testnet: 14 of 63474; 15.5 and, over two levels, 18.1446 of 63472.5.
    assert found["books"] >= 2
    assert measure_books([frames]).frame[SlippageTable.median_bps][0] == pytest.approx(
        (2.20563 + 2.44200) / 2, abs=1e-4
    )
    assert measure_books([frames]).frame[SlippageTable.high_bps][0] == pytest.approx(2.79615, abs=1e-4)
    assert set(measured.frame[SlippageTable.order_usd]) == {150.0, 1_500.0, 15_000.0}
