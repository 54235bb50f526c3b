"""The settings tree: the only reader of `QUANT_ORGANISM_*` environment variables and of `quant_organism.toml`.

Only the command line and the orchestration read it; every other room is handed plain values.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from quant_organism.errors import InputError
from quant_organism.settings.market import MAX_LOOKBACK_DAYS, MarketSettings, split_text
from quant_organism.settings.venue import VenueSettings

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_FILE",
    "MAX_LOOKBACK_DAYS",
    "PREFIX",
    "MarketSettings",
    "SearchSettings",
    "Settings",
    "SignificanceSettings",
    "ValidationSettings",
    "VenueSettings",
    "as_environment",
    "load_settings",
]

PREFIX: Final = "QUANT_ORGANISM_"
CONFIG_VARIABLE: Final = f"{PREFIX}CONFIG"
DEFAULT_FILE: Final = "quant_organism.toml"
ProfileName = Literal["smoke", "standard", "full"]


_EXECUTOR: Final = re.compile(r"threads|ray|(ray://)?[\w.-]+:\d+")


_SECRETS: Final = ("passphrase", "private_key")


class SearchSettings(BaseModel):
    """What a search does otherwise than its profile; None: as the profile says. The search itself knows the bounds.

    Parameters
    ----------
    spec
        YAML file of a search's spec, in place of the profile.
    islands, population, generations
        Size of the search.
    max_evaluations, hours, cost_limit_usd, cost_per_worker_hour_usd
        Budgets, and the price of a worker.
    resume
        Go on from where the same search was interrupted, if it was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: Path | None = None
    islands: int | None = None
    population: int | None = None
    generations: int | None = None
    max_evaluations: int | None = None
    hours: float | None = None
    cost_limit_usd: float | None = None
    cost_per_worker_hour_usd: float | None = None
    resume: bool = False


class SignificanceSettings(BaseModel):
    """How it is asked whether there is anything to find and whether it is more than luck; None: as the profile says.

    Parameters
    ----------
    strategies
        Random strategies of the test before the search.
    copies
        Copies of the market, in which nothing can be found, that they are measured on as well.
    searches
        Copies that the whole search is repeated on, at most; 19 reach p = 0.05, 99 reach 0.01.
    minutes
        Time for these repetitions; it decides how many there are. 0: none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategies: int | None = Field(None, ge=1, le=100_000)
    copies: int | None = Field(None, ge=1, le=10_000)
    searches: int | None = Field(None, ge=1, le=10_000)
    minutes: float | None = Field(None, ge=0, allow_inf_nan=False)


class ValidationSettings(BaseModel):
    """How candidates are judged.

    Parameters
    ----------
    gates
        Profile of the gates: `light` (shadow pool only), `full`, `strict`, or the path of a YAML file.
    every_gate
        Judge by every gate, also those who have fallen already, at the cost of what the dear ones take.
    when_nothing_to_find
        What follows when the test before the search finds nothing: `continue` searches all the same, `stop` does not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gates: str = Field("full", min_length=1)
    every_gate: bool = False
    when_nothing_to_find: Literal["continue", "stop"] = "continue"


class Settings(BaseSettings):
    """Everything that can be set; made by `load_settings`.

    Parameters
    ----------
    data_dir
        Folder of everything that runs leave behind.
    seed
        Seed of the search.
    profile
        Size of the search: `smoke` to see everything work, `standard` for a cycle of two minutes, `full` for real ones.
    families
        Families that are searched; None: all that evolve. As text: separated by commas.
    threads
        Threads of the evaluator; None: one per core. No result depends on it.
    executor
        Where strategies are measured: `threads` (this process), `ray` (processes of this machine), or a Ray cluster as
        `HOST:PORT` or `ray://HOST:PORT`. No result depends on it.
    workers
        Worker processes of Ray; None: one per thread for `ray`, one per core of a cluster.
    batch_seconds
        Seconds after which Ray stops a batch and tries it once more; None: never.
    market, search, significance, validation, venue
        See `MarketSettings`, `SearchSettings`, `SignificanceSettings`, `ValidationSettings` and `VenueSettings`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Path("data")
    seed: int = Field(0, ge=0)
    profile: ProfileName = "standard"
    families: Annotated[tuple[str, ...] | None, NoDecode] = None
    threads: int | None = Field(None, ge=1)
    executor: str = "threads"
    workers: int | None = Field(None, ge=1)
    batch_seconds: float | None = Field(None, gt=0)
    market: MarketSettings = MarketSettings()
    search: SearchSettings = SearchSettings()
    significance: SignificanceSettings = SignificanceSettings()
    validation: ValidationSettings = ValidationSettings()
    venue: VenueSettings = VenueSettings()

    _split_families = field_validator("families", mode="before")(split_text)

    @field_validator("families")
    @classmethod
    def _some_family(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and not names:
            raise ValueError("no family is named; name some, or leave it out for all")
        return names

    @field_validator("executor")
    @classmethod
    def _known_executor(cls, name: str) -> str:
        if not _EXECUTOR.fullmatch(name):
            raise ValueError(f"executor is {name!r}; choose threads, ray, HOST:PORT or ray://HOST:PORT")
        return name

    @property
    def worker_threads(self) -> int:
        """Number of threads to use."""
        return self.threads or len(os.sched_getaffinity(0))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read options first, then the environment, then the TOML file."""
        path = _config_file()
        written = InitSettingsSource(settings_cls, init_kwargs=_read_toml(path) if path else {})
        return init_settings, env_settings, written


_PARTS: Final[Mapping[str, type[BaseModel]]] = {
    "market": MarketSettings,
    "search": SearchSettings,
    "significance": SignificanceSettings,
    "validation": ValidationSettings,
    "venue": VenueSettings,
}


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
    _refuse_unknown_variables()
    said = _without_none(options or {})
    try:
        return Settings(**said)
    except ValidationError as error:
        raise _explained(error, said) from None
    except SettingsError as error:
        raise InputError(str(error), where="environment", remedy="write nested settings as NAME__KEY=value") from error


def as_environment(options: Mapping[str, Any], prefix: str = PREFIX) -> dict[str, str]:
    """Return options as environment variables, so that a child process loads the same settings."""
    variables: dict[str, str] = {}
    for name, value in _without_none(options).items():
        if isinstance(value, Mapping):
            variables |= as_environment(value, f"{prefix}{name.upper()}__")
        else:
            variables[f"{prefix}{name.upper()}"] = str(value)
    return variables


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
    venue = written.get("venue")
    for secret in _SECRETS:
        if isinstance(venue, Mapping) and secret in venue:
            raise InputError(
                "a secret stands in a file",
                where=f"{path}: venue.{secret}",
                remedy=f"remove it there, and set {PREFIX}VENUE__{secret.upper()} where it is needed",
            )
    return written


def _refuse_unknown_variables() -> None:
    """Refuse what pydantic-settings would silently pass over: a misspelt name at the top of the tree."""
    known = {name.upper() for name in Settings.model_fields}
    for variable in sorted(os.environ):
        top = variable.removeprefix(PREFIX).split("__")[0]
        if variable.startswith(PREFIX) and variable != CONFIG_VARIABLE and top not in known:
            names = ", ".join(f"{PREFIX}{name}" for name in sorted(known))
            raise InputError(
                "no setting of that name", where=f"environment variable {variable}", remedy=f"known: {names}"
            )


def _explained(error: ValidationError, said: Mapping[str, Any]) -> InputError:
    first = error.errors(include_url=False)[0]
    key = tuple(str(part) for part in first["loc"])
    where = _origin(key, said)
    if first["type"] == "extra_forbidden":
        model = _PARTS.get(key[0], Settings) if len(key) > 1 else Settings
        return InputError(
            "no setting of that name", where=where, remedy=f"known here: {', '.join(sorted(model.model_fields))}"
        )
    if first["type"] == "value_error":
        what, _, remedy = str(first["msg"]).removeprefix("Value error, ").partition("; ")
        return InputError(what, where=where, remedy=remedy)
    return InputError(f"{first['msg']}, not {first['input']!r}", where=where, remedy="correct the value")


def _origin(key: tuple[str, ...], said: Mapping[str, Any]) -> str | None:
    if len(key) == 1 and key[0] in _PARTS:  # settings that do not fit together, wherever each came from
        return f"{key[0]} settings"
    if _holds(said, key):
        return f"option --{key[-1].replace('_', '-')}"
    variable = PREFIX + "__".join(key).upper()
    if variable in os.environ:
        return f"environment variable {variable}"
    return f"{_config_file()}: {'.'.join(key)}"


def _holds(tree: Mapping[str, Any], key: tuple[str, ...]) -> bool:
    for part in key:
        if not isinstance(tree, Mapping) or part not in tree:
            return False
        tree = tree[part]
    return True


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = {
        name: _without_none(value) if isinstance(value, Mapping) else value
        for name, value in tree.items()
        if value is not None
    }
    return {name: value for name, value in cleaned.items() if value != {}}
