"""Trades of a freqtrade file held against those of freqtrade itself, where there is a Python that has it."""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.errors import InputError
from quant_organism.judge.confined import REFUSED
from quant_organism.judge.outside import CallableStrategy
from quant_organism.judge.parameters import Parameters
from quant_organism.judge.sandbox import (
    SandboxLimits,
    StrategyProcess,
    StrategySource,
    confined,
    not_shut_in,
    shown_of,
)
from quant_organism.judge.trade_rules import RuledTrades
from quant_organism.market import Panel

_SCRIPT: Final = Path(__file__).with_name("freqtrade_backtest.py")
_ARRAYS: Final = ("times", "open", "high", "low", "close", "volume", "valid")
_ASKED: Final = "import json, sys, freqtrade; print(json.dumps([sys.executable, sys.prefix, sys.base_prefix]))"
_SECONDS: Final = 600.0
_LEAST_MEMORY_MB: Final = 8_192
_LONGEST_ANSWER: Final = 16 * 2**20
_OPEN_AT_END: Final = "force_exit"
_PRICE_DIGITS: Final = 1e-9


@dataclass(frozen=True)
class ClosedTrade:
    """One trade from entry to exit.

    Attributes
    ----------
    symbol, side
        What, and 1 long or -1 short.
    entered, left
        Opens of the bars of entry and exit, UTC milliseconds.
    entry, exit
        Prices before slippage and fees, USD.
    """

    symbol: str
    side: int
    entered: int
    entry: float
    left: int
    exit: float

    def is_same(self, other: ClosedTrade) -> bool:
        """Whether another is equal, prices to nine digits."""
        prices = zip((self.entry, self.exit), (other.entry, other.exit), strict=True)
        return replace(self, entry=0.0, exit=0.0) == replace(other, entry=0.0, exit=0.0) and all(
            math.isclose(own, their, rel_tol=_PRICE_DIGITS) for own, their in prices
        )

    @property
    def sentence(self) -> str:
        """The trade for people."""
        side = "long" if self.side > 0 else "short"
        return f"{side} from {_when(self.entered)} at {self.entry:.9g} to {_when(self.left)} at {self.exit:.9g}"


@dataclass(frozen=True)
class TradeComparison:
    """How many trades of a file are those that freqtrade makes of it.

    Attributes
    ----------
    version
        Of freqtrade.
    theirs, ours, equal
        Closed trades of freqtrade, of this program, and those that are the same.
    first_different
        The first by its entry that is not; empty where all are the same.
    """

    version: str
    theirs: int
    ours: int
    equal: int
    first_different: str

    @property
    def sentence(self) -> str:
        """The comparison for people."""
        said = f"{self.equal:,} of {self.theirs:,} closed trades of freqtrade {self.version} are the same here"
        if self.ours != self.theirs:
            said += f", where there are {self.ours:,}"
        return f"{said}; the first that is not: {self.first_different}." if self.first_different else f"{said}."

    @property
    def document(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return asdict(self) | {"sentence": self.sentence}


@dataclass(frozen=True)
class FreqtradePython:
    """A Python that has freqtrade.

    Parameters
    ----------
    path
        As it was given.
    program, prefixes
        Its interpreter, and the folders that it loads from.
    """

    path: Path
    program: str
    prefixes: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> FreqtradePython:
        """Ask an interpreter for freqtrade.

        Raises
        ------
        InputError
            It is no interpreter, or has none.
        """
        try:
            asked = subprocess.run([path, "-I", "-c", _ASKED], capture_output=True, check=True, timeout=_SECONDS)
            program, *prefixes = map(str, json.loads(asked.stdout))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or str(error).encode()).decode(errors="replace").strip()
            raise InputError(
                f"no Python that has freqtrade: {said.splitlines()[-1][:300]}",
                where=str(path),
                remedy="install freqtrade into an environment of its own, and give the path of its bin/python",
            ) from None
        return cls(path, program, tuple(prefixes))

    def compare(
        self, strategy: CallableStrategy, parameters: Parameters, panel: Panel, costs: Costs
    ) -> TradeComparison:
        """Have freqtrade backtest a file behind the walls that it is judged behind, and compare its trades with ours.

        Trades that are open at the end are left out: freqtrade closes them there.

        Parameters
        ----------
        strategy, parameters
            The file, and the trial of its search.
        panel, costs
            The market, and the costs whose taker fee counts in returns.

        Raises
        ------
        InputError
            The backtest failed; what it said is told.
        """
        assert strategy.rules is not None
        version, theirs = self._backtest(strategy.source, parameters, panel, costs)
        with StrategyProcess(strategy.source) as process:
            process.show(panel)
            ours = closed_trades(panel, strategy.rules.trades(process.answer(parameters), panel, costs))
        return compared(version, theirs, ours)

    def _backtest(
        self, source: StrategySource, parameters: Parameters, panel: Panel, costs: Costs
    ) -> tuple[str, list[ClosedTrade]]:
        # It loads libraries that no strategy needs, and the backtest of all assets is one call.
        limits = SandboxLimits(seconds=_SECONDS, memory_mb=max(source.limits.memory_mb, _LEAST_MEMORY_MB))
        with tempfile.TemporaryDirectory(prefix="judge-") as folder, tempfile.TemporaryFile() as answer:
            place = Path(folder)
            own, bars = place / "strategy" / source.path.name, place / "bars.npz"
            (place / "root").mkdir()
            own.parent.mkdir()
            own.write_bytes(source.read())
            _write(bars, panel, costs)
            shown = {
                str(_SCRIPT): "/judge/backtest.py",
                str(own): f"/strategy/{own.name}",
                str(bars): "/judge/bars.npz",
            }
            parts = shown if source.trusted else shown.values()
            command = [self.program, "-I", "-B", *parts, json.dumps(dict(parameters)), source.function]
            seen = shown_of(self.program, self.prefixes) | shown
            orders = confined(command, replace(source, limits=limits), place / "root", seen)
            try:
                # What it may write to a file is limited, and to a pipe is not.
                with tempfile.TemporaryFile() as errors:
                    none = subprocess.DEVNULL
                    ended = subprocess.run(
                        orders, stdin=none, stdout=answer, stderr=errors, timeout=_SECONDS, check=False
                    )
                    errors.seek(0)
                    said = errors.read(_LONGEST_ANSWER).decode(errors="replace").strip().splitlines() or ["no reason"]
            except subprocess.TimeoutExpired:
                raise self._failed(f"it did not come back within {_SECONDS:g} seconds") from None
            answer.seek(0)
            content = answer.read(_LONGEST_ANSWER)
        if ended.returncode == REFUSED and not source.trusted:
            raise not_shut_in(said[-1], self.path)
        if ended.returncode:
            raise self._failed(said[-1][:500])
        try:
            return _read(content, panel.symbols)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise self._failed(f"it answered something that is no trades ({type(error).__name__})") from None

    def _failed(self, what: str) -> InputError:
        return InputError(
            f"its backtest failed: {what}", where=str(self.path), remedy="see that freqtrade itself runs the file"
        )


def compared(version: str, theirs: Sequence[ClosedTrade], ours: Sequence[ClosedTrade]) -> TradeComparison:
    """Compare trades of freqtrade with ours by asset and entry, of which each asset has one at a time."""
    wanted, had = ({(trade.entered, trade.symbol): trade for trade in trades} for trades in (theirs, ours))
    different = [key for key in sorted({*wanted, *had}) if not _are_same(wanted.get(key), had.get(key))]
    equal = len({*wanted, *had}) - len(different)
    first = ""
    if different:
        sides = [("freqtrade", wanted.get(different[0])), ("here", had.get(different[0]))]
        first = f"{different[0][1]}: " + ", ".join(f"{who} {t.sentence if t else 'none'}" for who, t in sides)
    return TradeComparison(version, len(theirs), len(ours), equal, first)


def closed_trades(panel: Panel, trades: RuledTrades) -> list[ClosedTrade]:
    """Return every trade that has ended, asset by asset."""
    found = []
    for asset, symbol in enumerate(panel.symbols):
        side, entered, entry, wanted = 0, 0, math.nan, 0
        for t in np.flatnonzero(panel.valid[:, asset]).tolist():
            now, opened = int(panel.times[t]), float(panel.open[t, asset])
            if side and wanted != side:
                found.append(ClosedTrade(symbol, side, entered, entry, now, opened))
            if wanted != side:
                side, entered, entry = wanted, now, opened
            if np.isfinite(price := trades.exits[t, asset]):
                found.append(ClosedTrade(symbol, side, entered, entry, now, float(price)))
                side = 0
            wanted = int(trades.targets[t, asset])
    return found


def _are_same(one: ClosedTrade | None, other: ClosedTrade | None) -> bool:
    return one is not None and other is not None and one.is_same(other)


def _when(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1_000, UTC):%Y-%m-%d %H:%M}"


def _write(path: Path, panel: Panel, costs: Costs) -> None:
    arrays: dict[str, Any] = {name: getattr(panel, name) for name in _ARRAYS}
    arrays |= {"symbols": np.array(panel.symbols), "interval": np.array(panel.interval.name)}
    np.savez(path, fee=np.float64(costs.taker_fee), **arrays)


def _read(content: bytes, symbols: Sequence[str]) -> tuple[str, list[ClosedTrade]]:
    document: Mapping[str, Any] = json.loads(content)
    trades = [
        ClosedTrade(
            symbol=symbols[int(row["asset"])],
            side=int(row["side"]),
            entered=int(row["entered"]),
            entry=float(row["entry"]),
            left=int(row["left"]),
            exit=float(row["exit"]),
        )
        for row in document["trades"]
        if row["reason"] != _OPEN_AT_END
    ]
    return str(document["version"])[:30], trades
