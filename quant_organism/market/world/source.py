"""A simulated market as a source of candles, funding and sentiment."""

import hashlib
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.resample import make_longer_bars
from quant_organism.market.schema import MS_PER_DAY, MS_PER_HOUR, TIMESTAMP, Interval, choose_symbols, day_start_ms
from quant_organism.market.tables import CandleTable, FundingTable, SentimentTable, SetAsideTable
from quant_organism.market.world.spec import WorldSpec

if TYPE_CHECKING:
    from quant_organism.market.world.generator import WorldBars

_HOUR = Interval.parse("1h")


class WorldSource:
    """Candles and funding of a simulated market; it is drawn once, when first asked.

    Parameters
    ----------
    spec
        What it is made of.
    seed
        Its seed; none: the spec's own.
    """

    def __init__(self, spec: WorldSpec, seed: int | None = None) -> None:
        self.spec = spec
        self.seed = spec.seed if seed is None else seed
        identity = hashlib.sha256(f"{spec.hash}/{self.seed}".encode()).hexdigest()
        self._market = f"world-{spec.name}-{identity[:6]}"

    @property
    def market(self) -> str:
        """Name of this market in the lake: `world-<name>-<hash of spec and seed>`."""
        return self._market

    def describe(self) -> dict[str, Any]:
        """Return kind, name, hash of the spec, and seed."""
        return {"kind": "world", "name": self.spec.name, "spec_hash": self.spec.hash, "seed": self.seed}

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, sorted."""
        return tuple(sorted(asset.symbol for asset in self.spec.assets))

    def span(self, interval: Interval) -> tuple[date, date]:
        """Return the first and last day of the world."""
        self._check(interval)
        return self.spec.start, self.spec.end

    def candles(self, symbols: Sequence[str], interval: Interval, start: date, end: date) -> pl.DataFrame:
        """Return the bars that open on the days `start` to `end`, sorted by time and symbol.

        Bars of more than an hour are made of hours; those that lack some are left out.
        """
        self._check(interval)
        if interval != _HOUR:
            return make_longer_bars(self.candles(symbols, _HOUR, start, end), _HOUR, interval).bars
        bars, columns = self.bars, self._columns(symbols)
        rows = (bars.times >= day_start_ms(start)) & (bars.times < day_start_ms(end) + MS_PER_DAY)
        names = ("open", "high", "low", "close", "volume")
        arrays = {name: getattr(bars, name)[rows][:, columns] for name in names}
        return self._tidy(bars.times[rows], columns, arrays, bars.present[rows][:, columns], CandleTable.schema)

    def funding(self, symbols: Sequence[str], start: date, end: date) -> pl.DataFrame:
        """Return the settlements stamped on the days `start` to `end`: at each bar's close, for the hour before."""
        bars, columns = self.bars, self._columns(symbols)
        stamps = bars.times + MS_PER_HOUR
        rows = (stamps >= day_start_ms(start)) & (stamps < day_start_ms(end) + MS_PER_DAY)
        arrays = {"funding_rate": bars.funding_rate[rows][:, columns]}
        return self._tidy(stamps[rows], columns, arrays, bars.present[rows][:, columns], FundingTable.schema)

    def sentiment(self, start: date, end: date) -> pl.DataFrame:
        """Return the index that is published at the midnights of the days `start` to `end`."""
        bars = self.bars
        midnights = bars.times[::24]
        rows = (midnights >= day_start_ms(start)) & (midnights < day_start_ms(end) + MS_PER_DAY)
        known = rows & np.isfinite(bars.fear_greed)
        return pl.DataFrame(
            {"timestamp": pl.Series(midnights[known]).cast(TIMESTAMP), "fear_greed": bars.fear_greed[known]},
            schema=SentimentTable.schema,
        )

    def notes(self) -> tuple[str, ...]:
        """Return nothing: a simulated market is read as it is drawn."""
        return ()

    def set_aside(self) -> pl.DataFrame:
        """Return an empty frame: every row of a simulated market is usable."""
        return SetAsideTable.empty()

    @cached_property
    def bars(self) -> "WorldBars":
        """What the market shows, as arrays."""
        # The generator brings a compiler with it, which listing a world's symbols can do without.
        from quant_organism.market.world.generator import generate

        return generate(self.spec, self.seed)[0]

    def _columns(self, symbols: Sequence[str]) -> list[int]:
        names = choose_symbols(symbols, self.symbols(), where=f"world {self.spec.name}")
        position = {asset.symbol: i for i, asset in enumerate(self.spec.assets)}
        return [position[name] for name in names]

    def _check(self, interval: Interval) -> None:
        if interval < _HOUR:
            raise InputError(
                f"simulated markets have bars of {_HOUR}, not {interval}",
                where=f"world {self.spec.name}",
                remedy=f"use --interval {_HOUR} or a longer one",
            )

    def _tidy(
        self,
        stamps: np.typing.NDArray[np.int64],
        columns: list[int],
        arrays: dict[str, np.typing.NDArray[np.float64]],
        present: np.typing.NDArray[np.bool_],
        schema: pl.Schema,
    ) -> pl.DataFrame:
        symbols = [self.spec.assets[column].symbol for column in columns]
        kept = present.ravel()
        names = np.tile(np.array(symbols, dtype=object), len(stamps))[kept]
        return pl.DataFrame(
            {
                "symbol": pl.Series(names, dtype=pl.String),
                "timestamp": pl.Series(np.repeat(stamps, len(columns))[kept]).cast(TIMESTAMP),
                **{name: values.ravel()[kept] for name, values in arrays.items()},
            },
            schema=schema,
        )
