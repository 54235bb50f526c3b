"""What may still trade and what is held, seen row by row for whoever must get out.

One row that cannot be read hides itself and nothing else, and is named.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Any, TypeVar

from quant_organism.venue.client.account import Position, position_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """What a cancel needs to know of an order, and what it needs of nothing else.

    Parameters
    ----------
    coin, oid, cloid
        Which.
    reduce_only
        Whether it can only lessen a position; False where that is not said.
    """

    coin: str
    oid: int
    cloid: str | None
    reduce_only: bool


@dataclass(frozen=True, slots=True)
class RunningTwap:
    """An order that the venue trades part by part, by its number; it is none of the open orders."""

    coin: str
    number: int
    reduce_only: bool


@dataclass(frozen=True, slots=True)
class Resting:
    """What may still trade, as far as it can be seen; `doubts` say what cannot be."""

    orders: tuple[OpenOrder, ...] = ()
    twaps: tuple[RunningTwap, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is held, as far as it can be seen; `doubts` say what cannot be."""

    positions: tuple[Position, ...] = ()
    doubts: tuple[str, ...] = ()


def see_open_orders(answer: Any) -> Resting:
    """Return the orders of `frontendOpenOrders`, row by row: one that cannot be read leaves the others as they are."""
    rows = list(answer) if isinstance(answer, list) else []
    rows += [child for row in rows if isinstance(row, Mapping) for child in row.get("children") or []]
    orders, doubts = _row_by_row(rows, _open_order)
    return Resting(orders, (), doubts if isinstance(answer, list) else (f"{repr(answer)[:80]} is no list of orders",))


def see_twaps(answer: Any) -> Resting:
    """Return the TWAP orders of `twapHistory` that run, row by row."""
    rows, doubts = _row_by_row(list(answer) if isinstance(answer, list) else [], _twap_row)
    ended = {twap.number for twap, runs in rows if not runs}
    running = {twap.number: twap for twap, runs in rows if runs and twap.number not in ended}
    if not isinstance(answer, list):
        doubts = (f"{repr(answer)[:80]} is no list of TWAP orders",)
    return Resting((), tuple(running.values()), doubts)


def see_positions(answer: Any) -> Holdings:
    """Return the positions of a `clearinghouseState`, row by row."""
    rows = answer.get("assetPositions") if isinstance(answer, Mapping) else None
    if not isinstance(rows, list):
        return Holdings((), (f"{repr(answer)[:80]} holds no positions",))
    positions, doubts = _row_by_row(rows, lambda row: position_of(row["position"]))
    return Holdings(tuple(position for position in positions if position.szi), doubts)


def _row_by_row(rows: Iterable[Any], read: Callable[[Any], T]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """Return the rows that can be read, and what is to be said of the others."""
    seen, doubts = [], []
    for row in rows:
        try:
            seen.append(read(row))
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
            doubts.append(f"cannot be read: {repr(row)[:120]}")
    return tuple(seen), tuple(doubts)


def _open_order(body: Mapping[str, Any]) -> OpenOrder:
    cloid = body.get("cloid")
    return OpenOrder(
        coin=str(body["coin"]),
        oid=int(body["oid"]),
        cloid=cloid.lower() if isinstance(cloid, str) else None,
        reduce_only=body.get("reduceOnly") is True,
    )


def _twap_row(body: Mapping[str, Any]) -> tuple[RunningTwap, bool]:
    """Return a TWAP order and whether this row, its beginning or its end, leaves it running."""
    state, status = body["state"], body["status"]["status"]
    return RunningTwap(str(state["coin"]), int(body["twapId"]), state.get("reduceOnly") is True), status == "activated"
