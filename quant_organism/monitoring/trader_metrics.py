"""The trader's figures for Prometheus, read from its ledger by a process of its own: it outlives the trader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Thread
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.trading import MICRO_USD, LedgerReader, TraderStatus

LOOPBACK: Final = "127.0.0.1"
_STATES: Final = {"closed": 0, "half-open": 1, "open": 2}
_PREFIX: Final = "quant_organism_trader"


class TraderMetrics(Collector):
    """Answers a scrape with where the trader stands at its last whole close.

    `quant_organism_trader_up` is 0 where the ledger cannot be read, and then nothing else is said: what is not known
    is not shown as it was.

    Parameters
    ----------
    path
        The ledger.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def collect(self) -> Iterable[Metric]:
        """Return all metrics."""
        up = GaugeMetricFamily(f"{_PREFIX}_up", "Whether the ledger could be read.")
        try:
            reader = LedgerReader(self._path)
            try:
                status = reader.status()
            finally:
                reader.close()
        except QuantOrganismError:
            up.add_metric([], 0.0)
            return [up]
        up.add_metric([], 1.0)
        return [up, *_of(status)]


def trader_registry(path: Path) -> CollectorRegistry:
    """Return a registry with the trader's metrics and no others."""
    registry = CollectorRegistry()
    registry.register(TraderMetrics(path))
    return registry


def serve_metrics(path: Path, port: int) -> tuple[WSGIServer, Thread]:
    """Answer scrapes on 127.0.0.1, from a thread of its own; return the server and the thread.

    Parameters
    ----------
    path
        The ledger; it may begin later.
    port
        0: one that is free.

    Raises
    ------
    InputError
        The port is taken.
    """
    try:
        return start_http_server(port, addr=LOOPBACK, registry=trader_registry(path))
    except OSError as error:
        raise InputError(f"port {port} cannot be used: {error}", where=LOOPBACK, remedy="choose another one") from error


def _of(status: TraderStatus) -> Iterator[Metric]:
    session = status.session
    yield _gauge(
        "session_info", "Session, mode, profile and interval.", 1.0,
        session=str(session.session), mode=session.mode, profile=session.profile, interval=session.interval,
    )  # fmt: skip
    yield _gauge("session_ended", "Whether the session ended in order.", float(status.is_ended))
    if status.close_ms is not None:
        yield _gauge("last_close_timestamp_seconds", "Last close that was decided at.", status.close_ms / 1e3)
    if status.equity is not None:
        yield _gauge("equity_usd", "Equity at the last close.", status.equity.equity / MICRO_USD)
        yield _gauge("capital_usd", "Capital that was paid in.", status.equity.capital / MICRO_USD)
        yield _gauge("gross_usd", "Notional of all positions.", status.equity.gross / MICRO_USD)
        yield _gauge("drawdown_ratio", "Drawdown from the peak at closes.", status.equity.drawdown)
    for name, help_text, count in (
        ("decisions", "Decisions of strategies that trade.", status.decisions),
        ("orders", "Orders that were sent or set.", status.orders),
        ("fills", "Fills.", status.fills),
    ):
        counter = CounterMetricFamily(f"{_PREFIX}_{name}", help_text)
        counter.add_metric([], float(count))
        yield counter
    positions = GaugeMetricFamily(f"{_PREFIX}_position_units", "Net position.", labels=["symbol"])
    for held in status.positions:
        positions.add_metric([held.symbol], held.size)
    yield positions
    profits = GaugeMetricFamily(f"{_PREFIX}_profit_usd", "Earned by a strategy.", labels=["strategy"])
    for profit in status.profits:
        profits.add_metric([profit.strategy], profit.profit / MICRO_USD)
    yield profits
    breakers = GaugeMetricFamily(f"{_PREFIX}_breaker", "0 closed, 1 half-open, 2 open.", labels=["name"])
    for breaker in status.breakers:
        breakers.add_metric([breaker.name], float(_STATES[breaker.state]))
    yield breakers


def _gauge(name: str, help_text: str, value: float, **labels: str) -> Metric:
    gauge = GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, labels=list(labels))
    gauge.add_metric(list(labels.values()), value)
    return gauge
