"""Fixtures that every room's tests share."""

import gc
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# No deadline: how busy the machine is says nothing about a law. The same examples every time, so that a red suite
# speaks of the change, and 40 where a law names no number; `make laws` draws others, and 100.
settings.register_profile("same", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("fresh", deadline=None, print_blob=True)
settings.register_profile("mutants", deadline=None, database=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("same")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests, so that no worker is left with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector all that is imported and collected: it lives to the end of the session.

    Afterwards it looks as seldom as the program has it look.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        gc.enable()


def pytest_unconfigure() -> None:
    """Give it back: libraries look at the end for what nobody has freed."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared_market() -> Path:
    """Return the folder of real candles beside the checkout, or skip."""
    folder = REPOSITORY.parent / "shared" / "data" / "market"
    if not folder.is_dir():
        pytest.skip(f"real market data are not beside this checkout ({folder.name} not found)")
    return folder


@pytest.fixture(scope="session")
def shared_venue() -> Path:
    """Return the folder of recorded venue answers beside the checkout, or skip."""
    folder = REPOSITORY.parent / "shared" / "data" / "hyperliquid"
    if not folder.is_dir():
        pytest.skip(f"recorded venue answers are not beside this checkout ({folder.name} not found)")
    return folder
