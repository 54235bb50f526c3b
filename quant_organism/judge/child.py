"""Run as a program, shut in: load the strategy's file, and answer calls with targets. It needs NumPy and no more.

Frames are a letter, a length of eight bytes, and so many bytes. In come panels (`P`, an npz of plain arrays) and calls
(`C`, parameters as JSON); out go `R` once the strategy is loaded, with the rules that it declares as JSON, answers
(`T`, float64 of shape (T, N) as they lie: targets, or the signals of a freqtrade file) and errors (`E`, JSON).
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import json
import os
import sys
import traceback
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

ARRAYS = ("open", "high", "low", "close", "volume", "funding_rate")


class _ForbiddenFile(PermissionError):
    """The strategy wants a file that is no part of the panel."""


class MarketView:
    """What a strategy is handed: aligned arrays of N assets over T bars, all of them known at the close of their bar.

    Attributes
    ----------
    symbols
        N names, the columns.
    interval_hours
        Length of a bar.
    times
        (T,) int64, bar opens in UTC milliseconds.
    open, high, low, close, volume, funding_rate
        (T, N) float64; NaN where an asset has no bar. Funding is a fraction an hour, as known at the close.
    valid
        (T, N) bool: where an asset has a bar.
    fear_greed
        (T,) float64, the Fear & Greed index; NaN where unknown.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self.symbols = tuple(arrays["symbols"].tolist())
        self.interval_hours = float(arrays["interval_hours"])
        self.times, self.valid, self.fear_greed = arrays["times"], arrays["valid"], arrays["fear_greed"]
        for name in ARRAYS:
            setattr(self, name, arrays[name])

    def frame(self, name: str) -> Any:
        """Return one array as a pandas frame: a row for each bar, a column for each asset."""
        import pandas

        index = pandas.to_datetime(self.times, unit="ms", utc=True)
        return pandas.DataFrame(getattr(self, name), index=index, columns=list(self.symbols))


def read(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Return the next frame; an empty letter where there is none any more."""
    head = stream.read(9)
    return (head[:1], stream.read(int.from_bytes(head[1:], "little"))) if len(head) == 9 else (b"", b"")


def write(stream: BinaryIO, letter: bytes, content: bytes) -> None:
    """Write a frame."""
    stream.write(letter + len(content).to_bytes(8, "little") + content)
    stream.flush()


def refuse_files(own: str) -> None:
    """Say by name what the strategy wants to open or to connect to; the walls around it hold in any case."""
    places = (*sys.path, sys.prefix, sys.base_prefix, "/usr", "/lib", "/dev", "/proc", "/sys", "/etc", os.getcwd())
    libraries = tuple({os.path.realpath(place).rstrip("/") + "/" for place in places})

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if path != own and not f"{path}/".startswith(libraries):
                raise _ForbiddenFile(f"reads the file {path}, which is no part of the panel")
        elif event.startswith("socket.") and event not in ("socket.gethostname",):
            raise PermissionError("wants the network, which a strategy does not have")
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn"):
            raise PermissionError("starts a program, which a strategy may not")

    sys.addaudithook(look)


def targets_of(found: Any, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return what a strategy answered as targets, checked."""
    targets = np.asarray(found, dtype=np.float64)
    if targets.shape != shape:
        raise ValueError(f"targets have shape {targets.shape}, expected {shape} (bars, assets)")
    bad = np.argwhere(~(np.abs(targets) <= 1.0))
    if len(bad):
        bar, asset = bad[0]
        raise ValueError(
            f"target {targets[bar, asset]} at bar {bar} of asset {asset}, expected -1 to 1; say 0 where there is none"
        )
    return np.ascontiguousarray(targets)


def describe(error: BaseException, own: str) -> bytes:
    """Return an error as the court is told of it: what, and on which line of the strategy."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    document = {
        "type": type(error).__name__.lstrip("_"),
        "text": str(error)[:500],
        "line": lines[-1] if lines else None,
    }
    return json.dumps(document).encode()


def stand_in() -> Any:
    """Return what takes the place of freqtrade, as it lies beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "freqtrade_stand_in.py")
    spec = importlib.util.spec_from_file_location("freqtrade_stand_in", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.install()
    return module


def main(own: str, form: str, name: str) -> None:
    """Load the strategy, a function or a class of freqtrade by its name, and answer until nobody asks any more."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    # Whatever a strategy prints goes where errors go, and cannot be taken for a reply.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    freqtrade = stand_in() if form == "freqtrade" else None
    refuse_files(own)
    rules: dict[str, Any] = {}
    try:
        spec = importlib.util.spec_from_file_location("strategy", own)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["strategy"] = module
        spec.loader.exec_module(module)
        if freqtrade is not None:
            strategy, rules = freqtrade.adopt(module, name)
        else:
            strategy = getattr(module, name, None)
            if not builtins.callable(strategy):
                raise AttributeError(f"no function {name}(panel) in the file")
        declared = json.dumps(rules, default=float).encode()
    except BaseException as error:
        write(replies, b"E", describe(error, own))
        return
    write(replies, b"R", declared)
    view: MarketView | None = None
    while True:
        letter, content = read(requests)
        if not letter:
            return
        if letter == b"P":
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                view = MarketView({name: stored[name] for name in stored.files})
            continue
        try:
            assert view is not None
            shape = view.close.shape  # type: ignore[attr-defined]
            answer = strategy(view, **json.loads(content))
            content = (targets_of(answer, shape) if freqtrade is None else answer).tobytes()
        except BaseException as error:
            write(replies, b"E", describe(error, own))
        else:
            write(replies, b"T", content)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
