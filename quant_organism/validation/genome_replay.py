"""One genome traded bar by bar as it would be live: its stream is given one bar after the other, at a pace if asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import (
    Costs,
    Evaluator,
    GenomeStream,
    MarketRow,
    SleeveWindow,
    TradeList,
    open_stream,
    streamed_targets,
)
from quant_organism.errors import InputError
from quant_organism.market import Panel
from quant_organism.strategies import FittedModels, Genome, get_family
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
    decided: NDArray[np.float64] | None = None,
) -> GenomeReplay:
    """Trade a genome bar by bar from a row of a panel to its end.

    At a pace, and where it ranks assets, its stream is handed one bar after the other. Else every close is decided
    first, by the kernels that decide live and from the bars up to it, and then traded, in few calls; both are the same
    to the last bit.

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
    decided
        What `streamed_targets` gave at each close from the last one before `start` on, of the assets that it is
        restricted to, shape (any number of rows from that of the panel's first on, N); none: it is made here.
    """
    if not 0 <= start < panel.n_bars:
        raise InputError(f"no period from bar {start} on in a panel of {panel.n_bars} bars")
    if pace is not None or get_family(genome.family).ranks:
        return _streamed(genome, panel, costs, start, assets, virtual or costs, pace, models)
    taken = taken_assets(panel, assets)
    if decided is None:
        decided = streamed_targets(genome, panel, start=max(start - 1, 0), assets=taken, models=models)
    window = SleeveWindow(panel, start)
    decisions = window.decisions(genome, decided[: panel.n_bars])
    path = window.walk(genome, costs, decisions)
    holder = path if virtual in (None, costs) else window.walk(genome, virtual, decisions)
    held = HeldVirtually.empty(panel.n_bars - start, panel.n_assets)
    held.units[:, taken] = holder.units[:, taken]
    held.stops[:, taken], held.targets[:, taken] = holder.stops[:, taken], holder.targets[:, taken]
    for asset in sorted(taken, key=panel.symbols.__getitem__):
        held.returns[:] += holder.returns[:, asset]
    _mark_ends(path.equity, path.closing_equity, panel.valid[start:])
    return GenomeReplay(path.trades.restricted_to(assets), _returns(path.equity[:, taken]), held)


def taken_assets(panel: Panel, assets: Sequence[str]) -> list[int]:
    """Return the numbers of the assets that a portfolio is restricted to; of all where it is to none."""
    return [asset for asset, symbol in enumerate(panel.symbols) if not assets or symbol in assets]


def _streamed(
    genome: Genome,
    panel: Panel,
    costs: Costs,
    start: int,
    assets: Sequence[str],
    virtual: Costs,
    pace: Pace | None,
    models: FittedModels | None,
) -> GenomeReplay:
    history = panel.window(0, start) if start else None
    stream = open_stream(genome, panel.symbols, panel.interval, costs, history=history, models=models)
    holder = stream if virtual == costs else stream.beside(virtual)
    equity = np.ones((panel.n_bars - start + 1, panel.n_assets))
    taken = taken_assets(panel, assets)
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
        _mark_ends(equity, stream.closing_equity(), panel.valid[start:])
    return GenomeReplay(stream.finish().restricted_to(assets), _returns(equity[:, taken]), held)


def _returns(equity: NDArray[np.float64]) -> NDArray[np.float64]:
    # Of a portfolio in each bar, whose assets have so much equity at each close.
    before, after = equity[:-1], equity[1:]
    returns = np.divide(after, before, out=np.ones_like(after), where=before > 0.0) - 1.0
    return np.asarray(returns.sum(axis=1))


def _mark_ends(equity: NDArray[np.float64], closing: NDArray[np.float64], valid: NDArray[np.bool_]) -> None:
    # A delisted asset's position is sold at its last close, which is known as its last only when no other has come.
    for asset in range(valid.shape[1]):
        rows = np.flatnonzero(valid[:, asset])
        if rows.size:
            equity[rows[-1] + 1 :, asset] = closing[asset]
