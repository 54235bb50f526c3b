"""Units of systemd: systemd takes them, they run as nobody special, and the backup's commands do what they say."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from configparser import RawConfigParser
from dataclasses import replace
from pathlib import Path

import pytest

from quant_organism.errors import InputError
from quant_organism.monitoring.services import CODE_SOCKET, TARGET, Installation, service_files
from quant_organism_tests.program import PROGRAM, Caller

DAY = 86_400


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Return an installation whose folders have names that units and shells read in their own ways."""
    root = tmp_path / "my $HOME 100%d"
    for name in ("data", "backups"):
        (root / name).mkdir(parents=True)
    return Installation(PROGRAM, "daemon", root, root / "data", root / "backups", code_user="bin")


def units(installation: Installation) -> dict[str, RawConfigParser]:
    found = {}
    for name, text in service_files(installation).items():
        if Path(name).suffix in (".service", ".timer", ".target"):
            found[name] = RawConfigParser(strict=False, interpolation=None)
            found[name].optionxform = str  # type: ignore[assignment,method-assign]
            found[name].read_string(text)
    return found


def test_systemd_takes_every_unit(installation: Installation, tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed")
    paths = []
    for name, text in service_files(installation).items():
        (tmp_path / name).write_text(text)
        paths += [tmp_path / name] if name.startswith("quant-organism") else []
    verified = subprocess.run([analyze, "verify", "--man=no", *paths], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    for path in (path for path in paths if path.suffix == ".service"):
        judged = [analyze, "security", "--offline=true", "--no-pager", "--threshold=30", path]
        exposed = subprocess.run(judged, capture_output=True, text=True)
        assert exposed.returncode == 0, exposed.stdout + exposed.stderr


def test_services_own_nothing_but_the_data_folder_and_all_that_is_wanted_is_there(installation: Installation) -> None:
    made = units(installation)
    services = {name: unit["Service"] for name, unit in made.items() if name.endswith(".service")}
    del services["quant-organism-code.service"]
    folders = (installation.data_dir, installation.backups)
    data, backups = (f'"{path}"'.replace("%", "%%") for path in folders)
    for name, service in services.items():
        assert (service["User"], service["UMask"], service["ProtectSystem"]) == ("daemon", "0077", "strict")
        assert service["ReadWritePaths"] == (f"{data} {backups}" if "backup" in name else data)
    assert set(made[TARGET]["Unit"]["Wants"].split()) <= made.keys()
    assert "quant-organism-trader.service" not in made[TARGET]["Unit"]["Wants"]  # money moves on purpose alone
    assert all(service["KillSignal"] == "SIGINT" for name, service in services.items() if "backup" not in name)


def test_code_made_elsewhere_runs_as_somebody_who_sees_neither_data_nor_network(installation: Installation) -> None:
    made = units(installation)
    code, trader = (made[f"quant-organism-{name}.service"]["Service"] for name in ("code", "trader"))
    assert (code["User"], code["PrivateNetwork"], "ReadWritePaths" in code) == ("bin", "yes", False)
    assert f"--code-socket {CODE_SOCKET}" in trader["ExecStart"]
    assert f"code-server {CODE_SOCKET} --asker daemon" in code["ExecStart"]
    assert f"/run/{code['RuntimeDirectory']}/code.sock" == CODE_SOCKET
    for path in (installation.data_dir, installation.backups):
        assert f'"-{path}"'.replace("%", "%%") in code["InaccessiblePaths"]
    # Who shuts code in needs mounts: the server, and whoever marks or trades it without sending orders.
    assert [
        name for name, unit in made.items() if "@mount" in unit.get("Service", "SystemCallFilter", fallback="")
    ] == [
        "quant-organism-ui.service",
        "quant-organism-trader.service",
        "quant-organism-code.service",
    ]
    alone = units(replace(installation, code_user="", mode="testnet"))
    assert "quant-organism-code.service" not in alone
    assert "@mount" not in alone["quant-organism-trader.service"]["Service"]["SystemCallFilter"]


@pytest.mark.parametrize(
    "change",
    [
        lambda made: replace(made, user="root"),
        lambda made: replace(made, user="me\nUser=root"),
        lambda made: replace(made, code_user="root"),
        lambda made: replace(made, code_user=made.user),
        lambda made: replace(made, code_user="me\nUser=root"),
        lambda made: replace(made, data_dir=Path("data")),
        lambda made: replace(made, folder=Path("/a\nExecStartPre=/bin/evil")),
        lambda made: replace(made, backups=made.data_dir / "backups"),
        lambda made: replace(made, backups=made.data_dir.parent),
    ],
)
def test_what_would_be_unsafe_is_refused(
    installation: Installation, change: Callable[[Installation], Installation]
) -> None:
    with pytest.raises(InputError):
        change(installation)


def test_the_backup_of_the_timer_is_one_and_only_old_ones_of_its_own_go(installation: Installation) -> None:
    (installation.data_dir / "kept.txt").write_text("worth keeping")
    service = units(installation)["quant-organism-backup.service"]["Service"]

    def run(line: str) -> None:  # as systemd reads it
        subprocess.run(
            shlex.split(service[line].replace("%%", "%").replace("$$", "$")), check=True, capture_output=True
        )

    old, young, other = (installation.backups / name for name in ("2024-01-31T230000Z", "2024-02-20T230000Z", "mine"))
    for path, days in ((old, 16), (young, 13), (other, 99)):
        path.mkdir()
        os.utime(path, (time.time() - days * DAY,) * 2)
    run("ExecStart")
    (made,) = set(installation.backups.iterdir()) - {old, young, other}
    assert [path.read_text() for path in made.rglob("kept.txt")] == ["worth keeping"]
    run("ExecStartPost")
    assert set(installation.backups.iterdir()) == {made, young, other}


def test_the_command_writes_them_and_trades_no_real_money(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    call = Caller(tmp_path, monkeypatch, capfd)
    monkeypatch.setattr(sys, "executable", str(PROGRAM.with_name("python")))
    options = ("--user", "daemon", "--backups", tmp_path / "backups")
    said = call("services", "units", *options, "--mode", "testnet")
    assert (said.code, "systemctl enable" in said.out) == (0, True)
    trader = (tmp_path / "units" / "quant-organism-trader.service").read_text()
    assert f'ExecStart="{PROGRAM}" trade start --mode testnet --data-dir "{tmp_path / "data"}"\n' in trader
    refused = call("services", "others", *options, "--mode", "mainnet")
    assert (refused.code, (tmp_path / "others").exists()) == (2, False)
