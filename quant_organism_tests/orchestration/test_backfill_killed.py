"""Weeks lived through that were killed at any moment and gone on with leave the bytes of those that nobody disturbed.

Two moments here; `KILLS=60` in the environment tries sixty, in as many weeks as there are days for.
"""

import os
import signal
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_organism.market import TIMESTAMP, encode
from quant_organism.validation.tables import OpeningTable
from quant_organism_tests.program import Caller, start
from quant_organism_tests.tiny import LAST, write_world

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "2"))
WEEKS = 2 if KILLS < 10 else 5
_MOST_SECONDS = 0.3
MARKET = [("lake", "candles"), ("lake", "funding"), ("lake", "sentiment")]
"""What is there before the first week is lived through; one of the moments falls into it."""


def backfill(world: Path, data: Path) -> tuple[str | Path, ...]:
    """Return the words of the command that lives through the weeks."""
    first: date = LAST - timedelta(days=7 * (WEEKS - 1))
    span = ("--from", first.isoformat(), "--to", LAST.isoformat(), "--data-dir", data)
    how = (
        "--interval",
        "4h",
        "--profile",
        "smoke",
        "--families",
        "ema_crossover,donchian_breakout",
        "--gates",
        "light",
    )
    return ("backfill", "--world", world, *how, *span)


def files(data: Path) -> list[Path]:
    """Return all files but those of Dagster itself."""
    found: list[Path] = []
    for folder, beneath, names in os.walk(data):
        if folder == str(data):
            beneath[:] = set(beneath) - {"dagster_home", "logs"}
        found += [Path(folder, name) for name in names]
    return found


def at_rest(data: Path) -> dict[str, bytes]:
    """Return what these files hold, by path; of looks not when the machine's clock said they were taken."""
    return {str(path.relative_to(data)): _content(path) for path in files(data)}


def _content(path: Path) -> bytes:
    if f"/{OpeningTable.dataset}/" not in str(path):
        return path.read_bytes()
    frame = pl.read_parquet(path, hive_partitioning=False)
    return encode(OpeningTable, frame.with_columns(pl.lit(0).cast(TIMESTAMP).alias(OpeningTable.recorded_at)))


def test_weeks_killed_at_random_moments_and_gone_on_with_leave_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    world, undisturbed, killed = write_world(tmp_path), tmp_path / "undisturbed", tmp_path / "killed"
    call = Caller(tmp_path, monkeypatch, capfd)
    assert call(*backfill(world, undisturbed)).code == 0
    whole = files(undisturbed)
    market = sum(path.relative_to(undisturbed).parts[:2] in MARKET for path in whole)

    rng = np.random.default_rng(KILLS)
    moments = [int(rng.integers(1, market)), *sorted(rng.integers(market, len(whole), KILLS - 1).tolist())]
    for moment in moments:
        with start(*backfill(world, killed), folder=tmp_path) as process:
            while len(files(killed)) < moment and process.poll() is None:
                time.sleep(0.05)  # a look over all files costs milliseconds itself
            time.sleep(rng.uniform(0.0, _MOST_SECONDS))
            process.send_signal(signal.SIGKILL)
            _, complained = process.communicate()
        assert process.returncode == -signal.SIGKILL, complained
    said = call(*backfill(world, killed))
    assert said.code == 0, said.err

    assert at_rest(killed) == at_rest(undisturbed)
    assert sum("evolved_population" in name for name in at_rest(killed)) == WEEKS
