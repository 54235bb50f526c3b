"""Code that was made elsewhere: who runs it, and what an account makes of what it wants.

Nothing here runs the code: whoever stands above this room hands in a runner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import (
    AccountRun,
    AccountSetting,
    LegKey,
    LegLevels,
    VirtualWindow,
    committee_run,
    window_restraints,
)
from quant_organism.deployment.records import ExternalStrategy
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.strategies import Committee


class ExternalAnswer(Protocol):
    """What code wants on a panel, as an account follows it."""

    @property
    def window(self) -> VirtualWindow:
        """Its virtual positions over the whole panel, flat before its first bar; nothing is held against them."""
        ...

    def levels(self, opens: Mapping[str, float]) -> dict[LegKey, LegLevels]:
        """Return where it leaves within the bar after the panel's last, which has opened at these prices, USD."""
        ...


class ExternalRunner(Protocol):
    """Runs the code of documents, shut in."""

    def ask(self, strategy: ExternalStrategy, panel: Panel, costs: Costs) -> ExternalAnswer:
        """Return what code wants on a panel.

        Parameters
        ----------
        strategy
            Whose code.
        panel
            Its universe, up to the close at which it is asked.
        costs
            Of its virtual book.

        Raises
        ------
        InputError, IntegrityError
            The kept source is not what was judged, or it failed, took too long or was ended: which, and where.
        """
        ...


class NobodyRuns:
    """Stands where no runner was handed in: refuses by name."""

    def ask(self, strategy: ExternalStrategy, panel: Panel, costs: Costs) -> ExternalAnswer:
        """Refuse."""
        raise InputError(
            "it was made elsewhere, and nothing here runs code",
            where=strategy.id,
            remedy="where orders are sent, name the server of code with --code-socket (docs/judge.md)",
        )


def account_run(
    strategy: Committee | VirtualWindow,
    panel: Panel,
    costs: Costs,
    equity_usd: float,
    *,
    start: int = 0,
    stop: int | None = None,
    after: AccountRun | None = None,
    evaluator: Evaluator | None = None,
) -> AccountRun:
    """Take an account that trades one strategy alone over the days of a window, as `committee_run` does.

    Parameters
    ----------
    strategy
        A committee, or what code wants on the whole panel.
    panel, costs, equity_usd, start, stop, after, evaluator
        As for `committee_run`.
    """
    if isinstance(strategy, Committee):
        return committee_run(
            strategy, panel, costs, equity_usd, start=start, stop=stop, after=after, evaluator=evaluator
        )
    last = panel.n_bars if stop is None else stop
    before = () if after is None else after.virtual_daily_returns.tolist()
    window = restrained(strategy, panel, start, last)
    return AccountSetting.of(window, panel, costs, start=start, stop=last, daily_before=before).run(equity_usd)


def restrained(whole: VirtualWindow, panel: Panel, start: int, stop: int) -> VirtualWindow:
    """Return rows `start` to `stop` of what is wanted on a whole panel, with what holds an account back there."""
    return replace(whole.part(start, stop), restraints=window_restraints(panel, start, stop))
