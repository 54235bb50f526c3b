"""Numbers of the wire as scaled integers, and the rules of tick, lot and significant figures.

A price has at most `6 - sz_decimals` decimals and a size `sz_decimals`, so that the integer product of the two is an
exact number of micro-USD. All money of the simulator is counted in these.
"""

import re
from decimal import Decimal
from typing import Final

from quant_organism.errors import QuantOrganismError

USD_DECIMALS: Final = 6
MICRO_USD: Final = 1_000_000
MAX_WIRE_DECIMALS: Final = 8
SIGNIFICANT_FIGURES: Final = 5
_POWERS: Final[tuple[int, ...]] = tuple(int(10**i) for i in range(USD_DECIMALS + 1))
_WIRE: Final = re.compile(r"-?[0-9]{1,20}(?:\.([0-9]{1,20}))?")


class Malformed(QuantOrganismError):
    """A request's JSON lacks a field or holds one of a wrong kind; the venue answers 422 and changes nothing."""


def parse_wire(text: object) -> Decimal:
    """Return the number that a request's string says.

    Raises
    ------
    Malformed
        Not a string, not plain decimal notation, or more than 8 decimals.
    """
    match = _WIRE.fullmatch(text) if isinstance(text, str) else None
    if match is None or len(match[1] or "") > MAX_WIRE_DECIMALS:
        raise Malformed(f"{text!r} is not a decimal of at most {MAX_WIRE_DECIMALS} places")
    return Decimal(match[0])


def scaled(value: Decimal, decimals: int) -> int | None:
    """Return `value` in units of 10^-decimals, or None where it is not a whole number of them."""
    units = value.scaleb(decimals)
    whole = int(units)
    return whole if whole == units else None


def answer_number(units: int, decimals: int) -> str:
    """Return a scaled integer as answers of the venue write it: no trailing zeros, but at least one decimal."""
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(decimals + 1, "0")
    cut = len(digits) - decimals
    fraction = digits[cut:].rstrip("0")
    return f"{sign}{digits[:cut]}.{fraction or '0'}"


def usd(micro_usd: int) -> str:
    """Return micro-USD as a decimal string of USD."""
    return answer_number(micro_usd, USD_DECIMALS)


def price_decimals(sz_decimals: int) -> int:
    """Return how many decimals a perpetual's price may have."""
    return USD_DECIMALS - sz_decimals


def price_step(price: int, decimals: int) -> int:
    """Return the tick at a scaled price: five significant figures, though whole numbers are always legal."""
    return _POWERS[min(max(0, len(str(price)) - SIGNIFICANT_FIGURES), decimals)]


def is_legal_price(price: int, decimals: int) -> bool:
    """Say whether a scaled price is positive and on the tick."""
    return price > 0 and price % price_step(price, decimals) == 0


def round_units(price: int, decimals: int, *, up: bool) -> int:
    """Return the nearest legal price at or beyond a positive scaled price."""
    step = price_step(price, decimals)
    return max(-(-price // step) * step if up else price // step * step, 1)


def nearest_price(price: float, decimals: int) -> int:
    """Return the legal scaled price nearest to a price in USD, at least one tick."""
    units = max(round(price * _POWERS[decimals]), 1)
    step = price_step(units, decimals)
    return max((units + step // 2) // step * step, 1)


def truncated(numerator: int, denominator: int) -> int:
    """Return the quotient without its fraction, towards zero, for a positive denominator."""
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)
