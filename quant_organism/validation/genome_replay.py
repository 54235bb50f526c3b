"""One genome traded bar by bar as it would be live: its stream is given one bar after the other, at a pace if asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator, GenomeStream, MarketRow, TradeList, open_stream
from quant_organism.errors import InputError
from quant_organism.market import Panel
from quant_organism.strategies import FittedModels, Genome
from quant_organism.validation.account_replay import HeldVirtually


class Clock(Protocol):
    """What a paced replay asks for the time."""

    def now(self) -> float:
        """Return seconds since any fixed moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True)
class Pace:
    """How fast bars are handed out.

    Parameters
    ----------
    factor
        How many times faster than they came; 10 hands out an hour's bar every six minutes.
    clock
        Tells the time and waits.

    Raises
    ------
    InputError
        The factor is not positive.
    """

    factor: float
    clock: Clock

    def __post_init__(self) -> None:
        if not self.factor > 0.0:
            raise InputError(f"a pace of {self.factor} never arrives", remedy="give a factor above 0")


class OwnEvaluator:
    """Base of dataclasses that compare a stream with its backtest in any process: each makes its own tools for it.

    Another process keeps indicators and fits of its own, whatever this one has kept by then: fields alone are sent.
    """

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @cached_property
    def evaluator(self) -> Evaluator:
        """Makes the backtests."""
        return Evaluator(threads=1)

    @cached_property
    def models(self) -> FittedModels:
        """Fits of both sides: one is kept under its training rows, and the other would make it of the same numbers."""
        return FittedModels(self.evaluator.store)


@dataclass(frozen=True, eq=False)
class GenomeReplay:
    """What a genome did bar by bar.

    Attributes
    ----------
    trades
        Its trades.
    returns
        Net return of its portfolio in each bar, float64 (T,); of an asset that ends, with what its last close brought.
    held
        What its sleeves held.
    """

    trades: TradeList
    returns: NDArray[np.float64]
    held: HeldVirtually


def replay_genome(
    genome: Genome,
    panel: Panel,
    costs: Costs,
    start: int,
    *,
    assets: Sequence[str] = (),
    virtual: Costs | None = None,
    pace: Pace | None = None,
    models: FittedModels | None = None,
) -> GenomeReplay:
    """Trade a genome bar by bar from a row of a panel to its end.

    Parameters
    ----------
    genome, panel, costs
        As for the evaluator.
    start
        First row that is traded; rows before it warm signals and ranks up.
    assets
        Symbols that the portfolio is restricted to; none: all.
    virtual
        Costs of the sleeves whose positions are told; none: those of the trades.
    pace
        None: as fast as it goes.
    models
        Keeps fitted models from one replay to the next.
    """
    if not 0 <= start < panel.n_bars:
        raise InputError(f"no period from bar {start} on in a panel of {panel.n_bars} bars")
    history = panel.window(0, start) if start else None
    stream = open_stream(genome, panel.symbols, panel.interval, costs, history=history, models=models)
    holder = stream if virtual in (None, costs) else stream.beside(virtual)
    equity = np.ones((panel.n_bars - start + 1, panel.n_assets))
    taken = [asset for asset, symbol in enumerate(panel.symbols) if not assets or symbol in assets]
    in_order = sorted(taken, key=panel.symbols.__getitem__)
    held = HeldVirtually.empty(panel.n_bars - start, panel.n_assets)
    begun = pace.clock.now() if pace else 0.0
    for number, row in enumerate(range(start, panel.n_bars), start=1):
        if pace:
            due = begun + number * panel.interval.hours * 3_600.0 / pace.factor
            pace.clock.sleep(max(due - pace.clock.now(), 0.0))
        place = number - 1
        held.units[place, taken] = holder.units[taken]
        stops, targets = holder.levels(np.where(panel.valid[row], panel.open[row], np.nan))
        held.stops[place, taken], held.targets[place, taken] = stops[taken], targets[taken]
        stream.advance(MarketRow.of(panel, row))
        equity[number] = stream.equity
        gains = holder.sleeve_returns
        for asset in in_order:
            held.returns[place] += gains[asset]
    held.units[-1, taken] = holder.units[taken]
    if isinstance(stream, GenomeStream):
        _mark_ends(equity, stream, panel.valid[start:])
    before, after = equity[:-1, taken], equity[1:, taken]
    returns = np.divide(after, before, out=np.ones_like(after), where=before > 0.0) - 1.0
    return GenomeReplay(stream.finish().restricted_to(assets), returns.sum(axis=1), held)


def _mark_ends(equity: NDArray[np.float64], stream: GenomeStream, valid: NDArray[np.bool_]) -> None:
    # A delisted asset's position is sold at its last close, which is known as its last only when no other has come.
    closed = stream.closing_equity()
    for asset in range(valid.shape[1]):
        rows = np.flatnonzero(valid[:, asset])
        if rows.size:
            equity[rows[-1] + 1 :, asset] = closed[asset]
