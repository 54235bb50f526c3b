"""What takes seconds to make and is always the same, kept on disk for all test files and workers of these sources."""

import hashlib
import pickle
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from filelock import FileLock

from quant_organism.resilience.files import write_file

REPOSITORY: Final = Path(__file__).resolve().parent.parent
_FOLDER: Final = REPOSITORY / ".pytest_cache" / "quant_organism"

Made = TypeVar("Made")


def kept(name: str, make: Callable[[], Made]) -> Made:
    """Return what was made under a name by exactly these sources of the product; who asks first makes it.

    Nothing kept can be stale: it lies in a folder named by the digest of all sources of the product.
    """
    path = _FOLDER / sources() / f"{name}.pickle"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if path.is_file():
            return pickle.loads(path.read_bytes())  # noqa: S301 - our own file, never shared
        made = make()
        write_file(path, pickle.dumps(made))
        return made


def kept_folder(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that was filled under a name by exactly these sources of the product; who asks first fills it.

    It is shared by all who ask: look, do not touch.
    """
    folder = _FOLDER / sources() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    filled = folder.with_suffix(".filled")
    with FileLock(folder.with_suffix(".lock")):
        if not filled.is_file():
            shutil.rmtree(folder, ignore_errors=True)  # of a session that was stopped while it filled it
            folder.mkdir()
            make(folder)
            filled.touch()
    return folder


@cache
def sources() -> str:
    """Return the SHA-256 (hex, 16 digits) of all files of the product, templates too, and of the locked packages."""
    digest = hashlib.sha256()
    for path in [*sorted((REPOSITORY / "quant_organism").rglob("*")), REPOSITORY / "requirements.lock"]:
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.relative_to(REPOSITORY).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
