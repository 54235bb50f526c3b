"""What a gate is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from quant_organism.validation.verdict import Stage, Verdict, at_least, at_most, not_applicable, not_run

if TYPE_CHECKING:
    from quant_organism.validation.case import Case


class Gate(BaseModel, ABC):
    """One test of a candidate. Its fields are what a profile may set; equal gates are judged once.

    A kind of gate stands in `profile.KINDS` under the name by which profiles call it. A number that cannot be measured
    makes a verdict `not_run` with the reason; it is no error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]

    @property
    @abstractmethod
    def stage(self) -> Stage:
        """Where it stands in the order, and which evidence it may ask for."""

    @property
    def name(self) -> str:
        """What its verdict is called: the same for every candidate."""
        return self.kind

    @property
    @abstractmethod
    def threshold(self) -> float:
        """The bound that decides; nan for a gate that only informs."""

    @abstractmethod
    def judge(self, case: Case) -> Verdict:
        """Return the verdict on a candidate."""

    def at_least_threshold(self, value: float, n_used: int, reason: str | None = None, *, of: str = "") -> Verdict:
        """Return the verdict on a number that has to reach the threshold."""
        return at_least(self.stage, self.name, value, self.threshold, n_used, reason, of=of)

    def at_most_threshold(self, value: float, n_used: int, reason: str | None = None, *, of: str = "") -> Verdict:
        """Return the verdict on a number that must not exceed the threshold."""
        return at_most(self.stage, self.name, value, self.threshold, n_used, reason, of=of)

    def fails(self, reason: str, n_used: int = 0) -> Verdict:
        """Return the verdict on what cannot pass, whatever its number would be."""
        return Verdict(self.stage, self.name, "failed", math.nan, self.threshold, n_used, reason)

    def without(self, reason: str, n_used: int = 0) -> Verdict:
        """Return the verdict where the number could not be measured."""
        return not_run(self.stage, self.name, self.threshold, reason, n_used)

    def beside_the_point(self, reason: str) -> Verdict:
        """Return the verdict where there is nothing that it could look at."""
        return not_applicable(self.stage, self.name, self.threshold, reason)

    def to_dict(self) -> dict[str, Any]:
        """Return what a profile says of it."""
        return {"gate": self.kind, **self.model_dump()}
