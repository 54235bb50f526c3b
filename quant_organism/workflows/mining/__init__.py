"""Patterns of past runs: which parts of a family's genes, assets and days earned, and again on other days.

It reads what runs left at rest and changes nothing of it; what a search makes of a pattern is not decided here.
"""

from quant_organism.market import Lake
from quant_organism.workflows.mining.drawn import DrawnTrials, intervals_of, read_drawn
from quant_organism.workflows.mining.falls import FailingGate, GateFalls, count_falls, mine_falls, read_judged
from quant_organism.workflows.mining.live import WatchedReturns, read_watched
from quant_organism.workflows.mining.patterns import Mining, Pattern, mine, stored_patterns, write_patterns
from quant_organism.workflows.mining.regions import GeneRange, Region
from quant_organism.workflows.mining.sleeves import SleevePanel, read_sleeves

__all__ = [
    "DrawnTrials",
    "FailingGate",
    "GateFalls",
    "GeneRange",
    "Mining",
    "Pattern",
    "Region",
    "SleevePanel",
    "WatchedReturns",
    "count_falls",
    "intervals_of",
    "mine",
    "mine_falls",
    "mine_lake",
    "read_drawn",
    "read_judged",
    "read_sleeves",
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
            slices = {panel: list(sleeves.slices()) for panel, sleeves in read_sleeves(lake, interval, trials)}
            result[interval] = mine(trials, read_watched(lake, interval), slices)
            write_patterns(lake, interval, result[interval], trials.newest)
    return result
