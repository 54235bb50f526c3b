"""What an account makes of a strategy: the days that its search saw, and those that it did not see."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import (
    SIZES_USD,
    AccountFigures,
    account_figures,
    capacity,
    committee_setting,
    smallest_equity,
)
from quant_organism.deployment.config import StrategyConfig
from quant_organism.market.lake import Lake
from quant_organism.market.manifest import rebuild_panel
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.splits import Splits
from quant_organism.market.tables import PanelTable
from quant_organism.strategies import Committee


@dataclass(frozen=True)
class ExecutedStrategy:
    """A strategy that has an account to itself.

    Parameters
    ----------
    unseen, in_sample
        Figures at the equity that was asked for, over the days that the search did not see and those that it saw.
    sizes
        Figures over the unseen days at the equities of `SIZES_USD`.
    min_equity_usd
        Least equity from which on the account follows one of 1,000,000 USD; none: at no size that was tried.
    capacity_usd
        Equity at which impact halves the return of the unseen days; none: they earned nothing; infinite: at none that
        was tried.
    virtual_hash, order_hash
        Digests H1 and H2 over the unseen days.
    """

    unseen: AccountFigures
    in_sample: AccountFigures
    sizes: tuple[AccountFigures, ...]
    min_equity_usd: float | None
    capacity_usd: float | None
    virtual_hash: str
    order_hash: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values: the figures of the unseen days on top, the others beneath."""
        whole = asdict(self)
        return {**whole.pop("unseen"), **whole}


def execute_strategy(
    committee: Committee,
    panel: Panel,
    splits: Splits,
    costs: Costs,
    equity_usd: float,
    evaluator: Evaluator | None = None,
) -> ExecutedStrategy:
    """Give a strategy an account of its own, once over the in-sample days and once over the unseen ones.

    The unseen days begin flat, with a risk scale that the days before them have set; those before them begin without.

    Parameters
    ----------
    committee
        The strategy.
    panel, splits
        The panel that it was judged on, whose unseen days have been opened.
    costs
        Of the sleeves; the account's fills take theirs from them.
    equity_usd
        Of the account, at the start of each.
    evaluator
        Keeps indicators from call to call.
    """
    seen = splits.in_sample
    before = committee_setting(committee, panel, costs, start=seen.start, stop=seen.stop, evaluator=evaluator).run(
        equity_usd
    )
    span = splits.unseen
    setting = committee_setting(
        committee,
        panel,
        costs,
        start=span.start,
        stop=span.stop,
        daily_before=before.virtual_daily_returns.tolist(),
        evaluator=evaluator,
    )
    run = setting.run(equity_usd)
    return ExecutedStrategy(
        unseen=account_figures(run),
        in_sample=account_figures(before),
        sizes=tuple(account_figures(setting.run(size)) for size in SIZES_USD),
        min_equity_usd=smallest_equity(setting),
        capacity_usd=capacity(setting, panel, start=span.start, stop=span.stop),
        virtual_hash=run.account.h1,
        order_hash=run.account.h2,
    )


def birth_panel(document: StrategyConfig, lake: Lake) -> Panel:
    """Return the panel that a strategy was bred and judged on.

    Raises
    ------
    IntegrityError
        The lake does not hold it any more, or its content has changed.
    """
    born, interval = document.provenance, Interval.parse(document.interval)
    day = date.fromisoformat(born.date)
    manifest = lake.table(PanelTable, cycle=born.cycle).read_day(day, market=born.market, interval=interval.name)
    return rebuild_panel(manifest, lake, market=born.market, interval=interval, day=day)
