"""What a dataset is: a class that describes its columns once, and checks every frame that goes by its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import polars as pl

from quant_organism.errors import InputError

BY_INTERVAL: Final = ("market", "interval", "date")
"""Levels of folders of what belongs to the bars of one market: a file per market, interval and day."""

BY_CYCLE: Final = (*BY_INTERVAL, "cycle")
"""Levels of folders of what depends on how was searched and judged: a file per cycle of a day."""

BY_MARKET: Final = ("market", "date")
"""Levels of folders of what belongs to a market whatever its bars: a file per market and day."""


class Column:
    """One column of a table; read from the table's class it is the column's name.

    Parameters
    ----------
    dtype
        Polars type.
    meaning
        What a value says, for people; no full stop at the end.
    unit
        Of the values; empty where they have none.
    key
        Whether it is one of the columns that together tell the rows of one file apart.
    nullable
        Whether a value may be missing. NaN is no missing value.
    optional
        Whether a file may do without the column; only for columns that hang on how a search was set up.
    since, default
        The version of the table in which the column came, and what files that are older are read with.
    """

    def __init__(
        self,
        dtype: pl.DataType,
        meaning: str,
        *,
        unit: str = "",
        key: bool = False,
        nullable: bool = False,
        optional: bool = False,
        since: int = 1,
        default: object = None,
    ) -> None:
        self.dtype = dtype
        self.meaning = meaning
        self.unit = unit
        self.key = key
        self.nullable = nullable
        self.optional = optional
        self.since = since
        self.default = default
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> str:
        return self.name


class Columns:
    """Columns that stand side by side and are named elsewhere, such as metrics; read from the class: their names."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = tuple(columns.values())
        for name, column in columns.items():
            column.name = name

    def __get__(self, instance: object, owner: type) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


class Table:
    """Description of a dataset of the lake; each is a subclass whose attributes are its columns, in their order.

    The first line of a subclass's docstring says what one row is. A subclass of a table has the columns of that table,
    then its own. Tables are used as classes: there are no instances.

    Attributes
    ----------
    dataset
        Name of the dataset, which is the name of its folder; empty where a class only lends its columns.
    version
        Version of the stored form, written into every file.
    partitions
        Levels of folders above a file, by name.
    written_by
        The asset or command that writes it.
    columns, schema, key
        All columns; their names and polars types; the names of those that tell the rows of a file apart.

    Examples
    --------
    >>> class ClosingPriceTable(Table, dataset="closing_prices", partitions=BY_MARKET, written_by="closing_prices"):
    ...     "The last price of one symbol on a day."
    ...     symbol = Column(pl.String(), "the asset", key=True)
    ...     price = Column(pl.Float64(), "last price", unit="USD")
    >>> ClosingPriceTable.price
    'price'
    >>> ClosingPriceTable.frame([("BTC", 97_000.0)]).row(0)
    ('BTC', 97000.0)
    """

    dataset: ClassVar[str] = ""
    version: ClassVar[int] = 1
    partitions: ClassVar[tuple[str, ...]] = ()
    written_by: ClassVar[str] = ""
    columns: ClassVar[tuple[Column, ...]] = ()
    schema: ClassVar[pl.Schema] = pl.Schema()
    key: ClassVar[tuple[str, ...]] = ()
    _no_rows: ClassVar[pl.DataFrame]

    def __init_subclass__(
        cls, *, dataset: str = "", version: int = 1, partitions: Sequence[str] = (), written_by: str = ""
    ) -> None:
        cls.dataset, cls.version, cls.partitions, cls.written_by = dataset, version, tuple(partitions), written_by
        cls.columns = tuple(_columns(cls))
        cls.schema = pl.Schema({column.name: column.dtype for column in cls.columns})
        cls.key = tuple(column.name for column in cls.columns if column.key)
        if hidden := [column.name for column in cls.columns if hasattr(Table, column.name)]:
            raise TypeError(f"{cls.__name__}: {', '.join(hidden)} cannot name a column")

    @classmethod
    def one_row_is(cls) -> str:
        """Return what one row is, in a sentence."""
        return (cls.__doc__ or "").strip().partition("\n\n")[0].replace("\n    ", " ")

    @classmethod
    def empty(cls) -> pl.DataFrame:
        """Return a frame of no rows with all columns."""
        if "_no_rows" not in vars(cls):
            cls._no_rows = cls.schema.to_frame()
        return cls._no_rows.clone()

    @classmethod
    def frame(cls, rows: Iterable[Sequence[Any]] | Iterable[Mapping[str, Any]]) -> pl.DataFrame:
        """Return a frame of rows: tuples in the order of the columns, or mappings by their names.

        What a mapping does not name is null.
        """
        return pl.DataFrame(list(rows), schema=cls.schema, orient="row")

    @classmethod
    def validate(cls, frame: pl.DataFrame, *, where: str = "") -> pl.DataFrame:
        """Return a frame in the order of the columns, if it may be stored by this name.

        Parameters
        ----------
        frame
            What is to be stored.
        where
            Whose frame it is; the dataset's name by default.

        Raises
        ------
        InputError
            A column is missing, has another type or is not described; a value is missing where none may be; two rows
            have the same key.
        """
        where = where or cls.dataset
        ordered = cls.check_columns(frame, where=where)
        if problems := cls.problems(ordered):
            raise InputError("; ".join(problems), where=where, remedy="see docs/tables.md for what the table says")
        return ordered

    @classmethod
    def check_columns(cls, frame: pl.DataFrame, *, where: str) -> pl.DataFrame:
        """Return a frame in the order of the columns.

        Raises
        ------
        InputError
            A column is missing, has another type or is not described.
        """
        return check_frame(
            frame, cls.schema, where=where, optional=[column.name for column in cls.columns if column.optional]
        )

    @classmethod
    def problems(cls, frame: pl.DataFrame) -> list[str]:
        """Say which rows of a frame with the right columns the table does not allow: nulls, and keys that come twice.

        Returns
        -------
        list of str
            One sentence for each kind; empty where all is well.
        """
        found = []
        strict = [column.name for column in cls.columns if not column.nullable and column.name in frame.columns]
        if strict and (missing := {name: n for name, n in zip(strict, _nulls(frame, strict), strict=True) if n}):
            counts = ", ".join(f"{name} in {n} of {frame.height} rows" for name, n in missing.items())
            found.append(f"values are missing: {counts}")
        if cls.key and frame.height > 1 and (again := (keys := frame[list(cls.key)]).is_duplicated()).any():
            first = ", ".join(f"{name} {value}" for name, value in keys.filter(again).row(0, named=True).items())
            found.append(f"{again.sum()} rows share their key with another, the first is {first}")
        return found

    @classmethod
    def adopt(cls, frame: pl.DataFrame, version: int) -> pl.DataFrame:
        """Return what was stored in an older version in the form of this one: columns that came since by default."""
        newer = [column for column in cls.columns if column.since > version and column.name not in frame.columns]
        added = frame.with_columns(pl.lit(column.default, column.dtype).alias(column.name) for column in newer)
        return added.select(name for name in cls.schema if name in added.columns)


def check_frame(frame: pl.DataFrame, schema: pl.Schema, *, where: str, optional: Sequence[str] = ()) -> pl.DataFrame:
    """Return `frame` with exactly the columns of `schema`, in its order.

    Parameters
    ----------
    frame, schema
        What is there, and what there should be.
    where
        Whose frame it is.
    optional
        Columns of the schema that may be missing.

    Raises
    ------
    InputError
        A column is missing, has another type, or is not in the schema.
    """
    found = frame.schema
    wrong = [
        f"{name} is {found[name]}, expected {kind}" if name in found else f"{name} is missing"
        for name, kind in schema.items()
        if found.get(name) != kind and not (name in optional and name not in found)
    ] + [f"{name} is not expected" for name in found if name not in schema]
    if wrong:
        raise InputError(
            f"the columns do not fit: {'; '.join(wrong)}",
            where=where,
            remedy=f"deliver {', '.join(f'{name} {kind}' for name, kind in schema.items())}",
        )
    names = [name for name in schema if name in found]
    return frame if list(found) == names else frame.select(names)


def _columns(table: type[Table]) -> Iterator[Column]:
    """Return the columns of a class and of those that it is made of, theirs first, each name once."""
    seen: dict[str, Column] = {}
    for base in reversed(table.__mro__):
        for value in vars(base).values():
            if isinstance(value, Column | Columns):
                group = (value,) if isinstance(value, Column) else value.columns
                seen |= {column.name: column for column in group}
    yield from seen.values()


def _nulls(frame: pl.DataFrame, names: Sequence[str]) -> tuple[int, ...]:
    return tuple(frame[name].null_count() for name in names)
