"""`quant-organism exchange`: a local venue that speaks Hyperliquid's wire."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.market import CandleSource
    from quant_organism.settings import MarketSettings

app = typer.Typer(help="A local exchange to trade on, in place of the real one.", no_args_is_help=True)


@app.command(
    "serve",
    cls=options.with_settings(
        "market.world",
        "market.source",
        "market.path",
        "market.symbols",
        "market.interval",
        "market.world_seed",
        "market.repair",
    ),
)
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; anything but loopback is open to others.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 0,
    speed: Annotated[
        float, typer.Option(min=0, help="Seconds of the venue for each real one; 0: it moves by /admin/step only.")
    ] = 1.0,
    at: Annotated[str, typer.Option(help="now: the venue opens now; data: when its bars say.")] = "now",
    future_days: Annotated[int, typer.Option(min=1, help="Days of the bars that are still to come.")] = 90,
    ticks: Annotated[int, typer.Option(min=4, max=3600, help="Prices in a bar.")] = 60,
    deposit: Annotated[
        list[str] | None, typer.Option(help="ADDRESS=USD that an account begins with; may be repeated.")
    ] = None,
    dex: Annotated[
        list[str] | None,
        typer.Option(help="NAME=COIN,COIN: list coins on a builder-deployed dex, as NAME:COIN; may be repeated."),
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="Fault plan, a YAML file.")] = None,
    limits: Annotated[bool, typer.Option(help="Limit requests as the real venue does.")] = True,
    snapshot: Annotated[
        Path | None, typer.Option(help="File to go on from where it exists, and to be left when it ends.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that the venue draws.")] = 0,
) -> None:
    """Serve HTTP and WebSocket until Ctrl-C; the base URL is printed first."""
    import time

    from quant_organism.errors import InputError
    from quant_organism.market import Interval
    from quant_organism.resilience import write_file
    from quant_organism.simulator import (
        MarketSpec,
        ServerSpec,
        VenueClock,
        VenueServer,
        listen,
        load_plan,
        open_engine,
        parse_deposits,
        parse_dexs,
        run_server,
    )

    if at not in ("now", "data"):
        raise InputError(f"no opening is called {at!r}", where="--at", remedy="use now or data")
    said = options.said(context)
    symbols = said.value("market.symbols")
    plan = None if faults is None else load_plan(faults)
    listener = listen(host, port)
    engine = open_engine(
        _candle_source(said.settings().market),
        Interval.parse(said.value("market.interval") or "1h"),
        symbols=None if symbols is None else options.split_symbols(symbols),
        future_days=future_days,
        now_ms=int(time.time() * 1000) if at == "now" else None,
        spec=MarketSpec(ticks_per_bar=ticks),
        seed=seed,
        deposits=parse_deposits(deposit or []),
        dexs=parse_dexs(dex or []),
    )
    if snapshot is not None and snapshot.is_file():
        engine.restore(snapshot.read_bytes())
    spec = ServerSpec() if limits else ServerSpec(ip_weight_per_minute=None, limit_addresses=False)
    server = VenueServer(engine, VenueClock(engine.now_ms, speed, time.monotonic), spec, plan)
    typer.echo(f"http://{host}:{listener.getsockname()[1]}")
    try:
        run_server(server, listener)
    finally:
        if snapshot is not None:
            write_file(snapshot, engine.snapshot())


@app.command("record")
def record(
    file: Annotated[Path, typer.Argument(help="File to write, a line of JSON for each answer and frame.")],
    to: Annotated[str, typer.Option(help="Base URL of the venue that is talked to.")],
    host: Annotated[str, typer.Option(help="Address to listen on; anything but loopback is open to others.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 0,
    max_mb: Annotated[int, typer.Option(min=1, help="Largest file in MB; what does not fit is left out.")] = 16,
) -> None:
    """Stand between a client and a venue and write down what they say, until Ctrl-C; the client's base URL comes first.

    Signatures, keys and addresses are not written.
    """
    from quant_organism.simulator import SessionFile, listen, parse_target, run_recorder

    target = parse_target(to)
    listener = listen(host, port)
    session = SessionFile(file, max_mb * 1_000_000)
    typer.echo(f"http://{host}:{listener.getsockname()[1]}")
    try:
        run_recorder(target, session, listener)
    finally:
        session.close()
        left = f", {session.left_out} left out" if session.left_out else ""
        typer.echo(f"{file}: {session.written} answers and frames{left}")


def _candle_source(market: "MarketSettings") -> "CandleSource":
    from quant_organism.market import FileSource, WorldSource, load_world

    if market.source == "files" and market.path is not None:
        return FileSource(market.path, market=market.name, repair=market.repair)
    return WorldSource(load_world(market.world), seed=market.world_seed)
