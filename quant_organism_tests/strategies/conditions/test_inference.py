"""From a type and its parameters to indicators, history and trades."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quant_organism.errors import InputError
from quant_organism.strategies import (
    Genome,
    default_genome,
    evolving_families,
    get_family,
    ranking_family_names,
    signal,
)
from quant_organism.strategies.handwritten import configured, infer
from quant_organism_tests.strategies.conditions.documents import DOCUMENT, compare, simple
from quant_organism_tests.strategies.scenarios import bars, noisy, runs


@pytest.mark.parametrize(
    ("type", "parameters", "indicators", "history"),
    [
        ("momentum", {"lookback": 20, "threshold": 0.02}, ("RSI_14", "SMA_20"), 25),
        ("momentum", {}, ("RSI_14", "SMA_20"), 25),
        ("momentum", {"lookback_period": 8, "rsi_period": 21}, ("RSI_21", "SMA_8"), 26),
        ("mean_reversion", {"lookback": 14, "threshold": 2.0}, ("BB_14", "RSI_14"), 19),
        ("mean_reversion", {"period": 30, "lookback": 30}, ("BB_30", "RSI_14"), 35),
        ("moving_average_crossover", {"fast_period": 10, "slow_period": 50}, ("SMA_10", "SMA_50"), 55),
        ("momentum_crossover", {"rsi_period": 40}, ("RSI_40", "SMA_10", "SMA_30"), 45),
        ("moving_average_crossover", {"rsi_period": None}, ("SMA_10", "SMA_30"), 35),
        ("ema_crossover", {}, ("ema_12", "ema_26", "rate_of_change_12"), 26),
        ("rsi_filter", {"rsi_period": 5}, ("rsi_5", "rsi_divergence_5"), 15),
        (
            "conditions",
            DOCUMENT,
            ("MACD", "MACD_SIGNAL", "MEAN_VOLUME_20", "RSI_14", "SMA_50", "close", "volume"),
            51,
        ),
        ("conditions", simple("LONG", [compare("RSI", "<", 30)]), ("RSI_14",), 15),
        ("conditions", simple("LONG", [compare("MACD", ">", "MACD_SIGNAL")]), ("MACD", "MACD_SIGNAL"), 34),
    ],
)
def test_needs(type: str, parameters: dict[str, Any], indicators: tuple[str, ...], history: int) -> None:
    found = infer(type, parameters)
    assert found.indicators == indicators
    assert found.history == history


@pytest.mark.parametrize("family", [*evolving_families(), *ranking_family_names()])
def test_a_family_needs_one_bar_more_than_its_warm_up(family: str) -> None:
    assert infer(family).history == get_family(family).warmup(default_genome(family).genes) + 1


@pytest.mark.parametrize(
    ("type", "parameters", "where", "what"),
    [
        ("martingale", {}, "type", "unknown type 'martingale'"),
        ("momentum", {"lookbak": 5}, "parameters", "unknown field 'lookbak'"),
        ("momentum", {"period": 5}, "parameters", "unknown field 'period'"),
        ("momentum", {"lookback": 5, "lookback_period": 6}, "parameters", "lookback 5, lookback_period 6 are one"),
        ("momentum", {"lookback": 14.0}, r"parameters\.lookback", "expected an integer from 2 to 1000"),
        ("momentum", {"lookback": True}, r"parameters\.lookback", "expected an integer"),
        ("momentum", {"lookback": 1}, r"parameters\.lookback", "expected an integer"),
        ("momentum", {"threshold": -0.1}, r"parameters\.threshold", "expected at least 0"),
        ("momentum", {"threshold": "2%"}, r"parameters\.threshold", "expected a number"),
        ("mean_reversion", {"rsi_period": None}, r"parameters\.rsi_period", "expected an integer"),
        ("moving_average_crossover", {"fast_period": 30}, "parameters", "fast_period 30 is not below slow_period 30"),
        ("moving_average_crossover", {"lookback": 30}, "parameters", "unknown field 'lookback'"),
        ("rsi_filter", {"rsi_perod": 5}, "parameters", "unknown field 'rsi_perod'"),
        ("rsi_filter", {"rsi_period": 3}, "genome of rsi_filter", "gene rsi_period is 3"),
    ],
)
def test_wrong_parameters_are_named(type: str, parameters: dict[str, Any], where: str, what: str) -> None:
    for use in (infer, configured):
        with pytest.raises(InputError, match=what) as caught:
            use(type, parameters)
        assert caught.value.where == where.replace("\\", "")


def test_a_conditions_strategy_is_configured_by_its_document_alone() -> None:
    with pytest.raises(InputError, match="unknown type 'conditions'"):
        configured("conditions", DOCUMENT)


def test_momentum_on_both_sides() -> None:
    # SMA_2 of bars 7..13: 102.5, 110, 122.5, 135, 120, 95, 82.5; the closes lie 2.4 %, 4.5 %, 6.1 %, 3.7 %, -16.7 %,
    # -5.3 % and -9.1 % from it. RSI_2 is above 50 while they rise and 20.5 on bar 11. History is 2 + 5 bars.
    close = [100, 100, 100, 100, 100, 100, 100, 105, 115, 130, 140, 100, 90, 75]
    plain = configured("momentum", {"lookback": 2, "rsi_period": 2, "threshold": 0.03})
    assert plain.family == "conditions"
    assert runs(signal(plain, bars(close))) == [(8, 10, 1.0), (11, 13, -1.0)]


def test_mean_reversion_on_both_sides() -> None:
    # The closes of bars 0..8 end in a fall to 90: mean of four 97.5, deviation sqrt(18.75) = 4.33, score -1.732. The
    # score is 0 or more again on bar 9 (100, 100, 90, 97: mean 96.75). On bar 12 (97, 97, 97, 110) it is +1.732 and
    # the RSI above 50; on bar 13 (97, 97, 110, 97: mean 100.25) it is below 0.
    close = [100, 101, 100, 101, 100, 100, 100, 100, 90, 97, 97, 97, 110, 97]
    plain = configured("mean_reversion", {"period": 4, "rsi_period": 2, "threshold": 1.5})
    assert runs(signal(plain, bars(close))) == [(8, 8, 1.0), (12, 12, -1.0)]


def test_averages_that_cross_are_always_in_the_market_unless_the_rsi_objects() -> None:
    # SMA_2 against SMA_4 from bar 8 (4 + 5 bars) on: 12.5 to 11.25, 13 to 12, 11 to 11.75, 9 to 11.
    close = [10, 10, 10, 10, 10, 10, 10, 12, 13, 13, 9, 9]
    parameters = {"fast_period": 2, "slow_period": 4}
    assert runs(signal(configured("moving_average_crossover", parameters), bars(close))) == [
        (8, 9, 1.0),
        (10, 11, -1.0),
    ]
    # Mean gains of RSI_2 on bars 8..11: 1, 0.5, 0.25, 0.125, mean losses 0, 0, 2, 1. RSI 100, 100, 11.1, 11.1: agreed.
    with_rsi = parameters | {"rsi_period": 2}
    genome = configured("momentum_crossover", with_rsi)
    assert runs(signal(genome, bars(close))) == [(8, 9, 1.0), (10, 11, -1.0)]
    # Bar 8: SMA_2 13 to SMA_4 11.5, but a gain of 4 and a loss of 2 since leave means of 1 and 1, an RSI of just 50.
    close = [10, 10, 10, 10, 10, 10, 10, 14, 12, 12]
    assert runs(signal(configured("momentum_crossover", parameters), bars(close))) == [(8, 8, 1.0)]
    assert runs(signal(configured("momentum_crossover", with_rsi), bars(close))) == []


@pytest.mark.parametrize("type", ["momentum", "mean_reversion", "moving_average_crossover", "momentum_crossover"])
def test_plain_types_trade_both_sides_and_are_stored_like_any_genome(type: str) -> None:
    genome, columns = configured(type), noisy(1)
    y = signal(genome, columns)
    assert {-1.0, 1.0} <= set(y)
    assert not y[: infer(type).history - 1].any()
    again = Genome.from_dict(json.loads(json.dumps(genome.to_dict())))
    assert again == genome
    assert (signal(again, columns) == y).all()
    assert type in get_family("conditions").own_genes[0].grammar.describe(genome.genes["document"])
