"""`quant-organism trade`: documents traded on days of the lake, on live bars, or as a demonstration; and the status."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from quant_organism.cli import options
from quant_organism.cli.output import Stopped, print_json
from quant_organism.cli.trading_view import show_status, told_of_closes
from quant_organism.errors import InputError

if TYPE_CHECKING:
    from quant_organism.deployment import DocumentSignatures, StrategyConfig
    from quant_organism.judge import SandboxRunner, ServedRunner
    from quant_organism.market import Interval
    from quant_organism.settings import Settings
    from quant_organism.trading.exporting import LedgerExport
    from quant_organism.trading.parity import Parity
    from quant_organism.trading.profiles import SessionProfile
    from quant_organism.trading.reading import LedgerReader, TraderStatus
    from quant_organism.trading.records import Mode
    from quant_organism.trading.runtime import CloseReport
    from quant_organism.trading.sending import VenueAccount
    from quant_organism.venue import Feed

SETTINGS: Final = ("market.base_url", "venue.network", "venue.code_socket", "account.equity_usd", "data_dir")

_MODES: Final = ("replay", "paper", "testnet", "mainnet")
_DEMO_PATIENCE_S: Final = 0.5
_SILENT_S: Final = 300.0
"""After so long without a beat a trader that sends orders is taken for hung: longer than the slowest close."""
_NO_LIMIT: Final = 1_000_000


class StartsByDefault(TyperGroup):
    """A group of commands of which `start` needs not be named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take options that no command stands before for those of `start`."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["start", *args]
        return super().parse_args(ctx, args)


class SystemTime:
    """The time of this machine, for sessions on live bars."""

    def monotonic_s(self) -> float:
        """Return seconds since any fixed moment."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Return UTC milliseconds."""
        return time.time_ns() // 1_000_000


def start(
    context: typer.Context,
    mode: Annotated[str, typer.Option(help="replay, paper, testnet or mainnet.")] = "paper",
    session: Annotated[str, typer.Option(help="Session profile: scalping, intraday or swing.")] = "intraday",
    strategy: Annotated[
        list[str] | None, typer.Option(help="Replay this one, whatever its stage; may be repeated.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First day of a replay. (default: 90 days before its end)")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of a replay. (default: the lake's)")] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Replay by the account's rules alone, and compare with the backtest's orders."),
    ] = False,
    bars: Annotated[int | None, typer.Option(min=1, help="End after so many closes. (default: with Ctrl-C)")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Trade a strategy made for show, on a simulated market of its own.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Trade on live bars with modelled fills (paper), days of the lake (replay), or at a venue (testnet, mainnet).

    Ctrl-C ends it in order; the same command again goes on where the last one ended, also after a crash. Orders are
    sent only under a policy that names the mode, and with real money only once the account's address was typed.
    """
    from quant_organism.trading.profiles import session_profile

    if mode not in _MODES:
        raise InputError(f"no mode {mode!r}", where="option --mode", remedy=f"use one of {', '.join(_MODES)}")
    profile, settings = session_profile(session), options.said(context).settings()
    shown_in: Path | None = None
    parity: Parity | None = None
    if demo:
        from quant_organism.trading.demonstration import DEMONSTRATION

        # its market begins anew each time, and with it its lake and its ledger
        begun = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        shown_in = settings.data_dir / DEMONSTRATION / begun
        own = settings.model_copy(update={"data_dir": shown_in})
        status = _demonstration(own, profile, bars, quiet=as_json)
    elif mode == "replay":
        status, parity = _replay(settings, profile, strategy or [], (first, last), bars, plain=plain, quiet=as_json)
    elif strategy or first or last or plain:
        raise InputError(
            "--strategy, --from, --to and --plain are of a replay; other sessions trade the documents by their stage",
            where="option --mode",
            remedy="add --mode replay, or promote the strategy",
        )
    elif mode == "paper":
        status = _paper(settings, profile, bars, quiet=as_json)
    else:
        status = _sending(settings, profile, "mainnet" if mode == "mainnet" else "testnet", bars, quiet=as_json)
    show_status(status, parity, as_json=as_json)
    if shown_in is not None and not as_json:
        typer.echo(f"\nNext: {options.command_line('trade watch', {'--data-dir': shown_in})}")


def status(
    context: typer.Context,
    mode: Annotated[str, typer.Option(help="Whose ledger: paper (also testnet, mainnet) or replay.")] = "paper",
    as_json: options.Json = False,
) -> None:
    """Show where the trader stands at its last close, and the newest ranks of its symbols; it may run meanwhile."""
    from quant_organism.market import Interval, Lake
    from quant_organism.trading import LedgerReader, ledger_path
    from quant_organism.trading.ranker import latest_ranks

    if mode not in _MODES:
        raise InputError(f"no mode {mode!r}", where="option --mode", remedy=f"use one of {', '.join(_MODES)}")
    folder = options.said(context).settings().data_dir
    reader = LedgerReader(ledger_path(folder, mode))  # type: ignore[arg-type]
    try:
        found = reader.status()
    finally:
        reader.close()
    session = found.session
    ranks = latest_ranks(Lake(folder / "lake"), market=session.market, interval=Interval.parse(session.interval))
    show_status(found, ranks=ranks, as_json=as_json)


def export(context: typer.Context, as_json: options.Json = False) -> None:
    """Bring the ledger into the lake: live_decisions, live_fills, live_performance; and tell the documents of it."""
    from dataclasses import asdict

    from quant_organism.trading import LedgerReader, ledger_path

    folder = options.said(context).settings().data_dir
    reader = LedgerReader(ledger_path(folder, "paper"))
    try:
        exported = _exported(reader, folder)
    finally:
        reader.close()
    if as_json:
        print_json(asdict(exported))
    else:
        told = ", ".join(exported.strategies) or "none"
        typer.echo(f"{exported.days} days, {exported.files} files changed; documents that were told: {told}")


def _export_day(path: Path, folder: Path) -> None:
    # What is shown of the trader elsewhere must not end it.
    from quant_organism.errors import QuantOrganismError
    from quant_organism.trading import LedgerReader

    reader = LedgerReader(path)
    try:
        _exported(reader, folder)
    except QuantOrganismError as error:
        typer.echo(f"not exported into the lake, try again with `trade export`: {error}", err=True)
    finally:
        reader.close()


def _exported(reader: "LedgerReader", folder: "Path") -> "LedgerExport":
    from quant_organism.deployment import StrategyRepository
    from quant_organism.market import Lake
    from quant_organism.trading.exporting import export_ledger

    return export_ledger(reader, Lake(folder / "lake"), StrategyRepository(folder / "strategies"))


def _replay(
    settings: "Settings",
    profile: "SessionProfile",
    ids: Sequence[str],
    days: tuple[str | None, str | None],
    bars: int | None,
    *,
    plain: bool,
    quiet: bool,
) -> "tuple[TraderStatus, Parity | None]":
    from quant_organism.deployment import StrategyRepository
    from quant_organism.judge import CLOSE_SECONDS, SandboxRunner
    from quant_organism.trading import LedgerOrder, LedgerReader, ledger_path
    from quant_organism.trading.ledger import TraderLedger
    from quant_organism.trading.parity import backtest_lane
    from quant_organism.trading.preparing import prepare_replay
    from quant_organism.trading.replaying import replay_session

    first, last = (options.parse_day(day) for day in days)
    runner = SandboxRunner(StrategyRepository(settings.data_dir / "strategies"), most_seconds=CLOSE_SECONDS)
    prepared = prepare_replay(
        settings.data_dir,
        profile,
        settings.account.equity_usd,
        strategies=ids,
        first=first,
        last=last,
        is_plain=plain,
        runner=runner,
    )
    parity = None
    path = ledger_path(settings.data_dir, "replay")
    ledger = TraderLedger(path, survives_power_cut=False)
    try:
        with told_of_closes(quiet=quiet, live=False) as told:
            trader = replay_session(
                ledger,
                prepared.spec,
                prepared.panel,
                prepared.start,
                started_ms=SystemTime().wall_ms(),
                told=told,
                closes=bars,
            )
        if plain and trader.last_close_ms == int(prepared.panel.times[-1]) + prepared.spec.interval.milliseconds:
            written = ledger.read(LedgerOrder, account=trader.session.account)
            parity = backtest_lane(trader.main, prepared.spec, prepared.panel, prepared.start, written)
    finally:
        runner.close()
        ledger.close()
    return LedgerReader(path).status(trader.session.session), parity


def _paper(settings: "Settings", profile: "SessionProfile", bars: int | None, *, quiet: bool) -> "TraderStatus":
    from quant_organism.venue import BASE_URLS

    return _live(settings, profile, settings.market.base_url or BASE_URLS["mainnet"], bars, quiet=quiet)


def _sending(
    settings: "Settings", profile: "SessionProfile", mode: "Mode", bars: int | None, *, quiet: bool
) -> "TraderStatus":
    from quant_organism.cli.venue import access_plan
    from quant_organism.trading.orders.dead_man import Watchdog
    from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
    from quant_organism.trading.sending import check_policy, journal_path, venue_account
    from quant_organism.venue import open_account
    from quant_organism.venue.access import signing_wallet

    network = settings.venue.network
    if (network == "mainnet") != (mode == "mainnet"):
        raise InputError(
            f"mode {mode} and the venue {network} do not go together",
            where="option --mode",
            remedy="trade mainnet with --mode mainnet, simulator and testnet with --mode testnet",
        )
    check_policy(FilePolicyStore(policy_folder(settings.data_dir)).current(), mode, SystemTime().wall_ms())
    plan = access_plan(settings, network)
    if mode == "mainnet":
        _confirm(settings.venue.account_address or "")
    venue = open_account(plan)

    def watchdog() -> Watchdog:
        return Watchdog(venue.transport.spec, plan.signers, _SILENT_S, signing_wallet(plan))

    try:
        path, seconds = journal_path(settings.data_dir, mode), settings.venue.visibility_seconds
        with venue_account(venue, path, visibility_seconds=seconds, opens_watchdog=watchdog) as account:
            url = venue.transport.spec.base_url
            return _live(settings, profile, url, bars, quiet=quiet, mode=mode, account=account)
    finally:
        venue.close()


def _confirm(address: str) -> None:
    """Have a person type the address of the account whose money is traded."""
    import sys

    if not sys.stdin.isatty():
        raise InputError(
            "real money is traded only once a person has typed the account's address",
            where="option --mode",
            remedy="start it in a terminal",
        )
    typed = typer.prompt(f"Orders with real money will be sent for {address}. Type the address to go on")
    if typed.strip().lower() != address.lower():
        raise InputError("that is not the account's address", where="confirmation", remedy="start again")


def _demonstration(settings: "Settings", profile: "SessionProfile", bars: int | None, *, quiet: bool) -> "TraderStatus":
    from quant_organism.market import Interval, WorldSource, load_world
    from quant_organism.simulator import MarketSpec, RunningVenue, ServerSpec, VenueClock, VenueServer, open_engine
    from quant_organism.trading import demonstration as shown

    interval, source = Interval.parse("1h"), WorldSource(load_world("demo"))
    symbols = source.symbols()[: shown.SYMBOLS]
    engine = open_engine(
        source,
        interval,
        symbols=symbols,
        future_days=shown.FUTURE_DAYS,
        spec=MarketSpec(ticks_per_bar=shown.TICKS_PER_BAR),
    )
    limits = ServerSpec(ip_weight_per_minute=None, limit_addresses=False)
    server = VenueServer(engine, VenueClock(engine.now_ms, shown.SPEED, time.monotonic), limits)
    document = shown.demonstration_document(symbols, interval.name)
    with RunningVenue(server) as venue:
        return _live(settings, profile, venue.url, bars, quiet=quiet, demonstrated=document)


def _runner(settings: "Settings", *, sends: bool) -> "SandboxRunner | ServedRunner | None":
    """Return who runs code made elsewhere: this process where nothing is sent, else another user's, if it is named."""
    from quant_organism.deployment import StrategyRepository
    from quant_organism.judge import CLOSE_SECONDS, SandboxRunner, ServedRunner

    repository, path = StrategyRepository(settings.data_dir / "strategies"), settings.venue.code_socket
    if not sends:
        return SandboxRunner(repository, most_seconds=CLOSE_SECONDS)
    return None if path is None else ServedRunner(repository, path)


def _signatures(settings: "Settings") -> "DocumentSignatures | None":
    from quant_organism.deployment import DocumentSignatures

    key = settings.signing.public_key
    return None if key is None else DocumentSignatures(settings.data_dir / "strategies", key)


def _live(
    settings: "Settings",
    profile: "SessionProfile",
    url: str,
    bars: int | None,
    *,
    quiet: bool,
    demonstrated: "StrategyConfig | None" = None,
    mode: "Mode" = "paper",
    account: "VenueAccount | None" = None,
) -> "TraderStatus":
    import asyncio

    from quant_organism.market import MS_PER_DAY
    from quant_organism.trading import LedgerReader, LedgerSession, ledger_path
    from quant_organism.trading.ledger import TraderLedger
    from quant_organism.trading.paper import trade_live
    from quant_organism.trading.preparing import prepare_live
    from quant_organism.venue import BASE_URLS, info_of, open_feed

    market, is_demo = settings.market, demonstrated is not None
    proxy = market.proxy if account is None else settings.venue.proxy
    ask = info_of(
        url,
        timeout_seconds=market.timeout_seconds,
        proxy=proxy,
        weight_per_minute=_NO_LIMIT if is_demo else market.weight_per_minute,
    )

    def feed(interval: "Interval", coins: Sequence[str], begin_ms: int) -> "Feed":
        return open_feed(url, ask, interval, coins=coins, proxy=proxy, begin_ms=begin_ms)

    path = ledger_path(settings.data_dir, mode)
    ledger = TraderLedger(path)
    runner = _runner(settings, sends=account is not None)
    try:
        prepared, watcher = prepare_live(
            settings.data_dir,
            profile,
            settings.account.equity_usd,
            ledger,
            base_url=url,
            ask=ask,
            feed=feed,
            clock=SystemTime(),
            documents=None if demonstrated is None else [(demonstrated, "trades")],
            mode=mode,
            account=account,
            is_real_time=url in BASE_URLS.values(),
            runner=runner,
            signatures=_signatures(settings),
            **({"patience_s": _DEMO_PATIENCE_S} if is_demo else {}),
        )
        with told_of_closes(quiet=quiet, live=True) as told:

            def daily(report: "CloseReport") -> None:
                told(report)
                if report.close_ms % MS_PER_DAY == 0:
                    _export_day(path, settings.data_dir)

            asyncio.run(trade_live(prepared, told=daily, watcher=watcher, closes=bars))
    except KeyboardInterrupt as interrupt:  # the way to end it
        if not ledger.read(LedgerSession):
            raise Stopped from interrupt  # before there was anything to tell of
    finally:
        if runner is not None:
            runner.close()
        ledger.close()
    _export_day(path, settings.data_dir)
    return LedgerReader(path).status()
