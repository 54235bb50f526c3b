"""`quant-organism strategies export`: a strategy for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from quant_organism.cli import completion, options
from quant_organism.cli.output import print_json

if TYPE_CHECKING:
    from quant_organism.deployment.config import StrategyConfig

_ENDINGS = {"python": "py", "freqtrade": "py", "csv": "csv"}
_NEXT = {
    "python": "It needs numpy and nothing else: python {path} {symbol} candles.csv > targets.csv",
    "freqtrade": "What freqtrade does otherwise stands at its head. freqtrade backtesting --strategy-path {folder} "
    "--strategy {name} --timeframe {interval}",
    "csv": "A row per bar and asset: what is wanted at its close, as a share of full size, signed.",
}


def export(
    context: typer.Context,
    id: Annotated[
        str, typer.Argument(help="Identity, as `strategies list` shows it.", autocompletion=completion.strategies)
    ],
    to: Annotated[
        Literal["freqtrade", "python", "csv"],
        typer.Option("--to", help="A freqtrade strategy, Python that needs numpy alone, or its signals."),
    ],
    output: Annotated[Path | None, typer.Option(help="The file. (default: named after the strategy)")] = None,
    as_json: options.Json = False,
) -> None:
    """Write a strategy as one file for another program; what cannot be written so is refused by name."""
    from quant_organism.deployment.repository import StrategyRepository
    from quant_organism.errors import InputError
    from quant_organism.resilience.files import write_file
    from quant_organism.strategies.export import class_name

    folder = options.said(context).settings().data_dir
    document = StrategyRepository(folder / "strategies").load(id)
    name = class_name(document.committee) if to == "freqtrade" else document.id
    path = output or Path(f"{name}.{_ENDINGS[to]}")
    content = _content(document, to, path.name, folder)
    if path.exists() and path.read_bytes() != content:
        raise InputError(
            "there is another file already", where=str(path), remedy="give another one with --output, or remove it"
        )
    write_file(path, content)
    if as_json:
        print_json({"id": id, "to": to, "path": str(path)})
        return
    typer.echo(f"{id} is in {path}")
    said = {"path": path, "folder": path.parent, "name": name, "interval": document.interval}
    typer.echo(_NEXT[to].format(symbol=document.universe[0], **said))


def _content(document: "StrategyConfig", to: str, name: str, folder: Path) -> bytes:
    # What stands in a file of that name.
    from quant_organism.errors import InputError
    from quant_organism.market.lake import Lake
    from quant_organism.market.panel import build_panel
    from quant_organism.market.schema import Interval
    from quant_organism.strategies.export import Portrait, freqtrade_file, python_file, signal_table

    interval, born = Interval.parse(document.interval), document.provenance
    portrait = Portrait(
        document.committee, document.universe, interval, f"Born {born.date} on the market {born.market}."
    )
    if to == "python":
        return python_file(portrait, name).encode()
    if to == "freqtrade":
        return freqtrade_file(portrait).encode()
    lake = Lake(folder / "lake")
    days = lake.days("candles", market=born.market, interval=interval.name)
    if not days:
        raise InputError(
            f"the lake holds no candles of {born.market} at {interval}", where=str(lake.root), remedy="data import PATH"
        )
    panel = build_panel(lake, born.market, interval, days[-1], lookback_days=None, symbols=document.universe)
    return signal_table(document.committee, panel).write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ").encode()
