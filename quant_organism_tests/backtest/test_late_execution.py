"""Rule 20: orders that reach the market some bars late."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import Genome
from quant_organism.strategies.operators import default_genome
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.test_restricted import genomes_of

COSTS = Costs(slippage_bps=10.0, taker_fee=0.001)


def rise() -> tuple[Genome, Panel]:
    """Return a trend follower that goes long once and stays, and a price that stands still and then rises."""
    genes = dict(default_genome("ema_crossover").genes)
    genes |= {"stop_loss": 0.15, "take_profit": 0.3, "max_holding_hours": 336, "position_size": 0.1}
    close = 100 * np.exp(np.cumsum(np.concatenate([np.zeros(150), np.full(100, 0.001)])))
    opens = np.concatenate([close[:1], close[:-1]]) * np.exp(0.0002)
    panel = Panel.from_arrays(
        symbols=["A"],
        interval=Interval.parse("1h"),
        times=1_704_067_200_000 + 3_600_000 * np.arange(250),
        open=opens[:, None],
        high=np.maximum(opens, close)[:, None],
        low=np.minimum(opens, close)[:, None],
        close=close[:, None],
        volume=np.ones((250, 1)),
    )
    return Genome("ema_crossover", genes), panel


@pytest.mark.parametrize("late", [0, 1, 3])
def test_a_late_entry_by_hand(late):
    genome, panel = rise()
    evaluator = Evaluator(threads=1)
    (timely,) = evaluator.trades(genome, panel, COSTS).frame["entry_time"].dt.epoch("ms")
    entry = int(np.searchsorted(panel.times, timely)) + late
    path = evaluator.evaluate([genome], panel, COSTS, bar_returns=True, delay_bars=late).bar_returns[0]
    # A tenth of the equity at the open of a later bar, worse by the slippage, and the fee on it.
    quantity = 0.1 / (panel.open[entry, 0] * 1.001)
    equity = 1 - 0.1 * 0.001 + quantity * (panel.close[entry:, 0] - panel.open[entry, 0] * 1.001)
    assert not path[:entry].any()
    np.testing.assert_allclose(np.cumprod(1 + path[entry:]), equity, rtol=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_not_late_is_the_same_to_the_last_bit_and_late_by_all_bars_is_never(seed):
    panel, genomes, evaluator = random_panel(seed, holes=False), genomes_of(seed), Evaluator(threads=2)
    plain = evaluator.evaluate(genomes, panel, COSTS, bar_returns=True)
    same = evaluator.evaluate(genomes, panel, COSTS, bar_returns=True, delay_bars=0)
    np.testing.assert_array_equal(plain.bar_returns, same.bar_returns)
    never = evaluator.evaluate(genomes, panel, COSTS, bar_returns=True, delay_bars=panel.n_bars)
    assert not never.bar_returns.any()
    again = evaluator.evaluate(genomes, panel, COSTS, bar_returns=True)
    np.testing.assert_array_equal(plain.bar_returns, again.bar_returns)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000), late=st.integers(1, 5))
def test_what_was_done_late_knew_nothing_of_the_bars_in_between(seed, late):
    panel, genomes, evaluator = random_panel(seed, bars=300), genomes_of(seed), Evaluator(threads=1)
    cut = 200
    changed = panel.close.copy()
    changed[cut] *= 1.01
    altered = Panel.from_arrays(
        symbols=panel.symbols,
        interval=panel.interval,
        times=panel.times,
        open=panel.open,
        high=np.fmax(panel.high, changed),
        low=panel.low,
        close=changed,
        volume=panel.volume,
        funding_rate=panel.funding_rate,
        funding_paid=panel.funding_paid,
        valid=panel.valid,
    )
    before = evaluator.evaluate(genomes, panel, COSTS, bar_returns=True, delay_bars=late).bar_returns
    after = evaluator.evaluate(genomes, altered, COSTS, bar_returns=True, delay_bars=late).bar_returns
    np.testing.assert_array_equal(before[:, :cut], after[:, :cut])


def test_a_negative_delay_is_refused():
    with pytest.raises(InputError, match="delay_bars is -1"):
        Evaluator(threads=1).evaluate([default_genome("ema_crossover")], random_panel(1), COSTS, delay_bars=-1)
