"""Dagster's history in PostgreSQL, on a real server of Debian's packages that lives in a folder of its own.

    python -m quant_organism_tests.postgres

runs a cycle as a person starts it, moves the history of its folder to the server, and runs the cycle of a later day
there, killed once in the middle; it ends with 1 if anything is not as in a folder whose history stayed in files.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import psycopg2
import pytest

from quant_organism.cli.output import print_table
from quant_organism.orchestration.history import ADDRESS_VARIABLE
from quant_organism_tests.drill import same_content
from quant_organism_tests.program import Said, finish, free_port, start
from quant_organism_tests.tiny import EARLIER, LAST, write_world

_USER: Final = "organism"
_UNPRIVILEGED: Final = "postgres"
"""Who runs the server where the tests are run by root, whom PostgreSQL refuses."""


@dataclass
class PostgresServer:
    """A server on a free port of this machine; everybody needs the password.

    Attributes
    ----------
    folder
        Its data, its log and its socket.
    programs
        Where `initdb` and `postgres` are.
    port, password
        How it is reached.
    """

    folder: Path
    programs: Path
    port: int
    password: str

    def address(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql+psycopg2://{_USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def ask(self, question: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Return the rows that answer a question, none where nothing is asked."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=_USER, password=self.password, dbname=database, connect_timeout=5
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(question)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def new_database(self) -> str:
        """Make an empty database and return its address."""
        name = f"history_{secrets.token_hex(4)}"
        self.ask(f"CREATE DATABASE {name}")
        return self.address(name)

    def init(self) -> None:
        """Make its data folder."""
        secret = self.folder / "password"
        secret.write_text(self.password, encoding="ascii")
        if self._other_user:
            for path in (self.folder, secret):
                shutil.chown(path, _UNPRIVILEGED, _UNPRIVILEGED)
        options = ["--auth=scram-sha-256", f"--username={_USER}", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"]
        command = [self.programs / "initdb", *options, "--no-sync", "--no-instructions", "-D", self.folder / "data"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self._other_user)
        secret.unlink()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it until the end of the block."""
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.folder}
        settings |= {"fsync": "off", "shared_buffers": "16MB", "timezone": "UTC"}
        options = [f"-c{name}={value}" for name, value in settings.items()]
        command = [self.programs / "postgres", "-D", self.folder / "data", *options]
        with (
            (self.folder / "log").open("ab") as log,
            subprocess.Popen(command, stderr=log, stdout=log, cwd=self.folder, **self._other_user) as process,
        ):
            try:
                while not self._answers():
                    assert process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
                    time.sleep(0.05)
                yield
            finally:
                process.send_signal(signal.SIGINT)  # whoever is still connected is sent away

    def _answers(self) -> bool:
        with suppress(psycopg2.OperationalError):
            return bool(self.ask("SELECT 1"))
        return False

    @cached_property
    def _other_user(self) -> dict[str, Any]:
        if os.geteuid():
            return {}
        return {"user": _UNPRIVILEGED, "group": _UNPRIVILEGED, "extra_groups": []}


def programs_of_postgres() -> Path | None:
    """Return where Debian's packages have put the newest PostgreSQL; None where it is not installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Make a server, which is not running yet, in a folder that goes at the end; skip where there is no PostgreSQL."""
    programs = programs_of_postgres()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as folder:
        server = PostgresServer(Path(folder), programs, free_port(), secrets.token_hex(16))
        server.init()
        yield server


def holding(folder: Path, secret: str) -> list[str]:
    """Return the files under a folder that a secret stands in."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in paths if secret.encode() in path.read_bytes())


def rehearse(folder: Path, server: PostgresServer) -> list[tuple[str, bool, str]]:
    """Live two cycles in a folder whose history is in files, and the second one in a copy whose history was moved.

    Returns
    -------
    list of tuple
        What was looked at, whether it is good, and what was found.
    """
    files, served, world = folder / "files", folder / "served", write_world(folder)
    cycle = ("run", "--world", world, "--profile", "smoke", "--date")
    steps: list[tuple[str, bool, str]] = []

    def call(*arguments: str | Path) -> Said:
        print("quant-organism", *arguments, file=sys.stderr, flush=True)  # noqa: T201 - a person watches
        return finish(*arguments, folder=folder)

    def look(what: str, good: bool, found: object) -> None:
        steps.append((what, good, str(found)))

    def count(question: str) -> int:
        return int(server.ask(f"SELECT count(*) FROM {question}", "history")[0][0])

    _good(call(*cycle, EARLIER.isoformat(), "--data-dir", files))
    shutil.copytree(files, served)
    was = json.loads(_good(call("history", "show", "--json", "--data-dir", files)).out)
    with server.running():
        server.ask("CREATE DATABASE history")
        with patch.dict(os.environ, {ADDRESS_VARIABLE: server.address("history")}):
            moved = json.loads(_good(call("history", "move", "--json", "--data-dir", served)).out)
            same = [moved[name] == was[name] for name in ("runs", "events", "ticks")]
            look("moved", all(same), f"{moved['runs']} runs, {moved['events']:,} events")
            with start(*cycle, LAST.isoformat(), "--data-dir", served, folder=folder) as process:
                while process.poll() is None and not list((served / "logs").glob(f"*{LAST}-evolution_cycle.log")):
                    time.sleep(0.1)
                busy = call("history", "move", "--data-dir", served)
                look("run lock", busy.code == 2 and str(process.pid) in busy.err, "a second command is refused")
                process.kill()
            look("killed", count("runs WHERE status = 'STARTED'") == 1, "a run in mid-work")
            _good(call(*cycle, LAST.isoformat(), "--data-dir", served))
            settled = count("runs WHERE status = 'FAILURE'"), count("runs WHERE status = 'STARTED'")
            look("settled", settled == (1, 0), "by the same command again, which went on")
            ui = ("ui", "--world", world, "--port", str(free_port()), "--site-port", str(free_port()))
            with start(*ui, "--data-dir", served, folder=folder) as process:
                while process.poll() is None and not count("job_ticks"):
                    time.sleep(0.5)
                health = call("health", "--json", "--world", world, "--data-dir", served)
                process.send_signal(signal.SIGINT)
                process.communicate()
            (dagster,) = [one for one in json.loads(health.out)["components"] if one["component"] == "dagster"]
            look("web UI", dagster["status"] == "ok", f"{count('job_ticks')} ticks; health: {dagster['found']}")
            doctor, backup = call("doctor", "--data-dir", served), call("backup", "backup", "--data-dir", served)
            look("doctor", doctor.code == 0, "well")
            look("backup", "not in it (PostgreSQL database history" in backup.out, "says what is not in it")
    with patch.dict(os.environ, {ADDRESS_VARIABLE: server.address("history")}):
        gone = call(*cycle, LAST.isoformat(), "--data-dir", served)
        look("server gone", gone.code == 2 and "Connection refused" in gone.err, "named, and nothing was computed")
    _good(call(*cycle, LAST.isoformat(), "--data-dir", files))
    differences = same_content(files, served)
    look("the same bytes", not differences, ", ".join(differences[:3]) or "as with the history in files")
    look("password in files", not holding(folder, server.password), "none, of folder and backup")
    said = [busy, health, doctor, backup, gone]
    look("password said", not [each for each in said if server.password in each.out + each.err], "by no command")
    return steps


def _good(said: Said) -> Said:
    if said.code:
        raise RuntimeError(said.err or said.out)
    return said


def main() -> int:
    """Rehearse it whole, show what came of it, and return the exit code."""
    if programs_of_postgres() is None:
        print("PostgreSQL is not installed: apt-get install postgresql", file=sys.stderr)  # noqa: T201
        return 1
    folder = Path(tempfile.mkdtemp(prefix="history-"))
    with postgres_server() as server:
        steps = rehearse(folder, server)
    print_table(("step", "good", "found"), [(what, "yes" if good else "NO", text) for what, good, text in steps])
    good = all(good for _, good, _ in steps)
    if good:
        shutil.rmtree(folder)
    else:
        print(f"everything is kept in {folder}", file=sys.stderr)  # noqa: T201
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
