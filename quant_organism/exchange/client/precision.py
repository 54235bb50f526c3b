"""Prices and sizes as the venue takes them, in Decimal from the first digit to the wire (reference: section 9)."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from quant_organism.errors import InputError
from quant_organism.exchange.client.listings import Listed
from quant_organism.exchange.protocol.decimals import is_legal_price, round_units, scaled

MIN_NOTIONAL_USD: Final = Decimal(10)


def quantised_price(px: Decimal, listed: Listed, *, up: bool) -> Decimal:
    """Return the nearest legal price at or beyond `px`.

    Parameters
    ----------
    px
        USD.
    listed
        The perpetual.
    up
        Round up or down. Passive: bids down, asks up; a bound that must not be crossed: the same.

    Raises
    ------
    InputError
        Not a positive number.
    """
    if not px.is_finite() or px <= 0:
        raise InputError(f"a price of {px}", where=listed.coin, remedy="give a positive price in USD")
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    units = int(px.scaleb(listed.px_decimals).to_integral_value(rounding))
    return Decimal(round_units(max(units, 1), listed.px_decimals, up=up)).scaleb(-listed.px_decimals)


def quantised_size(sz: Decimal, listed: Listed) -> Decimal:
    """Return the largest legal size that is not larger; it may be zero.

    Raises
    ------
    InputError
        Negative, or not a number.
    """
    if not sz.is_finite() or sz < 0:
        raise InputError(f"a size of {sz}", where=listed.coin, remedy="give a size in coins that is not negative")
    return sz.quantize(Decimal(1).scaleb(-listed.sz_decimals), ROUND_FLOOR)


def check_order(px: Decimal, sz: Decimal, listed: Listed) -> None:
    """Refuse what the venue would refuse for its form alone.

    Raises
    ------
    InputError
        Off the tick, off the lot, or zero.
    """
    price = scaled(px, listed.px_decimals)
    if price is None or not is_legal_price(price, listed.px_decimals):
        raise InputError(f"a price of {px} is off the tick", where=listed.coin, remedy="use quantised_price")
    if sz <= 0 or scaled(sz, listed.sz_decimals) is None:
        raise InputError(f"a size of {sz} is not a multiple of the lot", where=listed.coin, remedy="use quantised_size")


def wire_number(value: Decimal) -> str:
    """Return a number as requests write it: plain, without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
