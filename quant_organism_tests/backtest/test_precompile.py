"""What is compiled ahead of a first run is what runs call."""

import subprocess
import sys

PART_BY_PART = """
import gc

import numpy as np
from numba.core.registry import CPUDispatcher

from benchmarks.evaluator import panel
from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.precompile import _signal, _trade
from quant_organism.strategies import family_names, random_genome


def signatures():
    kernels = [part for part in gc.get_objects() if isinstance(part, CPUDispatcher)]
    ours = [kernel for kernel in kernels if kernel.py_func.__module__.startswith("quant_organism")]
    return {(kernel.py_func.__qualname__, signature) for kernel in ours for signature in kernel.signatures}


_trade()
for name in family_names():
    _signal(name)
ahead = signatures()
rng, market = np.random.default_rng(1), panel(1_200, 3)
genomes = [random_genome(rng, name) for name in family_names() for _ in range(3)]
for costs in (Costs(), Costs(max_participation=0.1)):
    evaluator = Evaluator(threads=1)
    evaluator.evaluate(genomes, market, costs)
    evaluator.trades(genomes[0], market, costs)
print(len(ahead), *sorted(name for name, _ in signatures() - ahead))
"""


def test_an_evaluation_finds_its_kernels_compiled() -> None:
    done = subprocess.run([sys.executable, "-c", PART_BY_PART], capture_output=True, check=True, text=True)
    count, *missing = done.stdout.split()
    assert int(count) > 60
    assert missing == []
