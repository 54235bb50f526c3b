"""The guide to a cluster followed with three Ray nodes on this machine: one of them is lost, then a head.

    python -m quant_organism_tests.cluster

searches as a person starts it: on the threads of this machine, on a cluster that loses a node in mid-work, and on one
that loses its head, going on from the checkpoint here. It ends with 1 if the three did not leave the same bytes.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Final

from quant_organism.cli.output import print_table
from quant_organism_tests.drill import same_content
from quant_organism_tests.evolution.executors.nodes import OWNER, head_node, joined_node, kill
from quant_organism_tests.evolution.executors.processes import processes_with
from quant_organism_tests.program import Said, start
from quant_organism_tests.tiny import write_world

SIZE: Final = ("--strategies", "480", "--batch-size", "40", "--generations", "6")
FAMILIES: Final = ("--families", "donchian_breakout,bollinger_bands,ema_crossover,rsi_filter")

_MEASURES: Final = "ray::measure_batch"
"""What Ray calls a worker process while it measures."""


def rehearse(folder: Path) -> list[tuple[str, bool, str]]:
    """Search three times in a folder.

    Returns
    -------
    list of tuple
        What was looked at, whether it is good, and what was found.
    """
    steps: list[tuple[str, bool, str]] = []
    world = write_world(folder)

    def search(name: str, executor: str, *more: str, watch: Callable[[], None] = lambda: None) -> Said:
        (folder / "quant_organism.toml").write_text(f'executor = "{executor}"\n', encoding="utf-8")
        command = ("evolve", "--world", world, "--profile", "smoke", *SIZE, *FAMILIES, "--data-dir", name, *more)
        _tell(f"executor {executor}: quant-organism", *command)
        with start(*command, "--json", folder=folder) as process:
            watching = Thread(target=_watch, args=(process, watch))
            watching.start()
            out, err = process.communicate()
            watching.join()
        return Said(process.returncode, out, err)

    def look(what: str, good: bool, found: object) -> None:
        steps.append((what, good, str(found)))

    def compare(name: str) -> None:
        differences = same_content(folder / "threads", folder / name)
        files = list((folder / name / "lake").rglob("*.parquet"))
        look(f"bytes, {name}", not differences, ", ".join(differences[:3]) or f"{len(files)} files, as on threads")

    alone = search("threads", "threads")
    look("on threads", alone.code == 0, _trials(alone))

    measured: set[str] = set()
    with head_node() as head, joined_node("second", head) as second, joined_node("third", head):

        def lose_the_second() -> None:
            measured.update(name for name in ("head", "third") if _measures(name))
            if len(measured) == 2 and second.poll() is None and _measures("second"):
                kill(second)
                measured.add("second")

        said = search("node-lost", head.address, watch=lose_the_second)
    look("second of three nodes killed", len(measured) == 3, f"while it measured; {', '.join(sorted(measured))} did")
    look("the search goes on", said.code == 0 and not json.loads(said.out)["lost_batches"], _trials(said))
    compare("node-lost")

    with head_node() as head, joined_node("second", head):

        def lose_the_head() -> None:
            if head.process.poll() is None and list((folder / "head-lost" / "checkpoints").rglob("state.json")):
                kill(head.process)

        said = search("head-lost", head.client, watch=lose_the_head)
    look("head killed after a checkpoint", said.code == 2 and "cannot be reached" in said.out, _error(said))
    said = search("head-lost", "threads", "--resume")
    look("goes on here with --resume", said.code == 0, _trials(said))
    compare("head-lost")
    return steps


def _tell(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)  # noqa: T201 - a person watches


def _watch(process: subprocess.Popen[str], watch: Callable[[], None]) -> None:
    while process.poll() is None:
        watch()
        time.sleep(0.005)


def _measures(name: str) -> bool:
    return any(_MEASURES in command for command in processes_with(f"{OWNER}={name}"))


def _trials(said: Said) -> str:
    if said.code:
        return _error(said)
    document = json.loads(said.out)
    return f"{document['trials']:,} trials, {len(document['lost_batches'])} batches lost"


def _error(said: Said) -> str:
    return str(json.loads(said.out)["error"]["what"]) if said.out else said.err[-200:]


def main() -> int:
    """Rehearse it whole, show what came of it, and return the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    steps = rehearse(folder)
    print_table(("step", "good", "found"), [(what, "yes" if good else "NO", text) for what, good, text in steps])
    good = all(good for _, good, _ in steps)
    if good:
        shutil.rmtree(folder)
    else:
        _tell(f"everything is kept in {folder}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
