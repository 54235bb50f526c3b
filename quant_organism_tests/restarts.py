"""Services started and stopped again and again, as systemd does it: what each of them holds is gone once it has ended.

    python -m quant_organism_tests.restarts --rounds 100

starts web UI with its daemon, a trader that sends orders to a local exchange with its watchdog, the figures and the
watch that tells alerts, one after another, and ends them in reverse. It ends with 1 if anything was left.
"""

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from quant_organism.cli.output import print_table
from quant_organism.deployment import StrategyRepository
from quant_organism.strategies import Committee, default_genome
from quant_organism.trading.lines import lines_file
from quant_organism.trading.policy import Policy
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.venue import wallet_of
from quant_organism_tests.deployment.documents import document, records
from quant_organism_tests.program import PROGRAM, activated, first_line, free_port, start, taking_ctrl_c
from quant_organism_tests.tiny import write_world

OWNER: Final = "ROUND_OF_SERVICES"
"""A variable that all processes of a round have."""
SYMBOLS: Final = ("SIM-ASH", "SIM-BAY")
KEY: Final = "0x" + "5d" * 32
SECONDS: Final = 300.0
"""For a service to be there, and to be gone."""
GRACE_SECONDS: Final = 60.0
"""For what a service had started itself, once it is gone."""

_GROWS: Final = ("dagster_home/storage/", "logs/", "lake/live_")
"""What is written down anew with each start, or with an hour that was traded, under a name of its own: nothing of it is
open afterwards."""
_BESIDE_A_DATABASE: Final = ("-wal", "-shm")


@dataclass
class Held:
    """What processes held while they ran.

    Attributes
    ----------
    processes
        Identity and moment of their start, by which no later process is taken for one.
    sockets
        Inodes of sockets that listen, are connected or bound to a path.
    files
        Paths in shared memory, and all that is in the folder for temporary files.
    temporary
        That folder.
    """

    temporary: Path
    processes: set[tuple[int, str]] = field(default_factory=set)
    sockets: set[str] = field(default_factory=set)
    files: set[Path] = field(default_factory=set)

    def look(self, mark: str) -> None:
        """Add what processes with a mark in their environment hold now."""
        self.files.update(self.temporary.iterdir())
        for process in _marked(mark):
            with suppress(OSError):
                self.processes.add((int(process.name), _began(process)))
            with suppress(OSError):
                for opened in (process / "fd").iterdir():
                    with suppress(OSError):
                        self._add(os.readlink(opened))
            with suppress(OSError):
                for line in (process / "maps").read_text().splitlines():
                    self._add(line.split(maxsplit=5)[-1])

    def _add(self, opened: str) -> None:
        if opened.startswith("socket:["):
            self.sockets.add(opened.removeprefix("socket:[").rstrip("]"))
        elif opened.startswith(("/dev/shm/", f"{self.temporary}/")) and not opened.endswith(" (deleted)"):
            self.files.add(Path(opened))

    def left(self) -> list[str]:
        """Return what of it is there still, in words."""
        there = [f"process {id}" for id, began in sorted(self.processes) if _began(Path(f"/proc/{id}")) == began]
        open_ones = _sockets()
        there += [f"socket {inode}" for inode in sorted(self.sockets & open_ones)]
        return there + [str(path) for path in sorted({*self.files, *self.temporary.iterdir()}) if path.exists()]


@dataclass(frozen=True)
class Place:
    """Where services run: a data folder with a strategy that sends orders, and an exchange that takes them.

    Attributes
    ----------
    folder
        Theirs; `data` and `tmp`, their folder for temporary files, are in it.
    url
        The exchange.
    """

    folder: Path
    url: str

    @property
    def data(self) -> Path:
        """Return the data folder."""
        return self.folder / "data"

    @property
    def temporary(self) -> Path:
        """Return the folder for temporary files."""
        return self.folder / "tmp"

    def environment(self, mark: str) -> dict[str, str]:
        """Return what services of a round have in their environment."""
        venue = {"BASE_URL": self.url, "ACCOUNT_ADDRESS": wallet_of(KEY).address, "PRIVATE_KEY": KEY}
        named = {f"QUANT_ORGANISM_VENUE__{name}": value for name, value in venue.items()}
        return {**activated(), **named, "TMPDIR": str(self.temporary), OWNER: mark}


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Make a data folder, and run an exchange beside it, until the end of the block."""
    (folder / "tmp").mkdir()
    write_world(folder)
    repository = StrategyRepository(folder / "data" / "strategies")
    born = document(strategy=Committee.of([default_genome("ema_crossover")]), universe=SYMBOLS, interval="1h")
    repository.save(born)
    for stage, rule in (("shadow", "one look"), ("paper", "night door"), ("testnet", "paper by days")):
        repository.move(born.id, stage, at="2025-06-01", reason="to be started", records=records(rule))
    policies = FilePolicyStore(policy_folder(folder / "data"))
    policies.put(Policy(allowed_venues=("testnet",)), author="test", reason="to send", at_ms=0)
    exchange = ("exchange", "serve", "--symbols", ",".join(SYMBOLS), "--no-limits", "--future-days", "2")
    with start(*exchange, "--deposit", f"{wallet_of(KEY).address}=10000", folder=folder) as serving:
        try:
            yield Place(folder, first_line(serving))
        finally:
            serving.kill()


def one_round(where: Place, held: Held) -> list[str]:
    """Start all services in order, end them in reverse, and return what did not go as it should."""
    mark, wrong = secrets.token_hex(8), []
    port, site_port, metrics_port = free_port(), free_port(), free_port()
    book = where.data / "alerts" / "state.json"
    seen = book.stat().st_mtime_ns if book.exists() else 0
    services: list[tuple[str, tuple[str, ...], Callable[[], bool]]] = [
        (
            "web UI",
            ("ui", "--port", str(port), "--site-port", str(site_port), "--world", str(where.folder / "tiny.yaml")),
            lambda: _answers(port, "server_info") and _answers(site_port, "") and _runs(mark, "dagster._daemon"),
        ),
        (
            "trader",
            ("trade", "start", "--mode", "testnet"),
            lambda: lines_file(where.data).exists() and _runs(mark, "trading.orders.dead_man"),
        ),
        ("figures", ("trade", "metrics", "--port", str(metrics_port)), lambda: _answers(metrics_port, "metrics")),
        ("watch", ("alerts", "watch"), lambda: book.exists() and book.stat().st_mtime_ns != seen),
    ]
    running: list[tuple[str, subprocess.Popen[bytes], Path]] = []
    with ExitStack() as stack:
        for number, (name, arguments, is_up) in enumerate(services):
            log = where.folder / f"service-{number}.log"
            said = stack.enter_context(log.open("wb"))
            process = subprocess.Popen(
                [str(PROGRAM), *arguments, "--data-dir", str(where.data)],
                cwd=where.folder,
                env=where.environment(mark),
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            stack.callback(_kill, process)
            running.append((name, process, log))
            if not _eventually(lambda process=process, is_up=is_up: process.poll() is not None or is_up()):
                wrong.append(f"{name} did not come up")
            held.look(mark)
        for name, process, log in reversed(running):
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS)
            if process.poll() not in (0, 130):
                wrong.append(f"{name} ended with {process.poll()}: {log.read_text(errors='replace')[-500:]}")
    return wrong


@dataclass
class Restarts:
    """What rounds of starts and stops saw.

    Attributes
    ----------
    rounds
        How many there were.
    processes, sockets, files
        How many services held in all of them.
    longest_s
        For how long something of a round was still there after its services had ended.
    wrong
        What did not go as it should, with the number of its round.
    left
        What was still held after a round.
    grown
        Files of the data folder that were not there after the first round, by what they are.
    """

    rounds: int = 0
    processes: int = 0
    sockets: int = 0
    files: int = 0
    longest_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    grown: Counter[str] = field(default_factory=Counter)


def rehearse(folder: Path, rounds: int, tell: Callable[[str], None] = lambda line: None) -> Restarts:
    """Start and stop all services so many times in a folder."""
    seen, there = Restarts(), set[str]()
    with taking_ctrl_c(), place(folder) as where:
        for number in range(1, rounds + 1):
            began, held = time.monotonic(), Held(where.temporary)
            seen.wrong += [f"round {number}: {what}" for what in one_round(where, held)]
            ended = time.monotonic()
            _eventually(lambda held=held: not held.left(), GRACE_SECONDS)
            seen.longest_s = max(seen.longest_s, time.monotonic() - ended)
            left = held.left()
            seen.left += [f"round {number}: {what}" for what in left]
            files = _files(where)
            if number > 1:
                seen.grown.update(sorted(files - there))
            there |= files
            seen.processes += len(held.processes)
            seen.sockets += len(held.sockets)
            seen.files += len(held.files)
            seen.rounds = number
            tell(
                f"round {number}: {len(held.processes)} processes, {len(held.sockets)} sockets, "
                f"left: {left or 'nothing'}"
                f", {time.monotonic() - began:.0f} s"
            )
            if seen.wrong:
                break
    return seen


def main() -> int:
    """Rehearse it, show what was left, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make restarts", description="services started and stopped again and again")
    parser.add_argument("--rounds", type=int, default=100)
    rounds: int = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="restarts-"))

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - a person watches

    seen = rehearse(folder, rounds, tell)
    steps = [
        (
            "rounds",
            seen.rounds == rounds and not seen.wrong,
            "; ".join(seen.wrong[:3]) or f"{seen.rounds}, all in order",
        ),
        (
            "nothing is left",
            not seen.left,
            "; ".join(seen.left[:3])
            or f"of {seen.processes} processes, {seen.sockets} sockets, {seen.files} files in shared memory and the "
            f"folder for temporary ones, at most {seen.longest_s:.1f} s after the end",
        ),
        ("no file more", not seen.grown, ", ".join(f"{name} ({n})" for name, n in seen.grown.most_common(9)) or "none"),
    ]
    print_table(("step", "good", "found"), [(what, "yes" if good else "NO", text) for what, good, text in steps])
    good = all(good for _, good, _ in steps)
    if good:
        shutil.rmtree(folder)
    else:
        tell(f"everything is kept in {folder}")
    return 0 if good else 1


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


def _marked(mark: str) -> Iterator[Path]:
    wanted = f"{OWNER}={mark}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                yield process


def _runs(mark: str, module: str) -> bool:
    found = False
    for process in _marked(mark):
        with suppress(OSError):
            found |= module.encode() in (process / "cmdline").read_bytes()
    return found


def _began(process: Path) -> str:
    """Return when a process began, in ticks of the kernel; empty where there is none, or it only waits to be buried."""
    try:
        told = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if told[0] == "Z" else told[19]


def _sockets() -> set[str]:
    """Return the inodes of all sockets of this machine that are not closed."""
    found = set()
    for table, column in (("tcp", 9), ("tcp6", 9), ("udp", 9), ("unix", 6)):
        with suppress(OSError):
            found |= {line.split()[column] for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]}
    return found - {"0"}


def _answers(port: int, page: str) -> bool:
    with suppress(urllib.error.URLError, OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5).close()
        return True
    return False


def _eventually(condition: Callable[[], bool], seconds: float = SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _files(where: Place) -> set[str]:
    """Return the files of the data folder, but for those that each start or each hour writes anew.

    What SQLite keeps beside a database stays where who only reads it was the last to close it.
    """
    paths = (path.relative_to(where.data).as_posix() for path in where.data.rglob("*") if not path.is_dir())
    return {path for path in paths if not path.startswith(_GROWS) and not path.endswith(_BESIDE_A_DATABASE)}


if __name__ == "__main__":
    sys.exit(main())
