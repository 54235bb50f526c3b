"""`quant-organism alerts`: look for what is alarming, tell who must hear of it, and try the channels."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table
from quant_organism.errors import QuantOrganismError

if TYPE_CHECKING:
    from quant_organism.monitoring.alerts.channels import Channel
    from quant_organism.settings import Settings

app = typer.Typer(help="Tell somebody what is alarming, and try the channels.", no_args_is_help=True)


@app.command("watch", cls=options.with_settings("data_dir", "alerts", "market"))
def watch(
    context: typer.Context,
    every: Annotated[float, typer.Option(min=1.0, help="Seconds between two looks.")] = 60.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
) -> None:
    """Measure health again and again, and tell what is alarming, until Ctrl-C; one line for each notice."""
    from quant_organism.deployment.decisions import waiting_decisions
    from quant_organism.market import Lake
    from quant_organism.monitoring.alerts.book import AlertBook, AlertTimes, alerts_folder
    from quant_organism.monitoring.alerts.rules import alerts_of
    from quant_organism.monitoring.components import open_breakers
    from quant_organism.orchestration.health import health_of
    from quant_organism.trading.kill import flag_raised, kill_file

    settings = options.said(context).settings()
    chosen, folder = settings.alerts, settings.data_dir
    times = AlertTimes(3_600 * chosen.repeat_hours, 60 * chosen.escalate_minutes, 3_600 * chosen.heartbeat_hours)
    book = AlertBook(alerts_folder(folder), _channels(settings), times, secrets=_secrets(settings))
    with suppress(KeyboardInterrupt):
        while True:
            try:
                health = health_of(settings)
                found = alerts_of(
                    health,
                    max_drawdown=chosen.max_drawdown,
                    breakers=open_breakers(folder),
                    is_killed=flag_raised(kill_file(folder)) is not None,
                    waiting=waiting_decisions(Lake(folder / "lake"), datetime.now(UTC).date()),
                )
                for notice in book.look(found, health.at_ms, health.level):
                    typer.echo(f"{notice.headline}: {notice.text}")
            except QuantOrganismError as error:  # whoever watches must not end with what is watched
                if once:
                    raise
                typer.echo(f"this look failed, the next one comes: {error}", err=True)
            if once:
                return
            time.sleep(every)


@app.command("list", cls=options.with_settings("data_dir"))
def list_alerts(context: typer.Context, as_json: options.Json = False) -> None:
    """Show the alerts that last, as the watch saw them last."""
    from dataclasses import asdict

    from quant_organism.monitoring.alerts.book import AlertBook, AlertTimes, alerts_folder

    book = AlertBook(alerts_folder(options.said(context).settings().data_dir), (), AlertTimes())
    if as_json:
        print_json({"alerts": [asdict(one) for one in book.open.values()]})
        return
    if not book.open:
        typer.echo("No alert lasts.")
        return
    rows = [
        (
            one.key,
            one.severity,
            f"{datetime.fromtimestamp(one.since_ms / 1e3, UTC):%Y-%m-%d %H:%M}",
            one.text,
            one.remedy,
            one.run,
        )
        for one in book.open.values()
    ]
    print_table(("alert", "severity", "since, UTC", "what", "what to do", "run"), rows)


@app.command("test", cls=options.with_settings("data_dir"))
def try_channels(context: typer.Context, as_json: options.Json = False) -> None:
    """Send a notice by every channel that is set up; exit code 1 where one does not take it."""
    from quant_organism.monitoring.alerts.channels import DeliveryError, Notice

    settings = options.said(context).settings()
    at_ms = time.time_ns() // 1_000_000
    notice = Notice(at_ms, "test", "test", "info", "A test of the channels", "If you read this, it arrives.")
    results: dict[str, str] = {}
    for channel in _channels(settings):
        try:
            channel.send(notice)
            results[channel.name] = "taken"
        except DeliveryError as error:
            results[channel.name] = f"{error.where}: {error.what}"
    if as_json:
        print_json({"channels": results})
    else:
        print_table(("channel", "result"), list(results.items()))
        if set(results) == {"log"}:
            typer.echo("Only the log is told; set alerts.smtp_host, or QUANT_ORGANISM_ALERTS__WEBHOOK_URL.")
    raise typer.Exit(0 if all(result == "taken" for result in results.values()) else 1)


def _channels(settings: "Settings") -> "list[Channel]":
    from quant_organism.monitoring.alerts.book import alerts_folder
    from quant_organism.monitoring.alerts.channels import LogChannel, MailChannel, MailServer, WebhookChannel

    chosen = settings.alerts
    found: list[Channel] = [LogChannel(alerts_folder(settings.data_dir) / "alerts.jsonl")]
    if chosen.webhook_url is not None:
        found.append(WebhookChannel(chosen.webhook_url.get_secret_value()))
    if chosen.smtp_host is not None:
        password = "" if chosen.smtp_password is None else chosen.smtp_password.get_secret_value()
        server = MailServer(chosen.smtp_host, chosen.smtp_port, chosen.smtp_security, chosen.smtp_user or "", password)
        found.append(MailChannel(server, chosen.smtp_from or "", chosen.smtp_to))
    return found


def _secrets(settings: "Settings") -> list[str]:
    kept = (
        settings.alerts.webhook_url,
        settings.alerts.smtp_password,
        settings.venue.passphrase,
        settings.venue.private_key,
        settings.signing.private_key,
    )
    return [secret.get_secret_value() for secret in kept if secret is not None]
