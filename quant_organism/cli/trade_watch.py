"""`quant-organism trade watch` and `trade metrics`: a trader as it is seen, by a person and by Prometheus."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from quant_organism.cli import options

Session = Annotated[
    int | None, typer.Option(min=1, help="Show the account of this session. (default: of the latest one)")
]
OfReplay = Annotated[bool, typer.Option("--replay", help="Look at the ledger of replays.")]

_MS: Final = 1_000


def watch(
    context: typer.Context,
    day: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="Go through a past day, close by close. (default: the newest close)"),
    ] = None,
    session: Session = None,
    of_replay: OfReplay = False,
    seconds: Annotated[float, typer.Option(min=0.05, help="How often to look, and how long a past close stays.")] = 1.0,
) -> None:
    """Watch a trader in this terminal: equity, positions, decisions with their reasons, fills, breakers."""
    from time import time

    from quant_organism.monitoring.trader_dashboard import TraderDashboard
    from quant_organism.monitoring.trader_view import TraderHistory
    from quant_organism.trading import LedgerReader, ledger_path

    settings = options.said(context).settings()
    past = options.parse_day(day)
    reader = LedgerReader(ledger_path(settings.data_dir, "replay" if of_replay else "paper"))
    try:
        day_ms = None
        if past is not None:
            day_ms = int(datetime(past.year, past.month, past.day, tzinfo=UTC).timestamp()) * _MS
        history = TraderHistory(reader, session)
        TraderDashboard(history, now_ms=lambda: int(time() * _MS), day_ms=day_ms, every_seconds=seconds).run()
    finally:
        reader.close()


def metrics(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 9464,
    of_replay: OfReplay = False,
) -> None:
    """Serve metrics, /healthz and /readyz of a trader on 127.0.0.1, until Ctrl-C; beside the trader, or without it."""
    from time import sleep

    from quant_organism.monitoring.status_server import serving_status

    data_dir = options.said(context).settings().data_dir
    with suppress(KeyboardInterrupt), serving_status(data_dir, "replay" if of_replay else "paper", port):
        where = f"http://127.0.0.1:{port}"
        typer.echo(f"Metrics of {data_dir} on {where}/metrics, health on {where}/healthz; end with Ctrl-C")
        while True:
            sleep(60.0)  # a wait without an end would be taken up again by the handler that polars has for Ctrl-C
