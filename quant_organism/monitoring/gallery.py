"""The gallery of families: what each is, and a market made by hand on which it shows what it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.market import Interval, Panel
from quant_organism.strategies import GeneSpec, default_genome, get_family, signal
from quant_organism.strategies.cross_section.family import CrossSectionFamily
from quant_organism.strategies.cross_section.history import CrossSectionBars

Floats = NDArray[np.float64]

_SHOWN_BARS: Final = 360
_STRETCH: Final = 60
"""Bars for which the market keeps its character."""

_SEEDS: Final = 40

_RANKED_ASSETS: Final = 7
_TURN: Final = 400
"""Bars after which each asset of a ranked market has the character of its neighbour."""


@dataclass(frozen=True, eq=False)
class Showcase:
    """A family's reference genome on a market that makes it trade.

    Parameters
    ----------
    family
        Its name.
    genes
        Each gene of its own with its value, as text.
    close
        Closes, shape (n,).
    target
        Position decided at each close, in [-1, 1], shape (n,).
    warmup
        First bar on which it may hold anything.
    funding_rate
        Fraction per hour in force, shape (n,), where the family reads it.
    """

    family: str
    genes: tuple[str, ...]
    close: Floats
    target: Floats
    warmup: int
    funding_rate: Floats | None


@dataclass(frozen=True, eq=False)
class RankedShowcase:
    """A family's reference genome on a made market whose assets it ranks.

    Parameters
    ----------
    family
        Its name.
    genes
        Each gene of its own with its value, as text.
    symbols
        The N assets.
    close
        Closes, shape (n, N).
    weights
        Share of equity wanted of each asset at each close, shape (n, N).
    warmup
        First bar on which it may hold anything.
    """

    family: str
    genes: tuple[str, ...]
    symbols: tuple[str, ...]
    close: Floats
    weights: Floats
    warmup: int


def family_record(name: str) -> dict[str, Any]:
    """Return what there is to say about a family, as plain values.

    Raises
    ------
    InputError
        If there is no such family.
    """
    family = get_family(name)
    return {
        "family": name,
        "type": family.seed_type,
        "evolves": family.evolves,
        "columns": list(family.columns),
        "output": "book" if family.ranks else "conviction" if family.conviction else "state",
        "warmup_bars": family.warmup(default_genome(name).genes),
        "logic": (type(family).__doc__ or "").strip().splitlines()[0],
        "genes": [_gene_record(spec) for spec in family.own_genes],
        "common_genes": [_gene_record(spec) for spec in family.common_genes],
    }


def showcase(name: str) -> Showcase | RankedShowcase:
    """Return the first of a few seeded markets on which a family's reference genome holds both sides, or else one.

    Families that rank assets are shown on one market of several.

    Raises
    ------
    InputError
        If there is no such family.
    """
    genome, family = default_genome(name), get_family(name)
    warmup = family.warmup(genome.genes)
    genes = tuple(f"{spec.name} = {described_default(spec)}" for spec in family.own_genes)
    if isinstance(family, CrossSectionFamily):
        panel = ranked_market(warmup + 2 * _SHOWN_BARS)
        bars = CrossSectionBars.of(panel)
        rows = np.flatnonzero(family.decides(genome.genes, bars.numbers, panel.interval.hours))
        decided = np.vstack([np.zeros((1, panel.n_assets)), family.weights(bars.view(rows), genome.genes).T])
        weights = decided[np.searchsorted(rows, np.arange(panel.n_bars), side="right")]
        return RankedShowcase(name, genes, panel.symbols, panel.close, weights, warmup)
    shown: Showcase | None = None
    for seed in range(_SEEDS):
        columns = changing_market(seed, warmup + _SHOWN_BARS)
        funding_rate = columns["funding_rate"] if "funding_rate" in family.columns else None
        made = Showcase(name, genes, columns["close"], signal(genome, columns), warmup, funding_rate)
        if {-1.0, 1.0} <= set(np.sign(made.target)):
            return made
        if shown is None or (not shown.target.any() and made.target.any()):
            shown = made
    assert shown is not None
    return shown


def ranked_market(bars: int) -> Panel:
    """Return hourly bars of seven assets that take turns in rising, in restlessness, in volume and in funding."""
    rng = np.random.default_rng(5)
    shape, turn = (bars, _RANKED_ASSETS), np.arange(bars)[:, None] / _TURN + np.arange(_RANKED_ASSETS)
    phase = 2.0 * np.pi * turn / _RANKED_ASSETS
    sizes = 0.004 * (1.0 + 0.6 * np.sin(phase + 1.0))
    common = 0.003 * rng.standard_normal((bars, 1))
    moves = common + sizes * rng.standard_normal(shape) + 0.0004 * np.sin(phase)
    close = 100.0 * np.exp(np.cumsum(moves, axis=0))
    opens = np.vstack([np.full((1, _RANKED_ASSETS), 100.0), close[:-1]])
    rate = 2e-5 * (1.0 + 2.0 * np.cos(phase))
    return Panel.from_arrays(
        symbols=[chr(ord("A") + place) for place in range(_RANKED_ASSETS)],
        interval=Interval.parse("1h"),
        times=Interval.parse("1h").milliseconds * np.arange(bars, dtype=np.int64),
        open=opens,
        high=np.maximum(opens, close),
        low=np.minimum(opens, close),
        close=close,
        volume=1_000.0 * np.exp(0.8 * np.sin(2.0 * phase) + 0.3 * rng.standard_normal(shape)),
        funding_rate=rate,
        funding_paid=rate,
    )


def changing_market(seed: int, bars: int) -> Mapping[str, Floats]:
    """Return the columns of hourly bars that trend, swing, rest and break out by turns, each of shape (bars,)."""
    rng = np.random.default_rng(seed)
    stretches = bars // _STRETCH + 1
    drift = np.repeat(rng.choice([-0.003, 0.0, 0.0, 0.003], stretches), _STRETCH)[:bars]
    noise = np.repeat(rng.choice([0.002, 0.006, 0.012], stretches), _STRETCH)[:bars]
    jump = np.zeros(bars)
    jump[::_STRETCH] = rng.choice([-0.04, 0.0, 0.04], stretches)[: jump[::_STRETCH].size]
    close = 100.0 * np.exp(np.cumsum(drift + jump + noise * rng.standard_normal(bars)))
    opens = np.concatenate([[100.0], close[:-1]])
    wicks = 1.0 + 0.3 * noise * np.abs(rng.standard_normal((2, bars)))
    return {
        "open": opens,
        "high": np.maximum(opens, close) * wicks[0],
        "low": np.minimum(opens, close) / wicks[1],
        "close": close,
        "volume": 100.0 * np.exp(0.3 * rng.standard_normal(bars)) * (1.0 + 60.0 * np.abs(drift + jump)),
        "funding_rate": 1e-4 * np.sin(2.0 * np.pi * (np.arange(bars) + 20.0 * seed) / 75.0),
    }


def described_default(spec: GeneSpec) -> Any:
    """Return a gene's default value, a structure as the text that its grammar writes for people."""
    return spec.default if spec.grammar is None else spec.grammar.describe(spec.default)  # type: ignore[arg-type]


def _gene_record(spec: GeneSpec) -> dict[str, Any]:
    return {
        "gene": spec.name,
        "kind": spec.kind,
        "default": described_default(spec),
        "allowed": spec.bounds,
        "drawn from": spec.drawn_from,
        "unit": spec.unit,
        "what it does": spec.description,
    }
