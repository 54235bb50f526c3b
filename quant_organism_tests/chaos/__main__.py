"""`make chaos`: all parts in full, or some, with a plain report; what breaks is named with its moment and its seed."""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from quant_organism.errors import QuantOrganismError
from quant_organism.simulator import KINDS
from quant_organism_tests.chaos.breakers import BREAKAGES, run_breakers
from quant_organism_tests.chaos.kills import run_kills
from quant_organism_tests.chaos.line import run_line
from quant_organism_tests.chaos.seeds import run_seeds, strikes, summary
from quant_organism_tests.chaos.session import run_session
from quant_organism_tests.conftest import REPOSITORY

RESULTS: Final = REPOSITORY / "data" / "chaos"
FAULTS, DISCONNECTS, KILLS = 3_000, 1_000, 100
Rows = list[tuple[str, str]]


class Rehearsal:
    """All parts, and what they counted.

    Parameters
    ----------
    seed
        Of everything that is drawn.
    told
        Is told how far it is.
    """

    def __init__(self, seed: int, told: Callable[[str], None]) -> None:
        self._seed, self._told = seed, told
        self.faults: Counter[str] = Counter()

    def breakers(self, folder: Path) -> Rows:
        """See every circuit breaker open and close."""
        moves = run_breakers(self._seed, folder, len(BREAKAGES))
        return [
            (f"breaker {name}", f"{moves[name, 'open']} times open, {moves[name, 'closed']} times closed again")
            for name in sorted({name for name, _ in moves})
        ]

    def kills(self, folder: Path) -> Rows:
        """Kill a trader again and again."""
        count = run_kills(self._seed, folder, KILLS, self._told)
        self.faults += count.faults
        return [
            ("processes killed (SIGKILL)", f"{count.kills}, {count.in_action} of them with an action unsettled"),
            ("journal equals venue after each", f"{count.orders} orders, {count.fills} fills at the end"),
        ]

    def line(self, folder: Path) -> Rows:
        """Cut a feed's line again and again."""
        count = run_line(self._seed, folder, DISCONNECTS, self._told)
        self.faults += count.faults
        ends = ", ".join(f"{number} {reason}" for reason, number in count.disconnects.most_common())
        bars = ", ".join(f"{number} from {origin}" for origin, number in count.bars.most_common())
        return [
            ("disconnects", f"{count.disconnects.total()}: {ends}"),
            ("bars equal to the venue's candles", f"{count.bars.total()}: {bars}; {count.revisions} revised"),
            ("fills told exactly once", str(count.fills)),
        ]

    def session(self, folder: Path) -> Rows:
        """Trade through everything that can fail."""
        count = run_session(self._seed, folder, FAULTS, self._told)
        self.faults += count.faults
        breakers = ", ".join(f"{name} {state} {number}" for (name, state), number in sorted(count.breakers.items()))
        return [
            ("session", f"{count.parts} parts, journal equal to venue after each and at the end"),
            ("orders and fills on the venue", f"{count.orders}, {count.fills}; {count.liquidations} liquidations"),
            ("actions settled by asking", str(count.settled)),
            ("agents replaced while trading", str(count.new_agents)),
            ("accounts closed with a full disk", str(count.full_disks)),
            ("journals lost and rebuilt", str(count.lost_journals)),
            ("breakers meanwhile", breakers or "none moved"),
        ]


PARTS: Final = ("breakers", "kills", "line", "session")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m quant_organism_tests.chaos", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; none: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, help="instead of parts: so many seeds; may be interrupted")
    said = parser.parse_args(arguments)
    if unknown := set(said.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what breaks there was broken on purpose
    console, begun, last = Console(), time.monotonic(), ["it began"]

    def told(text: str) -> None:
        last[0] = text
        console.print(f"[dim]{time.monotonic() - begun:6.0f} s  {part}: {text}", highlight=False)

    if said.seeds is not None:
        part = "seeds"
        return _seeds(console, said.seed, said.seeds, told)
    rehearsal, rows = Rehearsal(said.seed, told), []
    for part in said.parts or PARTS:
        last[0] = "it began"
        try:
            with tempfile.TemporaryDirectory() as folder:
                rows += getattr(rehearsal, part)(Path(folder))
        except KeyboardInterrupt:
            console.print(f"interrupted in {part}, after: {last[0]}")
            _report(console, rehearsal, rows, said.seed)
            return 130
        except (AssertionError, QuantOrganismError) as error:
            console.print(f"[red]BROKEN in {part}, seed {said.seed}, after: {last[0]}\n{error}", highlight=False)
            return 1
    _report(console, rehearsal, rows, said.seed)
    missing = set(KINDS) - set(rehearsal.faults)
    if missing and not said.parts:
        console.print(f"[red]never struck: {', '.join(sorted(missing))}")
        return 1
    return 0


def _seeds(console: Console, first: int, count: int, told: Callable[[str], None]) -> int:
    """Run so many seeds, those that have a result left out, and report all of them."""
    results = run_seeds(range(first, first + count), RESULTS, told)
    table = Table(title=f"{len(results)} seeds from {first}", show_header=False)
    for what, found in summary(results):
        table.add_row(what, found)
    for kind, number in strikes(results).most_common():
        table.add_row(f"  {kind}", str(number))
    console.print(table)
    return int(any(result.broken is not None for result in results))


def _report(console: Console, rehearsal: Rehearsal, rows: Rows, seed: int) -> None:
    table = Table(title=f"Faults rehearsed, seed {seed}", show_header=False)
    for what, found in rows:
        table.add_row(what, found)
    table.add_row("faults", f"{rehearsal.faults.total()} of {len(rehearsal.faults)} kinds (there are {len(KINDS)})")
    for kind, number in rehearsal.faults.most_common():
        table.add_row(f"  {kind}", str(number))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
