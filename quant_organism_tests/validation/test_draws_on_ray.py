"""Draws made on Ray are those made here, come in order and are kept here, whatever is lost on the way."""

import os
import signal
import time
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path
from threading import Thread

import pytest

from quant_organism.backtest import Costs
from quant_organism.errors import IntegrityError, QuantOrganismError
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.validation.draws import DrawStore, Remembered, in_order
from quant_organism.validation.permutation import SearchOnNulls, search_significance
from quant_organism.validation.pretest import RandomStrategies, pretest
from quant_organism_tests.evolution.executors.nodes import OWNER, head_node, joined_node, kill
from quant_organism_tests.evolution.executors.processes import wait_until
from quant_organism_tests.panels import trending_panel

pytestmark = pytest.mark.slow

FAMILIES = ("donchian_breakout", "ema_crossover", "rsi_filter")


@dataclass(frozen=True)
class Squares:
    """Squares numbers, leaving a file for each try with the node it was on; some tries end the process.

    On the slow node every draw but the first takes two minutes.
    """

    folder: Path
    killed: tuple[int, ...] = ()
    kills: int = 1
    seconds: float = 0.0
    slow_node: str = "none"

    @property
    def identity(self) -> dict[str, str]:
        return {"killed": str(self.killed)}

    def __call__(self, number: int) -> dict[str, float]:
        tries = len(self.tried(number))
        (self.folder / f"{number}-{tries}-{os.environ.get(OWNER, 'here')}").touch()
        if number in self.killed and tries < self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(
            120.0
            if len(self.begun_on(self.slow_node)) > 1 and os.environ.get(OWNER) == self.slow_node
            else self.seconds
        )
        return {"squared": float(number * number)}

    def tried(self, number: int) -> list[Path]:
        return list(self.folder.glob(f"{number}-*"))

    def begun_on(self, node: str) -> list[str]:
        return [path.name.partition("-")[0] for path in self.folder.glob(f"*-{node}")]


@dataclass(frozen=True)
class ElsewhereOther(Squares):
    """Rests on something else in each process, as on a node with other code."""

    @property
    def identity(self) -> dict[str, str]:
        return {"code": str(os.getpid())}


SQUARES = [(number, {"squared": float(number * number)}) for number in range(7)]


def test_a_killed_worker_costs_its_draw_a_second_try_and_no_other(tmp_path: Path):
    make = Squares(tmp_path, killed=(0, 3))
    assert list(in_order(make, range(7), 2, "ray")) == SQUARES
    assert [len(make.tried(number)) for number in range(7)] == [2, 1, 1, 2, 1, 1, 1]


def test_a_draw_that_kills_its_worker_twice_is_named_and_the_others_are_kept(tmp_path: Path):
    make = Squares(tmp_path / "tries", killed=(4,), kills=9)
    make.folder.mkdir()
    store = DrawStore(tmp_path, "test", make.identity)
    with pytest.raises(QuantOrganismError, match="piece 4 failed, twice: its worker process was killed"):
        list(in_order(Remembered(make, store), range(7), 1, "ray"))
    assert [store.has(number) for number in range(7)] == [True] * 4 + [False] * 3
    sound = replace(make, kills=0)
    assert list(in_order(Remembered(sound, store), range(7), 2, "ray")) == SQUARES
    assert [len(make.tried(number)) for number in range(4)] == [1] * 4, "kept draws are not made again"


def test_a_node_where_the_work_rests_on_something_else_is_refused(tmp_path: Path):
    with pytest.raises(IntegrityError, match="code of the work is not what was sent"):
        list(in_order(ElsewhereOther(tmp_path), range(2), 1, "ray"))


def test_a_lost_node_costs_its_unfinished_draws_only(tmp_path: Path):
    make = Squares(tmp_path / "tries", seconds=0.5, slow_node="second")
    make.folder.mkdir()
    store = DrawStore(tmp_path, "test", make.identity)

    def lose_in_mid_draw() -> None:
        wait_until(lambda: len(make.begun_on("second")) == 2, seconds=180)  # it has made one and is at another
        kill(second)

    with head_node() as head, joined_node("second", head) as second:
        losing = Thread(target=lose_in_mid_draw)
        losing.start()
        # As many as it takes until a worker has started there and is lost, then some more.
        after = count()
        numbers = takewhile(lambda _: losing.is_alive() or next(after) < 8, range(400))
        came = list(in_order(Remembered(make, store), numbers, None, head.address))
        losing.join()
    assert came == [(number, {"squared": float(number * number)}) for number in range(len(came))]
    assert sorted(len(make.tried(number)) for number, _ in came) == [1] * (len(came) - 1) + [2]
    assert all(store.has(number) for number, _ in came)


def test_copies_of_pretest_and_of_significance_are_the_same_on_ray(tmp_path: Path):
    panel = trending_panel(days=100, drift=0.0015)
    spec = EvolutionSpec(
        families=FAMILIES, islands=2, population=10, generations=1, min_trades=5, champions=2, choice="pooled"
    )
    random = RandomStrategies(panel, FAMILIES, Costs(), threads=1, genomes=6, min_trades=5, seed=0)
    searched = SearchOnNulls(panel, spec, Costs(), threads=1, seed=0)
    here = DrawStore(tmp_path / "here", "search", searched.identity)
    there = DrawStore(tmp_path / "there", "search", searched.identity)
    assert pretest(random, draws=5, processes=2, executor="ray") == pretest(random, draws=5)
    search_significance(searched, draws=3, make=Remembered(searched, here))
    search_significance(searched, draws=3, make=Remembered(searched, there), processes=2, executor="ray")
    kept = sorted((tmp_path / "here").rglob("*.parquet"))
    assert len(kept) == 4
    for path in kept:
        assert (tmp_path / "there" / path.relative_to(tmp_path / "here")).read_bytes() == path.read_bytes()
