"""One whole cycle on an ephemeral instance, shared by the tests that only look at it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from quant_organism_tests.tiny import Workshop, settings


@contextmanager
def copied(workshop: Workshop, folder: Path) -> Iterator[Workshop]:
    """Give a copy of a workshop's data, to be changed, with an instance on which nothing has run."""
    shutil.copytree(workshop.settings.data_dir, folder / "data")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Workshop(settings(folder), instance)


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    """Return definitions and an instance with nothing in them."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Workshop(settings(tmp_path), instance)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Return definitions and an instance on which one cycle has run; look, do not touch."""
    with dg.DagsterInstance.ephemeral() as instance:
        workshop = Workshop(settings(tmp_path_factory.mktemp("finished")), instance)
        assert workshop.ingest().success
        assert workshop.cycle().success
        yield workshop
