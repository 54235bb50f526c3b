"""Killed at any moment, a writer leaves every document whole: the old or the new one, in exactly one folder."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from quant_organism.deployment.repository import StrategyRepository
from quant_organism_tests.deployment.documents import document, observation

PROLOGUE = """
import sys
from pathlib import Path
from quant_organism.deployment.repository import StrategyRepository
from quant_organism_tests.deployment.documents import document, observation

repository = StrategyRepository(Path(sys.argv[1]))
start = int(sys.argv[2])
"""
SAVER = (
    PROLOGUE
    + """
documents = [document(seed) for seed in range(20)]
for day in range(start, start + 10_000):
    documents = [config.observed(observation(day)) for config in documents]
    repository.save_many(documents)
    print(day, flush=True)
"""
)
ARCHIVER = (
    PROLOGUE
    + """
for seed in range(start, start + 10_000):
    config = document(seed)
    repository.save(config)
    print(config.id, flush=True)
    repository.archive(config.id, "lost money", at="2025-06-05")
"""
)


def run_and_kill(script: str, root, start: int, rng: np.random.Generator) -> list[str]:
    """Start a writer, kill it at a random moment after its first report, return all it reported."""
    command = [sys.executable, "-c", script, str(root), str(start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        reported = [writer.stdout.readline().strip()]
        time.sleep(rng.uniform(0.0, 0.15))
        writer.send_signal(signal.SIGKILL)
        reported += writer.stdout.read().split()
    assert writer.returncode == -signal.SIGKILL
    return reported


@pytest.mark.parametrize("attempt", range(4))
def test_a_killed_save_leaves_every_document_old_or_new(tmp_path, attempt):
    root = tmp_path / "strategies"
    reported = run_and_kill(SAVER, root, 1, np.random.default_rng(attempt))
    repository = StrategyRepository(root)
    loaded = repository.load_all()
    assert loaded.problems == ()
    assert {config.id for config in loaded.documents} == {document(seed).id for seed in range(20)}
    last = observation(int(reported[-1])).observed_at
    following = observation(int(reported[-1]) + 1).observed_at
    assert {config.performance[-1].observed_at for config in loaded.documents} <= {last, following}

    again = [document(seed).observed(observation(1)) for seed in range(20)]
    repository.save_many(again)
    assert {config.id: config for config in repository.load_all().documents} == {config.id: config for config in again}
    assert list(root.rglob("*.tmp")) == []


def test_a_killed_archiving_leaves_every_document_in_exactly_one_place(tmp_path):
    root = tmp_path / "strategies"
    rng = np.random.default_rng(0)
    known: list[str] = []
    for start in (0, 20_000, 40_000):
        known += run_and_kill(ARCHIVER, root, start, rng)
    repository = StrategyRepository(root)
    everything = repository.load_all(archived=True)
    assert everything.problems == ()
    assert {config.id for config in everything.documents} >= set(known)

    for config in repository.load_all().documents:
        repository.archive(config.id, "cleared away", at="2025-06-05")
    with repository.writing():  # whoever writes next clears away what a killed writer left
        pass
    assert list((root / "active").iterdir()) == []
    assert {config.id for config in repository.load_all(stage="retired").documents} >= set(known)
