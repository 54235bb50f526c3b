"""From a data folder to a session that can begin: documents, days of the lake, assets, ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from quant_organism.backtest.account import TradedAsset, measured_costs
from quant_organism.deployment import (
    DocumentSignatures,
    ExternalRunner,
    NobodyRuns,
    StrategyConfig,
    StrategyRepository,
    promised_sharpe,
)
from quant_organism.errors import InputError
from quant_organism.market import CandleTable, Interval, Lake, SentimentTable, StoredRegimes
from quant_organism.market.ingest import ingest
from quant_organism.market.panel import Panel, build_panel
from quant_organism.market.sentiment import align_sentiment
from quant_organism.trading.choosing import DocumentWatcher, chosen_documents
from quant_organism.trading.guard import Governor, Readings, RiskGuard, bar_readings
from quant_organism.trading.kill import flag_raised, kill_file, raise_flag
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.lines import LineKeeper, lines_file
from quant_organism.trading.live_bars import FeedInstruments, Settlements, extended
from quant_organism.trading.outside import OUTSIDE, SourceStore
from quant_organism.trading.outside_watch import SignalWatcher
from quant_organism.trading.paper import LiveSession, TraderClock
from quant_organism.trading.pipeline import CloseStanding, Pipeline
from quant_organism.trading.policy_step import PolicyStep
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.portfolio_step import PortfolioStep
from quant_organism.trading.profiles import SessionProfile
from quant_organism.trading.promises import DocumentPromises
from quant_organism.trading.records import (
    LedgerBar,
    LedgerOutsideSignal,
    LedgerRecord,
    LedgerSession,
    LedgerStrategy,
    Mode,
    Role,
)
from quant_organism.trading.releases import ReleaseWatcher, releases_folder
from quant_organism.trading.replaying import panel_assets
from quant_organism.trading.runtime import Trader, Watcher
from quant_organism.trading.sending import VenueAccount
from quant_organism.trading.starting import SessionSpec, resumable
from quant_organism.venue import AskInfo, Feed, HyperliquidSource, market_name
from quant_organism.venue.client.listings import load_listings
from quant_organism.venue.protocol import MICRO_USD

LEAST_HISTORY_DAYS: Final = 35
"""Days before a session that it takes to know the risk of a virtual book, with some to warm indicators up."""

REPLAYED_DAYS: Final = 90


@dataclass(frozen=True, kw_only=True)
class PreparedReplay:
    """A replay that can begin: its spec, and a panel whose rows from `start` on are traded."""

    spec: SessionSpec
    panel: Panel
    start: int


def prepare_replay(
    data_dir: Path,
    profile: SessionProfile,
    capital_usd: float,
    *,
    strategies: Sequence[str] = (),
    first: date | None = None,
    last: date | None = None,
    is_plain: bool = False,
    runner: ExternalRunner | None = None,
) -> PreparedReplay:
    """Return a replay of documents over days of the lake.

    Parameters
    ----------
    data_dir
        Folder of documents and lake.
    profile, capital_usd
        Of the session.
    strategies
        Identities of who trades, whatever the stage; none: as the stages say.
    first, last
        Days that are traded; by default the last 90 of the lake.
    is_plain
        Whether the account's rules stand alone, as in the backtest of a candidate, so that the orders are its orders;
        otherwise decisions pass policy, risk guard and portfolio as on paper.
    runner
        Runs code that was made elsewhere.

    Raises
    ------
    InputError
        No such strategies or days, or strategies of different markets or bars.
    """
    repository, lake = StrategyRepository(data_dir / "strategies"), Lake(data_dir / "lake")
    documents: list[tuple[StrategyConfig, Role]] = [(repository.load(id), "trades") for id in dict.fromkeys(strategies)]
    if not documents:
        documents = chosen_documents(repository.load_all().documents, profile, "replay")
    market, interval = documents[0][0].provenance.market, Interval.parse(documents[0][0].interval)
    for document, _ in documents:
        if (document.provenance.market, document.interval) != (market, interval.name):
            raise InputError(
                f"it trades {document.interval} bars of {document.provenance.market}, {documents[0][0].id} trades "
                f"{interval} bars of {market}",
                where=document.id,
                remedy="replay them one by one: --strategy ID",
            )
    costs = measured_costs(lake, market, capital_usd)
    days = lake.table(CandleTable).days(market=market, interval=interval.name)
    if not days:
        raise InputError(f"the lake holds no {interval} bars of {market}", remedy="import them, or run a cycle first")
    earliest, end = days[0] + timedelta(days=LEAST_HISTORY_DAYS), last or days[-1]
    begin = first or max(end - timedelta(days=REPLAYED_DAYS - 1), earliest)
    if not earliest <= begin <= end <= days[-1]:
        raise InputError(
            f"no replay from {begin} to {end}",
            where=f"market {market} at {interval}",
            remedy=f"choose days from {earliest} to {days[-1]}; {LEAST_HISTORY_DAYS} days of history come before",
        )
    history = min((begin - days[0]).days, profile.history_days)
    symbols = sorted({symbol for document, _ in documents for symbol in document.universe})
    panel = build_panel(lake, market, interval, end, (end - begin).days + 1 + history, symbols)
    start = history * interval.bars_per_day
    named = {document.id: document for document, _ in documents}
    policies = FilePolicyStore(policy_folder(data_dir))
    policy = None if is_plain else policies.current()
    if policy is not None:  # the ranks in force know days that a replay has still before it
        policy = policy.model_copy(update={"policy": policy.policy.unranked()})
    mood = {
        int(time) + interval.milliseconds: float(index)
        for time, index in zip(panel.times, panel.fear_greed, strict=True)
    }

    def pipeline() -> Pipeline:
        promises = DocumentPromises(
            named.__getitem__, partial(promised_sharpe, lake), lambda: panel.window(0, start), costs, runner
        )
        guard = RiskGuard(bar_readings(lambda close_ms: _finite(mood[close_ms])))
        return Pipeline([PolicyStep(lambda: policy, profile.name), guard, PortfolioStep(promises)])

    spec = SessionSpec(
        mode="replay",
        profile=profile.name,
        market=market,
        interval=interval,
        capital_usd=capital_usd,
        costs=costs,
        assets=panel_assets(panel, start, costs),
        documents=documents,
        history_days=history,
        history_end=(begin - timedelta(days=1)).isoformat(),
        policy_version="" if policy is None else str(policy.number),
        also=" ".join(
            [
                begin.isoformat(),
                end.isoformat(),
                *(f"{each.id}:{role}" for each, role in documents),
                "plain" if is_plain else f"policy {0 if policy is None else policy.number}",
            ]
        ),
        pipeline=Pipeline if is_plain else pipeline,
        regime=StoredRegimes(lake, market, interval),
        runner=runner or NobodyRuns(),
    )
    return PreparedReplay(spec=spec, panel=panel, start=start)


def prepare_live(
    data_dir: Path,
    profile: SessionProfile,
    capital_usd: float,
    ledger: TraderLedger,
    *,
    base_url: str,
    ask: AskInfo,
    feed: Callable[[Interval, Sequence[str], int], Feed],
    clock: TraderClock,
    documents: Sequence[tuple[StrategyConfig, Role]] | None = None,
    patience_s: float = 6.0,
    mode: Mode = "paper",
    account: VenueAccount | None = None,
    is_real_time: bool = True,
    runner: ExternalRunner | None = None,
    signatures: DocumentSignatures | None = None,
) -> tuple[LiveSession, Watcher | None]:
    """Return a session on a venue's live bars, and who follows documents, signals and a person's words while it runs.

    Whole days that the lake lacks are taken from the venue first.

    Parameters
    ----------
    data_dir, profile, capital_usd, ledger
        As for a replay, and where it is written down.
    base_url, ask
        The venue, and how its /info is asked.
    feed
        Makes a feed of bars of an interval and coins that open at a time or later.
    clock
        This machine's.
    documents
        Who trades; none: as the stages say, and followed while it runs.
    patience_s
        As in `BarCollector`.
    mode
        What becomes of orders.
    account
        Where they are sent; none: on paper, fills are modelled.
    is_real_time
        Whether an hour of the venue takes an hour; where it does not, neither the age of bars nor clocks nor a line
        that is lost for a second say anything.
    runner
        Runs code that was made elsewhere.
    signatures
        Without which no document sends orders; none: nobody asks for any.

    Raises
    ------
    InputError
        No strategy trades, or the venue lacks a symbol or days.
    VenueError
        The venue cannot be reached or read.
    """
    lake = Lake(data_dir / "lake")
    repository = StrategyRepository(data_dir / "strategies")
    chosen = documents or chosen_documents(
        repository.load_all().documents, profile, mode, runs_code=runner is not None, signatures=signatures
    )
    interval = Interval.parse(chosen[0][0].interval)
    market = market_name(base_url)
    costs = measured_costs(lake, market, capital_usd)
    symbols = sorted({symbol for document, _ in chosen for symbol in document.universe})
    source = HyperliquidSource(ask, base_url=base_url, market=market, kept=data_dir / "venue")
    first, end = source.span(interval)
    policies = FilePolicyStore(policy_folder(data_dir))
    policy = policies.current()

    named = {document.id: document for document, _ in chosen}
    promises = DocumentPromises(
        lambda id: named[id] if id in named else repository.load(id),
        partial(promised_sharpe, lake),
        lambda: history,
        costs,
        runner,
    )

    def index_at(close_ms: int) -> float | None:
        return _index_at(lake, market, close_ms, interval)

    instruments, of_bars = FeedInstruments(clock.wall_ms), bar_readings(index_at)
    figures = {"market": instruments.figures} | ({} if account is None else {"account": account.follower.figures})

    def readings(standing: CloseStanding, /) -> Readings:
        read = of_bars(standing)
        if not is_real_time:
            return replace(read, data_age_bars=None)
        return replace(read, clock_skew_s=instruments.skew_s(), silent_lines=instruments.silent_lines())

    spec = SessionSpec(
        mode=mode,
        profile=profile.name,
        market=market,
        interval=interval,
        capital_usd=capital_usd,
        costs=costs,
        assets=_listed_assets(base_url, ask, symbols),
        documents=chosen,
        history_days=min((end - first).days + 1, profile.history_days),
        history_end=end.isoformat(),
        policy_version="" if policy is None else str(policy.number),
        pipeline=lambda: Pipeline(
            [
                PolicyStep(policies.current, profile.name),
                RiskGuard(readings if account is None else account.readings(interval, index_at)),
                PortfolioStep(promises),
                Governor(
                    lambda: flag_raised(kill_file(data_dir)),
                    None if account is None else partial(raise_flag, kill_file(data_dir)),
                ),
            ]
        ),
        keeps_bars=True,
        regime=StoredRegimes(lake, market, interval),
        execution=None if account is None else account.execution,
        runner=runner or NobodyRuns(),
    )
    begun = resumable(ledger, spec)
    if begun is not None:
        spec = _as_begun(spec, begun, ledger, base_url, ask)
        symbols = list(spec.symbols)
    else:
        ingest(source, lake, interval, end - timedelta(days=spec.history_days - 1), end, symbols)
    days = spec.history_days
    history = build_panel(lake, market, interval, date.fromisoformat(spec.history_end), days, symbols)
    session = LiveSession(
        ledger=ledger,
        spec=spec,
        history=history,
        feed=lambda begin_ms: feed(interval, symbols, begin_ms),
        settlements=lambda begin_ms: Settlements(ask, symbols, begin_ms),
        now_ms=_venue_time(ask),
        clock=clock,
        patience_s=patience_s,
        fear_greed=index_at,
        instruments=instruments,
        lines=LineKeeper(lines_file(data_dir), figures, clock.wall_ms, is_real_time=is_real_time),
        **({} if account is None else {"beat": account.beat}),
    )
    if documents is not None:
        return session, None

    def bars_until(close_ms: int) -> Panel:
        number = ledger.next_session() - 1
        return extended(history, ledger.read(LedgerBar, session=number), close_ms)

    documents_come = DocumentWatcher(repository, profile, mode, costs, spec.models, bars_until, runner, signatures)
    signals_come = SignalWatcher(SourceStore.of(data_dir), costs, bars_until, ledger.read(LedgerOutsideSignal))
    words_come = ReleaseWatcher(releases_folder(data_dir))

    def watch(close_ms: int, trader: Trader) -> list[LedgerRecord]:
        words_come(trader)
        return [*documents_come(close_ms, trader), *signals_come(close_ms, trader)]

    return session, watch


def _as_begun(
    spec: SessionSpec, begun: LedgerSession, ledger: TraderLedger, base_url: str, ask: AskInfo
) -> SessionSpec:
    # A session that goes on keeps the symbols and the history that it began with.
    joined = ledger.read(LedgerStrategy, session=begun.session)
    universes = (
        StrategyConfig.from_json(each.document.encode(), where=each.strategy).universe
        for each in joined
        if not each.strategy.startswith(OUTSIDE)
    )
    symbols = sorted({symbol for universe in universes for symbol in universe})
    return replace(
        spec,
        assets=_listed_assets(base_url, ask, symbols),
        history_days=begun.history_days,
        history_end=begun.history_end,
    )


def _listed_assets(base_url: str, ask: AskInfo, symbols: Sequence[str]) -> dict[str, TradedAsset]:
    listings = load_listings(base_url, ask)
    found = {symbol: listings.find(symbol) for symbol in symbols}
    return {
        symbol: TradedAsset(
            listed.sz_decimals, tuple((tier.lower_micro_usd / MICRO_USD, tier.max_leverage) for tier in listed.tiers)
        )
        for symbol, listed in found.items()
    }


def _venue_time(ask: AskInfo) -> int:
    status = ask({"type": "exchangeStatus"})
    if not isinstance(status, dict) or not isinstance(status.get("time"), int):
        raise InputError(f"the venue's status {status} has no time", remedy="ask again later")
    return int(status["time"])


def _index_at(lake: Lake, market: str, close_ms: int, interval: Interval) -> float | None:
    table = lake.table(SentimentTable)
    days = table.days(market=market)[-4:]
    if not days:
        return None
    frame = table.read(market=market, start=days[0], end=days[-1])
    value = float(align_sentiment(frame, np.array([close_ms - interval.milliseconds]), interval)[0])
    return _finite(value)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
