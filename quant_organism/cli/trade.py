"""`quant-organism trade`: trading, and the switch that ends it."""

import typer

from quant_organism.cli import code_server, kill, options, policy, sources, trade_watch, trading

app = typer.Typer(
    cls=trading.StartsByDefault,
    help="Trade what is deployed, see where that stands, and stop it.",
    no_args_is_help=True,
)
app.command("start", cls=options.with_settings(*trading.SETTINGS))(trading.start)
app.command("status", cls=options.with_settings("data_dir"))(trading.status)
app.command("export", cls=options.with_settings("data_dir"))(trading.export)
app.command("kill", cls=options.with_settings("venue.network", "data_dir"))(kill.kill)
app.command("rearm", cls=options.with_settings("data_dir"))(kill.rearm)
app.command("release", cls=options.with_settings("data_dir"))(kill.release)
app.command("watch", cls=options.with_settings("data_dir"))(trade_watch.watch)
app.command("metrics", cls=options.with_settings("data_dir"))(trade_watch.metrics)
app.command("door", cls=options.with_settings("data_dir"))(sources.door)
app.command("code-server")(code_server.code_server)
app.add_typer(policy.app, name="policy")
app.add_typer(sources.app, name="source")
