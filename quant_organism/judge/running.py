"""Code of documents at work: what a judged strategy wants on a panel, asked of it behind the same walls as before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from quant_organism.backtest import Costs
from quant_organism.backtest.account import LegKey, LegLevels, VirtualWindow
from quant_organism.deployment import ExternalStrategy, StrategyRepository
from quant_organism.errors import InputError, QuantOrganismError, StorageError
from quant_organism.judge.positions import MEMBER, follow
from quant_organism.judge.sandbox import (
    ClosedAtEnd,
    Floats,
    SandboxLimits,
    StrategyProcess,
    StrategySource,
    stored_panel,
)
from quant_organism.judge.trade_rules import TradeRules
from quant_organism.market import Panel

CLOSE_SECONDS: Final = 20.0
"""Longest that a trader waits for an answer at a close, however long the judge has waited."""


@dataclass(frozen=True, eq=False)
class SandboxAnswer:
    """What code answered on a panel, as an account follows it.

    Parameters
    ----------
    strategy
        Whose answer.
    answer
        Targets, or signals of a freqtrade file, float64 (T, N).
    panel, costs
        On what, and the costs of its virtual book.
    """

    strategy: ExternalStrategy
    answer: Floats
    panel: Panel
    costs: Costs

    @cached_property
    def window(self) -> VirtualWindow:
        """Its virtual positions over the whole panel, flat before its first bar; nothing is held against them."""
        rules = rules_of(self.strategy)
        wanted = self.answer if rules is None else rules.trades(self.answer, self.panel, self.costs)
        return follow(wanted, self.panel, self.costs, strategy=self.strategy.id)

    def levels(self, opens: Mapping[str, float]) -> dict[LegKey, LegLevels]:
        """Return where it leaves within the bar after the panel's last, which has opened at these prices, USD."""
        rules = rules_of(self.strategy)
        known = sorted(symbol for symbol in opens if symbol in self.panel.symbols)
        if rules is None:
            levels = {symbol: LegLevels(float("nan"), float("nan")) for symbol in known}
        else:
            levels = {
                symbol: LegLevels(*rules.next_levels(self.answer, self.panel, self.costs, symbol, opens[symbol]))
                for symbol in known
            }
        return {(self.strategy.id, MEMBER, symbol): each for symbol, each in levels.items()}


class SandboxRunner(ClosedAtEnd):
    """Runs the kept code of documents, each in a process of its own that stays; use it with `with`.

    At every question the kept source is hashed again; who failed is ended, and begun anew by the next question.

    Parameters
    ----------
    repository
        Keeps the sources.
    most_seconds
        Longest wait for an answer; none: as long as when it was judged.
    """

    def __init__(self, repository: StrategyRepository, *, most_seconds: float | None = None) -> None:
        self._repository, self._most_seconds = repository, most_seconds
        self._processes: dict[str, StrategyProcess] = {}

    def ask(self, strategy: ExternalStrategy, panel: Panel, costs: Costs) -> SandboxAnswer:
        """Return what code wants on a panel.

        Parameters
        ----------
        strategy, panel, costs
            As for `ExternalRunner`.

        Raises
        ------
        InputError, IntegrityError
            The kept source is not what was judged, or it failed, took too long or was ended: which, and where.
        StorageError
            No process could be started.
        """
        answer = self.answered(strategy, stored_panel(panel), (panel.n_bars, panel.n_assets))
        return SandboxAnswer(strategy, answer, panel, costs)

    def answered(self, strategy: ExternalStrategy, panel: bytes, shape: tuple[int, int]) -> Floats:
        """Return what code answers on a panel as `stored_panel` returns it, float64 of its shape (bars, assets).

        Raises
        ------
        InputError, IntegrityError, StorageError
            As `ask`.
        """
        try:
            self._repository.read_source(strategy.source)
            process = self._process(strategy)
            process.show_stored(panel, shape)
            return process.answer(strategy.parameters)
        except QuantOrganismError as error:
            self._end(strategy.id)
            raise type(error)(error.what, where=f"{strategy.id}, {error.where}", remedy=error.remedy) from None
        except OSError as error:
            self._end(strategy.id)
            raise StorageError(f"its process cannot be run: {error.strerror}", where=strategy.id) from error

    def close(self) -> None:
        """End all processes."""
        for id in list(self._processes):
            self._end(id)

    def _process(self, strategy: ExternalStrategy) -> StrategyProcess:
        if strategy.id not in self._processes:
            process = self._processes[strategy.id] = StrategyProcess(self._source(strategy))
            declared = TradeRules.of(process.declared, where=strategy.id) if strategy.form == "freqtrade" else None
            if process.source_hash != strategy.source or declared != rules_of(strategy):
                raise InputError(
                    "it declares other rules than when it was judged",
                    where=str(self._repository.source_path(strategy.source)),
                    remedy="judge it anew: rules that change by themselves are not those that held",
                )
        return self._processes[strategy.id]

    def _source(self, strategy: ExternalStrategy) -> StrategySource:
        seconds = strategy.seconds if self._most_seconds is None else min(strategy.seconds, self._most_seconds)
        return StrategySource(
            path=self._repository.source_path(strategy.source),
            function=strategy.function,
            form=strategy.form,
            limits=SandboxLimits(seconds=seconds, memory_mb=strategy.memory_mb),
            trusted=strategy.trusted,
        )

    def _end(self, id: str) -> None:
        process = self._processes.pop(id, None)
        if process is not None:
            process.close()


def rules_of(strategy: ExternalStrategy) -> TradeRules | None:
    """Return the rules that a freqtrade file had declared when it was judged; none of a callable."""
    if strategy.form == "callable":
        return None
    return TradeRules.of(dict(strategy.rules), where=strategy.id)
