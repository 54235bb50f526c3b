"""Environments of their own for other people's programs, with versions and hashes pinned in a requirements file."""

import hashlib
import subprocess
import venv
from pathlib import Path
from typing import Final

SECONDS: Final = 600


def python_with(requirements: Path, folder: Path) -> Path:
    """Return the Python of an environment, made anew where its requirements have changed.

    Parameters
    ----------
    requirements
        File of pinned versions, each with its hashes.
    folder
        Where the environment lies.
    """
    stamp, wanted = folder / "requirements.sha256", hashlib.sha256(requirements.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not stamp.is_file() or stamp.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True, symlinks=True)
        install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps")
        subprocess.run([python, *install, "-r", requirements], check=True, timeout=SECONDS)
        stamp.write_text(wanted)
    return python
