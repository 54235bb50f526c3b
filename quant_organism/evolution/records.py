"""The search at rest: its trials, progress and candidates as frames, and candidates back from a frame."""

from collections.abc import Sequence

import numpy as np
import orjson
import polars as pl

from quant_organism.errors import IntegrityError
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.tables import CandidateTable
from quant_organism.evolution.trial_tables import genome_text
from quant_organism.evolution.trials import NO_PARENT, Trials
from quant_organism.strategies import Committee, Genome, Member


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
