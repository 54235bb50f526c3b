"""What a trader that sends orders and the server of code say over a Unix socket: frames, and who is there.

A frame is a mark of four bytes, the lengths of head and body, the head as JSON of a fixed form, and the body as plain
bytes. Nothing is unpickled, no length is believed beyond its bound, and a deadline is for all of an exchange.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import time
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_organism.deployment import ExternalStrategy
from quant_organism.errors import InputError
from quant_organism.judge.sandbox import LONGEST_SOURCE

MARK: Final = b"QOC1"
LONGEST_HEAD: Final = 64 * 2**10
LONGEST_PANEL: Final = 2**30
LONGEST_TEXT: Final = 500

_LENGTHS: Final = struct.Struct("<4sIQ")
_CREDENTIALS: Final = struct.Struct("3i")
_PIECE: Final = 2**20

Head = TypeVar("Head", bound=BaseModel)


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CodeQuestion(_Head):
    """What code wants on a panel; the body is its file, then the panel as `stored_panel` returns it.

    Parameters
    ----------
    strategy
        Whose code, with its limits.
    source_bytes
        How much of the body is the file.
    bars, assets
        Of the panel.
    """

    strategy: ExternalStrategy
    source_bytes: int = Field(ge=0, le=LONGEST_SOURCE)
    bars: int = Field(ge=1, le=2_000_000)
    assets: int = Field(ge=1, le=2_000)


class CodeReply(_Head):
    """What came of a question; the body is the answer, float64 (bars, assets), or empty where it failed.

    Parameters
    ----------
    source
        SHA-256 (hex) of the file that was run.
    failed
        Why there is no answer; empty: there is one.
    """

    source: str = Field(pattern=r"^[0-9a-f]{64}$")
    failed: str = Field("", max_length=4 * LONGEST_TEXT)


class CodeLine:
    """One end of a connection, with a deadline for each exchange.

    Parameters
    ----------
    connection
        A connected socket; closed with the line.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until = time.monotonic()

    def begin(self, seconds: float) -> None:
        """Begin an exchange that may take so long as a whole."""
        self._until = time.monotonic() + seconds

    def wait(self) -> bool:
        """Wait, however long, until the other end says something; false: it has hung up."""
        self._connection.settimeout(None)
        return bool(self._connection.recv(1, socket.MSG_PEEK))

    def is_over(self) -> bool:
        """Tell whether the other end has hung up, or says what nobody asked for, between two exchanges."""
        self._connection.settimeout(0.0)
        try:
            self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def send(self, head: BaseModel, *bodies: bytes) -> None:
        """Send a frame.

        Raises
        ------
        OSError
            The other end is gone, or took too long (`TimeoutError`).
        """
        said = head.model_dump_json().encode()
        start = _LENGTHS.pack(MARK, len(said), sum(map(len, bodies)))
        for part in (start + said, *bodies):
            left = memoryview(part)
            while left:
                self._connection.settimeout(self._left())
                left = left[self._connection.send(left[:_PIECE]) :]

    def receive(self, form: type[Head], longest_body: int) -> tuple[Head, bytes]:
        """Return the next frame.

        Raises
        ------
        OSError
            The other end is gone (`ConnectionError`), or took too long (`TimeoutError`).
        InputError
            What came is no frame of that form.
        """
        mark, head_length, body_length = _LENGTHS.unpack(self._take(_LENGTHS.size))
        if mark != MARK or head_length > LONGEST_HEAD or body_length > longest_body:
            raise InputError("what came over the socket is no message of this form, or too long")
        try:
            head = form.model_validate_json(self._take(head_length))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise InputError(f"a message that cannot be read: {first['loc']}: {first['msg']}") from None
        return head, self._take(body_length)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError
        return left

    def _take(self, size: int) -> bytes:
        pieces, missing = [], size
        while missing:
            self._connection.settimeout(self._left())
            piece = self._connection.recv(min(missing, _PIECE))
            if not piece:
                raise ConnectionError("hung up")
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)


def peer_of(connection: socket.socket) -> int:
    """Return the user id of who is at the other end, as the kernel says it: of a listener, who began to listen."""
    _, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)


def check_server(uid: int, path: Path) -> None:
    """Refuse a server that is no wall: of the same user, of root, or whose socket somebody else could have laid there.

    Parameters
    ----------
    uid
        Who listens.
    path
        The socket.

    Raises
    ------
    InputError
        Which of these it is.
    """
    remedy = "run `quant-organism trade code-server` as a user of its own (docs/judge.md, another user)"
    if uid in (os.geteuid(), os.getuid()):
        raise InputError("the server of code runs as the user who sends orders", where=str(path), remedy=remedy)
    if uid == 0:
        raise InputError("the server of code runs as root", where=str(path), remedy=remedy)
    folder = path.parent.stat()
    if folder.st_uid not in (0, uid) or folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(
            "others than the server of code may write in the folder of its socket",
            where=str(path.parent),
            remedy=f"let it be of user {uid} or of root, and writable by its owner alone",
        )


def printable(text: str) -> str:
    """Return a text of elsewhere as one line that shows what it says, and not too much of it."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:LONGEST_TEXT])
