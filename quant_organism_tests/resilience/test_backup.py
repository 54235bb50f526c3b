"""A folder in use, its backup, and the folder that comes of it."""

import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from quant_organism.errors import BusyError, InputError, IntegrityError, QuantOrganismError
from quant_organism.resilience import Backup, back_up, restore, write_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files, an empty one, a private one, a link to a folder outside, locks and unfinished files."""
    folder, outside = tmp_path / "data", tmp_path / "large disk"
    for name in ("a.json", "lake/b c/part.parquet", "lake/empty", "trader/secret"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"" if name.endswith("empty") else name.encode())
    (folder / "trader" / "secret").chmod(0o600)
    outside.mkdir()
    (outside / "far").write_text("far")
    (folder / "lake" / "linked").symlink_to(outside)
    (folder / "lake" / "round").symlink_to(folder / "lake")
    for name in ("run.lock", "lake/.lock", "lake/.writing-0a", "lake/.a.json.7.tmp"):
        (folder / name).write_text("passing")
    return folder


CONTENT = {
    "a.json": b"a.json",
    "lake/b c/part.parquet": b"lake/b c/part.parquet",
    "lake/empty": b"",
    "lake/linked/far": b"far",
    "trader/secret": b"trader/secret",
}


def saved(folder: Path, target: Path) -> Backup:
    return back_up(folder, target, program="quant-organism test")


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def resealed(backup: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change a manifest so that its checksum fits again."""
    document = orjson.loads((backup / "manifest.json").read_bytes())
    del document["checksum"]
    change(document)
    document["checksum"] = hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
    (backup / "manifest.json").write_bytes(orjson.dumps(document))


def test_what_is_restored_is_what_was_there_without_what_comes_and_goes(folder: Path, tmp_path: Path) -> None:
    made = saved(folder, tmp_path / "backup")
    assert Backup.read(tmp_path / "backup") == made
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in CONTENT.items()}
    assert {file.path: file.sha256 for file in made.files} == digests
    restore(tmp_path / "backup", tmp_path / "new")
    assert held(tmp_path / "new") == CONTENT
    assert (tmp_path / "new" / "trader" / "secret").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new" / "a.json").stat().st_mtime_ns == (folder / "a.json").stat().st_mtime_ns


def test_a_database_is_copied_after_its_last_whole_transaction(folder: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(folder / "trader" / "ledger.sqlite", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE fills (size INTEGER)")
        writer.execute("INSERT INTO fills VALUES (1)")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO fills VALUES (2)")
        assert (folder / "trader" / "ledger.sqlite-wal").stat().st_size > 0
        saved(folder, tmp_path / "backup")
        writer.execute("COMMIT")
    restore(tmp_path / "backup", tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new" / "trader").iterdir()) == ["ledger.sqlite", "secret"]
    with closing(sqlite3.connect(tmp_path / "new" / "trader" / "ledger.sqlite")) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)  # readers hold up no writer there either
        assert reader.execute("SELECT size FROM fills").fetchall() == [(1,)]


def test_files_that_are_written_in_turn_are_of_one_moment(folder: Path, tmp_path: Path) -> None:
    """First the cause, then what follows from it; in a copy made file by file, what follows would be the newer one."""
    rounds = 0

    def work(*_: object) -> None:
        nonlocal rounds
        if rounds < 40:
            rounds += 1
            write_file(folder / "a-cause.json", b"%d" % rounds)
            write_file(folder / "z-effect.json", b"%d" % rounds)
            (folder / f"gone-{rounds - 1}.json").unlink(missing_ok=True)
            write_file(folder / f"gone-{rounds}.json", b"")

    back_up(folder, tmp_path / "backup", program="", progress=work, sleep=lambda seconds: None)
    assert rounds == 40
    kept = held(tmp_path / "backup" / "files")
    assert {name: content for name, content in kept.items() if name not in CONTENT} == {
        "a-cause.json": b"40",
        "z-effect.json": b"40",
        "gone-40.json": b"",
    }


def test_a_folder_that_never_rests_has_no_backup(folder: Path, tmp_path: Path) -> None:
    count = 0

    def work(*_: object) -> None:
        nonlocal count
        count += 1
        write_file(folder / "a.json", b"%d" % count)

    with pytest.raises(BusyError, match="no moment"):
        back_up(folder, tmp_path / "backup", program="", progress=work, sleep=lambda seconds: None)
    back_up(folder, tmp_path / "backup", program="", at_any_moment={"a.json"}, progress=work)
    assert int((tmp_path / "backup" / "files" / "a.json").read_bytes()) < count


def test_a_damaged_database_is_named_and_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    path = folder / "trader" / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("CREATE TABLE fills (size INTEGER)")
        writer.executemany("INSERT INTO fills VALUES (?)", [(n,) for n in range(5000)])
        writer.commit()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"?" * (len(whole) - 8192))
    with pytest.raises(IntegrityError, match="damaged") as caught:
        saved(folder, tmp_path / "backup")
    assert caught.value.where == str(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "large disk"]


def test_what_a_killed_backup_left_is_cleared_away_by_the_next(folder: Path, tmp_path: Path) -> None:
    left = tmp_path / ".backup.partial-dead"
    (left / "files").mkdir(parents=True)
    saved(folder, tmp_path / "backup")
    assert not left.exists()


@pytest.mark.parametrize("target", ["taken", "data/backup", "taken/file"])
def test_no_backup_is_written_over_something_or_into_its_own_folder(folder: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    before = held(tmp_path)
    with pytest.raises(InputError):
        saved(folder, tmp_path / target)
    assert held(tmp_path) == before


def a_file_changed(backup: Path) -> str:
    (backup / "files" / "a.json").write_bytes(b"a.jsoN")
    return "a.json is not what was written"


def a_file_lost(backup: Path) -> str:
    (backup / "files" / "lake" / "empty").unlink()
    return "lake/empty is missing"


def the_manifest_changed(backup: Path) -> str:
    text = (backup / "manifest.json").read_text()
    (backup / "manifest.json").write_text(text.replace("a.json", "b.json"))
    return "its checksum does not fit"


def the_manifest_cut_off(backup: Path) -> str:
    (backup / "manifest.json").write_bytes((backup / "manifest.json").read_bytes()[:-30])
    return "the manifest is damaged"


def a_newer_version(backup: Path) -> str:
    resealed(backup, lambda document: document.update(version=2))
    return "newer version, quant-organism test"


def a_path_that_leads_out(backup: Path) -> str:
    resealed(backup, lambda document: document["files"][0].update(path="../out"))  # type: ignore[index]
    return "a file outside"


def no_manifest(backup: Path) -> str:
    (backup / "manifest.json").unlink()
    return "there is no backup"


@pytest.mark.parametrize(
    "harm",
    [
        a_file_changed,
        a_file_lost,
        the_manifest_changed,
        the_manifest_cut_off,
        a_newer_version,
        a_path_that_leads_out,
        no_manifest,
    ],
)
def test_a_backup_that_is_not_whole_is_refused_by_name_before_anything_is_touched(
    folder: Path, tmp_path: Path, harm: Callable[[Path], str]
) -> None:
    saved(folder, tmp_path / "backup")
    reason = harm(tmp_path / "backup")
    with pytest.raises(QuantOrganismError, match=reason):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["a.json", "lake/other"])
def test_a_folder_that_holds_something_else_is_left_as_it_is(folder: Path, tmp_path: Path, name: str) -> None:
    saved(folder, tmp_path / "backup")
    (tmp_path / "new" / "lake").mkdir(parents=True)
    (tmp_path / "new" / name).write_text("mine")
    with pytest.raises(InputError, match=name):
        restore(tmp_path / "backup", tmp_path / "new")
    assert held(tmp_path / "new") == {name: b"mine"}


def test_a_restore_that_was_interrupted_goes_on_and_leaves_what_is_elsewhere(folder: Path, tmp_path: Path) -> None:
    saved(folder, tmp_path / "backup")
    new = tmp_path / "new"
    for name in ("README.md", "a.json", "lake/b c/part.parquet", ".restoring/lake/empty"):
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_bytes(CONTENT.get(name, b"there before"))
    restore(tmp_path / "backup", new)
    assert held(new) == {**CONTENT, "README.md": b"there before"}
    assert os.listdir(tmp_path / "new").count(".restoring") == 0
