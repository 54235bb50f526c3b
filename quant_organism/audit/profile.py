"""How large an audit's cycles are: the search, the tests around it, the gates, and the days of a world."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final, Self

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_organism.audit.edges import ASSETS, WIDE, edges, relative_edges
from quant_organism.backtest import Costs
from quant_organism.cycle import CyclePlan, SignificancePlan
from quant_organism.errors import InputError
from quant_organism.evolution import EvolutionSpec
from quant_organism.strategies import evolving_families
from quant_organism.validation import Profile

_PROFILES: Final = Path(__file__).parent / "profiles"
_LONGEST_FILE: Final = 64 * 2**10


class AuditProfile(BaseModel):
    """A frozen organism: all that decides what it does in a world besides the world itself.

    Parameters
    ----------
    name
        What reports call it.
    days, later_days
        Days that the organism is given, of which the search sees 60 %, and days after them that only the audit reads.
    search
        The search; what is not said is as by default.
    ranking
        Families that take part besides those of the search where assets are ranked.
    strategies, copies
        Random strategies of the test before the search, of which families that are added there get as many each as the
        others, and the copies of the market that they are measured on.
    searches
        Copies that the whole search is repeated on, at most.
    gates
        Profile of the gauntlet: a shipped one, or the path of a YAML file.
    every_gate
        Ask every gate in every world, whoever has fallen before, so that it is known what each adds and costs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    days: int = Field(730, ge=180, le=3_650)
    later_days: int = Field(365, ge=60, le=3_650)
    search: EvolutionSpec
    ranking: tuple[str, ...] = ()
    strategies: int = Field(ge=1, le=100_000)
    copies: int = Field(ge=1, le=10_000)
    searches: int = Field(ge=1, le=10_000)
    gates: str = "full"
    every_gate: bool = True

    @classmethod
    def load(cls, source: str) -> Self:
        """Return a shipped profile by its name, or one from a YAML file by its path.

        Raises
        ------
        InputError
            No such profile, or a key or value that cannot be used; the message names file and key.
        """
        shipped = shipped_profiles()
        path = _PROFILES / f"{source}.yaml" if source in shipped else Path(source)
        remedy = f"choose {', '.join(shipped)}, or give the path of a YAML file"
        try:
            with path.open("rb") as file:
                text = file.read(_LONGEST_FILE + 1)
            if len(text) > _LONGEST_FILE:
                raise InputError(f"more than {_LONGEST_FILE} bytes", where=str(path), remedy="shorten it")
            content: Any = yaml.safe_load(text)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise InputError(f"no audit profile can be read: {error}", where=source, remedy=remedy) from error
        if not isinstance(content, dict):
            raise InputError("not a mapping of settings", where=str(path), remedy="see docs/audit.md for an example")
        try:
            profile = cls.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = f"{path}: {'.'.join(str(part) for part in first['loc'])}"
            raise InputError(f"{first['msg']}, not {first['input']!r}", where=place, remedy="correct it") from None
        except InputError as error:
            raise InputError(error.what, where=f"{path}: {error.where}", remedy=error.remedy) from None
        Profile.load(profile.gates)  # now rather than in each world
        return profile

    @property
    def costs(self) -> Costs:
        """What trading costs."""
        return Costs()

    def plan(self, seed: int) -> CyclePlan:
        """Return the plan of a cycle.

        Parameters
        ----------
        seed
            Of the search and of everything else that is drawn.
        """
        return CyclePlan(
            spec=self.search,
            gates=Profile.load(self.gates),
            seed=seed,
            significance=SignificancePlan(strategies=self.strategies, copies=self.copies, searches=self.searches),
            costs=self.costs,
            every_gate=self.every_gate,
        )

    @property
    def with_ranking(self) -> Self:
        """The same with the families that rank among those of the search."""
        own = self.search.families or evolving_families()
        every = tuple(dict.fromkeys((*own, *self.ranking)))
        search = EvolutionSpec.model_validate({**self.search.model_dump(), "families": every})
        return self.model_copy(update={"search": search, "strategies": self.strategies * len(every) // len(own)})

    @property
    def hash(self) -> str:
        """SHA-256 of the profile, the gates that it names, the costs and the worlds' edges."""
        content = {
            "profile": self.model_dump(exclude={"name"}),
            "gates": Profile.load(self.gates).hash,
            "costs": self.costs.hash,
            "edges": [edge.model_dump() for edge in (*edges(), *relative_edges())],
            "assets": [asset.model_dump(mode="json") for asset in (*ASSETS, *WIDE)],
        }
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def shipped_profiles() -> tuple[str, ...]:
    """Return the names of the audit profiles that come with the package."""
    return tuple(sorted(path.stem for path in _PROFILES.glob("*.yaml")))
