"""`quant-organism families list|show`: the gallery of strategy families."""

from pathlib import Path
from typing import Annotated

import typer

from quant_organism.cli import completion, options
from quant_organism.cli.output import print_json, print_table

app = typer.Typer(help="Strategy families: list them, look at one and at what it does.", no_args_is_help=True)


@app.command("list")
def list_families(as_json: options.Json = False) -> None:
    """List all families with their genes and their logic."""
    from quant_organism.monitoring import family_record
    from quant_organism.strategies import family_names, ranking_family_names

    records = [family_record(name) for name in (*family_names(), *ranking_family_names())]
    if as_json:
        print_json({"families": records})
        return
    print_table(
        ("family", "type", "evolves", "logic and genes"),
        [
            (
                record["family"],
                record["type"],
                "yes" if record["evolves"] else "if chosen",
                f"{record['logic']}\n{' '.join(gene['gene'] for gene in record['genes'])}",
            )
            for record in records
        ],
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name, as `families list` shows it.", autocompletion=completion.families)],
    plot: Annotated[
        Path | None, typer.Option(help="Draw the default genome's positions on a made market into this PNG file.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show one family: its genes with bounds and units, its logic, its warm-up."""
    from quant_organism.monitoring import family_record

    record = family_record(name)
    if plot is not None:
        from quant_organism.monitoring import png, showcase, showcase_figure
        from quant_organism.resilience import write_file

        write_file(plot, png(showcase_figure(showcase(name))))
    if as_json:
        print_json(record | {"plot": plot})
        return
    typer.echo(f"{name}   {record['type']}   {'evolves' if record['evolves'] else 'evolves if chosen'}")
    typer.echo(record["logic"])
    typer.echo(
        f"reads {', '.join(record['columns'])}; gives a {record['output']}; "
        f"may trade from bar {record['warmup_bars']} on (default genes)\n"
    )
    for title, genes in (("Genes", record["genes"]), ("Genes of every family of its kind", record["common_genes"])):
        columns = [column for column in genes[0] if column != "kind"]
        print_table(columns, [[gene[column] for column in columns] for gene in genes], title=title)
    if plot is not None:
        typer.echo(f"drawn: {plot}")
