"""The tear sheet of code that was made elsewhere, gathered when it is kept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from quant_organism.backtest import Costs
from quant_organism.backtest.account import AccountRun, VirtualWindow, account_metrics
from quant_organism.deployment import StrategyConfig, account_run, execute_strategy
from quant_organism.market import Panel, Splits, day_of
from quant_organism.monitoring.account_trades import account_trades
from quant_organism.monitoring.content import ReportedGate, ReportedSpan
from quant_organism.monitoring.sheet_content import ShakeRow, SpanFigures, TearSheet
from quant_organism.monitoring.sheet_trading import sheet_trading
from quant_organism.monitoring.tear_sheet import CHANGES, cone_of, not_run_row, years_of
from quant_organism.validation import NotRun, Verdict

_TO_MARKET: Final = ("beta", "alpha")


def external_tear_sheet(
    document: StrategyConfig,
    window: VirtualWindow,
    panel: Panel,
    splits: Splits,
    costs: Costs,
    *,
    sentence: str,
    sharpe: float,
    spans: Sequence[ReportedSpan],
    verdicts: Sequence[Verdict],
    decisive: Sequence[str],
    shakes: Mapping[str, Mapping[str, float] | NotRun],
) -> TearSheet:
    """Gather the tear sheet of code that is kept.

    Parameters
    ----------
    document
        Its document, of kind `external`.
    window
        What it holds over the whole panel.
    panel, splits, costs
        What it was judged on, its unseen days opened.
    sentence, sharpe
        What was said of it, and the annual Sharpe ratio of its virtual book on the seen days.
    spans
        Of the panel in days.
    verdicts, decisive
        What was asked of it, and the names of what decided.
    shakes
        Annual Sharpe ratios of its virtual book on the seen days under each change, by gate and change.
    """
    assert document.external is not None
    assert document.account is not None
    equity_usd, seen, unseen = document.account.equity_usd, splits.in_sample, splits.unseen
    before = account_run(window, panel, costs, equity_usd, start=seen.start, stop=seen.stop)
    run = account_run(window, panel, costs, equity_usd, start=unseen.start, stop=unseen.stop, after=before)
    own = pl.concat([_daily(before), _daily(run)])
    first_unseen = day_of(int(panel.times[unseen.start]))
    trading = sheet_trading(window, panel, splits, costs, equity_usd)
    hours = [trade.hours for trade in account_trades(before)]
    provenance = document.provenance
    return TearSheet(
        id=document.id,
        origin="made elsewhere",
        market=provenance.market,
        date=provenance.date,
        interval=document.interval,
        provenance={"cycle": provenance.cycle, **provenance.model_dump()},
        summary=[sentence],
        figures=[
            SpanFigures(label="in-sample", unseen=False, metrics=_metrics(before)),
            SpanFigures(label="all unseen days", unseen=True, metrics=_metrics(run)),
        ],
        days=[day.isoformat() for day in own["day"]],
        equity=(1 + own["net_return"]).cum_prod().to_list(),
        spans=spans,
        account=execute_strategy(window, panel, splits, costs, equity_usd),
        years=years_of(own, first_unseen),
        cone=cone_of(own, first_unseen, float(np.mean(hours)) / 24.0 if hours else 1.0, provenance.seed),
        sharpe=sharpe,
        shakes=[_shake_row(CHANGES[gate.replace("_", " ")], made) for gate, made in shakes.items()],
        neighbours=None,
        assets=(),
        regimes=(),
        gates=[_gate(verdict, decides=verdict.gate in decisive) for verdict in verdicts],
        members=(),
        trading=trading,
        code=document.external.in_words,
    )


def _daily(run: AccountRun) -> pl.DataFrame:
    days: list[date] = [day_of(int(when)) for when in run.days]
    return pl.DataFrame({"day": days, "net_return": run.daily_returns})


def _metrics(run: AccountRun) -> dict[str, float]:
    metrics = account_metrics(run, np.zeros(run.path.scale.size))
    return {name: value for name, value in metrics.items() if name not in _TO_MARKET}


def _shake_row(name: str, made: Mapping[str, float] | NotRun) -> ShakeRow:
    if isinstance(made, NotRun):
        return not_run_row(name, made)
    low, middle, high = np.quantile(list(made.values()), (0.05, 0.5, 0.95)).tolist()
    change = min(made, key=lambda each: made[each])
    return ShakeRow(
        name=name,
        count=len(made),
        low=low,
        middle=middle,
        high=high,
        drawdown=math.nan,
        loss_probability=math.nan,
        worst=f"{made[change]:.2f}, {change}",
        points=list(made.values()),
    )


def _gate(verdict: Verdict, *, decides: bool) -> ReportedGate:
    known = asdict(verdict)
    del known["n_used"]
    return ReportedGate(**known, needed_for=("shadow",) if decides else ())
