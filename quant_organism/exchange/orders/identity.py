"""Client order ids that follow from decisions: the same decision has the same id, so it cannot be placed twice."""

import hashlib


def cloid_of(decision_id: str, leg: str = "entry") -> str:
    """Return the id of one order of a decision: `0x` and 32 hexadecimal digits.

    Parameters
    ----------
    decision_id
        Names the decision for good: strategy, coin, time, revision.
    leg
        Which of its orders: entry, take-profit, stop, a flattening round.
    """
    return "0x" + hashlib.sha256(f"{decision_id}\0{leg}".encode()).hexdigest()[:32]
