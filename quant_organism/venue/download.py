"""Candles and funding of any venue that ccxt knows, as tidy Parquet files that the importer reads.

ccxt is asked for one page after another and keeps the venue's rate limit itself. What has come is written down page by
page, so that an interrupted download goes on where it was, and the next one asks for what is new. A candle that has not
closed is never taken.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market import MS_PER_HOUR, TIMESTAMP, Interval
from quant_organism.resilience import write_file

CANDLES_PER_PAGE: Final = 1_000
FUNDINGS_PER_PAGE: Final = 500
_DOLLARS: Final = ("USDT", "USDC", "USD")
_SYMBOLS_NAMED: Final = 12
_ASKED_FROM: Final = "asked_from"
"""Name in a file's metadata under which stands from when on, UTC ms, it was asked for."""

Progress = Callable[[str, int, int], None]
"""Called with (symbol and what comes, milliseconds of history that are there, milliseconds in all)."""


class CcxtExchange(Protocol):
    """What is asked of an exchange of ccxt; answers as ccxt unifies them."""

    id: str
    has: Mapping[str, Any]

    def load_markets(self) -> Mapping[str, Mapping[str, Any]]: ...

    def milliseconds(self) -> int: ...

    def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> list[list[float]]: ...

    def fetch_funding_rate_history(self, symbol: str, since: int, limit: int) -> list[Mapping[str, Any]]: ...


@dataclass(frozen=True)
class DownloadPlan:
    """What is to be downloaded.

    Parameters
    ----------
    symbols
        Bases (``BTC``) or the venue's markets as ccxt writes them (``BTC/USDT:USDT``).
    interval
        Length of a bar.
    since_ms
        From when on, UTC milliseconds.
    folder
        Where the files go; those that are there are continued.
    """

    symbols: Sequence[str]
    interval: Interval
    since_ms: int
    folder: Path


def open_ccxt(venue: str, *, timeout_seconds: float = 10.0, proxy: str | None = None) -> CcxtExchange:
    """Return a venue as ccxt knows it, asked no faster than it allows.

    Raises
    ------
    InputError
        ccxt is not installed, or knows no venue of this name.
    """
    try:
        ccxt = import_module("ccxt")  # an extra: it is larger than all else together, and few need it
    except ModuleNotFoundError as error:
        raise InputError(
            "ccxt, which knows the venues, is not installed",
            where=f"--from ccxt:{venue}",
            remedy="install it beside this program: python -m pip install ccxt, or the extra quant_organism[ccxt]",
        ) from error
    if venue not in ccxt.exchanges:
        raise InputError(
            f"ccxt knows no venue {venue!r}", where="option --from", remedy="see https://docs.ccxt.com for their names"
        )
    asked = {"enableRateLimit": True, "timeout": int(timeout_seconds * 1000)} | ({"httpsProxy": proxy} if proxy else {})
    exchange: CcxtExchange = getattr(ccxt, venue)(asked)
    return exchange


def download_history(exchange: CcxtExchange, plan: DownloadPlan, progress: Progress) -> list[Path]:
    """Bring candles and, of perpetuals, funding up to date; return the files.

    Raises
    ------
    InputError
        A symbol is unknown, the venue has no bars of this length, or it does not answer; what has come is kept.
    """
    markets = _asked(exchange, "load_markets")
    chosen = {symbol: _market_of(symbol, markets, exchange.id) for symbol in dict.fromkeys(plan.symbols)}
    plan.folder.mkdir(parents=True, exist_ok=True)
    files = []
    for market in chosen.values():
        base = str(market["base"])
        files.append(_candles(exchange, str(market["symbol"]), base, plan, progress))
        if market.get("swap") and exchange.has.get("fetchFundingRateHistory"):
            funding = _funding(exchange, str(market["symbol"]), base, plan, progress)
            files += [] if funding is None else [funding]
    return files


def _market_of(symbol: str, markets: Mapping[str, Mapping[str, Any]], venue: str) -> Mapping[str, Any]:
    """Return the market that a person means: that very one, or a base's perpetual in dollars, or its spot market."""
    if symbol in markets:
        return markets[symbol]
    of_base = [
        market for market in markets.values() if market.get("base") == symbol and market.get("active") is not False
    ]
    for kind in ("swap", "spot"):
        for quote in _DOLLARS:
            for market in of_base:
                if market.get(kind) and market.get("quote") == quote and market.get("linear", True) is not False:
                    return market
    known = sorted({str(market.get("base")) for market in markets.values()})
    raise InputError(
        f"no market of {symbol} in dollars",
        where=venue,
        remedy=f"choose of {', '.join(known[:_SYMBOLS_NAMED])}{' and more' if len(known) > _SYMBOLS_NAMED else ''}, or "
        "name a market as ccxt does: BTC/USDT:USDT",
    )


def _candles(exchange: CcxtExchange, market: str, base: str, plan: DownloadPlan, progress: Progress) -> Path:
    path, step = plan.folder / f"{base}-{plan.interval}.parquet", plan.interval.milliseconds
    schema = pl.Schema(
        {"timestamp": TIMESTAMP, **dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64())}
    )

    def page(since: int) -> pl.DataFrame:
        rows = _asked(exchange, "fetch_ohlcv", market, plan.interval.name, since, CANDLES_PER_PAGE)
        closed = [row[:6] for row in rows if row[0] + step <= exchange.milliseconds()]
        return _frame([[int(row[0]), *map(float, row[1:])] for row in closed], schema)

    got = _continued(
        path,
        page,
        schema,
        plan.since_ms,
        step=step,
        window=CANDLES_PER_PAGE * step,
        now=exchange.milliseconds(),
        told=lambda done, total: progress(f"{base} candles", done, total),
    )
    if got is None:
        raise InputError(
            f"the venue has no {plan.interval} candles of {base} since then",
            where=exchange.id,
            remedy="choose another --interval or --since",
        )
    return got


def _funding(exchange: CcxtExchange, market: str, base: str, plan: DownloadPlan, progress: Progress) -> Path | None:
    path = plan.folder / f"{base}.funding.parquet"
    schema = pl.Schema({"timestamp": TIMESTAMP, "funding_rate": pl.Float64()})

    def page(since: int) -> pl.DataFrame:
        rows = _asked(exchange, "fetch_funding_rate_history", market, since, FUNDINGS_PER_PAGE)
        settled = [[int(row["timestamp"]), float(row["fundingRate"])] for row in rows]
        return _frame([row for row in settled if row[0] <= exchange.milliseconds()], schema)

    return _continued(
        path,
        page,
        schema,
        plan.since_ms,
        step=1,
        window=FUNDINGS_PER_PAGE * MS_PER_HOUR,
        now=exchange.milliseconds(),
        told=lambda done, total: progress(f"{base} funding", done, total),
    )


def _frame(rows: list[list[float]], schema: pl.Schema) -> pl.DataFrame:
    numbers = pl.Schema({**schema, "timestamp": pl.Int64()})
    frame = pl.DataFrame(rows, schema=numbers, orient="row").with_columns(pl.col("timestamp").cast(TIMESTAMP))
    return frame.unique("timestamp", keep="first", maintain_order=True).sort("timestamp")


def _continued(
    path: Path,
    page: Callable[[int], pl.DataFrame],
    schema: pl.Schema,
    since_ms: int,
    *,
    step: int,
    window: int,
    now: int,
    told: Callable[[int, int], None],
) -> Path | None:
    """Ask page after page from where the file ends; each page is on disk before the next is asked for.

    Some venues answer with nothing where a page of `window` milliseconds is empty, though there is more behind it.
    Returns None where there is nothing at all.
    """
    held, asked_from = schema.to_frame(), since_ms
    if path.exists() and _asked_from(path) <= since_ms:  # else earlier days are wanted, and all is asked for again
        held, asked_from = pl.read_parquet(path), _asked_from(path)
    begin = since_ms if held.is_empty() else int(held["timestamp"].dt.epoch("ms")[-1]) + step
    first, span = begin, max(now - begin, 1)
    told(0, span)
    while begin + step <= now:
        new = page(begin).filter(pl.col("timestamp").dt.epoch("ms") >= begin)
        if new.height:
            held = pl.concat([held, new])
            _write(path, held, asked_from)
            begin = int(new["timestamp"].dt.epoch("ms")[-1]) + step
        else:
            begin += window
        told(min(begin - first, span), span)
    told(span, span)
    return path if held.height else None


def _write(path: Path, frame: pl.DataFrame, asked_from: int) -> None:
    stream = io.BytesIO()
    frame.write_parquet(stream, metadata={_ASKED_FROM: str(asked_from)})
    write_file(path, stream.getvalue())


def _asked_from(path: Path) -> int:
    return int(pl.read_parquet_metadata(path).get(_ASKED_FROM, "0"))


def _asked(exchange: CcxtExchange, method: str, *arguments: Any) -> Any:
    """Ask the exchange.

    Raises
    ------
    InputError
        It does not answer, or refuses.
    """
    try:
        return getattr(exchange, method)(*arguments)
    except Exception as error:
        # ccxt's errors have one base class, which can be named only where ccxt is installed.
        if not any(kind.__name__ == "BaseError" and kind.__module__.startswith("ccxt") for kind in type(error).__mro__):
            raise
        raise InputError(
            f"{method} is answered with {type(error).__name__}: {str(error)[:200]}",
            where=exchange.id,
            remedy="the same command again goes on where it was; see that the venue can be reached from here",
        ) from error
