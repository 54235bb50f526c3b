"""Patterns of past runs: which regions of parameters earned on some days, and again on others.

It reads what runs left at rest and changes nothing of it; what a search makes of a pattern is not decided here.
"""

from quant_organism.market import Lake
from quant_organism.workflows.mining.drawn import DrawnTrials, intervals_of, read_drawn
from quant_organism.workflows.mining.falls import GateFalls, count_falls, read_judged
from quant_organism.workflows.mining.live import WatchedReturns, read_watched
from quant_organism.workflows.mining.patterns import Mining, Pattern, mine, stored_patterns, write_patterns
from quant_organism.workflows.mining.regions import GeneRange, Region

__all__ = [
    "DrawnTrials",
    "GateFalls",
    "GeneRange",
    "Mining",
    "Pattern",
    "Region",
    "WatchedReturns",
    "count_falls",
    "intervals_of",
    "mine",
    "mine_lake",
    "read_drawn",
    "read_judged",
    "read_watched",
    "stored_patterns",
]


def mine_lake(lake: Lake) -> dict[str, Mining]:
    """Mine all runs of a lake, store what stands out, and return it by the length of bars.

    Raises
    ------
    IntegrityError
        A file is damaged; it is named. Earlier patterns are as they were.
    """
    result = {}
    for interval in intervals_of(lake):
        trials = read_drawn(lake, interval)
        if len(trials):
            result[interval] = mine(trials, read_watched(lake, interval))
            write_patterns(lake, interval, result[interval], trials.newest)
    return result
