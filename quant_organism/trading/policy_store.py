"""Policies in files: one for each version, never changed, each naming the digest of the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson
from pydantic import ValidationError

from quant_organism.errors import InputError, IntegrityError
from quant_organism.resilience import alone_in, write_file
from quant_organism.trading.policy import Policy, PolicyVersion, changes_between

_REMEDY: Final = "restore the file from a copy; until then nothing is entered"


def policy_folder(data_dir: Path) -> Path:
    """Return where the policies of a data folder lie."""
    return data_dir / "trader" / "policies"


class FilePolicyStore:
    """A `PolicyStore` in a folder: `000001.json` and so on.

    Parameters
    ----------
    folder
        Made with the first policy.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> PolicyVersion | None:
        """Return the one in force, or none where none was ever put.

        Raises
        ------
        IntegrityError
            Its file is damaged.
        """
        files = self._files()
        return self._read(files[-1]) if files else None

    def history(self) -> Sequence[PolicyVersion]:
        """Return all of them, the first one first.

        Raises
        ------
        IntegrityError
            A file is damaged, missing, or not the one that the next was written after.
        """
        versions: list[PolicyVersion] = []
        digest = ""
        for number, file in enumerate(self._files(), start=1):
            version = self._read(file)
            if version.number != number or version.before != digest:
                raise IntegrityError("it does not follow the version before it", where=str(file), remedy=_REMEDY)
            versions.append(version)
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return versions

    def put(self, policy: Policy, *, author: str, reason: str, at_ms: int, after: int | None = None) -> PolicyVersion:
        """Put another in force; one that changes nothing is no new version, and the one in force is returned.

        Raises
        ------
        InputError
            Another version has come since the one that the author has seen, or nobody is named.
        BusyError, StorageError
            Another process is at it, or the folder cannot be written.
        """
        if not author.strip():
            raise InputError("nobody is named", where="policy", remedy="say who wants it")
        with alone_in(self.folder, "changing the policy"):
            last = self.current()
            seen = 0 if last is None else last.number
            if after is not None and after != seen:
                raise InputError(
                    f"version {seen} is in force, and version {after} was looked at",
                    where=str(self.folder),
                    remedy="look at what has changed, then say it again",
                )
            changes = changes_between(Policy() if last is None else last.policy, policy)
            if last is not None and not changes:
                return last
            version = PolicyVersion(
                number=seen + 1,
                at_ms=at_ms,
                author=author.strip(),
                reason=reason,
                changes=changes,
                before=hashlib.sha256(self._file(seen).read_bytes()).hexdigest() if seen else "",
                policy=policy,
            )
            write_file(self._file(version.number), version.model_dump_json(indent=2).encode() + b"\n")
        return version

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]" * 6 + ".json"))

    def _read(self, file: Path) -> PolicyVersion:
        try:
            version = PolicyVersion.model_validate_json(file.read_bytes())
        except (OSError, ValidationError, orjson.JSONDecodeError) as error:
            raise IntegrityError(f"not a policy's version: {error}", where=str(file), remedy=_REMEDY) from None
        if self._file(version.number) != file:
            raise IntegrityError(f"it says that it is version {version.number}", where=str(file), remedy=_REMEDY)
        return version
