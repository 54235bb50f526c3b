"""The few exception types of the project. Each message says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial


class QuantOrganismError(Exception):
    """Base of every error that a person can mend.

    Parameters
    ----------
    what
        What was found, against what was expected.
    where
        File, line, symbol, timestamp or field that it was found in.
    remedy
        What to do about it, in the imperative.
    """

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(what, where, remedy)

    def __reduce__(self) -> tuple[Callable[..., QuantOrganismError], tuple[str]]:
        return partial(type(self), where=self.where, remedy=self.remedy), (self.what,)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  -> {self.remedy}" if self.remedy else text


class InputError(QuantOrganismError):
    """Something that a person handed in (data, document, option, gene) is not usable."""


class DataQualityError(QuantOrganismError):
    """Market data are readable but too poor to evolve on."""


class StorageError(QuantOrganismError):
    """A folder or disk cannot be used: read-only, full, missing."""


class IntegrityError(QuantOrganismError):
    """Something at rest is not what its hash, checksum or schema version says."""


class BusyError(QuantOrganismError):
    """Another process holds what this one needs."""
