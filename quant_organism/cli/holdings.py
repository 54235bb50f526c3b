"""Which candles of the lake a command means."""

from dataclasses import dataclass
from datetime import date

from quant_organism.errors import InputError
from quant_organism.market import Lake


@dataclass(frozen=True)
class Candles:
    """Candles of one market at one interval, and their first and last day."""

    market: str
    interval: str
    first: date
    last: date


def choose_candles(lake: Lake, market: str | None, interval: str | None) -> Candles:
    """Return the candles that are named, or the only ones there are.

    Raises
    ------
    InputError
        There are none, or more than one fits and the command does not say which.
    """
    held = [
        Candles(entry.market, holding.interval or "", holding.first, holding.last)
        for entry in lake.markets()
        for holding in entry.holdings
        if holding.dataset == "candles"
    ]
    fitting = [c for c in held if market in (None, c.market) and interval in (None, c.interval)]
    if len(fitting) == 1:
        return fitting[0]
    if not held:
        raise InputError(
            "the lake holds no candles", where=str(lake.root), remedy="fill it: quant-organism data import PATH"
        )
    known = "; ".join(f"--market {c.market} --interval {c.interval}" for c in fitting or held)
    raise InputError(
        "several markets fit" if fitting else f"no candles of {market or 'any market'} at {interval or 'any interval'}",
        where=str(lake.root),
        remedy=f"choose one: {known}",
    )
