"""The panel of a cycle: made from the lake, described in a manifest, and built again from it once per process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import polars as pl

from quant_organism.errors import DataQualityError
from quant_organism.market.lake import Lake
from quant_organism.market.lines import LINE_DAYS, Line, splits_of
from quant_organism.market.manifest import assess_candles, describe_panel, rebuild_panel
from quant_organism.market.panel import Panel, build_panel
from quant_organism.market.quality import summarise
from quant_organism.market.schema import Interval, day_of
from quant_organism.market.splits import Splits


@dataclass(frozen=True, eq=False)
class SplitPanel:
    """A panel and its spans, which are those of a line."""

    panel: Panel
    line: Line = "long"

    @cached_property
    def splits(self) -> Splits:
        """Which bars the search may see, and which it may not; an `InputError` where there are too few."""
        return splits_of(self.line, self.panel.n_bars, self.panel.interval)

    @cached_property
    def in_sample(self) -> Panel:
        """The part of the panel that a search may see."""
        return self.panel.window(self.splits.in_sample.start, self.splits.in_sample.stop)


@dataclass(frozen=True, eq=False)
class PanelTables:
    """A panel, and what is written down of it.

    Attributes
    ----------
    panel
        The arrays.
    manifest
        One row per symbol, as `market.manifest.describe_panel` returns it.
    quality
        One row per day and symbol, as `market.quality.assess` returns it.
    """

    panel: Panel
    manifest: pl.DataFrame
    quality: pl.DataFrame

    def require_quality(self, least: float) -> None:
        """Refuse a panel whose candles are not sound enough to evolve on.

        Parameters
        ----------
        least
            Share of sound bars that is needed: of all bars together, of the newest day, and of every symbol.

        Raises
        ------
        DataQualityError
            It is less; days, symbols and reasons are named.
        """
        if reasons := summarise(self.quality).blocking_reasons(least):
            raise DataQualityError(
                "\n".join(reasons),
                where=f"panel of {self.panel.market}",
                remedy="see the days and reasons with: quant-organism data quality",
            )


class Panels:
    """Panels of a lake; the newest is kept, so that the stages of a cycle build and hash it once.

    A kept panel is given out only as long as the files that it was made of are as they were.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._kept: SplitPanel | None = None

    def make(
        self,
        lake: Lake,
        market: str,
        interval: Interval,
        day: date,
        *,
        lookback_days: int | None = None,
        symbols: Sequence[str] | None = None,
        line: Line = "long",
    ) -> PanelTables:
        """Make the panel of a day: all that a cycle sees, and nothing after the day.

        Parameters
        ----------
        lake, market, interval, day
            What it is made of, and its last day.
        lookback_days
            Days of history; None: all there is, at most as many as the line sees.
        symbols
            Who takes part; None: all.
        line
            Of the cycle.

        Raises
        ------
        InputError
            There are no such candles.
        """
        panel = build_panel(lake, market, interval, day, lookback_days, symbols, LINE_DAYS[line])
        first = day_of(int(panel.times[0]))
        quality = assess_candles(lake, market=market, interval=interval, start=first, end=day, symbols=panel.symbols)
        manifest = describe_panel(panel, quality)
        self._key, self._kept = _key(manifest, lake, market, interval, day), SplitPanel(panel, line)
        return PanelTables(panel, manifest, quality)

    def open(
        self,
        manifest: pl.DataFrame,
        lake: Lake,
        *,
        market: str,
        interval: Interval,
        day: date,
        line: Line = "long",
    ) -> SplitPanel:
        """Return a stored panel with its arrays, built again from the lake unless it is at hand.

        Raises
        ------
        IntegrityError
            The lake no longer holds the data that the panel was made of.
        """
        key = _key(manifest, lake, market, interval, day)
        if self._kept is None or self._kept.line != line or self._key != key:
            panel = rebuild_panel(manifest, lake, market=market, interval=interval, day=day)
            self._key, self._kept = key, SplitPanel(panel, line)
        return self._kept


def _key(manifest: pl.DataFrame, lake: Lake, market: str, interval: Interval, day: date) -> tuple[object, ...]:
    # All that a panel is made of; files as the folder lists them, since reading them all is what is to be saved.
    stored = manifest.row(0, named=True)
    files = tuple(
        stamp
        for dataset, length in (("candles", interval.name), ("funding", None), ("sentiment", None))
        for stamp in lake.stamps(dataset, market=market, interval=length, end=day)
    )
    return lake.root, market, interval.name, day, tuple(manifest["symbol"]), stored["panel_hash"], files
