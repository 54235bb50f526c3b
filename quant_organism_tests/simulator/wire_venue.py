"""Another source's candles and funding, answered over HTTP as the venue answers /info."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import orjson
import polars as pl

from quant_organism.market.schema import Interval, day_start_ms
from quant_organism.market.source import CandleSource

HOUR = Interval.parse("1h")


class WireVenue:
    """Answers /info from the rows of a source; its time is `ahead_ms` past the source's last day.

    Parameters
    ----------
    source
        Whose bars, of an hour.
    ahead_ms
        How far the day after the last has gone; it has no bars.
    keeps
        Candles in an answer, the newest; None: as the venue, 5,000.
    """

    def __init__(self, source: CandleSource, *, ahead_ms: int = 120_000, keeps: int = 5_000) -> None:
        first, last = source.span(HOUR)
        self.source, self.keeps = source, keeps
        self.now_ms = day_start_ms(last + timedelta(days=1)) + ahead_ms
        columns = pl.col("timestamp").dt.epoch("ms")
        self._candles = source.candles(source.symbols(), HOUR, first, last).with_columns(columns)
        self._funding = source.funding(source.symbols(), first, last + timedelta(days=1)).with_columns(columns)
        self.asked: list[Mapping[str, Any]] = []

    def ask(self, body: Mapping[str, Any]) -> Any:
        """Answer a question."""
        self.asked.append(body)
        match body["type"]:
            case "meta":
                delisted = {"szDecimals": 2, "name": "GONE", "maxLeverage": 10, "isDelisted": True}
                living = [{"szDecimals": 2, "name": name, "maxLeverage": 10} for name in self.source.symbols()]
                return {"universe": [living[0], delisted, *living[1:]], "marginTables": []}
            case "exchangeStatus":
                return {"specialStatuses": None, "time": self.now_ms}
            case "candleSnapshot":
                return self._candle_rows(body["req"])
            case "fundingHistory":
                return self._funding_rows(body)
        return None

    def _candle_rows(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = self._candles.filter(
            (pl.col("symbol") == request["coin"])
            & pl.col("timestamp").is_between(request["startTime"], request["endTime"])
        )
        return [
            {
                "t": row["timestamp"],
                "T": row["timestamp"] + HOUR.milliseconds - 1,
                "s": row["symbol"],
                "i": "1h",
                "o": repr(row["open"]),
                "c": repr(row["close"]),
                "h": repr(row["high"]),
                "l": repr(row["low"]),
                "v": repr(row["volume"]),
                "n": 1,
            }
            for row in rows.tail(self.keeps).to_dicts()
            if row["timestamp"] <= self.now_ms
        ]

    def _funding_rows(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = self._funding.filter(
            (pl.col("symbol") == body["coin"])
            & pl.col("timestamp").is_between(body["startTime"], min(body["endTime"], self.now_ms))
        )
        return [
            {"coin": r["symbol"], "fundingRate": repr(r["funding_rate"]), "premium": "0.0", "time": r["timestamp"]}
            for r in rows.head(500).to_dicts()
        ]


@contextmanager
def served(venue: WireVenue) -> Iterator[str]:
    """Serve a venue on loopback; give its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version: ClassVar[str] = "HTTP/1.1"
        disable_nagle_algorithm: ClassVar[bool] = True  # or each answer's body waits 40 ms for its header

        def do_POST(self) -> None:
            body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = orjson.dumps(venue.ask(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
