"""The tree of settings: each field with its bounds, its meaning and, where it has one, its flag on the command line.

This is the only place where an option is spelled: the flags of the commands and the configuration of the resources are
made of these fields.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo

MAX_LOOKBACK_DAYS: Final = 730
"""Longest history of a panel."""

IntervalName = Literal["1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d"]
ProfileName = Literal["smoke", "demo", "standard", "full"]
LineName = Literal["long", "short"]

_BASE_URL: Final = re.compile(r"https?://[^/\s@]+")
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]+:/")
_EXECUTOR: Final = re.compile(r"threads|ray|(ray://)?[\w.-]+:\d+")


@dataclass(frozen=True)
class Flag:
    """How the command line asks for a field.

    Parameters
    ----------
    panel
        Heading that it stands under in the help; None: among the general options.
    name
        The flag; None: the field's name with dashes.
    unsaid
        What holds where nothing is said, in words; None: the field's default, if it has one.
    """

    panel: str | None = None
    name: str | None = None
    unsaid: str | None = None


_MARKET: Final = "Market"
_SEARCH: Final = "Search"
_SIZE: Final = "Size"
_BUDGETS: Final = "Budgets"
_WHERE: Final = "Where"
_VALIDATION: Final = "Validation"


def _split_text(value: Any) -> Any:
    """Return the parts of a text that are separated by commas; what is no text stays as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MarketSettings(_Group):
    """Which market is looked at; each field says what it is."""

    world: Annotated[str, Flag(_MARKET)] = Field("demo", description="Simulated market: demo, null, or a YAML file.")
    source: Annotated[Literal["world", "files", "hyperliquid"], Flag(_MARKET)] = Field(
        "world", description="world, files or hyperliquid."
    )
    path: Annotated[Path | None, Flag(_MARKET)] = Field(
        None, description="Folder or file of candles; implies --source files."
    )
    name: Annotated[str | None, Flag(_MARKET, "--market", "the folder's name")] = Field(
        None, description="Name of the files' market."
    )
    sentiment: Annotated[Path | None, Flag(_MARKET)] = Field(
        None, description="File of a Fear & Greed index (JSON, CSV, Parquet) for the files' market."
    )
    sentiment_url: str | None = Field(
        None, description="Where the venue's market has the index from: https://api.alternative.me/fng/?limit=0."
    )
    base_url: Annotated[str | None, Flag(_MARKET, unsaid="its main network")] = Field(
        None, description="Address of a venue; implies --source hyperliquid."
    )
    proxy: str | None = Field(
        None, description="URL of an HTTP proxy to the venue, without a password, as it is shown in the web UI."
    )
    timeout_seconds: float = Field(10.0, gt=0, description="How long an answer of the venue may take.")
    weight_per_minute: int = Field(
        1200, ge=60, description="What the questions of a minute to the venue may weigh; it allows 1,200."
    )
    symbols: Annotated[tuple[str, ...] | None, Flag(_MARKET, unsaid="all")] = Field(
        None, description="Symbols, separated by commas."
    )
    interval: Annotated[IntervalName, Flag(_MARKET)] = Field("1h", description="Length of a bar: 1m to 1d.")
    lookback_days: Annotated[int | None, Flag(_MARKET, unsaid="all there is, at most 730; short line 365")] = Field(
        None, ge=1, le=MAX_LOOKBACK_DAYS, description="Days of history."
    )
    world_seed: Annotated[int | None, Flag(_MARKET, unsaid="the world's")] = Field(
        None, ge=0, description="Another market of the same world."
    )
    min_quality: Annotated[float, Flag(_MARKET)] = Field(0.95, ge=0, le=1, description="Least share of sound bars.")
    require_funding: Annotated[bool, Flag(_MARKET)] = Field(
        False, description="Refuse symbols whose funding is known on fewer bars than --min-quality says."
    )
    repair: Annotated[bool, Flag(_MARKET)] = Field(
        False, description="Set unusable rows of files aside, and list them."
    )

    columns: Annotated[tuple[str, ...] | None, Flag(_MARKET, unsaid="their names tell")] = Field(
        None, description="What columns of files are: time=Date,close=Last, by number where they have no names."
    )
    time_unit: Annotated[str | None, Flag(_MARKET, unsaid="the data tell")] = Field(
        None, description="What times in files count: s, ms, us, ns, or how dates are written, such as %d/%m/%Y."
    )

    _split_symbols = field_validator("symbols", "columns", mode="before")(_split_text)

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


class SearchSettings(_Group):
    """What a search does otherwise than its profile; None: as the profile says. The search itself knows the bounds."""

    population: Annotated[int | None, Flag(_SIZE, "--batch-size")] = Field(
        None, ge=1, description="Size of one island's population, which is a batch."
    )
    islands: int | None = Field(None, description="Number of islands.")
    generations: Annotated[int | None, Flag(_SIZE)] = Field(None, description="Generations after the founding.")
    spec: Annotated[Path | None, Flag(_SIZE)] = Field(
        None, description="YAML file of the search's spec, in place of a profile."
    )
    hours: Annotated[float | None, Flag(_BUDGETS)] = Field(
        None, description="Time of a whole cycle, half of which is the search's."
    )
    max_evaluations: Annotated[int | None, Flag(_BUDGETS)] = Field(
        None, description="Genomes that are measured at most."
    )
    cost_per_worker_hour_usd: Annotated[float | None, Flag(_BUDGETS, "--cost-per-worker-hour")] = Field(
        None, description="What a worker costs, in USD."
    )
    cost_limit_usd: Annotated[float | None, Flag(_BUDGETS, "--cost-limit")] = Field(
        None, description="What the search may cost, in USD."
    )
    resume: Annotated[bool, Flag(_BUDGETS)] = Field(
        False, description="Go on from where the same search was interrupted."
    )


class SignificanceSettings(_Group):
    """How it is asked whether there is anything to find and whether it is more than luck; None: as the profile says."""

    strategies: int | None = Field(
        None, ge=1, le=100_000, description="Random strategies of the test before the search."
    )
    copies: int | None = Field(
        None, ge=1, le=10_000, description="Copies of the market without anything to find that they are measured on."
    )
    searches: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Copies that the whole search is repeated on; 19 reach p = 0.05, 99 reach 0.01.",
    )
    minutes: Annotated[float | None, Flag(_SEARCH, "--budget", "no limit")] = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Minutes after which the search is not repeated any more where nothing can be found. Its p-value "
        "is missing then, until --resume-copies goes on.",
    )


class ValidationSettings(_Group):
    """How candidates are judged."""

    gates: Annotated[str, Flag(_VALIDATION)] = Field(
        "full",
        min_length=1,
        description="Gates that candidates have to pass: light (shadow pool only), full, strict, or a YAML file.",
    )
    every_gate: Annotated[bool, Flag(_VALIDATION)] = Field(
        False, description="Judge by every gate, also who has fallen."
    )
    when_nothing_to_find: Annotated[Literal["continue", "stop"], Flag(_VALIDATION)] = Field(
        "continue",
        description="continue or stop: whether to search where the test before the search finds nothing.",
    )


class AccountSettings(_Group):
    """The account that strategies are judged and shown in."""

    equity_usd: Annotated[float, Flag(name="--equity")] = Field(
        10_000.0, ge=100, allow_inf_nan=False, description="USD that an account begins with."
    )


class VenueSettings(_Group):
    """Where orders go, and for which account. What is said twice before real money moves is a rule of the venue's."""

    network: Annotated[
        Literal["simulator", "testnet", "mainnet"], Flag(name="--venue", unsaid="as the settings say")
    ] = Field(
        "simulator",
        description="simulator, testnet or mainnet; mainnet must be said here and confirmed in the settings.",
    )
    base_url: str | None = Field(None, description="Empty: the network's own. The simulator has none of its own.")
    account_address: str | None = Field(None, description="Account that is traded for.")
    key: str | None = Field(None, description="Name of its agent wallet in the keystore.")
    passphrase: SecretStr | None = Field(
        None, description="Opens the keystore; from the environment, never from a file. Empty: it is asked for."
    )
    private_key: SecretStr | None = Field(
        None, description="The agent wallet itself, instead of key; from the environment, never from a file."
    )
    confirm_mainnet: str | None = Field(
        None,
        description="The account's address once more: without it, and without --venue mainnet on the command line, "
        "nothing is sent to the main network.",
    )
    proxy: str | None = Field(None, description="HTTP proxy for all requests to the venue.")
    code_socket: Annotated[
        Path | None, Flag(name="--code-socket", unsaid="none: no such code where orders are sent")
    ] = Field(None, description="Socket of the server that runs code made elsewhere, as another user.")
    connect_seconds: float = Field(5.0, gt=0, description="Longest wait for a connection.")
    read_seconds: float = Field(10.0, gt=0, description="Longest wait for an answer.")
    action_seconds: float = Field(30.0, gt=0, description="An action that arrives later is refused by the venue.")
    visibility_seconds: float = Field(
        5.0, ge=0, description="After so long the venue shows everything that it has processed."
    )
    ip_weight_per_minute: int = Field(1200, ge=100, le=1200, description="REST weight spent in any minute.")
    ip_burst_weight: int = Field(400, ge=60, description="REST weight spent at once.")
    info_attempts: int = Field(4, ge=1, description="How often a question is asked.")
    breaker_failures: int = Field(5, ge=1, description="Failures in a row after which the venue is left alone.")
    breaker_seconds: float = Field(15.0, gt=0, description="For how long it is left alone then.")
    rehearsal_minutes: float = Field(
        30.0, ge=2, le=24 * 60, description="How long a cycle rehearses a candidate's orders, never with real money."
    )


class SigningSettings(_Group):
    """Who stands for the strategies that may send orders; with neither key nobody is asked to."""

    public_key: Annotated[str | None, Flag(unsaid="as the settings say")] = Field(
        None,
        description="Where orders are sent, only documents that it knows the signature of trade. Empty: all trade.",
    )
    private_key: SecretStr | None = Field(
        None, description="What documents are signed with; from the environment, never from a file."
    )
    key: str | None = Field(
        None, description="Name of the keystore's key that documents are signed with, in place of private_key."
    )


class AlertSettings(_Group):
    """Who hears of what is alarming, and how often."""

    webhook_url: SecretStr | None = Field(
        None, description="Where alerts are posted as JSON; from the environment, never from a file. Empty: nowhere."
    )
    smtp_host: str | None = Field(None, description="Who takes mail. Empty: none is sent.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="starttls or tls; none on this machine alone."
    )
    smtp_user: str | None = Field(None, description="Name at the mail server. Empty: it asks for none.")
    smtp_password: SecretStr | None = Field(
        None, description="Password at the mail server; from the environment, never from a file."
    )
    smtp_from: str | None = Field(None, description="Address that mail comes from.")
    smtp_to: tuple[str, ...] = Field((), description="Addresses that mail goes to, separated by commas.")
    max_drawdown: Annotated[float, Flag("Alerts")] = Field(
        0.1, gt=0, lt=1, description="Drawdown of the trader above which somebody must hear."
    )
    repeat_hours: float = Field(6.0, gt=0, description="How often an alert that lasts is told again.")
    escalate_minutes: float = Field(60.0, gt=0, description="After so long a warning becomes critical.")
    heartbeat_hours: float = Field(24.0, gt=0, description="How often it is told that the watch is alive.")

    _split_receivers = field_validator("smtp_to", mode="before")(_split_text)


class Settings(_Group):
    """Everything that can be set; made by `load_settings`."""

    data_dir: Annotated[Path, Flag()] = Field(Path("data"), description="Folder of everything that runs leave behind.")
    profile: Annotated[ProfileName | None, Flag(_SEARCH, unsaid="demo for the world demo, else standard")] = Field(
        None, description="smoke: to see it work; demo: for the world demo; standard: two minutes; full: for real."
    )
    line: Annotated[LineName, Flag(_SEARCH)] = Field(
        "long",
        description="long: two years, 60 % of them searched, one look at the rest. short: one year, all of it "
        "searched, judged by days to come alone. Scheduled weeks take turns, whatever is said here.",
    )
    families: Annotated[tuple[str, ...] | None, Flag(_SEARCH, unsaid="all that evolve")] = Field(
        None,
        description="Families that are searched, separated by commas; `quant-organism families list` shows them.",
    )
    seed: Annotated[int, Flag(_SEARCH)] = Field(0, ge=0, description="Seed of the search.")
    offer: Annotated[bool, Flag(_VALIDATION)] = Field(
        False,
        description="Put candidates forward though another cycle of the week has: each look beyond the first halves "
        "the wealth that they start with. Otherwise a second cycle of a week is exploratory and bears nobody.",
    )
    threads: Annotated[int | None, Flag(_SEARCH, unsaid="one per core")] = Field(
        None, ge=1, description="Threads; no result depends on them."
    )
    executor: Annotated[str, Flag(_WHERE)] = Field(
        "threads",
        description="Where genomes, copies of the market and worlds of an audit are measured: "
        "threads, ray, HOST:PORT or ray://HOST:PORT.",
    )
    workers: Annotated[int | None, Flag(_WHERE, unsaid="one per core")] = Field(
        None, ge=1, description="Worker processes of Ray."
    )
    batch_seconds: Annotated[float | None, Flag(_WHERE, unsaid="never")] = Field(
        None, gt=0, description="Seconds after which Ray stops a batch."
    )
    site_url: str = Field(
        "http://127.0.0.1:3001",
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$",
        description="Address of the report site that links in the web UI lead to; `quant-organism ui` serves it there.",
    )
    market: MarketSettings = MarketSettings()
    search: SearchSettings = SearchSettings()
    significance: SignificanceSettings = SignificanceSettings()
    validation: ValidationSettings = ValidationSettings()
    account: AccountSettings = AccountSettings()
    venue: VenueSettings = VenueSettings()
    signing: SigningSettings = SigningSettings()
    alerts: AlertSettings = AlertSettings()

    _split_families = field_validator("families", mode="before")(_split_text)

    @field_validator("data_dir", mode="before")
    @classmethod
    def _of_this_machine(cls, folder: Any) -> Any:
        if _ADDRESS.match(str(folder)):
            raise ValueError(f"data_dir is {str(folder)!r}, an address; name a folder on a disk, a bucket has no locks")
        return folder

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
    def search_profile(self) -> ProfileName:
        """Profile of searches and copies: what was said, else `demo` on the simulated market of that name."""
        if self.profile is not None:
            return self.profile
        return "demo" if (self.market.source, self.market.world) == ("world", "demo") else "standard"

    @property
    def worker_threads(self) -> int:
        """Number of threads to use."""
        return self.threads or len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Option:
    """A field of the tree that the command line asks for.

    Attributes
    ----------
    key
        Its place in the tree: `("market", "symbols")`.
    flag
        As it is typed: `--symbols`.
    panel
        Heading that it stands under in the help.
    kind
        Type of what is typed; texts that stand for anything else are read by the settings.
    help
        What it is, and what holds where nothing is said.
    choices
        The only values that it takes; empty where it takes others.
    """

    key: tuple[str, ...]
    flag: str
    panel: str | None
    kind: type[bool] | type[int] | type[float] | type[Path] | type[str]
    help: str
    choices: tuple[str, ...] = ()


def group_of(name: str) -> type[BaseModel] | None:
    """Return the group of settings of that name, if there is one."""
    field = Settings.model_fields.get(name)
    kind = None if field is None else field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def options_of(*names: str) -> Iterator[Option]:
    """Iterate over the options of fields and groups, in the order in which they are named.

    Parameters
    ----------
    names
        `seed`, `market.symbols`, or `market` for all of the group that have a flag.

    Raises
    ------
    KeyError
        There is no field of that name, or it has no flag.
    """
    for name in names:
        first, _, second = name.partition(".")
        group = group_of(first)
        fields = {name: Settings.model_fields.get(name)}
        if group is not None:
            wanted = group.model_fields if not second else {second: group.model_fields.get(second)}
            fields = {f"{first}.{key}": field for key, field in wanted.items()}
        options = [option for key, field in fields.items() if field and (option := _option(key, field))]
        if not options:
            raise KeyError(name)
        yield from options


def flag_of(key: tuple[str, ...]) -> str | None:
    """Return how a field is typed on the command line, if it is."""
    try:
        (option,) = options_of(".".join(key))
    except KeyError:
        return None
    return option.flag


def _option(name: str, field: FieldInfo) -> Option | None:
    flag = next((data for data in field.metadata if isinstance(data, Flag)), None)
    if flag is None:
        return None
    key = tuple(name.split("."))
    kinds = (field.annotation, *get_args(field.annotation))
    kind = next((kind for kind in (bool, int, float, Path) if kind in kinds), str)
    unsaid = flag.unsaid or (None if kind is bool or field.default is None else str(field.default))
    text = f"{field.description} (default: {unsaid})" if unsaid else str(field.description)
    literals = [kind for kind in kinds if get_origin(kind) is Literal]
    choices = tuple(str(choice) for choice in (get_args(literals[0]) if literals else kinds) if isinstance(choice, str))
    return Option(key, flag.name or f"--{key[-1].replace('_', '-')}", flag.panel, kind, text, choices)
