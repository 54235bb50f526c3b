"""What goes with candles and comes from elsewhere: asset contexts of the venue's archive, the Fear & Greed index.

The archive is a bucket whose reader pays: a CSV a day, compressed with lz4, from files that a user brings; nothing here
fetches from it. Reference: section 18.
"""

import tempfile
from pathlib import Path
from typing import Final

import polars as pl
import requests

from quant_organism.errors import InputError
from quant_organism.market import TIMESTAMP, read_sentiment

CONTEXT_SCHEMA: Final = pl.Schema(
    {
        "symbol": pl.String(),
        "timestamp": TIMESTAMP,
        "funding": pl.Float64(),  # fraction per hour
        "open_interest": pl.Float64(),  # base units
        "premium": pl.Float64(),  # null where the book was empty
        "oracle_px": pl.Float64(),
        "mark_px": pl.Float64(),
        "mid_px": pl.Float64(),  # null where the book was empty
    }
)

_NUMBERS: Final = [name for name in CONTEXT_SCHEMA if name not in ("symbol", "timestamp")]


def read_asset_contexts(path: Path) -> pl.DataFrame:
    """Read a day of asset contexts.

    Parameters
    ----------
    path
        `<date>.csv.lz4` as the archive has it, or the CSV within. Further columns are passed over.

    Returns
    -------
    DataFrame by `CONTEXT_SCHEMA`, sorted by time and symbol.

    Raises
    ------
    InputError
        No such file, not lz4, a column is missing, or a time or number cannot be read.
    """
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression="lz4" if path.suffix == ".lz4" else None) as stream:
            table = pl.read_csv(stream.read(), infer_schema=False)
        times = pl.col("time").str.to_datetime("%+", time_unit="ms", time_zone="UTC")
        empty_is_null = [pl.col(name).replace("", None).cast(pl.Float64) for name in _NUMBERS]
        frame = table.select(pl.col("coin").alias("symbol"), times.alias("timestamp"), *empty_is_null)
    except (OSError, pl.exceptions.PolarsError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"no asset contexts: {first}", where=str(path), remedy="fetch the file again") from error
    return frame.select(CONTEXT_SCHEMA.names()).sort("timestamp", "symbol")


def fetch_fear_greed(url: str, *, timeout_seconds: float = 10.0, proxy: str | None = None) -> pl.DataFrame:
    """Return the index with its whole history.

    Parameters
    ----------
    url
        Answers with JSON of alternative.me's form: `https://api.alternative.me/fng/?limit=0`.
    timeout_seconds, proxy
        As for the venue.

    Returns
    -------
    DataFrame by `SentimentTable`, sorted.

    Raises
    ------
    InputError
        It does not answer, or with something else.
    """
    proxies = {} if proxy is None else {"http": proxy, "https": proxy}
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(url, timeout=timeout_seconds, proxies=proxies)
            answer.raise_for_status()
    except requests.RequestException as error:
        raise InputError(
            f"no index: {type(error).__name__}", where=url, remedy="leave market.sentiment_url out to go without it"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fear_greed.json"
        path.write_bytes(answer.content)
        return read_sentiment(path)
