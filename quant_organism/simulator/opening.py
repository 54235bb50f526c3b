"""A venue made ready: bars of a source, the day it opens, the money its accounts begin with."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from quant_organism.errors import InputError
from quant_organism.market import MS_PER_DAY, CandleSource, Interval
from quant_organism.simulator.engine import Engine
from quant_organism.simulator.market.driver import MarketSpec
from quant_organism.simulator.market.tape import Tape, read_tape
from quant_organism.venue.protocol import MICRO_USD

_DEPOSIT: Final = re.compile(r"(0x[0-9a-fA-F]{40})=([0-9]{1,12})")


def open_engine(
    source: CandleSource,
    interval: Interval,
    *,
    symbols: Sequence[str] | None = None,
    future_days: int = 90,
    now_ms: int | None = None,
    spec: MarketSpec | None = None,
    seed: int = 0,
    deposits: Mapping[str, int] | None = None,
    dexs: Mapping[str, str] | None = None,
) -> Engine:
    """Return a venue whose history is the beginning of a source, and whose future is the rest of it.

    Parameters
    ----------
    source, interval, symbols
        Bars to follow; no symbols: all.
    future_days
        Days of the source that lie before the venue; half of it at most.
    now_ms
        Time that its opening shall be, to the hour's bar; None: the time that the source says.
    spec, seed
        How the market looks, and what it draws.
    deposits
        USD by address.
    dexs
        Builder-deployed dex by coin; the others are the venue's own.
    """
    tape = read_tape(source, interval, symbols).deployed(dexs or {})
    begin = opening_time(tape, future_days)
    if now_ms is not None:
        opening = now_ms // interval.milliseconds * interval.milliseconds
        tape, begin = tape.shifted(opening - begin), opening
    engine = Engine(tape, begin, spec, seed)
    for address, usd in (deposits or {}).items():
        engine.deposit(address.lower(), usd * MICRO_USD)
    engine.advance(begin if now_ms is None else now_ms)
    return engine


def opening_time(tape: Tape, future_days: int) -> int:
    """Return the open of the bar before which a tape is history, in ms."""
    length_ms = tape.interval.milliseconds
    future = min(future_days * MS_PER_DAY // length_ms, len(tape.times) // 2)
    return int(tape.times[len(tape.times) - max(1, future)])


def parse_deposits(texts: Sequence[str]) -> dict[str, int]:
    """Return USD by address from texts like `0x...=10000`.

    Raises
    ------
    InputError
        A text is not an address, an equals sign and whole USD.
    """
    found = {}
    for text in texts:
        match = _DEPOSIT.fullmatch(text)
        if match is None:
            raise InputError(f"{text!r} is not ADDRESS=USD", where="--deposit", remedy="write 0x and 40 digits, =, USD")
        found[match[1].lower()] = int(match[2])
    return found


def parse_dexs(texts: Sequence[str]) -> dict[str, str]:
    """Return the dex of each coin from texts like `xyz=GOLD,OIL`.

    Raises
    ------
    InputError
        A text is not a name, an equals sign and coins.
    """
    found: dict[str, str] = {}
    for text in texts:
        dex, equals, coins = text.partition("=")
        if not equals or not all(coins.split(",")):
            raise InputError(f"{text!r} is not NAME=COIN,COIN", where="--dex", remedy="write a name, =, and coins")
        found |= dict.fromkeys(coins.split(","), dex)
    return found
