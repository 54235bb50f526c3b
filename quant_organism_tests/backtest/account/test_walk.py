"""The compiled walk is the plan, the door and the modelled fills, to the last bit."""

from __future__ import annotations

import copy
import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest.account.book import AccountBook
from quant_organism.backtest.account.splits import split_by
from quant_organism.backtest.account.walk import AccountPath, walk
from quant_organism.backtest.account.walk_layout import KINDS
from quant_organism.backtest.account.walk_sums import scaled_product
from quant_organism_tests.backtest.account.test_laws import WALKS
from quant_organism_tests.backtest.account.walking import DrawnAccount, SlowPath, drawn_accounts, walk_slowly


def assert_same_path(fast: AccountPath, slow: SlowPath) -> None:
    assert fast.equity.tolist() == slow.equity
    assert fast.at_cap.tolist() == slow.at_cap
    fills = [
        (row, fill.symbol, fill.kind, fill.lots, fill.notional, fill.fee, fill.aimed)
        for row, filled in enumerate(slow.fills)
        for fill in filled
    ]
    assert [(row, fast.symbols[a], KINDS[kind], *rest) for row, a, kind, *rest in fast.fills.tolist()] == fills


@settings(max_examples=WALKS * 3, deadline=None)
@given(drawn_accounts())
def test_the_compiled_walk_is_the_plain_one(drawn: DrawnAccount) -> None:
    plain, fast = copy.deepcopy(drawn.account), drawn.account
    slow = walk_slowly(plain, drawn.market, drawn.virtual, drawn.model)
    path = walk(fast, drawn.market, drawn.virtual, drawn.model)
    assert_same_path(path, slow)
    assert fast.to_dict() == plain.to_dict()


@settings(max_examples=WALKS, deadline=None)
@given(drawn_accounts(), st.floats(0.0, 1.0))
def test_a_walk_in_two_pieces_is_one(drawn: DrawnAccount, share: float) -> None:
    whole, pieces, rows = copy.deepcopy(drawn.account), drawn.account, drawn.market.n_bars
    walk(whole, drawn.market, drawn.virtual, drawn.model)
    cut = 1 + int(share * (rows - 2))
    for start, stop in ((0, cut), (cut, rows)):
        pieces = AccountBook.from_dict(json.loads(json.dumps(pieces.to_dict())))
        walk(pieces, drawn.market.part(start, stop), drawn.virtual.part(start, stop), drawn.model)
    assert pieces.to_dict() == whole.to_dict()


@given(st.integers(0, 2**61), st.integers(1, 2**60), st.data())
def test_products_that_overflow_are_divided_exactly(amount: int, whole: int, data: st.DataObject) -> None:
    weight = data.draw(st.integers(0, whole))
    if amount * weight // whole < 2**62:
        assert scaled_product(np.int64(amount), np.int64(weight), np.int64(whole)) == divmod(amount * weight, whole)


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(1, 10**12), min_size=1, max_size=6))
def test_a_split_by_weights_loses_nothing(total: int, weights: list[int]) -> None:
    parts = split_by(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)
