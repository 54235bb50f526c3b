"""What an account makes of a strategy: the days that its search saw, and those that it did not see."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Final

import orjson
import polars as pl

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import (
    LARGEST_USD,
    LEAST_TRIED_USD,
    REFERENCE_USD,
    SIZES_USD,
    AccountFigures,
    VirtualWindow,
    account_figures,
    capacity,
    slippage_sentence,
    smallest_equity,
)
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.external import account_run
from quant_organism.deployment.records import AccountAtBirth
from quant_organism.deployment.tables import AccountTable
from quant_organism.evolution.tables import CycleTable
from quant_organism.market.lake import Lake
from quant_organism.market.lines import has_unseen, line_of, promised, splits_of
from quant_organism.market.manifest import rebuild_panel
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.splits import Splits
from quant_organism.market.tables import PanelTable
from quant_organism.strategies import Committee

_OF_STRATEGY: Final = (
    "min_equity_usd",
    "capacity_usd",
    "capacity_above_usd",
    "virtual_hash",
    "order_hash",
    "slippage_said",
)


@dataclass(frozen=True)
class ExecutedStrategy:
    """A strategy that has an account to itself.

    Parameters
    ----------
    unseen, in_sample
        Figures at the equity that was asked for, over the days that the search did not see, none where it saw all, and
        those that it saw.
    sizes
        Figures over the unseen days at the equities of `SIZES_USD`; here and below, over the in-sample days where
        there are no others.
    min_equity_usd
        Least equity from which on the account follows one of 1,000,000 USD; none: at no size that was tried.
    capacity_usd
        Equity at which impact halves the return of the unseen days; none: they earned nothing, or see the next.
    capacity_above_usd
        Largest equity that was tried, where it still earns more than half; none where it does not.
    virtual_hash, order_hash
        Digests H1 and H2 over the unseen days.
    slippage_said
        Of each asset whether the slippage of its fills was measured or is assumed, in words; empty in older records.
    """

    unseen: AccountFigures | None
    in_sample: AccountFigures
    sizes: tuple[AccountFigures, ...]
    min_equity_usd: float | None
    capacity_usd: float | None
    capacity_above_usd: float | None
    virtual_hash: str
    order_hash: str
    slippage_said: str = ""

    @property
    def promised(self) -> AccountFigures:
        """Figures over the days that the strategy promises by: the unseen ones, or all where the search saw all."""
        return self.in_sample if self.unseen is None else self.unseen

    @property
    def days(self) -> str:
        """What these days are called."""
        return "in-sample days" if self.unseen is None else "unseen days"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The smallest equity, the capacity, and where slippage is known from, in words."""
        reference = f"one of {REFERENCE_USD:,.0f} USD"
        smallest = f"No account that was tried follows {reference}."
        if self.min_equity_usd is not None:
            smallest = f"An account follows {reference} from {self.min_equity_usd:,.0f} USD on."
        capacity = f"There is no capacity: the {self.days} earned nothing."
        if self.capacity_usd is not None:
            least = " or less" if self.capacity_usd <= LEAST_TRIED_USD else ""
            capacity = f"At {self.capacity_usd:,.0f} USD{least} impact halves the return of the {self.days}."
        elif self.capacity_above_usd is not None:
            capacity = f"Up to {self.capacity_above_usd:,.0f} USD impact does not halve the return of the {self.days}."
        return smallest, capacity, *([self.slippage_said] if self.slippage_said else [])

    @property
    def at_birth(self) -> AccountAtBirth:
        """What a document keeps of it."""
        own = self.promised
        return AccountAtBirth(
            equity_usd=own.equity_usd,
            total_return=own.total_return,
            max_drawdown=own.max_drawdown,
            sharpe=own.sharpe,
            sharpe_sleeves=own.sharpe_sleeves,
            tracking_error=own.tracking_error,
            orders_per_day=own.orders_per_day,
            costs=own.fees + own.slippage + own.funding,
            min_equity_usd=self.min_equity_usd,
            capacity_usd=self.capacity_usd,
            capacity_above_usd=self.capacity_above_usd,
            h1=self.virtual_hash[:16],
            h2=self.order_hash[:16],
            in_sample=self.unseen is None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values: the figures of the promised days on top, the others beneath."""
        whole = asdict(self)
        if self.unseen is not None:
            del whole["unseen"]
        return {**asdict(self.promised), **whole, "sentences": list(self.sentences)}


def execute_strategy(
    strategy: Committee | VirtualWindow,
    panel: Panel,
    splits: Splits,
    costs: Costs,
    equity_usd: float,
    evaluator: Evaluator | None = None,
) -> ExecutedStrategy:
    """Give a strategy an account of its own, once over the in-sample days and once over the unseen ones.

    The unseen days begin flat, with a risk scale that the days before them have set; those before them begin without.
    These are the accounts that the gates judge. Where the search saw all days there is but one.

    Parameters
    ----------
    strategy
        The strategy: its genomes, or what code wants on the whole panel.
    panel, splits
        The panel that it was judged on, whose unseen days have been opened.
    costs
        Of the sleeves; the account's fills take theirs from them.
    equity_usd
        Of the account, at the start of each.
    evaluator
        Keeps indicators from call to call.
    """
    seen, span, kept = splits.in_sample, promised(splits), evaluator or Evaluator()
    before = account_run(strategy, panel, costs, equity_usd, start=seen.start, stop=seen.stop, evaluator=kept)
    run = before
    if has_unseen(splits):
        run = account_run(
            strategy, panel, costs, equity_usd, start=span.start, stop=span.stop, after=before, evaluator=kept
        )
    reach = capacity(run.setting, panel, start=span.start, stop=span.stop)
    return ExecutedStrategy(
        unseen=account_figures(run) if has_unseen(splits) else None,
        in_sample=account_figures(before),
        sizes=tuple(account_figures(run.setting.run(size, digests=False)) for size in SIZES_USD),
        min_equity_usd=smallest_equity(run.setting),
        capacity_usd=reach if reach is not None and math.isfinite(reach) else None,
        capacity_above_usd=LARGEST_USD if reach == math.inf else None,
        virtual_hash=run.account.h1,
        order_hash=run.account.h2,
        slippage_said=slippage_sentence(costs, panel.symbols),
    )


def accounts_frame(executed: Mapping[str, ExecutedStrategy]) -> pl.DataFrame:
    """Return what accounts execute of strategies, by their identity, as rows of `AccountTable`."""
    rows = []
    for id, one in executed.items():
        stated, span = one.promised.equity_usd, "in_sample" if one.unseen is None else "unseen"
        figures = [("in_sample", one.in_sample), *([] if one.unseen is None else [("unseen", one.unseen)])]
        figures += [(span, size) for size in one.sizes if size.equity_usd != stated]
        rows += [
            {
                AccountTable.id: id,
                AccountTable.span: name,
                AccountTable.stated: own.equity_usd == stated,
                **asdict(own),
                **{key: getattr(one, key) for key in _OF_STRATEGY},
            }
            for name, own in figures
        ]
    return AccountTable.frame(rows)


def read_accounts(frame: pl.DataFrame) -> dict[str, ExecutedStrategy]:
    """Return what accounts execute of strategies, by their identity, from a frame made by `accounts_frame`."""
    names = [field.name for field in fields(AccountFigures)]
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        rows.setdefault(row[AccountTable.id], []).append(row)
    executed = {}
    for id, own in rows.items():
        figures = {
            (row[AccountTable.span], row[AccountTable.equity_usd]): AccountFigures(
                **{name: row[name] for name in names}
            )
            for row in own
        }
        stated = next(row[AccountTable.equity_usd] for row in own if row[AccountTable.stated])
        unseen = figures.get(("unseen", stated))
        span = "in_sample" if unseen is None else "unseen"
        executed[id] = ExecutedStrategy(
            unseen=unseen,
            in_sample=figures["in_sample", stated],
            sizes=tuple(figures[span, size] for size in SIZES_USD),
            **{name: own[0][name] for name in _OF_STRATEGY},
        )
    return executed


def birth_costs(document: StrategyConfig, lake: Lake) -> Costs:
    """Return what trading cost where a strategy was bred and judged; the usual where the lake does not say.

    Raises
    ------
    IntegrityError
        The lake's record of its cycle is damaged.
    """
    plan = _birth_plan(document, lake)
    return Costs.from_dict(plan["costs"]) if plan else Costs()


def birth_splits(document: StrategyConfig, lake: Lake, panel: Panel) -> Splits:
    """Return the spans of the panel that a strategy was bred and judged on; errors as `birth_costs`."""
    return splits_of(line_of(_birth_plan(document, lake)), panel.n_bars, panel.interval)


def _birth_plan(document: StrategyConfig, lake: Lake) -> dict[str, Any]:
    """Return the plan of the cycle that bore a strategy; empty where the lake does not have it."""
    born = document.provenance
    cycles, day = lake.table(CycleTable, cycle=born.cycle), date.fromisoformat(born.date)
    if not cycles.path(market=born.market, day=day, interval=document.interval).exists():
        return {}
    plan = cycles.read_day(day, market=born.market, interval=document.interval)[0, CycleTable.plan]
    found: dict[str, Any] = orjson.loads(plan) if plan else {}
    return found


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
