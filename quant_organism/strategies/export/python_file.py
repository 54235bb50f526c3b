"""Strategies as one Python file that needs numpy and nothing of this package."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from quant_organism.errors import InputError
from quant_organism.market.schema import Interval
from quant_organism.strategies.committee import Committee, Member
from quant_organism.strategies.conditions.grammar import structure_rules
from quant_organism.strategies.export import rules, series
from quant_organism.strategies.export.expressions import group_expression, tree_expression
from quant_organism.strategies.families import get_family
from quant_organism.strategies.trees.simplify import simplified

_ACTIONS: Final = ("enter_long", "enter_short", "exit_long", "exit_short")
_RISK: Final = ("position_size", "stop_loss", "take_profit", "trailing_stop", "max_holding_hours")


@dataclass(frozen=True)
class Portrait:
    """What an exported file says of a strategy.

    Parameters
    ----------
    committee
        Its genomes and weights.
    universe
        Symbols that it was bred and judged on.
    interval
        Bars that it trades on.
    origin
        Where it comes from, in one line.
    """

    committee: Committee
    universe: Sequence[str]
    interval: Interval
    origin: str


_HEAD = '''"""{id}: a strategy of quant_organism in plain Python. It needs numpy and nothing else.

{origin}
Universe: {universe}. Bars: {interval}.

`target(columns, symbol)` returns what is wanted at each close, as a share of full size in [-1, 1]: the weighted mean
of the members' targets. Fills at the next open, stops, fees and filters are the trader's business; what the strategy
asks for stands at each member under "risk" ({risk}).

    python {file} BTC candles.csv > targets.csv    # columns timestamp, open, high, low, close, volume
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
'''

_TYPES = """

Series = NDArray[np.float64]
Marks = NDArray[np.bool_]
Bars = Mapping[str, Series]
Genes = Mapping[str, Any]
Rule = Callable[[Bars, Genes, float], Series]


"""

_MEMBERS = '''


BAR_HOURS = {hours!r}
UNIVERSE = {universe}

MEMBERS: list[dict[str, Any]] = [
{members}]


def target(columns: Mapping[str, Any], symbol: str, *, size: bool = False) -> Series:
    """Return the target of a symbol at each close, shape (n,); rows with a gap repeat the target before.

    With `size` it is the share of equity to hold: each member's target times its weight and its position size.
    """
    total = np.zeros(len(columns["close"]))
    for member in MEMBERS:
        if not member["assets"] or symbol in member["assets"]:
            found = target_of(member["rule"], member["genes"], columns, member["reads"], BAR_HOURS)
            total += member["weight"] * (member["risk"]["position_size"] if size else 1.0) * found
    return total
'''

_PROGRAM = '''

def main(symbol: str, path: str) -> None:
    """Print the target of each bar of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name != "timestamp"]
    columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
    print("timestamp,target")
    for row, wanted in zip(rows, target(columns, symbol), strict=True):
        print(f"{row['timestamp']},{float(wanted)!r}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: python {sys.argv[0]} SYMBOL CANDLES.csv")
    main(*sys.argv[1:])
'''


def python_file(portrait: Portrait, name: str) -> str:
    """Write a strategy as a Python file called `name`.

    Raises
    ------
    InputError
        A member that cannot be written, by its name and the reason.
    """
    return head(_HEAD, portrait, name) + body(portrait) + _PROGRAM


def head(text: str, portrait: Portrait, name: str) -> str:
    """Write the docstring and imports of a file, from a text with places for what is said of the strategy."""
    said = {
        "id": portrait.committee.id,
        "origin": portrait.origin,
        "universe": ", ".join(portrait.universe),
        "interval": portrait.interval.name,
        "risk": ", ".join(_RISK),
        "file": name,
    }
    # What is said ends up inside a docstring, and must not be able to end it.
    return text.format(**{field: re.sub(r"[^\w ,.:;()/+-]", "", value) for field, value in said.items()})


def body(portrait: Portrait) -> str:
    """Write the functions that a strategy's members need, the members, and the function `target`."""
    members = [_member(member) for member in portrait.committee.members]
    called = {"target_of"} | {name for text in members for name in re.findall(r"[a-z_]+", text)}
    functions = "\n\n\n".join(_needed(called))
    hours, universe = portrait.interval.hours, _literal(tuple(portrait.universe))
    return _TYPES + functions + _MEMBERS.format(hours=hours, universe=universe, members="".join(members))


def _member(member: Member) -> str:
    genome, family = member.genome, get_family(member.genome.family)
    if family.ranks or family.name not in rules.RULES:
        why = (
            "ranks all assets at once, and the file would look at one at a time"
            if family.ranks
            else "fits models as it goes, and the file carries no way to fit them"
        )
        raise InputError(f"{family.name} {why}", where=f"member {genome.id}", remedy="write its signals: --to csv")
    own = {spec.name: genome.genes[spec.name] for spec in family.own_genes if spec.kind != "structure"}
    lines = [f'"{name}": {_literal(value)}' for name, value in own.items()]
    if family.name == "composite":
        lines += [f'"first_bar": {family.warmup(genome.genes)}', f'"votes": {_votes(genome.genes["votes"])}']
    if family.name == "conditions":
        lines += [f'"first_bar": {family.warmup(genome.genes)}', *_conditions(genome.genes["document"])]
    fields = [
        f'"genome": "{genome.id}"',
        f'"weight": {member.weight!r}',
        f'"assets": {_literal(member.assets)}',
        f'"rule": {family.name}',
        f'"reads": {_literal(family.columns_of(genome.genes))}',
        '"genes": {\n' + "".join(f"            {line},\n" for line in lines) + "        }",
        '"risk": {\n' + "".join(f'            "{name}": {genome.genes[name]!r},\n' for name in _RISK) + "        }",
    ]
    return "    {\n" + "".join(f"        {field},\n" for field in fields) + "    },\n"


def _literal(value: object) -> str:
    # As Python writes it, in double quotes where that says the same.
    text = repr(value)
    return text if '"' in text or "\\" in text else text.replace("'", '"')


def _votes(groups: object) -> str:
    assert isinstance(groups, tuple)
    written = (
        "[" + ", ".join(tree_expression(simplified(tree), get_family) for tree in group) + "]" for group in groups
    )
    return "lambda bars, bar_hours: [\n" + "".join(f"                {one},\n" for one in written) + "            ]"


def _conditions(structure: object) -> Iterable[str]:
    assert isinstance(structure, tuple)
    groups = {str(rule.action): rule.group for rule in structure_rules(structure).rules}
    for action in _ACTIONS:
        yield f'"{action}": ' + (f"lambda bars: {group_expression(groups[action])}" if action in groups else "None")


def _needed(called: set[str]) -> list[str]:
    # The sources of the functions that are called, and of those that they call, in the order in which they stand.
    functions = _functions()
    needed: set[str] = set()
    waiting = [name for name in called if name in functions]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [other for other in functions[name][1] if other not in needed]
    return [text for name, (text, _) in functions.items() if name in needed]


@cache
def _functions() -> dict[str, tuple[str, frozenset[str]]]:
    # Source of each function of `series` and `rules`, and the others of them that it names.
    found: dict[str, tuple[str, ast.AST]] = {}
    for module in (series, rules):
        source = inspect.getsource(module)
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef):
                found[node.name] = ast.get_source_segment(source, node) or "", node
    return {
        name: (text, frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in found))
        for name, (text, node) in found.items()
    }
