"""Reading a document from a file or a text, and the genome that it becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from quant_organism.errors import InputError
from quant_organism.strategies.common_genes import RISK_GENES
from quant_organism.strategies.conditions import fields
from quant_organism.strategies.conditions.document import read_document, split_stops
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.operators import default_genome

MAX_BYTES: Final = 64 * 1024
"""Largest document."""

_MAX_NESTING: Final = 20
"""Deepest nesting of lists and mappings in the text; valid documents need 14."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same loader compiled, where PyYAML was built with it: ten times as fast."""

_STOPS: Final = {"stop_loss": "stop_loss_pct", "take_profit": "take_profit_pct"}


def load_conditions(source: Path | str) -> Genome:
    """Return the genome of a document.

    Parameters
    ----------
    source
        A file, by its path (``.json`` is read as JSON, all else as YAML); or the text itself: one that has a line break
        is YAML, one that begins with a brace JSON.

    Raises
    ------
    InputError
        The file cannot be read; the text is too large, too deep, not YAML or JSON, or refers to itself; or a field is
        missing, unknown or wrong. The message names the file and the path to the field, as in
        ``entry.conditions[2].operator``.
    """
    is_text = isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{"))
    name = "document" if is_text else str(source)
    data = str(source).encode(errors="surrogatepass") if is_text else _content(Path(source))
    try:
        as_json = data.lstrip().startswith(b"{") if is_text else name.endswith(".json")
        return conditions_genome(parse(data, as_json=as_json))
    except InputError as error:
        where = f"{name}: {error.where}" if error.where not in (None, name) else name
        raise InputError(error.what, where=where, remedy=error.remedy) from None


def conditions_genome(document: Mapping[str, Any]) -> Genome:
    """Return the genome of a document that has been parsed; its stops become risk genes, the others stand at default.

    Raises
    ------
    InputError
        As `load_conditions`.
    """
    if not isinstance(document, Mapping):
        raise InputError(f"expected a mapping of fields, found {fields.shown(document)}", where="document")
    rest, stops = split_stops(document)
    for spec in RISK_GENES:
        if spec.name in stops:
            low, high = round(100 * spec.low, 10), round(100 * spec.high, 10)
            fields.number(document[_STOPS[spec.name]], _STOPS[spec.name], low=low, high=high)
    genes = dict(default_genome("conditions").genes)
    return Genome("conditions", genes | stops | {"document": read_document(rest).structure})


def parse(data: bytes, *, as_json: bool) -> Any:
    """Return what a YAML or JSON text holds.

    Raises
    ------
    InputError
        More than `MAX_BYTES`, not UTF-8, not YAML or JSON, a key twice, or an anchor, alias or tag.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"{len(data)} bytes or more, at most {MAX_BYTES} are read", remedy="shorten the document")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error.reason} at byte {error.start}", remedy="save it as UTF-8") from None
    return _parse_json(text) if as_json else _parse_yaml(text)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            where=str(path),
            remedy="give the path of a document, or its text",
        ) from None


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", remedy="correct the text") from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"field {twice} stands twice", where="document", remedy="keep one of them")
    return found


def _parse_yaml(text: str) -> Any:
    try:
        _check_events(text)
        loader = _LOADER(text)
        root = loader.get_single_node()
        _check_keys(root)
        return None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark is not None else None
        problem = getattr(error, "problem", None) or str(error)
        begins = "".join(text.splitlines()[mark.line : mark.line + 1]) if mark is not None else ""
        is_tab = "\t" in begins[: len(begins) - len(begins.lstrip())]
        remedy = "indent with spaces, not with tabs" if is_tab else "put operators into quotes, as in '>='"
        raise InputError(f"not YAML: {problem}", where=line, remedy=remedy) from None
    except ValueError as error:
        raise InputError(f"not YAML: {error}", remedy="put text into quotes") from None


def _check_events(text: str) -> None:
    # Before anything is built: what refers to itself, what names a type, and what is nested without end.
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise InputError("anchors and aliases are not allowed", where=line, remedy="write the part out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise InputError(f"tag {tag} is not allowed", where=line, remedy="put text into quotes, as in '!='")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_NESTING:
            raise InputError(f"nested deeper than {_MAX_NESTING} lists and mappings", where=line, remedy="flatten it")


def _check_keys(root: yaml.Node | None) -> None:
    for mapping in _mappings(root):
        names = [key.value for key, _ in mapping.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in mapping.value:
            if isinstance(key, yaml.ScalarNode) and names.count(key.value) > 1:
                raise InputError(f"field {key.value} stands twice", where=_line(key), remedy="keep one of them")


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def _line(part: yaml.Event | yaml.Node) -> str | None:
    return f"line {part.start_mark.line + 1}" if part.start_mark is not None else None
