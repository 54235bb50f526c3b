"""What a trader writes down: one record per fact, each the description of a table of the ledger.

Facts are added and never changed. Money is in whole micro-USD, times are UTC milliseconds, `close_ms` is the close at
which something was decided. A number that is not defined is none, never NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

Mode = Literal["replay", "paper", "testnet", "mainnet"]
"""What happens to orders: modelled on bars of the lake, modelled on live bars, sent without and with real money."""

Role = Literal["trades", "shadow"]
"""Whether a strategy's decisions become orders of the account, or are booked virtually in one of its own."""

DecisionKind = Literal["enter", "exit", "adjust"]


class LedgerRecord:
    """A fact; subclasses are frozen dataclasses whose fields are the columns of their table, in their order.

    Attributes
    ----------
    table
        Name of the table.
    """

    table: ClassVar[str] = ""

    def changed(self, **fields: Any) -> Self:
        """Return a copy with other values of some of its fields: `dataclasses.replace`, in a tenth of the time."""
        made = object.__new__(type(self))
        vars(made).update(vars(self), **fields)
        return made


@dataclass(frozen=True, kw_only=True)
class LedgerSession(LedgerRecord):
    """A session has begun: an account, and who trades it.

    Parameters
    ----------
    session
        Its number.
    mode, account
        What happens to orders, and whose account it is; a run of the same identity goes on with the same session.
    profile, interval, market
        Session profile, length of the bars, and the market in the lake that history comes from.
    policy_version
        Of the policy in force when it began; empty where there is none.
    documents
        SHA-256 of each strategy document, by its identity.
    identity
        Digest of all that the run's orders are a function of, beside the bars.
    started_ms, first_close_ms
        Wall clock, and the first close at which it decided.
    history_days, history_end, history_hash
        Days of the lake that it was warmed up with, their last (ISO), and the hash of the panel of them.
    """

    table: ClassVar[str] = "sessions"

    session: int
    mode: Mode
    account: str
    profile: str
    interval: str
    market: str
    policy_version: str
    documents: Mapping[str, str]
    identity: str
    started_ms: int
    first_close_ms: int
    history_days: int
    history_end: str
    history_hash: str


@dataclass(frozen=True, kw_only=True)
class LedgerSessionEnd(LedgerRecord):
    """A session was ended in order, and may be gone on with; a trader that was killed leaves no such record."""

    table: ClassVar[str] = "session_ends"

    session: int
    ended_ms: int
    last_close_ms: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class LedgerStrategy(LedgerRecord):
    """A strategy joins a session, or leaves it.

    Parameters
    ----------
    strategy, role, stage
        Its identity, what becomes of its decisions, and the stage of its document.
    joins
        Whether it joins; otherwise it leaves.
    document_hash, document
        SHA-256 of the stored form, and the stored form itself.
    reason
        Why, in a sentence.
    """

    table: ClassVar[str] = "strategies"

    session: int
    close_ms: int
    strategy: str
    role: Role
    stage: str
    joins: bool
    document_hash: str
    document: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class LedgerBar(LedgerRecord):
    """A bar of one symbol as the strategies saw it; funding is none where it was unknown.

    Parameters
    ----------
    received_ms
        When it came, by the venue's clock; the close where it came from the lake.
    funding_rate, funding_paid
        Fraction an hour in force at the close, and the settlements that a holder through the bar pays.
    fear_greed
        Index of the whole market, none where unknown.
    """

    table: ClassVar[str] = "bars"

    session: int
    open_ms: int
    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    funding_rate: float | None
    funding_paid: float
    fear_greed: float | None
    received_ms: int


@dataclass(frozen=True, kw_only=True)
class StrategySignal(LedgerRecord):
    """What a strategy wants of a symbol, where that has changed at a close or could not be evaluated.

    Parameters
    ----------
    side
        1 long, -1 short, 0 none.
    strength
        0 to 1: how far its members agree, or how far past their thresholds its conditions are.
    target
        Position wanted, as a share of the strategy's equity, negative when short.
    conditions
        What the rule evaluated (`FollowedStrategy.evaluated`): of a document its conditions with both values and
        whether they hold, else what each member wants.
    data_age_ms
        How long after the close the bar had come, by the venue's clock.
    not_evaluated
        Why nothing could be evaluated; empty where it could.
    """

    table: ClassVar[str] = "signals"

    session: int
    close_ms: int
    strategy: str
    symbol: str
    side: int
    strength: float
    target: float
    conditions: Mapping[str, Any]
    data_age_ms: int
    not_evaluated: str


@dataclass(frozen=True, kw_only=True)
class TradeDecision(LedgerRecord):
    """What a strategy decided of a symbol before the pipeline has spoken.

    Parameters
    ----------
    decision_id
        Digest of strategy, symbol, close and kind: the same decision has the same identity in every mode.
    role, kind, side
        What becomes of it; enter, exit or adjust; LONG or SHORT of the position concerned.
    confidence
        0 to 1.
    size_usd
        Notional that the strategy wants to hold after it, at the reference price and its share of the equity.
    target, before
        Position wanted, and wanted until now, as shares of the strategy's equity.
    reference_price
        Close that it was decided at, USD.
    stop_price, take_profit_price
        Nearest stop and target of its members, USD; none where they have none yet.
    regime, risk_mode
        Of the market, and of the policy in force.
    expires_ms
        One bar after the close: what is not carried out by then is not done later.
    cloid
        Of the account's order for the symbol at this close; empty where there was none.
    correlation_id
        What happened for one reason carries the same: session and close.
    is_allowed
        Whether every step of the pipeline let it pass.
    reason
        What the strategy said, or why it was not let pass.
    """

    table: ClassVar[str] = "decisions"

    session: int
    close_ms: int
    decision_id: str
    strategy: str
    symbol: str
    role: Role
    kind: DecisionKind
    side: str
    confidence: float
    size_usd: float
    target: float
    before: float
    reference_price: float
    stop_price: float | None
    take_profit_price: float | None
    regime: str
    risk_mode: str
    expires_ms: int
    cloid: str
    correlation_id: str
    is_allowed: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class StepVerdict(LedgerRecord):
    """What a step of the pipeline said of a decision, or of a whole close.

    Parameters
    ----------
    decision_id
        Empty where it speaks of the close, of a strategy or of a symbol.
    step
        policy, risk guard, portfolio, governor, plan, executor or monitor.
    subject
        Strategy, symbol or account that it speaks of.
    passes
        Whether it let the subject be.
    number, bound
        What was measured, and what it was held against.
    reason
        In a sentence.
    """

    table: ClassVar[str] = "verdicts"

    session: int
    close_ms: int
    decision_id: str
    step: str
    subject: str
    passes: bool
    number: float | None
    bound: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class LedgerOutsideSignal(LedgerRecord):
    """A line of another source's inbox, taken at a close or refused.

    Parameters
    ----------
    source
        Its name.
    end
        Bytes of the inbox that have been read with it.
    signal
        As it was read; empty where it could not be.
    is_accepted, reason
        Whether it counts from this close on, and why not.
    """

    table: ClassVar[str] = "outside_signals"

    session: int
    close_ms: int
    source: str
    end: int
    signal_id: str
    signal: Mapping[str, Any]
    is_accepted: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class LedgerReading(LedgerRecord):
    """What the risk guard read at a close, and the weather of the market; what is not known is none.

    Parameters
    ----------
    data_age_bars, clock_skew_s, rejected, silent_lines, fear_greed
        As in `Readings`.
    liquidation_used
        Largest part of a position's way from its cost to liquidation that is used up.
    volatility, correlation, usual_correlation
        Over a day, the largest among the markets of the strategies: the first over its median of 30 days, the others as
        the mean of all pairs and its median.
    """

    table: ClassVar[str] = "readings"

    session: int
    close_ms: int
    account: str
    data_age_bars: float | None
    clock_skew_s: float | None
    rejected: float | None
    silent_lines: int
    fear_greed: float | None
    liquidation_used: float | None
    volatility: float | None
    correlation: float | None
    usual_correlation: float | None


@dataclass(frozen=True, kw_only=True)
class LedgerPlan(LedgerRecord):
    """A plan of an account at a close, and the account's risk as it stood then.

    Parameters
    ----------
    number
        Its place among all plans and sets of resting orders of the account.
    h1, h2
        Digests of virtual units and of order lines before it.
    base
        Equity that positions are sized on.
    factor
        What every target was multiplied with.
    """

    table: ClassVar[str] = "plans"

    session: int
    close_ms: int
    account: str
    number: int
    h1: str
    h2: str
    base: int
    scale: float
    factor: float
    drawdown: float
    is_stopped: bool
    at_cap: bool


@dataclass(frozen=True, kw_only=True)
class LedgerOrder(LedgerRecord):
    """An order of an account: sent at a close, or resting from then on; 0 lots take a resting one away.

    Parameters
    ----------
    kind
        ioc, stop or target.
    lots, level
        To buy, negative to sell; the limit or trigger as a lot price.
    size, price
        The same in units and USD.
    """

    table: ClassVar[str] = "orders"

    session: int
    close_ms: int
    account: str
    symbol: str
    kind: str
    lots: int
    level: int
    size: float
    price: float
    reduces: bool
    cloid: str


@dataclass(frozen=True, kw_only=True)
class LedgerFill(LedgerRecord):
    """A fill of an account.

    Parameters
    ----------
    close_ms
        Of the plan that it belongs to.
    time_ms
        When, by the venue's clock; the open of the bar where it is modelled.
    aimed
        Lot price that slippage is measured against.
    slippage
        Paid for filling worse than that, negative where better.
    """

    table: ClassVar[str] = "fills"

    session: int
    close_ms: int
    time_ms: int
    account: str
    symbol: str
    kind: str
    lots: int
    size: float
    price: float
    notional: int
    fee: int
    aimed: int
    slippage: int


@dataclass(frozen=True, kw_only=True)
class LedgerFlow(LedgerRecord):
    """Money that an account got without a trade, negative where it paid: `funding` of a symbol, or `capital`."""

    table: ClassVar[str] = "flows"

    session: int
    close_ms: int
    account: str
    kind: str
    symbol: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class LedgerEquity(LedgerRecord):
    """An account at a close.

    Parameters
    ----------
    equity, cash
        Micro-USD.
    gross
        Notional of all positions.
    execution
        Profit of what no strategy answers for.
    """

    table: ClassVar[str] = "equity"

    session: int
    close_ms: int
    account: str
    equity: int
    cash: int
    capital: int
    gross: int
    drawdown: float
    execution: int


@dataclass(frozen=True, kw_only=True)
class LedgerProfit(LedgerRecord):
    """What a strategy's part of an account has earned up to a close, and what it holds.

    Parameters
    ----------
    profit, gross
        Earned since it joined, and notional held, micro-USD.
    share
        Of the equity that it is sized on from this close on, as the pipeline has left it; none in closes that an
        earlier version wrote.
    """

    table: ClassVar[str] = "profits"

    session: int
    close_ms: int
    account: str
    strategy: str
    profit: int
    gross: int
    share: float | None


@dataclass(frozen=True, kw_only=True)
class LedgerBreaker(LedgerRecord):
    """A breaker has changed its state.

    Parameters
    ----------
    state
        closed (all is well), open (tripped) or half-open.
    value, bound
        What tripped or released it, and its bound.
    """

    table: ClassVar[str] = "breakers"

    session: int
    close_ms: int
    name: str
    state: str
    value: float | None
    bound: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class LedgerEvent(LedgerRecord):
    """Anything else that a person should know.

    Parameters
    ----------
    at_ms
        Wall clock, or the close in a replay.
    level
        info, warning or critical.
    kind
        One word to count by.
    """

    table: ClassVar[str] = "events"

    session: int
    at_ms: int
    close_ms: int
    level: str
    kind: str
    text: str


RECORDS: tuple[type[LedgerRecord], ...] = (
    LedgerSession,
    LedgerSessionEnd,
    LedgerStrategy,
    LedgerBar,
    LedgerOutsideSignal,
    StrategySignal,
    TradeDecision,
    StepVerdict,
    LedgerReading,
    LedgerPlan,
    LedgerOrder,
    LedgerFill,
    LedgerFlow,
    LedgerEquity,
    LedgerProfit,
    LedgerBreaker,
    LedgerEvent,
)
"""All tables, in the order in which facts come about."""
