"""What strategies promise a portfolio: their validated Sharpe ratio, and what they did in the history of a session."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.backtest.account import virtual_window
from quant_organism.deployment import ExternalRunner, NobodyRuns, StrategyConfig
from quant_organism.errors import QuantOrganismError
from quant_organism.market import MS_PER_DAY
from quant_organism.market.panel import Panel
from quant_organism.trading.following import panel_of
from quant_organism.trading.portfolio import LEAST_DAYS
from quant_organism.trading.portfolio_step import StrategyPromise


class DocumentPromises:
    """Promises of documents, each worked out when it is first asked for.

    Parameters
    ----------
    document
        Of a strategy.
    sharpe
        Annual Sharpe ratio that a document promises.
    history
        The bars before the session.
    costs
        Of the sleeves.
    runner
        Runs code that was made elsewhere.
    """

    def __init__(
        self,
        document: Callable[[str], StrategyConfig],
        sharpe: Callable[[StrategyConfig], float],
        history: Callable[[], Panel],
        costs: Costs,
        runner: ExternalRunner | None = None,
    ) -> None:
        self._document, self._sharpe, self._history, self._costs = document, sharpe, history, costs
        self._runner = runner or NobodyRuns()
        self._known: dict[str, StrategyPromise | None] = {}

    def __call__(self, strategy: str) -> StrategyPromise | None:
        """Return what a strategy promises; none where its history has too few days, or its code failed.

        Raises
        ------
        InputError
            There is no document of it, or no bars of its symbols.
        """
        if strategy not in self._known:
            self._known[strategy] = self._of(self._document(strategy))
        return self._known[strategy]

    def _of(self, document: StrategyConfig) -> StrategyPromise | None:
        panel = panel_of(self._history(), document.universe)
        if document.external is None:
            window = virtual_window({document.id: document.committee}, panel, self._costs)
        else:
            try:
                window = self._runner.ask(document.external, panel, self._costs).window
            except QuantOrganismError:  # whoever follows it says so, and it wants nothing
                return None
        days = panel.times // MS_PER_DAY
        starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
        if starts.size < LEAST_DAYS:
            return None
        daily = np.multiply.reduceat(1.0 + window.returns[1:, 0], starts) - 1.0
        return StrategyPromise(self._sharpe(document), dict(zip(days[starts].tolist(), daily.tolist(), strict=True)))
