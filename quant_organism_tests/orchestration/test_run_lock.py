"""One command at a time in a data folder."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from quant_organism.errors import BusyError, StorageError
from quant_organism.orchestration.run_lock import run_lock

HOLD = """
import sys, time
from pathlib import Path
from quant_organism.orchestration.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_refused_and_told_who_holds_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(BusyError, match=rf"process {holder.pid}\b"), run_lock(tmp_path):
        pass


def test_whoever_was_killed_holds_nothing(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with run_lock(tmp_path):
        assert (tmp_path / "run.pid").exists()
    assert not (tmp_path / "run.pid").exists()


def test_another_data_folder_is_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with run_lock(tmp_path / "other"):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="--data-dir"), run_lock(tmp_path / "file" / "data"):
        pass
