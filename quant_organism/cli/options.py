"""Options: those of commands alone, and those that are fields of the settings, which are made from them.

A command names the settings that it asks for (`cls=with_settings("data_dir", "market")`) and takes what was said of
them as one object (`said(context)`); its own parameters are what no setting is.
"""

import inspect
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import typer
from typer.core import TyperCommand

from quant_organism.cli import completion
from quant_organism.errors import InputError

if TYPE_CHECKING:
    from quant_organism.settings import Option, Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the web UI on 127.0.0.1.")]
CycleDay = Annotated[
    str | None,
    typer.Option(
        "--date", help="Day of the cycle, nothing later is seen. (default: the last complete one)", metavar="YYYY-MM-DD"
    ),
]

CYCLE: Final = ("data_dir", "market", "profile", "line", "families", "seed", "threads")
"""Settings that every command which may run a cycle asks for."""

_IMPLYING: Final = {
    "world": ("world", "--world", "a world"),
    "path": ("files", "--path", "files"),
    "base_url": ("hyperliquid", "--base-url", "a venue"),
}
"""Fields of the market that name a source: the source, the flag, and what it is called."""

_COMPLETED: Final[Mapping[tuple[str, ...], Callable[..., list[str]]]] = {("validation", "gates"): completion.gates}
"""What the shell completes, by setting, where no list of choices says it."""


@dataclass(frozen=True)
class Said:
    """What a command was told of the settings.

    Attributes
    ----------
    tree
        Nested like the settings, without what was not said.
    """

    tree: Mapping[str, Any]

    def settings(self) -> "Settings":
        """Return the settings: what was said before environment, file and defaults.

        Raises
        ------
        InputError
            A value cannot be used, or two sources of candles were named.
        """
        from quant_organism.resilience import take_keys_from
        from quant_organism.settings import credential, load_settings

        take_keys_from(credential)
        return load_settings(self.complete)

    @property
    def complete(self) -> dict[str, Any]:
        """What was said, and the source of candles that it implies."""
        market = dict(self.tree.get("market", {}))
        said = [
            field for field, (source, _, _) in _IMPLYING.items() if field in market or market.get("source") == source
        ]
        if len(said) > 1:
            (_, flag, one), (_, _, other) = (_IMPLYING[field] for field in said[:2])
            raise InputError(
                f"{one} and {other} cannot be looked at together", where=flag, remedy="leave one of them out"
            )
        if said and said[0] in market:
            market.setdefault("source", _IMPLYING[said[0]][0])
        return {**self.tree, "market": market}

    def value(self, name: str) -> Any:
        """Return what was said of a setting, such as `market.name`; None: nothing."""
        branch, _, leaf = name.rpartition(".")
        return (self.tree.get(branch, {}) if branch else self.tree).get(leaf)

    def also(self, name: str, value: Any) -> "Said":
        """Return this with one more setting said."""
        branch, _, leaf = name.rpartition(".")
        return Said(
            {**self.tree, **({branch: {**self.tree.get(branch, {}), leaf: value}} if branch else {leaf: value})}
        )

    def command_line(self, command: str, *names: str) -> str:
        """Return the command to type, with what was said of the settings of these names."""
        from quant_organism.settings import options_of

        flags = {
            option.flag: self.value(".".join(option.key))
            for option in sorted(options_of(*names), key=lambda option: len(option.key))
        }
        if any(flags.get(flag) is not None for _, flag, _ in _IMPLYING.values()):
            flags.pop("--source")  # implied
        return command_line(command, flags)


def with_settings(*names: str) -> type[TyperCommand]:
    """Return the class of a command that asks for settings.

    Parameters
    ----------
    names
        Fields and groups, as for `settings.options_of`: `seed`, `market`, `market.symbols`.
    """
    return type("CommandWithSettings", (_CommandWithSettings,), {"names": names})


def said(context: typer.Context) -> Said:
    """Return what was said of the settings that a command asks for."""
    answer = context.obj
    assert isinstance(answer, Said)
    return answer


class _CommandWithSettings(TyperCommand):
    # The flags are made when the command is called or shows its help: to list commands needs no settings.

    names: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def _asked(self) -> "list[Option]":
        from quant_organism.settings import options_of

        return list(options_of(*self.names))

    @cached_property
    def _flags(self) -> list[Any]:
        def command() -> None:
            """Bear the parameters."""

        command.__signature__ = inspect.Signature([_parameter(option) for option in self._asked])  # type: ignore[attr-defined]
        app = typer.Typer(add_completion=False)
        app.command()(command)
        return typer.main.get_command(app).params

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override]
        return [*self._flags, *super().get_params(ctx)]

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        tree = Said({})
        for option in self._asked:
            value = ctx.params.pop(_identifier(option))
            if value is not None and value is not False:
                tree = tree.also(".".join(option.key), value)
        ctx.obj = tree
        return super().invoke(ctx)


def _identifier(option: "Option") -> str:
    return "__".join(option.key)


def _parameter(option: "Option") -> inspect.Parameter:
    kind: Any = bool if option.kind is bool else option.kind | None
    flag = typer.Option(
        option.flag,
        help=option.help,
        rich_help_panel=option.panel,
        metavar="|".join(option.choices) or None,
        autocompletion=_COMPLETED.get(option.key) or ((lambda: list(option.choices)) if option.choices else None),
    )
    return inspect.Parameter(
        _identifier(option),
        inspect.Parameter.KEYWORD_ONLY,
        default=False if option.kind is bool else None,
        annotation=Annotated[kind, flag],
    )


def split_symbols(text: str) -> list[str]:
    """Return the symbols of a comma-separated text."""
    return [symbol.strip() for symbol in text.split(",") if symbol.strip()]


def parse_day(text: str | None, *, option: str = "--date") -> date | None:
    """Return the day that an option names.

    Raises
    ------
    InputError
        The text is not a day of the calendar.
    """
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is not a day: {error}", where=f"option {option}", remedy="write it as YYYY-MM-DD"
        ) from None


def command_line(command: str, flags: Mapping[str, Any]) -> str:
    """Return the command to type, with flags and their values; None: not said."""
    words = [program(), *command.split()]
    for flag, value in flags.items():
        words += [] if value is None else [flag] if value is True else [flag, str(value)]
    return shlex.join(words)


def program() -> str:
    """Return how this program can be called from here: by name where it is on the path, else by its file."""
    return "quant-organism" if shutil.which("quant-organism") else os.path.relpath(sys.argv[0])
