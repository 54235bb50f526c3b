"""Faces of rooms that load late: each name that they promise is there, and looking at a face loads nothing heavy."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import quant_organism

PACKAGE = Path(quant_organism.__path__[0])
FACES = [
    module.name
    for module in pkgutil.walk_packages(quant_organism.__path__, "quant_organism.")
    if module.ispkg and hasattr(importlib.import_module(module.name), "_HOMES")
]
LIGHT = [
    "quant_organism.deployment",
    "quant_organism.evolution",
    "quant_organism.judge",
    "quant_organism.market",
    "quant_organism.monitoring",
    "quant_organism.resilience",
    "quant_organism.simulator",
    "quant_organism.trading.orders",
    "quant_organism.validation",
    "quant_organism.venue",
]
HEAVY = {
    "eth_account",
    "filelock",
    "hyperliquid",
    "matplotlib",
    "numba",
    "numpy",
    "polars",
    "pydantic",
    "requests",
    "scipy",
    "starlette",
    "websockets",
}

LATE = {"arch", "matplotlib", "pandas", "ray", "ribs", "scipy.signal", "scipy.stats", "sklearn", "vectorbt"}


def taken(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the modules that a source imports from, each with a name that it takes."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), alias.name) for alias in node.names)


def test_there_are_such_faces() -> None:
    assert set(LIGHT) <= set(FACES)


@pytest.mark.parametrize("name", FACES)
def test_every_promised_name_is_there_and_no_other(name: str) -> None:
    face = importlib.import_module(name)
    assert [promised for promised in face.__all__ if getattr(face, promised).__class__ is type(face)] == []
    assert set(face._HOMES) <= set(face.__all__)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = face.nothing_of_that_name


@pytest.mark.parametrize("name", FACES)
def test_a_name_is_loaded_from_where_readers_and_identities_take_it(name: str) -> None:
    face = importlib.import_module(name)
    said = {taken_name: module for module, taken_name in taken(Path(str(face.__file__))) if module.startswith(name)}
    assert said == {promised: f"{name}.{home}" for promised, home in face._HOMES.items()}


@pytest.mark.parametrize("name", FACES)
def test_inside_a_room_modules_import_each_other_and_not_the_face(name: str) -> None:
    face = importlib.import_module(name)
    folder = Path(str(face.__file__)).parent
    assert [
        (path.relative_to(PACKAGE).as_posix(), promised)
        for path in folder.rglob("*.py")
        for module, promised in taken(path)
        if module == name and promised in face._HOMES
    ] == []


@pytest.mark.parametrize("name", LIGHT)
def test_looking_at_a_face_loads_nothing_heavy(name: str) -> None:
    code = f"import sys, {name}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {module.split(".")[0] for module in loaded} & HEAVY == set()


def test_a_process_that_runs_jobs_loads_what_few_steps_need_with_those_steps() -> None:
    code = "import sys, quant_organism.orchestration.definitions, quant_organism.audit.campaign; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) & LATE == set()
