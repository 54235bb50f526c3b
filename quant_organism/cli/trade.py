"""`quant-organism trade`: trading, and the switch that ends it."""

import typer

from quant_organism.cli import kill, options, policy, trade_watch

app = typer.Typer(help="Trade what is deployed, and stop it.", no_args_is_help=True)
app.command("kill", cls=options.with_settings("venue.network", "data_dir"))(kill.kill)
app.command("rearm", cls=options.with_settings("data_dir"))(kill.rearm)
app.command("watch", cls=options.with_settings("data_dir"))(trade_watch.watch)
app.command("metrics", cls=options.with_settings("data_dir"))(trade_watch.metrics)
app.add_typer(policy.app, name="policy")
