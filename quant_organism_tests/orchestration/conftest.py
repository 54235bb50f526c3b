"""Whole cycles on the tiny market: one to look at, and copies of its data to be changed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from quant_organism.orchestration.home import environment, open_instance
from quant_organism_tests.finished import data_of_an_earlier_day, finished_run
from quant_organism_tests.tiny import Workshop, settings

INGESTED = ("candles", "funding", "sentiment", "markets", "layout.json")
"""What lies in a lake before its first cycle."""


@contextmanager
def copied(data_dir: Path, folder: Path, *, world: Path | None = None, **market: Any) -> Iterator[Workshop]:
    """Give a copy of the data of cycles, to be changed, with an instance on which nothing has run."""
    shutil.copytree(data_dir, folder / "data", ignore=shutil.ignore_patterns("dagster_home", "logs"))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Workshop(settings(folder, world=world, **market), instance)


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    """Return definitions and an instance with nothing in them."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Workshop(settings(tmp_path), instance)


@pytest.fixture(scope="session")
def finished() -> Iterator[Workshop]:
    """Return definitions and an instance on which one cycle has run; look, do not touch."""
    run = finished_run()
    with pytest.MonkeyPatch.context() as here:
        for name in environment(run.data_dir):
            here.setenv(name, "")  # to be as it was when the instance is open
        instance = open_instance(run.data_dir)
    with instance:
        yield Workshop(settings(run.folder, world=run.world), instance)


@pytest.fixture
def ingested(finished: Workshop, tmp_path: Path) -> Iterator[Workshop]:
    """Return a workshop with the data of all days and no cycle, which may be changed."""
    with copied(finished.settings.data_dir, tmp_path) as workshop:
        lake = workshop.settings.data_dir / "lake"
        shutil.rmtree(workshop.settings.data_dir / "strategies")
        for made in [path for path in lake.iterdir() if path.is_dir() and path.name not in INGESTED]:
            shutil.rmtree(made)
        yield workshop


@pytest.fixture
def evolved(tmp_path: Path) -> Iterator[Workshop]:
    """Return a workshop with the cycle of an earlier day and no data after it, which may be changed."""
    with copied(data_of_an_earlier_day(), tmp_path) as workshop:
        yield workshop
