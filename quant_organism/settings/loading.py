"""Where a setting comes from: what was said before the environment before the TOML file before the defaults."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from quant_organism.errors import InputError
from quant_organism.settings.tree import Settings, flag_of, group_of

PREFIX: Final = "QUANT_ORGANISM_"
CONFIG_VARIABLE: Final = f"{PREFIX}CONFIG"
DEFAULT_FILE: Final = "quant_organism.toml"
FOLDER_VARIABLE: Final = "ORGANISM_FOLDER"
"""Names the folder that a person started the web UI in: relative paths of settings are meant from there."""

_SECRETS: Final = (
    ("venue", "passphrase"),
    ("venue", "private_key"),
    ("alerts", "webhook_url"),
    ("alerts", "smtp_password"),
    ("signing", "private_key"),
)


def load_settings(options: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings: options before environment before file before defaults.

    Parameters
    ----------
    options
        Nested like the settings; what the command line said. None counts as not said.

    Raises
    ------
    InputError
        A value or key cannot be used; the message names the option, variable or file that it comes from.
    """
    said, variables, file = _without_none(options or {}), _variables(), _config_file()
    values = _read_toml(file) if file else {}
    for key, variable in variables.items():
        values = _merged(values, _branch(key, os.environ[variable]))
    try:
        return Settings.model_validate(_merged(values, said))
    except ValidationError as error:
        raise _explained(error, said, variables, file) from None


def credential(variable: str) -> SecretStr | None:
    """Return a secret that the environment holds under a name of other programs; None where it holds none.

    Such are the key to an object store (`AWS_SECRET_ACCESS_KEY`) and the address of a PostgreSQL server. Whoever needs
    one asks at that moment: no tree of settings has them, so that none is shown or written with it.
    """
    text = os.environ.get(variable)
    return SecretStr(text) if text else None


def folder_of_start() -> Path | None:
    """Return the folder that a person started the web UI in; None in a process that is none of the web UI's."""
    named = os.environ.get(FOLDER_VARIABLE)
    return None if named is None else Path(named)


def as_environment(options: Mapping[str, Any], prefix: str = PREFIX) -> dict[str, str]:
    """Return options as environment variables, so that a child process loads the same settings."""
    variables: dict[str, str] = {}
    for name, value in _without_none(options).items():
        if isinstance(value, Mapping):
            variables |= as_environment(value, f"{prefix}{name.upper()}__")
        else:
            variables[f"{prefix}{name.upper()}"] = str(value)
    return variables


def _variables() -> dict[tuple[str, ...], str]:
    """Return the environment variables that are settings, by the key that each sets; groups before what is in them."""
    names = (name for name in os.environ if name.startswith(PREFIX) and name != CONFIG_VARIABLE)
    keys = {tuple(name.removeprefix(PREFIX).split("__")): name for name in names}
    return {tuple(part.lower() if part.isupper() else part for part in key): keys[key] for key in sorted(keys)}


def _config_file() -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    if named is None:
        return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None
    if not Path(named).is_file():
        raise InputError(f"there is no file {named}", where=CONFIG_VARIABLE, remedy="correct the variable, or unset it")
    return Path(named)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid TOML: {error}", where=str(path), remedy="correct the line") from error
    for group, secret in _SECRETS:
        said = written.get(group)
        if isinstance(said, Mapping) and secret in said:
            raise InputError(
                "a secret stands in a file",
                where=f"{path}: {group}.{secret}",
                remedy=f"remove it there, and set {PREFIX}{group.upper()}__{secret.upper()} where it is needed",
            )
    return written


def _explained(
    error: ValidationError,
    said: Mapping[str, Any],
    variables: Mapping[tuple[str, ...], str],
    file: Path | None,
) -> InputError:
    first = error.errors(include_url=False)[0]
    key = tuple(str(part) for part in first["loc"])
    unknown = first["type"] == "extra_forbidden"
    where = _origin(key, said, variables, file, known=not unknown)
    if unknown:
        model = (group_of(key[0]) if len(key) > 1 else None) or Settings
        return InputError(
            "no setting of that name", where=where, remedy=f"known here: {', '.join(sorted(model.model_fields))}"
        )
    if first["type"] == "value_error":
        what, _, remedy = str(first["msg"]).removeprefix("Value error, ").partition("; ")
        return InputError(what, where=where, remedy=remedy)
    return InputError(f"{first['msg']}, not {first['input']!r}", where=where, remedy=_remedy(first))


def _remedy(found: ErrorDetails) -> str:
    """Say which value to give: the nearest, where only some are allowed."""
    expected = str(found.get("ctx", {}).get("expected", ""))
    if found["type"] != "literal_error":
        return "correct the value"
    near = difflib.get_close_matches(
        str(found["input"]), [text.strip("'") for text in re.findall(r"'[^']*'", expected)], 1
    )
    return f"did you mean {near[0]}? " + f"choose {expected}" if near else f"choose {expected}"


def _origin(
    key: tuple[str, ...],
    said: Mapping[str, Any],
    variables: Mapping[tuple[str, ...], str],
    file: Path | None,
    *,
    known: bool,
) -> str:
    if key in variables:
        origin = f"environment variable {variables[key]}"
    elif len(key) == 1 and group_of(key[0]) is not None:  # settings that do not fit together, wherever each came from
        return f"{key[0]} settings"
    else:
        origin = f"{file}: {'.'.join(key)}"
    return f"option {flag_of(key) or '.'.join(key)}" if known and key in _keys(said) else origin


def _keys(tree: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _keys(value, (*above, name))
        else:
            yield (*above, name)


def _branch(key: tuple[str, ...], value: Any) -> dict[str, Any]:
    first, *others = key
    return {first: _branch(tuple(others), value) if others else value}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two trees as one; where both say something, the second counts."""
    both = {
        name: _merged(below[name], value)
        for name, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping)
    }
    return {**below, **above, **both}


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = {
        name: _without_none(value) if isinstance(value, Mapping) else value
        for name, value in tree.items()
        if value is not None
    }
    return {name: value for name, value in cleaned.items() if value != {}}
