"""The report of a cycle from what its assets left at rest."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from types import MappingProxyType

import polars as pl

from quant_organism.deployment import ExecutedStrategy, Provenance
from quant_organism.evolution import DAYS_A_YEAR, luck_sentence
from quant_organism.market import Interval, Splits, has_unseen
from quant_organism.monitoring.content import (
    CandidateRow,
    Curve,
    CycleReport,
    DataRow,
    DecisionRow,
    GenerationRow,
    PopulationPoint,
    ReportedGate,
    ReportedSpan,
)
from quant_organism.monitoring.lineage import genealogy
from quant_organism.validation import sentences

_MOST_POINTS = 1_500
_MOST_CURVES = 6

_LIMITS = (
    "The past is one path, and the tests know only what was tried in this program: not a universe chosen because it "
    "rose, nor families designed on these very data.",
    "The shadow pool is a list of strategies worth watching: no order is sent, and this version does not follow them "
    "live.",
)


def cycle_report(
    *,
    provenance: Provenance,
    interval: Interval,
    splits: Splits,
    panel: pl.DataFrame,
    generations: pl.DataFrame,
    families: pl.DataFrame,
    population: pl.DataFrame,
    members: pl.DataFrame,
    verdicts: pl.DataFrame,
    validated: pl.DataFrame,
    returns: pl.DataFrame,
    decisions: pl.DataFrame,
    pretest: pl.DataFrame,
    significance: pl.DataFrame,
    tear_sheets: Mapping[str, str] = MappingProxyType({}),
    accounts: Mapping[str, ExecutedStrategy] = MappingProxyType({}),
    profile: str | None = None,
) -> CycleReport:
    """Gather the report of a cycle.

    Parameters
    ----------
    provenance, interval, splits
        The cycle, its bars, and its spans.
    panel
        One row per symbol: `symbol`, `first_bar`, `last_bar` (UTC), `bars`, `coverage`, `score`.
    generations, families, population, members
        Progress, families of the islands, trials and members of the candidates, as `evolution.cycle` returns them.
    verdicts, validated, returns
        As `validation.records` writes them.
    pretest, significance
        As `validation.significance_records` writes them.
    decisions
        One row per deployment decision: `id`, `action`, `reason`, `stage`.
    tear_sheets
        Paths of the candidates' tear sheets, from the report's folder on, by identity.
    accounts
        What accounts of several sizes execute of the survivors, by identity.
    profile
        Of the search, as `profile_of` names it; without, the page does not name it.
    """
    candidates = _candidates(validated, verdicts)
    deployed = decisions.filter(pl.col("action") == "deploy")["id"].to_list()
    days = returns["day"].unique().sort().to_list()
    return CycleReport(
        title=_title(deployed, candidates),
        market=provenance.market,
        date=provenance.date,
        interval=interval.name,
        provenance={"cycle": provenance.cycle, **provenance.model_dump()},
        summary=[
            *_summary(panel, interval, population, candidates, deployed, has_unseen(splits), profile),
            *_executed(accounts),
            *sentences(pretest, significance),
        ],
        data=_data_rows(panel),
        search=[
            GenerationRow(**{field.name: row[field.name] for field in fields(GenerationRow)})
            for row in generations.iter_rows(named=True)
            if row["trials"]
        ],
        population=_points(population),
        family_shares=_family_shares(families),
        genealogy=genealogy(population, members),
        trial_budget=_trial_budget(population, splits, interval),
        candidates=candidates,
        decisions=[DecisionRow(**row) for row in decisions.select("id", "action", "reason", "stage").to_dicts()],
        curve_days=[day.isoformat() for day in days],
        curves=_curves(returns, candidates, deployed),
        spans=spans_of(splits, interval, date.fromisoformat(provenance.date), panel),
        tear_sheets=dict(tear_sheets),
        accounts=dict(accounts),
        limits=_LIMITS,
    )


def _title(deployed: Sequence[str], candidates: Sequence[CandidateRow]) -> str:
    if deployed:
        proven = sum(candidate.id in deployed and candidate.standing == "paper" for candidate in candidates)
        entered = f"{len(deployed)} of {len(candidates)} candidates entered the shadow pool"
        return f"{entered}, {proven} of them went on to paper trading" if proven else f"{entered}, unproven"
    survivors = sum(candidate.passed for candidate in candidates)
    if survivors:
        return f"{survivors} of {len(candidates)} candidates survived; none was deployed"
    return "Nothing survived: no strategy is more than luck here"


def _summary(
    panel: pl.DataFrame,
    interval: Interval,
    population: pl.DataFrame,
    candidates: Sequence[CandidateRow],
    deployed: Sequence[str],
    has_unseen: bool,
    profile: str | None,
) -> list[str]:
    feasible = population.filter("feasible")
    best = f", the best with an in-sample Sharpe ratio of {max(feasible['sharpe']):.2f}" if len(feasible) else ""
    sentences = [
        f"{len(panel)} symbols over {_panel_days(panel)} days of {interval.name} bars were looked at.",
        f"The search{f' of profile {profile}' if profile else ''} tried {len(population):,} different genomes on "
        f"{'the first 60 % of' if has_unseen else 'all'} the days; "
        f"{len(feasible):,} of them traded enough to be judged{best}.",
        _founding(population),
    ]
    if population.is_empty():
        return [
            f"{len(panel)} symbols over {_panel_days(panel)} days of {interval.name} bars were looked at.",
            "Nothing was searched, since there was nothing to find, so there was nothing to validate or deploy.",
        ]
    if not candidates:
        return [*sentences, "It put nothing forward, so there was nothing to validate or deploy."]
    survivors = [candidate for candidate in candidates if candidate.passed]
    proven = sum(candidate.standing == "paper" for candidate in candidates)
    sentences.append(
        f"Of what it put forward, {len(survivors)} of {len(candidates)} passed every gate before the shadow pool, "
        f"{proven} every gate before paper trading."
        if has_unseen
        else f"Of what it put forward, {len(survivors)} of {len(candidates)} passed every gate before the shadow pool. "
        "This is the short line: no days were left unseen, gates on such days do not apply, and only days to come can "
        "open paper trading."
    )
    if not survivors:
        stops = [candidate.stopped_by for candidate in candidates]
        worst = str(
            pl.Series([f"{gate.stage} {gate.gate}".replace("_", " ") for gate in stops if gate]).mode().sort()[0]
        )
        sentences.append(f"Most often they fell at the gate “{worst}”. Nothing was deployed, and that is a result.")
    else:
        leader = max(survivors, key=lambda candidate: (candidate.score, candidate.id))
        sentences.append(
            f"The best of them, {leader.id}, earned a Sharpe ratio of {leader.score:.2f} a year on the "
            f"{'unseen' if has_unseen else 'in-sample'} days; {len(deployed)} entered the shadow pool."
        )
        last = [gate for gate in leader.gates if "paper" in gate.needed_for][-1:]
        sentences.append(f"It is {leader.why}." if leader.standing == "shadow" else f"What decided: {last[0].reason}.")
    return sentences


def _executed(accounts: Mapping[str, ExecutedStrategy]) -> list[str]:
    """Say what an account executes of each survivor."""
    return [
        f"An account of {own.equity_usd:,.0f} USD that trades {name} alone earned {100 * own.annual_return:.1f} % a "
        f"year on the {one.days}, with a Sharpe ratio of {own.sharpe:.2f} ({own.sharpe_sleeves:.2f} of its ideal "
        f"sleeves) and {own.orders_per_day:.1f} orders a day. {' '.join(one.sentences)}"
        for name, one in accounts.items()
        for own in (one.promised,)
    ]


def _founding(population: pl.DataFrame) -> str:
    """Say how many of the first generation came from the archive of the cycle before."""
    founders = population.filter(pl.col("generation") == 0)
    invited = founders.filter(pl.col("operator") == "archive").height
    if not invited:
        return "All founders were drawn at random: there was no archive of an earlier day to take any from."
    return (
        f"{invited:,} of its {len(founders):,} founders came from the archive of the cycle before and were measured "
        "anew; the others were drawn at random."
    )


def _data_rows(panel: pl.DataFrame) -> list[DataRow]:
    first_of_all, last_of_all = panel.select(pl.min("first_bar"), pl.max("last_bar")).row(0)
    rows = []
    for row in panel.to_dicts():
        notes = []
        if row["first_bar"] > first_of_all:
            notes.append("listed later")
        if row["last_bar"] < last_of_all:
            notes.append("delisted")
        if row["coverage"] < 1:
            notes.append(f"{100 * (1 - row['coverage']):.2g} % of its bars missing")
        rows.append(
            DataRow(
                symbol=row["symbol"],
                first=f"{row['first_bar']:%Y-%m-%d}",
                last=f"{row['last_bar']:%Y-%m-%d}",
                bars=row["bars"],
                score=row["score"],
                note=", ".join(notes),
            )
        )
    return rows


def _points(population: pl.DataFrame) -> list[PopulationPoint]:
    """Return the feasible trials, thinned evenly by rank of Sharpe ratio; the front is kept whole."""
    feasible = population.filter("feasible").sort("sharpe", "trial")
    step = max(1, -(-len(feasible) // _MOST_POINTS))
    shown = feasible.with_row_index().filter(pl.col("on_front") | (pl.col("index") % step == 0))
    names = [field.name for field in fields(PopulationPoint)]
    return [PopulationPoint(**row) for row in shown.select(names).to_dicts()]


def _family_shares(families: pl.DataFrame) -> dict[str, list[float]]:
    """Return the share of each family in the seats of all islands after each generation."""
    if families.is_empty():
        return {}
    seats = families.pivot("family", index="generation", values="members", aggregate_function="sum").sort("generation")
    counts = seats.drop("generation").fill_null(0)
    taken = counts.select(pl.sum_horizontal(pl.all())).to_series().clip(1)
    return {name: (counts[name] / taken).to_list() for name in sorted(counts.columns)}


def _trial_budget(population: pl.DataFrame, splits: Splits, interval: Interval) -> str:
    """Say how good the best of the search would look by luck; genomes that did the same count once."""
    tried = population["behaviour"].n_unique()
    if not tried:
        return ""
    return luck_sentence(tried, len(splits.in_sample) / interval.bars_per_day / DAYS_A_YEAR)


def _candidates(validated: pl.DataFrame, verdicts: pl.DataFrame) -> list[CandidateRow]:
    names = [field.name for field in fields(ReportedGate)]
    gates: dict[str, list[ReportedGate]] = {}
    for row in verdicts.select("candidate", *names).to_dicts():
        gates.setdefault(row.pop("candidate"), []).append(ReportedGate(**row))
    return [
        CandidateRow(
            id=row["candidate"],
            origin=row["origin"],
            members=row["members"],
            score=row["score"],
            standing=row["standing"],
            why=row["why"],
            gates=gates[row["candidate"]],
        )
        for row in validated.iter_rows(named=True)
    ]


def _curves(returns: pl.DataFrame, candidates: Sequence[CandidateRow], deployed: Sequence[str]) -> list[Curve]:
    """Return equity of what was deployed, then of the other candidates as they were put forward.

    A curve ends, with nan, where the days were not opened for its candidate.
    """
    names = [*deployed, *(candidate.id for candidate in candidates if candidate.id not in deployed)]
    known = set(returns["candidate"].unique())
    days = returns.select("day").unique().sort("day")
    curves = []
    for name in [name for name in names if name in known][:_MOST_CURVES]:
        path = days.join(returns.filter(candidate=name), on="day", how="left", maintain_order="left")["net_return"]
        curves.append(
            Curve(id=name, values=(1 + path).cum_prod().fill_null(float("nan")).to_list(), highlighted=name in deployed)
        )
    return curves


def _panel_days(panel: pl.DataFrame) -> int:
    first, last = panel.select(pl.min("first_bar").dt.date(), pl.max("last_bar").dt.date()).row(0)
    return int((last - first).days) + 1


def spans_of(splits: Splits, interval: Interval, last_day: date, panel: pl.DataFrame) -> list[ReportedSpan]:
    """Return the spans of a cycle in days, to be marked in pictures.

    Parameters
    ----------
    splits, interval
        The spans in bars of this length.
    last_day
        Last day of the panel.
    panel
        As for `cycle_report`.
    """
    first_day = last_day - timedelta(days=_panel_days(panel) - 1)

    def day(bar: int) -> str:
        return (first_day + timedelta(days=bar // interval.bars_per_day)).isoformat()

    spans = [span for span in (splits.in_sample, splits.out_of_sample, splits.walk_forward) if len(span)]
    return [
        ReportedSpan(
            label=span.name.replace("_", "-"),
            start=day(span.start),
            end=day(span.stop - 1),
            unseen=span is not splits.in_sample,
        )
        for span in spans
    ]
