"""Ray nodes on one machine, each its own processes, started as the guide to a cluster says."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.evolution.executors.processes import wait_until
from quant_organism_tests.program import free_port

RAY: Final = Path(sys.executable).with_name("ray")
OWNER: Final = "QUANT_ORGANISM_TEST_NODE"
"""A variable that all processes of a node have, with its name."""

_UP: Final = b"Ray runtime started"


def as_the_guide_says(first_word: str, **here: object) -> list[str]:
    """Return the options of one command of the guide to a cluster, each with its value on this machine.

    Parameters
    ----------
    first_word
        Option that the command begins with.
    here
        Values by the names of its options. The guide must name each of them, and no other.
    """
    guide = (REPOSITORY / "docs" / "clusters.md").read_text(encoding="utf-8")
    commands = [shlex.split(line)[2:] for line in re.findall(r"^ray start .*$", guide, flags=re.MULTILINE)]
    (options,) = [options for options in commands if options[0].partition("=")[0] == first_word]
    values = {f"--{name.replace('_', '-')}": value for name, value in here.items()}
    named = {name for name, equals, _ in (option.partition("=") for option in options) if equals}
    assert named == values.keys(), f"the guide says {options}"
    return [f"{name}={values[name]}" if name in values else name for name in (o.partition("=")[0] for o in options)]


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


@dataclass(frozen=True)
class HeadNode:
    """The head of a cluster.

    Attributes
    ----------
    process
        What runs it.
    address
        Where other nodes, and searches on the cluster itself, reach it.
    client
        Where searches from elsewhere do.
    """

    process: subprocess.Popen[bytes]
    address: str
    client: str


@contextmanager
def head_node() -> Iterator[HeadNode]:
    """Run the head of a cluster until the end of the block."""
    port, client_port = free_port(), free_port()
    options = as_the_guide_says("--head", port=port, ray_client_server_port=client_port)
    with (
        tempfile.TemporaryDirectory(prefix="head-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        node("head", *options, f"--temp-dir={folder}", "--include-dashboard=false") as process,
    ):
        wait_until(lambda: _answers(client_port))
        yield HeadNode(process, f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}")


@contextmanager
def joined_node(name: str, head: HeadNode) -> Iterator[subprocess.Popen[bytes]]:
    """Run one more node of a cluster until the end of the block."""
    with node(name, *as_the_guide_says("--address", address=head.address)) as process:
        yield process


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
