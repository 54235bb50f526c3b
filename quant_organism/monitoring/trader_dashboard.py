"""The trader in a terminal: read-only, 80 by 24 and larger, live or a past day close by close.

What is shown is `TraderView`; nothing is computed here that is not about the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, Sparkline, Static

from quant_organism.market.schema import Interval, format_ms
from quant_organism.monitoring.trader_view import TraderHistory, TraderView
from quant_organism.trading import MICRO_USD, LedgerOrder

_STALE_BARS: Final = 2
_POINTS: Final = 500
_GAIN, _LOSS, _FAINT, _WARNING = "#56B4E9", "#E69F00", "grey62", "bold #E69F00"
_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "positions": ("position", "size", "value USD", "gain USD", "for"),
    "breakers": ("breaker", "state", "value", "bound"),
    "decisions": ("decided", "what", "symbol", "USD", "why", "strategy"),
    "fills": ("filled", "symbol", "size", "price", "fee USD", "kind"),
    "orders": ("rests", "symbol", "size", "level"),
    "events": ("said", "level", "what"),
}


class TraderDashboard(App[None]):
    """A window on a trader's ledger.

    Parameters
    ----------
    history
        Of the account that is shown.
    now_ms
        The clock that says how old the last close is, UTC milliseconds.
    day_ms
        First millisecond of a past UTC day to go through; none: the newest close is shown, whenever it comes.
    every_seconds
        How often the ledger is asked, and how long each close of a past day is shown while it plays.
    """

    TITLE = "quant_organism"
    ENABLE_COMMAND_PALETTE = False
    CSS: ClassVar[str] = """
    Screen { layout: vertical; }
    #headline { height: 1; background: $primary-darken-2; color: $text; padding: 0 1; }
    #figures { height: 1; padding: 0 1; }
    #equity { height: 3; margin: 0 1; }
    #equity > .sparkline--min-color { color: #56B4E9 40%; }
    #equity > .sparkline--max-color { color: #56B4E9; }
    #drawdown { height: 1; margin: 0 1; }
    #drawdown > .sparkline--min-color { color: #E69F00 30%; }
    #drawdown > .sparkline--max-color { color: #E69F00; }
    .row { height: 1fr; }
    DataTable { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; background: $surface; }
    #positions, #breakers { width: 1fr; }
    #fills { width: 3fr; }
    #orders { width: 2fr; }
    #events { height: 5; display: none; }
    .tall #events { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("left", "step(-1)", "earlier", priority=True),
        Binding("right", "step(1)", "later", priority=True),
        Binding("space", "play", "play or stop", priority=True),
        Binding("end", "newest", "newest", priority=True),
    ]

    def __init__(
        self,
        history: TraderHistory,
        *,
        now_ms: Callable[[], int],
        day_ms: int | None = None,
        every_seconds: float = 1.0,
    ) -> None:
        super().__init__()
        self._history, self._now_ms, self._every = history, now_ms, every_seconds
        self._day_ms = day_ms
        self._closes = history.closes_of(day_ms) if day_ms is not None else history.closes
        self._place: int | None = 0 if day_ms is not None else None
        self._is_playing = day_ms is not None

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Static(id="headline")
        yield Static(id="figures")
        yield Sparkline(id="equity", summary_function=_last)
        yield Sparkline(id="drawdown", summary_function=max)
        with Horizontal(classes="row"):
            yield _table("positions")
            yield _table("breakers")
        with Vertical(classes="row"):
            yield _table("decisions")
        with Horizontal(classes="row"):
            yield _table("fills")
            yield _table("orders")
        yield _table("events")
        yield Footer()

    def on_mount(self) -> None:
        """Show the first picture, and ask again and again."""
        for name, columns in _TABLES.items():
            self.query_one(f"#{name}", DataTable).add_columns(*columns)
        self.set_interval(self._every, self._tick)
        self._show()

    def on_resize(self) -> None:
        """Show what was said too, where there is room for it."""
        self.set_class(self.size.height >= 32, "tall")

    def action_step(self, steps: int) -> None:
        """Go so many closes on, or back."""
        if not self._closes:
            return
        place = len(self._closes) - 1 if self._place is None else self._place
        self._place, self._is_playing = min(max(place + steps, 0), len(self._closes) - 1), False
        self._show()

    def action_play(self) -> None:
        """Go through the closes, or stay where it is."""
        self._is_playing = not self._is_playing
        if self._is_playing and self._place is None:
            self._place = 0

    def action_newest(self) -> None:
        """Show the newest close, and from now on whatever comes."""
        self._place, self._is_playing = (None if self._day_ms is None else len(self._closes) - 1), False
        self._show()

    def _tick(self) -> None:
        if self._day_ms is None and self._history.refresh():
            self._closes = self._history.closes
        if self._is_playing and self._place is not None:
            if self._place + 1 < len(self._closes):
                self._place += 1
            else:
                self.action_newest()
                return
        self._show()

    def _show(self) -> None:
        view = self._history.view(None if self._place is None else self._closes[self._place])
        self.query_one("#headline", Static).update(self._headline(view))
        self.query_one("#figures", Static).update(_figures(view))
        recent = view.equity[-_POINTS:]
        self.query_one("#equity", Sparkline).data = _above_least([record.equity / MICRO_USD for record in recent])
        self.query_one("#drawdown", Sparkline).data = [record.drawdown for record in recent]
        for name, rows in (
            ("positions", _positions(view)),
            ("breakers", _breakers(view)),
            ("decisions", _decisions(view)),
            ("fills", _fills(view)),
            ("orders", _resting(view)),
            ("events", _events(view)),
        ):
            table = self.query_one(f"#{name}", DataTable)
            table.clear()
            table.add_rows(rows)

    def _headline(self, view: TraderView) -> Text:
        session = view.session
        shown = Text(f"{session.mode} · {session.profile} · {session.interval} · ", no_wrap=True)
        if view.close_ms is None:
            return shown.append("no close yet")
        shown.append(f"close {format_ms(view.close_ms)[:16]} · ")
        if self._place is not None:
            return shown.append(f"{self._place + 1} of {len(self._closes)} closes")
        if view.is_ended:
            return shown.append("ended")
        late_bars = (self._now_ms() - view.close_ms) / Interval.parse(session.interval).milliseconds
        if session.mode != "replay" and late_bars > _STALE_BARS:
            return shown.append(f"NOTHING FOR {late_bars:.0f} BARS", _WARNING)
        if view.tripped:
            return shown.append(", ".join(one.name.replace("_", " ") for one in view.tripped), _WARNING)
        return shown.append("trading")


def _table(name: str) -> DataTable[Text]:
    table: DataTable[Text] = DataTable(id=name, cursor_type="none", zebra_stripes=True)
    table.can_focus = False
    return table


def _figures(view: TraderView) -> Text:
    if not view.equity:
        return Text("the account has not come to its first close")
    latest = view.equity[-1]
    shown = Text(f"{latest.equity / MICRO_USD:,.2f} USD ", "bold", no_wrap=True)
    if view.total_return is not None:
        shown.append(f"{view.total_return:+.2%}", _signed(view.total_return))
    gross = latest.gross / latest.equity if latest.equity > 0 else float("nan")
    shown.append(f"  drawdown {latest.drawdown:.2%}  gross {gross:.0%}")
    shown.append("  " + ", ".join(f"{count} {name}" for name, count in view.counts.items()))
    if view.feed_delays_ms and view.session.mode != "replay":
        shown.append(f"  bars after {max(view.feed_delays_ms):.0f} ms", _FAINT)
    return shown


def _positions(view: TraderView) -> list[list[Text]]:
    return [
        [
            Text(held.symbol, "bold"),
            _number(f"{held.size:,.6g}"),
            _number(f"{held.value_usd:,.0f}"),
            _gain(held.profit_usd),
            Text(", ".join(name for name, _ in held.strategies) or "nobody", _FAINT),
        ]
        for held in view.positions
    ]


def _breakers(view: TraderView) -> list[list[Text]]:
    ordered = sorted(view.breakers, key=lambda breaker: (breaker.state == "closed", breaker.name))
    return [
        [
            Text(breaker.name.replace("_", " ")),
            Text(breaker.state, _FAINT if breaker.state == "closed" else _WARNING),
            _number("" if breaker.value is None else f"{breaker.value:.4g}"),
            _number("" if breaker.bound is None else f"{breaker.bound:.4g}"),
        ]
        for breaker in ordered
    ]


def _decisions(view: TraderView) -> list[list[Text]]:
    rows = []
    for decision in view.decisions:
        refused = view.refusals.get(decision.decision_id, ())
        why = "; ".join(f"{one.step}: {one.reason}" for one in refused) or decision.reason
        rows.append(
            [
                _moment(decision.close_ms, view),
                Text(f"{decision.kind} {decision.side.lower()}", "" if decision.is_allowed else _WARNING),
                Text(decision.symbol, "bold"),
                _number(f"{decision.size_usd:,.0f}"),
                Text(why, "" if decision.is_allowed else _WARNING),
                Text(decision.strategy, _FAINT),
            ]
        )
    return rows


def _fills(view: TraderView) -> list[list[Text]]:
    return [
        [
            _moment(fill.time_ms, view),
            Text(fill.symbol, "bold"),
            _number(f"{fill.size:+,.6g}"),
            _number(f"{fill.price:,.6g}"),
            _number(f"{fill.fee / MICRO_USD:.4f}"),
            Text(fill.kind),
        ]
        for fill in view.fills
    ]


def _resting(view: TraderView) -> list[list[Text]]:
    standing: dict[tuple[str, str], LedgerOrder] = {}
    for order in view.orders:  # newest first
        standing.setdefault((order.symbol, order.kind), order)
    return [
        [Text(kind), Text(symbol, "bold"), _number(f"{order.size:+,.6g}"), _number(f"{order.price:,.6g}")]
        for (symbol, kind), order in sorted(standing.items())
        if kind != "ioc" and order.lots and any(held.symbol == symbol for held in view.positions)
    ]


def _events(view: TraderView) -> list[list[Text]]:
    return [
        [
            _moment(event.at_ms, view),
            Text(event.level, "" if event.level == "info" else _WARNING),
            Text(event.text),
        ]
        for event in view.events
    ]


def _moment(at_ms: int, view: TraderView) -> Text:
    # The hour on the day of the close, the date before it.
    shown, today = format_ms(at_ms), format_ms(view.close_ms or at_ms)
    return Text(shown[11:16] if shown[:10] == today[:10] else shown[5:10], _FAINT)


def _number(text: str) -> Text:
    return Text(text, justify="right")


def _gain(profit: float | None) -> Text:
    if profit is None:
        return _number("")
    return Text(f"{profit:+,.2f}", _signed(profit), justify="right")


def _signed(value: float) -> str:
    return _GAIN if value >= 0.0 else _LOSS


def _above_least(values: Sequence[float]) -> list[float]:
    # A sparkline begins at its least value; a flat one would be drawn full.
    return [value - min(values) for value in values]


def _last(values: Iterable[float]) -> float:
    return list(values)[-1]
