"""`quant-organism data`: import candles, see what is there and how sound it is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import options
from quant_organism.cli.checking import refuse_early
from quant_organism.cli.output import print_json, print_table, progress_bars

if TYPE_CHECKING:
    from quant_organism.market.files import FileTally
    from quant_organism.market.lake import MarketEntry

app = typer.Typer(help="Market data: import them, list them, judge their quality.", no_args_is_help=True)


@app.command(
    "import",
    cls=options.with_settings(
        "market.name",
        "market.sentiment",
        "market.symbols",
        "market.interval",
        "market.repair",
        "market.require_funding",
        "market.columns",
        "market.time_unit",
        "data_dir",
    ),
)
def import_data(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(help="Folder or file: any CSV or Parquet of candles, freqtrade, Binance Vision, and more.")
    ],
    as_json: options.Json = False,
) -> None:
    """Import candles and funding of all days from files; every row is accounted for."""
    bring_in(options.said(context).also("market.path", path), as_json=as_json)


def bring_in(said: options.Said, *, as_json: bool) -> None:
    """Import the files of the market that is said, and show what became of every row.

    Raises
    ------
    InputError
        The files cannot be used.
    """
    settings = said.settings()
    refuse_early(settings)
    with progress_bars() as bars:
        bars("Start", 0, 1, "loading")
        from quant_organism.errors import InputError
        from quant_organism.market.files import FileSource, funding_known
        from quant_organism.market.funding import UNKNOWN_FUNDING
        from quant_organism.orchestration.driver import Driver

        driver = Driver(settings, bars)
        days = driver.all_days()
        bars("Start", 1, 1, f"{driver.source.market}, {days.first} to {days.last}")
        source = driver.source
        assert isinstance(source, FileSource)
        names = settings.market.symbols or source.symbols()
        settled = source.funding(names, days.first, days.last + timedelta(days=1))
        candles = source.candles(names, driver.interval, days.first, days.last)
        known = funding_known(candles, settled, driver.interval)
        poor = {symbol: share for symbol, share in known.items() if share < settings.market.min_quality}
        if poor and settings.market.require_funding:
            raise InputError(
                _lacking(poor),
                where=str(settings.market.path),
                remedy="put files of funding for all days beside the candles, or leave out --require-funding",
            )
        driver.ingest(days)
        tallies = source.tally(settings.market.symbols, driver.interval, days.first, days.last)
    aside, notes = source.set_aside().height, source.notes()
    if as_json:
        print_json(
            {
                "market": source.market,
                "interval": driver.interval.name,
                "first": days.first,
                "last": days.last,
                "set_aside": aside,
                "notes": notes,
                "without_funding": [symbol for symbol, share in poor.items() if not share],
                "funding_known": known,
                "read": sum(entry.read for entry in tallies),
                "kept": sum(entry.kept for entry in tallies),
                "files": [asdict(entry) for entry in tallies],
            }
        )
        return
    typer.echo(f"Imported {source.market} at {driver.interval}: {days.first} to {days.last}.")
    _show_tallies(tallies)
    for note in notes:
        typer.echo(f"- {note}")
    if poor:
        typer.echo(
            f"{_lacking(poor)}: perpetuals pay it. Where it is unknown, accounts are charged "
            f"{UNKNOWN_FUNDING:.5%} an hour, long or short; --require-funding refuses such markets."
        )
    if aside:
        typer.echo(f"{aside} unusable rows were set aside; see them with: quant-organism sql 'from set_aside'")
    follow = f"data quality --market {source.market} --interval {driver.interval}"
    typer.echo(f"\nNext: {said.command_line(follow, 'data_dir')}")


def _lacking(poor: Mapping[str, float]) -> str:
    """Say of which symbols no funding is known, and of which on a part of their bars."""
    without = [symbol for symbol, share in poor.items() if not share]
    partly = [f"FUNDING of {symbol} is known on {share:.1%} of its bars" for symbol, share in poor.items() if share]
    return "; ".join([*([f"NO FUNDING of {', '.join(without)}"] if without else []), *partly])


def _show_tallies(tallies: "Sequence[FileTally]") -> None:
    """Show what became of every row, and what the reasons mean."""
    from quant_organism.market.files import ASIDE

    rows = [(entry.file, entry.symbol, entry.kind, entry.read, entry.kept, _reasons(entry.aside)) for entry in tallies]
    total: Counter[str] = Counter()
    for entry in tallies:
        total.update(entry.aside)
    sums = ("all", "", "", sum(row[3] for row in rows), sum(row[4] for row in rows), _reasons(total))
    print_table(("file", "symbol", "rows", "read", "kept", "left aside"), [*rows, *([sums] if len(rows) > 1 else [])])
    for reason in sorted(total):
        if reason in ASIDE:
            typer.echo(f"  {reason}: {ASIDE[reason]}")


def _reasons(aside: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(aside.items())) or "-"


@app.command("list", cls=options.with_settings("data_dir"))
def list_data(context: typer.Context, as_json: options.Json = False) -> None:
    """List the markets of the lake and what is held of each."""
    from quant_organism.market.lake import Lake
    from quant_organism.monitoring import stored_runs

    data_dir = options.said(context).settings().data_dir
    held = [(entry, holding) for entry in Lake(data_dir / "lake").markets() for holding in entry.holdings]
    cycles = Counter((run.market, run.interval.name) for run in stored_runs(data_dir))
    rows = [
        {
            "market": entry.market,
            "interval": holding.interval,
            "first": holding.first,
            "last": holding.last,
            "days": holding.n_days,
            "cycles": cycles[entry.market, str(holding.interval)],
            "from": _origin(entry),
        }
        for entry, holding in held
        if holding.dataset == "candles"
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        typer.echo("The lake is empty. Fill it with: quant-organism data import PATH, or quant-organism run")


def _origin(entry: "MarketEntry") -> str:
    source = entry.source
    return (
        f"world {source['name']}, seed {source['seed']}" if source.get("kind") == "world" else source.get("path", "-")
    )


@app.command(cls=options.with_settings("market.name", "market.interval", "market.symbols", "data_dir"))
def quality(
    context: typer.Context,
    worst: Annotated[int, typer.Option(min=1, help="How many of the worst days to show.")] = 15,
    as_json: options.Json = False,
) -> None:
    """Score the candles of the lake per day and symbol, with the reasons."""
    from quant_organism.cli.holdings import choose_candles
    from quant_organism.market.lake import Lake
    from quant_organism.market.manifest import assess_candles
    from quant_organism.market.quality import summarise
    from quant_organism.market.schema import Interval, choose_symbols

    said = options.said(context)
    lake = Lake(said.settings().data_dir / "lake")
    held = choose_candles(lake, said.value("market.name"), said.value("market.interval"))
    assessment = assess_candles(
        lake, market=held.market, interval=Interval.parse(held.interval), start=held.first, end=held.last
    )
    symbols = said.value("market.symbols")
    if symbols is not None:
        known = assessment["symbol"].unique().to_list()
        chosen = choose_symbols(options.split_symbols(symbols), known, where=f"market {held.market}")
        assessment = assessment.filter(assessment["symbol"].is_in(chosen))
    summary = summarise(assessment)
    days = assessment.filter(assessment["score"] < 1).sort("score", "day", "symbol").head(worst)
    scores = [{**asdict(score), "score": score.score} for score in (summary.overall, *summary.symbols)]
    if as_json:
        print_json({"market": held.market, "interval": held.interval, "scores": scores, "worst_days": days.to_dicts()})
        return
    print_table(
        ("part", "bars expected", "defective", "score", "funding known", "reasons"),
        [(s["of"], s["expected"], s["defective"], s["score"], s["funding"], s["reasons"]) for s in scores],
        title=f"{held.market} at {held.interval}, {held.first} to {held.last}",
    )
    if days.height:
        shown = days.select("day", "symbol", "bars", "expected", "score", "reasons")
        print_table(shown.columns, shown.iter_rows(), title="Worst days")
    for sentence in summary.funding_gaps():
        typer.echo(sentence)


@app.command("slippage", cls=options.with_settings("data_dir"))
def measure_slippage(
    context: typer.Context,
    recordings: Annotated[
        list[Path], typer.Argument(help="Files or folders of: exchange record, follow --record --books, frames.")
    ],
    market: Annotated[str, typer.Option(help="Market of the lake whose symbols are the coins of the books.")],
    as_json: options.Json = False,
) -> None:
    """Measure per coin what orders pay in recorded books; accounts of the market slip by it from then on."""
    from quant_organism.backtest.account import LEAST_BOOKS
    from quant_organism.market import Lake, SlippageTable, check_market_id
    from quant_organism.venue import measure_books

    name = check_market_id(market)
    measured = measure_books(recordings)
    table = Lake(options.said(context).settings().data_dir / "lake").table(SlippageTable)
    table.write(measured.frame, market=name, day=measured.day)
    if as_json:
        print_json({"market": name, "day": measured.day, "unused": measured.unused, "rows": measured.frame.to_dicts()})
        return
    shown = measured.frame.drop(SlippageTable.first, SlippageTable.last)
    print_table(shown.columns, shown.iter_rows(), title=f"{name}: slippage, books until {measured.day}")
    few = measured.frame.filter(measured.frame[SlippageTable.books] < LEAST_BOOKS)[SlippageTable.symbol].unique()
    if few.len():
        typer.echo(
            f"Fewer than {LEAST_BOOKS} books measure nothing: {', '.join(sorted(few))} stays at what is assumed."
        )
    for what, count in measured.unused.items():
        typer.echo(f"Left out, {what}: {count}")


@app.command("compact", cls=options.with_settings("data_dir"))
def compact_days(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Join them; otherwise it is only told.")] = False,
    as_json: options.Json = False,
) -> None:
    """Join the days of months that are over: candles, funding and sentiment, to the bit, in a file a month."""
    from quant_organism.market.compaction import compact, find_spans
    from quant_organism.market.migration import migrate
    from quant_organism.orchestration.run_lock import run_lock

    said = options.said(context)
    data_dir = said.settings().data_dir
    if yes:
        with run_lock(data_dir), progress_bars() as bars:
            migrate(data_dir / "lake")
            spans = compact(data_dir / "lake", lambda done, all_: bars("Joining", done, all_, "months"))
    else:
        spans = find_spans(data_dir / "lake")
    rows: dict[tuple[str, str, str], list[int]] = {}
    for span in spans:
        sums = rows.setdefault((span.dataset, span.market, span.interval or ""), [0, 0, 0, 0])
        for place, count in enumerate((len(span.files), 1, span.before, span.after or 0)):
            sums[place] += count
    if as_json:
        named = ("files", "joined_files", "bytes_before", "bytes_after")
        shown = [
            dict(zip(("dataset", "market", "interval"), key, strict=True))
            | {name: count if yes or name != "bytes_after" else None for name, count in zip(named, sums, strict=True)}
            for key, sums in rows.items()
        ]
        print_json({"joined": yes, "datasets": shown})
        return
    if not spans:
        typer.echo(f"No month that is over lies in files of single days in {data_dir / 'lake'}.")
        return
    print_table(
        ("dataset", "market", "interval", "files", "joined", "MB before", "MB after"),
        [
            (*key, files, joined, f"{before / 1e6:,.1f}", f"{after / 1e6:,.1f}" if yes else "-")
            for key, (files, joined, before, after) in rows.items()
        ],
        title="Joined" if yes else "Would be joined",
    )
    if not yes:
        typer.echo(f"Nothing was changed. To do it: {said.command_line('data compact --yes', 'data_dir')}")


@app.command("migrate", cls=options.with_settings("data_dir"))
def bring_up_to_date(context: typer.Context) -> None:
    """Bring the lake of an earlier version to the form of this one; every run does so by itself."""
    from quant_organism.market.migration import NEWEST, migrate

    done = migrate(options.said(context).settings().data_dir / "lake")
    for what in done:
        typer.echo(f"- {what}")
    typer.echo(f"The lake has form {NEWEST}, the newest.")


@app.command("place", cls=options.with_settings("data_dir"))
def place(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Bucket and prefix: s3://BUCKET/PREFIX.")],
    endpoint: Annotated[
        str | None, typer.Option(help="Address of the server, https://HOST:PORT. (default: Amazon's in the region)")
    ] = None,
    region: Annotated[str, typer.Option(help="Region that requests are signed for.")] = "us-east-1",
) -> None:
    """Keep the lake of a new data folder on an object store; the key to it stands in AWS_ACCESS_KEY_ID and so on."""
    from quant_organism.market.lake import place_lake
    from quant_organism.resilience import object_folder

    root, folder = (
        options.said(context).settings().data_dir / "lake",
        object_folder(url, endpoint=endpoint, region=region),
    )
    place_lake(root, folder)
    typer.echo(f"The lake of this data folder is {folder}, at {folder.store.endpoint}; {root} says so.")
