"""Places that the tests of this room share."""

from datetime import date
from pathlib import Path

import pytest

from quant_organism.market import Lake
from quant_organism.market.ingest import ingest
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import load_world
from quant_organism_tests.deployment.watching import HOUR, LAST, Place
from quant_organism_tests.tiny import FIRST, write_world


@pytest.fixture(scope="package")
def market(tmp_path_factory) -> tuple[Path, str]:
    """Return a lake with the candles of the tiny world up to `LAST`, and the market; look, do not touch."""
    return _ingested(tmp_path_factory.mktemp("marked"), LAST)


@pytest.fixture(scope="package")
def long_market(tmp_path_factory) -> tuple[Path, str]:
    """Return the same up to the world's end."""
    return _ingested(tmp_path_factory.mktemp("long"), date(2024, 4, 29))


@pytest.fixture
def place(tmp_path, market) -> Place:
    """Return two strategies that are watched in a lake of their own."""
    return Place(tmp_path, market)


def _ingested(folder: Path, last: date) -> tuple[Path, str]:
    source = WorldSource(load_world(str(write_world(folder))))
    ingest(source, Lake(folder / "lake"), HOUR, FIRST, last)
    return folder / "lake", source.market
