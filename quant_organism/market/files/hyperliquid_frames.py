"""Recorded Hyperliquid WebSocket frames, one JSON object a line: the trades among them.

A frame is ``{"channel": ..., "data": ...}``; ``trades`` frames list ``coin px sz time tid``. After each subscription
the venue sends recent trades once more, so a trade may come twice: the first is kept (`tid` tells), and trades are put
in order of time. All other channels are left aside and counted.
"""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.files.reading import cannot_read, read_head
from quant_organism.market.files.table import Claim, DataFile, FileTable
from quant_organism.market.files.tally import per_symbol

FORMAT: Final = "Hyperliquid frames"

_MAX_LINE_BYTES: Final = 8 * 1024**2
_COLUMNS: Final = pl.Schema(
    {
        "row": pl.Int64(),
        "symbol": pl.String(),
        "time": pl.Int64(),
        "price": pl.Float64(),
        "amount": pl.Float64(),
        "trade_id": pl.String(),
        "unreadable": pl.String(),
    }
)


def claim(path: Path) -> Claim:
    """Claim a JSONL file whose first line is a frame."""
    if path.suffix != ".jsonl" or b'"channel"' not in read_head(path):
        return None
    return DataFile(path, FORMAT, "trades", _read)


def _read(file: DataFile) -> FileTable:
    rows: list[tuple[Any, ...]] = []
    others: Counter[str] = Counter()
    try:
        with file.path.open("rb") as stream:
            line = 0
            while text := stream.readline(_MAX_LINE_BYTES + 1):
                line += 1
                if text.strip():
                    _read_frame(text, line, file.path, rows, others)
    except OSError as error:
        raise cannot_read(file.path, error) from error
    if not rows:
        raise InputError(
            "no trades among the frames", where=str(file.path), remedy="record the channel `trades`, or remove the file"
        )
    table = pl.DataFrame(rows, schema=_COLUMNS, orient="row")
    once = table.filter(pl.col("trade_id").is_null() | pl.struct("symbol", "trade_id").is_first_distinct())
    notes = [f"{file.path.name}: {count} {channel} frames hold no trades." for channel, count in sorted(others.items())]
    if once.height < table.height:
        notes.append(f"{file.path.name}: {table.height - once.height} trades came twice and were taken once.")
    if not once["time"].drop_nulls().is_sorted():
        notes.append(f"{file.path.name}: trades were put in order of time.")
    sent, taken = per_symbol(table), per_symbol(once)
    repeated = {symbol: count - taken[symbol] for symbol, count in sent.items() if count > taken[symbol]}
    return FileTable(once.sort("time", maintain_order=True), "line", tuple(notes), repeated)


def _read_frame(text: bytes, line: int, path: Path, rows: list[tuple[Any, ...]], others: Counter[str]) -> None:
    if len(text) > _MAX_LINE_BYTES:
        raise InputError(
            f"the line is longer than {_MAX_LINE_BYTES // 1024**2} MiB",
            where=f"{path}, line {line}",
            remedy="remove the line; a frame is far shorter",
        )
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        rows.append(_unreadable(line, f"the line is not JSON ({error})"))
        return
    channel = frame.get("channel") if isinstance(frame, dict) else None
    if channel is None:
        rows.append(_unreadable(line, "the line is no frame with a channel"))
    elif channel == "trades" and isinstance(frame.get("data"), list):
        rows += [_trade(trade, line) for trade in frame["data"]]
    else:
        others[str(channel)] += 1


def _trade(trade: Any, line: int) -> tuple[Any, ...]:
    try:
        time, tid = int(trade["time"]), trade.get("tid")
        if time.bit_length() > 63:
            return _unreadable(line, f"time is {time}, which is no timestamp")
        price, amount = float(trade["px"]), float(trade["sz"])
        return line, str(trade["coin"]), time, price, amount, None if tid is None else str(tid), None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return _unreadable(line, f"no readable trade ({type(error).__name__}: {error})")


def _unreadable(line: int, why: str) -> tuple[Any, ...]:
    return line, None, None, None, None, None, why
