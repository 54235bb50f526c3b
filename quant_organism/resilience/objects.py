"""Files on an object store that speaks S3, by the part of `pathlib.Path` that readers of the lake use.

A store has no renames, no locks and no folders. What a folder gives by these, it gives by two conditions of a write: an
object is made only where there is none (`If-None-Match: *`), or put in the place of the very one that was read
(`If-Match`). Each object is written and read in one request, so that whoever reads has it old or new.
"""

from __future__ import annotations

import fnmatch
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import urlsplit

import orjson

from quant_organism.errors import InputError, IntegrityError, StorageError

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

KEY_VARIABLES: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""Names of the two parts of a key to a store; no file, log or error has what they stand for."""

_TOKEN_VARIABLE: Final = "AWS_SESSION_TOKEN"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NAME: Final = re.compile(r"[A-Za-z0-9_=.-]+")
_REGION: Final = re.compile(r"[a-z0-9-]{1,32}")
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
_REFUSED: Final = ("401", "403")
_TRIES: Final = 12
_PAUSE_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 1.0
_AT_ONCE: Final = 16
_MANY: Final = 1000


class Secret(Protocol):
    """A text that does not show itself, such as `pydantic.SecretStr`."""

    def get_secret_value(self) -> str:
        """Return the text."""


@dataclass
class _Keyring:
    """Who is asked for keys in this process: whoever started it says so once, and no store is reached before."""

    find: Callable[[str], Secret | None] = lambda name: None


_KEYRING: Final = _Keyring()


def take_keys_from(find: Callable[[str], Secret | None]) -> None:
    """Have the keys to object stores come from somebody, in all of this process and from now on.

    Parameters
    ----------
    find
        Returns what stands under the name of `KEY_VARIABLES`, or of a session's token; None where nothing does. The
        command line and Dagster's processes take `settings.credential`.
    """
    _KEYRING.find = find


class StoragePath(Protocol):
    """A file or folder of the lake, on a disk or on an object store: what both can do."""

    @property
    def name(self) -> str:
        """The last part."""

    @property
    def stem(self) -> str:
        """The last part without its suffix."""

    @property
    def suffix(self) -> str:
        """The last part's suffix, with its dot."""

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts, from the root on."""

    @property
    def parent(self) -> Self:
        """The folder that it is in."""

    def __truediv__(self, name: str, /) -> Self:
        """Return what is called so in this folder; parts of a longer name are separated by slashes."""

    def __lt__(self, other: Any, /) -> bool:
        """Say whether it comes before another one, part by part."""

    def exists(self) -> bool:
        """Say whether there is such a file or folder."""

    def glob(self, pattern: str, /) -> Iterator[Self]:
        """Return what of this folder fits a pattern, in no order."""

    def rglob(self, pattern: str, /) -> Iterator[Self]:
        """Return what at any depth of this folder has a name that fits a pattern, in no order."""

    def read_bytes(self) -> bytes:
        """Return what is in the file."""

    def absolute(self) -> Self:
        """Return the same from the root on."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""

    def as_posix(self) -> str:
        """Return it as text."""


@dataclass(frozen=True)
class ObjectStore:
    """A bucket, and how to reach it.

    Attributes
    ----------
    bucket
        Its name.
    endpoint
        Address of the server; without TLS on this machine only.
    region
        What requests are signed for.
    """

    bucket: str
    endpoint: str
    region: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        good = parts.scheme in ("http", "https") and parts.hostname and not parts.path.strip("/") and not parts.query
        if not good or "@" in self.endpoint:
            raise InputError(
                "not the address of a server",
                where=f"endpoint {_shown(self.endpoint)}",
                remedy="write https://HOST:PORT",
            )
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise InputError(
                "without TLS anyone on the way could read and alter the lake",
                where=f"endpoint {self.endpoint}",
                remedy="use https://; http:// is for servers on this machine",
            )
        if not _BUCKET.fullmatch(self.bucket):
            raise InputError(f"{self.bucket!r} is no name of a bucket", remedy="write s3://BUCKET/PREFIX")
        if not _REGION.fullmatch(self.region):
            raise InputError(f"{self.region!r} is no name of a region", remedy="write it as us-east-1")

    def client(self) -> S3Store:
        """Return what talks to the server, one for each process.

        Raises
        ------
        InputError
            The package is not installed, or nobody has a key.
        """
        return _client(self, _key_to(self))

    def explained(self, error: Exception, where: str) -> StorageError:
        """Say in words why the server did not do something."""
        # Its own text ends in a dump of the request: only the server's status and code are taken from it.
        code = re.search(r"<Code>(\w{1,64})</Code>", str(error))
        status = re.search(r"status code: (\d{3} [A-Za-z ]{1,40})", str(error))
        if status and status[1].startswith(_REFUSED):
            return StorageError(
                f"the object store at {self.endpoint} refuses the key",
                where=where,
                remedy=f"set {' and '.join(KEY_VARIABLES)} to a key that may read, write and list this bucket",
            )
        if code and code[1] == "NoSuchBucket":
            return StorageError(
                f"the object store at {self.endpoint} has no bucket {self.bucket}", where=where, remedy="make it there"
            )
        if code or status:
            what = " ".join(match[1].strip() for match in (status, code) if match)
            return StorageError(
                f"the object store at {self.endpoint} answers: {what}; what was there before is unchanged",
                where=where,
                remedy="see to the server, then run the same again",
            )
        return StorageError(
            f"the object store at {self.endpoint} does not answer; what was there before is unchanged",
            where=where,
            remedy="start it, or see to the network, then run the same again",
        )


@dataclass(frozen=True)
class _Key:
    """A key to a store; printing it shows nothing."""

    id: str = field(repr=False)
    secret: str = field(repr=False)
    token: str = field(repr=False)


def _key_to(store: ObjectStore) -> _Key:
    found = {name: _KEYRING.find(name) for name in (*KEY_VARIABLES, _TOKEN_VARIABLE)}
    texts = {name: "" if secret is None else secret.get_secret_value() for name, secret in found.items()}
    if missing := [name for name in KEY_VARIABLES if not texts[name]]:
        raise InputError(
            f"the lake is on an object store, and the environment holds no key to it: {', '.join(missing)}",
            where=store.endpoint,
            remedy=f"set {' and '.join(KEY_VARIABLES)}",
        )
    return _Key(*texts.values())


@lru_cache(maxsize=8)
def _client(store: ObjectStore, key: _Key) -> S3Store:
    if find_spec("obstore") is None:
        raise InputError("the package obstore is not installed", remedy="pip install 'quant-organism[s3]'")
    from obstore.store import S3Store

    config: S3Config = {
        "endpoint": store.endpoint,
        "region": store.region,
        "access_key_id": key.id,
        "secret_access_key": key.secret,
        "virtual_hosted_style_request": False,
    }
    if key.token:
        config["session_token"] = key.token
    return S3Store(
        store.bucket,
        config=config,
        client_options={
            "allow_http": store.endpoint.startswith("http://"),
            "connect_timeout": "5s",
            "timeout": "60s",
        },
        retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=20)},
    )


@dataclass(frozen=True, order=True)
class ObjectPath:
    """A file or folder on an object store; see `StoragePath`. A folder is there as long as a file is in it.

    Attributes
    ----------
    store
        The bucket.
    keys
        The parts of its key.
    """

    keys: tuple[str, ...]
    store: ObjectStore

    def __post_init__(self) -> None:
        if strange := [key for key in self.keys if not _NAME.fullmatch(key) or key in (".", "..")]:
            raise InputError(
                f"{strange[0]!r} cannot be part of a name on an object store", remedy="use letters, digits and _ = . -"
            )

    def __str__(self) -> str:
        return "/".join((f"s3://{self.store.bucket}", *self.keys))

    def __truediv__(self, name: str) -> Self:
        return type(self)((*self.keys, *name.split("/")), self.store)

    @property
    def key(self) -> str:
        """What the store calls it."""
        return "/".join(self.keys)

    @property
    def name(self) -> str:
        """The last part; empty for the bucket itself."""
        return self.keys[-1] if self.keys else ""

    @property
    def suffix(self) -> str:
        """The last part's suffix, with its dot."""
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return Path(self.name).stem

    @property
    def parts(self) -> tuple[str, ...]:
        """Bucket, then the parts of the key."""
        return (f"s3://{self.store.bucket}", *self.keys)

    @property
    def parent(self) -> Self:
        """The folder that it is in."""
        return type(self)(self.keys[:-1], self.store)

    def as_posix(self) -> str:
        """Return it as text."""
        return str(self)

    def absolute(self) -> Self:
        """Return itself."""
        return self

    def exists(self) -> bool:
        """Say whether there is such a file, or a folder with a file in it."""
        return self.version() is not None or next(self._listed(most=1), None) is not None

    def glob(self, pattern: str) -> Iterator[Self]:
        """Return what of this folder fits a pattern such as `market=*/date=*/part.parquet`, files and folders."""
        segments = [segment for segment in pattern.split("/") if segment]
        fixed = 0
        while fixed < len(segments) - 1 and not _is_pattern(segments[fixed]):
            fixed += 1
        folder = type(self)((*self.keys, *segments[:fixed]), self.store)
        segments = segments[fixed:]
        found: dict[tuple[str, ...], None] = {}
        if "=" in segments[-1] or pattern.endswith("/"):  # levels of the lake are named like this, files are not
            found = dict.fromkeys(folder._folders(segments, files=not pattern.endswith("/")))
        else:
            for keys in folder._listed():
                beneath = keys[len(folder.keys) :]
                if len(beneath) >= len(segments) and _fits(beneath, segments):
                    found[keys[: len(folder.keys) + len(segments)]] = None
        return (type(self)(keys, self.store) for keys in found)

    def rglob(self, pattern: str) -> Iterator[Self]:
        """Return the files at any depth of this folder whose names fit a pattern."""
        return (type(self)(keys, self.store) for keys in self._listed() if fnmatch.fnmatchcase(keys[-1], pattern))

    def read_bytes(self) -> bytes:
        """Return what is in the file.

        Raises
        ------
        FileNotFoundError
            It is not there.
        StorageError
            The server does not answer, or refuses.
        """
        return self.read_version()[0]

    def read_version(self) -> tuple[bytes, str]:
        """Return what is in the file, and the version that it is; errors as `read_bytes`."""
        import obstore

        with _Explaining(self):
            answer = obstore.get(self.store.client(), self.key)
            return bytes(answer.bytes()), str(answer.meta["e_tag"])

    def version(self) -> str | None:
        """Return the version of the file, another one for each content; None where it is not there."""
        import obstore

        try:
            with _Explaining(self):
                return str(obstore.head(self.store.client(), self.key)["e_tag"])
        except FileNotFoundError:
            return None

    def write(self, content: bytes, instead_of: str | None) -> str | None:
        """Make the file hold something if it is still what it was; return its version, None where it is not.

        Parameters
        ----------
        content
            What it is to hold.
        instead_of
            The version that was read; None: the file was not there.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        condition: Any = "create" if instead_of is None else {"e_tag": instead_of}
        try:
            with _Explaining(self):
                put = obstore.put(self.store.client(), self.key, content, mode=condition, use_multipart=False)
                return str(put["e_tag"])
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return None

    def replace(self, content: bytes) -> bool:
        """Make the file hold something, whatever it held; return whether it had to be written.

        Raises
        ------
        StorageError
            The server does not answer, refuses, or others write the same file all the time.
        """
        version: str | None
        for attempt in range(_TRIES):
            if attempt:  # by chance, so that two who meet do not meet again
                time.sleep(random.uniform(0, min(_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S)))
            try:
                held, version = self.read_version()
            except FileNotFoundError:
                version = None
            else:
                if held == content:
                    return attempt > 0  # an answer that was lost on its way, or another writer of the same
            if self.write(content, version) is not None:
                return True
        raise StorageError(
            f"{_TRIES} times somebody else wrote this file first", where=str(self), remedy="run the same again"
        )

    def written_at(self) -> float:
        """Return when the file was written, in seconds since 1970."""
        import obstore

        with _Explaining(self):
            return obstore.head(self.store.client(), self.key)["last_modified"].timestamp()

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file.

        Raises
        ------
        FileNotFoundError
            It is not there, and `missing_ok` is false.
        """
        import obstore

        if not missing_ok and self.version() is None:
            raise FileNotFoundError(str(self))
        with _Explaining(self):
            obstore.delete(self.store.client(), self.key)

    def _listed(self, most: int | None = None) -> Iterator[tuple[str, ...]]:
        """Return the keys of all files in this folder, at any depth; the first `most`."""
        import obstore

        with _Explaining(self):
            for chunk in obstore.list(self.store.client(), self.key or None, chunk_size=most or _MANY):
                for entry in chunk[:most]:
                    yield tuple(entry["path"].split("/"))
                if most:
                    return

    def _folders(self, segments: Sequence[str], *, files: bool) -> Iterator[tuple[str, ...]]:
        """Return what fits a pattern of folders, one listing for each folder on the way."""
        import obstore

        with _Explaining(self):
            level = obstore.list_with_delimiter(self.store.client(), self.key or None)
        objects = [entry["path"] for entry in level["objects"]] if files else []
        entries = [*level["common_prefixes"], *objects]
        for keys in (tuple(entry.split("/")) for entry in entries):
            if not fnmatch.fnmatchcase(keys[-1], segments[0]):
                continue
            if len(segments) == 1:
                yield keys
            else:
                yield from type(self)(keys, self.store)._folders(segments[1:], files=files)


class _Explaining:
    """Makes errors of the client into those of the house, and leaves alone those that a caller asks about."""

    def __init__(self, path: ObjectPath) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._path.store.client()  # no key: said before a request is made

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
            raise FileNotFoundError(str(self._path)) from None
        if isinstance(error, BaseError | OSError) and not isinstance(error, AlreadyExistsError | PreconditionError):
            raise self._path.store.explained(error, str(self._path)) from None


def located(root: StoragePath) -> StoragePath:
    """Return where a lake is: in its folder, or where the file says that is in the place of this folder.

    A data folder has one lake for ever: none is taken for another, or begun anew, because a setting was forgotten.

    Raises
    ------
    InputError, IntegrityError
        The file names nothing that can be used, or is not one of these.
    """
    if not isinstance(root, Path) or not root.is_file():
        return root.absolute()
    try:
        document = orjson.loads(root.read_bytes())
        url, endpoint, region = (document[name] for name in ("url", "endpoint", "region"))
        return object_folder(str(url), endpoint=str(endpoint), region=str(region))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"it does not say where the lake is: {error}", where=str(root), remedy="bring it back from a backup"
        ) from error


def location_document(folder: ObjectPath) -> bytes:
    """Return the file that says in the place of a lake's folder where the lake is; see `located`."""
    document = {"url": str(folder), "endpoint": folder.store.endpoint, "region": folder.store.region}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def object_folder(url: str, *, endpoint: str | None = None, region: str = "us-east-1") -> ObjectPath:
    """Return the folder that an address such as `s3://bucket/prefix` names.

    Parameters
    ----------
    url
        Bucket and prefix.
    endpoint
        Address of the server; None: Amazon's in the region.
    region
        What requests are signed for.

    Raises
    ------
    InputError
        One of them cannot be used.
    """
    if not url.startswith("s3://") or any(sign in url for sign in "@?#"):
        raise InputError(f"{_shown(url)!r} is no address of a lake", remedy="write s3://BUCKET/PREFIX")
    bucket, *keys = url.removeprefix("s3://").rstrip("/").split("/")
    store = ObjectStore(bucket, endpoint or f"https://s3.{region}.amazonaws.com", region)
    return ObjectPath(tuple(keys), store)


def check_conditions(folder: ObjectPath) -> None:
    """Write and remove a small object to see that a server keeps the conditions that locks and registers rest on.

    Raises
    ------
    StorageError
        It does not answer, refuses, or writes in spite of a condition that does not hold.
    """
    probe = folder / ".conditions"
    probe.unlink(missing_ok=True)
    first = probe.write(b"first", None)
    kept = first is not None and probe.write(b"second", None) is None
    second = probe.write(b"second", first) if kept else None
    kept = kept and second is not None and probe.write(b"third", first) is None and probe.read_bytes() == b"second"
    probe.unlink(missing_ok=True)
    if not kept:
        raise StorageError(
            "the server does not keep the conditions If-None-Match and If-Match of a write, which locks rest on",
            where=folder.store.endpoint,
            remedy="use a server that does",
        )


def contents_of(paths: Sequence[StoragePath]) -> list[Path] | list[bytes]:
    """Return what Parquet files can be read from: the files of a disk themselves, the whole content of others.

    An object is fetched in one request: its footer is never of another version than its columns.

    Raises
    ------
    FileNotFoundError, StorageError
        An object is not there, or its server does not answer.
    """
    files = [path for path in paths if isinstance(path, Path)]
    if len(files) == len(paths):
        return files
    if len(paths) == 1:
        return [paths[0].read_bytes()]
    with ThreadPoolExecutor(min(len(paths), _AT_ONCE)) as pool:
        return list(pool.map(lambda path: path.read_bytes(), paths))


def written_at(path: StoragePath) -> float:
    """Return when a file was written, in seconds since 1970."""
    if isinstance(path, ObjectPath):
        return path.written_at()
    assert isinstance(path, Path)
    return path.stat().st_mtime


def stamps_of(paths: Sequence[StoragePath]) -> list[tuple[object, ...]]:
    """Return for each file what stays equal as long as nobody has replaced it."""
    if all(isinstance(path, Path) for path in paths):
        found = [path.stat() for path in paths if isinstance(path, Path)]
        return [(file.st_size, file.st_mtime_ns) for file in found]
    objects = [path for path in paths if isinstance(path, ObjectPath)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [(version,) for version in pool.map(ObjectPath.version, objects)]


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return all(fnmatch.fnmatchcase(name, pattern) for name, pattern in zip(names, patterns, strict=False))


def _is_pattern(segment: str) -> bool:
    return any(sign in segment for sign in "*?[")


def _shown(address: str) -> str:
    return re.sub(r"//[^/]*@", "//***@", address)
