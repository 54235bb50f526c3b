"""Spans of a panel in time order: what the search may see, and what it may not."""

from dataclasses import dataclass

from quant_organism.errors import InputError
from quant_organism.market.schema import Interval

SHARES = (0.6, 0.2, 0.2)
MIN_DAYS = 90

LONGEST_HOLDING_HOURS = 336
"""The longest that any strategy may hold a position; the bound of its gene, and the embargo between spans."""


@dataclass(frozen=True)
class Span:
    """Bars [start, stop) of a panel; strategies enter it flat and are marked out at its end."""

    name: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Splits:
    """The three spans of a cycle.

    Between the in-sample span and the first unseen one lies an embargo at least as long as the longest holding, so
    that no position that shaped the search reaches into what judges it. The two unseen spans adjoin: nothing is
    chosen between them.
    """

    in_sample: Span
    out_of_sample: Span
    walk_forward: Span

    @property
    def unseen(self) -> Span:
        """Both unseen spans as one."""
        return Span("unseen", self.out_of_sample.start, self.walk_forward.stop)


def split(n_bars: int, interval: Interval, embargo_hours: float = LONGEST_HOLDING_HOURS) -> Splits:
    """Split a panel's bars 60/20/20 in time order, at whole days; the embargo is taken from the second span's start.

    Parameters
    ----------
    n_bars
        Bars of the panel.
    interval
        Their length.
    embargo_hours
        At least the longest holding of any strategy, in hours.

    Raises
    ------
    InputError
        The panel is too short for three spans worth judging.
    """
    days = n_bars / interval.bars_per_day
    if days < MIN_DAYS:
        raise InputError(
            f"{days:.0f} days of bars are too few to split: at least {MIN_DAYS} are needed",
            remedy="use a longer lookback or a later date",
        )
    first = int(days * SHARES[0]) * interval.bars_per_day
    second = int(days * (SHARES[0] + SHARES[1])) * interval.bars_per_day
    embargo = int(-(-embargo_hours // interval.hours))
    if first + embargo >= second:
        raise InputError(
            f"an embargo of {embargo_hours:.0f} hours leaves nothing of {second - first} out-of-sample bars",
            remedy="use a longer lookback",
        )
    return Splits(
        in_sample=Span("in_sample", 0, first),
        out_of_sample=Span("out_of_sample", first + embargo, second),
        walk_forward=Span("walk_forward", second, n_bars),
    )
