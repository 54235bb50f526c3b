"""The life of an order: the id that follows from its decision, what is believed of it as a table, and its record.

The venue is right. Belief moves on what it says, also out of an end: an order that was thought refused and turns out to
live is open. What the venue cannot take back is not undone by a late message: filled stays filled. The same decision
has the same id, so it cannot be placed twice.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, get_args

from quant_organism.venue import NewOrder

State = Literal["sending", "unknown", "waiting", "open", "filled", "canceled", "rejected"]
Event = Literal["no_answer", "waits", "opens", "replaced", "fills", "cancels", "rejects"]

STATES: Final[tuple[State, ...]] = get_args(State)
EVENTS: Final[tuple[Event, ...]] = get_args(Event)
LIVE: Final[frozenset[State]] = frozenset({"sending", "unknown", "waiting", "open"})
"""States of orders that may still fill."""

MEANINGS: Final[Mapping[State, str]] = {
    "sending": "written down, perhaps on its way",
    "unknown": "sent, and no answer that says what became of it",
    "waiting": "take-profit or stop that waits for its parent",
    "open": "on the book, or waiting for its trigger",
    "filled": "filled whole",
    "canceled": "ended with a rest unfilled; what was filled before counts",
    "rejected": "never was on the book",
}
EVENT_MEANINGS: Final[Mapping[Event, str]] = {
    "no_answer": "the request timed out, broke off, or was answered with something else",
    "waits": "accepted as a child of another order",
    "opens": "the venue shows it open",
    "replaced": "the venue shows it open under a newer number: it was amended",
    "fills": "fills add up to its size, or the venue calls it filled",
    "cancels": "the venue shows it canceled, by whatever cause",
    "rejects": "the venue refused it, or never got it",
}
_TABLE: Final[Mapping[State, Mapping[Event, State]]] = {
    "sending": {
        "no_answer": "unknown",
        "waits": "waiting",
        "opens": "open",
        "replaced": "open",
        "fills": "filled",
        "cancels": "canceled",
        "rejects": "rejected",
    },
    "unknown": {
        "no_answer": "unknown",
        "waits": "waiting",
        "opens": "open",
        "replaced": "open",
        "fills": "filled",
        "cancels": "canceled",
        "rejects": "rejected",
    },
    "waiting": {
        "no_answer": "waiting",  # the line has told of it before the answer was lost
        "waits": "waiting",
        "opens": "open",
        "replaced": "open",
        "fills": "filled",
        "cancels": "canceled",
        "rejects": "rejected",
    },
    "open": {
        "no_answer": "open",
        "waits": "open",
        "opens": "open",
        "replaced": "open",
        "fills": "filled",
        "cancels": "canceled",
        "rejects": "rejected",  # a trigger that fired, and whose order was refused
    },
    "filled": {
        "no_answer": "filled",
        "waits": "filled",
        "opens": "filled",
        "replaced": "open",  # amended to a larger size before the last fill
        "fills": "filled",
        "cancels": "filled",
        "rejects": "filled",
    },
    "canceled": {
        "no_answer": "canceled",
        "waits": "canceled",
        "opens": "canceled",  # a message that is late
        "replaced": "open",  # its old number was canceled because it was amended
        "fills": "filled",
        "cancels": "canceled",
        "rejects": "canceled",
    },
    "rejected": {
        "no_answer": "rejected",
        "waits": "waiting",
        "opens": "open",  # it was taken for lost, and lives
        "replaced": "open",
        "fills": "filled",
        "cancels": "canceled",
        "rejects": "rejected",
    },
}
Kind = Literal["place", "amend", "cancel", "leverage", "margin", "reserve"]
HOUSE: Final = "0x716f"
"""How ids begin that were made here, so that after the loss of a journal its orders are known on the venue."""


def cloid_of(decision_id: str, leg: str = "entry") -> str:
    """Return the id of one order of a decision: `0x` and 32 hexadecimal digits, the first four those of this house.

    Parameters
    ----------
    decision_id
        Names the decision for good: strategy, coin, time, revision.
    leg
        Which of its orders: entry, take-profit, stop, a flattening round.
    """
    return HOUSE + hashlib.sha256(f"{decision_id}\0{leg}".encode()).hexdigest()[:28]


def is_of_this_house(cloid: str | None) -> bool:
    """Say whether an id was made by `cloid_of`, whatever journal it was written into."""
    return cloid is not None and cloid.startswith(HOUSE)


def next_state(state: State, event: Event) -> State:
    """Return what is believed of an order after hearing something."""
    return _TABLE[state][event]


def mermaid() -> str:
    """Return the table as a picture for documents: every move from one state to another."""
    lines = ["stateDiagram-v2", "    [*] --> sending: written to the journal"]
    for state in STATES:
        moves: dict[State, list[str]] = {}
        for event, after in _TABLE[state].items():
            if after != state:
                moves.setdefault(after, []).append(event)
        lines += [f"    {state} --> {after}: {', '.join(events)}" for after, events in moves.items()]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as it is believed to be.

    Parameters
    ----------
    order
        What was asked for, as last amended; its size is that in all, what has been filled included.
    decision_id
        Why.
    state
        See `states`.
    oid
        The venue's newest number for it.
    filled_sz
        Coins filled as far as is known: of each of its numbers its fills, or what the venue has said of it if that is
        more.
    missing_sz
        So much of it the venue has said, and the fills have not come yet.
    text
        What the venue said last.
    """

    order: NewOrder
    decision_id: str
    state: State
    oid: int | None
    filled_sz: Decimal
    missing_sz: Decimal
    text: str

    @property
    def is_live(self) -> bool:
        """Whether it may still fill."""
        return self.state in LIVE


@dataclass(frozen=True, slots=True)
class Change:
    """What an amendment makes of an order: price, size in all, and how much of that is placed anew."""

    px: Decimal
    sz: Decimal
    left_sz: Decimal


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """An action that was, or may have been, sent.

    Parameters
    ----------
    nonce, signer
        Name it: a number that this wallet, by its address, uses once.
    kind, cloids
        What it does to which orders.
    changes
        By cloid, where it amends.
    text
        What is set, where it is of no order; or what the venue said.
    """

    nonce: int
    signer: str
    kind: Kind
    cloids: tuple[str, ...]
    changes: dict[str, Change]
    text: str = ""
