"""The worlds of an audit: which there are, and the market of each with the days that no gate may touch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import numpy as np

from quant_organism.audit.edges import ASSETS, WIDE, Edge, Strength, edges, relative_edges, strong_first
from quant_organism.audit.implant import implanted as with_edge
from quant_organism.errors import InputError
from quant_organism.market import (
    Asset,
    FileSource,
    Interval,
    Lake,
    Panel,
    WorldSource,
    WorldSpec,
    build_panel,
    continued,
)
from quant_organism.market.ingest import ingest
from quant_organism.validation import draw_null

Origin = Literal["null", "planted", "flipped", "implanted"]
"""Simulated without an edge, simulated with one, a real market turned over at random, which leaves none, or such a
market with an edge written into it."""

RANGES: Final = {"tuning": 100_000, "confirmation": 700_000}
"""First seed of the worlds that anyone may look at while changing the organism, and of those for the final count."""

_LONGEST_DAYS: Final = 3_650

_WIDE_EVERY: Final = 6
"""Of simulated worlds without an edge every sixth has the universe of edges between assets."""


@dataclass(frozen=True)
class Market:
    """A market of an audit.

    Attributes
    ----------
    panel
        All days.
    bars
        Bars that the organism is given; those after them are for the audit alone.
    drift
        Largest distance of the conditional mean of a return from the funding paid for it, 0 in a true null; nan where
        nobody knows it.
    """

    panel: Panel
    bars: int
    drift: float

    @cached_property
    def given(self) -> Panel:
        """What the organism is given."""
        return self.panel.window(0, self.bars)


@dataclass(frozen=True)
class World:
    """One world of an audit: where it comes from, its seed, its edge if it has one, whether assets are ranked in it."""

    origin: Origin
    seed: int
    edge: Edge | None = None
    ranked: bool = False

    @property
    def name(self) -> str:
        """What its file is called."""
        kind = self.origin if self.edge is None else f"{self.edge.family}-{self.edge.strength}"
        kind += "-ranked" if self.ranked and self.edge is None else ""
        return f"{'real-' if self.origin == 'implanted' else ''}{kind}-{self.seed}"

    @property
    def strength(self) -> Strength:
        """How much there is to find."""
        return "none" if self.edge is None else self.edge.strength

    @property
    def assets(self) -> tuple[Asset, ...]:
        """The universe of a simulated one."""
        return WIDE if self.ranked else ASSETS

    def market(self, days: int, later_days: int, real: Panel | None = None) -> Market:
        """Draw it.

        Parameters
        ----------
        days, later_days
            Days that the organism is given, and days after them.
        real
            The panel that flipped and implanted worlds are made of. Of a flipped one the last `days` are turned over,
            and there are none after them; of an implanted one all that there is, the later days last.
        """
        if self.origin in ("flipped", "implanted"):
            if real is None:
                raise InputError(f"a {self.origin} world is made of a real panel, and there is none", where=self.name)
            wanted = days if self.edge is None else days + later_days
            seen = real.window(max(0, real.n_bars - wanted * real.interval.bars_per_day), real.n_bars)
            drawn = draw_null(seen, "mean_preserving", np.random.SeedSequence(self.seed))
            if self.edge is not None:
                drawn = with_edge(drawn, self.edge, np.random.SeedSequence(self.seed, spawn_key=(1,)))
            return Market(drawn, min(seen.n_bars, days * real.interval.bars_per_day), math.nan)
        spec = WorldSpec(
            name=self.origin, days=days, assets=self.assets, plants=() if self.edge is None else (self.edge.plant,)
        )
        symbols = tuple(asset.symbol for asset in self.assets)
        grown = continued(WorldSource(spec, self.seed), symbols, days=later_days)
        return Market(grown.panel, grown.start, math.nan if self.edge else _drift(spec, self.seed))


def plan(nulls: int, planted: int, *, first_seed: int, flipped: int = 0, implanted: int = 0) -> tuple[World, ...]:
    """Return the worlds of an audit, mixed, so that one that was interrupted saw something of each.

    Parameters
    ----------
    nulls, planted, flipped, implanted
        How many of each; planted and implanted ones take the edges in turn, all strong ones before the weak. Edges
        between assets are planted in a wider universe, in which every sixth world without an edge lies too, and are not
        written into real markets.
    first_seed
        Each origin counts up from here, so that a larger audit begins with the worlds of a smaller one.
    """
    edge, every = edges(), strong_first((*edges(), *relative_edges()))
    chosen = [every[place % len(every)] for place in range(planted)]
    rows = [
        [World("null", first_seed + p, ranked=p % _WIDE_EVERY == _WIDE_EVERY - 1) for p in range(nulls)],
        [World("planted", first_seed + p, one, ranked=one.is_relative) for p, one in enumerate(chosen)],
        [World("flipped", first_seed + place) for place in range(flipped)],
        [World("implanted", first_seed + place, edge[place % len(edge)]) for place in range(implanted)],
    ]
    placed = [((place + 0.5) / len(row), world) for row in rows for place, world in enumerate(row)]
    return tuple(world for _, world in sorted(placed, key=lambda entry: entry[0]))


def _drift(spec: WorldSpec, seed: int) -> float:
    # The generator brings a compiler with it, and a test puts a false one in its place.
    from quant_organism.market.world import generator

    bars, truth = generator.generate(spec, seed)
    return float(np.abs(truth.mean - bars.funding_rate).max())


def first_seed_of(text: str) -> int:
    """Return the first seed of a range of `RANGES`, or the seed that the text itself names.

    Raises
    ------
    InputError
        It is neither.
    """
    if text in RANGES:
        return RANGES[text]
    if not text.isdecimal() or not text.isascii():
        raise InputError(
            f"{text!r} is no range of seeds",
            where="option --seed-range",
            remedy=f"choose {', '.join(RANGES)}, or a first seed",
        )
    return int(text)


def real_panel(path: Path) -> Panel:
    """Return the last ten years of hourly candles in a file or folder, read through a lake of their own.

    Raises
    ------
    InputError
        The files hold no hourly candles.
    """
    with TemporaryDirectory() as folder:
        lake, source, interval = Lake(Path(folder)), FileSource(path), Interval.parse("1h")
        first, last = source.span(interval)
        ingest(source, lake, interval, first, last)
        return build_panel(lake, source.market, interval, last, None, None, _LONGEST_DAYS)
