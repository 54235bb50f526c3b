"""Where vectorbt means the same, it gets the same."""

from __future__ import annotations

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.reference import run_vectorbt
from quant_organism.errors import InputError
from quant_organism.strategies import Genome
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.test_against_reference import lively_genome

COMPARABLE = Costs(slippage_bps=0.0, charge_funding=False)
VOLATILITIES = (0.005, 0.01, 0.03)


def comparable_genome(seed: int) -> Genome:
    """Draw a genome of any family without a trailing stop."""
    genome = lively_genome(seed)
    return Genome(genome.family, dict(genome.genes) | {"trailing_stop": 0.0})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stops_from_next_bar", [False, True])
def test_a_hundred_genomes_of_all_families_agree(stops_from_next_bar: bool) -> None:
    evaluator = Evaluator(threads=1, stops_from_next_bar=stops_from_next_bar)
    trades = 0.0
    for seed in range(100):
        holes = not stops_from_next_bar and seed % 2 == 0
        panel = random_panel(seed, bars=600, assets=1, volatility=VOLATILITIES[seed % 3], holes=holes)
        genome, start = comparable_genome(seed), 100 * (seed % 2)
        ours = evaluator.evaluate([genome], panel, COMPARABLE, start=start)
        theirs = run_vectorbt(
            genome, panel, "S0", COMPARABLE, start=start, stops_from_next_bar=stops_from_next_bar
        ).statistics
        found = {name: ours.asset_metrics[name][0, 0] for name in theirs}
        trades += found["trades"]
        assert found["trades"] == theirs["trades"]
        np.testing.assert_array_equal(found["win_rate"], theirs["win_rate"])
        for name in ("total_return", "max_drawdown"):
            assert abs(found[name] - theirs[name]) < 1e-9
        if np.isnan(found["sharpe"]):
            assert not np.isfinite(theirs["sharpe"])
        else:
            assert abs(found["sharpe"] - theirs["sharpe"]) < 1e-9
    assert trades > 1000


@pytest.mark.filterwarnings("ignore")
def test_equity_agrees_bar_by_bar() -> None:
    panel, genome = random_panel(2, bars=300, assets=1, holes=False), comparable_genome(2)
    ours = Evaluator(threads=1).equity(genome, panel, COMPARABLE).sleeves[:, 0]
    np.testing.assert_allclose(run_vectorbt(genome, panel, "S0", COMPARABLE).equity, ours, rtol=1e-12)


def test_what_vectorbt_means_otherwise_is_refused() -> None:
    panel, genome = random_panel(1, bars=100, assets=1, holes=False), comparable_genome(1)
    with pytest.raises(InputError, match="knows no funding"):
        run_vectorbt(genome, panel, "S0", Costs())
    with pytest.raises(InputError, match="no symbol 'S9'"):
        run_vectorbt(genome, panel, "S9", COMPARABLE)
    trailing = Genome(genome.family, dict(genome.genes) | {"trailing_stop": 0.05})
    with pytest.raises(InputError, match="either a fixed or a trailing stop"):
        run_vectorbt(trailing, panel, "S0", COMPARABLE)
