"""A connection to Ray that leaves nothing behind: no process, no file, no line in the terminal."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

# Ray reads these when it is imported: no usage statistics, no key file in the home folder, no advice.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # whoever runs a cluster with keys says so
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from quant_organism.errors import BusyError, InputError

_QUIET: Final[dict[str, Any]] = {"log_to_driver": False, "logging_level": "CRITICAL"}
_STORE_BYTES: Final = 256 * 2**20
"""Room in the local object store for batches and results on their way."""

_SECONDS_TO_ANSWER: Final = 10


@contextmanager
def ray_session(address: str | None, workers: int, *, shipped_bytes: int) -> Iterator[None]:
    """Connect to the cluster at `address`; None: to one of `workers` cores that lives on this machine for the block.

    Raises
    ------
    BusyError
        This process is connected to Ray already.
    InputError
        No cluster answers, or it runs another version of Ray or Python.
    """
    if ray.is_initialized():
        raise BusyError(
            "this process is connected to Ray already", where="executor", remedy="close that connection first"
        )
    ray._private.worker._worker_logs_enabled = False  # else dead workers are announced on standard output
    # Sockets lie in the folder, and their paths may have 107 characters at most.
    folder = tempfile.mkdtemp(prefix="quant-organism-ray-", dir="/tmp") if address is None else None
    with _own_signals():
        try:
            if folder is not None:
                _start_here(folder, workers, shipped_bytes)
            else:
                _connect(str(address))
            yield
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _start_here(folder: str, workers: int, shipped_bytes: int) -> None:
    ray.init(
        address="local",
        num_cpus=workers,
        object_store_memory=_STORE_BYTES + 2 * shipped_bytes,
        include_dashboard=False,
        _temp_dir=folder,
        _node_ip_address="127.0.0.1",
        **_QUIET,
    )


def _connect(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()  # Ray itself would ask for minutes
        # A busy head's fork dies now and then, in gRPC, before it is this client's server; the next one mostly stands.
        patiently = Retrying(
            stop=stop_after_attempt(5), retry=retry_if_exception_type(ConnectionAbortedError), reraise=True
        )
        patiently(ray.init, address=address, **_QUIET)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"no Ray cluster to work with: {error}",
            where=f"executor {address}",
            remedy="see that the cluster runs and is reached from here, with the same versions of Ray and Python",
        ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Give the process its handler of SIGTERM back, which Ray takes away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: Any = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
