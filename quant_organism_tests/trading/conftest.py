"""A venue on loopback, and a manager of its account with a clean journal."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from quant_organism.trading.orders import OrderManager, reconcile
from quant_organism_tests.simulator.loopback import LoopbackVenue, serving
from quant_organism_tests.trading.trader import ADDRESS, close, open_manager


@pytest.fixture
def server() -> Iterator[LoopbackVenue]:
    """Serve a venue."""
    with serving(ADDRESS) as venue:
        yield venue


@pytest.fixture
def manager(server: LoopbackVenue, tmp_path: Path) -> Iterator[OrderManager]:
    """Start with a clean journal."""
    found = open_manager(server.url, tmp_path)
    assert reconcile(found).is_clean
    yield found
    with contextlib.suppress(OSError):  # closed by the test
        close(found)
