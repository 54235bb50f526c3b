"""Parts of the feed: what frames say, when the watchdog barks, what a full queue gives up, what is remembered."""

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import IntegrityError
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval, day_start_ms
from quant_organism.market.tables import CandleTable, LiveCandleTable
from quant_organism.venue.feed.bars import Bar
from quant_organism.venue.feed.core import FeedCore, Reconciled
from quant_organism.venue.feed.figures import channel_of, event_of
from quant_organism.venue.feed.following import write_bars
from quant_organism.venue.feed.messages import (
    AccountNews,
    Acknowledged,
    BestQuote,
    Book,
    FillReport,
    Fills,
    Message,
    Mids,
    Pong,
    Refused,
    Trade,
    Trades,
    Unreadable,
    VenueCandle,
    VenueSays,
    read_message,
)
from quant_organism.venue.feed.plan import FeedPlan, Subscription
from quant_organism.venue.feed.questions import Question, Seen
from quant_organism.venue.feed.queue import ALL, EventQueue, LatencyHistogram
from quant_organism.venue.feed.recording import Recorder, read_lines, recorded_files
from quant_organism.venue.feed.watchdog import LineWatchdog, Ping, Reconnect, Resubscribe, WatchSpec

USER = "0x" + "ab" * 20
START = 1_700_000_040_000
BOOK = Subscription("l2Book", "BTC")
BAR = Bar("BTC", "1m", START, 100.0, 101.0, 99.0, 100.5, 3.0, 2, "trades")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"{", "not_json"),
        (b"Websocket connection established.", "greeting"),
        (b"[]", "not_an_object"),
        (b"{}", "unknown_channel"),
        (b'{"channel":["trades"],"data":[]}', "unknown_channel"),
        (b'{"channel":"explorerBlock","data":[]}', "unknown_channel"),
        (b'{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":null}}', "bad_l2Book"),
        (b'{"channel":"bbo","data":{"coin":"BTC","time":"1","bbo":[null,null]}}', "bad_bbo"),
        (b'{"channel":"trades","data":[{"px":null}]}', "bad_trades"),
        (b'{"channel":"candle","data":{"t":0,"s":"BTC","i":"1m","o":"1","h":"0.5","l":"1","c":"1","v":"1","n":1}}',
         "bad_candle"),
        (b'{"channel":"userFills","data":{"user":null,"fills":[]}}', "bad_userFills"),
        (b'{"channel":"orderUpdates","data":[{"order":null,"status":"open"}]}', "bad_orderUpdates"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_not_raised(frame: bytes, reason: str) -> None:
    message = read_message(frame)
    assert isinstance(message, Unreadable)
    assert message.reason == reason


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12),
       st.sampled_from(["trades", "l2Book", "bbo", "candle", "allMids", "user", "userFills", "orderUpdates", "error",
                        "subscriptionResponse", "activeAssetCtx", "userFundings", "pong"]))  # fmt: skip
def test_no_frame_of_any_shape_breaks_the_reader_or_the_core(data: object, channel: str) -> None:
    frame = json.dumps({"channel": channel, "data": data})
    core = FeedCore(FeedPlan({"BTC": 5}, [Interval.parse("1m")], START, users=(USER,)))
    core.receive(frame, 0.0)


def test_recorded_trades_and_unknown_keys_are_read(shared_venue: Path) -> None:
    lines = (shared_venue / "tickwright" / "ws_trades.jsonl").read_bytes().splitlines()
    messages = [read_message(line) for line in lines]
    assert isinstance(messages[0], Acknowledged)
    assert isinstance(messages[1], Trades)
    assert messages[1].trades[0][:4] == (1_700_000_000_123, 900_000_000_000_001, 43_250.5, 0.25)


def test_a_trade_that_cannot_be_read_costs_only_itself_and_is_counted() -> None:
    rows = [{"coin": "BTC", "px": px, "sz": "1", "time": START, "tid": tid} for tid, px in enumerate(["1.5", None])]
    message = read_message(json.dumps({"channel": "trades", "data": rows}))
    assert isinstance(message, Trades)
    assert (len(message.trades), message.unreadable) == (1, 1)


def test_an_acknowledgement_with_added_fields_is_that_of_what_was_asked_for() -> None:
    said = {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None}
    frame = {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": said}}
    assert read_message(json.dumps(frame)) == Acknowledged(BOOK, is_on=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('Already subscribed: {"type":"l2Book","coin":"BTC"}', Acknowledged(BOOK, is_on=True)),
        ('Invalid subscription {"type":"l2Book","coin":"BTC"}',
         Refused(BOOK, 'Invalid subscription {"type":"l2Book","coin":"BTC"}')),
        ("Too many messages id=3", VenueSays("Too many messages id=3")),
    ],
)  # fmt: skip
def test_error_texts_are_told_apart(text: str, message: object) -> None:
    assert read_message(json.dumps({"channel": "error", "data": text})) == message


def test_a_candle_is_read_as_an_object_and_as_a_list() -> None:
    row = {"t": 0, "T": 59_999, "s": "BTC", "i": "1m", "o": "1", "h": "2", "l": "0.5", "c": "1.5", "v": "3.0", "n": 4}
    one, listed = (read_message(json.dumps({"channel": "candle", "data": data})) for data in (row, [row]))
    assert one == listed == VenueCandle("BTC", "1m", 0, 1.0, 2.0, 0.5, 1.5, 3.0, 4)


def test_the_watchdog_pings_and_gives_a_silent_socket_up() -> None:
    dog = LineWatchdog(WatchSpec(ping_seconds=30, pong_seconds=10), 0.0)
    assert dog.verdicts(29.9) == []
    assert dog.verdicts(30.0) == [Ping()]
    dog.pinged(30.0)
    assert dog.verdicts(39.9) == []
    assert dog.verdicts(40.0) == [Reconnect("pong_missing")]
    dog.ponged()
    assert dog.verdicts(40.0) == []


def test_the_watchdog_subscribes_again_where_a_stream_is_silent_while_others_flow() -> None:
    dog = LineWatchdog(WatchSpec(ping_seconds=1e9, freshness_seconds={"l2Book": 20}, attempts=2), 0.0)
    trades = Subscription("trades", "BTC")
    for subscription in (BOOK, trades):
        dog.subscribed(subscription, 0.0)
        dog.acknowledged(subscription, 1.0)
    dog.heard(BOOK, 10.0)
    assert dog.verdicts(29.9) == []
    assert dog.verdicts(30.0) == [Resubscribe(BOOK, was_silent=True)]
    dog.subscribed(BOOK, 30.0)
    dog.acknowledged(BOOK, 31.0)
    assert dog.verdicts(50.9) == []
    assert dog.verdicts(51.0) == [Reconnect("stream_silent")]


def test_the_watchdog_sends_again_what_was_not_acknowledged_then_gives_up() -> None:
    dog = LineWatchdog(WatchSpec(ping_seconds=1e9, ack_seconds=10, attempts=2), 0.0)
    dog.subscribed(BOOK, 0.0)
    assert dog.verdicts(10.0) == [Resubscribe(BOOK, was_silent=False)]
    dog.subscribed(BOOK, 10.0)
    assert dog.verdicts(20.0) == [Reconnect("ack_missing")]


def test_time_in_which_this_side_was_busy_is_not_held_against_the_venue() -> None:
    dog = LineWatchdog(WatchSpec(ping_seconds=30, pong_seconds=10), 0.0)
    dog.pinged(0.0)
    dog.excuse(20.0)
    assert dog.verdicts(29.9) == []
    assert dog.verdicts(30.0) == [Reconnect("pong_missing")]


def quote(time_ms: int) -> BestQuote:
    return BestQuote("BTC", time_ms, None, None)


def test_a_full_queue_drops_the_oldest_quotes_counts_them_and_never_a_bar_or_fill() -> None:
    queue = EventQueue(3)
    fills = Fills(USER, [])
    assert all(queue.offer(event) for event in (quote(1), quote(2), BAR, fills, quote(3), quote(4)))
    assert queue.dropped == {"BestQuote": 3}
    assert queue.offer(BAR)
    assert not queue.offer(fills), "full of what must not be lost: the feed has to wait"
    assert queue.offer(Mids("", {}))
    assert queue.dropped == {"BestQuote": 4, "Mids": 1}

    async def drain() -> list[object]:
        waiting = asyncio.create_task(queue.put(fills))
        first = await queue.get()
        await waiting
        queue.close()
        return [first, *[await queue.get() for _ in range(4)]]

    assert asyncio.run(asyncio.wait_for(drain(), 30.0)) == [BAR, fills, BAR, fills, None]


def test_fills_are_asked_for_from_before_the_gap_and_delivered_once() -> None:
    core = FeedCore(FeedPlan({"BTC": 5}, [Interval.parse("1m")], START, users=(USER,)))

    def fill(tid: int, time_ms: int) -> dict[str, object]:
        return {"coin": "BTC", "px": "1", "sz": "1", "time": time_ms, "tid": tid, "oid": tid}

    def hear(*fills: dict[str, object]) -> list[int]:
        frame = json.dumps({"channel": "userFills", "data": {"user": USER, "fills": fills}})
        return [f.tid for event in core.receive(frame, 0.0)[1] if isinstance(event, Fills) for f in event.fills]

    def acknowledge(kind: str) -> None:
        said = {"method": "subscribe", "subscription": {"type": kind, "user": USER}}
        core.receive(json.dumps({"channel": "subscriptionResponse", "data": said}), 0.0)

    core.opened()
    for kind in ("userFills", "orderUpdates", "userEvents"):
        acknowledge(kind)
    (first,) = core.questions(0.0)
    assert (first.kind, first.first_ms) == ("fills", START)
    assert core.answered(first, [], 0.0) == []
    core.answered(core.questions(0.0)[0], [], 0.0)
    assert hear(fill(1, START + 100_000), fill(1, START + 100_000)) == [1]
    core.lost()
    core.opened()
    acknowledge("userFills")
    acknowledge("orderUpdates")
    assert hear(fill(4, START + 900_000)) == [4]
    assert core.questions(0.0) == [], "not before all streams of the account are acknowledged"
    acknowledge("userEvents")
    fills, orders = [*core.questions(0.0), *core.questions(0.0)]
    assert (fills.kind, fills.first_ms) == ("fills", START + 40_000)
    answer = [fill(tid, START + tid * 100_000) for tid in (1, 2, 3)] + [fill(4, START + 900_000)]
    events = core.answered(fills, answer, 0.0)
    assert [f.tid for event in events if isinstance(event, Fills) for f in event.fills] == [2, 3]
    assert core.answered(orders, [{"oid": 7}], 0.0) == [Reconciled(USER, [{"oid": 7}])]


def test_open_orders_are_asked_for_on_every_dex_and_told_together() -> None:
    plan = FeedPlan({"BTC": 5, "xyz:GOLD": 3}, [Interval.parse("1m")], START, users=(USER,), dexs=("abc",))
    core = FeedCore(plan)

    def reconnect() -> None:
        core.opened()
        for kind in ("userFills", "orderUpdates", "userEvents"):
            said = {"method": "subscribe", "subscription": {"type": kind, "user": USER}}
            core.receive(json.dumps({"channel": "subscriptionResponse", "data": said}), 0.0)

    def asked(kind: str) -> list[Question]:
        return [question for question in core.questions(0.0) if question.kind == kind]

    reconnect()
    (fills,) = asked("fills")
    core.answered(fills, [], 0.0)
    own, abc, xyz = asked("orders")
    assert [question.body()["dex"] for question in (own, abc, xyz)] == ["", "abc", "xyz"]
    assert core.answered(own, [{"oid": 1}], 0.0) == []
    core.failed(abc, 0.0)
    assert core.answered(xyz, [{"oid": 3}], 0.0) == []
    (again,) = [question for question in core.questions(10_000.0) if question.kind == "orders"]
    assert again == abc
    assert core.answered(again, [{"oid": 2}], 0.0) == [Reconciled(USER, [{"oid": 1}, {"oid": 2}, {"oid": 3}])]
    reconnect()
    (fills,) = asked("fills")
    core.answered(fills, [], 0.0)
    own, abc, xyz = asked("orders")
    core.answered(xyz, [], 0.0)
    reconnect()  # what was asked before the gap does not tell what is open after it
    assert core.answered(own, [{"oid": 9}], 0.0) == core.answered(abc, [], 0.0) == []
    (fills,) = asked("fills")
    core.answered(fills, [], 0.0)
    answers = [core.answered(question, [], 0.0) for question in asked("orders")]
    assert answers == [[], [], [Reconciled(USER, [])]]


@given(st.lists(st.integers(0, 50), max_size=200))
def test_what_was_seen_lately_is_not_new(keys: list[int]) -> None:
    seen = Seen(60)
    assert [key for key in keys if seen.is_new(key)] == list(dict.fromkeys(keys))


@given(st.lists(st.floats(1e-6, 1e3), min_size=1))
def test_quantiles_are_within_a_tenth(durations: list[float]) -> None:
    histogram = LatencyHistogram()
    for seconds in durations:
        histogram.add(seconds)
    assert max(durations) <= histogram.quantile(1.0) * 1.0001
    assert histogram.quantile(1.0) <= max(durations) * 1.1


def test_what_ends_before_a_power_of_two_is_counted_exactly() -> None:
    histogram = LatencyHistogram()
    for microseconds in (-5.0, 0.5, 1_000.0, 1_023.0, 1_025.0, 2_049.0, 1e13):
        histogram.add(microseconds / 1e6)
    assert [histogram.within(doublings) for doublings in (1, 10, 11, 12, ALL)] == [2, 4, 5, 6, 7]
    assert histogram.total_s == pytest.approx((0.5 + 1_000 + 1_023 + 1_025 + 2_049 + 1e13) / 1e6)


def test_every_message_came_by_a_channel_and_the_newest_event_of_some_is_known() -> None:
    at = [FillReport(time_ms, "BTC", 1, 1, {}) for time_ms in (5, 9)]
    news = AccountNews("userFundings", USER, {})
    known = {
        "trades": (Trades("BTC", [Trade(3, 1, 1.0, 1.0), Trade(4, 2, 1.0, 1.0)]), ("BTC", 4)),
        "bbo": (BestQuote("BTC", 7, None, None), ("BTC", 7)),
        "l2Book": (Book("BTC", 8, [], []), ("BTC", 8)),
        "userFills": (Fills(USER, at), (USER, 9)),
        "user": (Fills("", at), ("", 9)),
    }
    silent: dict[str, Message] = {"userFundings": news, "pong": Pong(), "unreadable": Unreadable("not_json")}
    assert {name: channel_of(message) for name, (message, _) in known.items()} == {name: name for name in known}
    assert {name: event_of(message) for name, (message, _) in known.items()} == {n: e for n, (_, e) in known.items()}
    assert {name: (channel_of(message), event_of(message)) for name, message in silent.items()} == {
        name: (name, None) for name in silent
    }
    assert event_of(Fills(USER, at, is_snapshot=True)) is event_of(Trades("BTC", [], 1)) is None
    for kind in get_args(Message):
        if kind is not AccountNews:
            assert channel_of(kind.__new__(kind) if kind is not Fills else Fills(USER, []))


def test_bars_go_into_the_lake_once_and_a_revision_takes_their_place(tmp_path: Path) -> None:
    day = date(2025, 1, 1)
    bars = [Bar("BTC", "1h", day_start_ms(day) + n * 3_600_000, *(1.0,) * 5, 1, "trades") for n in range(26)]
    lake = Lake(tmp_path)
    assert write_bars(lake, "venue", bars[:20]) == 1
    assert write_bars(lake, "venue", bars) == 2
    assert write_bars(lake, "venue", bars) == 0
    revised = Bar("BTC", "1h", bars[3].open_ms, *(2.0,) * 5, 1, "venue", is_revision=True)
    assert write_bars(lake, "venue", [revised]) == 1
    frame = lake.table(LiveCandleTable).read(market="venue", interval="1h")
    assert frame.schema == CandleTable.schema
    assert frame["close"].to_list() == [2.0 if n == 3 else 1.0 for n in range(26)]


def test_of_a_recording_that_a_crash_cut_off_everything_flushed_can_be_read(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for n in range(5):
        recorder.write(n * 2_000.0, "frame", f"{n}")
    (part,) = recorded_files(tmp_path)
    assert [line[2] for line in read_lines(part)] == ["0", "1", "2", "3", "4"]
    recorder.close()
    (whole,) = recorded_files(tmp_path)
    whole.write_bytes(whole.read_bytes()[:-9])
    with pytest.raises(IntegrityError, match="leave the file out"):
        list(read_lines(whole))
