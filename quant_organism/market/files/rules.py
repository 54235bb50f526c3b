"""The rules that every row of every format must meet, as expressions over the columns of a `FileTable`.

Reasons (the vocabulary of `SetAsideTable`): ``unreadable``, ``not_finite``, ``time_unit``, ``off_grid``,
``not_positive``, ``negative_volume``, ``ohlc``, ``rate_unit``, ``duplicate`` and ``forming``. ``out_of_order`` is
refused or sorted, never set aside.
"""

from datetime import UTC, datetime
from typing import Final

import polars as pl

from quant_organism.market.row_rules import BAR_RULES, RowRule
from quant_organism.market.schema import TIMESTAMP, Interval

_EARLIEST_MS: Final = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp() * 1000)  # the year of the first bitcoin block
_LATEST_MS: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)

_TIME: Final = pl.col("time")
_UNIT_HINT: Final = pl.coalesce(
    *[
        pl.when(_TIME.is_between(_EARLIEST_MS * times // over, _LATEST_MS * times // over)).then(
            pl.lit(f"; it looks like {unit}")
        )
        for unit, times, over in (("seconds", 1, 1_000), ("microseconds", 1_000, 1), ("nanoseconds", 1_000_000, 1))
    ],
    pl.lit(""),
)
_RATE: Final = pl.col("funding_rate")
_PRICE: Final = pl.col("price")
_AMOUNT: Final = pl.col("amount")

READABLE_TIME: Final = pl.when(_TIME.is_between(_EARLIEST_MS, _LATEST_MS)).then(_TIME).cast(TIMESTAMP)

_ANY_ROW: Final = (
    RowRule("unreadable", pl.col("unreadable").is_not_null(), pl.col("unreadable"), "put a readable value there"),
    RowRule(
        "time_unit",
        ~_TIME.is_between(_EARLIEST_MS, _LATEST_MS),
        pl.format("timestamp {}, read as milliseconds, is not between 2009 and 2100{}", _TIME, _UNIT_HINT),
        "write timestamps in milliseconds since 1970, UTC",
    ),
)

CANDLE_RULES: Final = (*_ANY_ROW, *BAR_RULES)

FUNDING_RULES: Final = (
    *_ANY_ROW,
    RowRule("not_finite", ~_RATE.is_finite(), pl.format("funding_rate is {}", _RATE), "put a number there"),
    RowRule(
        "rate_unit",
        _RATE.abs() >= 1,
        pl.format("funding_rate {} is no fraction of the notional", _RATE),
        "write 0.01 % as 0.0001",
    ),
)

TRADE_RULES: Final = (
    *_ANY_ROW,
    RowRule(
        "not_finite",
        ~(_PRICE.is_finite() & _AMOUNT.is_finite()),
        pl.format("price is {}, amount is {}", _PRICE, _AMOUNT),
        "put numbers there",
    ),
    RowRule(
        "not_positive",
        (_PRICE <= 0) | (_AMOUNT <= 0),
        pl.format("price is {}, amount is {}; both must be above 0", _PRICE, _AMOUNT),
        "correct or remove the row",
    ),
)


def on_grid(interval: Interval) -> RowRule:
    """Return the rule that a bar opens a whole number of bars after midnight UTC."""
    stamp = READABLE_TIME.dt.to_string("%Y-%m-%d %H:%M:%S%.3f")
    return RowRule(
        "off_grid",
        _TIME % interval.milliseconds != 0,
        pl.format(f"{{}} is not a whole number of {interval} bars after midnight UTC", stamp),
        "stamp every bar with its open time in UTC",
    )


def once(what: str, unit: str) -> RowRule:
    """Return the rule that a row is the first of its kind; ``first`` holds the row of the first one."""
    return RowRule(
        "duplicate",
        pl.col("row") != pl.col("first"),
        pl.format(f"the same {what} stands in {unit} {{}} already", pl.col("first")),
        "remove one of the two",
    )


IN_ORDER: Final = RowRule(
    "out_of_order",
    pl.col("latest_before") > _TIME,
    pl.format(
        "it stands after a row of {}", pl.col("latest_before").cast(TIMESTAMP).dt.to_string("%Y-%m-%d %H:%M:%S UTC")
    ),
    "sort the file by time",
)
