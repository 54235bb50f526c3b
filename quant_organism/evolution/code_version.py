"""Which code computed something: what must be equal for equal inputs to give equal bits."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import quant_organism

_NUMERIC = ("numpy", "numba", "scipy", "scikit-learn")


@cache
def code_version() -> str:
    """Return the version of the package, a digest of its sources, and the versions that its numbers come from."""
    root = Path(quant_organism.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    parts = [f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in _NUMERIC)]
    return f"{quant_organism.__version__}+{digest.hexdigest()[:12]} ({', '.join(parts)})"
