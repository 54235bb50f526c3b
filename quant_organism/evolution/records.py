"""The search at rest: its trials, rejected genomes and candidates as frames, and back.

What ends in `_frame` goes to the lake. What ends in `_table` is kept by a checkpoint and gives back the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
import orjson
import polars as pl

from quant_organism.errors import IntegrityError
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.progress import LostBatch, RejectedGenome
from quant_organism.evolution.tables import CandidateTable
from quant_organism.evolution.trials import METRICS, NO_PARENT, Trials
from quant_organism.strategies import Committee, Genome, Member

_WIDE = ("parents", "asset_sharpe", "objectives", "daily_returns")

Record = TypeVar("Record", RejectedGenome, LostBatch)


def trials_frame(trials: Trials) -> pl.DataFrame:
    """Return one row per trial, in the order of evaluation: identity, origin, in-sample metrics, flags, genome as JSON.

    `mother` and `father` are numbers of trials, null where there is none.
    """
    mother, father = (pl.Series(parents).replace(NO_PARENT, None) for parents in trials.parents.T)
    return pl.DataFrame(
        {
            "trial": np.arange(len(trials)),
            "id": pl.Series([genome.id for genome in trials.genomes], dtype=pl.Utf8),
            "hash": pl.Series([genome.hash for genome in trials.genomes], dtype=pl.Utf8),
            "family": pl.Series([genome.family for genome in trials.genomes], dtype=pl.Utf8),
            "generation": trials.generation,
            "island": trials.island,
            "operator": pl.Series(trials.operator, dtype=pl.Utf8),
            "mother": mother,
            "father": father,
            **trials.metrics,
            "behaviour": trials.behaviour,
            "feasible": trials.feasible,
            "on_front": trials.on_front,
            "survived": trials.survived,
            "genome": pl.Series([genome_text(genome) for genome in trials.genomes], dtype=pl.Utf8),
        }
    )


def generations_frame(generations: Sequence[dict[str, float]]) -> pl.DataFrame:
    """Return one row per generation: counts so far, hypervolume, best and median of each objective."""
    return pl.DataFrame(list(generations))


def candidates_frame(candidates: Sequence[Candidate]) -> pl.DataFrame:
    """Return one row per member of each candidate, in the order in which the search put them forward."""
    rows = [
        (
            candidate.id,
            candidate.origin,
            i,
            member.weight,
            list(member.assets),
            member.genome.family,
            genome_text(member.genome),
        )
        for candidate in candidates
        for i, member in enumerate(candidate.committee.members)
    ]
    return CandidateTable.frame(rows)


def read_candidates(frame: pl.DataFrame) -> list[Candidate]:
    """Return the candidates of a frame made by `candidates_frame`.

    Raises
    ------
    IntegrityError
        A candidate's members do not have the identity that it is stored under.
    """
    candidates = []
    for (name,), rows in frame.group_by(["candidate"], maintain_order=True):
        members = tuple(
            Member(row["weight"], Genome.from_dict(orjson.loads(row["genome"])), tuple(row["assets"]))
            for row in rows.iter_rows(named=True)
        )
        candidate = Candidate(Committee(members), rows["origin"][0])
        if candidate.id != name:
            raise IntegrityError(
                f"stored as {name}, but its members make {candidate.id}",
                where="candidates",
                remedy="materialise evolved_population again",
            )
        candidates.append(candidate)
    return candidates


def trial_table(trials: Trials) -> pl.DataFrame:
    """Return one row per trial with all that `read_trials` needs; what is known at the search's end is left out."""
    return pl.DataFrame(
        {
            "genome": [genome_text(genome) for genome in trials.genomes],
            "generation": trials.generation,
            "island": trials.island,
            "operator": pl.Series(trials.operator, dtype=pl.Utf8),
            "behaviour": trials.behaviour,
            "feasible": trials.feasible,
            **trials.metrics,
            **{name: pl.Series(getattr(trials, name)) for name in _WIDE},
        }
    )


def read_trials(table: pl.DataFrame, *, symbols: Sequence[str], days: Sequence[int]) -> Trials:
    """Return the trials of a table that `trial_table` made.

    Raises
    ------
    IntegrityError
        If a genome is not what its hash says.
    """
    unknown_yet = np.zeros(table.height, dtype=np.bool_)
    return Trials(
        genomes=tuple(Genome.from_dict(orjson.loads(text)) for text in table["genome"]),
        generation=table["generation"].to_numpy(),
        island=table["island"].to_numpy(),
        operator=tuple(table["operator"]),
        behaviour=table["behaviour"].to_numpy(),
        feasible=table["feasible"].to_numpy(),
        metrics={name: table[name].to_numpy() for name in METRICS},
        **{name: table[name].to_numpy() for name in _WIDE},
        on_front=unknown_yet,
        survived=unknown_yet,
        symbols=tuple(symbols),
        days=np.array(days, dtype=np.int64),
    )


def record_table(records: Sequence[RejectedGenome] | Sequence[LostBatch], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return one row per record."""
    return pl.DataFrame([asdict(record) for record in records], schema=schema)


def read_records(kind: type[Record], table: pl.DataFrame) -> list[Record]:
    """Return the records of a table that `record_table` made."""
    return [kind(**row) for row in table.iter_rows(named=True)]


def genome_text(genome: Genome) -> str:
    """Return a genome as JSON with sorted keys."""
    return orjson.dumps(genome.to_dict(), option=orjson.OPT_SORT_KEYS).decode()
