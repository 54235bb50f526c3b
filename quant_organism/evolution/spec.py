"""What a search is: its size, its operators' rates, its constraints, its budgets and its final choice."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from quant_organism.errors import InputError
from quant_organism.evolution.fitness import Fitness
from quant_organism.evolution.objectives import DEFAULT_OBJECTIVES, objectives_named
from quant_organism.strategies import family_names, ranking_family_names

Profile = Literal["smoke", "demo", "standard", "full"]

PROFILES: Final[tuple[str, ...]] = get_args(Profile)

SEARCH_SHARE: Final = 0.5
"""Share of the hours that the search may take; validation gets 37.5 %, deployment the rest."""

Choice = Literal["auto", "pooled", "per_asset", "own_assets"]

_SIZES: dict[str, dict[str, int]] = {
    "smoke": {"islands": 2, "population": 30, "generations": 4},
    "demo": {"islands": 5, "population": 30, "generations": 5, "models_per_family": 2},
    "standard": {"islands": 5, "population": 50, "generations": 10},
    "full": {"islands": 10, "population": 50, "generations": 20},
}

_LONGEST_FILE = 64 * 2**10


class EvolutionSpec(BaseModel):
    """Everything that decides a search besides panel, costs and seed.

    Parameters
    ----------
    families
        Families that take part; None means all that do by default.
    islands
        Populations that evolve side by side, each founded by a group of families.
    population
        Genomes of an island that are kept from generation to generation, at most.
    generations
        Rounds of variation and selection after the random founding.
    crossover_probability, mutation_rate
        Probability that a pair of parents exchanges genes; probability that a gene of a child moves.
    rates
        `fixed`: these two stay as they are; `adaptive`: each island adapts them to what succeeds.
    elite
        Share of a population whose seats are not up for replacement: a brood has `population x (1 - elite)` genomes.
    immigrants
        Share of every brood that is drawn at random, so that the search never closes.
    migration_interval, migration_share
        Generations between migrations, and the share of each population that is copied to the next island of the ring.
    restart_after
        Generations without gain in hypervolume after which an island keeps its elite and founds the rest anew.
    objectives
        Names of the objectives, as `objectives.KNOWN_OBJECTIVES` lists them.
    selection
        `nsga2`: crowding decides within a front; `nsga3`: reference directions do.
    min_trades
        Closed trades over the in-sample span below which a genome is infeasible.
    fitness
        What the search takes for the Sharpe ratio among its objectives; `fitness.py` says what each is.
    fitness_neighbours
        Over how many genomes the smoothed fitness takes its mean.
    complexity_penalty, turnover_penalty
        Sharpe ratio that a part of a rule, and a turnover of 1,000 times the equity a year, must be worth.
    models_per_family
        Sets of model genes that the genomes of a fitted family share, so that few models are fitted.
    max_evaluations
        Genomes measured in all, at most; the search stops at the last generation that fits.
    hours
        Time of the whole cycle; the search stops at the end of the last generation that fits into half of it.
    cost_per_worker_hour_usd, cost_limit_usd
        Price of a worker, and what the search may cost; without a price no cost is known.
    choice
        What the committee is made of; `candidates.py` says what each is. `auto`: as the evidence asks for.
    committee_fraction, committee_size
        The best share of what it is made of that forms the committee, and its largest number of members.
    champions
        How many single genomes are put forward beside the committee.
    max_correlation
        Largest correlation of daily returns between two champions.

    Raises
    ------
    InputError
        Families or objectives that do not exist, or budgets that not even the founding fits into.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    families: tuple[str, ...] | None = None
    islands: int = Field(10, ge=1, le=1_000)
    population: int = Field(50, ge=8, le=100_000)
    generations: int = Field(20, ge=0, le=1_000)
    crossover_probability: float = Field(0.8, ge=0, le=1)
    mutation_rate: float = Field(0.15, ge=0, le=1)
    rates: Literal["fixed", "adaptive"] = "fixed"
    elite: float = Field(0.3, ge=0, lt=1)
    immigrants: float = Field(0.1, ge=0, le=1)
    migration_interval: int = Field(5, ge=1)
    migration_share: float = Field(0.05, ge=0, le=0.5)
    restart_after: int = Field(8, ge=1)
    objectives: tuple[str, ...] = DEFAULT_OBJECTIVES
    selection: Literal["nsga2", "nsga3"] = "nsga2"
    min_trades: int = Field(30, ge=1)
    fitness: Fitness = "plain"
    fitness_neighbours: int = Field(5, ge=1, le=1_000)
    complexity_penalty: float = Field(0.0, ge=0, allow_inf_nan=False)
    turnover_penalty: float = Field(0.0, ge=0, allow_inf_nan=False)
    models_per_family: int = Field(4, ge=1, le=1_000)
    max_evaluations: int | None = Field(None, ge=1)
    hours: float | None = Field(None, gt=0, allow_inf_nan=False)
    cost_per_worker_hour_usd: float | None = Field(None, ge=0, allow_inf_nan=False)
    cost_limit_usd: float | None = Field(None, gt=0, allow_inf_nan=False)
    choice: Choice = "auto"
    committee_fraction: float = Field(0.05, gt=0, le=1)
    committee_size: int = Field(30, ge=2, le=30)
    champions: int = Field(0, ge=0, le=45)
    max_correlation: float = Field(0.7, ge=0, le=1)

    @model_validator(mode="after")
    def _known_families(self) -> Self:
        if self.families is None:
            return self
        if not self.families:
            raise InputError("no family is named", where="families", remedy="name some, or leave the key out for all")
        known = (*family_names(), *ranking_family_names())
        unknown = sorted(set(self.families) - set(known))
        if unknown:
            raise InputError(
                f"unknown families {', '.join(unknown)}",
                where="families",
                remedy=f"choose from {', '.join(known)}",
            )
        return self

    @model_validator(mode="after")
    def _known_objectives(self) -> Self:
        objectives_named(self.objectives)
        return self

    @model_validator(mode="after")
    def _budgets_fit(self) -> Self:
        if self.max_evaluations is not None and self.max_evaluations < self.strategies:
            raise InputError(
                f"{self.max_evaluations} evaluations do not reach for the founding of {self.islands} islands "
                f"of {self.population}",
                where="max_evaluations",
                remedy=f"allow at least {self.strategies}, or search with fewer islands or smaller populations",
            )
        if self.cost_limit_usd is not None and self.cost_per_worker_hour_usd is None:
            raise InputError(
                "a cost is limited, but what a worker costs is not known",
                where="cost_limit_usd",
                remedy="say cost_per_worker_hour_usd too",
            )
        return self

    @classmethod
    def profile(cls, name: Profile, **fields: Any) -> Self:
        """Return the shipped spec of that name, with other values for some of its fields.

        `smoke` to see everything work, `demo` for the planted edge of the world `demo`, `standard` for a cycle of two
        minutes, `full` for one of the size that the documents ask for.

        Raises
        ------
        InputError
            A field or value that cannot be used.
        """
        return cls._parse({**_SIZES[name], **fields}, where="search")

    @classmethod
    def read(cls, path: Path, **fields: Any) -> Self:
        """Read a spec from a YAML file, with other values for some of its fields; the rest is as by default.

        Raises
        ------
        InputError
            No such file, not YAML, or a key or value that cannot be used; the message names file and key.
        """
        return cls._parse({**_read_yaml(path), **fields}, where=str(path))

    @classmethod
    def _parse(cls, fields: Mapping[str, Any], *, where: str) -> Self:
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = f"{where}: {'.'.join(str(part) for part in first['loc'])}"
            if first["type"] == "extra_forbidden":
                known = f"known: {', '.join(sorted(cls.model_fields))}"
                raise InputError("no such key", where=place, remedy=known) from None
            what = f"{first['msg']}, not {first['input']!r}"
            raise InputError(what, where=place, remedy="correct the value") from None
        except InputError as error:
            raise InputError(error.what, where=f"{where}: {error.where}", remedy=error.remedy) from None

    @property
    def strategies(self) -> int:
        """Size of all populations together."""
        return self.islands * self.population

    @property
    def brood(self) -> int:
        """Genomes that an island asks for in a generation after the founding."""
        return self.population - round(self.elite * self.population)

    @property
    def uninterrupted(self) -> Self:
        """The same search without budgets of time and money: they end it sooner or later and change nothing else."""
        return self.model_copy(update={"hours": None, "cost_limit_usd": None, "cost_per_worker_hour_usd": None})

    @property
    def hash(self) -> str:
        """SHA-256 of the spec's canonical JSON."""
        return hashlib.sha256(orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _LONGEST_FILE:
            raise InputError(f"more than {_LONGEST_FILE} bytes", where=str(path), remedy="shorten it")
        content = yaml.safe_load(path.read_bytes())
    except RecursionError as error:
        raise InputError("nested too deeply", where=str(path), remedy="correct the file") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), remedy="correct the file") from error
    if not isinstance(content, dict):
        raise InputError("not a mapping of settings", where=str(path), remedy="see docs/evolution.md for an example")
    return content
