"""Each primitive is its formula, from its first bar on, and the interpreter computes it as NumPy does."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies.indicators.indicator import pair
from quant_organism.strategies.trees.evaluation import Program, first_bar, indicators_of
from quant_organism.strategies.trees.interpreter import STRETCH
from quant_organism.strategies.trees.primitives import PRIMITIVES, Tree
from quant_organism.strategies.trees.simplify import simplified
from quant_organism.strategies.trees.variation import draw_vote
from quant_organism_tests.strategies.scenarios import noisy
from quant_organism_tests.strategies.trees.growing import CLOSE, LANGUAGE, RISES, bank_of, conditions, truths, votes
from quant_organism_tests.strategies.trees.reference import value

FRAME = pd.DataFrame(noisy(7, 300) | {"funding_rate": np.random.default_rng(7).normal(0, 1e-4, 300)})
OPEN, HIGH, LOW, CLOSES = (FRAME[name] for name in ("open", "high", "low", "close"))
MEAN, SPREAD = CLOSES.rolling(9).mean(), CLOSES.rolling(9).apply(np.std, raw=True)


def ema(period: int) -> pd.Series:
    """Return the exponential average seeded with the mean of the first closes."""
    seeded = CLOSES.copy()
    seeded[: period - 1] = np.nan
    seeded[period - 1] = CLOSES[:period].mean()
    return seeded.ewm(alpha=2 / (period + 1), adjust=False, ignore_na=True).mean().where(seeded.notna())


def golden(period: int) -> pd.Series:
    """Return the golden level of the swing in the previous bars; none where one bar is both ends of it."""
    level = pd.Series(np.nan, index=FRAME.index)
    for t in range(period, len(FRAME)):
        highs, lows = HIGH[t - period : t], LOW[t - period : t]
        top, bottom = highs.max(), lows.min()
        latest_top, latest_bottom = highs[highs == top].index[-1], lows[lows == bottom].index[-1]
        if latest_top > latest_bottom:
            level[t] = top - 0.618 * (top - bottom)
        elif latest_top < latest_bottom:
            level[t] = bottom + 0.618 * (top - bottom)
    return level


WEIGHTS = 1 - (np.arange(9) / 9) ** 2


def wilder_range(period: int) -> pd.Series:
    """Return Wilder's average of the true range, seeded with the mean of the first ones that know a close before."""
    before = CLOSES.shift(1)
    reach = pd.concat([HIGH - LOW, (HIGH - before).abs(), (LOW - before).abs()], axis=1).max(axis=1)
    seeded = reach.copy()
    seeded[:period] = np.nan
    seeded[period] = reach[1 : period + 1].mean()
    return seeded.ewm(alpha=1 / period, adjust=False, ignore_na=True).mean().where(seeded.notna())


TYPICAL, VOLUME = (HIGH + LOW + CLOSES) / 3, FRAME["volume"]
MIDDLE = (HIGH.rolling(9).max() + LOW.rolling(9).min()) / 2
STEPS = CLOSES.diff().abs().rolling(9).sum()
PERCENT_K = 100 * (CLOSES - LOW.rolling(9).min()) / (HIGH.rolling(9).max() - LOW.rolling(9).min())


def relative_strength(period: int) -> pd.Series:
    """Return Wilder's index from the averages of gains and losses."""
    averages = []
    for change in (CLOSES.diff().clip(lower=0), -CLOSES.diff().clip(upper=0)):
        seeded = change.copy()
        seeded[:period] = np.nan
        seeded[period] = change[1 : period + 1].mean()
        averages.append(seeded.ewm(alpha=1 / period, adjust=False, ignore_na=True).mean().where(seeded.notna()))
    return 100 * averages[0] / (averages[0] + averages[1])


CASES: list[tuple[Tree, pd.Series]] = [
    (("open",), OPEN),
    (("high",), HIGH),
    (("low",), LOW),
    (("close",), CLOSES),
    (("sma", 9), MEAN),
    (("ema", 9), ema(9)),
    (("highest", 9), HIGH.rolling(9).max()),
    (("lowest", 9), LOW.rolling(9).min()),
    (("donchian_high", 9), HIGH.rolling(9).max().shift(1)),
    (("donchian_low", 9), LOW.rolling(9).min().shift(1)),
    (("upper_band", 9, 1.5), MEAN + 1.5 * SPREAD),
    (("lower_band", 9, 1.5), MEAN - 1.5 * SPREAD),
    (("nadaraya_watson", 9), CLOSES.rolling(9).apply(lambda x: np.average(x[::-1], weights=WEIGHTS), raw=True)),
    (("fibonacci", 20), golden(20)),
    (("vwap", 9), (TYPICAL * VOLUME).rolling(9).sum() / VOLUME.rolling(9).sum()),
    (("tenkan", 9), MIDDLE),
    (("kijun", 9), MIDDLE),
    (("atr", 9), wilder_range(9)),
    (("std", 9), SPREAD),
    (("difference", ("high",), ("sma", 9)), HIGH - MEAN),
    (("relative", CLOSE, ("sma", 9)), CLOSES / MEAN - 1),
    (("share", ("std", 9), CLOSE), SPREAD / CLOSES),
    (("log_return", 9), np.log(CLOSES / CLOSES.shift(9))),
    (("macd",), (ema(12) - ema(26)) / CLOSES),
    (("rsi", 9), relative_strength(9)),
    (("efficiency_ratio", 9), CLOSES.diff(9).abs() / STEPS),
    (("stochastic_k", 9), PERCENT_K),
    (("stochastic_d", 9, 3), PERCENT_K.rolling(3).mean()),
    (("funding_mean", 9), FRAME["funding_rate"].rolling(9).mean()),
]


@pytest.mark.parametrize(("tree", "expected"), CASES, ids=[tree[0] for tree, _ in CASES])
def test_a_value_is_its_formula_from_its_first_bar_on(tree: Tree, expected: pd.Series) -> None:
    first = first_bar(LANGUAGE, tree)
    assert expected.first_valid_index() == first
    np.testing.assert_allclose(
        value(tree, bank_of([tree], dict(FRAME)))[first:], expected[first:], rtol=1e-10, atol=1e-13
    )


def test_every_measure_is_compared_with_its_formula() -> None:
    measures = {name for name, primitive in PRIMITIVES.items() if primitive.returns not in ("Bool", "Vote")}
    assert {tree[0] for tree, _ in CASES} == measures


def test_conditions_on_a_hand_drawn_path() -> None:
    path = {"close": [5, 3, 3, 4, 4, 2, 6, 6], "open": [4, 4, 3, 3, 4, 4, 4, 4]}
    columns = {name: path.get(name, path["close"]) for name in ("open", "high", "low", "close", "volume")}
    a, b = CLOSE, ("open",)
    cases = {
        ("gt", a, b): [1, 0, 0, 1, 0, 0, 1, 1],
        ("lt", a, b): [0, 1, 0, 0, 0, 1, 0, 0],
        # Touching from below and leaving upwards is a crossing; meeting is none.
        ("cross_above", a, b): [0, 0, 0, 1, 0, 0, 1, 0],
        ("cross_below", a, b): [0, 1, 0, 0, 0, 1, 0, 0],
        ("not", ("gt", a, b)): [0, 1, 1, 0, 1, 1, 0, 0],
        ("and", ("gt", a, b), ("gt", a, ("sma", 2))): [0, 0, 0, 1, 0, 0, 1, 0],
        ("or", ("lt", a, b), ("cross_above", a, b)): [0, 1, 0, 1, 0, 1, 1, 0],
        ("held_for", ("not", ("gt", a, b)), 2): [0, 0, 1, 0, 0, 1, 0, 0],
    }
    for condition, expected in cases.items():
        assert truths(condition, columns).tolist() == expected, condition
    opposed, late = ("vote", ("gt", a, b), ("lt", a, b)), ("vote", ("gt", a, b), ("cross_above", a, b))
    assert votes([opposed, late], columns).tolist() == [[1, -1, 0, 1, 0, -1, 1, 1], [1, 0, 0, 0, 0, 0, 0, 1]]


def test_division_by_nothing_says_nothing() -> None:
    columns = {name: [1.0, 1e-13, 1e-12, 4.0] for name in ("open", "high", "low", "close", "volume")}
    ratio, width = ("relative", ("ema", 2), CLOSE), ("difference", CLOSE, ("ema", 2))
    assert [truths((sign, ratio, 0.0), columns)[1] for sign in ("gt", "lt")] == [0, 0]
    assert truths(("lt", ("share", width, CLOSE), 0.0), columns)[1:3].tolist() == [0, 1]


def drawn_votes(seed: int, count: int) -> list[Tree]:
    """Return random votes, each once."""
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(draw_vote(LANGUAGE, rng) for _ in range(count)))


def compared(tree: Tree) -> Tree:
    """Return a vote on a measure and the same measure over other windows, or another price."""
    kind = PRIMITIVES[tree[0]].returns
    other = {"Price": ("ema", 4), "Range": ("std", 5), "Ratio": ("log_return", 3), "Score100": ("rsi", 6)}[kind]
    return ("vote", ("and", ("gt", tree, other), ("not", ("lt", other, tree))), ("cross_below", other, tree))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), long=conditions, short=conditions)
def test_votes_are_those_of_whole_rows_in_numpy(seed: int, long: Tree, short: Tree) -> None:
    vote: Tree = ("vote", long, short)
    trees = list(dict.fromkeys([*drawn_votes(seed, 12), vote, simplified(vote)]))
    columns = noisy(seed, 150) | {"funding_rate": np.random.default_rng(seed).normal(0, 1e-4, 150)}
    bank = bank_of(trees, columns)
    np.testing.assert_array_equal(Program(LANGUAGE, trees).run(bank), [value(tree, bank) for tree in trees])


@pytest.mark.parametrize("bars", [1, STRETCH - 1, STRETCH, STRETCH + 1, 2 * STRETCH + 3])
def test_votes_do_not_know_the_stretches_in_which_they_are_cast(bars: int) -> None:
    trees = [compared(tree) for tree, _ in CASES]
    trees += [("vote", ("held_for", tree[1], 5), ("not", ("held_for", tree[2], 2))) for tree in trees]
    trees = list(dict.fromkeys(trees + drawn_votes(bars, 40)))
    columns = noisy(3, bars) | {"funding_rate": np.random.default_rng(3).normal(0, 1e-4, bars)}
    bank = bank_of(trees, columns)
    np.testing.assert_array_equal(Program(LANGUAGE, trees).run(bank), [value(tree, bank) for tree in trees])


def test_first_bars_add_up() -> None:
    crossing: Tree = ("cross_above", ("sma", 10), ("donchian_high", 15))
    assert first_bar(LANGUAGE, crossing) == 16
    assert first_bar(LANGUAGE, ("held_for", crossing, 5)) == 20
    assert first_bar(LANGUAGE, ("vote", ("held_for", crossing, 5), RISES)) == 20
    # Two divergence windows after the index of 14 bars.
    assert first_bar(LANGUAGE, ("family", "rsi_filter")) == 41


def test_a_shared_branch_is_computed_once() -> None:
    crossing: Tree = ("cross_above", ("sma", 3), ("ema", 5))
    trees: list[Tree] = [("vote", crossing, ("not", crossing)), ("vote", RISES, ("not", crossing))]
    program = Program(LANGUAGE, trees)
    # The crossing, its negation, and two votes; the rise.
    assert program.instructions.operation.size == 5
    together = program.run(bank_of(trees, dict(FRAME)))
    for alone, tree in zip(together, trees, strict=True):
        np.testing.assert_array_equal(alone, votes([tree], dict(FRAME))[0])


def test_trees_name_each_indicator_once() -> None:
    needs = indicators_of(
        LANGUAGE, [("vote", RISES, ("gt", ("ema", 9), ("sma", 2))), ("gt", ("macd",), ("log_return", 4))]
    )
    named = {indicator.name: keys.tolist() for indicator, keys in needs.items()}
    assert named == {"sma": [2], "ema": [9], "macd": [pair(12, 26)], "log_return": [4]}
