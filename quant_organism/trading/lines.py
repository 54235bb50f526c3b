"""How a trader's lines to the venue are, left at rest while it trades, for the process that serves its figures."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from quant_organism.errors import StorageError
from quant_organism.resilience import write_file
from quant_organism.venue import FeedFigures

EVERY_S: Final = 5.0
"""Between two writings of them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LinesAtRest:
    """Figures of a trader's lines.

    Attributes
    ----------
    written_ms
        When they were taken, by this machine's clock, UTC milliseconds.
    lines
        By name: `market` brings bars, `account` orders and fills.
    """

    written_ms: int
    lines: Mapping[str, FeedFigures]

    def silent_s(self, name: str, now_ms: int) -> float | None:
        """Return the seconds since the last frame of a line; None where there was none yet."""
        silent = self.lines[name].silent_s
        return None if silent is None else silent + max(now_ms - self.written_ms, 0) / 1e3


_AT_REST: Final = TypeAdapter(LinesAtRest)


def lines_file(data_dir: Path) -> Path:
    """Return where the figures lie; there is one trader of live bars, whatever its mode."""
    return data_dir / "lines.json"


def read_lines(path: Path) -> LinesAtRest | None:
    """Return the figures, or None where no trader has left any, or what is there cannot be read."""
    try:
        return _AT_REST.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


class LineKeeper:
    """Writes figures of lines down while a session lasts.

    A disk that is full holds no trader up: it is said in the log, and what lies there is older then.

    Parameters
    ----------
    path
        File that they are left in; gone once the session has ended.
    lines
        By name what returns the figures of a line, None before there is one.
    wall_ms
        This machine's clock, UTC milliseconds.
    is_real_time
        Whether the venue's time is this machine's; where it is not, latencies say nothing and are left out.
    """

    def __init__(
        self,
        path: Path,
        lines: Mapping[str, Callable[[], FeedFigures | None]],
        wall_ms: Callable[[], int],
        *,
        is_real_time: bool = True,
    ) -> None:
        self._path, self._lines, self._wall_ms, self._is_real_time = path, lines, wall_ms, is_real_time
        self._writing, self._is_over = threading.Lock(), False

    async def keep(self) -> None:
        """Write until cancelled, and take the file away then."""
        self._is_over = False
        try:
            while True:
                await asyncio.to_thread(self._write)  # the socket is read meanwhile
                await asyncio.sleep(EVERY_S)
        finally:
            with self._writing:  # what a thread still writes would come back
                self._is_over = True
                self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        taken = {name: figures for name, take in self._lines.items() if (figures := take()) is not None}
        if not self._is_real_time:
            taken = {name: replace(figures, latency=None) for name, figures in taken.items()}
        with self._writing:
            if self._is_over:
                return
            try:
                write_file(self._path, _AT_REST.dump_json(LinesAtRest(self._wall_ms(), taken)))
            except StorageError as error:
                log.warning("figures of the lines are not written: %s", error)
