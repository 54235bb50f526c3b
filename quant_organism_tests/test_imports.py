"""No module imports itself in a roundabout way, faces of rooms and imports inside functions counted."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp

import quant_organism

PACKAGE = Path(quant_organism.__path__[0])


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return the groups of modules each of which leads to all others of its group (Tarjan, 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []
    for root in sorted(graph.modules):
        if root in number:
            continue
        waiting = [(root, iter(sorted(graph.find_modules_directly_imported_by(root))))]
        number[root] = lowest[root] = len(number)
        path.append(root)
        while waiting:
            module, rest = waiting[-1]
            following = next(rest, None)
            if following is None:
                waiting.pop()
                if waiting:
                    lowest[waiting[-1][0]] = min(lowest[waiting[-1][0]], lowest[module])
                if lowest[module] == number[module]:
                    group = path[path.index(module) :]
                    del path[path.index(module) :]
                    if len(group) > 1:
                        found.append(sorted(group))
            elif following not in number:
                number[following] = lowest[following] = len(number)
                path.append(following)
                waiting.append((following, iter(sorted(graph.find_modules_directly_imported_by(following)))))
            elif following in path:
                lowest[module] = min(lowest[module], number[following])
    return found


def test_circles_are_found() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("e", "a"), ("d", "f"), ("f", "d")]:
        graph.add_import(importer=importer, imported=imported)
    assert sorted(circles(graph)) == [["b", "c"], ["d", "f"]]


def test_the_package_has_no_import_circle() -> None:
    # What is imported for types alone is never executed.
    graph = grimp.build_graph("quant_organism", exclude_type_checking_imports=True, cache_dir=None)
    assert len(graph.modules) > 300
    assert circles(graph) == []


def test_only_the_event_log_leans_on_private_parts_of_dagster() -> None:
    leaning = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^\s*(from|import) dagster\S*\._", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert leaning == {"orchestration/event_storage.py"}


def readings(source: str) -> Iterator[str]:
    """Return where a module takes something from the environment.

    Who sets a variable, or hands all of them on to a process that it starts, takes nothing.
    """
    tree, sets = ast.parse(source), {"update", "setdefault"}
    handed_on: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            handed_on.update(value for key, value in zip(node.keys, node.values, strict=True) if key is None)
        if isinstance(node, ast.Attribute) and node.attr in sets:
            handed_on.add(node.value)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            handed_on.add(node.value)
    taken = {"environ", "environb", "getenv", "getenvb"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os" and taken & {name.name for name in node.names}:
            yield f"line {node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr in taken and node not in handed_on:
            yield f"line {node.lineno}"


def test_who_reads_the_environment_is_seen() -> None:
    read = ["os.environ['A']", "os.environ.get('A')", "os.getenv('A')", "from os import environ", "'A' in os.environ"]
    assert [len(list(readings(text))) for text in read] == [1, 1, 1, 1, 1]
    others = ["os.environ['A'] = '1'", "os.environ.update(all)", "run(env={**os.environ, 'A': '1'})"]
    assert [list(readings(text)) for text in others] == [[], [], []]


def test_settings_alone_read_the_environment() -> None:
    reading = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if list(readings(path.read_text(encoding="utf-8")))
    }
    assert reading == {"settings"}
