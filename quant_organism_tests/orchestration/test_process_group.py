"""A group of processes ends as a whole: what is at work is waited for, the rest interrupted, what stays is killed."""

import subprocess
import sys
from pathlib import Path

from quant_organism.orchestration.process_group import end_group, members

LEADER = "{program} & echo $!"
"""A shell that starts something, says what, and ends before it."""
LISTENING = (
    "import signal, time; signal.signal(signal.SIGINT, signal.{handler}); print(0, flush=True); time.sleep({seconds})"
)


def left_behind(seconds: float, *, handler: str = "SIG_IGN") -> tuple[int, int]:
    """Return a group and its only process, whose leader has ended, once it takes the signal of Ctrl-C in its way."""
    program = f"{sys.executable} -c '{LISTENING.format(handler=handler, seconds=seconds)}'"
    with subprocess.Popen(
        ["sh", "-c", LEADER.format(program=program)], stdout=subprocess.PIPE, text=True, process_group=0
    ) as leader:
        assert leader.stdout is not None
        said = sorted(int(leader.stdout.readline()) for _ in range(2))
        leader.wait()
    return leader.pid, said[1]


def test_what_a_leader_left_behind_is_interrupted() -> None:
    group, child = left_behind(600.0, handler="SIG_DFL")
    assert members(group) == [child]
    assert end_group(group, 60.0) == []
    assert members(group) == []


def test_what_has_something_to_finish_is_waited_for_and_not_interrupted_once_more(tmp_path: Path) -> None:
    finishing = f"sleep 1; touch {tmp_path / 'finished'}"
    with subprocess.Popen(["sh", "-c", f"trap - INT; {finishing}"], process_group=0) as process:
        assert end_group(process.pid, 60.0, under_way=[process.pid]) == []
    assert (tmp_path / "finished").exists()


def test_what_does_not_end_is_killed() -> None:
    group, child = left_behind(600.0)
    assert end_group(group, 0.0) == [child]
    assert end_group(group, 60.0) == []
