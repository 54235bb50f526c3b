"""The decision table of docs/validation.md: which gates stand before what, as the shipped profiles say."""

from collections.abc import Sequence

from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.gates.replay import SecondOpinionOnBooks
from quant_organism.validation.profile import Profile
from quant_organism.validation.verdict import STAGES

COLUMNS = ("stage", "gate", "shadow", "paper (full)", "paper (strict)")

SIGNS = ("at_least", "at_most", "above", "below")
"""Fields of gates that hold a bound."""


def gate_rows() -> list[Sequence[str]]:
    """Return one row per gate: its stage, what it is called, and its bound in each profile."""
    full, strict = Profile.load("full"), Profile.load("strict")
    lists = (full.shadow, full.paper, strict.paper)
    names = dict.fromkeys((gate.stage, gate.name) for gate in (*full.gates, *strict.gates))
    rows = []
    for stage, name in sorted(names, key=lambda place: STAGES.index(place[0])):
        cells = [_bound(gates, stage, name) for gates in lists]
        if not any(cells):
            cells = [f"information: {_bound(full.information, stage, name)}", "", ""]
        rows.append((stage.replace("_", " "), f"`{name}`", *(cell or "–" for cell in cells)))
    return rows


def _bound(gates: Sequence[Gate], stage: str, name: str) -> str:
    """Return the bound of the gate of that name in a list, empty where there is none."""
    for gate in gates:
        if (gate.stage, gate.name) == (stage, name):
            unsigned = "within" if isinstance(gate, SecondOpinionOnBooks) else "equal to"
            sign = next((sign for sign in SIGNS if getattr(gate, sign, None) is not None), unsigned)
            mode = f" ({gate.mode})" if hasattr(gate, "mode") else ""
            return f"{sign.replace('_', ' ')} {gate.threshold:g}{mode}"
    return ""
