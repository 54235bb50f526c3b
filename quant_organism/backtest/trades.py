"""Trade lists: every trade of one genome, with a hash that proves two engines traded alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import layout

TRADE_SCHEMA = pl.Schema(
    {
        "symbol": pl.String(),
        "side": pl.String(),
        "entry_time": pl.Datetime("ms", "UTC"),
        "exit_time": pl.Datetime("ms", "UTC"),
        "quantity": pl.Float64(),
        "entry_price": pl.Float64(),
        "exit_price": pl.Float64(),
        "fees": pl.Float64(),
        "funding": pl.Float64(),
        "pnl": pl.Float64(),
        "return": pl.Float64(),
        "reason": pl.String(),
    }
)


@dataclass(frozen=True, eq=False)
class TradeList:
    """The trades of one genome, by symbol and entry.

    Parameters
    ----------
    frame
        One row per trade. ``entry_time`` and ``exit_time`` are the open times of the bars in which it was filled;
        ``quantity``, ``fees``, ``funding`` (paid; received where negative) and ``pnl`` are per unit of the sleeve's
        initial equity, ``return`` is on its equity at entry. ``reason`` says what closed it: signal, stop_loss,
        trailing_stop, take_profit, max_holding, delisted, ruined; ``open`` trades are marked at the last close.
    """

    frame: pl.DataFrame

    def restricted_to(self, symbols: Sequence[str]) -> TradeList:
        """Return the trades of some symbols only; none of them means all."""
        return TradeList(self.frame.filter(pl.col("symbol").is_in(list(symbols)))) if symbols else self

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of symbols, sides, times, reasons, and quantities and prices to nine significant digits."""
        digest = hashlib.sha256()
        for row in self.frame.iter_rows(named=True):
            digest.update(
                f"{row['symbol']}|{row['side']}|{row['entry_time'].timestamp():.3f}|{row['exit_time'].timestamp():.3f}"
                f"|{row['quantity']:.8e}|{row['entry_price']:.8e}|{row['exit_price']:.8e}|{row['reason']}\n".encode()
            )
        return digest.hexdigest()


def trade_list(records: Mapping[str, NDArray[np.float64]], times: Mapping[str, NDArray[np.int64]]) -> TradeList:
    """Make a trade list from what the walk recorded.

    Parameters
    ----------
    records
        Recorded trades of each symbol, shape (trades, N_TRADE_COLUMNS).
    times
        Open times of each symbol's valid bars, UTC milliseconds.
    """
    frames = [_sleeve_frame(symbol, records[symbol], times[symbol]) for symbol in sorted(records)]
    return TradeList(pl.concat(frames) if frames else pl.DataFrame(schema=TRADE_SCHEMA))


def _sleeve_frame(symbol: str, record: NDArray[np.float64], times: NDArray[np.int64]) -> pl.DataFrame:
    columns = record.T
    return pl.DataFrame(
        {
            "symbol": [symbol] * len(record),
            "side": ["long" if side > 0 else "short" for side in columns[layout.SIDE]],
            "entry_time": times[columns[layout.ENTRY_BAR].astype(np.int64)],
            "exit_time": times[columns[layout.EXIT_BAR].astype(np.int64)],
            "quantity": columns[layout.QUANTITY],
            "entry_price": columns[layout.ENTRY_PRICE],
            "exit_price": columns[layout.EXIT_PRICE],
            "fees": columns[layout.FEES],
            "funding": columns[layout.FUNDING],
            "pnl": columns[layout.PNL],
            "return": columns[layout.RETURN],
            "reason": [layout.REASONS[int(reason)] for reason in columns[layout.REASON]],
        },
        schema_overrides={name: kind for name, kind in TRADE_SCHEMA.items() if kind == pl.String()},
    ).with_columns(pl.col("entry_time", "exit_time").cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"))
