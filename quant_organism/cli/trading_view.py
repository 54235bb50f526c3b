"""What a person is shown of a trader: where it stands, and what each close brings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from quant_organism.cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import polars as pl
    from rich.table import Table

    from quant_organism.trading.parity import Parity
    from quant_organism.trading.reading import TraderStatus
    from quant_organism.trading.runtime import CloseReport

_LINES_SHOWN: Final = 12


def show_status(
    status: "TraderStatus",
    parity: "Parity | None" = None,
    *,
    ranks: "tuple[date, pl.DataFrame] | None" = None,
    as_json: bool,
) -> None:
    """Print where a trader stands, how its orders compare with a backtest's, and how its symbols rank, or as JSON."""
    from quant_organism.market import format_ms
    from quant_organism.trading import MICRO_USD

    equity, capital = (
        (None, None) if status.equity is None else (status.equity.equity / MICRO_USD, status.equity.capital / MICRO_USD)
    )
    summary: dict[str, Any] = {
        "mode": status.session.mode,
        "session": status.session.session,
        "market": status.session.market,
        "interval": status.session.interval,
        "close": None if status.close_ms is None else format_ms(status.close_ms),
        "is_ended": status.is_ended,
        "equity_usd": equity,
        "capital_usd": capital,
        "drawdown": None if status.equity is None else status.equity.drawdown,
        "decisions": status.decisions,
        "orders": status.orders,
        "fills": status.fills,
        "order_hash": status.h2,
    }
    if parity is not None:
        summary |= {"parity": parity.is_equal, "parity_difference": parity.difference}
    positions = [
        {
            "symbol": held.symbol,
            "size": held.size,
            "entry_price": held.entry_price,
            "cost_usd": held.cost_usd,
        }
        for held in status.positions
    ]
    breakers = [
        {"name": each.name, "state": each.state, "value": each.value, "bound": each.bound, "reason": each.reason}
        for each in status.breakers
    ]
    strategies = [{"strategy": each.strategy, "profit_usd": each.profit / MICRO_USD} for each in status.profits]
    ranked = [] if ranks is None else [{"day": str(ranks[0]), **row} for row in ranks[1].to_dicts()]
    if as_json:
        lists = {"positions": positions, "strategies": strategies, "breakers": breakers, "symbol_ranks": ranked}
        print_json({**summary, **lists, "traded_by_hand": list(status.frozen)})
        return
    print_table(("what", "is"), [(name, _words(value)) for name, value in summary.items()])
    if status.frozen:
        typer.echo(f"Traded by hand and left alone since: {', '.join(status.frozen)}. Say: trade release SYMBOL")
    tables: dict[str, list[dict[str, Any]]] = {
        "Positions": positions,
        "Strategies": strategies,
        "Breakers": breakers,
        "Ranks of symbols": ranked,
    }
    for title, rows in tables.items():
        if rows:
            print_table(list(rows[0]), [list(row.values()) for row in rows], title=title)


def _words(value: object) -> str:
    return "-" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)


@contextmanager
def told_of_closes(*, quiet: bool, live: bool) -> "Iterator[Callable[[CloseReport], None]]":
    """Show what closes bring: nothing, a table that is drawn anew where there is a terminal, else a line per fill."""
    import sys

    if quiet:
        yield lambda report: None
    elif not (live and sys.stdout.isatty()):
        yield _say_lines
    else:
        from rich.live import Live

        shown = _Shown()
        with Live(shown.table(), refresh_per_second=8) as screen:

            def draw(report: "CloseReport") -> None:
                shown.add(report)
                screen.update(shown.table())

            yield draw


def _say_lines(report: "CloseReport") -> None:
    for line in _lines(report):
        typer.echo("  ".join(line))


def _lines(report: "CloseReport") -> Iterator[tuple[str, str, str, str]]:
    """Yield what was decided and filled, each as when, what, of what, and why."""
    from quant_organism.market import format_ms
    from quant_organism.trading import LedgerEvent, LedgerFill, TradeDecision

    for record in report.records:
        if isinstance(record, TradeDecision) and record.role == "trades":
            verdict = record.reason if record.is_allowed else f"refused: {record.reason}"
            what = f"{record.kind} {record.side}"
            what += "" if record.kind == "exit" else f" {record.size_usd:,.0f} USD"
            yield format_ms(record.close_ms), what, record.symbol, verdict
        elif isinstance(record, LedgerFill) and "/" not in record.account:
            verb = "bought" if record.lots > 0 else "sold"
            what = f"{verb} {abs(record.size):g} at {record.price:,.6g}"
            yield format_ms(record.time_ms), what, record.symbol, record.kind
        elif isinstance(record, LedgerEvent):
            yield format_ms(record.at_ms), record.kind, "", record.text


class _Shown:
    """What the table of a live session shows."""

    def __init__(self) -> None:
        self.equity, self.close, self.decisions, self.fills = 0.0, "", 0, 0
        self.drawdown, self.gross = 0.0, 0.0
        self.lines: list[tuple[str, str, str, str]] = []

    def add(self, report: "CloseReport") -> None:
        """Take in a close."""
        from quant_organism.market import format_ms
        from quant_organism.trading import MICRO_USD, LedgerEquity, LedgerFill, TradeDecision

        self.close = format_ms(report.close_ms)
        for record in report.records:
            if isinstance(record, LedgerEquity) and "/" not in record.account:
                self.equity, self.gross = record.equity / MICRO_USD, record.gross / MICRO_USD
                self.drawdown = record.drawdown
            self.decisions += isinstance(record, TradeDecision) and record.role == "trades"
            self.fills += isinstance(record, LedgerFill) and "/" not in record.account
        self.lines = [*self.lines, *_lines(report)][-_LINES_SHOWN:]

    def table(self) -> "Table":
        """Return the table."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        title = (
            f"{self.close}   equity {self.equity:,.2f} USD   drawdown {self.drawdown:.1%}\npositions "
            f"{self.gross:,.0f} USD   {self.decisions} decisions   {self.fills} fills   (Ctrl-C ends it)"
        )
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for name in ("when", "what", "symbol", "why"):
            table.add_column(name)
        for line in self.lines:
            table.add_row(*line)
        return table
