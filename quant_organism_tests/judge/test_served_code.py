"""Code of documents where orders are sent: another user's server runs it, and what fails is stopped alone."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from quant_organism.backtest.account import IOC
from quant_organism.deployment import ExternalStrategy, StrategyConfig, StrategyRepository
from quant_organism.errors import InputError
from quant_organism.judge import CodeServer, ServedRunner
from quant_organism.judge.code_wire import MARK, CodeReply
from quant_organism.market import Panel
from quant_organism.trading import LedgerReader
from quant_organism.trading.records import LedgerEvent, TradeDecision
from quant_organism_tests.judge.other_user import NOBODY, code_server, folder_of_nobody, listens, no_other_user, nobodys
from quant_organism_tests.judge.test_followed_code import (
    EVILS,
    HOSTILE,
    kept,
    orders,
    panel,
    replayed,
    repository,
    session_of,
    twin,
)
from quant_organism_tests.judge.test_three_ways import CHANNEL, COSTS
from quant_organism_tests.program import taking_ctrl_c, wait_until_idle
from quant_organism_tests.trading.sessions import START
from quant_organism_tests.trading.trader import eventually

__all__ = ["panel", "repository"]  # fixtures

as_root = pytest.mark.skipif(bool(no_other_user()), reason=no_other_user())

ANSWERS: Final = """
import socket, sys, time
said = open(sys.argv[2], "rb").read()
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1]); listener.listen()
held = []
while True:
    line, _ = listener.accept()
    line.settimeout(0.2)
    try:
        while line.recv(1 << 20):
            pass
    except OSError:
        pass
    try:
        line.sendall(b"" if said == b"wait" else said)
    except OSError:
        pass
    held = [line] if said == b"wait" else []
    line = None
"""
"""Listens, and answers every question with the bytes of a file, or never."""


@pytest.fixture
def served(repository: StrategyRepository) -> Iterator[ServedRunner]:
    with folder_of_nobody() as folder, code_server(folder) as (path, _), ServedRunner(repository, path) as runner:
        yield runner


@as_root
def test_code_of_another_user_sends_the_orders_of_its_family_twin(
    panel: Panel, repository: StrategyRepository, served: ServedRunner, tmp_path: Path
) -> None:
    bred = replayed(tmp_path / "bred", session_of(panel, served, twin(panel)), panel)
    code = replayed(tmp_path / "code", session_of(panel, served, kept(repository, panel, CHANNEL)), panel)
    sent = orders(tmp_path / "bred", bred, IOC)
    assert len(sent) > 10
    assert orders(tmp_path / "code", code, IOC) == sent


@as_root
def test_all_that_it_runs_is_of_the_other_user(panel: Panel, repository: StrategyRepository) -> None:
    code = external(kept(repository, panel, CHANNEL))
    with folder_of_nobody() as folder, code_server(folder) as (path, server), ServedRunner(repository, path) as runner:
        runner.ask(code, panel, COSTS)
        started = processes_of(server.pid)
        assert len(started) >= 2  # the walls, and the code behind them
        owners = {pid: Path(f"/proc/{pid}").stat().st_uid for pid in (server.pid, *started)}
        assert set(owners.values()) == {NOBODY}
        runner.close()
        assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


def processes_of(parent: int) -> list[int]:
    """Return the process numbers of all that a process has started."""
    own = [
        int(child)
        for thread in Path(f"/proc/{parent}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    return [*own, *(each for child in own for each in processes_of(child))]


@as_root
def test_what_fails_there_is_stopped_alone(
    panel: Panel, repository: StrategyRepository, served: ServedRunner, tmp_path: Path
) -> None:
    """A time-out among them; the bred strategy beside them trades on."""
    fails = [START + 24 * day for day in range(1, 1 + len(EVILS))]
    hostile = [
        kept(repository, panel, HOSTILE.format(good=good, evil=evil), seconds=1.0)
        for good, evil in zip(fails, EVILS, strict=True)
    ]
    replayed(tmp_path / "both", session_of(panel, served, bred := twin(panel), *hostile), panel)
    reader = LedgerReader(tmp_path / "both" / "ledger.sqlite")
    events, decided = reader.read(LedgerEvent, level="error"), reader.read(TradeDecision)
    reader.close()
    assert [event.close_ms for event in events] == [
        int(panel.times[row]) + panel.interval.milliseconds for row in fails
    ]
    for one, event, said in zip(hostile, events, EVILS.values(), strict=True):
        assert one.id in event.text
        assert said in event.text
        own = [each for each in decided if each.strategy == one.id]
        assert {each.kind for each in own if each.close_ms == event.close_ms} == {"exit"}
        assert max(each.close_ms for each in own) == event.close_ms
    assert sum(each.strategy == bred.id and each.close_ms > events[-1].close_ms for each in decided) > 5


@as_root
def test_a_changed_source_is_never_sent(panel: Panel, repository: StrategyRepository, served: ServedRunner) -> None:
    code = external(kept(repository, panel, CHANNEL))
    served.ask(code, panel, COSTS)
    path = repository.source_path(code.source)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(InputError, match="changed after it was judged"):
        served.ask(code, panel, COSTS)


@as_root
def test_a_server_that_was_started_anew_between_two_closes_is_asked_again(
    panel: Panel, repository: StrategyRepository
) -> None:
    code = external(kept(repository, panel, CHANNEL))
    with folder_of_nobody() as folder:
        with code_server(folder) as (path, first):
            runner = ServedRunner(repository, path)
            before = runner.ask(code, panel, COSTS).answer
            first.kill()
            first.wait()
        with pytest.raises(InputError, match=r"external_0_\w{8}, .*code.sock: the server of code is not there"):
            runner.ask(code, panel, COSTS)
        path.unlink()
        with code_server(folder):
            np.testing.assert_array_equal(runner.ask(code, panel, COSTS).answer, before)
        runner.close()


@as_root
def test_sources_lie_beside_the_socket_until_the_server_ends_or_is_begun_anew(
    panel: Panel, repository: StrategyRepository
) -> None:
    code = external(kept(repository, panel, CHANNEL))
    with taking_ctrl_c(), folder_of_nobody() as folder:
        with code_server(folder) as (path, server), ServedRunner(repository, path) as runner:
            runner.ask(code, panel, COSTS)
            server.kill()
            server.wait()
        assert sources_in(folder)
        with code_server(folder) as (path, server):
            assert not sources_in(folder)
            with ServedRunner(repository, path) as runner:
                runner.ask(code, panel, COSTS)
                assert sources_in(folder)
                server.send_signal(signal.SIGINT)
                assert server.wait(60) == 0
        assert {found.name for found in folder.iterdir()} <= {"cache", "interpreter"}


def sources_in(folder: Path) -> list[Path]:
    return list(folder.rglob("sources/*"))


@as_root
def test_ctrl_c_ends_a_server_and_its_socket_is_gone() -> None:
    with taking_ctrl_c(), folder_of_nobody() as folder, code_server(folder) as (path, process):
        wait_until_idle(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert not path.exists()


def reply(source: str, body: bytes, failed: str = "") -> bytes:
    head = CodeReply(source=source, failed=failed).model_dump_json().encode()
    return struct.pack("<4sIQ", MARK, len(head), len(body)) + head + body


@as_root
@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (lambda source, size: b"GET / HTTP/1.1\r\n\r\n" + bytes(99), "no message of this form"),
        (lambda source, size: struct.pack("<4sIQ", MARK, 2**31, 0), "or too long"),
        (lambda source, size: struct.pack("<4sIQ", MARK, 8, 2**60), "or too long"),
        (lambda source, size: struct.pack("<4sIQ", MARK, 8, 0) + b"[1, 2, 3]", "cannot be read"),
        (lambda source, size: reply("0" * 64, bytes(8 * size)), "ran another file"),
        (lambda source, size: reply(source, bytes(8 * size - 8)), "bytes for"),
        (lambda source, size: reply(source, np.full(size, np.nan).tobytes()), "not all within -1 and 1"),
        (lambda source, size: reply(source, b"", "bad\x1b[2Jnews"), r"bad \[2Jnews"),
        (lambda source, size: reply(source, bytes(8 * size))[:-4], "not there"),
        (lambda source, size: b"", "not there"),
        (lambda source, size: b"wait", "did not answer in time"),
    ],
)
def test_what_a_hostile_server_answers_is_refused_by_name(
    panel: Panel, repository: StrategyRepository, answer: Callable[[str, int], bytes], found: str
) -> None:
    code = external(kept(repository, panel, CHANNEL))
    said = answer(code.source, panel.n_bars * panel.n_assets)
    with folder_of_nobody() as folder:
        path, held = folder / "hostile.sock", folder / "answer"
        held.write_bytes(said)
        held.chmod(0o644)
        with nobodys(folder, sys.executable, "-I", "-S", "-c", ANSWERS, path, held) as process:
            listens(path, process)
            with ServedRunner(repository, path, question_seconds=3.0) as runner, pytest.raises(InputError, match=found):
                runner.ask(code, panel, COSTS)


@as_root
def test_all_code_of_a_close_waits_no_longer_than_a_plan_may(panel: Panel, repository: StrategyRepository) -> None:
    slow = "import time\nimport numpy as np\ndef signal(panel):\n    time.sleep(60)\n"
    codes = [external(kept(repository, panel, f"{slow}# {number}\n")) for number in range(2)]
    with folder_of_nobody() as folder, code_server(folder) as (path, _):
        runner = ServedRunner(repository, path, question_seconds=4.0, all_seconds=4.0)
        for code in codes:
            with pytest.raises(InputError, match="did not answer in time"):
                runner.ask(code, panel, COSTS)
        quick = external(kept(repository, panel, CHANNEL))
        with pytest.raises(InputError, match="did not answer in time"):  # the close's time is used up
            runner.ask(quick, panel, COSTS)
        runner.ask(quick, panel.window(0, panel.n_bars - 1), COSTS)
        runner.close()


@contextmanager
def listener(folder: Path) -> Iterator[Path]:
    path = folder / "own.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(path))
        made.listen()
        yield path


def test_a_server_of_the_same_user_is_refused(
    panel: Panel, repository: StrategyRepository, tmp_path_factory: pytest.TempPathFactory
) -> None:
    code = external(kept(repository, panel, CHANNEL))
    with (
        listener(tmp_path_factory.mktemp("s")) as path,
        ServedRunner(repository, path) as runner,
        pytest.raises(
            InputError, match=r"(?s)own\.sock: the server of code runs as the user who sends orders.*code-server"
        ),
    ):
        runner.ask(code, panel, COSTS)


@as_root
def test_a_socket_that_others_could_have_laid_there_is_refused(panel: Panel, repository: StrategyRepository) -> None:
    code = external(kept(repository, panel, CHANNEL))
    with folder_of_nobody() as folder, code_server(folder) as (path, _), ServedRunner(repository, path) as runner:
        folder.chmod(0o777)
        with pytest.raises(InputError, match="others than the server of code may write in the folder"):
            runner.ask(code, panel, COSTS)


@as_root
def test_the_server_answers_its_trader_alone(panel: Panel, repository: StrategyRepository) -> None:
    code = external(kept(repository, panel, CHANNEL))
    with (
        folder_of_nobody() as folder,
        code_server(folder, asker=1) as (path, _),
        ServedRunner(repository, path) as runner,
        pytest.raises(InputError, match="the server of code is not there"),
    ):
        runner.ask(code, panel, COSTS)


def test_the_server_runs_neither_as_root_nor_as_the_trader(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not run as (root|the user who sends orders)"):
        CodeServer(tmp_path / "code.sock", os.geteuid())
    assert not (tmp_path / "code.sock").exists()


def test_code_that_was_judged_without_walls_is_never_asked(
    panel: Panel, repository: StrategyRepository, tmp_path: Path
) -> None:
    trusted = external(kept(repository, panel, CHANNEL)).model_copy(update={"trusted": True})
    with pytest.raises(InputError, match="judged without walls"):
        ServedRunner(repository, tmp_path / "none.sock").ask(trusted, panel, COSTS)


def external(document: StrategyConfig) -> ExternalStrategy:
    assert document.external is not None
    return document.external
