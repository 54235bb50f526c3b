"""The settings tree: the only reader of `QUANT_ORGANISM_*` environment variables and of `quant_organism.toml`.

Only the command line and the orchestration read it; every other room is handed plain values.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from quant_organism.errors import InputError

PREFIX: Final = "QUANT_ORGANISM_"
CONFIG_VARIABLE: Final = f"{PREFIX}CONFIG"
DEFAULT_FILE: Final = "quant_organism.toml"
MAX_LOOKBACK_DAYS: Final = 730
_BASE_URL: Final = re.compile(r"https?://[^/\s@]+")

IntervalName = Literal["1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d"]
ProfileName = Literal["smoke", "standard", "full"]


_EXECUTOR: Final = re.compile(r"threads|ray|(ray://)?[\w.-]+:\d+")


_SECRETS: Final = ("passphrase", "private_key")


def _split_text(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class MarketSettings(BaseModel):
    """Which market is looked at.

    Parameters
    ----------
    source
        `world`: a simulated market; `files`: candles from a folder or file; `hyperliquid`: the venue at `base_url`.
    world
        Name of a shipped world, or path of a YAML file.
    world_seed
        Seed of the simulated market; None: the one that its file names.
    path
        Folder or file of candles, with `source` = `files`.
    name
        Name of the files' or the venue's market in the lake; None: made from the folder's name or the address.
    sentiment
        File of a Fear & Greed index, with `source` = `files` or `hyperliquid`; None: none, and no strategy minds it.
    sentiment_url
        Where to fetch the index instead, with `source` = `hyperliquid`: `https://api.alternative.me/fng/?limit=0`.
    base_url
        Address of the venue, with `source` = `hyperliquid`; None: the main network's. No slash at its end.
    proxy
        URL of an HTTP proxy to the venue, without a password, as it is shown in the web UI; None: none.
    timeout_seconds
        How long an answer of the venue may take.
    weight_per_minute
        What the questions of a minute may weigh; the venue allows 1,200 to an address of the network.
    interval
        Length of a bar.
    symbols
        Symbols that take part; None: all. As text: separated by commas.
    lookback_days
        Days of history in a panel; None: all there is, at most 730.
    min_quality
        Share of sound bars below which nothing is evolved.
    repair
        Set unusable rows of files aside, listed with their reasons, instead of refusing the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["world", "files", "hyperliquid"] = "world"
    world: str = "demo"
    world_seed: int | None = Field(None, ge=0)
    path: Path | None = None
    name: str | None = None
    sentiment: Path | None = None
    sentiment_url: str | None = None
    base_url: str | None = None
    proxy: str | None = None
    timeout_seconds: float = Field(10.0, gt=0)
    weight_per_minute: int = Field(1200, ge=60)
    interval: IntervalName = "1h"
    symbols: Annotated[tuple[str, ...] | None, NoDecode] = None
    lookback_days: int | None = Field(None, ge=1, le=MAX_LOOKBACK_DAYS)
    min_quality: float = Field(0.95, ge=0, le=1)
    repair: bool = False

    _split_symbols = field_validator("symbols", mode="before")(_split_text)

    @model_validator(mode="after")
    def _files_need_a_path(self) -> Self:
        if self.source == "files" and self.path is None:
            raise ValueError("source is 'files' but no path is given; name the folder or file of candles (--path)")
        return self

    @model_validator(mode="after")
    def _an_address_needs_the_venue(self) -> Self:
        if self.base_url is not None and self.source != "hyperliquid":
            raise ValueError(f"base_url is given but source is {self.source!r}; use --source hyperliquid with it")
        if self.base_url is not None and not _BASE_URL.fullmatch(self.base_url):
            raise ValueError(f"base_url {self.base_url!r} is no address; write it as http://host:port")
        if self.proxy is not None and "@" in self.proxy:
            raise ValueError("proxy holds a name or password, which would be shown; use one that needs none")
        if self.sentiment is not None and self.sentiment_url is not None:
            raise ValueError("sentiment and sentiment_url both name an index; leave one of them out")
        return self


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


class VenueSettings(BaseModel):
    """Where orders go, and for which account.

    Parameters
    ----------
    network
        `simulator`, `testnet` or `mainnet`; decides how actions are signed.
    base_url
        None: the network's own. The simulator has none of its own.
    account_address
        Account that is traded for.
    key
        Name of its agent wallet in the keystore.
    passphrase
        Opens the keystore; from the environment, never from a file. None: it is asked for.
    private_key
        The agent wallet itself, instead of `key`; from the environment, never from a file.
    confirm_mainnet
        The account's address once more: without it nothing is sent to the main network.
    proxy
        HTTP proxy for all requests to the venue.
    connect_seconds, read_seconds
        Longest wait for a connection, and for an answer.
    action_seconds
        An action that arrives later is refused by the venue.
    visibility_seconds
        After so long the venue shows everything that it has processed.
    ip_weight_per_minute, ip_burst_weight
        REST weight spent in any minute, and at once.
    info_attempts
        How often a question is asked.
    breaker_failures, breaker_seconds
        After so many failures in a row the venue is left alone for so long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Literal["simulator", "testnet", "mainnet"] = "simulator"
    base_url: str | None = None
    account_address: str | None = None
    key: str | None = None
    passphrase: SecretStr | None = None
    private_key: SecretStr | None = None
    confirm_mainnet: str | None = None
    proxy: str | None = None
    connect_seconds: float = Field(5.0, gt=0)
    read_seconds: float = Field(10.0, gt=0)
    action_seconds: float = Field(30.0, gt=0)
    visibility_seconds: float = Field(5.0, ge=0)
    ip_weight_per_minute: int = Field(1200, ge=100, le=1200)
    ip_burst_weight: int = Field(400, ge=60)
    info_attempts: int = Field(4, ge=1)
    breaker_failures: int = Field(5, ge=1)
    breaker_seconds: float = Field(15.0, gt=0)

    @model_validator(mode="after")
    def _mainnet_is_meant(self) -> Self:
        address = self.account_address
        if self.network == "mainnet" and (address is None or (self.confirm_mainnet or "").lower() != address.lower()):
            raise ValueError(
                "real money would be at risk, and nothing confirms that this is meant; "
                "repeat the account's address as venue.confirm_mainnet"
            )
        if self.key is not None and self.private_key is not None:
            raise ValueError("both a key of the keystore and a private key are given; leave one of them out")
        return self


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

    _split_families = field_validator("families", mode="before")(_split_text)

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
