"""`quant-organism trade source` and `trade door`: who else may send signals, and the door that takes them."""

from typing import Annotated

import typer

from quant_organism.cli import options

app = typer.Typer(help="Who else may send signals to a trader, within which limits.", no_args_is_help=True)


@app.command("add", cls=options.with_settings("data_dir"))
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, - and _; it trades as outside:NAME.")],
    symbols: Annotated[str, typer.Option(help="That it may speak of, with commas between them.")],
    trades: Annotated[
        bool, typer.Option("--trades", help="In the session's account; without, it is only booked.")
    ] = False,
    share: Annotated[float, typer.Option(help="Of the equity that it disposes of, at most 0.25.")] = 0.05,
    per_hour: Annotated[int, typer.Option(help="Signals that are taken in an hour.")] = 60,
    widest_stop: Annotated[float, typer.Option(help="Fraction of the price that a stop may be away.")] = 0.1,
    longest_hours: Annotated[float, typer.Option(help="That a signal may stay in force.")] = 24.0,
    as_json: options.Json = False,
) -> None:
    """Let a source send signals, and print its token: it is shown once and kept nowhere."""
    from quant_organism.cli.output import print_json
    from quant_organism.trading.outside import SourceStore

    store = SourceStore.of(options.said(context).settings().data_dir)
    source, token = store.add(
        name,
        tuple(symbol.strip() for symbol in symbols.split(",")),
        role="trades" if trades else "shadow",
        largest_share=share,
        signals_per_hour=per_hour,
        widest_stop=widest_stop,
        longest_hours=longest_hours,
    )
    if as_json:
        print_json({**source.model_dump(mode="json"), "token": token, "inbox": str(store.inbox(name))})
    else:
        typer.echo(f"{source.id} may send signals, as {source.role}. Inbox: {store.inbox(name)}\nToken: {token}")


@app.command("list", cls=options.with_settings("data_dir"))
def show(context: typer.Context, as_json: options.Json = False) -> None:
    """Show the sources and their limits."""
    from quant_organism.cli.output import print_json, print_table
    from quant_organism.trading.outside import SourceStore

    sources = SourceStore.of(options.said(context).settings().data_dir).sources()
    rows = [source.model_dump(mode="json", exclude={"token_digest"}) for source in sources.values()]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        typer.echo("None. Add one with: quant-organism trade source add NAME --symbols BTC,ETH")


@app.command("remove", cls=options.with_settings("data_dir"))
def remove(context: typer.Context, name: str) -> None:
    """Take a source away; what it wanted is closed at the next close of a running session."""
    from quant_organism.trading.outside import SourceStore

    SourceStore.of(options.said(context).settings().data_dir).remove(name)
    typer.echo(f"{name} sends no signals any more.")


def door(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 is any.")] = 8765,
) -> None:
    """Take signals over HTTP on 127.0.0.1 until Ctrl-C; a process of its own, beside the trader."""
    from quant_organism.trading.outside import SourceStore
    from quant_organism.trading.signal_door import PATH, signal_door

    server = signal_door(SourceStore.of(options.said(context).settings().data_dir), port)
    typer.echo(f"Signals are taken at http://127.0.0.1:{server.server_address[1]}{PATH}; end with Ctrl-C")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        server.server_close()
