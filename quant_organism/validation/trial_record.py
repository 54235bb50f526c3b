"""What a search tried, as far as it bears on luck: how many different things, and what the best of each kind did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from quant_organism.evolution import Trials
from quant_organism.evolution.sketch import SKETCH_BYTES, sketch
from quant_organism.strategies import Genome, get_family

_FOUNDER = "founder"
"""Operator of genomes that were drawn at random, before the search had learned anything."""


@dataclass(frozen=True, eq=False)
class TrialRecord:
    """The trials on the days that a search saw, each behaviour once; those that never traded are counted only.

    Attributes
    ----------
    sketches
        int8 (n, 128), of every trial on this very panel whose returns vary, whoever tried it.
    sharpe
        float64 (n,): annual net Sharpe ratio of each, 0 where it is undefined.
    genomes
        The genome of each; None where it is not of this search.
    founders
        Genomes of rule families that were drawn at random before the search began.
    tried
        Behaviours in all on this market's days, with those of earlier searches and those that never traded.
    """

    sketches: NDArray[np.int8] = field(repr=False)
    sharpe: NDArray[np.float64] = field(repr=False)
    genomes: tuple[Genome | None, ...] = field(repr=False)
    founders: tuple[Genome, ...] = field(repr=False)
    tried: int

    @classmethod
    def of(cls, trials: Trials) -> TrialRecord:
        """Return the record of one search that is the only one on its days."""
        _, first = np.unique(trials.behaviour, return_index=True)
        first = np.sort(first)
        sketches = sketch(trials.daily_returns[first])
        moves = sketches.any(axis=1)
        kept = first[moves].tolist()
        founders = [i for i in first.tolist() if trials.operator[i] == _FOUNDER]
        return cls(
            sketches[moves],
            np.nan_to_num(trials.metrics["sharpe"][kept]),
            tuple(trials.genomes[i] for i in kept),
            _rules(trials.genomes[i] for i in founders),
            len(first),
        )

    @classmethod
    def read(cls, ledger: pl.DataFrame, population: pl.DataFrame, *, tried: int) -> TrialRecord:
        """Return the record from what is at rest.

        Parameters
        ----------
        ledger
            Trials on this very panel: `genome_hash`, `behaviour`, `sharpe`, `sketch` of the trial ledger.
        population
            The search's own trials, as `evolution.records.trials_frame` returns them.
        tried
            Behaviours on all panels that share a day with it.
        """
        own = population.select(genome_hash="hash", genome="genome")
        distinct = (
            ledger.filter(pl.col("sketch").is_not_null())
            .join(own, on="genome_hash", how="left", maintain_order="left")
            .sort(pl.col("genome").is_null(), "genome_hash")
            .unique("behaviour", keep="first", maintain_order=True)
            .sort("genome_hash")
        )
        founders = population.filter(pl.col("operator") == _FOUNDER).unique("behaviour", maintain_order=True)
        rows = [np.frombuffer(row, dtype=np.int8) for row in distinct["sketch"]]
        return cls(
            np.array(rows, dtype=np.int8).reshape(len(rows), SKETCH_BYTES),
            distinct["sharpe"].fill_null(0.0).to_numpy(),
            tuple(None if text is None else Genome.from_dict(orjson.loads(text)) for text in distinct["genome"]),
            _rules(Genome.from_dict(orjson.loads(text)) for text in founders["genome"]),
            tried,
        )


def is_rule(genome: Genome) -> bool:
    """Tell whether a genome's family fits no model, so that it costs little to measure again."""
    return not get_family(genome.family).model_genes


def _rules(genomes: Iterable[Genome]) -> tuple[Genome, ...]:
    return tuple(genome for genome in genomes if is_rule(genome))
