"""The web UI as a process of its own, for tests and pictures that look at its pages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from quant_organism_tests.program import free_port


@contextmanager
def serving_ui(folder: Path, *options: str) -> Iterator[str]:
    """Start the web UI in a folder, and yield its address; fail with its log where it does not start or end in order.

    Parameters
    ----------
    folder
        That it is started in; its data folder is `data` therein.
    options
        Of the command.
    """
    port = free_port()
    command = [sys.executable, "-P", "-c", "from quant_organism.cli.main import main; main()", "ui"]
    own = ["--port", str(port), "--site-port", str(free_port()), "--data-dir", str(folder / "data")]
    log = (folder / "ui.log").open("w", encoding="utf-8")
    served = {"cwd": folder, "stdout": log, "stderr": subprocess.STDOUT, "start_new_session": True}
    with subprocess.Popen([*command, *own, *options], **served) as server:
        try:
            _wait_for(f"http://127.0.0.1:{port}/server_info", server, folder / "ui.log")
            yield f"http://127.0.0.1:{port}"
            server.send_signal(signal.SIGTERM)  # to the program alone, as a service manager does: its children end too
            assert server.wait(timeout=120) == 0
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=120)
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            log.close()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text(encoding="utf-8")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(log.read_text(encoding="utf-8"))


def workflow_page(workflow: str) -> str:
    """Return the page that shows a workflow's phases as assets, from the web UI's address on."""
    return f"locations/__repository__@quant_organism/asset-groups/workflow_{workflow}"
