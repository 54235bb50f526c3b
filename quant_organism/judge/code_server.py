"""The server of code: runs strategies made elsewhere for a trader that sends orders, as another user than the trader.

It reads no folder of the trader's. A question brings the file and the panel, and each connection has processes of its
own behind the walls, so that one who died amid a question holds up nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Final

from quant_organism.deployment import StrategyRepository
from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.judge.code_wire import LONGEST_PANEL, CodeLine, CodeQuestion, CodeReply, peer_of, printable
from quant_organism.judge.running import CLOSE_SECONDS, SandboxRunner
from quant_organism.judge.sandbox import LONGEST_SOURCE

MOST_CONNECTIONS: Final = 8
"""At once; a trader has one, and those of traders that were killed end with their last question."""

SPARE_SECONDS: Final = 5.0
"""What a question or an answer may take on its way."""

_LOOK_UP_SECONDS: Final = 1.0


class CodeServer:
    """Listens on a Unix socket and answers one user; use it with `with`, and call `serve`.

    Parameters
    ----------
    path
        Socket that is made; its folder is there, and is the server's. Beside it are sources as long as it runs.
    asker
        User id of the trader: nobody else is answered.

    Raises
    ------
    InputError
        It would run as root or as the trader's user, another server listens there, or the socket cannot be made.
    """

    def __init__(self, path: Path, asker: int) -> None:
        self._path, self._asker = path, asker
        self._kept = path.with_name(f".{path.name}.kept")
        own = os.geteuid()
        if own in (0, asker):
            raise InputError(
                f"code made elsewhere is not run as {'root' if own == 0 else 'the user who sends orders'}",
                where=f"user id {own}",
                remedy="start it as a user of its own, who owns nothing",
            )
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listen()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> CodeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        shutil.rmtree(self._kept, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._path.unlink()

    def serve(self) -> None:
        """Answer until interrupted."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            if peer_of(connection) != self._asker or not self._room.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._answer_all, args=(connection,), daemon=True).start()

    def _listen(self) -> None:
        try:
            if self._path.is_socket():
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
                    if other.connect_ex(str(self._path)) == 0:
                        raise InputError("another server listens there", where=str(self._path), remedy="end it first")
                self._path.unlink()  # of one that was killed
            self._socket.bind(str(self._path))
            self._path.chmod(0o666)  # who is answered, the kernel says
            shutil.rmtree(self._kept, ignore_errors=True)  # of one that was killed
            self._kept.mkdir(mode=0o700)
            self._socket.listen(MOST_CONNECTIONS)
            # Not one wait without an end: the handler that polars has for Ctrl-C would take it up again.
            self._socket.settimeout(_LOOK_UP_SECONDS)
        except OSError as error:
            raise InputError(
                f"the socket cannot be made: {error.strerror or error}",
                where=str(self._path),
                remedy="give a short path in a folder that this user owns",
            ) from error

    def _answer_all(self, connection: socket.socket) -> None:
        line = CodeLine(connection)
        try:
            with tempfile.TemporaryDirectory(dir=self._kept) as folder:
                repository = StrategyRepository(Path(folder))
                with SandboxRunner(repository, most_seconds=CLOSE_SECONDS) as runner:
                    while line.wait():
                        self._answer(line, repository, runner)
        except (OSError, QuantOrganismError):
            pass  # whoever asked is gone, or says what cannot be read: there is nobody to tell
        finally:
            line.close()
            self._room.release()

    def _answer(self, line: CodeLine, repository: StrategyRepository, runner: SandboxRunner) -> None:
        line.begin(SPARE_SECONDS)
        question, body = line.receive(CodeQuestion, LONGEST_SOURCE + LONGEST_PANEL)
        source, panel = body[: question.source_bytes], body[question.source_bytes :]
        found = hashlib.sha256(source).hexdigest()
        failed, answer = "", b""
        try:
            if question.strategy.trusted:
                raise InputError("code that was judged without walls is not run here")
            if found != question.strategy.source:
                raise InputError("the file is not the one that was judged")
            repository.keep_source(source)
            answer = runner.answered(question.strategy, panel, (question.bars, question.assets)).tobytes()
        except QuantOrganismError as error:
            failed = printable(error.what)
        line.begin(SPARE_SECONDS)
        line.send(CodeReply(source=found, failed=failed), answer)
