"""What a callable may not do, caught by name before anything else: know the future, in whatever guise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.judge.parameters import Parameters
from quant_organism.judge.positions import ENDED_HOURS
from quant_organism.judge.sandbox import ForbiddenFile, StrategyProcess, StrategySource
from quant_organism.market import MS_PER_DAY, Panel
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT
from quant_organism.validation import Verdict
from quant_organism.validation.verdict import at_most

CUTS: Final = 24
"""Truncated panels on which a strategy is asked again: a third at even distances, a third before the largest moves, a
third where it was most right."""

TOLERANCE: Final = 1e-6
"""Difference of two answers that is rounding."""

CALENDAR_DAYS: Final = 28 * 365 + 7
"""Days after which days of the week, months and leap years come again."""

PLACES_BETWEEN: Final = 2
"""Trials of a search, besides its first and its last, at which it is asked before it begins."""

PRICE_FACTOR: Final = 2.0
"""Times by which prices are raised: a power of two, so that nothing is rounded but logarithms."""

_ROUNDED_SHARE: Final = 0.01
_FEWEST_SHARE: Final = 0.2
_NEAR_BARS, _NEAR_SHARE = 48, 0.02

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Proof:
    """What a strategy was found to know, and the answer that it gave.

    Attributes
    ----------
    answer
        For the whole panel, targets or signals, float64 (T, N); none where it was stopped.
    verdicts
        `future_bar`, `whole_sample`, `future_file`, `survivor_universe`, `repeatable`.
    """

    answer: Floats | None
    verdicts: tuple[Verdict, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was caught."""
        return all(verdict.status == "passed" for verdict in self.verdicts)

    @property
    def knows_future(self) -> bool:
        """Whether anything was caught but its choice of assets, which other trials of a search may make differently."""
        return any(verdict.status == "failed" and verdict.gate != _UNIVERSE for verdict in self.verdicts)


_UNIVERSE: Final = "survivor_universe"
GATES: Final = ("future_bar", "whole_sample", "future_file", _UNIVERSE, "repeatable")


def places_proven(n_trials: int, seed: int) -> list[int]:
    """Return the places of the trials at which a search is asked before it begins: both ends and some between."""
    between = max(n_trials - 2, 0)
    drawn = np.random.default_rng(seed).choice(between, min(PLACES_BETWEEN, between), replace=False)
    return sorted({0, n_trials - 1, *(1 + drawn).tolist()})


def prove(source: StrategySource, parameters: Parameters, panel: Panel, *, cuts: int = CUTS) -> Proof:
    """Ask a strategy again on truncated panels, and compare: what it said of a bar may not change with later ones.

    Each question is put to a process that has seen nothing later, so that there is nothing to remember.

    Parameters
    ----------
    source, parameters
        The strategy.
    panel
        The market.
    cuts
        Truncated panels.

    Raises
    ------
    InputError
        The strategy failed; where and why is said.
    """
    try:
        with StrategyProcess(source) as process:
            process.show(panel)
            whole = process.answer(parameters)
        sides = sides_of(source, whole)
        places = cuts_of(panel, sides, cuts)
        distance = 0
        with StrategyProcess(source) as process:
            for cut in places:
                process.show(panel.window(0, cut))
                try:
                    seen = process.answer(parameters)
                except InputError as error:
                    what = f"on the first {cut:,} of {panel.n_bars:,} bars: {error.what}"
                    raise type(error)(what, where=error.where, remedy=error.remedy) from None
                differing = np.flatnonzero((np.abs(seen - whole[:cut]) > TOLERANCE).any(axis=1))
                if differing.size:
                    distance = max(distance, cut - int(differing[0]))
            process.show(panel)
            again = process.answer(parameters)
        with StrategyProcess(source) as process:
            process.show(_elsewhere(panel, days=CALENDAR_DAYS))
            earlier = process.answer(parameters)
            process.show(_elsewhere(panel, factor=PRICE_FACTOR))
            scaled = process.answer(parameters)
    except ForbiddenFile as caught:
        return Proof(None, (opened_file(caught),))
    near = max(_NEAR_BARS, int(_NEAR_SHARE * panel.n_bars))
    repeated = int((np.abs(again - whole) > TOLERANCE).any(axis=1).sum())
    remembered = [int((np.abs(other - whole) > TOLERANCE).any(axis=1).sum()) for other in (earlier, scaled)]
    knows_prices = remembered[1] > _ROUNDED_SHARE * panel.n_bars
    verdicts = [
        _count("future_bar", distance if distance <= near else 0, f"looks up to {distance} bars ahead", len(places)),
        _count(
            "whole_sample",
            distance if distance > near else 0,
            f"what it said of a bar changed with bars up to {distance:,} later: it scales, ranks or fits on the whole "
            "sample",
            len(places),
        ),
        _count(
            "future_file",
            remembered[0] or remembered[1] * knows_prices,
            f"{remembered[0]:,} bars have other targets under the same calendar {CALENDAR_DAYS // 365} years earlier: "
            "it knows dates, which is memory of what came after them"
            if remembered[0]
            else f"{remembered[1]:,} bars have other targets where all prices are {PRICE_FACTOR:g} times as high: it "
            "knows price levels, which is memory of where prices went",
            panel.n_bars,
        ),
        _count("repeatable", repeated, f"asked again, it gave other targets for {repeated:,} bars", panel.n_bars),
        survivors(sides, panel),
    ]
    return Proof(whole, tuple(verdicts))


def sides_of(source: StrategySource, answer: Floats) -> Floats:
    """Return what an answer wants to hold, as far as its bars say it: of signals the side that each enters."""
    if source.form == "callable":
        return answer
    signals = answer.astype(np.int64)
    sides: Floats = (signals & ENTER_LONG != 0).astype(np.float64) - (signals & ENTER_SHORT != 0)
    return sides


def cuts_of(panel: Panel, targets: Floats, count: int) -> list[int]:
    """Return the bars before which a panel is truncated, ascending: where a peek at the next bar would pay most too."""
    first = max(1, int(_FEWEST_SHARE * panel.n_bars))
    move = np.zeros(panel.valid.shape)
    with np.errstate(invalid="ignore"):
        move[1:] = np.nan_to_num(panel.close[1:] / panel.close[:-1] - 1.0)
    before = np.concatenate([np.zeros((1, panel.n_assets)), targets[:-1]])
    rows = np.arange(panel.n_bars)
    third = max(count // 3, 1)
    chosen: set[int] = set(np.linspace(first, panel.n_bars - 1, third).astype(int).tolist())
    for score in (np.abs(move).max(axis=1), (before * move).sum(axis=1)):
        ranked = rows[np.lexsort((rows, -score))]
        chosen.update(ranked[ranked >= first][:third].tolist())
    return sorted(chosen)


def ended_assets(panel: Panel) -> tuple[str, ...]:
    """Return the assets that were traded and whose bars end a day or more before the panel."""
    found = []
    for asset, symbol in enumerate(panel.symbols):
        rows = np.flatnonzero(panel.valid[:, asset])
        if rows.size and (panel.n_bars - 1 - rows[-1]) * panel.interval.hours >= ENDED_HOURS:
            found.append(symbol)
    return tuple(found)


def survivors(targets: Floats, panel: Panel, left_out: tuple[str, ...] = ()) -> Verdict:
    """Ask whether a strategy trades survivors only.

    Parameters
    ----------
    targets
        For the whole panel, float64 (T, N).
    panel
        The market.
    left_out
        Assets that ended before the panel does and were left out of it by whoever chose the universe.
    """
    traded = {symbol for asset, symbol in enumerate(panel.symbols) if np.any(targets[panel.valid[:, asset], asset])}
    ended = set(ended_assets(panel))
    spared = sorted(ended - traded)
    alive = [symbol for symbol in panel.symbols if symbol not in ended]
    if left_out:
        said = f"the universe leaves out {', '.join(left_out)}, which ended before the panel does: it was chosen after"
        return _failed(_UNIVERSE, said, len(left_out))
    never = len(spared) if ended and spared == sorted(ended) and traded else 0
    said = (
        f"it never trades {', '.join(spared)}, which ended before the panel does, and trades "
        f"{len(traded & set(alive))} of the {len(alive)} that lived on"
    )
    return _count(_UNIVERSE, never, said, len(ended))


def opened_file(caught: ForbiddenFile) -> Verdict:
    """Return the verdict on a strategy that wanted to read a file."""
    return _failed("future_file", f"it {caught.what}", 1)


def _elsewhere(panel: Panel, *, days: int = 0, factor: float = 1.0) -> Panel:
    # The same bars some days earlier, at prices that are some times as high.
    prices = {name: getattr(panel, name) * factor for name in ("open", "high", "low", "close")}
    kept = {name: getattr(panel, name) for name in ("funding_rate", "funding_paid", "valid", "fear_greed")}
    return Panel.from_arrays(
        symbols=panel.symbols,
        interval=panel.interval,
        times=panel.times - days * MS_PER_DAY,
        volume=panel.volume / factor,
        market=panel.market,
        **prices,
        **kept,
    )


def _count(gate: str, count: int, said: str, n_used: int) -> Verdict:
    names = {
        "future_bar": "no bar's targets change with the bars right after it",
        "whole_sample": "no bar's targets change with bars far after it",
        "future_file": "it reads no file, and knows neither dates nor price levels",
        "repeatable": "asked again, it says the same",
        _UNIVERSE: "it does not spare what ended",
    }
    return at_most("in_sample", gate, float(count), 0.0, n_used, said if count else names[gate])


def _failed(gate: str, said: str, n_used: int) -> Verdict:
    return Verdict("in_sample", gate, "failed", 1.0, 0.0, n_used, said)
