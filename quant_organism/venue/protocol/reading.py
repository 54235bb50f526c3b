"""What actions and questions are read of: addresses, numbers, client ids, lists; each strictly, or `Malformed`."""

import re
from collections.abc import Mapping
from typing import Any, Final

from quant_organism.venue.protocol.decimals import Malformed

OidOrCloid = int | str

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_CLOID: Final = re.compile(r"0x[0-9a-fA-F]{32}")
_MAX_INT: Final = 1 << 63


def parse_address(value: object, where: str) -> str:
    """Return an address in lower case.

    Raises
    ------
    Malformed
        Not `0x` and 40 hexadecimal digits.
    """
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise Malformed(f"{value!r} is not an address", where=where)
    return value.lower()


def parse_bare_address(value: object, where: str) -> str:
    """Return an address in lower case with its `0x`, which may have been left out.

    Raises
    ------
    Malformed
        Not 40 hexadecimal digits.
    """
    return parse_address(f"0x{value}" if isinstance(value, str) and len(value) == 40 else value, where)


def parse_int(value: object, where: str) -> int:
    """Return a whole number that fits 64 bits.

    Raises
    ------
    Malformed
        Anything else, a boolean included.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not -_MAX_INT <= value < _MAX_INT:
        raise Malformed(f"{value!r} is not a whole number", where=where)
    return value


def parse_oid_or_cloid(value: object, where: str) -> OidOrCloid:
    """Return an order's number, or its cloid in lower case.

    Raises
    ------
    Malformed
        Neither.
    """
    return parse_cloid(value, where) if isinstance(value, str) else parse_int(value, where)


def parse_mapping(value: object, where: str) -> Mapping[str, Any]:
    """Return an object.

    Raises
    ------
    Malformed
        Anything else.
    """
    if not isinstance(value, Mapping):
        raise Malformed("an object is expected", where=where)
    return value


def parse_list(body: Mapping[str, Any], key: str) -> list[Any]:
    """Return the items of a list that must have some.

    Raises
    ------
    Malformed
        No list, or an empty one.
    """
    items = body.get(key)
    if not isinstance(items, list) or not items:
        raise Malformed("a list with at least one item is expected", where=key)
    return items


def parse_bool(value: object, where: str) -> bool:
    """Return true or false.

    Raises
    ------
    Malformed
        Anything else.
    """
    if not isinstance(value, bool):
        raise Malformed(f"{value!r} is not true or false", where=where)
    return value


def parse_cloid(value: object, where: str) -> str:
    """Return a client id in lower case.

    Raises
    ------
    Malformed
        Not `0x` and 32 hexadecimal digits.
    """
    if not isinstance(value, str) or not _CLOID.fullmatch(value):
        raise Malformed(f"{value!r} is not 0x and 32 hexadecimal digits", where=where)
    return value.lower()
