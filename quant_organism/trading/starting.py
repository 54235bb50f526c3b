"""How a session comes about: begun anew, or taken up where its ledger ends, to the same orders as without an end.

What strategies hold virtually follows from the bars alone, so it is made again from them; what the accounts hold is in
the ledger. A session that has been killed loses nothing but the bar that was not yet written down, which comes again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson

from quant_organism.backtest import Costs, MarketRow
from quant_organism.backtest.account import (
    AccountBook,
    FillModel,
    RiskState,
    TradedAsset,
    VirtualWindow,
)
from quant_organism.deployment import ExternalRunner, NobodyRuns, StrategyConfig
from quant_organism.errors import InputError, IntegrityError
from quant_organism.market import MS_PER_DAY, Interval, format_ms
from quant_organism.market.panel import Panel
from quant_organism.strategies import FittedModels
from quant_organism.trading.execution import Execution, ModelledExecution
from quant_organism.trading.external import FollowedCode
from quant_organism.trading.following import Followed, FollowedMarket, FollowedStrategy
from quant_organism.trading.lanes import AccountLane, rules_for
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.outside import OUTSIDE, OutsideSignal, SignalSource
from quant_organism.trading.outside_strategy import OutsideStrategy
from quant_organism.trading.pipeline import Pipeline
from quant_organism.trading.records import (
    LedgerFlow,
    LedgerOutsideSignal,
    LedgerRecord,
    LedgerSession,
    LedgerSessionEnd,
    LedgerStrategy,
    Mode,
    Role,
)
from quant_organism.trading.runtime import Trader, trader_state

COMPLETE = "complete"
"""Why a session ended that is not gone on with: all its bars have been traded."""


@dataclass(frozen=True, kw_only=True)
class SessionSpec:
    """What a session is, beside its bars.

    Parameters
    ----------
    mode, profile, market, interval
        As in the ledger.
    capital_usd
        What the account begins with, and that of each strategy which is watched.
    costs
        Of the sleeves; the fills of accounts take theirs from them.
    assets
        What the venue says of each symbol of the session.
    documents
        Strategies, and what becomes of the decisions of each.
    history_days, history_end
        Days of the lake before the session, and their last (ISO).
    policy_version
        Of the policy in force.
    also
        What else tells the session apart from others of its kind, such as the days of a replay.
    execution
        Carries out the plans of the session's account; none: modelled fills.
    pipeline
        Makes what decisions pass; none: everything passes.
    keeps_bars
        As in `Trader`.
    regime
        Says of which kind the market is at a close, for the decisions' records; empty where it is not known.
    models
        Keeps fitted models.
    runner
        Runs code that was made elsewhere.
    """

    mode: Mode
    profile: str
    market: str
    interval: Interval
    capital_usd: float
    costs: Costs
    assets: Mapping[str, TradedAsset]
    documents: Sequence[tuple[StrategyConfig, Role]]
    history_days: int
    history_end: str
    policy_version: str = ""
    also: str = ""
    execution: Execution | None = None
    pipeline: Callable[[], Pipeline] = Pipeline
    keeps_bars: bool = False
    regime: Callable[[int], str] = lambda close_ms: ""
    models: FittedModels = field(default_factory=FittedModels)
    runner: ExternalRunner = field(default_factory=NobodyRuns)

    @property
    def identity(self) -> str:
        """SHA-256 (hex) of what the session's orders are a function of, beside bars and documents.

        Sessions that follow a venue go on where slippage was measured again meanwhile.
        """
        costs = self.costs if self.mode == "replay" else self.costs.of_sleeves
        parts = [self.mode, self.profile, self.market, self.interval.name, self.capital_usd, costs.hash, self.also]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()

    @property
    def capital_micro(self) -> int:
        """The capital in whole micro-USD."""
        return round(self.capital_usd * 1e6)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the bars, sorted."""
        return tuple(sorted(self.assets))


def begin_session(
    ledger: TraderLedger,
    spec: SessionSpec,
    history: Panel,
    started_ms: int,
    also: Sequence[LedgerRecord] = (),
) -> Trader:
    """Begin a session at the close of its history's last bar, and make its first plan.

    Parameters
    ----------
    ledger, spec
        Where it is written down, and what it is.
    history
        Bars up to the close at which it begins, of all symbols.
    started_ms
        Wall clock.
    also
        Facts to be written down with it: the bars of its history that the lake does not hold.

    Raises
    ------
    InputError
        No strategy trades or can be asked, or one asks for bars that are not there.
    """
    if not any(role == "trades" for _, role in spec.documents):
        raise InputError("no strategy trades in this session", where=f"mode {spec.mode}", remedy=_nobody(spec.mode))
    number, close_ms = ledger.next_session(), int(history.times[-1]) + spec.interval.milliseconds
    session = LedgerSession(
        session=number,
        mode=spec.mode,
        account=f"{spec.mode}-{number}",
        profile=spec.profile,
        interval=spec.interval.name,
        market=spec.market,
        policy_version=spec.policy_version,
        documents={document.id: hashlib.sha256(document.to_json()).hexdigest() for document, _ in spec.documents},
        identity=spec.identity,
        started_ms=started_ms,
        first_close_ms=close_ms,
        history_days=spec.history_days,
        history_end=spec.history_end,
        history_hash=history.hash,
    )
    execution = spec.execution or ModelledExecution(FillModel.of(spec.costs))
    trader = _trader(ledger, spec, session, execution.open(session.account, rules_for(1), spec.capital_micro))
    records: list[LedgerRecord] = [session, *also]
    market = FollowedMarket(history)
    for document, role in spec.documents:
        followed = follow_document(
            document, role, spec.costs, market, since_ms=close_ms, models=spec.models, runner=spec.runner
        )
        records.append(trader.join(followed, f"its stage is {document.stage}"))
    if all(each.trouble for each in trader.main.strategies.values()):
        raise InputError(
            f"no strategy can trade: {'; '.join(each.trouble for each in trader.main.strategies.values())}",
            where=f"mode {spec.mode}",
        )
    for lane in trader.lanes.values():
        lane.account.risk = RiskState.seeded(daily_before(lane, history, spec.costs), lane.account.rules)
        paid_in = LedgerFlow(
            session=number,
            close_ms=close_ms,
            account=lane.account.account,
            kind="capital",
            symbol="",
            amount=lane.account.capital,
        )
        records.append(paid_in)
    last = history.n_bars - 1
    prices = {
        symbol: float(history.close[last, place])
        for place, symbol in enumerate(history.symbols)
        if history.valid[last, place]
    }
    trader.open(close_ms, prices, records)
    return trader


def resumable(ledger: TraderLedger, spec: SessionSpec) -> LedgerSession | None:
    """Return the session that such a spec goes on with; none where it begins a new one."""
    found = ledger.last_session(spec.identity)
    if found is None or ledger.state(trader_state(found.session)) is None:
        return None
    ends = ledger.read(LedgerSessionEnd, session=found.session)
    return None if any(end.reason == COMPLETE for end in ends) else found


def last_close(ledger: TraderLedger, session: LedgerSession) -> int:
    """Return the last close that a session has written down, UTC milliseconds."""
    state = ledger.state(trader_state(session.session))
    return session.first_close_ms if state is None else int(state["close_ms"])


def resume_session(ledger: TraderLedger, spec: SessionSpec, session: LedgerSession, known: Panel) -> Trader:
    """Take a session up at its last close.

    Parameters
    ----------
    ledger, spec, session
        Where it stands, what it is, and which.
    known
        All bars up to its last close: its history, and what it has traded since.

    Raises
    ------
    IntegrityError
        The bars do not reach to its last close, or are not those of its history.
    """
    state = ledger.state(trader_state(session.session))
    if state is None:
        raise IntegrityError("the session has no state", where=str(ledger.path), remedy="begin a new one")
    closes = known.times + spec.interval.milliseconds
    begin = int(np.searchsorted(closes, session.first_close_ms, side="right"))
    if int(closes[-1]) != state["close_ms"] or begin == 0 or known.window(0, begin).hash != session.history_hash:
        raise IntegrityError(
            f"session {session.session} ended at {format_ms(state['close_ms'])} after a history of its own; the bars "
            f"end at {format_ms(int(closes[-1]))}, or are not the same",
            where=f"market {session.market}",
            remedy=f"bring back the lake that it was begun with, or move {ledger.path} away to begin anew",
        )
    accounts = {name: _account(ledger, name) for name in state["lanes"]}
    rules = {name: account.rules for name, account in accounts.items()}  # who joins sets them anew
    trader = _trader(ledger, spec, session, accounts[session.account])
    markets: dict[int, FollowedMarket] = {}
    trading: list[tuple[int, FollowedStrategy]] = []
    for joined in _members(ledger.read(LedgerStrategy, session=session.session)):
        row = int(np.searchsorted(closes, joined.close_ms, side="right"))
        if joined.strategy.startswith(OUTSIDE):
            source = resumed_source(joined, ledger, spec.costs, known, row)
            if joined.strategy in state["leaving"]:
                source.is_leaving = True
                source.want_nothing()
            trader.join(source, joined.reason)
            continue
        document = StrategyConfig.from_json(joined.document.encode(), where=f"{ledger.path}, {joined.strategy}")
        first = known.n_bars if document.external is not None else row
        if first not in markets:
            markets[first] = FollowedMarket(known.window(0, first))
        followed = follow_document(
            document,
            joined.role,
            spec.costs,
            markets[first],
            since_ms=joined.close_ms,
            models=spec.models,
            runner=spec.runner,
        )
        followed.is_leaving = joined.strategy in state["leaving"]
        trader.join(followed, joined.reason)
        if isinstance(followed, FollowedStrategy):
            trading.append((first, followed))
    for place in range(min((first for first, _ in trading), default=known.n_bars), known.n_bars):
        bar = MarketRow.of(known, place)
        for first, strategy in trading:
            if place >= first:
                strategy.advance(bar, known.symbols)
    for name, lane in trader.lanes.items():
        lane.account = accounts[name]
        lane.account.rules = rules[name]
        lane.restore(state["lanes"][name])
    trader.last_close_ms = int(state["close_ms"])
    return trader


def follow_document(
    document: StrategyConfig,
    role: Role,
    costs: Costs,
    market: FollowedMarket,
    *,
    since_ms: int,
    models: FittedModels,
    runner: ExternalRunner,
) -> FollowedStrategy | FollowedCode:
    """Return the strategy of a document as it stands at the last bar of a market's history.

    Parameters
    ----------
    document, role, costs, market, since_ms, models, runner
        As for `FollowedStrategy` and `FollowedCode`.

    Raises
    ------
    InputError
        The bars lack a symbol of its universe, or are of another length.
    """
    if document.external is not None:  # what it wants now follows from all bars at once
        return FollowedCode(document, role, costs, market.history, runner=runner, since_ms=since_ms)
    return FollowedStrategy(document, role, costs, market, since_ms=since_ms, models=models)


def _trader(ledger: TraderLedger, spec: SessionSpec, session: LedgerSession, account: AccountBook) -> Trader:
    modelled = ModelledExecution(FillModel.of(spec.costs))

    def opens_lane(strategy: Followed) -> AccountLane:
        book = AccountBook.opened(
            f"{session.account}/{strategy.id}",
            rules_for(1),
            {name: spec.assets[name] for name in strategy.symbols},
            spec.capital_micro,
        )
        return AccountLane(session, "shadow", book, modelled, Pipeline(), spec.interval.milliseconds, spec.regime)

    main = AccountLane(
        session, "trades", account, spec.execution or modelled, spec.pipeline(), spec.interval.milliseconds, spec.regime
    )
    return Trader(
        ledger,
        session,
        spec.symbols,
        spec.interval,
        {session.account: main},
        opens_lane,
        spec.assets,
        keeps_bars=spec.keeps_bars,
    )


def _members(records: Sequence[LedgerStrategy]) -> list[LedgerStrategy]:
    # Who has joined and not left, in the order of joining.
    members: dict[str, LedgerStrategy] = {}
    for record in records:
        if record.joins:
            members[record.strategy] = record
        else:
            members.pop(record.strategy, None)
    return list(members.values())


def _account(ledger: TraderLedger, name: str) -> AccountBook:
    state = ledger.state(name)
    if state is None:
        raise IntegrityError(f"the account {name} has no state", where=str(ledger.path), remedy="begin anew")
    return AccountBook.from_dict(state)


def resumed_source(
    joined: LedgerStrategy, ledger: TraderLedger, costs: Costs, known: Panel, row: int
) -> OutsideStrategy:
    """Return a source as it stood at the last of some bars: what it was taken at its word for is in the ledger."""
    source = SignalSource.model_validate_json(joined.document)
    strategy = OutsideStrategy(source, costs, known.window(0, row), since_ms=joined.close_ms)
    taken: defaultdict[int, list[OutsideSignal]] = defaultdict(list)
    for record in ledger.read(LedgerOutsideSignal, session=joined.session, source=source.name, is_accepted=1):
        taken[record.close_ms].append(OutsideSignal.model_validate_json(orjson.dumps(record.signal)))
    for signal in taken[joined.close_ms]:
        strategy.take(signal)
    for place in range(row, known.n_bars):
        strategy.advance(MarketRow.of(known, place), known.symbols)
        for signal in taken[int(known.times[place]) + known.interval.milliseconds]:
            strategy.take(signal)
    return strategy


def virtual_of(
    strategies: Sequence[FollowedStrategy | FollowedCode],
    panel: Panel,
    costs: Costs,
    shares: Mapping[str, float],
    *,
    start: int = 0,
    stop: int | None = None,
) -> VirtualWindow:
    """Return what strategies hold virtually over rows of a panel, each on the symbols that it was bred on."""
    by_name = sorted(strategies, key=lambda strategy: strategy.id)
    last = panel.n_bars if stop is None else stop
    windows = [each.window(panel, costs, shares[each.id], start, last) for each in by_name]
    legs = [leg for window in windows for leg in window.legs]
    order = sorted(range(len(legs)), key=lambda place: (legs[place][2], legs[place][0], legs[place][1]))
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(window, name) for window in windows], axis=1)[:, order]
        for name in ("units", "stops", "targets")
    }
    return replace(
        windows[0],
        strategies=tuple(each.id for each in by_name),
        legs=tuple(legs[place] for place in order),
        returns=np.concatenate([window.returns for window in windows], axis=1),
        shares=np.concatenate([window.shares for window in windows], axis=1),
        restraints=np.minimum.reduce([window.restraints for window in windows]),
        stopless=frozenset[tuple[str, str]]().union(*(window.stopless for window in windows)),
        **columns,
    )


def documents_of(lane: AccountLane) -> list[FollowedStrategy | FollowedCode]:
    """Return the documents' strategies of a lane: what they hold follows from the bars alone."""
    return [each for each in lane.strategies.values() if isinstance(each, FollowedStrategy | FollowedCode)]


def daily_before(lane: AccountLane, history: Panel, costs: Costs) -> list[float]:
    """Return what a lane's virtual book would have returned on each UTC day of a history."""
    virtual = virtual_of(documents_of(lane), history, costs, lane.shares())
    days = history.times // MS_PER_DAY
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    daily: list[float] = (np.multiply.reduceat(1.0 + virtual.virtual_returns[1:], starts) - 1.0).tolist()
    return daily


def _nobody(mode: Mode) -> str:
    return {
        "replay": "name one: --strategy ID",
        "paper": "promote one with: quant-organism strategies move ID paper",
        "testnet": "promote one to testnet first",
        "mainnet": "promote one to canary or live first",
    }[mode]
