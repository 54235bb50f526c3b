"""Strength, confidence and size, to the digits of the published numbers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.strategies.conditions.document import Condition, ConditionGroup, Document
from quant_organism.strategies.handwritten.explanation import explain
from quant_organism.strategies.handwritten.load import conditions_genome
from quant_organism.strategies.handwritten.sizing import (
    Situation,
    condition_margin,
    confidence,
    judge_entry,
    largest_margin,
    signal_strength,
    size_usd,
    stop_and_target,
    whole_dollars,
)
from quant_organism_tests.strategies.conditions.documents import compare, simple
from quant_organism_tests.strategies.scenarios import bars

RSI_LOW, RSI_HIGH = Condition("RSI_14", "<", 30.0), Condition("RSI_14", ">", 70.0)
DOCUMENT = Document(strategy_id="dip", side="LONG", entry=ConditionGroup("ALL", (RSI_LOW,)), base_size_usd=1000.0)
CALM = Situation(price=100.0, margin=0.0, regime="NORMAL", equity_usd=1e6)
STOPS = {"stop_loss": 0.03, "take_profit": 0.06, "position_size_limit": 0.15}


def test_a_long_with_the_macd_behind_it() -> None:
    margin = condition_margin(RSI_LOW, "LONG", 25.0, 30.0)
    strength = signal_strength("LONG", margin, macd=1.0, macd_signal=0.5)
    assert round(strength, 6) == 0.866667
    assert f"{confidence(strength, None):.2%}" == "86.67%"
    assert f"{confidence(strength, None):.0%}" == "87%"


@pytest.mark.parametrize(
    ("side", "rsi", "move", "fitness", "base", "strength", "sure", "size", "shown"),
    [
        ("LONG", 28.0, None, 0.75, 1000.0, 0.566667, "62.17%", 1682.50, 1682),
        ("SHORT", 75.0, None, 0.82, 1500.0, 0.666667, "71.27%", 2728.50, 2728),
        ("SHORT", 75.0, -0.011, 0.68, 2000.0, 0.766667, "74.07%", 3722.00, 3722),
    ],
)
def test_published_sizes(side, rsi, move, fitness, base, strength, sure, size, shown) -> None:
    condition = RSI_LOW if side == "LONG" else RSI_HIGH
    found = judge_entry(
        replace(DOCUMENT, side=side, base_size_usd=base, fitness_score=fitness),
        replace(
            CALM,
            regime="AGGRESSIVE",
            margin=condition_margin(condition, side, rsi, condition.value),
            five_bar_return=move,
        ),
        **STOPS,
    )
    assert found.rejections == ()
    assert round(found.strength, 6) == strength
    assert f"{found.confidence:.2%}" == sure
    assert round(found.size_usd, 2) == size
    assert whole_dollars(found.size_usd) == shown


@pytest.mark.parametrize(
    ("condition", "left", "right", "margin"),
    [
        (Condition("RSI_14", "<", 40.0), 35.0, 40.0, 0.0),  # a long counts from 30, whatever the threshold
        (Condition("RSI_14", "<", 40.0), 0.0, 40.0, 1.0),
        (Condition("STOCH_K_14", "<", 20.0), 15.0, 20.0, 0.25),
        (Condition("STOCH_K_14", "crosses_above", 60.0), 70.0, 60.0, 0.25),
        (Condition("STOCH_K_14", "<=", 0.0), 0.0, 0.0, 0.0),  # no room between threshold and bound
        (Condition("STOCH_K_14", "!=", 50.0), 70.0, 50.0, 0.0),
        (Condition("close", ">", "SMA_20"), 103.0, 100.0, 0.0),  # without a scale a distance has no size
        (Condition("close", ">", "SMA_20", 10.0), 103.0, 100.0, 0.3),
        (Condition("close", "<", "SMA_20", 10.0), 80.0, 100.0, 0.5),
    ],
)
def test_margins(condition: Condition, left: float, right: float, margin: float) -> None:
    assert condition_margin(condition, "LONG", left, right) == pytest.approx(margin)


def test_an_rsi_against_the_trade_adds_nothing() -> None:
    assert condition_margin(RSI_HIGH, "LONG", 90.0, 70.0) == 0.0


def test_bonuses_point_along_the_trade() -> None:
    assert signal_strength("LONG", 0.0, macd=1.0, macd_signal=1.0, five_bar_return=0.01) == 0.5
    assert signal_strength("LONG", 0.0, macd=0.9, macd_signal=1.0, five_bar_return=-0.02) == 0.5
    assert signal_strength("SHORT", 0.0, macd=0.9, macd_signal=1.0, five_bar_return=-0.02) == pytest.approx(0.8)
    assert signal_strength("SHORT", 0.0, macd=0.9) == 0.5
    assert signal_strength("LONG", 0.4, macd=1.1, macd_signal=1.0, five_bar_return=0.02) == 1.0


def test_a_fitness_of_zero_is_a_fitness() -> None:
    assert confidence(0.6, None) == 0.6
    assert confidence(0.6, 0.0) == pytest.approx(0.42)


def test_the_largest_margin_of_the_conditions_that_hold_counts() -> None:
    # On bar 2 the close is 4 below 20: 0.4 of the scale; 3 below 19: 0.15 of the other; above 17 it is not.
    document = simple(
        "LONG",
        [compare("close", "<", 20, scale=10), compare("close", "<", 19, scale=20), compare("close", ">", 17, scale=1)],
    )
    found = explain(conditions_genome(document), bars([20, 20, 16]), 2)
    assert largest_margin(found, "LONG") == pytest.approx(0.4)
    assert largest_margin(found, "SHORT") == 0.0


@pytest.mark.parametrize(
    ("document", "situation", "reason"),
    [
        ({"fitness_score": 0.0}, {}, "confidence 0.3500 is below 0.5000"),
        ({}, {"minimum_confidence": 0.6}, "confidence 0.5000 is below 0.6000"),
        ({"min_confidence": 0.7}, {"minimum_confidence": 0.6}, "confidence 0.5000 is below 0.7000"),
        ({"allowed_regimes": ("AGGRESSIVE",)}, {}, "regime NORMAL is not among AGGRESSIVE"),
        ({"max_positions": 2}, {"open_positions": 2}, "2 of 2 positions are open"),
        ({}, {"seconds_since_entry": 59.9}, "the last entry was 59.9 s ago, 60 s are needed"),
    ],
)
def test_rejections_say_why(document, situation, reason) -> None:
    found = judge_entry(replace(DOCUMENT, **document), replace(CALM, **situation), **STOPS)
    assert found.rejections == (reason,)
    assert found.size_usd == 0.0


def test_confidence_at_the_minimum_and_a_minute_later_are_enough() -> None:
    found = judge_entry(DOCUMENT, replace(CALM, seconds_since_entry=60.0), **STOPS)
    assert (found.rejections, found.size_usd) == ((), 1000.0)


@pytest.mark.parametrize(("regime", "size"), [("DEFENSIVE", 500.0), ("NORMAL", 1000.0), ("AGGRESSIVE", 1500.0)])
def test_regimes_scale_and_confidence_may_not(regime: str, size: float) -> None:
    assert size_usd(1000.0, 0.5, regime) == size
    assert size_usd(1000.0, 0.9, regime, confidence_scaling=False) == size


def test_no_more_than_a_share_of_equity() -> None:
    assert judge_entry(DOCUMENT, replace(CALM, equity_usd=5000.0), **STOPS).size_usd == 750.0
    assert (
        judge_entry(DOCUMENT, replace(CALM, equity_usd=5000.0), **STOPS | {"position_size_limit": 0.1}).size_usd == 500
    )


def test_stops_lie_on_their_sides() -> None:
    assert stop_and_target(200.0, "LONG", 0.02, 0.05) == pytest.approx((196.0, 210.0))
    assert stop_and_target(200.0, "SHORT", 0.02, 0.05) == pytest.approx((204.0, 190.0))


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_of_nothing_is_an_error(price: float) -> None:
    with pytest.raises(InputError, match=r"expected one above 0"):
        judge_entry(DOCUMENT, replace(CALM, price=price), **STOPS)


def test_unknown_sides_and_regimes_are_refused() -> None:
    with pytest.raises(InputError, match="unknown regime 'CALM'"):
        size_usd(1000.0, 0.5, "CALM")
    with pytest.raises(InputError, match="unknown side 'BUY'"):
        signal_strength("BUY", 0.0)


@given(st.floats(0, 5), st.one_of(st.none(), st.floats(0, 1)))
def test_strength_and_confidence_stay_within_their_bounds(margin: float, fitness: float | None) -> None:
    strength = signal_strength("LONG", margin, macd=1.0, macd_signal=0.0, five_bar_return=0.5)
    assert 0.5 <= strength <= 1.0
    assert 0.35 <= confidence(strength, fitness) <= 1.0
