"""Flags are fields of the settings: what is said arrives there, and nothing else is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from quant_organism.cli import options
from quant_organism.errors import InputError
from quant_organism.settings import Settings, options_of
from quant_organism.settings.tree import flag_of, group_of
from quant_organism_tests.program import Said

GROUPS = tuple(name for name in Settings.model_fields if group_of(name) is not None)


def told(*arguments: str, names: tuple[str, ...] = ("market", "seed", "search", "data_dir")) -> options.Said:
    """Return what a command that asks for these settings is told by these arguments."""
    heard: list[options.Said] = []
    app = typer.Typer(add_completion=False)

    @app.command(cls=options.with_settings(*names))
    def command(context: typer.Context) -> None:
        heard.append(options.said(context))

    app(list(arguments), standalone_mode=False)
    return heard[0]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)


def test_only_what_was_said_is_said() -> None:
    assert told().tree == {}
    said = told("--seed", "0", "--symbols", "A,B", "--repair", "--batch-size", "12")
    assert said.tree == {"seed": 0, "market": {"symbols": "A,B", "repair": True}, "search": {"population": 12}}
    settings = said.settings()
    assert (settings.seed, settings.market.symbols, settings.search.population) == (0, ("A", "B"), 12)


@pytest.mark.parametrize(
    ("arguments", "source"),
    [(("--path", "candles"), "files"), (("--base-url", "http://a:1"), "hyperliquid"), (("--world", "null"), "world")],
)
def test_naming_candles_names_their_source(arguments: tuple[str, ...], source: str) -> None:
    assert told(*arguments).settings().market.source == source


def test_two_sources_at_once_are_refused() -> None:
    with pytest.raises(InputError, match="a world and files"):
        told("--world", "null", "--path", "candles").settings()


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [(("--batch-size", "0"), "--batch-size"), (("--seed", "-1"), "--seed"), (("--interval", "7h"), "--interval")],
)
def test_a_wrong_value_is_named_by_the_flag_that_was_typed(arguments: tuple[str, ...], flag: str) -> None:
    with pytest.raises(InputError) as caught:
        told(*arguments).settings()
    assert caught.value.where == f"option {flag}"


def test_the_command_to_type_next_repeats_what_was_said_and_nothing_that_it_does_not_take() -> None:
    said = told("--market", "mine", "--path", "a b", "--seed", "3", "--generations", "5")
    line = said.command_line("ui", "market", "seed", "data_dir")
    assert line.split(" ", 1)[1] == "ui --seed 3 --path 'a b' --market mine"


@pytest.mark.parametrize("name", ["", *GROUPS])
def test_every_setting_says_what_it_is(name: str) -> None:
    model = group_of(name) or Settings
    silent = [key for key, field in model.model_fields.items() if not field.description and key not in GROUPS]
    assert silent == []


def test_no_flag_stands_for_two_settings() -> None:
    said = [name for name in Settings.model_fields if name in GROUPS or flag_of((name,))]
    flags = [option.flag for option in options_of(*said) if option.key[0] != "venue"]
    assert len(flags) == len(set(flags))


def test_a_setting_without_a_flag_cannot_be_asked_for() -> None:
    with pytest.raises(KeyError, match=r"market\.proxy"):
        list(options_of("market.proxy"))


def test_an_unknown_flag_is_refused(call: Callable[..., Said]) -> None:
    said = call("run", "--sede", "1")
    assert said.code == 2
    assert "--sede" in said.err
