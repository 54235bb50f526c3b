"""The two lines of cycles that take turns: which days each sees, and which of them its search does."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final, Literal

from quant_organism.errors import InputError
from quant_organism.market.schema import Interval
from quant_organism.market.splits import Span, Splits, split

Line = Literal["long", "short"]
"""`long`: a search on the first 60 % of two years, one look at the rest. `short`: a search on all of one year and no
look; days that are still to come judge what it finds."""

LINE_DAYS: Final[Mapping[Line, int]] = MappingProxyType({"long": 730, "short": 365})
"""Days that a cycle of each line sees at most."""

MIN_SHORT_DAYS: Final = 240
"""Days that a cycle of the short line needs at least."""

FIRST_MONDAY: Final = date(1970, 1, 5)


def week_of(day: date) -> int:
    """Return the number of a day's ISO week, counted from 1970-01-05, so that no year's last week breaks anything."""
    return (day - FIRST_MONDAY).days // 7


def line_of_week(day: date) -> Line:
    """Return the line of the official cycle of a day's week: long in odd weeks, short in even ones."""
    return "long" if week_of(day) % 2 else "short"


def line_of(plan: Mapping[str, object]) -> Line:
    """Return the line that a cycle's plan says; one that says nothing is of the long line."""
    return "short" if plan.get("line") == "short" else "long"


def splits_of(line: Line, n_bars: int, interval: Interval) -> Splits:
    """Return the spans of a cycle of a line; on the short one the search sees all, and the unseen spans are empty.

    Raises
    ------
    InputError
        There are too few days for the line.
    """
    if line == "long":
        return split(n_bars, interval)
    days = n_bars / interval.bars_per_day
    if days < MIN_SHORT_DAYS:
        raise InputError(
            f"{days:.0f} days of bars are too few for the short line: at least {MIN_SHORT_DAYS} are needed",
            remedy="use a longer lookback or a later date",
        )
    return Splits(
        in_sample=Span("in_sample", 0, n_bars),
        out_of_sample=Span("out_of_sample", n_bars, n_bars),
        walk_forward=Span("walk_forward", n_bars, n_bars),
    )


def has_unseen(splits: Splits) -> bool:
    """Tell whether there are days that the search does not see."""
    return len(splits.unseen) > 0


def promised(splits: Splits) -> Span:
    """Return the span whose account is what a strategy promises: the unseen days, all days where there are none."""
    return splits.unseen if has_unseen(splits) else splits.in_sample
