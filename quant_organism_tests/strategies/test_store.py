"""The indicator store never holds more than its ceiling, and only other markets make way."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from quant_organism.resilience import return_freed_memory
from quant_organism.strategies import AssetBars, IndicatorStore
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.indicators.averages import EMA
from quant_organism.strategies.store import RoomPool
from quant_organism_tests.strategies.scenarios import noisy

ROW = 8 * 400


def bars(market: str, seed: int = 0) -> AssetBars:
    """Return 400 bars of an asset of a market."""
    return AssetBars(**noisy(seed), numbers=np.arange(400), bar_hours=1.0, market=market, asset="A")


def test_rows_are_kept_and_grow_by_what_is_new() -> None:
    store = IndicatorStore(10 * ROW)
    first, _ = IndicatorBank(bars("m"), {EMA: np.array([5, 9])}, store).rows(EMA, np.array([5]))
    assert store.used_bytes == 2 * ROW
    again, place = IndicatorBank(bars("m"), {EMA: np.array([9, 20, 9])}, store).rows(EMA, np.array([9, 20]))
    assert store.used_bytes == 3 * ROW
    alone, own = IndicatorBank(bars("m"), {EMA: np.array([9, 20])}).rows(EMA, np.array([9, 20]))
    np.testing.assert_array_equal(again[place], alone[own])
    np.testing.assert_array_equal(again[0], first[0])


def test_what_does_not_fit_is_computed_and_not_kept() -> None:
    store = IndicatorStore(2 * ROW)
    for periods in ([5, 9], [9, 20, 30], [5, 20]):
        rows, place = IndicatorBank(bars("m"), {EMA: np.array(periods)}, store).rows(EMA, np.array(periods))
        alone, own = IndicatorBank(bars("m"), {EMA: np.array(periods)}).rows(EMA, np.array(periods))
        np.testing.assert_array_equal(rows[place], alone[own])
        assert store.used_bytes <= 2 * ROW


def test_a_store_knows_what_is_missing_and_what_room_is_left() -> None:
    store = IndicatorStore(5 * ROW)
    IndicatorBank(bars("m"), {EMA: np.array([5, 9])}, store)
    assert store.missing("m", "A", "ema", np.array([5, 7, 9, 11])) == 2
    assert store.missing("m", "B", "ema", np.array([5, 9])) == 2
    assert store.room_beside("m") == 3 * ROW
    assert store.room_beside("another") == 5 * ROW


def test_another_market_makes_way() -> None:
    store = IndicatorStore(3 * ROW)
    IndicatorBank(bars("old"), {EMA: np.array([5, 9])}, store)
    IndicatorBank(bars("new", 1), {EMA: np.array([5, 9])}, store)
    assert store.table("old", "A", "ema") is None
    assert store.table("new", "A", "ema") is not None
    assert store.used_bytes == 2 * ROW


def test_rows_that_somebody_reads_stay_as_they_are_while_room_that_nobody_reads_is_used_again() -> None:
    store, periods = IndicatorStore(6 * ROW), [[5, 9], [9, 20, 30], [12]]
    held, expected = [], []
    for turn in range(12):  # of each market some room is left behind, and its rows are read on or not
        market = bars(str(turn), turn)
        for keys in periods:
            rows, place = IndicatorBank(market, {EMA: np.array(keys)}, store).rows(EMA, np.array(keys))
            alone, own = IndicatorBank(market, {EMA: np.array(keys)}).rows(EMA, np.array(keys))
            if turn % 3:
                held.append(rows[place[:1]] if turn % 2 else rows[place[0]])
                expected.append(alone[own[:1]] if turn % 2 else alone[own[0]])
            np.testing.assert_array_equal(rows[place], alone[own])
    for found, right in zip(held, expected, strict=True):
        np.testing.assert_array_equal(found, right)


def test_room_is_used_again_once_its_last_reader_is_gone_and_no_more_is_kept_than_said() -> None:
    pool = RoomPool(most_bytes=2**16)
    first = pool.take((3, 100), np.dtype(np.float64))
    first[:] = 7.0
    reader = first[1, 10:]
    where = first.ctypes.data
    del first
    other = pool.take((3, 100), np.dtype(np.float64))
    assert other.ctypes.data != where
    assert (reader == 7.0).all()
    del reader
    again = pool.take((400,), np.dtype(np.float64))
    assert again.ctypes.data == where
    big = pool.take((2**14,), np.dtype(np.float64))  # more than is kept
    del again, other, big
    assert {size: len(idle) for size, idle in pool.idle.items() if idle} == {4096: 2}
    return_freed_memory()
    assert not pool.idle


def test_bars_without_a_name_leave_nothing_behind() -> None:
    store = IndicatorStore(100 * ROW)
    IndicatorBank(bars(""), {EMA: np.array([5])}, store)
    assert store.used_bytes == 0


@pytest.mark.parametrize(("ceiling", "makes"), [(1_000, 1), (100, 2)])
def test_models_are_made_once_where_they_fit(ceiling: int, makes: int) -> None:
    store, made = IndicatorStore(ceiling), []

    def fit() -> tuple[np.ndarray, ...]:
        made.append(1)
        return (np.arange(100.0),)

    for _ in range(2):
        assert store.remember(b"fit", fit)[0].size == 100
    assert len(made) == makes


def test_rows_make_way_for_a_model_and_no_model_for_rows() -> None:
    store = IndicatorStore(3 * ROW)
    IndicatorBank(bars("m"), {EMA: np.array([5, 9])}, store)
    for key in (b"first", b"second"):
        store.remember(key, lambda: (np.zeros(ROW // 8),))
    assert store.table("m", "A", "ema") is None
    assert store.used_bytes == 2 * ROW
    IndicatorBank(bars("m"), {EMA: np.array([5, 9])}, store)
    assert store.used_bytes == 2 * ROW
    made: list[int] = []
    for key in (b"first", b"second"):
        store.remember(key, lambda: (made.append(1), np.zeros(1))[1:])
    assert made == []


def test_a_key_that_was_not_asked_for_is_an_error() -> None:
    with pytest.raises(KeyError, match="ema was not built for all"):
        IndicatorBank(bars("m"), {EMA: np.array([5])}).rows(EMA, np.array([7]))


def test_what_a_bank_reads_stays_as_it_is_while_rows_are_added() -> None:
    store, periods = IndicatorStore(100 * ROW), np.array([30, 5, 12])
    bank = IndicatorBank(bars("m"), {EMA: periods}, store)
    before = [row.copy() for row in bank.rows(EMA, periods)[0]]
    for added in ([7, 40], [2], [90, 6, 5, 33]):
        added_to = IndicatorBank(bars("m"), {EMA: np.array(added)}, store)
        for period in (*periods, *added):
            rows, place = added_to.rows(EMA, np.array([period]))
            alone, own = IndicatorBank(bars("m"), {EMA: np.array([period])}).rows(EMA, np.array([period]))
            np.testing.assert_array_equal(rows[place], alone[own])
    np.testing.assert_array_equal(bank.rows(EMA, periods)[0], before)
    assert store.used_bytes == 9 * ROW


def test_threads_that_make_the_same_rows_keep_them_once() -> None:
    store, periods = IndicatorStore(1000 * ROW), np.arange(2, 60)
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(lambda k: IndicatorBank(bars("m"), {EMA: periods[k : k + 30]}, store), range(28)))
    assert store.used_bytes == (28 - 1 + 30) * ROW
    rows, places = IndicatorBank(bars("m"), {EMA: periods[:57]}, store).rows(EMA, periods[:57])
    alone, own = IndicatorBank(bars("m"), {EMA: periods[:57]}).rows(EMA, periods[:57])
    np.testing.assert_array_equal(rows[places], alone[own])
