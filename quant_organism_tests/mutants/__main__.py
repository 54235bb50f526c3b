"""`make mutants ROOM=backtest/margin N=20`: draw changes of a room's behaviour and see whether its tests notice."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import yaml
from rich.console import Console

from quant_organism_tests.mutants.changes import Change
from quant_organism_tests.mutants.choice import TESTS, asked_about, draw, sources_of
from quant_organism_tests.mutants.trials import Copy, Trial

ROOT: Final = Path(__file__).resolve().parents[2]
EQUIVALENT: Final = ROOT / TESTS / "equivalent_mutants.yaml"
_KEPT: Final = ROOT / "data" / "mutants"
_QUICK_S = 5.0


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
            for line in path.read_text(encoding="utf-8").splitlines():
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


def hunt(room: str, n: int, seed: int, console: Console, *, only: str | None = None) -> int:
    """Try the first `n` changes that are drawn, print what became of them and return how many were not noticed."""
    drawn = [change for change in draw(ROOT, room, seed) if only is None or only in change.name][:n]
    digest = _digest(sources_of(ROOT, room))
    records = Records(_KEPT / f"{room.replace('/', '-')}-{seed}-{digest[:16]}.jsonl")
    excused = equivalents()
    asked = {change.file: asked_about(ROOT, Path(change.file)) for change in drawn}
    digests = {file: _digest([*tests.files, *_helpers()]) for file, tests in asked.items()}
    found: dict[Change, Trial | None] = {}
    open_ends = []
    for change in drawn:
        found[change] = None if change.name in excused else records.of(change, digests[change.file])
        if found[change] is None and change.name not in excused:
            open_ends.append(change)
    if open_ends:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            copy = Copy(ROOT, Path(folder))
            seconds = copy.seconds_of(sorted({path for change in open_ends for path in asked[change.file].files}))
            quick = {
                file: copy.interpreted(asked[file].own)
                for file in sorted({change.file for change in open_ends})
                if b"import compiled\n" in (ROOT / file).read_bytes() and asked[file].own
            }
            for place, change in enumerate(open_ends, 1):
                tests = asked[change.file].files
                order = sorted(tests, key=lambda path: (seconds[path] > _QUICK_S, tests.index(path)))
                total = sum(seconds[path] for path in tests)
                trial = copy.tried(change, order, total, quick.get(change.file, ()))
                found[change] = trial
                if trial.outcome != "stopped":
                    records.add(Record(change.name, digests[change.file], trial))
                console.print(
                    f"{place}/{len(open_ends)} {trial.outcome} in {trial.seconds:.0f} s: {change.name}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
    return _print(room, found, console)


def _print(room: str, found: dict[Change, Trial | None], console: Console) -> int:
    counts = Counter("equivalent" if trial is None else trial.outcome for trial in found.values())
    lived = [change for change, trial in found.items() if trial is not None and trial.outcome == "survived"]
    if lived:
        console.print("No test noticed:", highlight=False)
    for change in sorted(lived, key=lambda change: (change.file, change.line)):
        row = f"{change.file}:{change.line}  {change.within}: {change.text}"
        console.print(row, highlight=False, markup=False, soft_wrap=True)
    judged = len(found) - counts["equivalent"] - counts["stopped"]
    noticed = judged - counts["survived"]
    console.print(
        f"{room}: {noticed} of {judged} noticed ({noticed / max(judged, 1):.1%}), {counts['timed out']} of them because"
        f" the tests hung; {counts['equivalent']} more are listed as equivalent."
        + (
            f" Of {counts['stopped']} nothing is known: their tests were stopped from outside."
            if counts["stopped"]
            else ""
        ),
        highlight=False,
        soft_wrap=True,
    )
    return counts["survived"] + counts["stopped"]


def _helpers() -> list[Path]:
    # A fixture or a helper may be what notices.
    return [path.relative_to(ROOT) for path in sorted((ROOT / TESTS).rglob("*.py")) if "mutants" not in path.parts]


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.as_posix().encode() + b"\0" + (ROOT / path).read_bytes())
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
    given = parser.parse_args()
    return 1 if hunt(given.room, given.n, given.seed, Console(), only=given.only) else 0


if __name__ == "__main__":
    sys.exit(main())
