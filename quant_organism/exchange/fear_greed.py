"""The Fear & Greed index from the place that publishes it."""

import tempfile
from pathlib import Path

import polars as pl
import requests

from quant_organism.errors import InputError
from quant_organism.market.sentiment import read_sentiment


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
    DataFrame by `SENTIMENT_SCHEMA`, sorted.

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
