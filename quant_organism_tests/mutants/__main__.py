"""`make mutants ROOM=backtest/margin N=20`: draw changes of a room's behaviour and see whether its tests notice."""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import yaml
from rich.console import Console

from quant_organism_tests.mutants.changes import Change
from quant_organism_tests.mutants.choice import (
    PACKAGE,
    TESTS,
    Seen,
    asked_about,
    draw,
    helpers_of,
    in_order,
    sources_of,
)
from quant_organism_tests.mutants.trials import Copy, Trial

ROOT: Final = Path(__file__).resolve().parents[2]
EQUIVALENT: Final = ROOT / TESTS / "equivalent_mutants.yaml"
_KEPT: Final = ROOT / "data" / "mutants"


def equivalents(path: Path = EQUIVALENT) -> dict[str, str]:
    """Return the changes that change nothing that matters, by their names, each with its reason."""
    return {entry["change"]: entry["reason"] for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or []}


@dataclass(frozen=True)
class Record:
    """What is kept of a trial between runs.

    Attributes
    ----------
    change
        Its name.
    tests
        Digest of the tests that were asked: what survived is tried again by others.
    trial
        What they said.
    """

    change: str
    tests: str
    trial: Trial


class Records:
    """Trials of one room's sources and one seed, one line of JSON each; an interrupted hunt goes on where it was.

    Parameters
    ----------
    path
        The file; its name holds the digest of the sources.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Record] = {}
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]
            if whole != text:  # killed while it wrote: what it had begun to say is tried again
                path.write_text(whole, encoding="utf-8")
            for line in whole.splitlines():
                row = json.loads(line)
                self._known[row["change"]] = Record(row["change"], row["tests"], Trial(**row["trial"]))

    def of(self, change: Change, tests: str) -> Trial | None:
        """Return what is known of a change, if these tests need not be asked again."""
        known = self._known.get(change.name)
        if known is None or (known.trial.outcome == "survived" and known.tests != tests):
            return None
        return known.trial

    def add(self, record: Record) -> None:
        """Keep one more."""
        self._known[record.change] = record
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")


class Watched:
    """What each test runs, seen once on unchanged sources and kept until the product, the test or a helper changes.

    Parameters
    ----------
    folder
        Where it is kept.
    copy
        Where tests run.
    """

    def __init__(self, folder: Path, copy: Copy) -> None:
        self._folder, self._copy = folder, copy
        # Of the copy: in the checkout somebody may go on writing.
        self._product = _digest(
            sorted(path.relative_to(copy.clean) for path in (copy.clean / PACKAGE).rglob("*.py")), copy.clean
        )

    def of(self, file: Path, *, interpreted: bool = False) -> list[Seen]:
        """Return the quick tests of a file; with `interpreted`, those that can do without the compiler."""
        tests = _digest(helpers_of(self._copy.clean, file), self._copy.clean)
        digest = hashlib.sha256(f"{self._product} {tests} {interpreted}".encode()).hexdigest()
        kept = self._folder / f"{digest[:32]}.json"
        if kept.is_file():
            return [Seen(name, seconds, frozenset(ran)) for name, seconds, ran in json.loads(kept.read_text("utf-8"))]
        seen = self._copy.seen(file, interpreted=interpreted)
        self._folder.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        part.write_text(json.dumps([[test.name, test.seconds, sorted(test.ran)] for test in seen]), encoding="utf-8")
        part.replace(kept)
        return seen


def hunt(
    room: str,
    n: int,
    seed: int,
    console: Console,
    *,
    only: str | None = None,
    asking: str = "",
    within_s: float = 60.0,
    kept: Path = _KEPT,
) -> int:
    """Try the first `n` changes that are drawn, print what became of them and return how many were not noticed."""
    drawn = [change for change in draw(ROOT, room, seed) if only is None or only in change.name][:n]
    digest = _digest(sources_of(ROOT, room))
    records = Records(kept / f"{room.replace('/', '-')}-{seed}-{digest[:16]}.jsonl")
    excused = equivalents()
    asked = {change.file: asked_about(ROOT, Path(change.file)).only(asking) for change in drawn}
    rests_on = {path: helpers_of(ROOT, path) for tests in asked.values() for path in tests.files}
    digests = {
        file: f"{within_s:g} {_digest(sorted({each for path in tests.files for each in rests_on[path]}))}"
        for file, tests in asked.items()
    }
    found: dict[Change, Trial | None] = {}
    open_ends = []
    for change in drawn:
        found[change] = None if change.name in excused else records.of(change, digests[change.file])
        if found[change] is None and change.name not in excused:
            open_ends.append(change)
    if open_ends:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-"))
            copy = stack.enter_context(closing(Copy(ROOT, Path(folder))))
            copy.collect(sorted({path for change in open_ends for path in asked[change.file].files}))
            watched = Watched(kept / "watched", copy)
            for place, change in enumerate(open_ends, 1):
                own, files = asked[change.file].own, asked[change.file].files
                tests = [test for file in files for test in watched.of(file)]
                kernel = b"import compiled\n" in (ROOT / change.file).read_bytes()
                plain = [test for file in own for test in watched.of(file, interpreted=True)] if kernel else []
                trial = copy.tried(
                    change, in_order(change, tests, own, within_s), in_order(change, plain, own, within_s)
                )
                found[change] = trial
                if trial.outcome != "stopped":
                    records.add(Record(change.name, digests[change.file], trial))
                console.print(
                    f"{place}/{len(open_ends)} {trial.outcome} in {trial.seconds:.0f} s: {change.name}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
    return print_table(room, found, console)


def print_table(room: str, found: dict[Change, Trial | None], console: Console) -> int:
    """Print what nobody noticed and how many of each there are; return how many were not shown to be noticed."""
    counts = Counter("equivalent" if trial is None else trial.outcome for trial in found.values())
    lived = [change for change, trial in found.items() if trial is not None and trial.outcome == "survived"]
    if lived:
        console.print("No test noticed:", highlight=False)
    for change in sorted(lived, key=lambda change: (change.file, change.line)):
        row = f"{change.file}:{change.line}  {change.within}: {change.text}"
        console.print(row, highlight=False, markup=False, soft_wrap=True)
    noticed = counts["killed"] + counts["timed out"]
    judged = noticed + counts["survived"]
    console.print(
        f"{room}: {len(found)} drawn; {noticed} of {judged} noticed ({noticed / max(judged, 1):.1%}),"
        f" {counts['timed out']} of them because the tests hung; {counts['equivalent']} more are listed as equivalent."
        + (
            f" Of {counts['stopped']} nothing is known: their tests were stopped from outside."
            if counts["stopped"]
            else ""
        ),
        highlight=False,
        soft_wrap=True,
    )
    return counts["survived"] + counts["stopped"]


def _digest(paths: list[Path], root: Path = ROOT) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.as_posix().encode() + b"\0" + (root / path).read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Read the arguments and hunt."""
    parser = argparse.ArgumentParser(prog="python -m quant_organism_tests.mutants", description=__doc__)
    parser.add_argument(
        "room", help="folder or file of the package without .py, like trading/orders or backtest/margin"
    )
    parser.add_argument("--n", type=int, default=20, help="how many changes to draw (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument("--only", help="draw only among changes whose name contains this")
    parser.add_argument("--asking", default="", help="ask only test files whose path this regular expression finds")
    parser.add_argument(
        "--within", type=float, default=60.0, help="seconds of tests that are asked about a change (default 60)"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is ended
    return (
        1
        if hunt(given.room, given.n, given.seed, Console(), only=given.only, asking=given.asking, within_s=given.within)
        else 0
    )


if __name__ == "__main__":
    sys.exit(main())
