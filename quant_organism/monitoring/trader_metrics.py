"""The trader's figures for Prometheus, read by a process of its own, which outlives it, from what it leaves at rest."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from quant_organism.errors import QuantOrganismError
from quant_organism.market import Interval
from quant_organism.monitoring.components import disk_health, trader_health
from quant_organism.trading import (
    MICRO_USD,
    LedgerBar,
    LedgerReader,
    LedgerReading,
    LinesAtRest,
    Mode,
    TraderStatus,
    ledger_path,
    lines_file,
    read_lines,
)
from quant_organism.trading.kill import flag_raised, kill_file
from quant_organism.venue import DOUBLINGS

MOST_SERIES: Final = 50
"""Strategies or symbols that a metric tells apart, the largest; the others together are `other`."""

LINES_KNOWN_S: Final = 60.0
"""Figures of lines that are older say nothing of now, but for how long nothing was heard."""

_OTHER: Final = "other"
_STATES: Final = {"closed": 0, "half-open": 1, "open": 2}
_STATUSES: Final = {"ok": 0, "degraded": 1, "failed": 2, "unknown": 3}
_PREFIX: Final = "quant_organism_trader"


class TraderMetrics(Collector):
    """Answers a scrape with where the trader stands at its last whole close, how its components are, and its lines.

    `quant_organism_trader_up` is 0 where the ledger cannot be read, and then nothing of it is said: what is not known
    is not shown as it was.

    Parameters
    ----------
    data_dir
        The data folder.
    mode
        Whose ledger.
    now_ms
        UTC milliseconds.
    """

    def __init__(self, data_dir: Path, mode: Mode, now_ms: Callable[[], int]) -> None:
        self._data_dir, self._path, self._now_ms = data_dir, ledger_path(data_dir, mode), now_ms
        self._trades = mode != "replay"

    def collect(self) -> Iterable[Metric]:
        """Return all metrics."""
        up = GaugeMetricFamily(f"{_PREFIX}_up", "Whether the ledger could be read.")
        try:
            reader = LedgerReader(self._path)
            try:
                found = list(_of(reader, reader.status(), self._now_ms()))
            finally:
                reader.close()
        except (QuantOrganismError, sqlite3.DatabaseError):
            found = []
            up.add_metric([], 0.0)
        else:
            up.add_metric([], 1.0)
        return [up, *found, *self._health(), *self._lines()] if self._trades else [up, *found]

    def _lines(self) -> Iterator[Metric]:
        now_ms, at_rest = self._now_ms(), read_lines(lines_file(self._data_dir))
        if at_rest is not None:
            silent = {name: at_rest.silent_s(name, now_ms) for name in at_rest.lines}
            heard = {name: seconds for name, seconds in silent.items() if seconds is not None}
            yield _family("feed_silent_seconds", "Since the last frame of a line.", "line", heard)
            if (now_ms - at_rest.written_ms) / 1e3 <= LINES_KNOWN_S:
                yield from _of_lines(at_rest)

    def _health(self) -> Iterator[Metric]:
        name = f"{_PREFIX}_component_status"
        statuses = GaugeMetricFamily(name, "0 ok, 1 degraded, 2 failed, 3 unknown.", labels=["component"])
        for one in (*trader_health(self._data_dir, self._now_ms()), disk_health(self._data_dir)):
            if one.status != "unused":
                statuses.add_metric([one.component], float(_STATUSES[one.status]))
        yield statuses
        killed = flag_raised(kill_file(self._data_dir)) is not None
        yield _gauge("killed", "Whether the kill switch was pulled.", float(killed))


def trader_registry(data_dir: Path, mode: Mode, now_ms: Callable[[], int]) -> CollectorRegistry:
    """Return a registry with the trader's metrics and no others; parameters as of `TraderMetrics`."""
    registry = CollectorRegistry()
    registry.register(TraderMetrics(data_dir, mode, now_ms))
    return registry


def _of(reader: LedgerReader, status: TraderStatus, now_ms: int) -> Iterator[Metric]:
    session = status.session
    yield _gauge(
        "session_info", "Session, mode, profile and interval.", 1.0,
        session=str(session.session), mode=session.mode, profile=session.profile, interval=session.interval,
    )  # fmt: skip
    closes: dict[str, float] = {}
    yield _gauge("session_ended", "Whether the session ended in order.", float(status.is_ended))
    if status.close_ms is not None:
        yield _gauge("last_close_timestamp_seconds", "Last close that was decided at.", status.close_ms / 1e3)
        yield _gauge("data_age_seconds", "How old the last close is.", (now_ms - status.close_ms) / 1e3)
        opened = status.close_ms - Interval.parse(session.interval).milliseconds
        bars = reader.read(LedgerBar, session=session.session, open_ms=opened)
        closes = {bar.symbol: bar.close for bar in bars}
        if bars:
            slowest = max(bar.received_ms for bar in bars) - status.close_ms
            yield _gauge("feed_delay_seconds", "How long after its close the latest bar came last.", slowest / 1e3)
    if status.equity is not None:
        yield _gauge("equity_usd", "Equity at the last close.", status.equity.equity / MICRO_USD)
        yield _gauge("capital_usd", "Capital that was paid in.", status.equity.capital / MICRO_USD)
        yield _gauge("gross_usd", "Notional of all positions.", status.equity.gross / MICRO_USD)
        yield _gauge("drawdown_ratio", "Drawdown from the peak at closes.", status.equity.drawdown)
    for read in reader.read(LedgerReading, latest=1, session=session.session, account=session.account):
        yield _gauge("silent_lines", "Lines that did not answer at the last close.", float(read.silent_lines))
        if read.clock_skew_s is not None:
            yield _gauge("clock_skew_seconds", "This machine's clock against the venue's.", read.clock_skew_s)
        if read.rejected is not None:
            yield _gauge("rejected_ratio", "Share of the last orders that were refused.", read.rejected)
    yield from _counted(reader, status)
    exposure = _largest({one.symbol: one.size * closes.get(one.symbol, one.entry_price) for one in status.positions})
    units = {one.symbol: one.size for one in status.positions if one.symbol in exposure}
    yield _family("position_units", "Net position.", "symbol", units)
    yield _family("exposure_usd", "Net notional at the last close, or at the entry.", "symbol", exposure)
    earned = {one.strategy: one.profit / MICRO_USD for one in status.profits}
    yield _family("profit_usd", "Earned by a strategy.", "strategy", _largest(earned))
    states = {one.name: float(_STATES[one.state]) for one in status.breakers}
    yield _family("breaker", "0 closed, 1 half-open, 2 open.", "name", states)


def _counted(reader: LedgerReader, status: TraderStatus) -> Iterator[Metric]:
    session, account = status.session.session, status.session.account
    decisions = CounterMetricFamily(
        f"{_PREFIX}_decisions",
        "Decisions of strategies that trade, let pass or refused.",
        labels=["strategy", "verdict"],
    )
    for passed, verdict in ((True, "passed"), (False, "refused")):
        found = {name: float(n) for (name, was), n in reader.decided(session).items() if was is passed}
        for name, count in _largest(found).items():
            decisions.add_metric([name, verdict], count)
    yield decisions
    orders = CounterMetricFamily(f"{_PREFIX}_orders", "Orders that were sent or set.", labels=["kind"])
    for kind, count in reader.ordered(session, account).items():
        orders.add_metric([kind], float(count))
    yield orders
    fills = CounterMetricFamily(f"{_PREFIX}_fills", "Fills.")
    fills.add_metric([], float(status.fills))
    yield fills


def _of_lines(at_rest: LinesAtRest) -> Iterator[Metric]:
    lines = at_rest.lines
    connected = {name: float(line.is_connected) for name, line in lines.items()}
    yield _family("feed_connected", "Whether a line has an open socket.", "line", connected)
    reconnects = CounterMetricFamily(
        f"{_PREFIX}_feed_reconnects", "Sockets that were opened after the first.", labels=["line"]
    )
    dropped = CounterMetricFamily(f"{_PREFIX}_feed_dropped", "Quotes that nobody took in time.", labels=["line"])
    frames = CounterMetricFamily(f"{_PREFIX}_feed_frames", "Frames that came.", labels=["line", "channel"])
    gaps = CounterMetricFamily(f"{_PREFIX}_feed_gaps_closed", "Gaps that were closed.", labels=["line", "kind"])
    latency = HistogramMetricFamily(
        f"{_PREFIX}_feed_latency_seconds", "From an event's stamp to the arrival of its frame.", labels=["line"]
    )
    for name, line in lines.items():
        reconnects.add_metric([name], float(line.reconnects))
        dropped.add_metric([name], float(line.dropped))
        for channel, count in _largest({channel: float(number) for channel, number in line.frames.items()}).items():
            frames.add_metric([name, channel], count)
        for kind, count in line.gaps_closed.items():
            gaps.add_metric([name, kind], float(count))
        if line.latency is not None:
            within = [(str(2**n / 1e6), float(count)) for n, count in zip(DOUBLINGS, line.latency.within, strict=True)]
            latency.add_metric([name], [*within, ("+Inf", float(line.latency.count))], line.latency.total_s)
    yield from (reconnects, dropped, frames, gaps, latency)


def _largest(values: Mapping[str, float]) -> dict[str, float]:
    """Return what is largest by size, and the sum of the others: strategies come and go, and series stay for ever."""
    names = sorted(values, key=lambda name: (-abs(values[name]), name))
    others = sum(values[name] for name in names[MOST_SERIES:])
    return {name: values[name] for name in names[:MOST_SERIES]} | ({_OTHER: others} if len(names) > MOST_SERIES else {})


def _family(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, labels=[label])
    for value_of, value in values.items():
        family.add_metric([value_of], value)
    return family


def _gauge(name: str, help_text: str, value: float, **labels: str) -> Metric:
    gauge = GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, labels=list(labels))
    gauge.add_metric(list(labels.values()), value)
    return gauge
