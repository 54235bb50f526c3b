"""A disaster rehearsed: a data folder is backed up while it is traded in, lost, brought back elsewhere, and goes on.

    python -m quant_organism_tests.drill

rehearses it with a search, cycles and the program as a person starts it, and ends with 1 if anything was not as it was.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from shutil import copytree, rmtree
from threading import Thread
from typing import Final

from quant_organism.cli.output import print_table
from quant_organism.trading.orders import OrderManager, Reconciliation, reconcile
from quant_organism_tests.finished import data_of_an_earlier_day
from quant_organism_tests.program import Said, finish
from quant_organism_tests.simulator.loopback import serving
from quant_organism_tests.tiny import LAST, write_world
from quant_organism_tests.trading.trader import ADDRESS, bracket, close, new_order, open_manager

Call = Callable[..., Said]

_DURING: Final = 6
"""Orders that are sent while the backup is made."""

_NOT_COMPARED: Final = ("dagster_home", "logs", "trader", "lake/holdout_openings")
"""What two folders with the same past may differ in: other processes, moments of the machine's clock."""


@dataclass(frozen=True)
class Rehearsal:
    """What became of a data folder.

    Attributes
    ----------
    original, restored
        The folder that was lost, and the one that was brought back.
    doctor
        What the doctor said of the restored one.
    sent, known
        Orders that were ever sent, and those among them that the backup knew.
    after
        How the restored journal was reconciled with the venue, first and then once more.
    books, venue
        Signed coins in the end by the restored journal and by the venue.
    """

    original: Path
    restored: Path
    doctor: Said
    sent: frozenset[str]
    known: frozenset[str]
    after: tuple[Reconciliation, Reconciliation]
    books: dict[str, Decimal]
    venue: dict[str, Decimal]


def rehearse(folder: Path, data_dir: Path, call: Call) -> Rehearsal:
    """Back a copy of a data folder up while orders are sent from it, send some more, lose it, and bring it back.

    Parameters
    ----------
    folder
        Where all of it happens.
    data_dir
        The data folder; it is copied.
    call
        Runs the program.
    """
    original, backup, restored = folder / "original", folder / "backup", folder / "restored"
    copytree(data_dir, original)
    with serving(ADDRESS) as venue:
        trader = open_manager(venue.url, original / "trader" / "drill")
        reconcile(trader)
        trader.place("before", bracket("before"))
        trading = Thread(target=lambda: [_trade(trader, f"during-{n}") for n in range(_DURING)])
        trading.start()
        _good(call("backup", backup, "--data-dir", original))
        trading.join()
        for n in range(3):
            _trade(trader, f"after-{n}")  # nobody who brings the backup back can know of these
        sent = _orders(trader)
        close(trader)
        _good(call("restore", backup, "--data-dir", restored))
        doctor = call("doctor", "--data-dir", restored, "--json")
        trader = open_manager(venue.url, restored / "trader" / "drill")
        known = _orders(trader)
        after = reconcile(trader), reconcile(trader)
        books = dict(trader.journal.positions())
        shown = {each.coin: each.szi for each in trader.venue.account().positions if each.szi}
        close(trader)
    return Rehearsal(original, restored, doctor, sent, known, after, books, shown)


def _trade(trader: OrderManager, decision: str) -> None:
    """Buy some, and leave an order that rests."""
    trader.place(decision, [new_order(decision, px="2010", sz="0.2"), new_order(decision, leg="rest", px="1900")])


def _orders(trader: OrderManager) -> frozenset[str]:
    return frozenset(record.order.cloid for record in trader.journal.orders())


def _good(said: Said) -> None:
    if said.code:
        raise RuntimeError(said.err or said.out)


def same_content(one: Path, other: Path) -> list[str]:
    """Return what two data folders do not agree in, by path, but for what need not be the same."""
    held = [
        {
            name: path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
            and not path.name.endswith(".lock")
            and not (name := path.relative_to(folder).as_posix()).startswith(_NOT_COMPARED)
        }
        for folder in (one, other)
    ]
    return sorted(name for name in held[0].keys() | held[1].keys() if held[0].get(name) != held[1].get(name))


def _held(positions: dict[str, Decimal]) -> str:
    return ", ".join(f"{size} {coin}" for coin, size in sorted(positions.items())) or "nothing"


def main() -> int:
    """Rehearse it whole, show what came of it, and return the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    world = write_world(folder)

    def call(*arguments: str | Path) -> Said:
        print("quant-organism", *arguments, file=sys.stderr, flush=True)  # noqa: T201 - a person watches
        return finish(*arguments, folder=folder)

    found = rehearse(folder, data_of_an_earlier_day(), call)
    cycle = ("run", "--world", world, "--profile", "smoke", "--date", LAST.isoformat())
    for data_dir in (found.original, found.restored):
        _good(call(*cycle, "--data-dir", data_dir))
    differences = same_content(found.original, found.restored)
    lost = found.sent - found.known
    steps = [
        ("doctor", found.doctor.code == 0, "well" if found.doctor.code == 0 else found.doctor.out),
        (
            "orders",
            set(found.after[0].recovered) == lost,
            f"{len(found.sent)} sent, {len(lost)} of them not in the backup",
        ),
        (
            "books",
            found.books == found.venue and found.after[1].is_clean,
            f"journal: {_held(found.books)}; venue: {_held(found.venue)}",
        ),
        ("next cycle", not differences, ", ".join(differences[:3]) or "the same bytes in both folders"),
    ]
    print_table(("step", "good", "found"), [(what, "yes" if good else "NO", text) for what, good, text in steps])
    good = all(good for _, good, _ in steps)
    if good:
        rmtree(folder)
    else:
        print(f"everything is kept in {folder}", file=sys.stderr)  # noqa: T201
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
