"""The folder of strategy documents: one JSON file each, safe against crashes and against other writers."""

import contextlib
import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.inventory import FolderCheck, Loaded, Problem, Summary
from quant_organism.deployment.lifecycle import MONEY
from quant_organism.deployment.moves import Actor, EvidenceRecord, approval
from quant_organism.deployment.records import Performance
from quant_organism.deployment.stages import Stage, timestamp
from quant_organism.errors import BusyError, InputError, IntegrityError, QuantOrganismError
from quant_organism.resilience import (
    abandoned_files,
    flush_folders,
    remove_files,
    replace_files,
    storage_error,
    write_file,
)

if TYPE_CHECKING:
    from quant_organism.deployment.signatures import DocumentSigner

LEAST_FREE_BYTES: Final = 100_000_000

_SOURCE = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[a-z0-9_]{1,80}_\d{1,9}_[0-9a-f]{8}")


class StrategyRepository:
    """Strategy documents under a folder.

    Any number of processes may read while one writes; writers wait for one another. A document is in `active/` until
    it is retired, then in `archive/`; should a crash leave it in both, the archived one counts and the next writer
    clears the other away. A file that cannot be read is reported and never touched. Code that was made elsewhere is
    kept in `sources/`, each file under the SHA-256 of its content.

    Parameters
    ----------
    root
        Folder of the documents; made by the first write.
    patience_s
        How long a writer waits for another one.
    now
        The clock that no move lies beyond, and by which strategies stay where orders are sent.
    signer
        Signs each document that is new, and each change of one that it stood for before. What was not signed, or was
        changed by somebody else since, stays without a signature that holds: a person has to look at it. None: signs
        nothing.
    """

    def __init__(
        self,
        root: Path,
        *,
        patience_s: float = 30.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        signer: "DocumentSigner | None" = None,
    ) -> None:
        self.root = root
        self._active = root / "active"
        self._archive = root / "archive"
        self._signatures = root / "signatures"
        self._patience_s = patience_s
        self._now = now
        self._signer = signer
        self._lock = FileLock(root / ".lock", timeout=patience_s)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other writers out, so that what is read inside is still true when it is written back. May be nested.

        Raises
        ------
        BusyError
            Another process kept writing for longer than the patience.
        StorageError
            The folder cannot be written.
        """
        try:
            if not (self._active.is_dir() and self._archive.is_dir()):
                self._active.mkdir(parents=True, exist_ok=True)
                self._archive.mkdir(exist_ok=True)
                flush_folders([self.root.parent, self.root])
            outermost = not self._lock.is_locked
            self._lock.acquire()
        except Timeout:
            raise BusyError(
                f"another process has been writing strategies for {self._patience_s:g} s",
                where=str(self.root),
                remedy="wait for it to end, then run this again",
            ) from None
        except OSError as error:
            raise storage_error(error, self.root) from error
        try:
            if outermost:
                self._repair()
            yield
        finally:
            self._lock.release()

    def keep_source(self, content: bytes) -> str:
        """Keep a file of code under the SHA-256 of its content, and return that.

        Raises
        ------
        IntegrityError
            Another content lies under that name; it is never overwritten.
        StorageError
            The folder cannot be written.
        """
        name = hashlib.sha256(content).hexdigest()
        with self.writing():
            if self.source_path(name).exists():
                self.read_source(name)
            else:
                write_file(self.source_path(name), content)
        return name

    def source_path(self, name: str) -> Path:
        """Return where the code of a SHA-256 is kept."""
        if not _SOURCE.fullmatch(name):
            raise InputError(f"{name!r} is no SHA-256 in hex", remedy="take it from the document")
        return self.root / "sources" / f"{name}.py"

    def read_source(self, name: str) -> bytes:
        """Return the code of a SHA-256.

        Raises
        ------
        IntegrityError
            It is not there, or its content is not what was kept.
        """
        path = self.source_path(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise IntegrityError(
                f"the source that was judged cannot be read: {error.strerror}",
                where=str(path),
                remedy="bring it back from a copy: its SHA-256 is its name",
            ) from None
        if (actual := hashlib.sha256(content).hexdigest()) != name:
            raise IntegrityError(
                f"the source was changed after it was judged: its SHA-256 is {actual[:16]}…, judged was {name[:16]}…",
                where=str(path),
                remedy="bring it back from a copy, or have the changed one judged: it is another strategy",
            )
        return content

    def save(self, document: StrategyConfig) -> Path:
        """Write one document; see `save_many`."""
        return self.save_many([document])[0]

    def save_many(self, documents: Iterable[StrategyConfig]) -> list[Path]:
        """Write documents, new or in place of those of the same id: all of them, or none if the disk refuses.

        Returns
        -------
        list of Path
            Their files.

        Raises
        ------
        InputError
            A document is retired, or one of its id is: the dead do not come back under the same id.
        IntegrityError
            An unreadable file is in the way; it is never overwritten.
        StorageError
            The folder cannot be written, or the disk is full.
        """
        with self.writing():
            contents: dict[Path, bytes] = {}
            for document in documents:
                path = self._path(self._active, document.id)
                self._refuse_retired(document)
                contents |= self._files(path, document, _read(path) if path.exists() else None)
            replace_files(contents)
            return [path for path in contents if path.parent == self._active]

    @property
    def ids(self) -> list[str]:
        """Identities of the documents that are not archived, by the names of their files: none of them is read."""
        return sorted(path.stem for path in self._active.glob("*.json"))

    def load(self, id: str) -> StrategyConfig:
        """Read one document, active or archived.

        Raises
        ------
        InputError
            There is none of that id.
        IntegrityError
            Its file is not what was written.
        """
        # The archive once more at the end: a document may be retired while this looks for it.
        for folder in (self._archive, self._active, self._archive):
            with contextlib.suppress(FileNotFoundError):
                return _read(self._path(folder, id))
        raise InputError(
            f"there is no strategy {id}", where=str(self.root), remedy="see them with: quant-organism strategies list"
        )

    def load_all(
        self,
        *,
        stage: Stage | None = None,
        min_fitness: float | None = None,
        active_since: str | None = None,
        limit: int | None = None,
        archived: bool = False,
    ) -> Loaded:
        """Read documents, best fitness first, ties by id.

        Parameters
        ----------
        stage
            Only those in this stage; `retired` reads the archive.
        min_fitness
            Only those with at least this fitness.
        active_since
            Only those with a move or performance record at or after this moment.
        limit
            At most so many, the best.
        archived
            Read the archive too.

        Returns
        -------
        Loaded
            With every unreadable file among its problems, whatever the filters.
        """
        documents, problems = self._read_all(archived=archived or stage == "retired")
        since = timestamp(active_since) if active_since is not None else ""
        chosen = [
            document
            for document in documents
            if (stage is None or document.stage == stage)
            and (min_fitness is None or document.fitness >= min_fitness)
            and document.last_active >= since
        ]
        chosen.sort(key=lambda document: (-document.fitness, document.id))
        return Loaded(tuple(chosen[:limit]), tuple(problems))

    def update_performance(self, id: str, record: Performance) -> StrategyConfig:
        """Add a performance record to an active document and return it; the same moment again replaces its record.

        Raises
        ------
        InputError
            There is no active strategy of that id, or the record is older than its newest one.
        """
        with self.writing():
            document = self._load_active(id).observed(record)
            replace_files({self._path(self._active, id): document.to_json()})
            return document

    def move(
        self,
        id: str,
        to: Stage,
        *,
        reason: str,
        records: Sequence[EvidenceRecord],
        at: str | None = None,
        by: Actor = "machine",
    ) -> StrategyConfig:
        """Move an active document to another stage and return it; to retire it is to archive it.

        Parameters
        ----------
        id, to, reason, records, by
            The move.
        at
            When, at most the repository's own time, which is the default. A move to a stage where orders are sent takes
            place at the repository's time and no other.

        Raises
        ------
        InputError
            There is no active strategy of that id, the table of moves does not have this one, or the records do not
            open it.
        """
        now = timestamp(self._now())
        moment = now if at is None or to in MONEY else timestamp(at)
        if moment > now:
            raise InputError(
                f"the move to {to} at {moment} lies in the future", where=id, remedy="a move is written when it happens"
            )
        with self.writing():
            before = self._load_active(id)
            document = before.moved(to, at=moment, reason=reason, records=records, by=by)
            if document.stage == "retired":
                archived, active = self._path(self._archive, id), self._path(self._active, id)
                replace_files(self._files(archived, document, before))
                remove_files([active])
            else:
                replace_files(self._files(self._path(self._active, id), document, before))
            return document

    def archive(self, id: str, reason: str, *, at: str | None = None) -> StrategyConfig:
        """Retire a strategy because a person says so: its last move is written and its document goes to `archive/`.

        Raises
        ------
        InputError
            There is no active strategy of that id, or the reason is missing.
        """
        return self.move(id, "retired", at=at, reason=reason, records=[approval(reason)], by="person")

    def discard(self, ids: Iterable[str]) -> None:
        """Remove documents of strategies that were never watched: what a repeated cycle no longer finds.

        Raises
        ------
        InputError
            A document has performance records or has moved beyond shadow trading: archive it instead.
        """
        with self.writing():
            documents = [self._load_active(id) for id in ids]
            for document in documents:
                if document.performance or document.stage not in ("born", "shadow"):
                    raise InputError(
                        f"a strategy in stage {document.stage} with {len(document.performance)} performance records "
                        "is not discarded",
                        where=document.id,
                        remedy="archive it with a reason",
                    )
            remove_files(
                path
                for document in documents
                for path in (self._path(self._active, document.id), self._signatures / f"{document.id}.sig")
            )

    def summary(self) -> Summary:
        """Count documents by stage and family, and describe their fitness."""
        return Summary.of(self.load_all(archived=True))

    def check(self) -> FolderCheck:
        """Try the folder: writable, 100 MB free, every file readable. No document is changed."""
        documents, problems = self._read_all(archived=True)
        for name in sorted({each.external.source for each in documents if each.external and each.stage != "retired"}):
            try:
                self.read_source(name)
            except IntegrityError as error:
                problems.append(Problem(self.source_path(name), error.what, error.remedy or ""))
        writable = True
        try:
            with self.writing():
                replace_files({self.root / ".writable": b""})
                remove_files([self.root / ".writable"])
        except QuantOrganismError as error:
            writable = False
            problems.append(Problem(self.root, error.what, error.remedy or ""))
        free = shutil.disk_usage(_existing(self.root)).free
        if free < LEAST_FREE_BYTES:
            what = f"{free / 1e6:.0f} MB are free on its disk, at least {LEAST_FREE_BYTES / 1e6:.0f} MB are needed"
            problems.append(Problem(self.root, what, "free some space, or choose another folder"))
        return FolderCheck(writable, free, len(documents), tuple(problems))

    def _files(self, path: Path, document: StrategyConfig, before: StrategyConfig | None) -> dict[Path, bytes]:
        """Return what is written with a document that takes the place of another one: itself, and its signature."""
        files = {path: document.to_json()}
        if self._signer is not None and (before is None or self._signer.stands_for(before)):
            self._signatures.mkdir(exist_ok=True)
            signed, signature = self._signer.signature(document)
            files[signed] = signature
        return files

    def _path(self, folder: Path, id: str) -> Path:
        if not _ID.fullmatch(id):
            raise InputError(
                f"{id!r} is not a strategy's id", remedy="an id looks like rsi_filter_3_0f1e2d3c; list them all first"
            )
        return folder / f"{id}.json"

    def _read_all(self, *, archived: bool) -> tuple[list[StrategyConfig], list[Problem]]:
        """Read all documents; of an active and an archived one of the same id, only the archived counts."""
        active = {path.name for path in self._active.glob("[!.]*.json")}
        retired = {path.name: path for path in self._archive.glob("[!.]*.json")}
        documents, problems = [], []
        for name in sorted(active | retired.keys() if archived else active - retired.keys()):
            path = retired.get(name, self._active / name)
            try:
                documents.append(_read(path))
            except FileNotFoundError:  # retired or discarded since the folder was listed
                continue
            except QuantOrganismError as error:
                problems.append(Problem(path, error.what, error.remedy or ""))
        return documents, problems

    def _load_active(self, id: str) -> StrategyConfig:
        document = self.load(id)
        if document.stage == "retired":
            last = document.history[-1]
            raise InputError(
                f"it was retired at {last.at}: {last.reason}", where=id, remedy="choose an active strategy"
            )
        return document

    def _refuse_retired(self, document: StrategyConfig) -> None:
        if document.stage == "retired":
            raise InputError("it is retired", where=document.id, remedy="a document is archived by its repository")
        archived = self._path(self._archive, document.id)
        if archived.exists():
            raise InputError(
                "a strategy of this id was retired, and the dead do not come back",
                where=str(archived),
                remedy=f"read why with: quant-organism strategies show {document.id}",
            )

    def _repair(self) -> None:
        """Clear away what a killed writer left: temporary files, and active copies of documents already archived."""
        folders = (self._active, self._archive, self._signatures)
        leftovers = [file for folder in folders for file in abandoned_files(folder)]
        for archived in self._archive.glob("[!.]*.json"):
            active = self._active / archived.name
            if active.exists() and _is_readable(archived):
                leftovers.append(active)
        remove_files(leftovers)


def _read(path: Path) -> StrategyConfig:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error(error, path) from error
    document = StrategyConfig.from_json(data, where=str(path))
    if path.stem != document.id:
        raise IntegrityError(
            f"the file holds strategy {document.id}", where=str(path), remedy=f"name it {document.id}.json again"
        )
    return document


def _is_readable(path: Path) -> bool:
    try:
        _read(path)
    except QuantOrganismError:
        return False
    return True


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
