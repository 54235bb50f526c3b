"""Faces of rooms that load late: each name that they promise is there, and looking at a face loads nothing heavy."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import quant_organism

FACES = [
    module.name
    for module in pkgutil.walk_packages(quant_organism.__path__, "quant_organism.")
    if module.ispkg and hasattr(importlib.import_module(module.name), "_HOMES")
]
HEAVY = {"eth_account", "hyperliquid", "numba", "numpy", "polars", "requests", "starlette", "websockets"}


def test_there_are_such_faces() -> None:
    assert {"quant_organism.venue", "quant_organism.simulator", "quant_organism.trading.orders"} <= set(FACES)


@pytest.mark.parametrize("name", FACES)
def test_every_promised_name_is_there_and_no_other(name: str) -> None:
    face = importlib.import_module(name)
    assert [promised for promised in face.__all__ if getattr(face, promised).__class__ is type(face)] == []
    assert set(face._HOMES) <= set(face.__all__)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = face.nothing_of_that_name


@pytest.mark.parametrize("name", ["quant_organism.venue", "quant_organism.simulator", "quant_organism.trading.orders"])
def test_looking_at_a_face_loads_nothing_heavy(name: str) -> None:
    code = f"import sys, {name}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {module.split(".")[0] for module in loaded} & HEAVY == set()
