"""Rules that a single row must meet, as expressions: the same ones at import and when quality is judged later."""

from dataclasses import dataclass
from typing import Final

import polars as pl


@dataclass(frozen=True)
class RowRule:
    """One way in which a row can be wrong.

    Parameters
    ----------
    reason
        One word to count by.
    broken
        Boolean expression, true where the row breaks the rule; null counts as false.
    detail
        String expression, what was found.
    remedy
        What to do about it, in the imperative.
    """

    reason: str
    broken: pl.Expr
    detail: pl.Expr
    remedy: str


_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME = (pl.col(name) for name in ("open", "high", "low", "close", "volume"))
_OHLC_TEXT: Final = pl.format("open {}, high {}, low {}, close {}", _OPEN, _HIGH, _LOW, _CLOSE)

BAR_RULES: Final = (
    RowRule(
        "not_finite",
        ~pl.all_horizontal(column.is_finite() for column in (_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME)),
        pl.format("{}, volume {}: not all are finite numbers", _OHLC_TEXT, _VOLUME),
        "correct or remove the row",
    ),
    RowRule(
        "not_positive",
        pl.min_horizontal(_OPEN, _HIGH, _LOW, _CLOSE) <= 0,
        pl.format("{}: every price must be above 0", _OHLC_TEXT),
        "correct or remove the row",
    ),
    RowRule("negative_volume", _VOLUME < 0, pl.format("volume is {}", _VOLUME), "correct or remove the row"),
    RowRule(
        "ohlc",
        (pl.min_horizontal(_OPEN, _CLOSE, _HIGH) < _LOW) | (pl.max_horizontal(_OPEN, _CLOSE) > _HIGH),
        pl.format("{}: open and close must lie between low and high", _OHLC_TEXT),
        "correct or remove the row",
    ),
)
