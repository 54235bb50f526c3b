"""Broken files, read-only folders, full disks: each is told with its remedy, and nothing is lost."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.errors import IntegrityError, StorageError
from quant_organism_tests.deployment.documents import document

NOBODY = 65534


@pytest.fixture
def repository(tmp_path):
    found = StrategyRepository(tmp_path / "strategies")
    found.save_many(document(seed) for seed in range(4))
    return found


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.json"))}


def break_every_way(active: Path) -> dict[str, str]:
    """Break one file in each way; return the expected complaint by file name."""
    torn, newer, altered = sorted(active.glob("*.json"))[:3]
    torn.write_bytes(torn.read_bytes()[:900])
    newer.write_bytes(newer.read_bytes().replace(b'"schema_version":"4"', b'"schema_version":"6"'))
    altered.write_bytes(altered.read_bytes().replace(b'"interval":"1h"', b'"interval":"4h"'))
    (active / "empty_0_00000000.json").write_bytes(b"")
    (active / "notes.json").write_text(json.dumps(["buy low", "sell high"]))
    return {
        torn.name: "not valid JSON",
        newer.name: "newer version",
        altered.name: "checksum",
        "empty_0_00000000.json": "empty",
        "notes.json": "not a strategy document",
    }


def test_every_broken_file_is_reported_by_name_with_a_remedy_and_the_others_are_read(repository):
    expected = break_every_way(repository.root / "active")
    before = snapshot(repository.root)
    loaded = repository.load_all()
    assert len(loaded.documents) == 1
    assert {problem.path.name for problem in loaded.problems} == set(expected)
    for problem in loaded.problems:
        assert expected[problem.path.name] in problem.what
        assert problem.remedy
    check = repository.check()
    assert check.writable
    assert check.documents == 1
    assert check.problems == loaded.problems
    assert repository.summary().problems == loaded.problems
    assert snapshot(repository.root) == before


def test_a_broken_file_is_never_overwritten(repository):
    victim = document(2)
    path = repository.root / "active" / f"{victim.id}.json"
    path.write_bytes(b"{")
    before = snapshot(repository.root)
    with pytest.raises(IntegrityError, match="not valid JSON"):
        repository.save_many([document(8), victim])
    with pytest.raises(IntegrityError, match="not valid JSON"):
        repository.load(victim.id)
    with pytest.raises(IntegrityError, match="not valid JSON"):
        repository.archive(victim.id, "broken", at="2025-06-05")
    assert snapshot(repository.root) == before


def test_a_file_under_a_foreign_name_is_reported(repository):
    path = sorted((repository.root / "active").glob("*.json"))[0]
    wrong = path.with_name("rsi_filter_0_00000000.json")
    path.rename(wrong)
    (problem,) = repository.load_all().problems
    assert problem.path == wrong
    assert f"name it {path.name} again" in problem.remedy


def test_too_little_space_is_reported(repository, monkeypatch):
    monkeypatch.setattr("quant_organism.deployment.repository.LEAST_FREE_BYTES", 10**18)
    (problem,) = repository.check().problems
    assert "are free" in problem.what


@pytest.mark.parametrize(("free", "enough"), [(100_000_001, True), (100_000_000, True), (99_999_999, False)])
def test_a_hundred_megabytes_are_enough(repository, monkeypatch, free, enough):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    check = repository.check()
    assert (check.free_bytes, check.problems == ()) == (free, enough)
    if not enough:
        (problem,) = check.problems
        assert problem.path == repository.root
        assert problem.what == "100 MB are free on its disk, at least 100 MB are needed"
        assert problem.remedy == "free some space, or choose another folder"


@pytest.mark.parametrize("missing", ["active", "archive"])
def test_a_folder_that_was_taken_away_is_made_again_by_the_next_writer(repository, missing):
    shutil.rmtree(repository.root / missing)
    new = document(9)
    repository.save(new)
    repository.archive(new.id, "dull", at="2025-06-05")
    assert repository.load(new.id).stage == "retired"
    assert len(repository.load_all().documents) == (0 if missing == "active" else 4)


def test_a_file_that_cannot_be_opened_is_told_and_the_others_are_read(repository):
    path = repository.root / "active" / f"{document(1).id}.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError) as caught:
        repository.load(document(1).id)
    assert caught.value.where == str(path)
    loaded = repository.load_all()
    assert (len(loaded.documents), [problem.path for problem in loaded.problems]) == (3, [path])


def test_a_check_looks_at_the_archive_too(repository):
    repository.archive(document(0).id, "dull", at="2025-06-05")
    assert repository.check().documents == 4
    archived = repository.root / "archive" / f"{document(0).id}.json"
    archived.write_bytes(b"{")
    check = repository.check()
    assert (check.documents, [problem.path for problem in check.problems]) == (3, [archived])


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "taken").write_bytes(b"")
    repository = StrategyRepository(tmp_path / "taken" / "strategies")
    with pytest.raises(StorageError) as caught:
        repository.save(document())
    assert caught.value.where == str(repository.root)


def test_a_check_leaves_nothing_behind_in_the_folder(repository):
    before = sorted(path.name for path in repository.root.iterdir())
    assert repository.check().writable
    assert sorted(path.name for path in repository.root.iterdir()) == before


def test_the_folder_is_tried_by_writing_into_it(repository):
    (repository.root / ".writable").mkdir()
    check = repository.check()
    assert (check.writable, check.documents) == (False, 4)
    (problem,) = check.problems
    assert problem.path == repository.root
    assert problem.what != problem.remedy != ""


@pytest.fixture
def read_only_repository():
    """Yield a repository in a folder that this user may not write; root becomes an unprivileged user for it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    found = StrategyRepository(folder / "strategies")
    found.save(document())
    folders = [found.root, *(path for path in found.root.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    as_root = os.geteuid() == 0
    if as_root:
        os.seteuid(NOBODY)
    try:
        yield found
    finally:
        if as_root:
            os.seteuid(0)
        for path in folders:
            path.chmod(0o755)
        shutil.rmtree(folder)


def test_a_read_only_folder_can_be_read_and_says_why_it_cannot_be_written(read_only_repository):
    repository = read_only_repository
    before = snapshot(repository.root)
    assert repository.load_all().documents == (document(),)
    for attempt in (
        lambda: repository.save(document(1)),
        lambda: repository.archive(document().id, "dull", at="2025-06-05"),
    ):
        with pytest.raises(StorageError, match="permission denied") as caught:
            attempt()
        assert "make the folder writable" in caught.value.remedy
    check = repository.check()
    assert not check.writable
    assert [problem.what for problem in check.problems] == ["permission denied; what was there before is unchanged"]
    assert snapshot(repository.root) == before


@pytest.fixture
def small_disk(tmp_path):
    """Yield the mount point of a disk of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_changes_nothing_and_leaves_nothing_behind(small_disk):
    repository = StrategyRepository(small_disk / "strategies")
    repository.save_many(document(seed) for seed in range(10))
    before = snapshot(repository.root)
    with pytest.raises(StorageError, match="disk is full") as caught:
        repository.save_many(document(seed, fitness=9.0) for seed in range(80))
    assert "free some space" in caught.value.remedy
    assert snapshot(repository.root) == before
    assert list(repository.root.rglob("*.tmp")) == []
    assert any("are free" in problem.what for problem in repository.check().problems)
    repository.save(document(3, fitness=9.0))
    assert repository.load(document(3).id).fitness == 9.0
