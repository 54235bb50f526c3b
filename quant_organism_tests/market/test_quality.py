"""Quality explains itself bar by bar, counts a bar once, and blocks what stands on poor data."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.quality import assess, defects, summarise
from quant_organism.market.schema import Interval
from quant_organism.market.tables import REASONS, DefectTable, SetAsideTable
from quant_organism_tests.market.file_examples import START, market

HOUR = Interval.parse("1h")
AT = pl.int_range(pl.len())


def hour(at: int) -> datetime:
    return START + timedelta(hours=at)


def at(*rows: int) -> pl.Expr:
    return AT.is_in(list(rows))


def altered(frame: pl.DataFrame, where: pl.Expr, **values: float) -> pl.DataFrame:
    return frame.with_columns(**{n: pl.when(where).then(v).otherwise(n) for n, v in values.items()})


def found(frame: pl.DataFrame, **options: object) -> list[tuple[str, datetime, str]]:
    return defects(frame, HOUR, **options).select("symbol", "timestamp", "reason").rows()  # type: ignore[arg-type]


def with_close(frame: pl.DataFrame, closes: np.ndarray) -> pl.DataFrame:
    """Let bars follow the closes, each opening at the close before."""
    opens = np.concatenate([closes[:1], closes[:-1]])
    return frame.with_columns(
        open=pl.Series(opens),
        close=pl.Series(closes),
        high=pl.Series(np.maximum(opens, closes)),
        low=pl.Series(np.minimum(opens, closes)),
    )


def test_sound_bars_have_no_defects_and_score_one() -> None:
    frame = pl.concat([market("BTC", seed=1), market("ETH", bars=30, seed=2)]).sort("timestamp", "symbol")
    assert defects(frame, HOUR).is_empty()
    assert defects(frame, HOUR).schema == DefectTable.schema
    table = assess(frame, HOUR)
    assert table.select("day", "symbol", "bars", "expected", "score", "reasons").rows() == [
        (date(2024, 3, 1), "BTC", 24, 24, 1.0, ""),
        (date(2024, 3, 1), "ETH", 24, 24, 1.0, ""),
        (date(2024, 3, 2), "BTC", 24, 24, 1.0, ""),
        (date(2024, 3, 2), "ETH", 6, 6, 1.0, ""),
    ]
    assert summarise(table).blocking_reasons() == []


def test_a_missing_bar_is_a_gap_only_within_the_symbols_life() -> None:
    frame = market(bars=48).filter(~at(0, 1, 10, 11, 30, 47))
    assert found(frame) == [("BTC", hour(10), "gap"), ("BTC", hour(11), "gap"), ("BTC", hour(30), "gap")]
    table = assess(frame, HOUR)
    assert table["expected"].to_list() == [22, 23]
    assert table["bars"].to_list() == [20, 22]
    assert table["score"].to_list() == [1 - 2 / 22, 1 - 1 / 23]
    assert table["reasons"].to_list() == ["gap 2", "gap 1"]


def test_a_known_listing_makes_missing_edges_gaps() -> None:
    frame = market(bars=24).filter(~at(0, 23))
    listed = {"BTC": (hour(-500), hour(500)), "ETH": (hour(6), hour(500)), "SOL": (hour(100), hour(200))}
    table = assess(frame, HOUR, listed=listed)
    assert table.select("symbol", "bars", "expected", "gap").rows() == [("BTC", 22, 24, 2), ("ETH", 0, 18, 18)]
    assert [score.of for score in summarise(table).symbols] == ["ETH", "BTC"]


def test_a_listing_makes_gaps_of_every_day_that_the_market_has() -> None:
    # ETH is listed throughout, has bars on the first of two days only, and BTC on both.
    frame = pl.concat([market("BTC", bars=48, seed=1), market("ETH", bars=20, seed=2)]).sort("timestamp", "symbol")
    listed = {symbol: (hour(-500), hour(500)) for symbol in ("BTC", "ETH")}
    table = assess(frame, HOUR, listed=listed)
    assert table.select("day", "symbol", "bars", "expected", "gap").rows() == [
        (date(2024, 3, 1), "BTC", 24, 24, 0),
        (date(2024, 3, 1), "ETH", 20, 24, 4),
        (date(2024, 3, 2), "BTC", 24, 24, 0),
        (date(2024, 3, 2), "ETH", 0, 24, 24),
    ]


def test_a_repeated_bar_is_a_duplicate() -> None:
    frame = market()
    assert found(pl.concat([frame, frame[5:6]])) == [("BTC", hour(5), "duplicate")]
    assert assess(pl.concat([frame, frame[5:6]]), HOUR)["bars"].to_list() == [24, 24]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"low": 500.0}, "ohlc"),
        ({"close": 500.0}, "ohlc"),
        ({"open": 0.0}, "not_positive"),
        ({"volume": -1.0}, "negative_volume"),
        ({"close": float("nan")}, "not_finite"),
        ({"volume": float("inf")}, "not_finite"),
    ],
)
def test_impossible_numbers(values: dict[str, float], reason: str) -> None:
    rows = defects(altered(market(), at(7), **values), HOUR)
    assert (hour(7), reason) in rows.select("timestamp", "reason").rows()
    assert set(rows["reason"]) <= {reason, "outlier"}


def test_a_bar_off_the_grid_is_a_defect_and_a_gap() -> None:
    moved = market().with_columns(pl.col("timestamp") + pl.duration(seconds=pl.when(at(7)).then(90).otherwise(0)))
    assert found(moved.with_columns(pl.col("timestamp").cast(pl.Datetime("ms", "UTC")))) == [
        ("BTC", hour(7), "gap"),
        ("BTC", hour(7) + timedelta(seconds=90), "off_grid"),
    ]


def test_six_bars_without_volume_are_a_run_and_five_are_a_thin_coin() -> None:
    assert found(altered(market(), at(*range(5), 20, 22, 24), volume=0.0)) == []
    run = found(altered(market(), at(*range(10, 16)), volume=0.0))
    assert run == [("BTC", hour(i), "zero_volume_run") for i in range(10, 16)]
    # A gap breaks the run: on neither side of it are there six.
    broken = altered(market(), at(*range(10, 17)), volume=0.0).filter(~at(13))
    assert found(broken) == [("BTC", hour(13), "gap")]


def test_runs_do_not_reach_from_one_symbol_into_the_next() -> None:
    btc = altered(market("BTC"), AT >= 44, volume=0.0, open=9.0, high=9.0, low=9.0, close=9.0)
    eth = altered(market("ETH"), AT < 4, volume=0.0, open=9.0, high=9.0, low=9.0, close=9.0)
    assert {reason for _, _, reason in found(pl.concat([btc, eth]))} <= {"outlier"}


def test_twelve_identical_bars_are_stale() -> None:
    frozen = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0}
    assert [row for row in found(altered(market(), at(*range(20, 31)), **frozen)) if row[2] == "stale"] == []
    stale = [row for row in found(altered(market(), at(*range(20, 32)), **frozen)) if row[2] == "stale"]
    assert stale == [("BTC", hour(i), "stale") for i in range(20, 32)]


def random_walk(bars: int, sigma: float = 0.004, seed: int = 3) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, sigma, bars)))


def test_a_spike_that_comes_back_is_an_outlier_and_a_crash_is_not() -> None:
    frame, closes = market(bars=400), random_walk(400)
    spike = closes.copy()
    spike[200] *= 1.5
    rows = defects(with_close(frame, spike), HOUR)
    assert rows.select("timestamp", "reason").rows() == [(hour(200), "outlier")]
    percent = 100 * spike[200] / spike[199] - 100
    assert rows["detail"][0].startswith(f"the close jumps by {percent:.2f} % (")
    assert rows["detail"][0].endswith("robust deviations) and comes back within two bars")

    two_bars = closes.copy()
    two_bars[200:202] *= 0.5
    assert found(with_close(frame, two_bars)) == [("BTC", hour(200), "outlier")]

    crash = closes.copy()
    crash[200:] *= 0.5
    assert found(with_close(frame, crash)) == []


def test_in_a_storm_the_storm_is_the_measure() -> None:
    moves = np.random.default_rng(5).normal(0, 0.002, 600)
    moves[400:] *= 15  # two hundred stormy hours after a calm
    moves[500], moves[501] = 0.1, -0.1  # 50 deviations of the calm, 3 of the storm
    frame = with_close(market(bars=600), 100 * np.exp(np.cumsum(moves)))
    assert (hour(500), "outlier") not in defects(frame, HOUR).select("timestamp", "reason").rows()


def test_a_quiet_week_does_not_make_an_ordinary_move_an_outlier() -> None:
    moves = np.random.default_rng(5).normal(0, 0.01, 2_000)
    moves[1_000:1_200] *= 0.02
    moves[1_199], moves[1_200] = 0.03, -0.03
    assert found(with_close(market(bars=2_000), 100 * np.exp(np.cumsum(moves)))) == []


def test_a_coin_that_mostly_stands_still_has_no_outliers_for_that() -> None:
    moves = np.zeros(300)
    moves[::9] = np.random.default_rng(4).normal(0, 0.004, len(moves[::9]))
    assert "outlier" not in {
        reason for _, _, reason in found(with_close(market(bars=300), 100 * np.exp(np.cumsum(moves))))
    }


def test_forming_bars() -> None:
    assert found(market(), as_of=hour(47)) == [("BTC", hour(47), "forming")]
    assert found(market(), as_of=hour(48)) == []


def aside(*rows: tuple[str, int | None, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(s, None if i is None else hour(i), "BTC.parquet", i, reason, "found so") for s, i, reason in rows],
        schema=SetAsideTable.schema,
        orient="row",
    )


def test_rows_set_aside_count_under_their_own_reason_and_once() -> None:
    frame = market().filter(~at(10))
    rows = aside(("BTC", 10, "ohlc"), ("BTC", 11, "duplicate"), ("BTC", None, "unreadable"), ("BTC", 48, "forming"))
    assert found(frame, set_aside=rows) == [
        ("BTC", hour(10), "gap"),
        ("BTC", hour(10), "ohlc"),
        ("BTC", hour(11), "duplicate"),
    ]
    first = assess(frame, HOUR, set_aside=rows).row(0, named=True)
    assert (first["gap"], first["ohlc"], first["duplicate"]) == (1, 1, 1)
    assert first["defective"] == 2
    assert first["score"] == 1 - 2 / 24
    assert first["reasons"] == "gap 1, duplicate 1, ohlc 1"


def test_each_rule_blocks_with_a_sentence_that_names_what_to_do() -> None:
    sound = [market(name, bars=24 * 40, seed=seed) for seed, name in enumerate(["BTC", "ETH", "SOL", "XRP"])]

    def blocked(*frames: pl.DataFrame) -> list[str]:
        return summarise(assess(pl.concat(frames), HOUR)).blocking_reasons()

    assert blocked(*sound) == []
    # One symbol of four lacks a tenth of its bars: 97.5 % overall.
    (thin,) = blocked(*sound[:3], sound[3].filter(~(AT % 10 == 5)))
    assert thin.startswith("XRP scores 90.00%, below 95%: 96 of 960 bars are defective (gap 96)")
    assert "leave XRP out with --symbols" in thin
    # The last day is torn for all.
    (torn,) = blocked(*[frame.filter(~at(*range(940, 945))) for frame in sound])
    assert torn.startswith("2024-04-09 scores 79.17%")
    assert len(blocked(*[frame.filter(~(AT % 10 == 5)) for frame in sound])) == 6
    strict = summarise(assess(pl.concat([sound[0].filter(~at(100)), sound[1]]), HOUR))
    assert strict.blocking_reasons() == []
    assert len(strict.blocking_reasons(min_quality=1.0)) == 2


def test_a_summary_weighs_bars_and_puts_the_worst_first() -> None:
    frame = pl.concat([market("BTC"), market("ETH", bars=30).filter(~at(3, 4, 5))])
    summary = summarise(assess(frame, HOUR))
    assert (summary.overall.expected, summary.overall.defective) == (78, 3)
    assert summary.overall.score == 1 - 3 / 78
    assert [(score.of, score.score) for score in summary.symbols] == [("ETH", 0.9), ("BTC", 1.0)]
    assert [score.of for score in summary.days] == ["2024-03-01", "2024-03-02"]
    assert summary.newest_day.of == "2024-03-02"
    assert summary.overall.reasons == "gap 3"


def test_no_bars_are_no_quality() -> None:
    nothing = assess(market().clear(), HOUR)
    assert nothing.schema == assess(market(), HOUR).schema
    with pytest.raises(InputError, match="no bars to judge"):
        summarise(nothing)


@settings(max_examples=25, deadline=None)
@given(
    missing=st.sets(st.integers(1, 70), max_size=30),
    broken=st.sets(st.integers(1, 70), max_size=10),
    seed=st.integers(0, 1_000),
)
def test_a_score_is_the_share_of_bars_without_any_defect(missing: set[int], broken: set[int], seed: int) -> None:
    frame = altered(market(bars=72), at(*sorted(broken)), low=0.0).filter(~at(*sorted(missing)))
    table = assess(frame.sample(fraction=1.0, shuffle=True, seed=seed), HOUR)
    assert table["expected"].sum() == 72
    assert table["defective"].sum() == len(missing | broken)
    assert table["score"].is_between(0, 1).all()
    assert table["gap"].sum() == len(missing)
    assert table.equals(assess(frame, HOUR))


def test_every_reason_has_its_column() -> None:
    assert set(REASONS) <= set(assess(market(), HOUR).columns)


REAL = {
    "hl_perp_1h": ("1h", []),
    "hl_perp_5m": ("5m", []),
    "binance_perp_1h": ("1h", []),
    "binance_perp_1h_long": ("1h", []),
    "binance_perp_1m_2025": ("1m", []),
    "binance_spot_1h": ("1h", []),
    "gemini_spot_1h": ("1h", []),
    "binance_perp_1m_months": ("1m", ["the market", "FIL"]),  # whole months are missing
}


@pytest.mark.parametrize("name", REAL)
def test_real_markets(shared_market: Path, name: str) -> None:
    interval, blocked = REAL[name]
    source = FileSource(shared_market / name, repair=True)
    bars = source.candles(source.symbols(), Interval.parse(interval), date(2009, 1, 1), date(2099, 1, 1))
    summary = summarise(assess(bars, Interval.parse(interval), set_aside=source.set_aside()))
    assert [sentence.split(" scores")[0] for sentence in summary.blocking_reasons()] == blocked
    if not blocked:
        assert summary.overall.score > 0.99


def test_real_outages_are_named_bar_by_bar(shared_market: Path) -> None:
    source = FileSource(shared_market / "binance_spot_1h")
    bars = source.candles(["BTC"], HOUR, date(2018, 1, 1), date(2025, 5, 31))
    gaps = defects(bars, HOUR).filter(pl.col("reason") == "gap")
    assert gaps.height == 122
    assert datetime(2018, 2, 8, 12, tzinfo=UTC) in gaps["timestamp"].to_list()  # the outage of 8 February 2018
