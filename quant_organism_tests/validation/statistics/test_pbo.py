"""Probability of backtest overfitting against a worked example, a plain loop and purgedcv."""

from itertools import combinations

import numpy as np
import purgedcv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.pbo import Overfitting, backtest_overfitting, cscv

I = np.arange(1.0, 25.0)  # noqa: E741
EXAMPLE = np.column_stack(
    [
        0.001 + 0.01 * np.sin(I),
        0.01 * np.sin(2 * I),
        -0.0005 + 0.01 * np.cos(3 * I),
        0.0005 + 0.01 * np.cos(I) * np.where(I <= 12, 1, -1),
    ]
)


def sharpe(returns: np.ndarray) -> np.ndarray:
    deviation = returns.std(axis=0, ddof=1)
    return np.where(deviation > 1e-12, returns.mean(axis=0) / np.maximum(deviation, 1e-12), -np.inf)


def by_loop(returns: np.ndarray, blocks: int) -> np.ndarray:
    parts = np.split(returns[len(returns) % blocks :], blocks)
    ranks = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = sharpe(np.concatenate([parts[i] for i in chosen]))
        outside = sharpe(np.concatenate([parts[i] for i in range(blocks) if i not in chosen]))
        ranks.append(1 + np.sum(outside < outside[inside.argmax()]))
    return np.array(ranks) / (returns.shape[1] + 1)


def test_sharpe_ratios_of_the_example():
    assert sharpe(EXAMPLE) == pytest.approx([0.139657, 0.008081, -0.121510, 0.069539], abs=5e-7)


def test_example_with_4_blocks():
    found = cscv(EXAMPLE, 4)
    assert found.probability == 0
    assert found.chosen.tolist() == [0] * 6
    assert found.logits == pytest.approx(np.log(0.8 / 0.2))


def test_example_with_6_blocks():
    found = cscv(EXAMPLE, 6)
    assert len(found.logits) == 20
    assert found.probability == pytest.approx(0.45)
    assert np.median(found.logits) == pytest.approx(0.4055, abs=5e-5)


@pytest.mark.parametrize(("blocks", "splits"), [(12, 924), (16, 12_870)])
def test_number_of_splits(blocks, splits):
    assert len(cscv(EXAMPLE[:, :1].repeat(2, axis=0), blocks).logits) == splits


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), days=st.integers(60, 90), columns=st.integers(1, 12))
def test_matrix_form_equals_the_plain_loop(seed, days, columns):
    returns = 0.01 * np.random.default_rng(seed).standard_normal((days, columns))
    share = by_loop(returns, 6)
    found = cscv(returns, 6)
    assert found.logits == pytest.approx(np.log(share / (1 - share)), abs=1e-12)
    assert found.probability == np.mean(share <= 0.5)


@pytest.mark.parametrize("seed", range(4))
def test_purgedcv_agrees(seed):
    rng = np.random.default_rng(seed)
    returns = 0.01 * (rng.standard_normal((120, 10)) + 0.1 * rng.standard_normal(10))
    theirs = purgedcv.probability_of_backtest_overfitting(returns.T, 8)
    ours = cscv(returns, 8)
    assert ours.probability == pytest.approx(theirs.pbo)
    assert np.sort(ours.logits) == pytest.approx(np.sort(theirs.logits), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_leverage_and_order_of_columns_change_nothing(seed, data):
    rng = np.random.default_rng(seed)
    returns = 0.01 * rng.standard_normal((72, 9))
    order = np.array(data.draw(st.permutations(range(9))))
    moved = returns[:, order] * rng.uniform(0.1, 10, 9)
    assert cscv(moved, 6).logits == pytest.approx(cscv(returns, 6).logits)


def test_an_edge_shows_and_noise_does_not():
    rng = np.random.default_rng(9)
    noise = 0.01 * rng.standard_normal((360, 20))
    edge = noise.copy()
    edge[:, 4] += 0.004
    without, with_edge = backtest_overfitting(noise), backtest_overfitting(edge)
    assert isinstance(without, Overfitting)
    assert isinstance(with_edge, Overfitting)
    assert with_edge.probability < 0.05 < 0.25 < without.probability
    assert with_edge.loss_probability < 0.05


def test_clones_tie_wherever_they_stand():
    column = 0.01 * np.random.default_rng(10).standard_normal((240, 1))
    found = cscv(column * np.random.default_rng(12).uniform(0.1, 10, 37), 12)
    assert np.all(found.chosen == 0)
    assert found.logits == pytest.approx(np.log(1 / 37))


def test_a_column_that_rests_ranks_last():
    returns = np.zeros((24, 3))
    returns[:12, 0] = 0.02 + 0.01 * np.sin(np.arange(12))
    returns[:, 1] = 0.001 + 0.01 * np.sin(np.arange(24))
    found = cscv(returns, 2)
    assert found.chosen[0] == 0
    assert found.logits[0] == pytest.approx(np.log(0.25 / 0.75))
    assert found.loss_probability >= 0.5


def test_oldest_rows_are_left_out():
    rng = np.random.default_rng(11)
    returns = rng.standard_normal((245, 8))
    assert cscv(returns, 12).periods == 240
    assert cscv(returns, 12).logits.tolist() == cscv(returns[5:], 12).logits.tolist()


@pytest.mark.parametrize(
    ("shape", "reason"), [((240, 7), "needs 8 medoids, has 7"), ((159, 8), "needs 160 days, has 159")]
)
def test_too_little_is_not_run(shape, reason):
    assert backtest_overfitting(np.ones(shape)) == NotRun(reason)


@pytest.mark.parametrize(("days", "blocks"), [(160, 8), (199, 8), (200, 10), (239, 10), (240, 12), (900, 12)])
def test_few_days_are_cut_into_fewer_blocks(days, blocks):
    found = backtest_overfitting(np.random.default_rng(13).standard_normal((days, 8)))
    assert isinstance(found, Overfitting)
    assert found.blocks == blocks
    assert found.periods // blocks >= 20


@pytest.mark.parametrize("blocks", [0, 5, 14])
def test_blocks_that_cannot_be_halved_or_filled_are_errors(blocks):
    with pytest.raises(InputError):
        cscv(EXAMPLE, blocks)


def test_a_hole_is_an_error_that_names_it():
    broken = EXAMPLE.copy()
    broken[3, 1] = np.inf
    with pytest.raises(InputError, match="period 3, column 1"):
        cscv(broken, 4)
