"""What is to be judged, declared in YAML: strictly read, every field typed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from quant_organism.errors import InputError
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


JudgeSpec = Annotated[TableSpec, Field(discriminator="kind")]
_SPEC: Final[TypeAdapter[TableSpec]] = TypeAdapter(TableSpec)


def load_spec(source: str) -> tuple[TableSpec, Path]:
    """Return what a YAML file, or a shipped example of that name, declares, and the folder that its paths are of.

    Raises
    ------
    InputError
        The file cannot be read, is no YAML or refers to itself, or a field is unknown, missing or of the wrong kind;
        the message names file and field.
    """
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
        return _SPEC.validate_python(document), path.parent
    except InputError as error:
        raise InputError(error.what, where=f"{source}: {error.where or 'document'}", remedy=error.remedy) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{first['msg']}, not {str(first['input'])[:60]!r}",
            where=f"{source}: {place or 'document'}",
            remedy="see docs/judge.md for every field",
        ) from None
