"""What the journal holds, as values: orders as they are believed to be, actions as they were sent."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from quant_organism.exchange.client.requests import NewOrder
from quant_organism.exchange.orders.states import LIVE, State

Kind = Literal["place", "amend", "cancel"]


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as it is believed to be.

    Parameters
    ----------
    order
        What was asked for, as last amended.
    decision_id
        Why.
    state
        See `states`.
    oid
        The venue's newest number for it.
    filled_sz
        Sum of its fills, in coins.
    text
        What the venue said last.
    """

    order: NewOrder
    decision_id: str
    state: State
    oid: int | None
    filled_sz: Decimal
    text: str

    @property
    def is_live(self) -> bool:
        """Whether it may still fill."""
        return self.state in LIVE


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
        New price and size by cloid, where it amends.
    """

    nonce: int
    signer: str
    kind: Kind
    cloids: tuple[str, ...]
    changes: dict[str, tuple[Decimal, Decimal]]
