"""A search killed at any moment and resumed leaves the same bytes as one that nobody disturbed.

Two moments here; `KILLS=20` in the environment, as `make laws` sets it, tries twenty.
"""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from quant_organism_tests.program import Caller, start
from quant_organism_tests.tiny import write_world

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "2"))
SPEC = f"""\
families: [donchian_breakout, ema_crossover, rsi_filter, sma_trend_filter]
islands: 2
population: 12
generations: {8 * (KILLS + 1)}
migration_interval: 2
min_trades: 5
rates: adaptive
"""


def evolve(world: Path, spec: Path, data: Path, *more: str) -> tuple[str | Path, ...]:
    """Return the words of the command that searches."""
    return ("evolve", "--world", world, "--spec", spec, "--seed", "7", "--data-dir", data, "--threads", "1", *more)


def at_rest(data: Path) -> dict[str, bytes]:
    """Return all files but those of Dagster itself, by path."""
    found = {path.relative_to(data): path for path in data.rglob("*") if path.is_file()}
    return {
        str(name): path.read_bytes() for name, path in found.items() if name.parts[0] not in {"dagster_home", "logs"}
    }


def saved_generation(data: Path) -> int:
    """Return the generation that a search would go on from, -1 if there is none."""
    for state in (data / "checkpoints").rglob("state.json"):
        return int(json.loads(state.read_bytes())["body"]["generation"])
    return -1


def test_a_search_killed_at_random_moments_and_resumed_leaves_the_same_bytes(tmp_path, monkeypatch, capfd):
    world, spec = write_world(tmp_path), tmp_path / "spec.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    call = Caller(tmp_path, monkeypatch, capfd)
    assert call(*evolve(world, spec, undisturbed)).code == 0

    rng = np.random.default_rng(KILLS)
    for _ in range(KILLS):
        reached = saved_generation(killed) + rng.integers(1, 6)
        with start(*evolve(world, spec, killed, "--resume"), folder=tmp_path) as process:
            while saved_generation(killed) < reached and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            _, complained = process.communicate()
        assert process.returncode == -signal.SIGKILL, complained
        assert saved_generation(killed) >= reached
    assert call(*evolve(world, spec, killed, "--resume")).code == 0

    assert at_rest(killed) == at_rest(undisturbed)
    assert any("evolved_population" in name for name in at_rest(killed))
    assert saved_generation(killed) == -1
