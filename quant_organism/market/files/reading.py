"""Bytes off the disk, bounded: every reader begins here; a file that cannot be read ends here with an InputError."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl

from quant_organism.errors import InputError

MAX_FILE_BYTES: Final = 2 * 1024**3
# JSON becomes Python objects of about ten times its size before it becomes columns.
MAX_JSON_BYTES: Final = 128 * 1024**2

_FETCH_AGAIN: Final = "copy or download the file again; it may have been cut off on the way"


def cannot_read(path: Path, error: OSError) -> InputError:
    """Return the error that says what the operating system said about a file."""
    return InputError(
        f"the file cannot be read: {error.strerror or error}",
        where=str(path),
        remedy="check that it is there and that you may read it",
    )


def read_bytes(path: Path, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return the whole content of a file.

    Raises
    ------
    InputError
        The file is empty, larger than `limit` bytes, or not readable.
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise _too_large(path, limit)
        data = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error
    if not data:
        raise InputError("the file is empty", where=str(path), remedy="remove it, or download it again")
    return data


def read_head(path: Path, size: int = 4096) -> bytes:
    """Return the first bytes of a file, to tell its format by."""
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise cannot_read(path, error) from error


def read_head_text(path: Path, size: int = 65_536) -> str | None:
    """Return the first whole lines of a text file, unpacked where it is packed; None where it is no UTF-8 text.

    Raises
    ------
    InputError
        The file is empty, cannot be read, or its packing is damaged.
    """
    if not read_head(path, 1):
        raise InputError("the file is empty", where=str(path), remedy="remove it, or download it again")
    if path.suffix in (".gz", ".zip"):
        text: bytes = _unpacked_head(path, size)
    else:
        text = read_head(path, size)
    whole = text if len(text) < size else text[: text.rfind(b"\n") + 1]
    try:
        return whole.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _unpacked_head(path: Path, size: int) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                return stream.read(size)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if not members:
                return b""
            with archive.open(members[0]) as member:
                return member.read(size)
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, RuntimeError, ValueError) as error:
        raise _damaged(path, path.suffix[1:], error) from error


def read_columns(path: Path) -> pl.DataFrame:
    """Return the columns of a Parquet or feather (Arrow IPC) file.

    Raises
    ------
    InputError
        The file is empty, cut off or not in the format that its name says.
    """
    data = read_bytes(path)
    parquet = path.suffix in (".parquet", ".pq")
    try:
        frame = pl.read_parquet(io.BytesIO(data)) if parquet else pl.read_ipc(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _damaged(path, "Parquet" if parquet else "feather", error) from error
    if frame.is_empty():
        raise InputError("the file has no rows", where=str(path), remedy="remove it, or download it again")
    return frame.rechunk()


def read_column_names(path: Path) -> list[str]:
    """Return the column names of a Parquet file from its footer alone."""
    if not read_head(path, 1):
        raise InputError("the file is empty", where=str(path), remedy="remove it, or download it again")
    try:
        return list(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _damaged(path, "Parquet", error) from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, plain or gzipped.

    Raises
    ------
    InputError
        The file is empty, cut off, not JSON, or larger than `MAX_JSON_BYTES` once unpacked.
    """
    data = read_bytes(path, limit=MAX_JSON_BYTES)
    if path.suffix == ".gz":
        data = _gunzip(data, path)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _damaged(path, "JSON", error) from error


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 text file, gzipped or not, or of the only member of a zip archive.

    Raises
    ------
    InputError
        The file is empty, too large, no text, or an archive that is damaged or holds more than one file.
    """
    data = read_bytes(path)
    if path.suffix == ".zip":
        data = _unzip(data, path)
    elif path.suffix == ".gz":
        data = _gunzip(data, path, MAX_FILE_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"the file is not UTF-8 text ({error.reason})",
            where=f"{path}, line {line}",
            remedy="save it as plain UTF-8 text, or download it again",
        ) from error


def _gunzip(data: bytes, path: Path, limit: int = MAX_JSON_BYTES) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, "gzip", error) from error
    if len(unpacked) > limit:
        raise _too_large(path, limit)
    return unpacked


def _unzip(data: bytes, path: Path) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) != 1:
                raise InputError(
                    f"the archive holds {len(members)} files, expected one CSV",
                    where=str(path),
                    remedy="unpack it and point to the folder",
                )
            with archive.open(members[0]) as stream:
                unpacked = stream.read(MAX_FILE_BYTES + 1)
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, RuntimeError, ValueError) as error:
        # RuntimeError: an encrypted member or an unknown compression; ValueError: offsets beyond the file.
        raise _damaged(path, "zip", error) from error
    if len(unpacked) > MAX_FILE_BYTES:
        raise _too_large(path, MAX_FILE_BYTES)
    return unpacked


def _damaged(path: Path, format_name: str, error: BaseException) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"the file is not a whole {format_name} file ({reason})", where=str(path), remedy=_FETCH_AGAIN)


def _too_large(path: Path, limit: int) -> InputError:
    return InputError(
        f"the file holds more than {limit // 1024**2} MiB",
        where=str(path),
        remedy="convert it to Parquet or feather, or split it",
    )
