"""The rehearsal of faults, small: what `make chaos` does by the thousand must hold by the dozen at every change."""

from dataclasses import replace
from pathlib import Path

import pytest

from quant_organism_tests.chaos import seeds
from quant_organism_tests.chaos.__main__ import main
from quant_organism_tests.chaos.breakers import BREAKAGES, run_breakers
from quant_organism_tests.chaos.catalogue import CATALOGUE
from quant_organism_tests.chaos.kills import run_kills
from quant_organism_tests.chaos.line import run_line
from quant_organism_tests.chaos.plans import SESSION_KINDS, STREAM_KINDS
from quant_organism_tests.chaos.seeds import SeedResult, run_seed
from quant_organism_tests.chaos.session import open_session, run_session
from quant_organism_tests.chaos.soak import SoakCount, SoakSample, run_soak

SEED = 7


def nothing(_: str) -> None:
    """Take no note of how far it is."""


@pytest.mark.slow
def test_a_session_in_which_everything_fails_ends_flat_and_agreed(tmp_path: Path) -> None:
    count = run_session(SEED, tmp_path, 200, nothing, rounds=4, parts=8)
    assert set(count.faults) == SESSION_KINDS
    assert count.faults.total() >= 200
    assert min(count.orders, count.fills, count.settled, count.new_agents) >= 4
    assert count.full_disks == count.parts == count.lost_journals + 1


def test_a_trader_whose_agent_is_revoked_while_it_connects_gets_another(tmp_path: Path) -> None:
    """The venue is out at first; when it is back, the agent that began to connect is gone."""
    with open_session(SEED, tmp_path) as session:
        trader = next(trader for trader in session.traders if trader.uses_agent)
        session.heal(trader)
        before = trader.wallet.address
        outage = {"endpoint": "info", "count": None, "options": {"status": 503}, "duration_ms": 15_000}
        session.admin("faults", {"kind": "http_status", **outage})
        session.admin("faults", {"kind": "revoke_agents", "user": trader.address, "after_ms": 5_000})
        manager = session.opened(trader)
        assert manager.venue.signer == trader.wallet.address != before


@pytest.mark.slow
def test_no_bar_and_no_fill_is_lost_or_altered_when_the_line_is_cut(tmp_path: Path) -> None:
    count = run_line(SEED, tmp_path, 40, nothing)
    assert count.disconnects.total() >= 40
    assert set(count.faults) <= STREAM_KINDS
    assert min(count.bars.total(), count.fills) > 0  # on a busy machine every bar has to be asked for


@pytest.mark.slow
def test_a_trader_killed_at_any_moment_is_taken_up_again(tmp_path: Path) -> None:
    count = run_kills(SEED, tmp_path, 5, nothing)
    assert count.kills == 5


@pytest.mark.slow
def test_a_whole_trader_keeps_the_venues_books_while_answers_are_lost(tmp_path: Path) -> None:
    count = run_soak(SEED, tmp_path, 2, 3, nothing, faulty=True)
    assert len(count.samples) == 2
    assert min(count.decisions, count.orders, count.fills) > 0
    assert not count.is_flat  # two closes do not tell


def test_what_grows_is_not_flat() -> None:
    level = SoakSample(300.0, 11, 20, 42)
    assert SoakCount([level] * 8).is_flat
    for field, more in (("resident_mb", 308.5), ("threads", 14), ("sockets", 25), ("files", 47)):
        assert not SoakCount([level] * 7 + [replace(level, **{field: more})]).is_flat


@pytest.mark.slow
def test_every_circuit_breaker_opens_and_closes(tmp_path: Path) -> None:
    moves = run_breakers(SEED, tmp_path, len(BREAKAGES))
    assert {name for name, state in moves if state == "open"} == {"info", "exchange"}
    assert {moves[name, state] for name in ("info", "exchange") for state in ("open", "closed")} == {len(BREAKAGES)}


@pytest.mark.slow
def test_a_seed_of_the_catalogue_breaks_no_rule(tmp_path: Path) -> None:
    result = run_seed(77, tmp_path, faults=30, orders=1_200)
    assert result.broken is None
    assert result.staged == len(CATALOGUE) + 1
    assert sum(result.faults.values()) >= 30


def test_seeds_that_have_a_result_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[int] = []

    def one(seed: int, folder: Path) -> SeedResult:
        run.append(seed)
        if len(run) == 3:
            raise KeyboardInterrupt
        return SeedResult(seed, {"halt": seed}, broken="a rule" if seed == 2 else None)

    monkeypatch.setattr(seeds, "run_seed", one)
    with pytest.raises(KeyboardInterrupt):
        seeds.run_seeds(range(1, 5), tmp_path, nothing)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes() + b'{"seed": 3, "fau')  # cut short while it was written
    results = seeds.run_seeds(range(1, 5), tmp_path, nothing)
    assert run == [1, 2, 3, 3, 4]
    assert [(result.seed, result.broken) for result in results] == [(1, None), (2, "a rule"), (3, None), (4, None)]
    assert seeds.strikes(results)["halt"] == 10
    assert ("BROKEN, seed 2", "a rule") in seeds.summary(results)


def test_a_part_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
