"""A group of processes ends as a whole: what its leader has started is waited for, and what does not end is killed."""

import subprocess

from quant_organism.orchestration.process_group import end_group, members

LEADER = "sleep {seconds} & echo $!"
"""A shell that starts something, says what, and ends before it."""


def left_behind(seconds: float) -> tuple[int, int]:
    """Return a group and its only process, whose leader has ended."""
    with subprocess.Popen(
        ["sh", "-c", LEADER.format(seconds=seconds)], stdout=subprocess.PIPE, text=True, process_group=0
    ) as leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
        leader.wait()
    return leader.pid, child


def test_what_a_leader_left_behind_is_waited_for() -> None:
    group, child = left_behind(1.0)
    assert members(group) == [child]
    assert end_group(group, 60.0) == []
    assert members(group) == []


def test_what_does_not_end_is_killed() -> None:
    group, child = left_behind(600.0)
    assert end_group(group, 0.0) == [child]
    assert end_group(group, 60.0) == []
