"""`quant-organism replay`: a stored strategy, traded bar by bar on the days that it promises by."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import completion, options
from quant_organism.cli.output import print_json, print_table

if TYPE_CHECKING:
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
    context: typer.Context,
    id: Annotated[
        str, typer.Argument(help="Identity, as `strategies list` shows it.", autocompletion=completion.strategies)
    ],
    mode: Annotated[str, typer.Option(help="How much: minimal, fast (three periods of 30 days) or full.")] = "fast",
    pace: Annotated[float | None, typer.Option(help="Times faster than the bars came. (default: as it goes)")] = None,
    minutes: Annotated[float | None, typer.Option(help="Time limit. (default: none)")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Members that are replayed at once.")] = 1,
    as_json: options.Json = False,
) -> None:
    """Trade a strategy and its account bar by bar, and compare trades and orders with the backtest's.

    Exit code 2 where one differs.
    """
    from quant_organism.backtest.account import EQUITY_USD
    from quant_organism.deployment import StrategyRepository, birth_costs, birth_panel, birth_splits
    from quant_organism.errors import InputError, IntegrityError
    from quant_organism.market.lake import Lake
    from quant_organism.market.lines import has_unseen, promised
    from quant_organism.market.schema import format_ms
    from quant_organism.validation.genome_replay import Pace
    from quant_organism.validation.holdout import HoldoutRegister
    from quant_organism.validation.replay import replay_committee
    from quant_organism.validation.replay_store import ReplayStore
    from quant_organism.validation.statistics.evidence import NotRun
    from quant_organism.validation.triple import PERIODS, periods_of

    chosen = next((name for name in PERIODS if name == mode), None)
    if chosen is None:
        raise InputError(f"no mode {mode!r}", where="option --mode", remedy=f"use one of {', '.join(PERIODS)}")
    folder = options.said(context).settings().data_dir
    document = StrategyRepository(folder / "strategies").load(id)
    born = document.provenance
    lake = Lake(folder / "lake")
    panel, costs = birth_panel(document, lake), birth_costs(document, lake)
    splits = birth_splits(document, lake, panel)
    if has_unseen(splits):
        HoldoutRegister(folder / "lake").check_opened(born.market, born.panel_hash, id)
    periods = periods_of(chosen, promised(splits), panel.interval.bars_per_day)
    result = (
        periods
        if isinstance(periods, NotRun)
        else replay_committee(
            document.committee,
            panel,
            costs,
            periods,
            equity_usd=EQUITY_USD if document.account is None else document.account.equity_usd,
            processes=processes,
            store=None if pace else ReplayStore(folder / "lake"),
            minutes=minutes,
            pace=Pace(pace, SystemClock()) if pace else None,
            clock=time.monotonic,
        )
    )
    if isinstance(result, NotRun):
        raise InputError(f"not replayed: {result.reason}", where=id)
    if result.difference:
        raise IntegrityError(
            f"the trades of {result.compared - result.equal} of {result.compared} replays and the account's orders of "
            f"{len(result.periods) - result.orders_equal} of {len(result.periods)} periods are not those of the "
            f"backtest; in {result.difference}",
            where=id,
            remedy="trust neither: report it as a defect",
        )
    rows = _rows(result, [format_ms(begin) for begin in result.begins])
    if as_json:
        print_json(
            {
                "id": id,
                "mode": mode,
                "trade_hash": result.trade_hash,
                "order_hash": result.order_hash,
                "compared": result.compared,
                "periods": rows,
            }
        )
        return
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    typer.echo(f"All trades are those of the backtest, in {result.compared} replays. Trade hash {result.trade_hash}")
    typer.echo(f"All orders of its account are too, in {len(rows)} periods. Order hash {result.order_hash}")


def _rows(result: "Replay", begins: list[str]) -> list[dict[str, object]]:
    return [
        {
            "from": begin,
            "bars": len(span),
            "trades": trades,
            "orders": account.orders,
            "sharpe": account.sharpe,
            "return": account.total_return,
            "ideal_return": ideal,
        }
        for begin, span, trades, account, ideal in zip(
            begins, result.periods, result.trades, result.accounts, result.total_return, strict=True
        )
    ]
