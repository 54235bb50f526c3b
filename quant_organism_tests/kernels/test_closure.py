"""What binds a result to code: every source that computes it, and no other."""

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from quant_organism.backtest import Costs
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.kernels.closure import PACKAGE_FOLDER, closure, code_digest, code_identity, source_of
from quant_organism.market.splits import Span
from quant_organism.strategies import Committee, default_genome, family_names, get_family
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.permutation import SearchOnNulls
from quant_organism.validation.replay import Replayer
from quant_organism_tests.chain import RULES
from quant_organism_tests.panels import trending_panel

SEARCH = "quant_organism.evolution.cycle"
LUCK = "quant_organism.validation.permutation"
GATES = "quant_organism.validation.gauntlet"
REPLAY = "quant_organism.validation.replay"


def file_of(module: str) -> Path:
    """Return the file of a module, or the face of a package."""
    path = PACKAGE_FOLDER.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def rooms(*modules: str) -> set[str]:
    """Return the rooms that a closure reaches into."""
    return {path.relative_to(PACKAGE_FOLDER).parts[0] for path in closure(modules)}


def parsed_imports(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield what statements of the package import, as Python's own parser sees it."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from ((str(node.module), alias.name) for alias in node.names)
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            if not (for_types and part == "body"):
                yield from parsed_imports(getattr(node, part, []))


def test_imports_found_by_their_lines_are_those_that_the_parser_sees():
    for path in PACKAGE_FOLDER.rglob("*.py"):
        seen = {taken for taken in parsed_imports(ast.parse(path.read_bytes()).body) if taken[0].startswith("quant_")}
        assert {taken for taken in source_of(path).taken if taken[1] != "*"} == seen, path


def test_each_room_is_reached_from_above_only():
    assert rooms(SEARCH) <= {"backtest", "errors.py", "evolution", "kernels", "market", "resilience", "strategies"}
    assert rooms(GATES, REPLAY, LUCK) == rooms(SEARCH) | {"validation"}


def test_a_name_of_a_face_leads_to_where_it_is_defined_and_the_face_does_not_count():
    reached = closure([SEARCH])
    assert file_of("quant_organism.backtest.evaluator") in reached  # the face loads it when it is asked for
    assert file_of("quant_organism.backtest.stream") not in reached
    assert file_of("quant_organism.backtest") not in reached
    assert file_of("quant_organism.strategies") not in reached


def test_no_face_of_a_room_counts_in_what_results_are_bound_to():
    faces = {room / "__init__.py" for room in PACKAGE_FOLDER.iterdir()}
    assert faces & set(closure([SEARCH, GATES, REPLAY, LUCK])) == set()


def test_every_family_is_in_the_closure_of_what_measures_strategies():
    reached = closure(["quant_organism.backtest.evaluator"])
    for name in family_names():
        assert file_of(type(get_family(name)).__module__) in reached, name


def test_every_gate_is_in_the_closure_of_what_judges():
    reached, kinds = closure([GATES]), list(Gate.__subclasses__())
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if kind.__module__.startswith("quant_organism."):
            assert file_of(kind.__module__) in reached, kind


def test_an_unknown_module_is_refused():
    with pytest.raises(ModuleNotFoundError, match=r"no module quant_organism\.nowhere"):
        code_digest("quant_organism.nowhere")


def test_an_identity_names_the_versions_that_numbers_come_from():
    assert code_identity(SEARCH).startswith(code_digest(SEARCH)[:16])
    assert "numba " in code_identity(SEARCH)
    assert len({code_identity(module) for module in (SEARCH, GATES, REPLAY, LUCK)}) == 4


def files_run_by(work: Callable[[], object]) -> set[Path]:
    """Return the package's files whose functions are called while something runs, in any thread."""
    called: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            called.add(frame.f_code.co_filename)

    work()  # kernels are compiled now, unwatched
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {path for path in map(Path, called) if path.is_relative_to(PACKAGE_FOLDER)}


def test_all_that_a_search_runs_is_in_its_closure():
    spec = EvolutionSpec(families=RULES, islands=2, population=8, generations=1, min_trades=5, champions=2)
    search = SearchOnNulls(trending_panel(days=100), spec, Costs(), threads=2, seed=0)
    run = files_run_by(lambda: search(1))
    assert run - {file_of("quant_organism.backtest")} <= set(closure([LUCK]))
    assert file_of(SEARCH.replace("cycle", "search")) in run


def test_all_that_a_replay_runs_is_in_its_closure():
    panel = trending_panel(days=100)
    members = Committee.of([default_genome(name) for name in family_names() if get_family(name).evolves]).members
    periods = (Span("period 1", 2000, 2200),)
    replayer = Replayer(tuple((member, periods) for member in members), panel, Costs())
    run = files_run_by(lambda: [replayer(number) for number in range(len(members))])
    assert run - {file_of("quant_organism.backtest")} <= set(closure([REPLAY]))
    assert file_of("quant_organism.backtest.sleeve_walk") in run


LOOK = """
import json, sys
from pathlib import Path
from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.kernels.closure import code_identity
from quant_organism.market.splits import split
from quant_organism.strategies import Committee, default_genome
from quant_organism.validation.case import Grounds
from quant_organism.validation.draws import DrawStore
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.permutation import SearchOnNulls
from quant_organism.validation.replay import Replayer
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism_tests.panels import trending_panel

folder, panel = Path(sys.argv[1]), trending_panel()
candidate = Candidate(Committee.of([default_genome("ema_crossover")]), "champion")
grounds = Grounds(
    panel=panel, splits=split(panel.n_bars, panel.interval), costs=Costs(), evaluator=Evaluator(threads=1),
    register=HoldoutRegister(folder), reason="to see", seed=0, candidates=(candidate,), read_trials=None,
    find_significance=None, pretest=NotRun("not asked for"),
)
grounds.admit([candidate])
draws = DrawStore(folder, "search", SearchOnNulls(panel, EvolutionSpec(), Costs(), threads=1, seed=0).identity)
kept = draws.read(1) is not None
draws.write(1, {"committee": 1.0})
print(json.dumps({
    "package": sys.modules["quant_organism"].__file__,
    "opening": grounds.opening.number,
    "rerun": grounds.opening.rerun,
    "kept": kept,
    "search": code_identity("quant_organism.evolution.cycle"),
    "replay": Replayer(((candidate.committee.members[0], ()),), panel, Costs()).identity(0),
}))
"""


def test_code_outside_the_closure_leaves_looks_and_kept_work_as_they_are_and_code_inside_does_not(tmp_path):
    copy = tmp_path / "copy" / PACKAGE_FOLDER.name
    shutil.copytree(PACKAGE_FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    tests = PACKAGE_FOLDER.parent

    def look() -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", LOOK, str(tmp_path / "lake")],
            env={**os.environ, "PYTHONPATH": f"{copy.parent}{os.pathsep}{tests}"},
            cwd=tmp_path,
            capture_output=True,
            check=True,
            text=True,
        )
        told: dict[str, Any] = json.loads(done.stdout)
        assert Path(told.pop("package")).parent == copy
        return told

    def comment(place: str) -> None:
        with (copy / place).open("a", encoding="utf-8") as source:
            source.write("# A remark.\n")

    first = look()
    assert (first["opening"], first["rerun"], first["kept"]) == (1, 0, False)
    comment("cli/run.py")
    comment("monitoring/report.py")
    comment("evolution/comparison.py")  # what is taken from the face of its room does not need it
    comment("evolution/__init__.py")
    comment("validation/__init__.py")
    assert look() == first | {"kept": True}
    comment("backtest/kernel.py")
    other = look()
    assert (other["opening"], other["rerun"], other["kept"]) == (2, 1, False)
    assert other["search"] != first["search"]
    assert other["replay"] != first["replay"]
