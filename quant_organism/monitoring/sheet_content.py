"""What the tear sheet of one strategy says, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quant_organism.deployment import ExecutedStrategy
from quant_organism.monitoring.content import ReportedGate, ReportedSpan
from quant_organism.monitoring.sheet_trading import SheetTrading


@dataclass(frozen=True, kw_only=True)
class SpanFigures:
    """Metrics of a strategy in one span, by name; `unseen` where the search did not see it."""

    label: str
    unseen: bool
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class YearRow:
    """Net returns of one calendar year.

    Parameters
    ----------
    year
        The year.
    months
        Return of each month, 12 fractions; nan where there was no scored day.
    unseen
        Whether all scored days of the month lie where the search did not see, 12 flags.
    total
        Return of all scored days of the year.
    """

    year: int
    months: Sequence[float]
    unseen: Sequence[bool]
    total: float


@dataclass(frozen=True, kw_only=True)
class Cone:
    """Where the in-sample days promised that equity would lie, and where it lay.

    Parameters
    ----------
    days
        ``YYYY-MM-DD``, D unseen days.
    quantiles
        Five paths of D values: 5, 25, 50, 75 and 95 %.
    actual
        D values: equity, 1 before the first unseen day.
    """

    days: Sequence[str]
    quantiles: Sequence[Sequence[float]]
    actual: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class ShakeRow:
    """What was earned when something was changed.

    Parameters
    ----------
    name
        What was changed.
    count
        How many changes or draws; 0 where it was not run.
    low, middle, high
        5, 50 and 95 % quantiles of the annual Sharpe ratio; nan where the change leaves it alone.
    drawdown
        95 % quantile of the maximum drawdown.
    loss_probability
        Share without a gain.
    worst
        The worst change in words, or why it was not run.
    points
        Sharpe ratios one by one; none where only quantiles are kept.
    """

    name: str
    count: int
    low: float
    middle: float
    high: float
    drawdown: float
    loss_probability: float
    worst: str
    points: Sequence[float] = ()


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Strategies with slightly different genes: their Sharpe ratios and drawdowns, and the strategy's own."""

    sharpe: Sequence[float]
    max_drawdown: Sequence[float]
    own_sharpe: float
    own_max_drawdown: float


@dataclass(frozen=True, kw_only=True)
class PartRow:
    """What was earned on one asset or in one regime."""

    name: str
    days: int
    sharpe: float
    total_return: float
    max_drawdown: float


@dataclass(frozen=True, kw_only=True)
class MemberRow:
    """One genome of the strategy, its weight, and the assets that it trades; none: all."""

    id: str
    weight: float
    assets: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class FamilyPart:
    """One family of a committee: how many of its genomes, their weight together, and what they do in a sentence."""

    family: str
    genomes: int
    weight: float
    logic: str


@dataclass(frozen=True, kw_only=True)
class TearSheet:
    """Everything that one page says about one strategy.

    Parameters
    ----------
    id, origin
        Who it is, and where it came from.
    market, date, interval
        Which market, the cycle's date (nothing later was seen), the bars.
    provenance
        Names and values from which every number can be computed again.
    summary
        The result in plain words, a few sentences.
    figures
        Metrics by span, in time order.
    days, equity, spans
        Scored days (``YYYY-MM-DD``), equity at their ends (1 before the first), and the spans to mark.
    account
        What an account executes of it.
    years
        Monthly returns.
    cone
        Promise and outcome of the unseen days; None where there is nothing to promise.
    sharpe
        Annual net Sharpe ratio in sample, which the shakes are compared with.
    shakes
        In sample, the vetoes first.
    neighbours
        None where there are none.
    assets, regimes
        In sample.
    gates
        Verdicts in the order in which they were given.
    members
        Its genomes.
    families
        What they are, the heaviest first.
    trading
        What its account did, day by day and trade by trade; None: not looked at.
    code
        Of what was made elsewhere and has no genomes: what it is, by name.
    """

    id: str
    origin: str
    market: str
    date: str
    interval: str
    provenance: Mapping[str, str | int]
    summary: Sequence[str]
    figures: Sequence[SpanFigures]
    days: Sequence[str]
    equity: Sequence[float]
    spans: Sequence[ReportedSpan]
    account: ExecutedStrategy
    years: Sequence[YearRow]
    cone: Cone | None
    sharpe: float
    shakes: Sequence[ShakeRow]
    neighbours: Neighbours | None
    assets: Sequence[PartRow]
    regimes: Sequence[PartRow]
    gates: Sequence[ReportedGate]
    members: Sequence[MemberRow]
    families: Sequence[FamilyPart] = ()
    trading: SheetTrading | None = None
    code: Sequence[tuple[str, str]] = ()
