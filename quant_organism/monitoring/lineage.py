"""Who the strategies that a search put forward descend from: the lines of their mothers, back to those without one."""

from collections.abc import Iterable, Mapping, Sequence

import orjson
import polars as pl

from quant_organism.monitoring.content import LineageRow
from quant_organism.strategies import Genome

_COLUMNS = ("trial", "id", "family", "generation", "operator", "mother", "father", "sharpe")


def genealogy(population: pl.DataFrame, members: pl.DataFrame) -> list[LineageRow]:
    """Return the genomes of all candidates and their mothers' lines, by trial number.

    Parameters
    ----------
    population
        All trials, as `evolution.records.trials_frame` returns them.
    members
        Members of the candidates, as `evolution.records.candidates_frame` returns them.
    """
    put_forward: dict[str, list[str]] = {}
    for row in members.select("candidate", "genome").iter_rows(named=True):
        names = put_forward.setdefault(Genome.from_dict(orjson.loads(row["genome"])).hash, [])
        if row["candidate"] not in names:
            names.append(row["candidate"])
    trials = population.select("hash", *_COLUMNS)
    rows = {row["trial"]: row for row in trials.iter_rows(named=True)}
    chosen = trials.filter(pl.col("hash").is_in(list(put_forward)))["trial"]
    lines = sorted(_with_ancestors(chosen, {trial: row["mother"] for trial, row in rows.items()}))
    return [
        LineageRow(
            **{name: rows[trial][name] for name in _COLUMNS},
            put_forward_in=put_forward.get(rows[trial]["hash"], []),
        )
        for trial in lines
    ]


def founder_of(row: LineageRow, rows: Mapping[int, LineageRow]) -> LineageRow:
    """Return who began the line of a genome: an ancestor without a mother, or the genome itself.

    Parameters
    ----------
    row
        The genome.
    rows
        The whole genealogy by trial number.
    """
    while row.mother is not None:
        row = rows[row.mother]
    return row


def family_order(rows: Sequence[LineageRow]) -> list[LineageRow]:
    """Return those put forward, kin beside kin: by family, by founder, then from mother to daughter and by birth."""
    by_trial = {row.trial: row for row in rows}

    def line(row: LineageRow) -> list[int]:
        before = [row.trial]
        while (mother := by_trial[before[0]].mother) is not None:
            before.insert(0, mother)
        return before

    return sorted((row for row in rows if row.put_forward_in), key=lambda row: (row.family, line(row)))


def _with_ancestors(trials: Iterable[int], mothers: Mapping[int, int | None]) -> set[int]:
    reached: set[int] = set()
    for trial in trials:
        one: int | None = trial
        while one is not None and one not in reached:
            reached.add(one)
            one = mothers[one]
    return reached
