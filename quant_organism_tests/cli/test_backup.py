"""A data folder backed up and brought back from the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from quant_organism.trading.ledger import TraderLedger, ledger_path
from quant_organism.trading.lines import lines_file
from quant_organism_tests.finished import Finished
from quant_organism_tests.program import Said

Call = Callable[..., Said]


def content(folder: Path) -> dict[str, bytes]:
    """Return what lies in a data folder and is neither Dagster's nor a lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {
        name: path.read_bytes()
        for path in files
        if not (name := path.relative_to(folder).as_posix()).startswith("dagster_home")
    }


def test_all_but_keys_is_backed_up_under_a_trader_and_the_doctor_finds_the_restored_folder_well(
    call: Call, finished_run: Finished, tmp_path: Path
) -> None:
    data_dir, new = tmp_path / "data", tmp_path / "new"
    shutil.copytree(finished_run.data_dir, data_dir)
    before = content(data_dir)
    (data_dir / "keystore").mkdir()
    (data_dir / "keystore" / "agent.json").write_text("{}", encoding="utf-8")
    ledger = TraderLedger(ledger_path(data_dir, "paper"))  # a trader holds it
    lines_file(data_dir).write_text("{}", encoding="utf-8")
    said = call("backup", tmp_path / "backup", "--json")
    ledger.close()
    assert said.code == 0
    assert json.loads(said.out)["path"] == str(tmp_path / "backup")
    assert call("restore", tmp_path / "backup", "--data-dir", new).code == 0
    after = content(new)
    assert after.pop("trader/ledger.sqlite")
    assert after == before
    said = call("doctor", "--json", "--data-dir", new)
    assert said.code == 0, said.out


def test_a_person_is_told_where_keys_are_and_what_comes_next(call: Call, tmp_path: Path) -> None:
    (tmp_path / "data" / "keystore").mkdir(parents=True)
    (tmp_path / "data" / "README.md").write_text("mine", encoding="utf-8")
    said = call("backup", "backup")
    assert "Keys are not in it" in said.out
    assert "quant-organism restore backup --data-dir FOLDER" in said.out
    said = call("restore", "backup", "--data-dir", "new")
    assert "quant-organism doctor --data-dir new" in said.out
    assert (tmp_path / "new" / "README.md").read_text(encoding="utf-8") == "mine"


def test_a_backup_of_a_newer_lake_is_refused_by_name_before_anything_is_touched(call: Call, tmp_path: Path) -> None:
    (tmp_path / "data" / "lake").mkdir(parents=True)
    (tmp_path / "data" / "lake" / "layout.json").write_text('{"layout": 99}', encoding="utf-8")
    assert call("backup", "backup").code == 0
    said = call("restore", "backup", "--data-dir", "new", "--json")
    error = json.loads(said.out)["error"]
    assert (said.code, error["kind"]) == (2, "IntegrityError")
    assert "form 99" in error["what"]
    assert not (tmp_path / "new").exists()


def test_nothing_to_back_up_and_nothing_to_restore_are_refused(call: Call) -> None:
    for command in ("backup", "restore"):
        said = call(command, "nowhere", "--json")
        assert said.code == 2
        assert json.loads(said.out)["error"]["remedy"]
