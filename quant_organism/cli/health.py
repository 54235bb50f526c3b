"""`quant-organism health`: how trader, data, nights and machine are, measured now."""

from typing import Final

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table

SETTINGS: Final = ("data_dir", "market")


def health(context: typer.Context, as_json: options.Json = False) -> None:
    """Measure the health of trader, data, nights and machine; exit code 1 if anything failed or is not known."""
    from dataclasses import asdict

    from quant_organism.monitoring.components import age
    from quant_organism.orchestration.health import health_of

    found = health_of(options.said(context).settings())
    if as_json:
        print_json(
            {
                "level": found.level,
                "score": found.score,
                "at_ms": found.at_ms,
                "components": [asdict(one) for one in found.components],
            }
        )
    else:
        print_table(
            ("component", "status", "found", "age"),
            [
                (one.component, one.status, one.found, None if one.age_s is None else age(one.age_s))
                for one in found.components
            ],
        )
        for one in found.ailing:
            if one.remedy:
                typer.echo(f"{one.component}: {one.remedy}")
        score = "nothing is in use yet" if found.score is None else f"score {found.score:.2f}"
        typer.echo(f"Health is {found.level} ({score}).")
    raise typer.Exit(0 if found.is_well else 1)
