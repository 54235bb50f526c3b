"""The venue with its market, moved by hand: what the server serves, and what a replay in memory runs."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import orjson
from pydantic import TypeAdapter, ValidationError

from quant_organism.errors import IntegrityError
from quant_organism.simulator.core.account import Account, Event, Traded
from quant_organism.simulator.core.state import Dex, Listing, VenueState
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.simulator.market.candles import Candle, CandleSeries
from quant_organism.simulator.market.driver import MarketDriver, MarketSpec, MarketState
from quant_organism.simulator.market.tape import Tape
from quant_organism.venue.protocol import OWN_DEX, Action, dex_name

SCHEMA_VERSION: Final = 4
RECENT_TRADES: Final = 200
USUAL_FEE_PERCENT: Final = 200
"""Of a builder-deployed dex (reference: section 13)."""


@dataclass(slots=True)
class FundingRecord:
    """A funding rate that was settled, in 1e-10 an hour, with its premium."""

    time_ms: int
    rate_e10: int
    premium_e10: int


@dataclass(slots=True)
class EngineState:
    """All that a snapshot holds; the tape is not in it, only the sum that tells it apart."""

    schema_version: int
    tape_sum: int
    venue: VenueState
    market: MarketState
    candles: dict[int, CandleSeries]
    fundings: dict[int, list[FundingRecord]]
    trades: dict[int, list[Traded]] = field(default_factory=dict)


class Engine:
    """A venue whose market follows a tape.

    Parameters
    ----------
    tape
        Bars; those before `begin_ms` are history, those after are walked through.
    begin_ms
        When the venue opens; the start of a bar.
    spec
        How the market looks.
    seed
        Of everything that is drawn.
    dexs
        Builder-deployed dexs that are not as usual; those of which only coins are known have USDC and twice the fees.
    """

    def __init__(
        self, tape: Tape, begin_ms: int, spec: MarketSpec | None = None, seed: int = 0, dexs: Sequence[Dex] = ()
    ) -> None:
        self.tape, self.seed, self.spec = tape, seed, spec or MarketSpec()
        bar = int(np.clip(np.searchsorted(tape.times, begin_ms), 0, len(tape.times) - 1))
        listings = dict(zip(tape.assets, map(Listing, tape.instruments), strict=True))
        state = VenueState(listings=listings, dexs=_dexs(tape, dexs), seed=seed, now_ms=int(tape.times[bar]))
        self.candles = {asset: _history(tape, column, bar) for column, asset in enumerate(tape.assets)}
        self.fundings = {asset: _funding_history(tape, column, bar) for column, asset in enumerate(tape.assets)}
        self.trades: dict[int, deque[Traded]] = {asset: deque(maxlen=RECENT_TRADES) for asset in listings}
        self.listener: Callable[[list[Event]], None] | None = None
        self._take_up(SimulatedVenue(state), MarketState(bar))
        self.advance(state.now_ms)

    @property
    def now_ms(self) -> int:
        """Time of the venue."""
        return self.venue.state.now_ms

    def advance(self, to_ms: int) -> None:
        """Let everything happen up to a time, that included."""
        while True:
            due = self.market.next_ms()
            own = self.venue.next_ms()
            if own is not None and own <= to_ms and (due is None or own < due):
                self.venue.pass_time(own)
                self._collect()
                continue
            if due is None or due > to_ms:
                break
            funded = self.market.state.funded_ms
            self.market.step()
            if self.market.state.funded_ms != funded:
                self._record_funding()
            self._collect()
        if to_ms >= self.now_ms:  # what is due by the other clock may be due while this one stands still
            self.venue.pass_time(to_ms)
            self._collect()

    def act(self, account: Account, action: Action) -> dict[str, Any]:
        """Carry out an action; return the answer of /exchange."""
        answer = self.venue.act(account, action)
        self._collect()
        return answer

    def deposit(self, address: str, micro_usd: int, dex: int = OWN_DEX) -> Account:
        """Bring collateral of a dex in for an address."""
        account = self.venue.deposit(address, micro_usd, dex)
        self._collect()
        return account

    def changed(self) -> None:
        """Publish what was done to the venue from outside."""
        self.venue.core.refresh()
        for asset in self.venue.state.listings.keys() - self.candles.keys():
            self.candles[asset] = CandleSeries(self.tape.interval.milliseconds)
            self.fundings[asset] = []
            self.trades[asset] = deque(maxlen=RECENT_TRADES)
        self._collect()

    def snapshot(self) -> bytes:
        """Return the whole state as JSON."""
        state = EngineState(
            SCHEMA_VERSION,
            self._tape_sum(),
            self.venue.state,
            self.market.state,
            self.candles,
            self.fundings,
            {asset: list(trades) for asset, trades in self.trades.items()},
        )
        return orjson.dumps(orjson.loads(TypeAdapter(EngineState).dump_json(state)), option=orjson.OPT_SORT_KEYS)

    def restore(self, snapshot: bytes) -> None:
        """Become what a snapshot says.

        Raises
        ------
        IntegrityError
            It is not a snapshot of this version, or not one over this tape.
        """
        try:
            state = TypeAdapter(EngineState).validate_json(snapshot)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise IntegrityError(str(first["msg"]), where=f"snapshot: {first['loc']}", remedy="take another") from error
        if state.schema_version != SCHEMA_VERSION or state.tape_sum != self._tape_sum():
            raise IntegrityError(
                "another version, or made over other bars", where="snapshot", remedy="serve the bars it was made over"
            )
        self.candles, self.fundings = state.candles, state.fundings
        self.trades = {asset: deque(trades, maxlen=RECENT_TRADES) for asset, trades in state.trades.items()}
        self._take_up(SimulatedVenue(state.venue), state.market)

    def _take_up(self, venue: SimulatedVenue, state: MarketState) -> None:
        self.venue = venue
        self.market = MarketDriver(venue, self.tape, self.spec, self.seed, state)

    def _collect(self) -> None:
        events = self.venue.core.drain()
        for event in events:
            if isinstance(event, Traded):
                self.candles[event.asset].add(event.px, event.sz, event.time_ms)
                self.trades[event.asset].append(event)
        if self.listener is not None and events:
            self.listener(events)

    def _record_funding(self) -> None:
        for asset, rate in self.market.last_rates.items():
            listing = self.venue.state.listings[asset]
            record = FundingRecord(self.now_ms, rate, listing.premium_e10 or 0)
            self.fundings[asset].append(record)

    def _tape_sum(self) -> int:
        return int(self.tape.close.sum() + self.tape.volume.sum() + self.tape.times.sum()) + sum(self.tape.assets)


def _dexs(tape: Tape, said: Sequence[Dex]) -> list[Dex]:
    known = {dex.name: dex for dex in said}
    names = dict.fromkeys(dex_name(instrument.name) for instrument in tape.instruments)
    usual = Dex(fee_percent=USUAL_FEE_PERCENT)
    return [Dex(), *(replace(known.get(name, usual), name=name) for name in names if name)]


def _history(tape: Tape, column: int, bar: int) -> CandleSeries:
    series = CandleSeries(tape.interval.milliseconds)
    prices = (grid[:, column] for grid in (tape.open, tape.high, tape.low, tape.close, tape.volume))
    rows = zip(*(values[:bar].tolist() for values in (tape.times, *prices)), strict=True)
    series.bars = [Candle(t, o, h, lo, c, v, 0) for t, o, h, lo, c, v in rows if o > 0 and v > 0]
    return series


def _funding_history(tape: Tape, column: int, bar: int) -> list[FundingRecord]:
    ends, rates = tape.times[:bar] + tape.interval.milliseconds, tape.rate_e10[:bar, column]
    there = tape.has_rate[:bar, column]
    return [FundingRecord(int(t), int(r), 0) for t, r in zip(ends[there], rates[there], strict=True)]
