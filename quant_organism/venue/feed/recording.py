"""What came in, line by line, and the same again: a replay of a recording gives the events that the feed gave.

A file is zstd-compressed JSON lines `[t, kind, ...]`, `t` in UTC ms of a clock that never goes back. It carries `.part`
until it is whole; of a part that a crash left, everything up to the last flush can be read.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import zstandard

from quant_organism.errors import IntegrityError
from quant_organism.venue.feed.core import FeedCore, FeedEvent
from quant_organism.venue.feed.plan import Subscription
from quant_organism.venue.feed.questions import Question

SUFFIX: Final = ".jsonl.zst"
PART: Final = ".part"
MAX_BYTES: Final = 64 << 20
FLUSH_MS: Final = 1_000.0

Line = list[Any]


class Recorder:
    """Writes what a feed takes in.

    Parameters
    ----------
    folder
        Where; made if it is not there.
    max_bytes
        Length of a file before compression; then the next one begins.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_bytes = folder, max_bytes
        self._path: Path | None = None
        self._written = 0
        self._flushed_ms = 0.0

    def write(self, now_ms: float, kind: str, *values: Any) -> None:
        """Write a line."""
        if self._path is None:
            self._begin(now_ms)
        line = orjson.dumps([now_ms, kind, *values], option=orjson.OPT_APPEND_NEWLINE)
        self._stream.write(line)
        self._written += len(line)
        if now_ms - self._flushed_ms >= FLUSH_MS:
            self._stream.flush(zstandard.FLUSH_BLOCK)
            self._file.flush()
            self._flushed_ms = now_ms
        if self._written >= self._max_bytes:
            self.close()

    def close(self) -> None:
        """End the file that is being written."""
        if self._path is not None:
            self._stream.flush(zstandard.FLUSH_FRAME)
            self._file.close()
            self._path.rename(self._path.with_name(self._path.name.removesuffix(PART)))
            self._path = None

    def _begin(self, now_ms: float) -> None:
        begun = int(now_ms)
        while (path := self._folder / f"{begun}{SUFFIX}").exists() or path.with_name(f"{path.name}{PART}").exists():
            begun += 1
        self._path = path.with_name(f"{path.name}{PART}")
        self._file = self._path.open("wb")
        self._stream = zstandard.ZstdCompressor(level=3).stream_writer(self._file)
        self._written = 0


def recorded_files(folder: Path) -> list[Path]:
    """Return the files of a recording in the order of their beginnings, unfinished ones included."""
    found = [path for path in folder.iterdir() if path.name.removesuffix(PART).endswith(SUFFIX)]
    return sorted(found, key=lambda path: int(path.name.split(".", 1)[0]))


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file; a part ends with its last whole line.

    Raises
    ------
    IntegrityError
        A finished file is damaged.
    """
    is_part, rest, stream = path.name.endswith(PART), b"", zstandard.ZstdDecompressor().decompressobj()
    try:
        with path.open("rb") as file:
            while not stream.eof and (chunk := file.read(1 << 16)):
                *lines, rest = (rest + stream.decompress(chunk)).split(b"\n")
                for line in lines:
                    yield orjson.loads(line)
        if not is_part and not stream.eof:
            raise IntegrityError("the end is missing", where=str(path), remedy="leave the file out")
    except (zstandard.ZstdError, orjson.JSONDecodeError) as error:
        if not is_part:
            raise IntegrityError(f"damaged: {error}", where=str(path), remedy="leave the file out") from error


def replay(core: FeedCore, lines: Iterable[Line]) -> Iterator[FeedEvent]:
    """Let a new core take in a recording, from a session's first line on; yield its events.

    Raises
    ------
    IntegrityError
        A kind of line that is not known.
    """
    for now_ms, kind, *values in lines:
        yield from _take(core, now_ms, kind, values)


def _take(core: FeedCore, now_ms: float, kind: str, values: Sequence[Any]) -> list[FeedEvent]:
    match kind:
        case "frame":
            return core.receive(values[0], now_ms)[1]
        case "answer":
            return core.answered(_question(values[0]), values[1], now_ms)
        case "failed":
            core.failed(_question(values[0]), now_ms)
        case "asked":
            core.questions(now_ms)
        case "pinged":
            core.pinged(now_ms)
        case "opened":
            core.opened()
        case "lost":
            core.lost()
        case "silenced":
            core.silenced(Subscription(**values[0]))
        case _:
            raise IntegrityError(f"a line of kind {kind!r}", where="recording", remedy="read it with a newer version")
    return []


def as_line(question: Question) -> list[Any]:
    """Return a question as a line holds it."""
    return [question.kind, list(question.subject), question.first_ms, question.last_ms]


def _question(said: Sequence[Any]) -> Question:
    kind, subject, first_ms, last_ms = said
    return Question(kind, tuple(subject), first_ms, last_ms)
