"""What raptorbt takes for finished signals: run by the Python of an environment that has it and nothing of this house.

    RAPTORBT_NO_VERSION_CHECK=1 RAYON_NUM_THREADS=1 python batch.py FOLDER

FOLDER holds one file of NumPy arrays for each asset: `timestamps` (nanoseconds), `open`, `high`, `low`, `close` and
`volume`, each of shape (bars,), and `entries` and `exits`, of shape (genomes, bars). Prints as JSON the seconds of a
core that all of them took and how many trades were made.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import raptorbt

FEE = 0.00045
COLUMNS = ("timestamps", "open", "high", "low", "close", "volume")


def main(folder: Path) -> None:
    """Trade what the folder holds and print what it took."""
    config = raptorbt.BacktestConfig(
        initial_capital=10_000.0, fees=FEE, slippage=0.0, fill_timing="next_bar_open", periods_per_year=8_760.0
    )
    took, trades = 0.0, 0
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            columns, entries, exits = ([arrays[name] for name in COLUMNS], arrays["entries"], arrays["exits"])
        began = time.process_time()
        items = [
            raptorbt.BatchSingleItem(str(number), entries[number], exits[number]) for number in range(len(entries))
        ]
        results = raptorbt.batch_single_backtest(*columns, items, config)
        metrics = [result.metrics for _, result in results]
        took += time.process_time() - began
        trades += sum(one.total_trades for one in metrics)
    print(json.dumps({"seconds": took, "trades": trades}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
