"""The page of commands, as the program says of itself: `docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from quant_organism.cli.main import BREED, LOOK, MARKET, OPERATE, TRADE, app
from quant_organism_tests.conftest import REPOSITORY

COMMANDS = REPOSITORY / "docs" / "cli.md"

_HEAD = """\
# Commands

Every command of `quant-organism` with its options, as `--help` shows them. This page is made from the program by
`make pages`. Options that are settings can be said in the environment or in `quant_organism.toml` as well; `--json`,
where there is one, prints one document for other programs and nothing else. Errors that a person can mend end with exit
code 2 and say how; Ctrl-C ends with 130.
"""


def command_page() -> str:
    """Return the whole page."""
    program: Any = typer.main.get_command(app)
    panels: dict[str, list[tuple[str, Any]]] = {panel: [] for panel in (BREED, LOOK, MARKET, TRADE, OPERATE)}
    for name, command in sorted(program.commands.items()):
        panels[command.rich_help_panel].append((name, command))
    context = program.make_context("quant-organism", [], resilient_parsing=True)
    blocks = [_HEAD]
    for panel, commands in panels.items():
        rows = [
            f"| [{name}](#{name}) | {_one_line(command.help).split('. ')[0].rstrip('.')} |"
            for name, command in commands
        ]
        blocks.append("\n".join([f"## {panel}", "", "| command | what it does |", "| --- | --- |", *rows, ""]))
    for _, commands in panels.items():
        blocks += [block for name, command in commands for block in _described(name, command, context, depth=2)]
    return "\n".join(blocks).rstrip("\n") + "\n"


def _described(name: str, command: Any, parent: Any, *, depth: int) -> Iterator[str]:
    context = type(parent)(command, info_name=name, parent=parent)
    yield f"{'#' * depth} {context.command_path.removeprefix('quant-organism ')}\n"
    yield "\n\n".join(_one_line(paragraph) for paragraph in (command.help or "").split("\n\n")) + "\n"
    yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    records = [each.get_help_record(context) for each in command.get_params(context) if each.name != "help"]
    rows = [f"| `{_short(said)}` | {_one_line(meaning)} |" for said, meaning in filter(None, records)]
    if rows:
        yield "\n".join(["| option | meaning |", "| --- | --- |", *rows, ""])
    for below, nested in getattr(command, "commands", {}).items():
        yield from _described(below, nested, context, depth=depth + 1)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "/")  # cells end at a bar


def _short(said: str) -> str:
    """Return an option with its value; one of many values is not listed, for the meaning tells them."""
    flag, _, value = said.rpartition(" ")
    return f"{flag} {'…' if value.count('|') > 2 else _one_line(value)}".strip()
