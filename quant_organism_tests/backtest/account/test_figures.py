"""What is counted of an account's orders: one that many bars fill is one order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from quant_organism.backtest.account.figures import order_notionals
from quant_organism.backtest.account.walk import AccountPath, walk
from quant_organism.backtest.account.walk_layout import IOC, SETTLED, STOP, TARGET
from quant_organism_tests.backtest.account.test_laws import WALKS
from quant_organism_tests.backtest.account.walking import DrawnAccount, drawn_accounts

ROWS = 20


def path_of(asked: list[tuple[int, int, int]], filled: list[tuple[int, int, int, int]]) -> AccountPath:
    """Return a path of two assets, lots worth ten USD: (asset, row, lots) asked by plans, and fills with their kind."""
    nothing = np.zeros(ROWS, dtype=np.int64)
    lines = [(row, asset, IOC, lots, 10_000_000, row) for asset, row, lots in asked]
    fills = [(row, asset, kind, lots, abs(lots) * 10_000_000, 0, 10_000_000) for asset, row, kind, lots in filled]
    return AccountPath(
        symbols=("A", "B"),
        times=np.arange(ROWS + 1),
        equity=nothing,
        execution=nothing,
        gross=nothing.astype(float),
        at_cap=nothing.astype(bool),
        scale=nothing.astype(float),
        funding=np.zeros((ROWS, 2), dtype=np.int64),
        lines=np.array(sorted(lines), dtype=np.int64).reshape(-1, 6),
        fills=np.array(sorted(fills), dtype=np.int64).reshape(-1, 7),
    )


CASES = {
    "three bars fill one order": (
        [(0, 1, 9), (0, 2, 6), (0, 3, 2)],
        [(0, 1, IOC, 3), (0, 2, IOC, 4), (0, 3, IOC, 2)],
        [90],
    ),
    "a bar without volume stops none": ([(0, 1, 9), (0, 2, 6), (0, 3, 6)], [(0, 1, IOC, 3), (0, 3, IOC, 6)], [90]),
    "what grows while it is worked is one": ([(0, 1, 9), (0, 2, 8)], [(0, 1, IOC, 4), (0, 2, IOC, 8)], [120]),
    "one filled whole has ended": ([(0, 1, 3), (0, 2, 5)], [(0, 1, IOC, 3), (0, 2, IOC, 5)], [30, 50]),
    "the other side is another": ([(0, 1, 9), (0, 2, -3)], [(0, 1, IOC, 3), (0, 2, IOC, -3)], [30, 30]),
    "one not asked again has ended": ([(0, 1, 9), (0, 3, 6)], [(0, 1, IOC, 3), (0, 3, IOC, 6)], [30, 60]),
    "assets have their own": ([(0, 1, 9), (1, 2, 6)], [(0, 1, IOC, 3), (1, 2, IOC, 6)], [30, 60]),
    "one that nothing filled is none": ([(0, 1, 9)], [], []),
    "two bars fill one stop": ([(0, 1, 9)], [(0, 1, IOC, 9), (0, 4, STOP, -5), (0, 5, STOP, -4)], [90, 90]),
    "a stop after buying back is another": (
        [(0, 1, 9), (0, 5, 9)],
        [(0, 1, IOC, 9), (0, 4, STOP, -9), (0, 5, IOC, 9), (0, 5, STOP, -9)],
        [90, 90, 90, 90],
    ),
    "a target is no stop": ([(0, 1, 9)], [(0, 1, IOC, 9), (0, 4, TARGET, -5), (0, 5, STOP, -4)], [40, 50, 90]),
    "a settlement is no order": ([(0, 1, 9)], [(0, 1, IOC, 9), (0, 4, SETTLED, -9)], [90]),
}


@pytest.mark.parametrize(("asked", "filled", "expected"), CASES.values(), ids=CASES)
def test_an_order_is_counted_once(
    asked: list[tuple[int, int, int]], filled: list[tuple[int, int, int, int]], expected: list[float]
) -> None:
    assert sorted(order_notionals(path_of(asked, filled)).tolist()) == expected


@settings(max_examples=WALKS, deadline=None)
@given(drawn_accounts())
def test_orders_are_all_that_was_traded_and_no_more_than_fills(drawn: DrawnAccount) -> None:
    path = walk(drawn.account, drawn.market, drawn.virtual, drawn.model)
    orders, fills = order_notionals(path), path.fills[path.fills[:, 2] != SETTLED, 4] / 1e6
    assert orders.size <= fills.size
    assert orders.sum() == pytest.approx(fills.sum())


@settings(max_examples=WALKS, deadline=None)
@given(drawn_accounts())
def test_where_volume_is_no_limit_each_fill_of_a_plan_or_stop_is_an_order(drawn: DrawnAccount) -> None:
    unlimited = replace(drawn.model, max_participation=None)
    untargeted = replace(drawn.virtual, targets=np.full_like(drawn.virtual.targets, np.nan))
    path = walk(drawn.account, drawn.market, untargeted, unlimited)
    fills = path.fills[path.fills[:, 2] != SETTLED, 4] / 1e6
    np.testing.assert_array_equal(np.sort(order_notionals(path)), np.sort(fills))
