"""Small changes of behaviour that can be made to a source file, found in its syntax tree."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_SYMBOLS: Final[dict[type[ast.cmpop] | type[ast.operator], str]] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
}
_OPPOSITES: Final = {
    "min": "max",
    "max": "min",
    "minimum": "maximum",
    "maximum": "minimum",
    "any": "all",
    "all": "any",
    "floor": "ceil",
    "ceil": "floor",
}
_UNWRAPPED: Final = {"abs", "sorted", "reversed", "round"}
_LOGS: Final = {"log", "_log", "logger", "_logger", "logging"}
# Words for people, and options that change nothing unless an array or a list is of another length than was checked.
_UNTOUCHED_OPTIONS: Final = {"reason", "message", "description", "help", "strict", "dtype", "stacklevel"}
_MOST_SHOWN: Final = 100

_STATEMENTS: Final = {
    ast.Raise: "the error is not raised",
    ast.Return: "no early return",
    ast.Continue: "no continue",
    ast.Break: "no break",
    ast.Expr: "the call is not made",
}


@dataclass(frozen=True)
class Change:
    """One small change of one source file.

    Attributes
    ----------
    file
        The source, relative to the repository.
    line
        Where it is now; not part of its name, so that lines above may come and go.
    within
        Class and function.
    text
        What becomes what; with `#2` for the second that reads the same in one function.
    start, end
        Bytes of the source that are replaced.
    replacement
        By what.
    """

    file: str
    line: int
    within: str
    text: str
    start: int
    end: int
    replacement: str

    @property
    def name(self) -> str:
        """What identifies it as long as the function keeps it."""
        return f"{self.file}::{self.within}: {self.text}"

    def applied(self, source: bytes) -> bytes:
        """Return the source with this change."""
        return source[: self.start] + self.replacement.encode() + source[self.end :]


def changes_of(file: str, source: bytes) -> list[Change]:
    """Return all changes that can be made to a source, in the order of the file.

    Left alone: docstrings and all other text, annotations, decorators, what is imported, `__all__`, what only a type
    checker reads, log entries, and how an error is worded.
    """
    tree = ast.parse(source)
    starts = [0]
    for row in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(row))
    places = []
    for within, node, shown, replacement in _of_statements(tree.body, ()):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        places.append((start, end, node.lineno, ".".join(within) or "module", shown, replacement))
    places.sort(key=lambda place: place[:2])
    seen: Counter[tuple[str, str]] = Counter()
    changes = []
    for start, end, line, place, shown, replacement in places:
        seen[place, shown] += 1
        count = seen[place, shown]
        named = shown if count == 1 else f"{shown} #{count}"
        changes.append(Change(file, line, place, named, start, end, replacement))
    return changes


_Place = tuple[tuple[str, ...], ast.expr | ast.stmt, str, str]
_Found = Iterator[_Place]


def _of_statements(body: list[ast.stmt], within: tuple[str, ...], *, conditional: bool = False) -> _Found:
    for statement in body:
        yield from _of_statement(statement, within, conditional)


def _of_statement(node: ast.stmt, within: tuple[str, ...], conditional: bool) -> _Found:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        inside = (*within, node.name)
        if not isinstance(node, ast.ClassDef):
            for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                yield from _of_expression(default, inside)
        yield from _of_statements(node.body, inside)
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "__name__ == '__main__'"}:
        return
    if isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" in ast.unparse(node).split("=")[0]:
        return
    if isinstance(node, ast.Expr) and (not isinstance(node.value, ast.Call) or _is_log(node.value)):
        return
    removable = isinstance(node, ast.Raise | ast.Continue | ast.Break | ast.Expr)
    if removable or (isinstance(node, ast.Return) and conditional):
        yield within, node, f"{_short(node)} | {_STATEMENTS[type(node)]}", "pass"
    if isinstance(node, ast.Raise):
        return
    if isinstance(node, ast.If):
        yield from _flipped(node.test, within)
    if isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        other = ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)
        yield (
            within,
            node,
            f"{_short(node)} | {_SYMBOLS[type(node.op)]}= -> {_SYMBOLS[type(other.op)]}=",
            ast.unparse(other),
        )
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "type_params"}:
            if isinstance(value, ast.AST):
                yield from _of_annotation(value, within)
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.stmt):
                yield from _of_statement(part, within, conditional or isinstance(node, ast.If | ast.Try | ast.For))
            elif isinstance(part, ast.ExceptHandler | ast.match_case):
                yield from _of_statements(part.body, within, conditional=True)
            elif isinstance(part, ast.withitem):
                yield from _of_expression(part.context_expr, within)
            elif isinstance(part, ast.expr):
                yield from _of_expression(part, within)


def _of_annotation(node: ast.AST, within: tuple[str, ...]) -> _Found:
    # Bounds that an annotation declares are behaviour: Annotated[int, Field(ge=1)].
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            yield from _of_expression(part, within)


def _of_expression(node: ast.expr, within: tuple[str, ...]) -> _Found:
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Call) and _is_log(node)):
        return
    for what, other in _alternatives(node):
        yield _changed(within, node, what, other)
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.keyword):
            if part.arg not in _UNTOUCHED_OPTIONS:
                yield from _of_expression(part.value, within)
        elif isinstance(part, ast.comprehension):
            yield from _of_expression(part.iter, within)
            for condition in part.ifs:
                yield from _flipped(condition, within)
                yield from _of_expression(condition, within)
        elif isinstance(part, ast.expr):
            yield from _of_expression(part, within)
    if isinstance(node, ast.IfExp):
        yield from _flipped(node.test, within)


def _flipped(condition: ast.expr, within: tuple[str, ...]) -> _Found:
    # Of a single comparison or a negation, the other way round is found when the expression itself is visited.
    single = isinstance(condition, ast.Compare) and len(condition.ops) == 1
    if not single and not (isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not)):
        yield _changed(within, condition, "flipped", ast.UnaryOp(ast.Not(), condition))


def _changed(within: tuple[str, ...], node: ast.expr, what: str, other: ast.expr) -> _Place:
    text = ast.unparse(other)
    return within, node, f"{_short(node)} | {what}", text if isinstance(other, ast.Constant) else f"({text})"


def _short(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def _alternatives(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Compare(ops=operators):
            for place, operator in enumerate(operators):
                for other in _COMPARISONS[type(operator)]:
                    changed = copy.deepcopy(node)
                    changed.ops[place] = other()
                    yield f"{_SYMBOLS[type(operator)]} -> {_SYMBOLS[other]}", changed
        case ast.BinOp(left=left, op=operator, right=right):
            if type(operator) in _ARITHMETIC and not (_is_text(left) or _is_text(right)):
                arithmetic = _ARITHMETIC[type(operator)]
                yield (
                    f"{_SYMBOLS[type(operator)]} -> {_SYMBOLS[arithmetic]}",
                    ast.BinOp(left, arithmetic(), right),
                )
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield "no sign" if isinstance(node.op, ast.USub) else "no not", operand
        case ast.BoolOp(op=ast.And(), values=values):
            yield "and -> or", ast.BoolOp(ast.Or(), values)
        case ast.BoolOp(values=values):
            yield "or -> and", ast.BoolOp(ast.And(), values)
        case ast.Constant(value=bool(value)):
            yield f"{not value}", ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield f"{value + 1}", ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            more = value * 1.5 if value else 1.0
            yield f"{more}", ast.Constant(more)
        case ast.Call():
            yield from _other_calls(node)


def _other_calls(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in _OPPOSITES:
        changed = copy.deepcopy(node)
        if isinstance(changed.func, ast.Attribute):
            changed.func.attr = _OPPOSITES[name]
        elif isinstance(changed.func, ast.Name):
            changed.func.id = _OPPOSITES[name]
        yield f"{name} -> {_OPPOSITES[name]}", changed
    elif name in _UNWRAPPED and node.args:
        yield f"no {name}", node.args[0]
    elif len(node.args) > 1 and not any(isinstance(arg, ast.Starred) or _is_text(arg) for arg in node.args[:2]):
        first, second, *rest = node.args
        if ast.dump(first) != ast.dump(second):
            yield "arguments exchanged", ast.Call(node.func, [second, first, *rest], node.keywords)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_log(node: ast.Call) -> bool:
    func = node.func
    while isinstance(func, ast.Attribute):
        if func.attr in _LOGS:
            return True
        func = func.value
    return isinstance(func, ast.Name) and func.id in _LOGS and isinstance(node.func, ast.Attribute)
