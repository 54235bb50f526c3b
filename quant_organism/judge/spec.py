"""What is to be judged, declared in YAML: strictly read, every field typed."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from quant_organism.errors import InputError
from quant_organism.evolution.proposals import FileProposals, genome_of
from quant_organism.judge.outside import CallableStrategy, DocumentStrategy
from quant_organism.judge.parameters import MOST_TRIALS, ParameterRange, ParameterValue, space_of, trials_of
from quant_organism.judge.sandbox import Form, SandboxLimits, StrategySource
from quant_organism.strategies.handwritten.load import MAX_BYTES, parse

EXAMPLES: Final = Path(__file__).parent / "examples"
"""Shipped documents, each judged by its name."""


class JudgedDocument(BaseModel):
    """What every document of the judge says.

    Parameters
    ----------
    name
        What the page calls the strategy.
    tried
        How many trials were really tried before this one was put forward, itself included.
    seed
        Of everything that is drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str | None = Field(None, min_length=1, max_length=100)
    tried: int | None = Field(None, ge=1, le=10**9)
    seed: int = Field(0, ge=0, lt=2**32)


class TableSpec(JudgedDocument):
    """A table of trials.

    Parameters
    ----------
    table
        CSV or Parquet file of daily returns, beside the document where the path is relative.
    chosen
        Column that was chosen.
    unseen_from
        First day on which nothing was chosen.
    days_per_year
        Returns a year.
    """

    kind: Literal["table"]
    table: str
    chosen: str
    unseen_from: date | None = None
    days_per_year: int = Field(365, ge=200, le=366)


class CourtDocument(JudgedDocument):
    """What every document says of a strategy that can be run.

    Parameters
    ----------
    file
        The strategy, beside the document where the path is relative.
    copies
        Copies of the market on which the whole search is repeated: 19 reach 0.05, 99 reach 0.01.
    """

    file: str
    copies: int = Field(99, ge=19, le=9_999)


class SandboxedDocument(CourtDocument):
    """What every document says of a strategy that is code: it runs shut in.

    Parameters
    ----------
    parameters
        By name a value, a list of values, or a range (`low`, `high`, `step`). More than one combination is a search.
    budget
        Most trials of the search; all combinations where it holds them.
    seconds, memory_mb
        Limits of one call.
    """

    parameters: dict[str, ParameterRange | list[ParameterValue] | ParameterValue] = Field(default_factory=dict)
    budget: int | None = Field(None, ge=1, le=MOST_TRIALS)
    seconds: float = Field(120.0, gt=0, le=3_600)
    memory_mb: int = Field(4_096, ge=512, le=65_536)

    def _strategy(self, folder: Path, form: Form, function: str, *, trusted: bool) -> CallableStrategy:
        path = folder / self.file
        limits = SandboxLimits(seconds=self.seconds, memory_mb=self.memory_mb)
        source = StrategySource(path=path, function=function, form=form, limits=limits, trusted=trusted)
        trials = trials_of(self.parameters, self.budget, self.seed)
        return CallableStrategy(self.name or path.stem, source, trials)


class CallableSpec(SandboxedDocument):
    """A Python callable, or a search over its parameters.

    Parameters
    ----------
    function
        `function(panel, **parameters)` returns targets in [-1, 1] of shape (bars, assets).
    """

    kind: Literal["callable"]
    function: str = Field("signal", pattern="^[A-Za-z_][A-Za-z0-9_]*$")

    def strategy(self, folder: Path, *, trusted: bool = False) -> CallableStrategy:
        """Return the strategy that this declares.

        Parameters
        ----------
        folder
            That its path is of.
        trusted
            Run it without walls.
        """
        return self._strategy(folder, "callable", self.function, trusted=trusted)


class FreqtradeSpec(SandboxedDocument):
    """A freqtrade file, or a search over the parameters that its class declares.

    Parameters
    ----------
    strategy_class
        Which class, where the file holds several.
    """

    kind: Literal["freqtrade"]
    strategy_class: str = Field("", pattern="^([A-Za-z_][A-Za-z0-9_]*)?$")

    def strategy(self, folder: Path, *, trusted: bool = False) -> CallableStrategy:
        """Return the strategy that this declares; arguments as of a callable."""
        return self._strategy(folder, "freqtrade", self.strategy_class, trusted=trusted)


class DocumentSpec(CourtDocument):
    """A condition document, or a genome or tree as it is stored: `{family, genes}`."""

    kind: Literal["document"]

    def strategy(self, folder: Path) -> DocumentStrategy:
        """Return the strategy that this declares.

        Raises
        ------
        InputError
            The file is no such document; what is wrong and where is said.
        """
        path = folder / self.file
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise InputError(
                f"cannot be read: {error.strerror}", where=str(path), remedy="give a condition document or a genome"
            ) from None
        try:
            genome = genome_of(parse(content, as_json=path.suffix == ".json"))
        except InputError as error:
            raise InputError(error.what, where=f"{path}: {error.where or 'document'}", remedy=error.remedy) from None
        return DocumentStrategy(self.name or path.stem, (genome,))


class ProposalsSpec(CourtDocument):
    """Proposals in a file, one JSON object a line: condition documents or genomes, the best of which is judged.

    Parameters
    ----------
    budget
        Most lines that are read.
    """

    kind: Literal["proposals"]
    budget: int = Field(1_000, ge=1, le=MOST_TRIALS)

    def proposer(self, folder: Path) -> FileProposals:
        """Return who proposes."""
        return FileProposals(folder / self.file)


JudgeSpec = TableSpec | CallableSpec | FreqtradeSpec | DocumentSpec | ProposalsSpec
_SPEC: Final[TypeAdapter[JudgeSpec]] = TypeAdapter(Annotated[JudgeSpec, Field(discriminator="kind")])


def load_spec(source: str) -> tuple[JudgeSpec, Path]:
    """Return what a YAML file, or a shipped example of that name, declares, and the folder that its paths are of.

    The path of a Python file means the freqtrade class in it, or else a callable, with everything else by default.

    Raises
    ------
    InputError
        The file cannot be read, is no YAML or refers to itself, or a field is unknown, missing or of the wrong kind;
        the message names file and field.
    """
    if source.endswith(".py"):
        path = Path(source)
        if _is_freqtrade(StrategySource(path=path).read()):
            return FreqtradeSpec(kind="freqtrade", file=path.name), path.parent
        return CallableSpec(kind="callable", file=path.name), path.parent
    shipped = EXAMPLES / f"{source}.yaml"
    path = shipped if source.isidentifier() and shipped.is_file() else Path(source)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            where=source,
            remedy="give the path of a YAML file, as docs/judge.md shows it",
        ) from None
    try:
        document: Any = parse(text, as_json=False)
    except InputError as error:
        raise InputError(error.what, where=f"{source}: {error.where or 'document'}", remedy=error.remedy) from None
    return _validated(document, source), path.parent


def with_space(spec: JudgeSpec, space: Sequence[str] = (), budget: int | None = None) -> JudgeSpec:
    """Return a document with parameters and a budget that are said by options; they stand before its own.

    Parameters
    ----------
    spec
        The document.
    space
        As `parameters.space_of` takes them.
    budget
        Most trials; none: the document's.

    Raises
    ------
    InputError
        It has no parameters or no budget, or what is said would be refused in a document.
    """
    said: dict[str, Any] = {}
    if space:
        if not isinstance(spec, SandboxedDocument):
            raise InputError(f"{spec.kind}: no code with parameters", where="option --space", remedy="leave it out")
        said["parameters"] = {**spec.model_dump()["parameters"], **space_of(space)}
    if budget is not None:
        if not isinstance(spec, SandboxedDocument | ProposalsSpec):
            raise InputError(f"{spec.kind}: no search", where="option --budget", remedy="leave it out")
        said["budget"] = budget
    return _validated(spec.model_dump() | said, "option --space" if space else "option --budget")


def _validated(document: Any, source: str) -> JudgeSpec:
    try:
        return _SPEC.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{first['msg']}, not {str(first['input'])[:60]!r}",
            where=f"{source}: {place or 'document'}",
            remedy="see docs/judge.md for every field",
        ) from None


def _is_freqtrade(content: bytes) -> bool:
    try:
        parsed = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # who loads it says what is wrong
    bases = [base for each in parsed.body if isinstance(each, ast.ClassDef) for base in each.bases]
    return any(getattr(base, "id", getattr(base, "attr", "")) == "IStrategy" for base in bases)
