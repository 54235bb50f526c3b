"""The kill switch: flat by the venue alone, beside a trader that runs or after one that died."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quant_organism.errors import BusyError
from quant_organism.trading.kill import Killed, KillFlag, flag_raised, kill, kill_file, lower_flag
from quant_organism.trading.orders import OrderManager
from quant_organism.venue import HyperliquidVenue, connect, wallet_of
from quant_organism_tests.simulator.loopback import Failure, LoopbackVenue
from quant_organism_tests.simulator.venues import ETH, order, place
from quant_organism_tests.trading.trader import ADDRESS, KEY, new_order, spec

FLAG = KillFlag(1_700_000_000_000, f"simulator {ADDRESS}", "a test")
PROGRAM = Path(sys.executable).with_name("quant-organism")


def no_wait(_: float) -> None:
    """Let the next try follow at once."""


def end(server: LoopbackVenue, folder: Path, *, patience: float = 60.0) -> Killed:
    """Kill from beside whoever holds the wallet of this folder."""

    def opened() -> HyperliquidVenue:
        return connect(spec(server.url), wallet_of(KEY), folder / "signers", beside_others=True, sleep=no_wait)

    return kill(opened, FLAG, kill_file(folder), patience_seconds=patience, sleep=no_wait)


def is_flat(server: LoopbackVenue) -> bool:
    """Say whether the account has nothing open and holds nothing."""
    return not server.account.open_oids and not any(server.positions().values())


def hold_something(server: LoopbackVenue, manager: OrderManager) -> None:
    """Have a position, an order of ours, and one of somebody else."""
    manager.place("entry", [new_order("entry", px="2010", sz="0.5")])
    manager.place("resting", [new_order("resting")])
    with server.lock:
        place(server.venue, server.account, order(ETH, "buy", "0.0053", 1900))
    assert not is_flat(server)


def test_it_works_beside_a_trader_that_holds_wallet_and_journal(
    server: LoopbackVenue, manager: OrderManager, tmp_path: Path
) -> None:
    hold_something(server, manager)
    with pytest.raises(BusyError):
        connect(spec(server.url), wallet_of(KEY), tmp_path / "signers")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    killed = end(server, tmp_path)
    assert (killed.is_flat, killed.left, killed.flag_problem) == (True, "", "")
    assert is_flat(server)
    assert flag_raised(kill_file(tmp_path)) == FLAG
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([*before, "killed.json", "trader"])


DIES = """
import os, signal, sys
from pathlib import Path
from quant_organism.trading.orders import reconcile
from quant_organism_tests.trading.trader import new_order, open_manager

manager = open_manager(sys.argv[1], Path(sys.argv[2]))
assert reconcile(manager).is_clean
manager.place("entry", [new_order("entry", px="2010", sz="0.5")])
manager.place("resting", [new_order("resting")])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_works_after_a_trader_that_died_with_orders_open(server: LoopbackVenue, tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", DIES, server.url, str(tmp_path)], check=False, timeout=300)
    assert died.returncode == -9
    assert server.account.open_oids
    assert any(server.positions().values())
    killed = end(server, tmp_path)
    assert (killed.is_flat, killed.left) == (True, "")
    assert is_flat(server)


def test_five_thousand_orders_are_gone(server: LoopbackVenue, manager: OrderManager, tmp_path: Path) -> None:
    with server.lock:
        for _ in range(5_000):
            place(server.venue, server.account, order(ETH, "buy", "0.0053", 1900))
    manager.place("entry", [new_order("entry", px="2010", sz="0.5")])
    assert end(server, tmp_path).is_flat
    assert is_flat(server)


def test_a_disk_that_takes_nothing_holds_up_nothing(
    server: LoopbackVenue, manager: OrderManager, tmp_path: Path
) -> None:
    hold_something(server, manager)
    full = tmp_path / "full"
    full.write_text("a file where a folder should be")
    killed = end(server, full)
    assert killed.is_flat
    assert killed.flag_problem
    assert is_flat(server)


def test_a_venue_that_is_slow_and_fails_is_asked_until_it_shows_flat(
    server: LoopbackVenue, manager: OrderManager, tmp_path: Path
) -> None:
    hold_something(server, manager)
    asked = 0

    def inject(endpoint: str, body: dict[str, object]) -> Failure | None:
        nonlocal asked
        asked += 1
        if asked <= 6:
            return Failure("before", status=503)
        if asked % 7 == 0:
            time.sleep(0.6)  # longer than the client waits
        return None

    server.inject = inject
    assert end(server, tmp_path).is_flat
    assert is_flat(server)


def test_what_the_venue_still_shows_is_said(server: LoopbackVenue, manager: OrderManager, tmp_path: Path) -> None:
    hold_something(server, manager)
    server.inject = lambda endpoint, body: Failure("before", status=503) if endpoint == "exchange" else None
    killed = end(server, tmp_path, patience=0.0)
    assert not killed.is_flat
    assert "0.5 ETH" in killed.left
    assert not is_flat(server)


def test_a_flag_that_cannot_be_read_stops_all_the_same(tmp_path: Path) -> None:
    path = kill_file(tmp_path)
    assert flag_raised(path) is None
    path.parent.mkdir(parents=True)
    path.write_text("not JSON")
    assert flag_raised(path) is not None
    assert lower_flag(path)
    assert not lower_flag(path)
    path.mkdir()
    assert flag_raised(path) is not None


def test_a_second_shell_ends_it_and_a_person_rearms(
    server: LoopbackVenue, manager: OrderManager, tmp_path: Path
) -> None:
    """The command as a person types it, while this process holds the wallet's lock and the journal."""
    hold_something(server, manager)
    data = tmp_path / "data"
    told = {
        **os.environ,
        "QUANT_ORGANISM_VENUE__BASE_URL": server.url,
        "QUANT_ORGANISM_VENUE__ACCOUNT_ADDRESS": ADDRESS,
        "QUANT_ORGANISM_VENUE__PRIVATE_KEY": KEY,
        "QUANT_ORGANISM_DATA_DIR": str(data),
    }

    def typed(*words: str) -> tuple[int, dict[str, object]]:
        command = [PROGRAM, "trade", *words, "--json"]
        done = subprocess.run(command, env=told, cwd=tmp_path, capture_output=True, timeout=120)
        return done.returncode, json.loads(done.stdout)

    code, said = typed("kill", "--reason", "enough")
    assert (code, said["is_flat"], said["account"]) == (0, True, f"simulator {ADDRESS}")
    assert is_flat(server)
    flag = flag_raised(kill_file(data))
    assert flag is not None
    assert flag.reason == "enough"
    assert [typed("rearm"), typed("rearm")] == [(0, {"was_killed": True}), (0, {"was_killed": False})]
    assert flag_raised(kill_file(data)) is None
