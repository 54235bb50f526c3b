"""Checkpoints: a search at rest after a generation, from which it goes on to the same bits.

One folder holds immutable Parquet parts, each the new rows of one table in one generation, and `state.json`, which
names them with their SHA-256. It is replaced last: whoever kills the writer, and whenever, the last whole checkpoint
loads.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from quant_organism.errors import InputError, IntegrityError
from quant_organism.resilience import remove_files, write_file, write_files

SCHEMA_VERSION: Final = 1

_STATE: Final = "state.json"
_START_ANEW: Final = "start the search anew (without --resume)"


class Checkpoint:
    """The checkpoint of one search.

    Parameters
    ----------
    folder
        A folder for this search alone; made on the first `save`.
    identity
        What the search is a function of, by name (hashes of spec, panel and costs, identity of its code, seed): a
        checkpoint of another search is never loaded.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self._folder = folder
        self._identity = dict(identity)
        self._parts: list[dict[str, str]] = []

    def save(self, generation: int, state: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> None:
        """Make this generation the one to go on from.

        Parameters
        ----------
        generation
            The generation that is finished.
        state
            Plain JSON: text, finite numbers (integers of any size), booleans, None, lists, mappings with text as keys.
        tables
            By name, the rows that are NEW since the last `save` or `load`, each time with the same columns.

        Raises
        ------
        StorageError
            The disk is full or cannot be written; the last checkpoint is unchanged.
        ValueError
            A number of the state is not finite.
        """
        encoded = {name: _encode(frame) for name, frame in tables.items()}
        new = [
            {
                "table": name,
                "file": f"{name}-{generation:06d}-{_sha256(content)[:16]}.parquet",
                "sha256": _sha256(content),
            }
            for name, content in encoded.items()
        ]
        parts = [*self._parts, *new]
        body = {
            "schema_version": SCHEMA_VERSION,
            "identity": self._identity,
            "generation": generation,
            "state": state,
            "parts": parts,
        }
        text = _canonical(body)
        document = f'{{"sha256":"{_sha256(text.encode())}","body":{text}}}\n'
        write_files((self._folder / part["file"], encoded[part["table"]]) for part in new)
        write_file(self._folder / _STATE, document.encode())
        self._parts = parts
        named = {part["file"] for part in parts}
        remove_files(path for path in self._folder.glob("*.parquet") if path.name not in named)

    def load(self) -> tuple[int, dict[str, Any], dict[str, pl.DataFrame]] | None:
        """Return the last saved generation, its state, and all rows of its tables; None if nothing was saved.

        Raises
        ------
        InputError
            The checkpoint is of another search; the message names the first field that differs, and both values.
        IntegrityError
            A file is damaged or missing; the message names it.
        """
        path = self._folder / _STATE
        if not path.exists():
            return None
        body = _read_state(path)
        self._refuse_another(body["identity"])
        frames: dict[str, list[pl.DataFrame]] = {}
        for part in body["parts"]:
            frames.setdefault(part["table"], []).append(_read_part(self._folder / part["file"], part["sha256"]))
        self._parts = body["parts"]
        return body["generation"], body["state"], {name: pl.concat(rows) for name, rows in frames.items()}

    def remove(self) -> None:
        """Remove the checkpoint, whosever it is: after the search is finished, or to start it anew."""
        remove_files([self._folder / _STATE])  # first, so that what is left is never taken for a checkpoint
        remove_files(self._folder.glob("*.parquet"))
        if self._folder.exists() and not any(self._folder.iterdir()):
            self._folder.rmdir()
        self._parts = []

    def _refuse_another(self, stored: Mapping[str, str]) -> None:
        for field in sorted(self._identity.keys() | stored.keys()):
            theirs, ours = stored.get(field, "nothing"), self._identity.get(field, "nothing")
            if theirs != ours:
                raise InputError(
                    f"the checkpoint is of another search: its {field} is {theirs}, here it is {ours}",
                    where=str(self._folder),
                    remedy=f"resume with what it was made with, or {_START_ANEW}",
                )


def _encode(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _canonical(body: Mapping[str, Any]) -> str:
    # The standard library's JSON: a generator's state has integers of 128 bits.
    return json.dumps(body, separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False)


def _read_state(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
        body: dict[str, Any] = document["body"]
        intact = document["sha256"] == _sha256(_canonical(body).encode())
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"not a checkpoint: {error}", where=str(path), remedy=_START_ANEW) from error
    if not intact:
        raise IntegrityError("altered after it was written", where=str(path), remedy=_START_ANEW)
    if body["schema_version"] != SCHEMA_VERSION:
        raise IntegrityError(
            f"schema version is {body['schema_version']}, this program reads {SCHEMA_VERSION}",
            where=str(path),
            remedy=f"resume with the version that wrote it, or {_START_ANEW}",
        )
    return body


def _read_part(path: Path, sha256: str) -> pl.DataFrame:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise IntegrityError("a part of the checkpoint is missing", where=str(path), remedy=_START_ANEW) from None
    if _sha256(content) != sha256:
        raise IntegrityError(
            "a part of the checkpoint was altered after it was written", where=str(path), remedy=_START_ANEW
        )
    return pl.read_parquet(io.BytesIO(content))
