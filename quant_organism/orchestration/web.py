"""Start the web UI with its daemon, on the instance of a data folder."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from quant_organism.errors import BusyError, InputError, QuantOrganismError
from quant_organism.monitoring import serving_site
from quant_organism.monitoring.health import Finding, judged
from quant_organism.orchestration.history import POSTGRES_SECTION, SQLITE_SECTION, HistoryServer
from quant_organism.orchestration.home import (
    INSTANCE_YAML,
    damaged_databases,
    environment,
    interrupt_runs,
    open_instance,
    prepare_home,
    settle_runs,
)
from quant_organism.orchestration.markets import joined, markets_of, write_workspace
from quant_organism.orchestration.process_group import end_group
from quant_organism.orchestration.run_lock import run_lock
from quant_organism.settings import FOLDER_VARIABLE, PREFIX, Settings

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end it as Ctrl-C does: those of a service manager and of a terminal that is closed."""
_PATIENCE_S: Final = 45.0
"""For what Dagster has started, once Dagster itself has ended."""


def serve(
    settings: Settings,
    variables: Mapping[str, str],
    host: str,
    port: int,
    site_port: int,
    *,
    announce: Callable[[str], object],
    read_only: bool = False,
) -> int:
    """Run web server, daemon and report site until they end, or until Ctrl-C, SIGTERM or SIGHUP; return the exit code.

    Nothing that they started is there afterwards: Dagster's servers of code would wait for the end of a run of theirs,
    so a run under way is interrupted, and what it had finished is kept.

    Parameters
    ----------
    settings
        Of the data folder.
    variables
        The settings' options as environment variables, for the processes that load the definitions.
    host, port, site_port
        Where to listen, the report site on a port of its own.
    announce
        Told what a person should know.
    read_only
        Whether the server refuses whatever changes anything; there is no daemon then, hence no schedule and no sensor.

    Raises
    ------
    InputError
        A port is taken, or the market cannot be read and was never worked on here.
    BusyError
        Another web UI, one that is not only to look at, serves the data folder.
    """
    for taken, option in ((port, "--port"), (site_port, "--site-port")):
        if not is_free(host, taken):
            raise InputError(f"port {taken} is in use", where=host, remedy=f"choose another one with {option}")
    home = prepare_home(settings.data_dir)
    with nullcontext() if read_only else _alone_with(home):
        with open_instance(settings.data_dir) as instance, suppress(BusyError), run_lock(settings.data_dir):
            settle_runs(instance)  # a command that computes right now holds the lock, and its runs are alive
        joined(settings)
        workspace, markets = write_workspace(settings.data_dir), markets_of(settings.data_dir)
        program = ["dagster_webserver", "--read-only"] if read_only else ["dagster", "dev"]
        command = [sys.executable, "-m", *program, "-w", str(workspace), "-h", host, "-p", str(port)]
        site = f"http://{host}:{site_port}"
        folder = {f"{PREFIX}DATA_DIR": str(settings.data_dir.resolve()), f"{PREFIX}SITE_URL": site}
        # Dagster warns about its own command's future name and its own preview features; nobody here can act on it.
        own = {**os.environ, **variables, **folder, **environment(home), "PYTHONWARNINGS": "ignore"}
        own["PYTHONSAFEPATH"] = "1"  # whatever lies in the folder that it is started in is no module of the program
        # Started at home, for `dagster dev` reads an .env file of its folder, and that may name another home.
        own[FOLDER_VARIABLE] = str(Path.cwd())

        def prefix_of(market: str, interval: str) -> Sequence[str]:
            known = (one for one in markets_of(settings.data_dir) if (one.market, one.interval) == (market, interval))
            return next((one.key_prefix for one in known), ())

        with (
            _ended_as_by_ctrl_c(),
            serving_site(settings.data_dir.resolve(), host, site_port, f"http://{host}:{port}", prefix_of),
            # In a group of its own: Ctrl-C in a terminal reaches this process alone, which ends the others in order.
            subprocess.Popen(command, env=own, cwd=home, process_group=0) as server,
        ):
            try:
                if _answers(server, f"http://{host}:{port}/server_info"):
                    pages = f"http://{host}:{port}/asset-groups"
                    announce(f"\nThe web UI is on {pages}, reports are on {site} (Ctrl-C stops both)")
                    if len(markets) > 1:
                        announce("Markets: " + ", ".join(f"{known.market} {known.interval}" for known in markets))
                # Not `wait`: a signal that another thread of this process takes would not wake it.
                while server.poll() is None:
                    time.sleep(0.2)
                return int(server.returncode)
            except KeyboardInterrupt:
                server.send_signal(signal.SIGINT)
                server.wait()
                return 0
            finally:
                _end_what_it_started(server.pid, settings.data_dir, announce)


def _end_what_it_started(group: int, data_dir: Path, announce: Callable[[str], object]) -> None:
    runs: dict[str, int] = {}
    try:
        with open_instance(data_dir) as instance:
            runs = interrupt_runs(instance, group)
        for run in runs:
            announce(f"run {run[:8]} was under way and is interrupted; what it had finished is kept")
    finally:
        # Servers of code would end by themselves, but only once nobody has asked them for anything for a while.
        if killed := end_group(group, _PATIENCE_S, under_way=runs.values()):
            announce(f"{len(killed)} processes did not end within {_PATIENCE_S:.0f} s and were killed")


@contextmanager
def _alone_with(home: Path) -> Iterator[None]:
    """Keep a second daemon away from a home: both would ask for every night, and begin what waits in the queue."""
    lock = FileLock(home / "ui.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(
            "a web UI of this data folder is running already",
            where=str(home.parent),
            remedy="use that one, or add --read-only to look at the folder beside it",
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Have signals end what is in the block as Ctrl-C does, but for those that this process was told to ignore."""
    heeded = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(server: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until the server answers; False if it ended instead."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    return False


def examine_web(data_dir: Path, host: str, port: int) -> list[Finding]:
    """Return the findings on the Dagster instance of a data folder and on the port of its web UI."""
    home = data_dir / "dagster_home"
    free = is_free(host, port)
    return [
        _instance(home / "dagster.yaml"),
        _history(home),
        judged("web UI", f"port {port} on {host}", free, "note", f"port {port} is taken: use --port"),
    ]


def _instance(path: Path) -> Finding:
    if not path.exists():
        return Finding("Dagster instance", "not there yet")
    written = path.read_text(encoding="utf-8")
    if written == INSTANCE_YAML:
        return Finding("Dagster instance", "settings as shipped, telemetry off")
    if written == INSTANCE_YAML.replace(SQLITE_SECTION, POSTGRES_SECTION):
        return Finding("Dagster instance", "settings as shipped for PostgreSQL, telemetry off")
    remedy = f"to have the shipped ones back, remove {path}"
    return Finding("Dagster instance", "settings were edited", "note", remedy)


def _history(home: Path) -> Finding:
    """Tell whether the databases of the instance are whole, or their server answers."""
    try:
        server = HistoryServer.of(home)
        if server is not None:
            server.check()
            return Finding("Dagster databases", server.where)
    except QuantOrganismError as error:
        return Finding("Dagster databases", f"{error.where}: {error.what}", "broken", error.remedy or "")
    damaged = "; ".join(f"{path}: {damage}" for path, damage in damaged_databases(home).items())
    return judged("Dagster databases", damaged or "whole", not damaged, "broken", f"move {home} away")


def is_free(host: str, port: int) -> bool:
    """Tell whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) != 0
