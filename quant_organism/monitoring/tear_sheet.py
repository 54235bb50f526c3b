"""The tear sheet of a strategy: gathered from what a cycle left at rest and from how it bears being shaken."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from typing import Final

import orjson
import polars as pl

from quant_organism.deployment import ExecutedStrategy, Provenance
from quant_organism.evolution import ORIGINS, Candidate
from quant_organism.market import Interval
from quant_organism.monitoring.content import ReportedGate, ReportedSpan
from quant_organism.monitoring.gallery import family_record
from quant_organism.monitoring.sheet_content import (
    Cone,
    FamilyPart,
    MemberRow,
    Neighbours,
    PartRow,
    ShakeRow,
    SpanFigures,
    TearSheet,
    YearRow,
)
from quant_organism.monitoring.sheet_trading import SheetTrading
from quant_organism.monitoring.tables import RobustnessTable
from quant_organism.validation import Bands, Examination, NotRun, Part, Shake, equity_cone

_SPANS: Final = ("in_sample", "out_of_sample", "walk_forward", "holdout")
_LABELS: Final = {
    "in_sample": "in-sample",
    "out_of_sample": "out-of-sample",
    "walk_forward": "walk-forward",
    "holdout": "all unseen days",
}
_SIGNS: Final = ("price noise", "dearer trading", "late execution", "later start", "asset left out")
"""Shakes under which the sign of the Sharpe ratio must not flip."""

CHANGES: Final = {
    "parameters": "slightly different genes",
    "price noise": "noise on closes",
    "dearer trading": "costs x 2, slippage x 3",
    "late execution": "orders one bar late",
    "later start": "start some hours later",
    "asset left out": "an asset left out",
    "longer bars": "longer bars",
    "resampled bars": "bars resampled, decided anew",
    "day unions": "any two tenths of the days",
    "days resampled": "days resampled",
    "trades skipped": "a tenth of the trades skipped",
    "trades shuffled": "order of the trades shuffled",
}
"""What readers call changes."""


def tear_sheet(
    candidate: Candidate,
    examination: Examination,
    *,
    provenance: Provenance,
    interval: Interval,
    spans: Sequence[ReportedSpan],
    verdicts: pl.DataFrame,
    validated: pl.DataFrame,
    returns: pl.DataFrame,
    account: ExecutedStrategy,
    seed: int,
    trading: SheetTrading | None = None,
) -> TearSheet:
    """Gather the tear sheet of one candidate.

    Parameters
    ----------
    candidate
        The strategy.
    examination
        How it bears being shaken in sample.
    provenance, interval, spans
        The cycle, its bars, and its spans in days.
    verdicts, validated, returns
        As `validation.records` writes them, of all candidates.
    account
        What an account executes of the strategy.
    seed
        Of the cone.
    trading
        What its account did; without, the page shows no trades.
    """
    own = returns.filter(pl.col("candidate") == candidate.id).sort("day")
    row = validated.filter(pl.col("candidate") == candidate.id).row(0, named=True)
    metrics: dict[str, dict[str, float]] = {
        span: {name: math.nan if value is None else value for name, value in values.items()}
        for span, values in orjson.loads(row["metrics"]).items()
    }
    gates = _gates(verdicts.filter(pl.col("candidate") == candidate.id))
    unseen_from = min((date.fromisoformat(span.start) for span in spans if span.unseen), default=date.max)
    return TearSheet(
        id=candidate.id,
        origin=ORIGINS.get(candidate.origin, candidate.origin),
        market=provenance.market,
        date=provenance.date,
        interval=interval.name,
        provenance={"cycle": provenance.cycle, **provenance.model_dump()},
        summary=[
            *_summary(examination, metrics, account),
            f"What it has earned: {row['standing']}. {_sentence(row['why'])}",
        ],
        figures=[
            SpanFigures(label=_LABELS[span], unseen=span != "in_sample", metrics=metrics[span])
            for span in _SPANS
            if span in metrics
        ],
        days=[day.isoformat() for day in own["day"]],
        equity=(1 + own["net_return"]).cum_prod().to_list(),
        spans=spans,
        account=account,
        years=years_of(own, unseen_from),
        cone=cone_of(own, unseen_from, examination.average_holding_days, seed),
        sharpe=examination.sharpe,
        shakes=[
            *(_shake_row(CHANGES[name], shake) for name, shake in examination.shakes.items()),
            *(_bands_row(CHANGES[name], bands) for name, bands in examination.bands.items()),
        ],
        neighbours=_neighbours(examination, metrics["in_sample"]),
        assets=_parts(examination.assets),
        regimes=_parts(examination.regimes),
        gates=gates,
        members=[
            MemberRow(id=member.genome.id, weight=member.weight, assets=member.assets)
            for member in sorted(candidate.committee.members, key=lambda m: (-m.weight, m.genome.id, m.assets))
        ],
        families=_families(candidate),
        trading=trading,
    )


def _families(candidate: Candidate) -> list[FamilyPart]:
    """Return the families of a committee, the heaviest first."""
    members = candidate.committee.members
    parts = [
        FamilyPart(
            family=name,
            genomes=sum(member.genome.family == name for member in members),
            weight=math.fsum(member.weight for member in members if member.genome.family == name),
            logic=family_record(name)["logic"],
        )
        for name in sorted({member.genome.family for member in members})
    ]
    return sorted(parts, key=lambda part: (-part.weight, part.family))


def shakes_frame(sheets: Sequence[TearSheet]) -> pl.DataFrame:
    """Return one row per tear sheet and kind of change: what a strategy earned in sample when it was shaken."""
    rows = [
        (sheet.id, r.name, r.count, r.low, r.middle, r.high, r.drawdown, r.loss_probability, r.worst)
        for sheet in sheets
        for r in sheet.shakes
    ]
    return RobustnessTable.frame(rows)


def years_of(returns: pl.DataFrame, unseen_from: date) -> list[YearRow]:
    """Compound daily returns by calendar month and year.

    Parameters
    ----------
    returns
        `day`, `net_return`, in time order.
    unseen_from
        First day that the search did not see.
    """
    months = returns.group_by(year=pl.col("day").dt.year(), month=pl.col("day").dt.month(), maintain_order=True).agg(
        total=(1 + pl.col("net_return")).product() - 1, first=pl.col("day").min()
    )
    rows = []
    for year in sorted(set(months["year"])):
        own = {row["month"]: row for row in months.filter(year=year).to_dicts()}
        rows.append(
            YearRow(
                year=year,
                months=[own[month]["total"] if month in own else math.nan for month in range(1, 13)],
                unseen=[month in own and own[month]["first"] >= unseen_from for month in range(1, 13)],
                total=math.prod(1 + row["total"] for row in own.values()) - 1,
            )
        )
    return rows


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _summary(
    examination: Examination, metrics: Mapping[str, Mapping[str, float]], account: ExecutedStrategy
) -> list[str]:
    inside, unseen = metrics["in_sample"], metrics.get("holdout", {})
    own = account.promised
    sentences = [
        f"On the days that the search saw its ideal sleeves earned a Sharpe ratio of {inside['sharpe']:.2f} a year; on "
        f"those that it did not see, an account of {own.equity_usd:,.0f} USD {unseen.get('sharpe', math.nan):.2f}, "
        f"with a maximum drawdown of {100 * unseen.get('max_drawdown', math.nan):.1f} %."
    ]
    if account.unseen is None:
        sentences = [
            f"The search saw all days: on them its ideal sleeves earned a Sharpe ratio of {inside['sharpe']:.2f} a "
            f"year, and an account of {own.equity_usd:,.0f} USD {own.sharpe:.2f}, with a maximum drawdown of "
            f"{100 * own.max_drawdown:.1f} %. Both are in sample; only the days since its birth judge it."
        ]
    seen = {name: shake for name in _SIGNS if isinstance(shake := examination.shakes.get(name), Shake)}
    if seen:
        name = min(seen, key=lambda name: seen[name].worst[1])
        change, worst = seen[name].worst
        what = change if seen[name].seed is None else CHANGES[name]
        verb = "its sign flips" if worst <= 0 else "it keeps its sign"
        sentences.append(
            f"Shaken in sample, {verb}: the Sharpe ratio of {examination.sharpe:.2f} is {worst:.2f} at worst ({what})."
        )
    around = examination.shakes.get("parameters")
    if isinstance(around, Shake):
        sentences.append(
            f"The median of {len(around.sharpe)} neighbours with slightly different genes has "
            f"{float(around.sharpe_quantiles[1]):.2f}."
        )
    return sentences


def _gates(verdicts: pl.DataFrame) -> list[ReportedGate]:
    names = [field.name for field in fields(ReportedGate)]
    return [ReportedGate(**row) for row in verdicts.select(names).to_dicts()]


def cone_of(own: pl.DataFrame, unseen_from: date, average_holding_days: float, seed: int) -> Cone | None:
    """Return what the days before a first unseen one promised, and what came; None where nothing can be promised.

    Parameters
    ----------
    own
        `day`, `net_return`, in time order.
    unseen_from
        First day that the search did not see.
    average_holding_days, seed
        How long a position is held, which blocks of days are as long as; and the seed of their draws.
    """
    seen, unseen = own.filter(pl.col("day") < unseen_from), own.filter(pl.col("day") >= unseen_from)
    # Not the first days, on which the account was flat because its risk was not yet known.
    seen = seen.filter((pl.col("net_return") != 0).cum_sum() > 0)
    if unseen.is_empty():
        return None
    cone = equity_cone(seen["net_return"].to_numpy(), days=len(unseen), average_holding=average_holding_days, seed=seed)
    if isinstance(cone, NotRun):
        return None
    return Cone(
        days=[day.isoformat() for day in unseen["day"]],
        quantiles=cone.tolist(),
        actual=(1 + unseen["net_return"]).cum_prod().to_list(),
    )


def _shake_row(name: str, shake: Shake | NotRun) -> ShakeRow:
    if isinstance(shake, NotRun):
        return not_run_row(name, shake)
    low, middle, high = shake.sharpe_quantiles.tolist()
    change, worst = shake.worst
    worst_case = f"{worst:.2f}" if shake.seed is not None else f"{worst:.2f}, {change}"
    if shake.left_out:
        worst_case += f"; {len(shake.left_out)} genome{'s' if len(shake.left_out) != 1 else ''} took no part"
    return ShakeRow(
        name=name,
        count=len(shake.sharpe),
        low=low,
        middle=middle,
        high=high,
        drawdown=float(shake.drawdown_quantiles[2]),
        loss_probability=shake.loss_probability,
        worst=worst_case,
        points=shake.sharpe.tolist(),
    )


def _bands_row(name: str, bands: Bands | NotRun) -> ShakeRow:
    if isinstance(bands, NotRun):
        return not_run_row(name, bands)
    low, middle, high = bands.sharpe.tolist()
    return ShakeRow(
        name=name,
        count=bands.draws,
        low=low,
        middle=middle,
        high=high,
        drawdown=float(bands.max_drawdown[2]),
        loss_probability=bands.loss_probability,
        worst="",
    )


def not_run_row(name: str, why: NotRun) -> ShakeRow:
    """Return the row of a change that could not be made."""
    nan = math.nan
    return ShakeRow(
        name=name, count=0, low=nan, middle=nan, high=nan, drawdown=nan, loss_probability=nan, worst=why.reason
    )


def _neighbours(examination: Examination, inside: Mapping[str, float]) -> Neighbours | None:
    around = examination.shakes.get("parameters")
    if not isinstance(around, Shake):
        return None
    return Neighbours(
        sharpe=around.sharpe.tolist(),
        max_drawdown=around.max_drawdown.tolist(),
        own_sharpe=examination.sharpe,
        own_max_drawdown=inside["max_drawdown"],
    )


def _parts(parts: Sequence[Part]) -> list[PartRow]:
    return [
        PartRow(
            name=part.name,
            days=part.days,
            sharpe=part.sharpe,
            total_return=part.total_return,
            max_drawdown=part.max_drawdown,
        )
        for part in parts
    ]
