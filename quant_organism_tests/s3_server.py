"""A server on this machine that speaks S3, by moto: a process of its own, whose objects are gone when it ends.

python -m quant_organism_tests.s3_server PORT
"""

import os
import secrets
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from quant_organism.resilience import ObjectPath, object_folder
from quant_organism_tests.program import free_port

BUCKET: Final = "organism"

KEY: Final = {"AWS_ACCESS_KEY_ID": "key-of-a-test", "AWS_SECRET_ACCESS_KEY": "secret-of-a-test"}
"""A key that the server takes; it takes any."""


@dataclass(frozen=True)
class S3Server:
    """A server that runs, with one bucket."""

    process: subprocess.Popen[bytes]
    endpoint: str

    def folder(self, *keys: str) -> ObjectPath:
        """Return a folder of its bucket; one that nobody has used where none is named."""
        return object_folder("/".join((f"s3://{BUCKET}", *(keys or (secrets.token_hex(4),)))), endpoint=self.endpoint)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server until the end of the block."""
    endpoint = f"http://127.0.0.1:{(port := free_port())}"
    environment = {**os.environ, **KEY}
    command = [sys.executable, "-m", "quant_organism_tests.s3_server", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not _made(f"{endpoint}/{BUCKET}"):
                assert process.poll() is None, "the server did not start"
                time.sleep(0.05)
            yield S3Server(process, endpoint)
        finally:
            process.kill()


def _made(address: str) -> bool:
    signed = "AWS4-HMAC-SHA256 Credential=key/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    try:
        urllib.request.urlopen(
            urllib.request.Request(address, method="PUT", headers={"Authorization": signed}), timeout=10
        ).close()
    except urllib.error.URLError:
        return False
    return True


def serve(port: int) -> None:
    """Serve until the process ends.

    moto looks at the condition of a write in one step and writes in another one; a store does both at once. So one
    write is let in at a time, and any number of readers beside it. With IGNORE_CONDITIONS in its environment it is a
    server that does not know conditions.
    """
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    moto, writing = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return moto(environ, start_response)
        if "IGNORE_CONDITIONS" in os.environ:
            for condition in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"):
                environ.pop(condition, None)
        with writing:
            return list(moto(environ, start_response))

    run_simple("127.0.0.1", port, application, threaded=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
