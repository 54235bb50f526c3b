"""Isolated margin in numbers worked out by hand: longs and shorts alike, in every tier, and exactly on a bound."""

from __future__ import annotations

import numpy as np
import pytest

from quant_organism.backtest import Costs
from quant_organism.backtest.layout import Friction
from quant_organism.backtest.margin import liquidation_fill, liquidation_price, maintenance_margin
from quant_organism.backtest.sleeves import friction_of
from quant_organism_tests.backtest import reference_margin

# Maintenance is half the initial margin at the tier's maximum leverage: 5 % below a notional of 10, then 12.5 %. The
# deduction of the second tier, 0.75, makes the two meet at the bound: 0.05 x 10 = 0.125 x 10 - 0.75.
TIERS = ((0.0, 10), (10.0, 4))
FIRST, SECOND = (0.05, 0.0), (0.125, 0.75)


def friction(slippage_bps: float = 0.0, tiers: tuple[tuple[float, int], ...] = TIERS) -> Friction:
    """Return the costs of a sleeve with a capital of 1."""
    return friction_of(Costs(default_tiers=tiers, slippage_bps=slippage_bps, capital_usd=1.0), "X")


@pytest.mark.parametrize(
    ("notional", "margin"),
    [(4.0, 0.2), (9.99, 0.4995), (10.0, 0.5), (10.01, 0.50125), (20.0, 1.75)],
)
def test_maintenance_by_tiers(notional: float, margin: float) -> None:
    assert maintenance_margin(notional, friction()) == pytest.approx(margin, rel=1e-12)


@pytest.mark.parametrize(
    ("side", "quantity", "balance", "tier"),
    [
        (1, 0.05, 1.0, FIRST),
        (-1, 0.05, 1.0, FIRST),
        (1, 0.2, 2.0, SECOND),
        (-1, 0.2, 2.0, SECOND),
        # A short grows into the second tier as it loses, and a long out of it.
        (-1, 0.09, 3.0, SECOND),
        (1, 0.12, 4.0, FIRST),
    ],
)
def test_a_position_is_liquidated_where_its_maintenance_margin_is_left(
    side: int, quantity: float, balance: float, tier: tuple[float, float]
) -> None:
    entry, (rate, deduction) = 100.0, tier
    price = liquidation_price(side, quantity, entry, balance, friction())
    assert price == pytest.approx((entry - side * (balance + deduction) / quantity) / (1 - side * rate), rel=1e-12)
    left = balance + side * quantity * (price - entry)
    assert left == pytest.approx(maintenance_margin(quantity * price, friction()), rel=1e-12)
    assert (quantity * price >= 10.0) == (tier is SECOND)


def test_liquidation_exactly_at_the_bound_of_a_tier() -> None:
    # At 80 a long of 0.125 has a notional of exactly 10 and a margin of 0.5 left of 3.
    assert liquidation_price(1, 0.125, 100.0, 3.0, friction()) == 80.0
    # Tiers without a jump of the rate that leave no gap: the bound belongs to the upper tier, and either says the same.
    assert maintenance_margin(10.0, friction()) == 0.05 * 10.0


def test_a_position_with_more_margin_than_it_can_lose_is_never_liquidated() -> None:
    assert liquidation_price(1, 0.1, 100.0, 50.0, friction()) == 0.0
    # A short that loses leaves every tier but the last behind. Deductions of no venue leave it none.
    nowhere = friction()._replace(deductions=np.array([1e3, -1e3]))
    assert liquidation_price(-1, 0.05, 100.0, 1.0, nowhere) == np.inf


@pytest.mark.parametrize("side", [1, -1])
def test_of_many_tiers_the_one_in_force_at_the_liquidation_counts(side: int) -> None:
    tiers, rng, counted = ((0.0, 20), (5.0, 10), (10.0, 4), (40.0, 2)), np.random.default_rng(5), set()
    for _ in range(100):
        entry, notional, share = rng.uniform(1, 1e4), 10 ** rng.uniform(0, 2), rng.uniform(0.05, 0.9)
        quantity, margin = notional / entry, notional * share
        expected = reference_margin.liquidation_price(side, quantity, entry, margin, tiers, 1.0)
        assert liquidation_price(side, quantity, entry, margin, friction(tiers=tiers)) == pytest.approx(expected)
        at_the_end = quantity * expected
        keeps = reference_margin.maintenance_margin(at_the_end, tiers)
        assert maintenance_margin(at_the_end, friction(tiers=tiers)) == pytest.approx(keeps)
        counted.add(sum(at_the_end >= bound for bound, _ in tiers))
    assert counted == {1, 2, 3, 4}


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("left", "taken_over"),
    # Maintenance at 100 is 5 % of 10 (the quantity is 0.08, the notional 8): two thirds of 0.4 are 0.26667.
    [(0.26, True), (0.2666, True), (0.2667, False), (0.4, False)],
)
def test_below_two_thirds_of_the_maintenance_margin_the_backstop_takes_over(
    side: int, left: float, taken_over: bool
) -> None:
    balance, quantity, entry = 1.0, side * 0.08, 100.0 + side * (1.0 - left) / 0.08
    price, most_fee = liquidation_fill(100.0, quantity, entry, balance, friction())
    if taken_over:
        assert (price, most_fee) == (pytest.approx(entry - side * balance / 0.08), 0.0)
    else:
        assert (price, most_fee) == (100.0, pytest.approx(left))


@pytest.mark.parametrize("side", [1, -1])
def test_exactly_two_thirds_are_no_case_for_the_backstop(side: int) -> None:
    # Maximum leverage 2: maintenance 25 %; of a notional of 6 that is 1.5, and two thirds of it are 1.
    thick = friction(tiers=((0.0, 2),))
    assert liquidation_fill(3.0, side * 2.0, 3.0, 1.0, thick) == (3.0, 1.0)


@pytest.mark.parametrize(("side", "slipped"), [(1, 99.0), (-1, 101.0)])
def test_slippage_counts_against_the_position_and_its_fee_takes_what_is_left(side: int, slipped: float) -> None:
    price, most_fee = liquidation_fill(100.0, side * 0.08, 100.0, 1.0, friction(slippage_bps=100.0))
    assert price == pytest.approx(slipped)
    assert most_fee == pytest.approx(1.0 - 0.08)


@pytest.mark.parametrize("side", [1, -1])
def test_a_fill_is_never_worse_than_bankruptcy_and_then_no_fee_is_left(side: int) -> None:
    # 0.4 is left at 100; slippage of 10 % would take 0.8 of it.
    entry = 100.0 + side * 0.6 / 0.08
    price, most_fee = liquidation_fill(100.0, side * 0.08, entry, 1.0, friction(slippage_bps=1_000.0))
    assert price == pytest.approx(entry - side * 1.0 / 0.08)
    assert most_fee == pytest.approx(0.0, abs=1e-12)
