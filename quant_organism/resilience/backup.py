"""Backups of a folder that is in use: a true copy of one moment, a manifest with digests, and the way back.

A pass copies what has changed since the pass before, until one finds nothing changed: files are replaced whole and
databases are copied after their last transaction, so the copy is then the folder at the moment when that last pass
began, whoever writes in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from quant_organism.errors import BusyError, InputError, IntegrityError, StorageError
from quant_organism.resilience.databases import copy_database, is_database
from quant_organism.resilience.files import PASSING, flush_folders, storage_error

MANIFEST: Final = "manifest.json"
MANIFEST_VERSION: Final = 1

_FILES: Final = "files"
_STAGED: Final = ".restoring"
_PASSES: Final = 20
_PAUSE_S: Final = 0.05
"""Before the second pass; before each further one so much longer: what is written in bursts rests in between."""
_BLOCK: Final = 1 << 20
_BESIDE_A_DATABASE: Final = ("-wal", "-shm", "-journal")
_SHOWN: Final = 3
_ANOTHER: Final = "take another backup; this one is not to be relied on"

_Signature: TypeAlias = tuple[int, ...]
_Said: TypeAlias = Callable[[str, int, int, str], object]


@dataclass(frozen=True)
class BackedUpFile:
    """A file of a backup: its path within the folder, its size in bytes and its SHA-256 in hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Backup:
    """A whole backup.

    Attributes
    ----------
    folder
        Where it lies: the manifest, and `files/` beside it.
    made_at
        The moment that it shows, UTC in ISO 8601.
    program
        What made it, with its version.
    files
        Everything in it, by path.
    """

    folder: Path
    made_at: str
    program: str
    files: tuple[BackedUpFile, ...]

    @property
    def n_bytes(self) -> int:
        """Return how large it is."""
        return sum(file.bytes for file in self.files)

    @property
    def content(self) -> Path:
        """Return the folder that holds what the folder held."""
        return self.folder / _FILES

    @classmethod
    def read(cls, folder: Path) -> Backup:
        """Read the manifest of a backup.

        Raises
        ------
        InputError
            There is no backup in the folder.
        IntegrityError
            The manifest is damaged, or a newer version of the program wrote it.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise InputError("there is no backup", where=str(folder), remedy=f"name a folder that has a {MANIFEST}")
        try:
            document = orjson.loads(path.read_bytes())
            checksum, version, program = document.pop("checksum"), int(document["version"]), str(document["program"])
            if version > MANIFEST_VERSION:
                raise IntegrityError(
                    f"it was made by a newer version, {program} (manifest {version}, this one reads up to "
                    f"{MANIFEST_VERSION}); nothing was touched",
                    where=str(path),
                    remedy="restore it with that version, or a newer one",
                )
            if checksum != _checksum(document):
                raise ValueError("its checksum does not fit")
            files = tuple(BackedUpFile(**file) for file in document["files"])
            made_at = str(document["made_at"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(f"the manifest is damaged: {error}", where=str(path), remedy=_ANOTHER) from error
        if any(_leaves(file.path) for file in files):
            raise IntegrityError("the manifest names a file outside of it", where=str(path), remedy=_ANOTHER)
        return cls(folder, made_at, program, files)

    def verify(self, progress: _Said) -> None:
        """Compare every file with its digest.

        Raises
        ------
        IntegrityError
            Some are missing or changed; the first ones are named.
        """
        wrong = []
        for done, file in enumerate(self.files):
            progress("Verify", done, len(self.files), "")
            path = self.content / file.path
            if not path.is_file():
                wrong.append(f"{file.path} is missing")
            elif _digest(path) != file.sha256:
                wrong.append(f"{file.path} is not what was written")
        progress("Verify", len(self.files), len(self.files), "")
        if wrong:
            more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise IntegrityError(
                f"the backup is damaged, and nothing was touched: {'; '.join(wrong[:_SHOWN])}{more}",
                where=str(self.folder),
                remedy="restore another backup",
            )


def back_up(
    folder: Path,
    target: Path,
    *,
    program: str,
    leave_out: Collection[str] = (),
    at_any_moment: Collection[str] = (),
    progress: _Said = lambda what, done, total, note: None,
    sleep: Callable[[float], object] = time.sleep,
) -> Backup:
    """Copy a folder that others may be writing in; return the backup, which is whole or not there.

    Parameters
    ----------
    folder
        What is copied; links in it are followed. Locks and files that are being written are no part of it.
    target
        Where the backup shall lie; not there yet, or empty.
    program
        Who makes it, for the manifest.
    leave_out, at_any_moment
        Names in the folder that are not copied, and names that are copied first and need not show the same moment as
        the rest, since they are written all the time.
    progress, sleep
        Told how far it is; waits between passes.

    Raises
    ------
    InputError
        There is no such folder, the target lies in it, or holds something already.
    IntegrityError
        A database is damaged; there is no backup then.
    BusyError
        It is written so often that no moment could be caught.
    StorageError
        The disk is full, or the target cannot be written.
    """
    if not folder.is_dir():
        raise InputError("there is no such folder to back up", where=str(folder), remedy="name it with --data-dir")
    if target.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            "the backup would lie in the folder that it is of", where=str(target), remedy="choose a place outside of it"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            "there is something already, and no backup is written over it",
            where=str(target),
            remedy="choose a folder that is not there yet",
        )
    try:
        with _partial(target) as partial:
            copier = _Copier(folder, partial / _FILES, progress)
            made_at = copier.run(at_any_moment, leave_out, sleep)
            made = _write_manifest(partial, program, made_at, copier.files.values())
            os.sync()
            partial.rename(target)
            flush_folders([target.parent])
    except OSError as error:
        raise storage_error(error, Path(error.filename or target)) from error
    return replace(made, folder=target)


def restore(path: Path, folder: Path, *, progress: _Said = lambda what, done, total, note: None) -> Backup:
    """Bring a backup back into a folder, once every file of it is as its manifest says; return it.

    All is copied beside its place first and moved there at the end. What is in the folder already and the same as in
    the backup stays, so that a restore that was interrupted goes on when it is begun again.

    Parameters
    ----------
    path
        The backup.
    folder
        Where what was in it shall lie; made if it is not there. The caller keeps others out of it.
    progress
        Told how far it is.

    Raises
    ------
    InputError
        There is no backup, or the folder holds something that would be lost or mixed with it; nothing is overwritten.
    IntegrityError
        The backup is damaged, or of a newer version; the folder is untouched.
    StorageError
        The disk is full, or the folder cannot be written.
    """
    backup = Backup.read(path)
    backup.verify(progress)
    _refuse_others(backup, folder)
    staged = folder / _STAGED
    try:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        _refuse_without_room(backup.n_bytes, folder)
        for done, file in enumerate(backup.files):
            progress("Restore", done, len(backup.files), "")
            if _copied_as_it_is(backup.content / file.path, staged / file.path, file.path) != file:
                raise IntegrityError(
                    f"{file.path} was changed while it was read", where=str(path), remedy="restore another backup"
                )
        os.sync()
        _move_into(staged, folder)
        os.sync()
    except OSError as error:
        raise storage_error(error, Path(error.filename or folder)) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    progress("Restore", len(backup.files), len(backup.files), "")
    return backup


class _Copier:
    """Copies a folder pass by pass; `files` is what was copied, by path."""

    def __init__(self, folder: Path, target: Path, progress: _Said) -> None:
        self._folder, self._target, self._progress = folder, target, progress
        self.files: dict[str, BackedUpFile] = {}

    def run(self, loose: Collection[str], leave_out: Collection[str], sleep: Callable[[float], object]) -> datetime:
        """Copy what is loose once, and the rest until nothing changes any more; return the moment that this shows."""
        once = {name for name in loose if name not in leave_out}
        self._copy(_scan(self._folder, only=once), {})
        copied: dict[str, _Signature] = {}
        for number in range(_PASSES):
            sleep(number * _PAUSE_S)
            begun, seen = datetime.now(UTC), _scan(self._folder, without={*leave_out, *once})
            if seen == copied:
                return begun
            for gone in copied.keys() - seen.keys():
                (self._target / gone).unlink(missing_ok=True)
                self.files.pop(gone, None)
            self._copy(seen, copied)
            copied = seen
        raise BusyError(
            f"the folder was written in each of {_PASSES} passes, so that no moment of it could be caught",
            where=str(self._folder),
            remedy="try again, or once the run that is under way has ended",
        )

    def _copy(self, seen: Mapping[str, _Signature], copied: Mapping[str, _Signature]) -> None:
        changed = [path for path in sorted(seen) if copied.get(path) != seen[path]]
        _refuse_without_room(sum(seen[path][1] for path in changed), self._target)
        for done, path in enumerate(changed):
            self._progress("Backup", done, len(changed), "")
            try:
                self.files[path] = _copied(self._folder / path, self._target / path, path)
            except FileNotFoundError:  # removed since the folder was looked at: the next pass knows
                self.files.pop(path, None)
        if changed:
            self._progress("Backup", len(changed), len(changed), "")


def _scan(folder: Path, *, only: Collection[str] | None = None, without: Collection[str] = ()) -> dict[str, _Signature]:
    """Return every file of a folder with what changes when it does: inode, size, time; a database's with its journal's.

    Names of the folder itself may be chosen or left out.
    """
    found: dict[str, _Signature] = {}
    been: set[Path] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        here = Path(place)
        if here.resolve() in been:  # a link leads round
            folders.clear()
            continue
        been.add(here.resolve())
        if here == folder:
            chosen = {name for name in (*folders, *names) if only is None or name in only} - {*without, _STAGED}
            folders[:], names = [name for name in folders if name in chosen], [name for name in names if name in chosen]
        together = set(names)
        for name in names:
            beside = next((end for end in _BESIDE_A_DATABASE if name.endswith(end)), None)
            if PASSING.fullmatch(name) or (beside is not None and name.removesuffix(beside) in together):
                continue
            with contextlib.suppress(FileNotFoundError):
                signature = _signature(here / name)
                for end in _BESIDE_A_DATABASE:
                    if f"{name}{end}" in together:
                        with contextlib.suppress(FileNotFoundError):
                            journal = _signature(here / f"{name}{end}")
                            signature += journal if journal[1] else ()
                found[str((here / name).relative_to(folder))] = signature
    return found


def _signature(path: Path) -> _Signature:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(path)  # a socket or a pipe holds nothing
    return status.st_ino, status.st_size, status.st_mtime_ns


def _copied(source: Path, target: Path, name: str) -> BackedUpFile:
    """Copy a file that may be in use, a database by its own means, and return what was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not is_database(source):
        return _copied_as_it_is(source, target, name)
    copy_database(source, target)
    return BackedUpFile(name, target.stat().st_size, _digest(target))


def _copied_as_it_is(source: Path, target: Path, name: str) -> BackedUpFile:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            writing.write(block)
            digest.update(block)
            size += len(block)
    shutil.copystat(source, target)
    return BackedUpFile(name, size, digest.hexdigest())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_manifest(folder: Path, program: str, made_at: datetime, files: Iterable[BackedUpFile]) -> Backup:
    listed = tuple(sorted(files, key=lambda file: file.path))
    made = made_at.isoformat(timespec="seconds")
    document: dict[str, Any] = {"version": MANIFEST_VERSION, "program": program, "made_at": made}
    document["files"] = [asdict(file) for file in listed]
    document["checksum"] = _checksum(document)
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    (folder / MANIFEST).write_bytes(orjson.dumps(document, option=options))
    return Backup(folder, made, program, listed)


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _leaves(path: str) -> bool:
    """Tell whether a path of a manifest would lead out of the folder that it is meant in."""
    parts = Path(path).parts
    return not parts or Path(path).is_absolute() or ".." in parts


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Give a folder beside the target to fill; what killed ones have left beside it is removed, and this on an error.

    Whoever fills one holds a lock on it.
    """
    beginning = f".{target.name}.partial-"
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{glob.escape(beginning)}*"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError), _locked(left):
            shutil.rmtree(left)
    partial = Path(tempfile.mkdtemp(prefix=beginning, dir=target.parent))
    try:
        with _locked(partial):
            yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _refuse_others(backup: Backup, folder: Path) -> None:
    """Refuse a folder with files that are not those of the backup, where the backup has a file or a folder."""
    if folder.exists() and not folder.is_dir():
        raise InputError("it is no folder", where=str(folder), remedy="choose another one with --data-dir")
    stored = {file.path: file for file in backup.files}
    taken = {Path(path).parts[0] for path in stored}
    others = []
    for path, signature in sorted(_scan(folder, only=taken).items()):
        file = stored.get(path)
        alone = len(signature) == len(_signature(folder / path))  # a journal beside it has what it has not
        if file is None or not alone or signature[1] != file.bytes or _digest(folder / path) != file.sha256:
            others.append(path)
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        raise InputError(
            f"the folder holds files that are not those of the backup: {', '.join(others[:_SHOWN])}{more}; "
            "nothing was touched",
            where=str(folder),
            remedy="choose an empty folder with --data-dir, or move this one away first",
        )


def _refuse_without_room(n_bytes: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise StorageError(
            f"{n_bytes / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free",
            where=str(folder),
            remedy="free some space, or choose another place",
        )


def _move_into(staged: Path, folder: Path) -> None:
    """Move everything of one folder to its place in another; what is there already is the same."""
    for entry in sorted(staged.iterdir()):
        place = folder / entry.name
        if not place.exists():
            entry.rename(place)
        elif entry.is_dir():
            _move_into(entry, place)
        else:
            entry.unlink()


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a folder that was removed meanwhile holds nothing
        raise error
