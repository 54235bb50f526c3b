"""A strategy's process: what it may do, what it may not, and that every end of it is told of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quant_organism.errors import InputError
from quant_organism.judge import StrategySource
from quant_organism.judge.sandbox import ForbiddenFile, StrategyProcess
from quant_organism_tests.judge.conftest import FOLLOW, market, walls

shut_in = pytest.mark.skipif(bool(walls()), reason=f"no process can be shut in here: {walls()}")
Write = Callable[..., StrategySource]
PANEL = market(bars=240)


def ask(source: StrategySource) -> np.ndarray:
    with StrategyProcess(source) as process:
        process.show(PANEL)
        return process.answer({})


def test_targets_come_back_as_they_were_given(write: Write) -> None:
    targets = ask(write(FOLLOW))
    moved = np.zeros(PANEL.close.shape)
    moved[24:] = np.sign(PANEL.close[24:] - PANEL.close[:-24])
    np.testing.assert_array_equal(targets, moved)


def test_it_is_told_all_that_a_panel_holds(write: Write) -> None:
    source = write(
        """
        def signal(panel):
            assert panel.symbols == ("A0", "A1", "A2", "A3")
            assert panel.interval_hours == 1.0
            assert panel.times.dtype == "int64" and panel.valid.dtype == bool
            return panel.frame("close").pct_change().fillna(0.0).clip(-1, 1).to_numpy()
        """
    )
    assert ask(source).shape == PANEL.close.shape


def test_what_it_prints_is_no_answer(write: Write) -> None:
    assert not ask(write("def signal(panel):\n    print('T' * 100_000)\n    return 0.0 * panel.close\n")).any()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def signal(panel):\n    return 3", "shape"),
        ("def signal(panel):\n    return panel.close", "expected -1 to 1"),
        ("def signal(panel):\n    return panel.close * float('nan')", "say 0 where there is none"),
        ("def signal(panel):\n    raise KeyError('BTC')", "KeyError: 'BTC'"),
        ("def signals(panel):\n    return 0", "no function signal"),
        ("def signal(panel) return 0", "SyntaxError"),
        ("import os\ndef signal(panel):\n    os._exit(3)", "ended by itself or was killed"),
        ("import os\ndef signal(panel):\n    os.write(1, b'x' * 100)\n    import sys; sys.exit()", "SystemExit"),
        ("import socket\ndef signal(panel):\n    socket.create_connection(('1.1.1.1', 80))", "network"),
        ("import os\ndef signal(panel):\n    os.fork()", "starts a program"),
        ("import subprocess\ndef signal(panel):\n    subprocess.run(['ls'])", "starts a program"),
        ("import numpy as np\ndef signal(panel):\n    return np.ones(10**10)", "MB of memory"),
        ("def signal(panel):\n    open('more', 'wb').write(bytes(10**8))", "File too large"),
    ],
)
def test_what_goes_wrong_is_said(write: Write, text: str, found: str) -> None:
    with pytest.raises(InputError) as refused:
        ask(write(text))
    assert found in str(refused.value)
    assert "strategy.py" in str(refused.value)


def test_what_does_not_come_back_is_ended(write: Write) -> None:
    with pytest.raises(InputError, match="did not come back within 2 seconds"):
        ask(write("def signal(panel):\n    while True:\n        pass\n", seconds=2.0))


def test_the_line_of_an_error_is_named(write: Write) -> None:
    with pytest.raises(InputError) as refused:
        ask(write("def signal(panel):\n    x = 1\n    return x / 0\n"))
    assert str(refused.value.where).endswith("line 3")


def test_a_file_outside_of_the_panel_is_refused_by_name(write: Write) -> None:
    beside = Path(__file__)
    with pytest.raises(ForbiddenFile, match=r"test_sandbox\.py"):
        ask(write(f"def signal(panel):\n    open({str(beside)!r}).read()\n    return 0 * panel.close\n"))


@shut_in
def test_behind_the_walls_there_is_nothing(write: Write, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("the future")
    source = write(
        f"""
        import ctypes, os

        def signal(panel):
            c = ctypes.CDLL(None)
            assert not os.path.exists({str(tmp_path)!r}), "the strategy's folder"
            assert not os.path.exists({str(Path.home() / ".bashrc")!r}), "a home"
            assert not os.path.exists("/proc/1"), "processes"
            assert os.getpid() == 1, "a name space of its own"
            assert c.open(b"/usr/written", 0o101, 0o600) < 0, "the system can be written"
            assert c.socket(2, 1, 0) >= 0
            address = b"\\x02\\x00\\x00\\x50" + b"\\x01" * 4 + bytes(8)
            assert c.connect(c.socket(2, 1, 0), address, 16) < 0, "a network"
            assert c.mount(b"none", b"/usr", b"tmpfs", 0, None) < 0, "mounts"
            return 0 * panel.close
        """
    )
    assert not ask(source).any()


@shut_in
def test_threads_may_be_started_and_no_process(write: Write) -> None:
    source = write(
        """
        import ctypes, threading

        def signal(panel):
            c = ctypes.CDLL(None)
            assert c.fork() < 0 and c.vfork() < 0 and c.unshare(0) < 0
            thread = threading.Thread(target=lambda: None)
            thread.start()
            thread.join()
            return 0 * panel.close
        """
    )
    assert not ask(source).any()


def test_where_the_kernel_has_no_walls_it_is_refused_unless_trusted(write: Write, monkeypatch) -> None:
    if not walls():
        # The same refusal as on such a machine: the program that shuts itself in cannot.
        monkeypatch.setattr("quant_organism.judge.sandbox._SYSTEM", ("/usr", "/lib", "/nowhere"))
        monkeypatch.setattr("quant_organism.judge.sandbox.shown_of", lambda program: {"/nowhere": "/nowhere"})
    source = replace(write(FOLLOW), trusted=False)
    with pytest.raises(InputError, match="does not let a process be shut in") as refused:
        ask(source)
    assert "--trusted" in str(refused.value.remedy)
    assert ask(replace(source, trusted=True)).any()
