"""The journal's file: whole or refused, written by one process, read by its owner alone, and not needed to get out."""

import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import BusyError, IntegrityError, StorageError
from quant_organism.trading.orders import Journal, OrderManager, cancel_all, cloid_of, flatten, reconcile
from quant_organism.venue import connect, wallet_of
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.chaos.disk import full_disk
from quant_organism_tests.simulator.loopback import LoopbackVenue
from quant_organism_tests.trading.trader import ADDRESS, KEY, bracket, close, new_order, open_manager, spec

ACCOUNT = f"simulator {ADDRESS}"


def no_wait(_: float) -> None:
    """Let the next try follow at once."""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Write a journal of some pages."""
    path = tmp_path / "ledger.sqlite"
    journal = Journal(path, ACCOUNT)
    for number in range(300):
        name = f"d{number}"
        journal.begin_placing([new_order(name)], name, number, ADDRESS, number)
    journal.close()
    return path


def spoil(path: Path, first: float, last: float, filling: bytes) -> None:
    """Overwrite a part of a file, by its shares."""
    content = bytearray(path.read_bytes())
    begin, end = (int(len(content) * share) // 4096 * 4096 for share in (first, last))
    content[begin:end] = filling * (end - begin)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("first", "last", "filling"),
    [(0.5, 1.0, b"\0"), (0.4, 0.6, b"\xff"), (0.2, 0.4, b"\0"), (0.0, 0.1, b"\0")],
    ids=["zeroed tail", "damaged middle", "zeroed middle", "zeroed head"],
)
def test_a_damaged_journal_is_not_opened(written: Path, first: float, last: float, filling: bytes) -> None:
    spoil(written, first, last, filling)
    with pytest.raises(IntegrityError, match=r"journal|damaged") as caught:
        Journal(written, ACCOUNT)
    assert "away" not in str(caught.value)
    assert "what the venue knows is taken from there" in str(caught.value)


def test_a_journal_that_was_cut_off_is_not_opened(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:20_000])
    with pytest.raises(IntegrityError):
        Journal(written, ACCOUNT)


def hold(path: Path, held: Any, done: Any) -> None:
    """Keep a journal open."""
    Journal(path, ACCOUNT)
    held.set()
    done.wait(120)


def test_one_process_writes_a_journal_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    context, path = multiprocessing.get_context("spawn"), tmp_path / "ledger.sqlite"
    held, done = context.Event(), context.Event()
    child = context.Process(target=hold, args=(path, held, done), daemon=True)
    child.start()
    assert held.wait(60)
    with pytest.raises(BusyError, match="another process writes"):
        Journal(path, ACCOUNT)
    child.kill()
    child.join(30)
    assert child.exitcode == -9
    Journal(path, ACCOUNT).close()
    Journal(path, ACCOUNT).close()


def test_nobody_but_its_owner_reads_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.touch(0o644)
    journal = Journal(path, ACCOUNT)
    journal.begin_placing([new_order("d")], "d", 1, ADDRESS, 1)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    journal.close()


def test_with_a_full_disk_everything_can_be_closed(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", bracket("d"), grouping="normalTpsl")
    manager.place("e", [new_order("e"), new_order("e", leg="x", coin="DOGE", px="0.21", sz="500")])
    with full_disk():
        assert manager.cancel([cloid_of("e")])[0].state == "canceled"
        (record,) = manager.place("out", [new_order("out", px="1990", sz="0.01", is_buy=False, reduce_only=True)])
        assert record.state == "filled"
        flatten(manager, "stop now", sleep=no_wait)
    assert server.positions() == {}
    assert server.account.open_oids == {}


def test_with_a_full_disk_nothing_is_opened(server: LoopbackVenue, manager: OrderManager) -> None:
    with full_disk():
        with pytest.raises(StorageError, match="cannot be written"):
            manager.place("d", [new_order("d")])
        with pytest.raises(StorageError):
            manager.place("e", [new_order("e")])
    assert server.orders() == []


def test_what_was_done_while_the_disk_was_full_is_written_when_it_is_not(
    server: LoopbackVenue, manager: OrderManager, tmp_path: Path
) -> None:
    manager.place("d", [new_order("d", px="2010"), new_order("d", leg="rest")])
    with full_disk():
        flatten(manager, "stop now", sleep=no_wait)
        assert not reconcile(manager).is_clean  # what is known is in memory only
    assert reconcile(manager).is_clean
    manager.place("e", [new_order("e")])
    check_journal_is_venue(manager, server.venue, server.account)
    close(manager)
    again = open_manager(server.url, tmp_path)
    assert again.journal.failure is None
    assert again.journal.positions() == {}
    assert {record.state for record in again.journal.orders()} == {"filled", "canceled", "open"}
    assert reconcile(again).is_clean
    again.journal.close()


def test_a_process_that_starts_with_a_full_disk_can_close_everything(server: LoopbackVenue, tmp_path: Path) -> None:
    first = open_manager(server.url, tmp_path)
    reconcile(first)
    first.place("d", [new_order("d", px="2010"), new_order("d", leg="rest")])
    close(first)
    with full_disk():
        for folder in (tmp_path, tmp_path / "new"):
            second = open_manager(server.url, folder)
            flatten(second, f"stop {folder.name}", sleep=no_wait)
            close(second)
    assert server.positions() == {}
    assert server.account.open_oids == {}


def test_the_watchdog_needs_no_disk(server: LoopbackVenue, manager: OrderManager, tmp_path: Path) -> None:
    manager.place("d", [new_order("d", leg=str(leg)) for leg in range(3)])
    close(manager)
    with full_disk():
        for folder in (tmp_path / "signers", tmp_path / "new"):
            venue = connect(spec(server.url), wallet_of(KEY), folder)
            assert cancel_all(venue, sleep=no_wait)
            venue.close()
    assert server.account.open_oids == {}
