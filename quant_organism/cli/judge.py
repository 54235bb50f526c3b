"""`quant-organism judge`: a strategy made elsewhere before the same court."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table, progress_bars
from quant_organism.errors import InputError

if TYPE_CHECKING:
    import datetime as dt

    import polars as pl

    from quant_organism.judge import (
        CallableSpec,
        Court,
        DocumentSpec,
        FreqtradeSpec,
        JudgedPage,
        KeptStrategy,
        ProposalsSpec,
    )

SETTINGS: Final = ("data_dir", "market", "threads")


def judge(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="YAML file (docs/judge.md), Python file with a callable or of freqtrade, or a shipped example."
        ),
    ],
    date: options.CycleDay = None,
    tried: Annotated[
        int | None,
        typer.Option(min=1, help="How many trials were really tried, this one included. (default: the document's)"),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="Try NAME=A,B,C or NAME=LOW:HIGH:STEP of a parameter of code; may be repeated. "
            "(default: the document's)"
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(min=1, help="Most trials, drawn at random where the space holds more. (default: the document's)"),
    ] = None,
    copies: Annotated[
        int | None,
        typer.Option(min=19, max=9_999, help="Copies of the market: 19 reach 0.05. (default: the document's, or 99)"),
    ] = None,
    trusted: Annotated[
        bool, typer.Option("--trusted", help="Run a Python file without walls, with all that you may do yourself.")
    ] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep code that stands: a document in the shadow pool, marked from tomorrow on."),
    ] = False,
    freqtrade: Annotated[
        Path | None,
        typer.Option(help="Python of an environment that has freqtrade: say how many of its own trades are equal."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Judge a strategy that was made elsewhere: how likely luck shows as much, and what would overturn the verdict."""
    from quant_organism.judge import FreqtradeSpec, TableSpec, TrialReturns, judge_trials, load_spec, with_space

    said = options.said(context)
    day = options.parse_day(date)
    spec, folder = load_spec(source)
    kept: KeptStrategy | None = None
    sheet: Path | None = None
    if space or budget is not None:
        spec = with_space(spec, space or (), budget)
    if tried is not None:
        spec = spec.model_copy(update={"tried": tried})
    if freqtrade is not None and not isinstance(spec, FreqtradeSpec):
        raise InputError(f"{spec.kind}: no file of freqtrade", where="option --freqtrade", remedy="leave it out")
    if isinstance(spec, TableSpec):
        if keep or copies is not None:
            raise InputError(
                "a table of trials holds no strategy that could live on, or be tried on copies of the market",
                where="option --keep" if keep else "option --copies",
                remedy="judge its code",
            )
        page = judge_trials(
            TrialReturns.read(folder / spec.table),
            spec.chosen,
            name=spec.name,
            tried=spec.tried,
            unseen_from=spec.unseen_from,
            days_per_year=spec.days_per_year,
            seed=spec.seed,
        )
    else:
        if copies is not None:
            spec = spec.model_copy(update={"copies": copies})
        page, kept, sheet = _heard(said, spec, folder, day, trusted=trusted, keep=keep, freqtrade=freqtrade)
    if as_json:
        print_json(page.document | ({} if kept is None else {"kept": _told_of(kept, sheet)}))
        return
    _show(page)
    if kept is not None and kept.document is not None:
        typer.echo(
            f"kept as {kept.document.id}, in stage {kept.document.stage}: {kept.reason}\nits tear sheet: {sheet}"
        )
    elif kept is not None:
        typer.echo(f"not kept: {kept.reason}")


def _told_of(kept: "KeptStrategy", sheet: Path | None) -> dict[str, object]:
    document = kept.document
    return {
        "id": None if document is None else document.id,
        "stage": None if document is None else document.stage,
        "reason": kept.reason,
        "tear_sheet": None if sheet is None else str(sheet),
    }


def _heard(
    said: options.Said,
    spec: "CallableSpec | FreqtradeSpec | DocumentSpec | ProposalsSpec",
    folder: Path,
    day: "dt.date | None",
    *,
    trusted: bool,
    keep: bool,
    freqtrade: Path | None,
) -> "tuple[JudgedPage, KeptStrategy | None, Path | None]":
    from datetime import UTC, datetime

    from quant_organism.deployment import StrategyRepository
    from quant_organism.judge import (
        CallableStrategy,
        Court,
        DocumentSpec,
        FreqtradePython,
        ProposalsSpec,
        ended_assets,
        judge_strategy,
        keep_survivor,
    )

    proposer = strategy = None
    if isinstance(spec, ProposalsSpec):
        proposer = spec.proposer(folder)
    else:
        strategy = spec.strategy(folder) if isinstance(spec, DocumentSpec) else spec.strategy(folder, trusted=trusted)
    own = None if freqtrade is None else FreqtradePython.of(freqtrade)
    settings = said.settings()
    with progress_bars() as bars:
        bars("Start", 0, 1, "loading")
        from quant_organism.cycle import Panels
        from quant_organism.market import Interval, Lake, build_panel
        from quant_organism.orchestration.access import Signing
        from quant_organism.orchestration.driver import Driver

        driver = Driver(settings, bars)
        days = driver.days(day)
        bars("Start", 1, 1, f"{driver.source.market}, {days.first} to {days.last}")
        driver.ingest(days)
        lake, bar = Lake(settings.data_dir / "lake"), Interval.parse(settings.market.interval)
        lookback = (days.last - days.first).days + 1
        where = (lake, driver.source.market, bar, days.last)
        made = Panels().make(*where, lookback_days=lookback, symbols=settings.market.symbols)
        made.require_quality(settings.market.min_quality)
        everything = made.panel if settings.market.symbols is None else build_panel(*where, lookback, None)
        court = Court(
            lake=lake,
            panel=made.panel,
            seed=spec.seed,
            copies=spec.copies,
            processes=settings.worker_threads,
            left_out=tuple(symbol for symbol in ended_assets(everything) if symbol not in made.panel.symbols),
            progress=bars,
        )
        if strategy is not None:
            page = judge_strategy(court, strategy, tried=spec.tried)
        else:
            assert isinstance(spec, ProposalsSpec)
            assert proposer is not None
            proposed, refused = court.listen(
                lambda panel: proposer, spec.budget, name=spec.name or Path(spec.file).stem
            )
            page = judge_strategy(court, proposed, tried=spec.tried)
            page = replace(page, facts={**page.facts, "refused": refused})
        if own is not None:
            assert isinstance(strategy, CallableStrategy)
            bars("Freqtrade", 0, 1, "its own backtest")
            trial = page.facts.get("parameters", page.facts.get("caught_with", {}))
            try:
                compared = own.compare(strategy, trial, court.seen, court.costs)
            except InputError as error:
                page = replace(page, unsaid={**page.unsaid, "freqtrade": f"{error.what} ({error.where})"})
            else:
                page = replace(page, facts={**page.facts, "freqtrade": compared.document})
            bars("Freqtrade", 1, 1, "its own backtest")
        if not keep:
            return page, None, None
        repository = StrategyRepository(settings.data_dir / "strategies", signer=Signing(settings).signer())
        kept = keep_survivor(court, page, made.manifest, repository, now=datetime.now(UTC))
        return page, kept, sheet_of(kept, page, court, made.manifest, settings.data_dir / "reports")


def sheet_of(
    kept: "KeptStrategy", page: "JudgedPage", court: "Court", manifest: "pl.DataFrame", reports: Path
) -> Path | None:
    """Write the tear sheet of what is kept where those of its market are, and return its path."""
    from quant_organism.market import day_of
    from quant_organism.monitoring import external_tear_sheet, spans_of, write_tear_sheets

    document, survivor = kept.document, page.survivor
    if document is None or survivor is None:
        return None
    sheet = external_tear_sheet(
        document,
        survivor.window,
        court.panel,
        court.splits,
        court.costs,
        sentence=page.sentence,
        sharpe=float(page.facts["sharpe"]),
        spans=spans_of(court.splits, court.panel.interval, day_of(int(court.panel.times[-1])), manifest),
        verdicts=page.verdicts,
        decisive=page.decisive,
        shakes=survivor.shakes,
    )
    born = document.provenance
    folder = reports / born.market / document.interval / born.date / born.cycle / "tear_sheets"
    return write_tear_sheets(folder, [sheet])[document.id]


def _show(page: "JudgedPage") -> None:
    print_table(
        ("asked", "verdict", "decides", "why"),
        [
            (verdict.gate, verdict.status, "yes" if verdict.gate in page.decisive else "", verdict.reason)
            for verdict in page.verdicts
        ],
        title=f"{page.name}: {page.outcome}",
    )
    if page.accounts:
        print_table(
            ("account USD", "a year", "Sharpe", "drawdown", "fees USD a year", "orders a day", "smallest order USD"),
            [
                (
                    account.equity_usd,
                    account.annual_return,
                    account.sharpe,
                    account.max_drawdown,
                    account.fees_usd_year,
                    account.orders_per_day,
                    account.smallest_order_usd,
                )
                for account in page.accounts
            ],
            title="What accounts made of it",
        )
    if page.unsaid:
        print_table(("cannot be said", "why"), page.unsaid.items())
    if parameters := page.facts.get("parameters"):
        typer.echo(f"put forward: {', '.join(f'{name} {value}' for name, value in parameters.items())}\n")
    if compared := page.facts.get("freqtrade"):
        typer.echo(f"{compared['sentence']}\n")
    typer.echo(page.sentence)
