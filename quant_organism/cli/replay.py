"""`quant-organism replay`: a stored strategy, traded bar by bar on the unseen days that it was judged on."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.deployment.config import StrategyConfig
    from quant_organism.market.panel import Panel
    from quant_organism.validation.replay import Replay


class SystemClock:
    """The time of this machine, for replays at a pace."""

    def now(self) -> float:
        """Return seconds since any fixed moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def replay(
    id: Annotated[str, typer.Argument(help="Identity, as `strategies list` shows it.")],
    mode: Annotated[str, typer.Option(help="How much: minimal, fast (three periods of 30 days) or full.")] = "fast",
    pace: Annotated[float | None, typer.Option(help="Times faster than the bars came. (default: as it goes)")] = None,
    minutes: Annotated[float | None, typer.Option(help="Time limit. (default: none)")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Members that are replayed at once.")] = 1,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Trade a strategy bar by bar and compare its trades with the backtest's; exit code 2 where one differs."""
    from quant_organism.backtest import Costs
    from quant_organism.cli.output import print_json, print_table
    from quant_organism.deployment.repository import StrategyRepository
    from quant_organism.errors import InputError, IntegrityError
    from quant_organism.market.schema import format_ms
    from quant_organism.validation.replay import Pace, replay_committee
    from quant_organism.validation.replay_store import ReplayStore
    from quant_organism.validation.splits import split
    from quant_organism.validation.statistics.evidence import NotRun
    from quant_organism.validation.triple import PERIODS, periods_of

    chosen = next((name for name in PERIODS if name == mode), None)
    if chosen is None:
        raise InputError(f"no mode {mode!r}", where="option --mode", remedy=f"use one of {', '.join(PERIODS)}")
    folder = options.folder_settings(data_dir).data_dir
    document = StrategyRepository(folder / "strategies").load(id)
    panel = _panel(document, folder / "lake")
    periods = periods_of(chosen, split(panel.n_bars, panel.interval).unseen, panel.interval.bars_per_day)
    found = (
        periods
        if isinstance(periods, NotRun)
        else replay_committee(
            document.committee,
            panel,
            Costs(),
            periods,
            processes=processes,
            store=None if pace else ReplayStore(folder / "lake"),
            minutes=minutes,
            pace=Pace(pace, SystemClock()) if pace else None,
            clock=time.monotonic,
        )
    )
    if isinstance(found, NotRun):
        raise InputError(f"not replayed: {found.reason}", where=id)
    if found.difference:
        raise IntegrityError(
            f"the trades of {found.compared - found.equal} of {found.compared} replays are not those of the backtest; "
            f"in {found.difference}",
            where=id,
            remedy="trust neither: report it as a defect",
        )
    rows = _rows(found, [format_ms(begin) for begin in found.begins])
    if as_json:
        print_json(
            {"id": id, "mode": mode, "trade_hash": found.trade_hash, "compared": found.compared, "periods": rows}
        )
        return
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    typer.echo(f"All trades are those of the backtest, in {found.compared} replays. Trade hash {found.trade_hash}")


def _panel(document: "StrategyConfig", lake_folder: Path) -> "Panel":
    # What it was judged on; the days are open to it, and to no one else, by the look that its cycle wrote down.
    from datetime import date

    import polars as pl

    from quant_organism.errors import InputError
    from quant_organism.market.lake import Lake
    from quant_organism.market.schema import Interval
    from quant_organism.orchestration.panels import rebuild_panel
    from quant_organism.validation.holdout import HoldoutRegister

    born, interval = document.provenance, Interval.parse(document.interval)
    day = date.fromisoformat(born.date)
    opened = (
        HoldoutRegister(lake_folder)
        .frame(born.market)
        .filter(
            pl.col("panel_hash") == born.panel_hash, pl.col("candidates").list.contains(document.id), event="opened"
        )
    )
    if opened.is_empty():
        raise InputError(
            f"the unseen days of {born.date} were never opened for it",
            where=document.id,
            remedy="replay strategies in the data folder of the run that judged them",
        )
    lake = Lake(lake_folder)
    manifest = lake.read("market_panel", market=born.market, interval=interval.name, start=day, end=day)
    return rebuild_panel(manifest, lake, market=born.market, interval=interval, day=day)


def _rows(found: "Replay", begins: list[str]) -> list[dict[str, object]]:
    return [
        {"from": begin, "bars": len(span), "trades": trades, "sharpe": sharpe, "return": gained}
        for begin, span, trades, sharpe, gained in zip(
            begins, found.periods, found.trades, found.sharpe, found.total_return, strict=True
        )
    ]
