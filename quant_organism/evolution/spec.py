"""What a search is: its size, its operators' rates, its constraints and its final choice."""

import hashlib
from typing import Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quant_organism.errors import InputError
from quant_organism.strategies import families

Profile = Literal["smoke", "standard"]

_SIZES: dict[str, dict[str, int]] = {
    "smoke": {"population": 60, "generations": 4},
    "standard": {"population": 240, "generations": 10},
}


class EvolutionSpec(BaseModel):
    """Everything that decides a search besides panel, costs and seed.

    Parameters
    ----------
    families
        Families that take part; empty means all that do by default.
    population
        Genomes kept from generation to generation.
    generations
        Rounds of variation and selection after the random first one.
    crossover_probability, mutation_rate
        Probability that a pair of parents exchanges genes; probability that a gene of a child is redrawn.
    immigrants
        Share of every brood that is drawn at random, so that the search never closes.
    min_trades
        Closed trades over the in-sample span below which a genome is infeasible.
    committee_fraction, committee_size
        The best share of all trials that forms the committee, and its largest number of members.
    champions
        How many single genomes are put forward beside the committees.
    max_correlation
        Largest correlation of daily returns between two champions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    families: tuple[str, ...] = ()
    population: int = Field(240, ge=8, le=100_000)
    generations: int = Field(10, ge=0, le=1_000)
    crossover_probability: float = Field(0.8, ge=0, le=1)
    mutation_rate: float = Field(0.15, ge=0, le=1)
    immigrants: float = Field(0.1, ge=0, le=1)
    min_trades: int = Field(30, ge=1)
    committee_fraction: float = Field(0.05, gt=0, le=1)
    committee_size: int = Field(30, ge=2, le=30)
    champions: int = Field(4, ge=0, le=45)
    max_correlation: float = Field(0.7, ge=0, le=1)

    @model_validator(mode="after")
    def _known_families(self) -> Self:
        unknown = sorted(set(self.families) - set(families()))
        if unknown:
            raise InputError(
                f"unknown families {', '.join(unknown)}",
                where="families",
                remedy=f"choose from {', '.join(families())}",
            )
        return self

    @classmethod
    def profile(cls, name: Profile, *, families: tuple[str, ...] = ()) -> Self:
        """Return the shipped spec of that name: `smoke` to see everything work, `standard` for real cycles."""
        return cls(**_SIZES[name], families=families)

    @property
    def hash(self) -> str:
        """SHA-256 of the spec's canonical JSON."""
        return hashlib.sha256(orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)).hexdigest()
