"""A plugin of pytest: tests are imported once and then asked about many changes, each in a process of its own.

A change inside a function is made by giving the function the code of the changed source, in a fork that ends when a
test fails. What is done while a module is imported cannot be changed so; it takes a new process (`Copy.tried`).
"""

from __future__ import annotations

import inspect
import json
import math
import os
import resource
import select
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

import pytest

ASKED: Final = "MUTANTS_ASKED"
"""Names the file with the names of the tests to ask, in their order."""
SERVED: Final = "MUTANTS_SERVED"
"""Two file descriptors: requests are read from the first, answers are written to the second, JSON in lines."""

_PACKAGE: Final = str(Path.cwd() / "quant_organism") + os.sep
_ALL: Final = "."
_BUSY: Final = 3.0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that are asked, in their order; no test that is marked as slow is ever asked."""
    if ASKED in os.environ:
        order = {name: place for place, name in enumerate(json.loads(Path(os.environ[ASKED]).read_text("utf-8")))}
        chosen = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])
    else:
        chosen = [item for item in items if not item.get_closest_marker("slow")]
    kept = set(chosen)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = chosen


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Answer requests until there are none, in place of running the tests, if that is what is wanted."""
    if SERVED not in os.environ:
        return None
    asking, answering = (int(part) for part in os.environ[SERVED].split())
    items = {item.nodeid: item for item in session.items}
    with os.fdopen(asking, encoding="utf-8") as requests, os.fdopen(answering, "w", encoding="utf-8") as answers:
        for line in requests:
            request = json.loads(line)
            if "watched" in request:
                chosen = [item for item in session.items if item.nodeid.split("::")[0] == request["watched"]]
                answer = _in_a_fork(lambda chosen=chosen: _watched(session.config, chosen), request)
            elif "timed" in request:
                chosen = [items[name] for name in request["timed"]]
                answer = _in_a_fork(lambda chosen=chosen: _asked(session.config, chosen), request)
            else:
                chosen = [items[name] for name in request["asked"]]
                answer = _in_a_fork(lambda chosen=chosen, of=request: _tried(session.config, chosen, of), request)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    return True


def _in_a_fork(work: Callable[[], Any], request: dict[str, Any]) -> dict[str, Any]:
    report = Path(request["report"])
    report.unlink(missing_ok=True)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            _, most = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(request["limit"]), most))
            report.write_text(json.dumps(work()), encoding="utf-8")
            code = 0
        finally:
            os._exit(code)
    ended, status = 0, 0
    asker = select.poll()
    asker.register(int(os.environ[SERVED].split()[0]), select.POLLHUP)
    # Tests may use so much of a processor; on a busy machine that takes longer than on the one on which they were seen.
    while not ended and time.monotonic() < began + _BUSY * request["limit"] and not asker.poll(0):
        ended, status = os.waitpid(child, os.WNOHANG)
        if not ended:
            time.sleep(0.005)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # whatever a test has begun ends with it
    if not ended:
        os.waitpid(child, 0)
    if not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return {"outcome": "timed out"}
    if status or not report.is_file():
        return {"outcome": "stopped"}
    said: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return said


def _tried(config: pytest.Config, items: Sequence[pytest.Item], request: dict[str, Any]) -> dict[str, Any]:
    if not change_in_place(request["file"], request["within"], request["source"]):
        return {"outcome": "not in place"}
    return _asked(config, items)


def _asked(config: pytest.Config, items: Sequence[pytest.Item]) -> dict[str, Any]:
    judge = _Judge()
    config.pluginmanager.register(judge)
    for item, following in zip(items, [*items[1:], None], strict=True):
        config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if judge.failed:
            return {"outcome": "killed", "by": f"FAILED {judge.failed}"}
    return {"outcome": "survived", "seconds": time.process_time()}


def change_in_place(file: str, within: str, source: str) -> bool:
    """Give the function of an imported module in which a change lies its new code; False where that cannot be done."""
    owner: Any = import_module(file.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    found: list[str] = []
    for part in within.split("."):
        found.append(part)
        raw = vars(owner).get(part)
        if inspect.isclass(raw):
            owner = raw
            continue
        new = [code for code in _codes(compile(source, file, "exec")) if code.co_qualname == ".".join(found)]
        functions = _functions(raw)
        if len(new) != 1 or len(functions) != 1:
            return False
        old = functions[0].__code__
        if old.co_freevars != new[0].co_freevars or _same(old, new[0]):
            return False
        functions[0].__code__ = new[0]
        return True
    return False


def _functions(raw: Any) -> list[FunctionType]:
    if isinstance(raw, staticmethod | classmethod):
        raw = raw.__func__
    if isinstance(raw, property):
        return [part for part in (raw.fget, raw.fset) if isinstance(part, FunctionType)]
    if isinstance(raw, cached_property):
        raw = raw.func
    raw = inspect.unwrap(raw) if callable(raw) else raw
    return [raw] if isinstance(raw, FunctionType) else []


def _codes(code: CodeType) -> Generator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            if not constant.co_flags & inspect.CO_OPTIMIZED:  # the body of a class
                yield from _codes(constant)


def _same(one: CodeType, other: CodeType) -> bool:
    # Without the lines, which a change elsewhere may move.
    if len(one.co_consts) != len(other.co_consts):
        return False
    alike = all(
        _same(left, right) if isinstance(left, CodeType) and isinstance(right, CodeType) else repr(left) == repr(right)
        for left, right in zip(one.co_consts, other.co_consts, strict=True)
    )
    return alike and (one.co_code, one.co_names) == (other.co_code, other.co_names)


class _Judge:
    failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid


def _watched(config: pytest.Config, items: Sequence[pytest.Item]) -> dict[str, Any]:
    watch = _Watch()
    config.pluginmanager.register(watch)
    for item, following in zip(items, [*items[1:], None], strict=True):
        config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    return watch.report()


class _Watch:
    # What a fixture of a whole file runs is credited to each test of the file: any of them may notice a change there.
    def __init__(self) -> None:
        self._ran: defaultdict[str, set[str]] = defaultdict(set)
        self._passed: dict[str, bool] = {}
        self._seconds: dict[str, float] = {}
        self._credited: list[str] = []
        self._names: dict[CodeType, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._credited = [item.nodeid]
        began = time.perf_counter()
        sys.settrace(self._called)
        threading.settrace(self._called)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]  # as the library documents it
            self._seconds[item.nodeid] = round(time.perf_counter() - began, 3)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Any:
        before = self._credited
        if fixturedef.scope != "function":
            file = request.node.nodeid.split("::")[0]
            self._credited = [file if file.endswith(".py") else _ALL, *before]
        try:
            return (yield)
        finally:
            self._credited = before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        ok = report.outcome == "passed" and not hasattr(report, "wasxfail")
        self._passed[report.nodeid] = ok and self._passed.get(report.nodeid, True)

    def report(self) -> dict[str, Any]:
        """Return what the tests that passed ran."""
        tests = []
        for name, seconds in self._seconds.items():
            if self._passed.get(name):
                ran = self._ran[name] | self._ran[name.split("::")[0]] | self._ran[_ALL]
                tests.append([name, seconds, sorted(ran)])
        return {"outcome": "watched", "tests": tests}

    def _called(self, frame: FrameType, event: str, arg: object) -> None:
        name = self._names.get(frame.f_code)
        if name is None:
            name = self._names[frame.f_code] = _name_of(frame.f_code)
        if name:
            for credited in self._credited:
                self._ran[credited].add(name)


def _name_of(code: CodeType) -> str:
    # Empty for what is none of the product's.
    if not code.co_filename.startswith(_PACKAGE):
        return ""
    return f"quant_organism/{code.co_filename[len(_PACKAGE) :]}::{code.co_qualname.replace('.<locals>', '')}"
