"""Costs: the venue's fee tiers, and what is refused."""

import pytest

from quant_organism.backtest import Costs
from quant_organism.errors import InputError


@pytest.mark.parametrize(
    ("volume", "taker", "maker"),
    [
        (0, 0.00045, 0.00015),
        (4.9e6, 0.00045, 0.00015),
        (5e6, 0.0004, 0.00012),
        (3e8, 0.0003, 0.00004),
        (1e10, 0.00024, 0),
    ],
)
def test_fees_follow_the_volume_of_fourteen_days(volume: float, taker: float, maker: float) -> None:
    costs = Costs.at_volume(volume, slippage_bps=1.0)
    assert (costs.taker_fee, costs.maker_fee, costs.slippage) == (taker, maker, 0.0001)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"taker_fee": -0.1}, "taker_fee is -0.1"),
        ({"maker_fee": float("nan")}, "maker_fee is nan"),
        ({"slippage_bps": 2_000.0}, "slippage_bps is 2000.0"),
        ({"leverage": 0.5}, "leverage is 0.5"),
        ({"capital_usd": 0.0}, "capital_usd is 0.0"),
        ({"max_participation": 0.0}, "max_participation is 0.0"),
        ({"impact_bps": 10.0}, "impact_bps needs max_participation"),
        ({"default_tiers": ()}, r"margin tiers are \(\)"),
        ({"default_tiers": ((5.0, 10),)}, "expected bounds ascending from 0"),
        ({"margin_tiers": {"BTC": ((0.0, 10), (1e6, 20))}}, "falling leverages"),
    ],
)
def test_costs_out_of_range_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Costs(**fields)


def test_tiers_differ_by_symbol_and_move_the_hash() -> None:
    costs = Costs(margin_tiers={"BTC": ((0.0, 40),)})
    assert costs.tiers("BTC") == ((0.0, 40),)
    assert costs.tiers("DOGE") == ((0.0, 10),)
    assert costs.hash != Costs().hash
    assert Costs().hash == Costs().hash


@pytest.mark.parametrize(
    "fields",
    [
        {"max_participation": 1.0},
        {"leverage": 1.0},
        {"default_tiers": ((0.0, 100),)},
        {"default_tiers": ((0.0, 1),)},
        {"default_tiers": ((0.0, 3), (1e6, 1))},
    ],
)
def test_costs_exactly_on_a_bound_are_taken(fields: dict[str, object]) -> None:
    Costs(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_participation": 1.0000001}, "max_participation is 1.0000001"),
        ({"default_tiers": ((0.0, 101),)}, r"leverages in \[1, 100\]"),
        ({"default_tiers": ((0.0, 0),)}, r"leverages in \[1, 100\]"),
        ({"default_tiers": ((0.0, 10), (0.0, 5))}, "ascending from 0"),
        ({"default_tiers": ((0.0, 10), (5.0, 10))}, "falling leverages"),
    ],
)
def test_costs_just_beyond_a_bound_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Costs(**fields)
