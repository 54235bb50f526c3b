"""Run one benchmark: print its metrics and write `benchmarks/results/<name>.json`."""

import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """Run the benchmark named on the command line."""
    names = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    console = Console()
    if name not in names:
        console.print(f"Which benchmark? make bench NAME=<name>, with one of: {', '.join(names)}")
        return 2
    rows = importlib.import_module(f"benchmarks.{name}").run()
    results = FOLDER / "results"
    results.mkdir(exist_ok=True)
    path = results / f"{name}.json"
    path.write_text(json.dumps(rows, indent=2) + "\n")
    table = Table("metric", "value", "unit", "note", title=f"benchmark {name}")
    for row in rows:
        table.add_row(row["metric"], f"{row['value']:.6g}", row["unit"], row["note"])
    console.print(table)
    console.print(f"written to {path.relative_to(FOLDER.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
