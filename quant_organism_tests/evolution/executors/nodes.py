"""Ray nodes on one machine, each its own processes, started as the guide to a cluster says."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.evolution.executors.processes import wait_until
from quant_organism_tests.program import free_port

RAY: Final = Path(sys.executable).with_name("ray")
OWNER: Final = "QUANT_ORGANISM_TEST_NODE"
"""A variable that all processes of a node have, with its name."""

_UP: Final = b"Ray runtime started"


@contextmanager
def node(name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Ray node of one core until the end of the block; its processes know its name.

    Nodes of one machine that start at the same moment take each other's ports: the block begins when this one is up.
    """
    environment = {
        **os.environ,
        OWNER: name,
        "PYTHONPATH": str(REPOSITORY),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "PYTHONUNBUFFERED": "1",
    }
    command = [
        str(RAY),
        *("start", "--block", "--num-cpus=1", "--node-ip-address=127.0.0.1"),
        *("--object-store-memory=100000000", *arguments),
    ]
    with (
        tempfile.NamedTemporaryFile() as said,
        subprocess.Popen(
            command, env=environment, stdout=said, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or _UP in Path(said.name).read_bytes(), seconds=180)
            assert process.poll() is None, Path(said.name).read_text(encoding="utf-8")
            yield process
        finally:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a node as a power cut does: all its processes at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def head_node() -> Iterator[tuple[str, str]]:
    """Run the head of a cluster; give its address, and that for clients from elsewhere."""
    port, client_port = free_port(), free_port()
    ports = (f"--port={port}", f"--ray-client-server-port={client_port}", "--include-dashboard=false")
    with (
        tempfile.TemporaryDirectory(prefix="head-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        node("head", "--head", f"--temp-dir={folder}", *ports),
    ):
        wait_until(lambda: _answers(client_port))
        yield f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
