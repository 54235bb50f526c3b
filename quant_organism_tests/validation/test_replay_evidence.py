"""What gates read of replays is the same wherever its pieces are made, whatever is lost on the way, and made once."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from quant_organism.validation.case import Case, Grounds
from quant_organism.validation.draws import in_order
from quant_organism.validation.replay import Replay
from quant_organism.validation.replay_evidence import ReplayPieces, decisions_of, make_replays, replay_of
from quant_organism.validation.replay_store import MemberReplay, ReplayStore
from quant_organism_tests.chain import edge, grounds_of
from quant_organism_tests.evolution.executors.processes import wait_until


def fresh(**changes: object) -> Grounds:
    """Return grounds that have opened the unseen days for their candidate and replayed nothing yet."""
    found = edge()
    grounds = grounds_of(found.search.candidates, found.panel, found.splits, trials=found.search.search.trials)
    grounds = replace(grounds, **changes)
    grounds.admit(grounds.candidates)
    return grounds


def evidence(grounds: Grounds) -> tuple[object, ...]:
    """Return all that gates read of the replays of the candidate, made in one go."""
    make_replays(grounds, grounds.candidates, ["minimal"], decisions=True)
    case = Case(grounds.candidates[0], grounds)
    found = replay_of(case, "minimal")
    assert isinstance(found, Replay)
    return decisions_of(case), found.trade_hash, found.order_hash, found.accounts, found.sharpe, found.total_return


def pieces_of(grounds: Grounds) -> ReplayPieces:
    """Return a proof and a replay for each of the candidate's members."""
    members, splits = grounds.candidates[0].committee.members, grounds.splits
    return ReplayPieces(
        grounds.replayable,
        grounds.costs,
        tuple(member.genome for member in members),
        (splits.in_sample.stop,),
        tuple((member, (splits.walk_forward,)) for member in members),
    )


def test_one_process_and_two_make_the_same() -> None:
    assert evidence(fresh(processes=2)) == evidence(fresh())


def test_a_lost_process_costs_its_pieces_and_changes_nothing() -> None:
    others: list[int] = []

    def kill_one() -> None:
        wait_until(lambda: bool(multiprocessing.active_children()))
        others.append(multiprocessing.active_children()[0].pid or 0)
        os.kill(others[0], signal.SIGKILL)

    killing = Thread(target=kill_one)
    killing.start()
    found = evidence(fresh(processes=2))
    killing.join()
    assert others
    assert found == evidence(fresh())


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    grounds = fresh(replays=ReplayStore(tmp_path))
    members = len({member.key for member in grounds.candidates[0].committee.members})
    told: list[tuple[int, int]] = []
    made = make_replays(
        grounds, grounds.candidates, ["minimal"], decisions=True, progress=lambda *step: told.append(step)
    )
    assert told == [(piece + 1, made) for piece in range(made)]
    genomes = {member.genome.hash for member in grounds.candidates[0].committee.members}
    assert made == len(genomes) + members, "a proof of each genome, and a replay of each member"
    assert make_replays(grounds, grounds.candidates, ["minimal"], decisions=True) == 0
    assert make_replays(fresh(replays=ReplayStore(tmp_path)), grounds.candidates, ["minimal"]) == 0


@pytest.mark.slow
def test_pieces_are_the_same_on_ray() -> None:
    pieces = pieces_of(fresh())
    there = [made for _, made in in_order(pieces, range(len(pieces)), 2, "ray")]
    here = [made for _, made in in_order(pieces, range(len(pieces)), 1)]
    proofs = len(pieces.genomes)
    assert there[:proofs] == here[:proofs]
    for one, other in zip(there[proofs:], here[proofs:], strict=True):
        assert isinstance(one, MemberReplay)
        assert isinstance(other, MemberReplay)
        assert [part.trade_hash for part in one.periods] == [part.trade_hash for part in other.periods]
        assert [part.returns.tolist() for part in one.periods] == [part.returns.tolist() for part in other.periods]
