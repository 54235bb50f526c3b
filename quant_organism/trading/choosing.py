"""Which documents a session trades, which it watches, and how it follows the folder of documents while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from quant_organism.backtest import Costs
from quant_organism.backtest.account import RiskState
from quant_organism.deployment import (
    DocumentSignatures,
    ExternalRunner,
    NobodyRuns,
    StrategyConfig,
    StrategyRepository,
)
from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.market.panel import Panel
from quant_organism.strategies import FittedModels
from quant_organism.trading.following import Followed, FollowedMarket
from quant_organism.trading.outside import OUTSIDE
from quant_organism.trading.profiles import SessionProfile
from quant_organism.trading.records import LedgerRecord, Mode, Role
from quant_organism.trading.runtime import Trader
from quant_organism.trading.starting import daily_before, follow_document

TRADED: Final[Mapping[Mode, tuple[str, ...]]] = {
    "replay": ("paper", "testnet", "canary", "live"),
    "paper": ("paper",),
    "testnet": ("testnet",),
    "mainnet": ("canary", "live"),
}
"""Stages whose decisions become orders, by mode."""

WATCHED: Final = ("shadow", "decaying")
"""Stages that are watched in every mode: decided and booked virtually, never sent."""


SENDING: Final[frozenset[Mode]] = frozenset({"testnet", "mainnet"})
"""Modes whose orders are sent."""


def unsigned_documents(
    documents: Sequence[StrategyConfig], mode: Mode, signatures: DocumentSignatures | None
) -> dict[str, str]:
    """Return why documents that a mode would trade may not send orders, by their ids; none where nobody asks."""
    if signatures is None or mode not in SENDING:
        return {}
    refused = {each.id: signatures.refusal(each) for each in documents if each.stage in TRADED[mode]}
    return {id: why for id, why in refused.items() if why}


def chosen_documents(
    documents: Sequence[StrategyConfig],
    profile: SessionProfile,
    mode: Mode,
    *,
    runs_code: bool = True,
    signatures: DocumentSignatures | None = None,
) -> list[tuple[StrategyConfig, Role]]:
    """Return the documents of a session and what becomes of the decisions of each, best first.

    All are of one interval, that of the best which trades; of those that trade there are no more than the profile
    takes, of those that are watched no more than its pool factor says. Where orders are sent, code that was judged
    without walls is not run, not even to be watched.

    Parameters
    ----------
    documents
        Of any stage, best first.
    profile, mode
        Of the session.
    runs_code
        Whether somebody runs code that was made elsewhere; where nobody does none of it is watched, and what should
        trade fails by name.
    signatures
        Without which nobody sends orders; none: nobody asks for any.

    Raises
    ------
    InputError
        None of them trades in this mode, or none on bars of this profile, or none is signed that must be.
    """
    if mode in SENDING:
        documents = [document for document in documents if document.may_send]
    unsigned = unsigned_documents(documents, mode, signatures)
    traded = [document for document in documents if document.stage in TRADED[mode] and document.id not in unsigned]
    if unsigned and not traded:
        raise InputError(
            f"nobody stands for what would trade: {'; '.join(unsigned.values())}",
            where="setting signing.public_key",
            remedy="look at them, then sign with: quant-organism strategies sign",
        )
    if not traded:
        stages = " or ".join(TRADED[mode])
        raise InputError(
            f"no strategy is in stage {stages}, which mode {mode} trades",
            remedy="see the stages with: quant-organism strategies list; or try: quant-organism trade --demo",
        )
    fitting = [document for document in traded if document.interval in profile.intervals]
    if not fitting:
        found = ", ".join(sorted({document.interval for document in traded}))
        raise InputError(
            f"the strategies that would trade decide on bars of {found}, profile {profile.name} takes "
            f"{', '.join(profile.intervals)}",
            where="option --session",
            remedy="choose the profile of their bars",
        )
    interval = fitting[0].interval
    trades = [document for document in fitting if document.interval == interval][: profile.strategies]
    known = [each for each in documents if runs_code or each.external is None]
    watched = [each for each in known if each.stage in WATCHED and each.interval == interval][: profile.watched]
    roles: list[tuple[StrategyConfig, Role]] = [(document, "trades") for document in trades]
    return [*roles, *((document, "shadow") for document in watched)]


class DocumentWatcher:
    """Follows the folder of documents: who is new joins at a close, who is gone leaves once it is flat.

    Parameters
    ----------
    repository, profile, mode
        Whose documents are chosen, and how.
    costs, models
        Of the sleeves of those who join.
    bars_until
        Returns all bars of the session up to a close.
    runner
        Runs code that was made elsewhere; none: nobody does.
    signatures
        As of `chosen_documents`.
    """

    def __init__(
        self,
        repository: StrategyRepository,
        profile: SessionProfile,
        mode: Mode,
        costs: Costs,
        models: FittedModels,
        bars_until: Callable[[int], Panel],
        runner: ExternalRunner | None = None,
        signatures: DocumentSignatures | None = None,
    ) -> None:
        self._signatures = signatures
        self._repository, self._profile, self._mode = repository, profile, mode
        self._costs, self._models, self._bars_until = costs, models, bars_until
        self._runner, self._runs_code = runner or NobodyRuns(), runner is not None
        self._seen: tuple[tuple[str, int], ...] | None = None

    def __call__(self, close_ms: int, trader: Trader) -> list[LedgerRecord]:
        """Bring a trader's strategies in line with the folder; return what is to be written down of it."""
        records: list[LedgerRecord] = []
        for id, strategy in _documents(trader).items():
            if strategy.is_leaving and not strategy.units:
                why = "it has failed" if strategy.trouble else "its document is no longer followed"
                records.append(trader.leave(id, f"{why}, and it is flat"))
        seen = _fingerprint(self._repository.root)
        if seen == self._seen:
            return records
        self._seen = seen
        documents = self._repository.load_all().documents
        for id, why in unsigned_documents(documents, self._mode, self._signatures).items():
            trader.note("documents", f"it sends nothing: {why}", level="warning")
            if id in trader.main.strategies:
                trader.main.strategies[id].is_leaving = True
        try:
            chosen = chosen_documents(
                documents, self._profile, self._mode, runs_code=self._runs_code, signatures=self._signatures
            )
        except QuantOrganismError as error:
            trader.note("documents", f"nobody joins or leaves: {error.what}", level="warning")
            return records
        wanted = {document.id: (document, role) for document, role in chosen}
        for id, strategy in _documents(trader).items():
            was, strategy.is_leaving = strategy.is_leaving, wanted.get(id, (None, ""))[1] != strategy.role
            if strategy.is_leaving and not was:
                trader.note("leaving", f"{id} makes no entries any more, and leaves once it is flat")
        newcomers = [found for id, found in wanted.items() if id not in trader.strategies]
        if newcomers:
            market = FollowedMarket(self._bars_until(close_ms))
            for document, role in newcomers:
                records += self._joined(trader, document, role, close_ms, market)
        return records

    def _joined(
        self, trader: Trader, document: StrategyConfig, role: Role, close_ms: int, market: FollowedMarket
    ) -> list[LedgerRecord]:
        try:
            strategy = follow_document(
                document, role, self._costs, market, since_ms=close_ms, models=self._models, runner=self._runner
            )
        except InputError as error:
            trader.note("documents", f"{document.id} cannot join: {error.what}", level="warning")
            return []
        if strategy.trouble:
            trader.note("documents", f"{document.id} cannot join: {strategy.trouble}", level="error")
            return []
        joined = trader.join(strategy, f"its document has come, in stage {document.stage}")
        if role == "shadow":  # an account of its own, which knows its risk scale from the first close
            lane = trader.lane_of(strategy.id)
            lane.account.risk = RiskState.seeded(daily_before(lane, market.history, self._costs), lane.account.rules)
        return [joined]


def _documents(trader: Trader) -> dict[str, Followed]:
    return {name: strategy for name, strategy in trader.strategies.items() if not name.startswith(OUTSIDE)}


def _fingerprint(root: Path) -> tuple[tuple[str, int], ...]:
    # What documents and their signatures look like without reading them.
    paths = [*root.glob("active/[!.]*.json"), *root.glob("signatures/[!.]*.sig")]
    return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in paths))
