"""`quant-organism ui`: the Dagster web UI and its daemon."""

import typer

from quant_organism.cli import options

HOST = "127.0.0.1"
PORT = 3000


def ui(
    port: options.Port = PORT,
    world: options.World = None,
    source: options.Source = None,
    path: options.Candles = None,
    market: options.Market = None,
    sentiment: options.Sentiment = None,
    base_url: options.BaseUrl = None,
    symbols: options.Symbols = None,
    interval: options.Interval = None,
    lookback_days: options.LookbackDays = None,
    profile: options.Profile = None,
    families: options.Families = None,
    seed: options.Seed = None,
    world_seed: options.WorldSeed = None,
    min_quality: options.MinQuality = None,
    repair: options.Repair = False,
    threads: options.Threads = None,
    data_dir: options.DataDir = None,
) -> None:
    """Start the web UI, with the schedule and the sensor, until Ctrl-C."""
    from quant_organism.orchestration.web import serve
    from quant_organism.settings import as_environment, load_settings

    said = {
        "data_dir": data_dir,
        "seed": seed,
        "profile": profile,
        "families": families,
        "threads": threads,
        "market": options.market_options(
            world=world,
            world_seed=world_seed,
            source=source,
            path=path,
            market=market,
            sentiment=sentiment,
            base_url=base_url,
            symbols=symbols,
            interval=interval,
            lookback_days=lookback_days,
            min_quality=min_quality,
            repair=repair,
        ),
    }
    settings = load_settings(said)
    raise typer.Exit(serve(settings, as_environment(said), HOST, port, announce=typer.echo))
