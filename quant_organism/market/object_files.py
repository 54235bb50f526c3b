"""What DuckDB reads of a lake on an object store: a file system in Python, since its own would be an extension."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any, Final

from fsspec import AbstractFileSystem

from quant_organism.resilience import ObjectPath

SCHEME: Final = "lake"
"""How addresses of these files begin; the store's key never comes near DuckDB."""


class ObjectFiles(AbstractFileSystem):  # type: ignore[misc]
    """The files of one lake, to be read. A file is fetched whole when it is opened, in one request: it is old or new.

    Parameters
    ----------
    root
        The lake; no other file of its bucket is read.
    """

    protocol = SCHEME
    cachable = False

    def __init__(self, root: ObjectPath) -> None:
        super().__init__(skip_instance_cache=True)
        self._root = root
        self._sizes: dict[str, int] = {}

    @property
    def address(self) -> str:
        """How the lake's folder is called in a query."""
        return f"{SCHEME}://{'/'.join(self._root.parts[1:])}" if self._root.keys else f"{SCHEME}://"

    def glob(self, path: str, **_: Any) -> list[str]:  # type: ignore[override,unused-ignore]
        """Return the files that fit a pattern, in order."""
        pattern = self._beneath(path)
        return [f"{SCHEME}://{found.key}" for found in sorted(self._root.glob(pattern))]

    def open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:
        """Return what is in a file."""
        if mode.replace("b", "") != "r":
            raise PermissionError("the lake is read only")
        content = (self._root / self._beneath(path)).read_bytes()
        self._sizes[path] = len(content)
        return io.BytesIO(content)

    def size(self, path: str) -> int:
        """Return the number of bytes of a file as it was opened."""
        if path not in self._sizes:
            self.open(path)
        return self._sizes[path]

    def exists(self, path: str, **_: Any) -> bool:
        """Say whether there is such a file."""
        return (self._root / self._beneath(path)).exists()

    def isfile(self, path: str) -> bool:
        """Say whether there is such a file."""
        return self.exists(path)

    def isdir(self, path: str) -> bool:
        """Say that nothing is a folder."""
        return False

    def modified(self, path: str) -> datetime:
        """Return this moment, so that nothing that was read is kept and could grow stale."""
        return datetime.now(UTC)

    def _beneath(self, path: str) -> str:
        address = path if path.startswith(f"{SCHEME}://") else f"{SCHEME}://{path}"
        start = f"{self.address}/" if self._root.keys else self.address
        if not address.startswith(start):
            raise PermissionError(f"{path} is not in this lake")
        return address.removeprefix(start)
