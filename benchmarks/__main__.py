"""Run one benchmark: print its metrics and write `benchmarks/results/<name>.json`.

With `--against FOLDER` another checkout's benchmark of that name is run in turn with this one, each in processes of its
own, and medians are shown side by side, with the least and the most of each.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parent
ROUNDS = 3
Rows = list[dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark named on the command line."""
    names = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
    console = Console()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of both, with --against")
    said = parser.parse_args(arguments)
    if said.name not in names:
        console.print(f"Which benchmark? make bench NAME=<name>, with one of: {', '.join(names)}")
        return 2
    if said.against is not None:
        return _against(console, said.name, said.against.resolve(), said.rounds)
    rows: Rows = importlib.import_module(f"benchmarks.{said.name}").run()
    results = FOLDER / "results"
    results.mkdir(exist_ok=True)
    path = _results_of(FOLDER.parent, said.name)
    path.write_text(json.dumps(rows, indent=2) + "\n")
    table = Table("metric", "value", "unit", "note", title=f"benchmark {said.name}")
    for row in rows:
        table.add_row(row["metric"], f"{row['value']:.6g}", row["unit"], row["note"])
    console.print(table)
    console.print(f"written to {path.relative_to(FOLDER.parent)}")
    return 0


def _against(console: Console, name: str, other: Path, rounds: int) -> int:
    """Run another checkout and this one in turn, and show the medians and ranges of both."""
    measured: dict[Path, list[Rows]] = {other: [], FOLDER.parent: []}
    for number in range(rounds):
        for checkout in sorted(measured, reverse=number % 2 == 1):  # who begins changes from round to round
            environment = {**os.environ, "PYTHONPATH": str(checkout)}
            subprocess.run(
                [sys.executable, "-m", "benchmarks", name], cwd=checkout, env=environment, stdout=subprocess.DEVNULL
            ).check_returncode()
            measured[checkout].append(json.loads(_results_of(checkout, name).read_text()))
            console.print(f"[dim]round {number + 1} of {rounds}: {checkout}", highlight=False)
    before, now = (
        {
            row["metric"]: [found["value"] for rows in runs for found in rows if found["metric"] == row["metric"]]
            for row in runs[0]
        }
        for runs in measured.values()
    )
    table = Table(
        "metric",
        str(other),
        "here",
        "here / there",
        "unit",
        title=f"benchmark {name}, medians (and ranges) of {rounds}",
    )
    for row in measured[FOLDER.parent][0]:
        metric, ours = row["metric"], now[row["metric"]]
        theirs = before.get(metric)
        ratio = "" if theirs is None else f"{statistics.median(ours) / statistics.median(theirs):.3f}"
        table.add_row(metric, "" if theirs is None else _spread(theirs), _spread(ours), ratio, row["unit"])
    console.print(table)
    return 0


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.6g} ({min(values):.6g} to {max(values):.6g})"


def _results_of(checkout: Path, name: str) -> Path:
    return checkout / "benchmarks" / "results" / f"{name}.json"


if __name__ == "__main__":
    sys.exit(main())
