"""Conditions hold exactly where they say, and positions follow from them by the step that all families share."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.strategies import Genome, default_genome, get_family, signal
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.conditions.document import Condition, ConditionGroup, read_document
from quant_organism.strategies.conditions.rules import condition_holds, group_holds
from quant_organism.strategies.conditions.series import KINDS, find_series
from quant_organism.strategies.handwritten.explanation import explain
from quant_organism.strategies.handwritten.load import conditions_genome
from quant_organism.strategies.signals import valid_bars
from quant_organism_tests.strategies.conditions.documents import DOCUMENT, compare, simple
from quant_organism_tests.strategies.scenarios import Columns, alternating, bars, noisy, runs, sideways

SEEDS = st.integers(0, 2**32 - 1)


def targets(document: dict[str, Any], columns: Columns) -> list[tuple[int, int, float]]:
    """Return the stretches of held positions of a document."""
    return runs(signal(conditions_genome(document), columns))


def bank_of(names: list[str], columns: Columns) -> IndicatorBank:
    """Return a bank with everything that the named series need."""
    bars_, _ = valid_bars(default_genome("conditions"), columns)
    needs: dict[str, list[int]] = {}
    for name in names:
        for row, key in find_series(name, name).rows:
            needs.setdefault(row, []).append(key)
    return IndicatorBank(bars_, {row: np.array(keys, dtype=np.int64) for row, keys in needs.items()})


def expected(name: str, columns: Columns) -> pd.Series:
    """Return a series by a pandas expression."""
    close, high, low, volume = (pd.Series(columns[column]) for column in ("close", "high", "low", "volume"))
    word, _, digits = name.rpartition("_")
    n = int(digits) if digits.isdigit() else 0
    mean, deviation = close.rolling(max(n, 1)).mean(), close.rolling(max(n, 1)).apply(np.std, raw=True)

    def smoothed(x: pd.Series, weight: float, span: int) -> pd.Series:
        # The first value is the mean of the first `span`, as of the last of them.
        begin = int(x.first_valid_index() or 0)
        seeded = x.copy()
        seeded.iloc[: begin + span - 1] = np.nan
        seeded.iloc[begin + span - 1] = x.iloc[begin : begin + span].mean()
        return seeded.ewm(alpha=weight, adjust=False, ignore_na=True).mean()

    def ema(x: pd.Series, span: int) -> pd.Series:
        return smoothed(x, 2 / (span + 1), span)

    macd = ema(close, 12) - ema(close, 26)
    known: dict[str, Callable[[], pd.Series]] = {
        "SMA": lambda: mean,
        "EMA": lambda: ema(close, n),
        "SMA_GAP": lambda: close / mean - 1,
        "ROC": lambda: close.pct_change(n),
        "RSI": lambda: (
            100
            * smoothed(close.diff().clip(lower=0), 1 / n, n)
            / (smoothed(close.diff().clip(lower=0), 1 / n, n) + smoothed(-close.diff().clip(upper=0), 1 / n, n))
        ),
        "STOCH_K": lambda: 100 * (close - low.rolling(n).min()) / (high.rolling(n).max() - low.rolling(n).min()),
        "VWAP": lambda: (volume * (high + low + close) / 3).rolling(n).sum() / volume.rolling(n).sum(),
        "ATR": lambda: smoothed(
            pd.concat([high - low, (high - close.shift()).abs(), (low - close.shift()).abs()], axis=1)
            .max(axis=1)
            .where(close.shift().notna()),
            1 / n,
            n,
        ),
        "ZSCORE": lambda: (close - mean) / deviation,
        "BB_UPPER": lambda: mean + 2 * deviation,
        "BB_LOWER": lambda: mean - 2 * deviation,
        "DONCHIAN_UPPER": lambda: high.shift().rolling(n).max(),
        "DONCHIAN_LOWER": lambda: low.shift().rolling(n).min(),
        "MEAN_VOLUME": lambda: volume.shift().rolling(n).mean(),
        "MACD": lambda: macd,
        "MACD_SIGNAL": lambda: ema(macd, 9),
        "MACD_HISTOGRAM": lambda: macd - ema(macd, 9),
    }
    return known[name]() if name in known else known[word]()


EVERY_NAME = [word if kind.default == 0 else f"{word}_11" for word, kind in KINDS.items()]


@pytest.mark.parametrize("name", EVERY_NAME)
@pytest.mark.parametrize("count", [0, 10, 400])
def test_every_name_is_its_formula_from_the_bar_on_that_its_history_says(name: str, count: int) -> None:
    columns = {column: values[:count] for column, values in noisy(3).items()}
    series = find_series(name, name)
    values = series.values(bank_of([name], columns))
    assert np.isnan(values[: series.history - 1]).all()
    assert np.isfinite(values[series.history - 1 :]).all()
    if count > 50:
        np.testing.assert_allclose(values, expected(series.name, columns), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", EVERY_NAME)
def test_every_name_is_its_formula_on_real_bars(name: str, shared_market: Path) -> None:
    frame = pl.read_parquet(shared_market / "hl_perp_1h" / "AVAX.parquet").drop_nulls()
    columns = {column: frame[column].to_numpy().astype(np.float64) for column in get_family("conditions").columns}
    values, formula = find_series(name, name).values(bank_of([name], columns)), expected(name, columns).to_numpy()
    # What is a difference of prices may be next to nothing beside them.
    np.testing.assert_allclose(values, formula, rtol=1e-10, atol=1e-14 * np.nanmax(np.abs(columns["close"])))


def test_an_rsi_reversal_on_both_sides() -> None:
    # The closes of the rsi_filter's known answer: RSI_5 is 20.5535 on bar 18, 51.1600 on bar 20, 75.8214 on bar 23,
    # 53.7937 on bar 27 and 42.9154 on bar 28.
    columns = bars([*alternating(100, 101, 15), 100, 99, 98, 97, 98, 99, 100, 101, 102, 103, 104, 103, 102, 101, 100])
    long = simple("LONG", [compare("RSI_5", "<=", 25)], [compare("RSI_5", ">=", 50)])
    short = simple("SHORT", [compare("RSI_5", ">=", 75)], [compare("RSI_5", "<=", 50)])
    assert targets(long, columns) == [(18, 19, 1.0)]
    assert targets(short, columns) == [(23, 27, -1.0)]


CROSSING_CLOSE = [10, 10, 10, 10, 12, 14, 12, 8, 6]


def test_crossing_averages() -> None:
    # SMA_2 of bars 3..8: 10, 11, 13, 13, 10, 7. SMA_4: 10, 10.5, 11.5, 12, 11.5, 10. Up through it on bar 4, down on 7.
    document = simple(
        "LONG",
        [compare("SMA_2", "crosses_above", "SMA_4")],
        [compare("SMA_2", "crosses_below", "SMA_4")],
    )
    assert targets(document, bars(CROSSING_CLOSE)) == [(4, 6, 1.0)]
    # Without a crossing four bars of history are enough and the state decides; five are needed with one.
    state = simple("LONG", [compare("SMA_2", ">=", "SMA_4")], [compare("SMA_2", "<", "SMA_4")])
    assert targets(state, bars(CROSSING_CLOSE)) == [(3, 6, 1.0)]


def test_funding_is_read_where_a_document_names_it_and_nowhere_else() -> None:
    columns = bars([100.0] * 6) | {"funding_rate": np.array([0.0, 2e-5, 2e-5, np.nan, -1e-5, -1e-5])}
    short = simple("SHORT", [compare("funding_rate", ">", 1e-5)], [compare("funding_rate", "<", 0)])
    assert targets(short, columns) == [(1, 3, -1.0)]
    blind = {name: values for name, values in columns.items() if name != "funding_rate"}
    with pytest.raises(InputError, match="funding_rate is absent"):
        targets(short, blind)
    assert targets(simple("LONG", [compare("close", ">", 1)]), blind) == [(0, 5, 1.0)]


def test_without_an_exit_the_first_entry_is_held() -> None:
    assert targets(simple("SHORT", [compare("close", ">", 13)]), bars(CROSSING_CLOSE)) == [(5, 8, -1.0)]


def test_an_entry_is_refused_while_its_exit_holds() -> None:
    document = simple("LONG", [compare("close", ">", 11)], [compare("close", ">", 13)])
    assert targets(document, bars(CROSSING_CLOSE)) == [(4, 4, 1.0), (6, 8, 1.0)]


def test_a_crossing_of_a_number_starts_from_it() -> None:
    bank = bank_of([], bars([1, 2, 3, 2, 1, 2]))
    np.testing.assert_array_equal(
        condition_holds(Condition("close", "crosses_above", 2.0), bank), [False, False, True, False, False, False]
    )
    np.testing.assert_array_equal(
        condition_holds(Condition("close", "crosses_below", 2.0), bank), [False, False, False, False, True, False]
    )


def test_numbers_are_equal_within_a_millionth() -> None:
    bank = bank_of([], bars([100.0, 100.0000009, 100.000002, 99.9999991]))
    np.testing.assert_array_equal(condition_holds(Condition("close", "==", 100.0), bank), [True, True, False, True])
    np.testing.assert_array_equal(condition_holds(Condition("close", "!=", 100.0), bank), [False, False, True, False])


@pytest.mark.parametrize("how", [">", "<", ">=", "<=", "==", "!=", "crosses_above", "crosses_below"])
def test_what_is_not_there_yet_satisfies_nothing(how: str) -> None:
    bank = bank_of(["SMA_20"], noisy(0))
    for condition in (Condition("SMA_20", how, "close"), Condition("close", how, "SMA_20")):
        assert not condition_holds(condition, bank)[:19].any()
    if how.startswith("crosses"):
        assert not condition_holds(Condition("SMA_20", how, 0.0), bank)[19]


def literal(member: Condition | ConditionGroup, values: dict[str, float]) -> bool:
    """Evaluate on one bar, the plain way."""
    if isinstance(member, ConditionGroup):
        return (all if member.logic == "ALL" else any)(literal(part, values) for part in member.members)
    comparisons = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
    right = values[member.value] if isinstance(member.value, str) else member.value
    return comparisons[member.operator](values[member.name], right)


NAMES = ["open", "high", "low", "close"]
CONDITIONS = st.builds(
    Condition, st.sampled_from(NAMES), st.sampled_from([">", "<", ">=", "<="]), st.sampled_from([*NAMES, 90.0, 110.0])
)
GROUPS = st.recursive(
    CONDITIONS,
    lambda part: st.builds(
        ConditionGroup, st.sampled_from(["ALL", "ANY"]), st.lists(part, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=8,
).filter(lambda part: isinstance(part, ConditionGroup))


@settings(deadline=None)
@given(GROUPS, SEEDS)
def test_groups_mean_all_and_any(group: ConditionGroup, seed: int) -> None:
    columns = noisy(seed, 60)
    held = group_holds(group, bank_of([], columns))
    for bar in range(60):
        assert held[bar] == literal(group, {name: columns[name][bar] for name in NAMES})


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_two_documents_make_the_rsi_filter(seed: int) -> None:
    # Without divergence and with the same first bar (41 = 3 x 14 - 1) the family is the sum of its two sides.
    genes = {"divergence_weight": 0.0, "oversold_threshold": 35.0, "overbought_threshold": 65.0, "exit_level": 50.0}
    family = Genome("rsi_filter", dict(default_genome("rsi_filter").genes) | genes)
    waits = compare("SMA_42", ">", 0)
    long = simple("LONG", [compare("RSI", "<=", 35), waits], [compare("RSI", ">=", 50)])
    short = simple("SHORT", [compare("RSI", ">=", 65), waits], [compare("RSI", "<=", 50)])
    columns = noisy(seed)
    both = signal(conditions_genome(long), columns) + signal(conditions_genome(short), columns)
    np.testing.assert_array_equal(both, signal(family, columns))


def test_nothing_is_entered_before_the_longest_series_is_there() -> None:
    entry = [{"logic": "ANY", "conditions": [compare("close", ">", 0), compare("SMA_200", ">", 0)]}]
    assert targets(simple("LONG", entry), noisy(0)) == [(199, 399, 1.0)]


def test_a_decision_names_what_held_and_what_was_not_available() -> None:
    document = simple(
        "LONG",
        [compare("close", ">", 11), {"logic": "ANY", "conditions": [compare("SMA_7", "crosses_above", 11)]}],
        [compare("close", "<", "SMA_2")],
    )
    genome, columns = conditions_genome(document), bars(CROSSING_CLOSE)
    found = explain(genome, columns, 6)
    assert (found.bars_seen, found.bars_needed, found.target) == (7, 8, 0.0)
    entry, leave = found.rules
    assert (entry.path, entry.action, entry.holds) == ("entry", "enter_long", False)
    assert [(c.path, c.status, c.left) for c in entry.conditions] == [
        ("entry.conditions[0]", "holds", 12.0),
        ("entry.conditions[1].conditions[0]", "unavailable", pytest.approx(78 / 7)),
    ]
    assert [(c.status, c.left, c.right) for c in leave.conditions] == [("holds", 12.0, 13.0)]
    assert "entry.conditions[1].conditions[0]: SMA_7 crosses above 11: unavailable" in str(found)
    # On the next bar both bars of the crossing are there: 78/7 = 11.14 before, 76/7 = 10.86 now.
    assert explain(genome, columns, 7).rules[0].conditions[1].status == "fails"


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(0, 399))
def test_explanations_agree_with_the_signal(seed: int, bar: int) -> None:
    genome = conditions_genome(DOCUMENT | {"entry": DOCUMENT["exit"], "exit": DOCUMENT["entry"]})
    columns = noisy(seed)
    y = signal(genome, columns)
    found = explain(genome, columns, bar)
    assert found.target == y[bar]
    if y[bar] > (y[bar - 1] if bar else 0.0):
        assert found.rules[0].holds
        assert not found.rules[1].holds
        assert found.bars_seen >= found.bars_needed


def test_only_bars_that_are_there_are_explained() -> None:
    genome, columns = default_genome("conditions"), sideways()
    for bar in (-1, 400):
        with pytest.raises(InputError, match=f"bar {bar} is not one of 400"):
            explain(genome, columns, bar)
    columns["volume"][7] = np.nan
    with pytest.raises(InputError, match="bar 7 is void"):
        explain(genome, columns, 7)
    assert explain(genome, columns, 8).bars_seen == 8
    with pytest.raises(InputError, match="rsi_filter has no conditions"):
        explain(default_genome("rsi_filter"), columns, 8)


def test_a_document_without_stops_reads_back_from_its_gene() -> None:
    rest = {name: value for name, value in DOCUMENT.items() if not name.endswith("_pct")}
    assert conditions_genome(DOCUMENT).genes["document"] == read_document(rest).structure
