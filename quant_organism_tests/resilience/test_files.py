"""A file is replaced whole or not at all, and killed writers leave nothing behind for ever."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from quant_organism.errors import StorageError
from quant_organism.resilience.files import write_file, write_files
from quant_organism_tests.market.small_disk import remount, small_disk

HOLD_A_LOCK = """
import sys
from collections.abc import Iterator
from pathlib import Path
from quant_organism.resilience.files import _open_temporary
print(_open_temporary(Path(sys.argv[1]))[1].name, flush=True)
sys.stdin.read()
"""


def test_a_file_and_its_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.json"
    assert write_file(path, b"1")
    assert path.read_bytes() == b"1"
    assert [child.name for child in path.parent.iterdir()] == ["c.json"]


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    write_file(path, b"1")
    before = path.stat()
    assert not write_file(path, b"1")
    assert path.stat().st_ino == before.st_ino
    assert write_files([(path, b"1"), (tmp_path / "d.json", b"2")]) == 1


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_LOCK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as living:
        assert living.stdout is not None
        held = tmp_path / living.stdout.readline().strip()
        abandoned = tmp_path / ".writing-0123456789abcdef"
        abandoned.write_bytes(b"half")
        write_file(tmp_path / "c.json", b"1")
        assert held.exists()
        assert not abandoned.exists()
        living.kill()
        living.wait()
        write_file(tmp_path / "d.json", b"1")
        assert not held.exists()


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(StorageError, match="data") as caught:
        write_file(tmp_path / "data" / "lake" / "c.json", b"1")
    assert caught.value.remedy


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "256k") as folder:
        yield folder


def test_a_full_disk_leaves_what_was_there(disk: Path) -> None:
    path = disk / "c.json"
    write_file(path, b"before")
    with pytest.raises(StorageError, match=r"disk is full.*unchanged") as caught:
        write_file(path, os.urandom(1_000_000))
    assert str(disk) in str(caught.value)
    assert path.read_bytes() == b"before"
    assert [child.name for child in disk.iterdir()] == ["c.json"]
    write_file(path, b"after")
    assert path.read_bytes() == b"after"


def test_a_read_only_disk_leaves_what_was_there(disk: Path) -> None:
    path = disk / "c.json"
    write_file(path, b"before")
    remount(disk, "ro")
    with pytest.raises(StorageError, match="read-only") as caught:
        write_file(path, b"after")
    assert "writable" in str(caught.value.remedy)
    assert path.read_bytes() == b"before"
