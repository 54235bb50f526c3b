"""What a venue has answered, kept: rows of the past do not change, and need not be asked for twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import zstandard

from quant_organism.errors import IntegrityError
from quant_organism.resilience.files import write_file

Row = Mapping[str, Any]


@dataclass(slots=True)
class Kept:
    """Rows of one question, by time in UTC ms; all that the venue had from `first_ms` to `last_ms`, if anything."""

    rows: dict[int, Row] = field(default_factory=dict)
    first_ms: int = 0
    last_ms: int = -1

    def missing(self, first_ms: int, last_ms: int) -> list[tuple[int, int]]:
        """Return what must be asked for so that a span is held, as spans; what is held stays in one piece."""
        if last_ms < first_ms:
            return []
        if self.last_ms < self.first_ms:
            return [(first_ms, last_ms)]
        spans = [(first_ms, self.first_ms - 1), (self.last_ms + 1, last_ms)]
        return [span for span in spans if span[0] <= span[1]]

    def add(self, rows: Mapping[int, Row], first_ms: int, last_ms: int) -> None:
        """Take in the rows of a missing span."""
        is_first = self.last_ms < self.first_ms
        self.rows = dict(sorted({**self.rows, **rows}.items()))
        self.first_ms = first_ms if is_first else min(first_ms, self.first_ms)
        self.last_ms = max(last_ms, self.last_ms)


class KeptRows:
    """Rows by question, in memory and, with a folder, beyond this process.

    Parameters
    ----------
    folder
        One for each venue; none: nothing outlives the process.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: dict[str, Kept] = {}

    def of(self, name: str) -> Kept:
        """Return what is kept under a name.

        Raises
        ------
        IntegrityError
            The file is damaged.
        """
        if name not in self._kept:
            self._kept[name] = self._read(name)
        return self._kept[name]

    def save(self, name: str) -> None:
        """Write down what is kept under a name."""
        if self._folder is not None:
            kept = self._kept[name]
            document = {"first_ms": kept.first_ms, "last_ms": kept.last_ms, "rows": [*kept.rows.items()]}
            write_file(self._path(self._folder, name), zstandard.compress(orjson.dumps(document)))

    def _read(self, name: str) -> Kept:
        path = None if self._folder is None else self._path(self._folder, name)
        if path is None or not path.is_file():
            return Kept()
        try:
            document = orjson.loads(zstandard.decompress(path.read_bytes()))
            return Kept(dict(document["rows"]), document["first_ms"], document["last_ms"])
        except (zstandard.ZstdError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"damaged: {error}", where=str(path), remedy="delete it; it is asked for again"
            ) from error

    def _path(self, folder: Path, name: str) -> Path:
        return folder / f"{quote(name, safe='')}.json.zst"
