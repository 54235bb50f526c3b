"""How a simulated market goes on after its last day: days that nobody can have seen."""

from dataclasses import dataclass

from quant_organism.market.funding import align_funding
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.sentiment import align_sentiment
from quant_organism.market.world.source import WorldSource


@dataclass(frozen=True, eq=False)
class Continuation:
    """A world with days after its end.

    Attributes
    ----------
    panel
        The world from its first day on, and the days after its end.
    start
        The first bar after its end.
    """

    panel: Panel
    start: int


def continued(source: WorldSource, symbols: tuple[str, ...], *, days: int) -> Continuation:
    """Let a world go on: its own days stay as they are, to the last bit.

    Parameters
    ----------
    source
        The world.
    symbols
        Columns of the panel.
    days
        Days after its end.
    """
    longer = source.spec.model_copy(update={"days": source.spec.days + days})
    more = WorldSource(longer, source.seed)
    bars = more.bars
    columns = [bars.symbols.index(symbol) for symbol in symbols]
    interval = Interval.parse("1h")
    rate, paid = align_funding(more.funding(symbols, longer.start, longer.end), symbols, bars.times, interval)
    panel = Panel.from_arrays(
        symbols=symbols,
        interval=interval,
        times=bars.times,
        open=bars.open[:, columns],
        high=bars.high[:, columns],
        low=bars.low[:, columns],
        close=bars.close[:, columns],
        volume=bars.volume[:, columns],
        funding_rate=rate,
        funding_paid=paid,
        valid=bars.present[:, columns],
        fear_greed=align_sentiment(more.sentiment(longer.start, longer.end), bars.times, interval),
    )
    return Continuation(panel, source.spec.days * interval.bars_per_day)
