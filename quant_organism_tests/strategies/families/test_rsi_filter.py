"""When rsi_filter speaks for the first time."""

import numpy as np
import pytest

from quant_organism.strategies import Genome, default_genome, signal


@pytest.mark.parametrize(("mode", "first"), [("trend_filter", 5 * 5 - 1), ("reversion", 3 * 5 - 1)])
@pytest.mark.parametrize("side", [1, -1])
def test_the_first_target_comes_with_the_first_bar_that_has_all_it_reads(mode: str, first: int, side: int) -> None:
    # A long way up, then three bars down: oversold, yet above the average of five periods. And its mirror image.
    steps = np.full(first + 6, 0.1)
    steps[first - 2 : first + 1] = -0.25
    close = 100.0 * np.exp(side * np.cumsum(steps))
    genes = {"rsi_period": 5, "oversold_threshold": 35.0, "overbought_threshold": 65.0, "operation_mode": mode}
    genome = Genome("rsi_filter", dict(default_genome("rsi_filter").genes) | genes)
    target = signal(genome, {"close": close})
    assert target[:first].tolist() == [0.0] * first
    assert np.sign(target[first]) == side
