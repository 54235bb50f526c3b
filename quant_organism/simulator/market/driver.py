"""Walks the tape around the venue: oracle and mark, quotes, trades, funding.

A book is quoted around every tick's price; trades are printed at it. Resting orders of users are reached by a share of
each trade, in their turn at their price. Quotes are renewed with every tick, behind whoever rests at their prices;
where they reach nobody they are made only when they are next looked at or traded with. They depend on seed, asset and
tick alone, so that looking at a book changes nothing.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.market import MS_PER_HOUR
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.simulator.market.prices import PriceTracker, bar_path, impact_price, premium_e10, split_volume
from quant_organism.simulator.market.tape import Tape
from quant_organism.venue.protocol import MICRO_USD, price_step

LEVELS: Final = 20
LARGE_IMPACT: Final = 20_000 * MICRO_USD
IMPACT: Final = 6_000 * MICRO_USD
_QUOTES, _FUNDING = 1, 2


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """How the market around the tape behaves.

    Parameters
    ----------
    ticks_per_bar
        Prices in a bar, at least 4.
    spread_bps
        Best ask less best bid.
    level_gap_bps
        Between two levels of the book.
    depth_share
        Size of a level against the bar's volume.
    participation
        Share of each trade that resting orders of users can be part of.
    """

    ticks_per_bar: int = 60
    spread_bps: float = 1.0
    level_gap_bps: float = 1.0
    depth_share: float = 0.002
    participation: float = 0.1


@dataclass(slots=True)
class MarketState:
    """Where the walk is; what disturbs it.

    Parameters
    ----------
    bar, tick
        Next to come.
    funded_ms
        Hour that was funded last.
    funding_due_ms
        When the next funding is paid: some milliseconds after the hour.
    trackers
        By asset id.
    touch
        By asset id: best bid and ask of the last tick's quotes, and the tick's number.
    stale
        Assets whose quotes have not been made yet.
    lowered
        By asset id: factor on all prices, a gap that a fault has torn.
    thinned
        By asset id: factor on all depth; 0: an empty book.
    one_sided
        By asset id: side that is not quoted, `bid` or `ask`.
    mark_factor
        By asset id: factor of the mark against what it should be.
    rate_e10
        By asset id: funding rate that a fault prescribes.
    """

    bar: int
    tick: int = 0
    funded_ms: int = 0
    funding_due_ms: int = 0
    trackers: dict[int, PriceTracker] = field(default_factory=dict)
    touch: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    stale: set[int] = field(default_factory=set)
    lowered: dict[int, float] = field(default_factory=dict)
    thinned: dict[int, float] = field(default_factory=dict)
    one_sided: dict[int, str] = field(default_factory=dict)
    mark_factor: dict[int, float] = field(default_factory=dict)
    rate_e10: dict[int, int] = field(default_factory=dict)


class MarketDriver:
    """Moves a venue's market along a tape.

    Parameters
    ----------
    venue
        Whose; its listings begin with the tape's instruments.
    tape
        Bars to follow.
    spec
        How books and trades look.
    seed
        Of paths, depths and the lateness of funding.
    state
        Where the walk begins.
    """

    def __init__(self, venue: SimulatedVenue, tape: Tape, spec: MarketSpec, seed: int, state: MarketState) -> None:
        self.venue, self.tape, self.spec, self.seed, self.state = venue, tape, spec, seed, state
        self.last_rates: dict[int, int] = {}
        """Rates of the hour that was funded last, in 1e-10, by asset id."""
        self._paths: tuple[int, list[NDArray[np.int64]], list[NDArray[np.int64]]] = (-1, [], [])
        self._columns = {asset: column for column, asset in enumerate(tape.assets)}
        venue.core.prepare = self.freshen
        if not state.trackers:
            state.trackers = {asset: PriceTracker() for asset in tape.assets}
            state.funded_ms = int(tape.times[state.bar]) // MS_PER_HOUR * MS_PER_HOUR
            state.funding_due_ms = self._funding_due(state.funded_ms + MS_PER_HOUR)

    def next_ms(self) -> int | None:
        """Return when something happens next, or None after the last bar."""
        if self.state.bar >= len(self.tape.times):
            return None
        return min(self._tick_ms(), self.state.funding_due_ms)

    def step(self) -> None:
        """Let the next thing happen."""
        now = self.next_ms()
        assert now is not None
        self.venue.pass_time(now)
        if self.state.funding_due_ms <= self._tick_ms():
            self._fund(now)
        else:
            self._tick(now)

    def freshen(self, asset: int) -> None:
        """Make the quotes of an asset if they are not those of the last tick."""
        if asset in self.state.stale:
            self.state.stale.discard(asset)
            self._quote(asset)

    def requote(self, asset: int) -> None:
        """Make the quotes anew, after a change of what disturbs them."""
        if asset in self.state.touch:
            self.state.stale.add(asset)
            self.freshen(asset)

    def impact_prices(self, asset: int) -> tuple[int | None, int | None]:
        """Return the scaled prices at which the impact notional could be sold and bought."""
        notional = LARGE_IMPACT if asset < 2 else IMPACT
        book = self.venue.core.books[asset]
        return impact_price(book.bids, notional), impact_price(book.asks, notional)

    def _tick(self, now: int) -> None:
        state, venue = self.state, self.venue
        number = state.bar * self.spec.ticks_per_bar + state.tick
        paths, sizes = self._bar_paths()
        prices: dict[int, tuple[int, int]] = {}
        for column, (asset, path) in enumerate(zip(self.tape.assets, paths, strict=True)):
            listing = venue.state.listings[asset]
            if not len(path) or listing.instrument.is_delisted or listing.halted:
                continue
            px = max(1, round(int(path[state.tick]) * state.lowered.get(asset, 1.0)))
            px -= px % price_step(px, listing.instrument.px_decimals) if asset in state.lowered else 0
            is_buy = px >= (listing.last or px)
            self.state.touch[asset] = self._best(asset, px, number, is_buy=is_buy)
            self.state.stale.add(asset)
            reached = self._reaches_users(asset)
            if reached:
                self.freshen(asset)
            self._print(asset, px, int(sizes[column][state.tick]), is_buy=is_buy, with_users=reached)
            prices[asset] = (self._mark(asset, px, now), px)
        state.tick += 1
        if state.tick == self.spec.ticks_per_bar:
            state.bar, state.tick = state.bar + 1, 0
        venue.set_prices(prices)

    def _bar_paths(self) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
        bar, ticks, tape = self.state.bar, self.spec.ticks_per_bar, self.tape
        if self._paths[0] != bar:
            paths, sizes = [], []
            for column, (asset, instrument) in enumerate(zip(tape.assets, tape.instruments, strict=True)):
                there = tape.open[bar, column] > 0
                rng = np.random.default_rng([self.seed, asset, bar])
                start, high, low, end = (int(a[bar, column]) for a in (tape.open, tape.high, tape.low, tape.close))
                empty = np.empty(0, dtype=np.int64)
                path = bar_path(rng, (start, high, low, end), ticks, instrument.px_decimals) if there else empty
                paths.append(path)
                sizes.append(split_volume(rng, int(tape.volume[bar, column]), ticks))
            self._paths = (bar, paths, sizes)
        return self._paths[1], self._paths[2]

    def _best(self, asset: int, px: int, number: int, *, is_buy: bool) -> tuple[int, int, int]:
        decimals = self.venue.state.listings[asset].instrument.px_decimals
        step = price_step(px, decimals)
        spread = max(step, round(px * self.spec.spread_bps / 10_000 / step) * step)
        return (px - spread, px, number) if is_buy else (px, px + spread, number)

    def _quote(self, asset: int) -> None:
        bid, ask, number = self.state.touch[asset]
        instrument = self.venue.state.listings[asset].instrument
        step = price_step(bid, instrument.px_decimals)
        gap = max(step, round(bid * self.spec.level_gap_bps / 10_000 / step) * step)
        rng = np.random.default_rng([self.seed, asset, number, _QUOTES])
        bar = min(number // self.spec.ticks_per_bar, len(self.tape.times) - 1)
        size = int(self.tape.volume[bar, self._columns[asset]]) * self.spec.depth_share or 10_000 * MICRO_USD / bid
        sizes = np.maximum(1, np.round(size * rng.uniform(0.5, 1.5, 2 * LEVELS) * self.state.thinned.get(asset, 1.0)))
        hidden, empty = self.state.one_sided.get(asset), self.state.thinned.get(asset) == 0
        levels: dict[bool, dict[int, int]] = {True: {}, False: {}}
        for i in range(LEVELS):
            for is_buy, px in ((True, bid - i * gap), (False, ask + i * gap)):
                if px > 0 and not empty and hidden != ("bid" if is_buy else "ask"):
                    legal = px - px % price_step(px, instrument.px_decimals)
                    levels[is_buy].setdefault(legal, int(sizes[i + (0 if is_buy else LEVELS)]))
        self.venue.quote_levels(asset, bids=levels[True], asks=levels[False])

    def _print(self, asset: int, px: int, size: int, *, is_buy: bool, with_users: bool) -> None:
        if with_users and size > 0:
            share = max(1, round(size * self.spec.participation))
            size -= share - self.venue.take(asset, px, share, is_buy=is_buy)
        if size > 0:
            self.venue.print_trade(asset, px, size, is_buy=is_buy)

    def _reaches_users(self, asset: int) -> bool:
        """Say whether anyone rests at the best quotes or between them."""
        (bid, ask, _), book = self.state.touch[asset], self.venue.core.books[asset]
        user_bid, user_ask = book.bids.best_user_px(), book.asks.best_user_px()
        return (user_bid is not None and user_bid >= bid) or (user_ask is not None and user_ask <= ask)

    def _mark(self, asset: int, oracle: int, now: int) -> int:
        tracker, book = self.state.trackers[asset], self.venue.core.books[asset]
        listing = self.venue.state.listings[asset]
        bid, ask, premium = book.bids.best_px(), book.asks.best_px(), None
        if asset in self.state.stale:
            bid, ask, _ = self.state.touch[asset]
            premium = premium_e10(oracle, bid, ask)
        else:
            sell, buy = self.impact_prices(asset)
            premium = None if sell is None or buy is None else premium_e10(oracle, sell, buy)
        tracker.sample(premium or 0)
        listing.premium_e10 = premium
        listing.rate_e10 = self.state.rate_e10.get(asset, tracker.hourly_rate_e10())
        mark = tracker.mark(now, oracle, bid, ask, listing.last)
        return max(1, round(mark * self.state.mark_factor.get(asset, 1.0)))

    def _fund(self, now: int) -> None:
        """Pay the hour that has ended, at the recorded rates where there are any."""
        state, tape = self.state, self.tape
        state.funded_ms += MS_PER_HOUR
        row = (state.funded_ms - int(tape.times[0])) // tape.interval.milliseconds - 1
        rates: dict[int, int] = {}
        for asset, tracker in state.trackers.items():
            column = self._columns[asset]
            recorded = 0 <= row < len(tape.times) and tape.has_rate[row, column]
            rate = int(tape.rate_e10[row, column]) if recorded else tracker.hourly_rate_e10()
            rates[asset] = state.rate_e10.get(asset, rate)
            tracker.next_hour()
        self.venue.pay_funding(rates, now)
        self.last_rates = rates
        state.funding_due_ms = self._funding_due(state.funded_ms + MS_PER_HOUR)

    def _funding_due(self, hour_ms: int) -> int:
        rng = np.random.default_rng([self.seed, _FUNDING, hour_ms // MS_PER_HOUR])
        return hour_ms + int(rng.integers(15, 51))

    def _tick_ms(self) -> int:
        if self.state.bar >= len(self.tape.times):
            return 1 << 62
        start, length = int(self.tape.times[self.state.bar]), self.tape.interval.milliseconds
        return start + self.state.tick * length // self.spec.ticks_per_bar
