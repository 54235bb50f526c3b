"""Rules that a freqtrade class declares, and the trades that its signals come to by them.

Signals decide at closes and are filled at the next open. Stops and targets rest as orders: their level in a bar is made
of the entry and of earlier bars, as for every strategy here.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_organism.backtest import Costs
from quant_organism.errors import InputError
from quant_organism.kernels.compiled import compiled
from quant_organism.market import Panel
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT

Floats = NDArray[np.float64]
_Ratio = Annotated[float, Field(ge=-1.0, le=1_000.0, allow_inf_nan=False)]

_MINUTE_MS = 60_000


class RuledTrades(NamedTuple):
    """What a strategy holds, and where it leaves within bars.

    Attributes
    ----------
    targets
        Side that is wanted at each close, float64 (T, N).
    stops, limits
        Prices at which a position is left within each bar, float64 (T, N); NaN where there is none.
    exits
        Price at which it was, before slippage, float64 (T, N); NaN where it was not.
    """

    targets: Floats
    stops: Floats
    limits: Floats
    exits: Floats


class TradeRules(BaseModel):
    """What a class declares about its exits.

    Parameters
    ----------
    stoploss
        Negative fraction of the entry price.
    minimal_roi
        Minutes in the trade, and the return after fees on both sides from which on it is left; -1: at any price.
    trailing_stop, trailing_stop_positive, trailing_stop_positive_offset, trailing_only_offset_is_reached
        Whether the stop follows the best price of earlier bars; another distance, the return after fees beyond which
        that distance counts, and whether there is no trailing before it.
    can_short, use_exit_signal, ignore_roi_if_entry_signal
        As they say; the last: a bar that follows an entry's signal has no target.
    startup_candle_count
        Bars of an asset without signals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stoploss: float = Field(gt=-1.0, lt=0.0)
    minimal_roi: tuple[tuple[Annotated[int, Field(ge=0)], _Ratio], ...] = ()
    trailing_stop: bool = False
    trailing_stop_positive: float | None = Field(None, gt=0.0, lt=1.0)
    trailing_stop_positive_offset: float = Field(0.0, ge=0.0, le=1_000.0)
    trailing_only_offset_is_reached: bool = False
    can_short: bool = False
    use_exit_signal: bool = True
    ignore_roi_if_entry_signal: bool = False
    startup_candle_count: int = Field(0, ge=0)

    @classmethod
    def of(cls, declared: dict[str, Any], *, where: str) -> TradeRules:
        """Return the rules that a class declares.

        Raises
        ------
        InputError
            One of them is of the wrong kind or out of bounds.
        """
        try:
            return cls.model_validate(declared)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            what = f"{name}: {first['msg']}, not {str(first['input'])[:60]!r}"
            raise InputError(what, where=where, remedy="declare it as freqtrade documents it") from None

    def trades(self, signals: Floats, panel: Panel, costs: Costs) -> RuledTrades:
        """Return what the signals of a panel come to.

        Parameters
        ----------
        signals
            Of each bar's close, as bits, float64 (T, N).
        panel
            The market.
        costs
            Their taker fee counts in returns after fees.
        """
        shape = panel.valid.shape
        made = RuledTrades(np.zeros(shape), *(np.full(shape, np.nan) for _ in range(3)))
        rules = self._packed(costs.taker_fee)
        heeded = 15 if self.can_short else ENTER_LONG | EXIT_LONG
        for asset in range(panel.n_assets):
            rows = np.flatnonzero(panel.valid[:, asset])
            prices = _Prices(*(getattr(panel, name)[rows, asset] for name in _Prices._fields))
            wanted = signals[rows, asset].astype(np.int64) & heeded
            outcome = np.full((len(made), rows.size), np.nan)
            _trade(prices, panel.times[rows], panel.interval.milliseconds, wanted, rules, outcome)
            for values, found in zip(made, outcome, strict=True):
                values[rows, asset] = found
        return made

    def next_levels(
        self, signals: Floats, panel: Panel, costs: Costs, symbol: str, opened: float
    ) -> tuple[float, float]:
        """Return stop and limit of an asset in the bar after a panel's last, which has opened at a price; NaN: none.

        Parameters
        ----------
        signals, panel, costs
            As for `trades`.
        symbol, opened
            The asset, and its price, USD.
        """
        asset = panel.symbols.index(symbol)
        rows = np.flatnonzero(panel.valid[:, asset])
        heeded = 15 if self.can_short else ENTER_LONG | EXIT_LONG
        wanted = np.append(signals[rows, asset].astype(np.int64) & heeded, 0)
        prices = _Prices(*(np.append(getattr(panel, name)[rows, asset], opened) for name in _Prices._fields))
        times = np.append(panel.times[rows], panel.times[-1] + panel.interval.milliseconds)
        outcome = np.full((len(RuledTrades._fields), rows.size + 1), np.nan)
        _trade(prices, times, panel.interval.milliseconds, wanted, self._packed(costs.taker_fee), outcome)
        return float(outcome[1, -1]), float(outcome[2, -1])

    def _packed(self, fee: float) -> _Rules:
        steps = sorted(self.minimal_roi)
        return _Rules(
            stop=-self.stoploss,
            after=np.array([minutes * _MINUTE_MS for minutes, _ in steps], dtype=np.int64),
            returns=np.array([ratio for _, ratio in steps], dtype=np.float64),
            trails=self.trailing_stop,
            nearer=0.0 if self.trailing_stop_positive is None else self.trailing_stop_positive,
            beyond=self.trailing_stop_positive_offset,
            only_beyond=self.trailing_only_offset_is_reached,
            heeds_exits=self.use_exit_signal,
            spares_targets=self.ignore_roi_if_entry_signal,
            fee=fee,
        )


class _Prices(NamedTuple):
    # Of one asset's bars, each (n,).
    open: Floats
    high: Floats
    low: Floats
    close: Floats


class _Rules(NamedTuple):
    # `TradeRules` as the kernel takes them: distances positive, times in milliseconds.
    stop: float
    after: NDArray[np.int64]
    returns: Floats
    trails: bool
    nearer: float
    beyond: float
    only_beyond: bool
    heeds_exits: bool
    spares_targets: bool
    fee: float


@compiled
def _step(rules: _Rules, elapsed: int) -> float:
    """Return the return at which a trade is left after so many milliseconds; infinite where at none."""
    wanted = np.inf
    for k in range(rules.after.size):
        if rules.after[k] <= elapsed:
            wanted = rules.returns[k]
    return wanted


@compiled
def _entry(signals: int) -> int:
    """Return the side that a bar's signals enter: none where its exit or the other entry is signalled too."""
    if signals & ENTER_LONG and not signals & (EXIT_LONG | ENTER_SHORT):
        return 1
    if signals & ENTER_SHORT and not signals & (EXIT_SHORT | ENTER_LONG):
        return -1
    return 0


@compiled
def _leaves(side: int, signals: int) -> bool:
    """Return whether a bar's signals leave a side: its exit, unless its entry is signalled too."""
    if side > 0:
        return bool(signals & EXIT_LONG and not signals & ENTER_LONG)
    return bool(signals & EXIT_SHORT and not signals & ENTER_SHORT)


@compiled
def _trade(
    prices: _Prices,
    times: NDArray[np.int64],
    bar_ms: int,
    signals: NDArray[np.int64],
    rules: _Rules,
    outcome: Floats,
) -> None:
    """Write the trades of one asset over its n bars: rows of `RuledTrades`, shape (4, n)."""
    side = wanted = 0
    entry = stop = 0.0
    entered = times[0] if times.size else 0
    for t in range(signals.size):
        if wanted != side:
            side = wanted
            entry, entered = prices.open[t], times[t]
            stop = entry * (1.0 - side * rules.stop)
        if side != 0:
            # Fees are paid on both sides: a return of r is reached where (1 + r) of what was paid comes back.
            paid = (1.0 + side * rules.fee) / (1.0 - side * rules.fee)
            aim = _step(rules, times[t] - entered)
            if rules.spares_targets and t > 0 and signals[t - 1] & (ENTER_LONG if side > 0 else ENTER_SHORT):
                aim = np.inf
            limit = entry * (1.0 + side * aim) * paid
            reachable = 0.0 < limit < np.inf
            outcome[1, t], outcome[2, t] = stop, limit if reachable else np.nan
            worst, best = (prices.low[t], prices.high[t]) if side > 0 else (prices.high[t], prices.low[t])
            if side * worst <= side * stop:
                outcome[3, t] = side * min(side * stop, side * prices.open[t])
                side = 0
            elif aim <= -1.0:
                # Due since a gap before this bar: at any price.
                outcome[3, t] = prices.open[t]
                side = 0
            elif reachable and side * best > side * limit:
                outcome[3, t] = side * max(side * limit, side * prices.open[t])
                side = 0
            elif rules.trails:
                earned = side * (best / (entry * paid) - 1.0)
                if not (rules.only_beyond and earned < rules.beyond):
                    distance = rules.nearer if rules.nearer > 0.0 and earned > rules.beyond else rules.stop
                    stop = side * max(side * stop, side * best * (1.0 - side * distance))
        # At the close: what the next bar opens with.
        wanted = side
        if side != 0:
            out_of_time = _step(rules, times[t] + bar_ms - entered) <= -1.0
            if out_of_time or (rules.heeds_exits and _leaves(side, signals[t])):
                wanted = 0
        if wanted == 0:
            entering = _entry(signals[t])
            wanted = 0 if entering == side else entering
        outcome[0, t] = wanted
