"""What file names say: the symbol behind a pair of currencies, and the interval of the bars."""

import re
from collections.abc import Sequence
from typing import Final

from quant_organism.errors import InputError
from quant_organism.market.schema import Interval

INTERVALS: Final = tuple(
    Interval.parse(name) for name in ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d")
)

# A perpetual is named by its base alone when it is quoted in dollars or a dollar's token.
USD_LIKE: Final = frozenset({"USD", "USDT", "USDC", "BUSD", "TUSD", "FDUSD", "USDP", "DAI", "USDE", "PYUSD"})

_SEPARATOR = re.compile(r"[/_:]")


def symbol_of_pair(pair: str, *, run_together: Sequence[str] = ("USDT", "USDC", "USD")) -> str:
    """Return the project's symbol for a venue's pair.

    A dollar-like quote is left out, any other stays: ``BTC/USDT``, ``BTC_USDC_USDC`` and ``BTCUSDT`` are ``BTC``,
    ``XRP/ETH`` is ``XRP-ETH``. The base is never altered: ``kPEPE`` stays ``kPEPE``, ``1000PEPE`` stays ``1000PEPE``.

    Parameters
    ----------
    pair
        Base and quote, separated by ``/``, ``_`` or ``:`` (a third part, the settlement currency, says nothing
        more), or run together.
    run_together
        Quotes looked for, in this order, at the end of a pair without separator. BUSD and TUSD are not among the
        default ones because ``BNBUSD`` may as well be BNB in USD; a format that excludes that reading adds them.
    """
    parts = [part for part in _SEPARATOR.split(pair) if part]
    if len(parts) > 1:
        base, quote = parts[0], parts[1]
        return base if quote.upper() in USD_LIKE else f"{base}-{quote}"
    for quote in run_together:
        if pair.upper().endswith(quote) and len(pair) > len(quote):
            return pair[: -len(quote)]
    return pair


def interval_named(name: str) -> Interval | None:
    """Return the interval that a file name calls `name`, or None where the project has no such bars."""
    try:
        return Interval.parse(name)
    except InputError:
        return None


def interval_of_length(milliseconds: int) -> Interval | None:
    """Return the interval of this length, or None where the project has no such bars."""
    return next((interval for interval in INTERVALS if interval.milliseconds == milliseconds), None)


def left_aside_interval(name: str) -> str:
    """Say why a file of `name` bars is left aside."""
    return f"{name} bars are none of {', '.join(interval.name for interval in INTERVALS)}"
