"""What the columns of a table are, by the names that makers give them; what is not clear is asked for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from quant_organism.errors import InputError
from quant_organism.market.files.table import CANDLE_VALUES, FUNDING_VALUES, TRADE_VALUES, USD_LIKE, Kind

FIELDS: Final = ("time", *CANDLE_VALUES, "symbol", *FUNDING_VALUES, "price", "amount", "id")
"""What a column can be, as `--columns` names it."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Each field's names in steps: a name of an earlier step goes before those of a later one.
_NAMES: Final[Mapping[str, tuple[frozenset[str], ...]]] = {
    "time": (
        _words("opentime timeopen openingtime starttime timestart startat start windowstart periodstart"),
        _words(
            "timestamp time date datetime unix unixtime unixtimestamp ts t epoch dateutc timeutc datetimeutc gmttime "
            "timestamputc timestampms timems calctime fundingtime fundingratetimestamp transacttime"
        ),
        frozenset(("", "unnamed0", "index", "indexlevel0")),
    ),
    "open": (_words("open o openprice priceopen openingprice openpx"),),
    "high": (_words("high h highprice pricehigh highpx max"),),
    "low": (_words("low l lowprice pricelow lowpx min"),),
    "close": (_words("close c closeprice priceclose closingprice closepx closelast"), frozenset(("last",))),
    "volume": (_words("volume vol v basevolume volumebase volumefrom"),),
    "symbol": (_words("symbol ticker pair coin asset instrument market product productid instid tic"),),
    "funding_rate": (_words("fundingrate lastfundingrate"),),
    "price": (_words("price px tradeprice"),),
    "amount": (_words("amount qty quantity size sz volume vol"),),
    "id": (_words("id tradeid tid aggtradeid trdmatchid"),),
}
_NEEDED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "candles": ("time", *CANDLE_VALUES),
    "funding": ("time", *FUNDING_VALUES),
    "trades": ("time", *TRADE_VALUES),
}
_QUOTES: Final = frozenset(quote.lower() for quote in USD_LIKE) | _words(
    "currency quote quoteasset to eur gbp jpy krw try brl aud"
)
# Beside one of these the volume may count contracts, base or quote units, by maker and market.
_VOLUME_DOUBT: Final = frozenset(("amount", "volccy", "volumeccy", "tickvol", "tickvolume"))
_IN_QUOTE_BESIDE: Final = frozenset(("adjclose", "marketcap"))
_TELLING: Final = 3
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Header:
    """The columns of a table.

    Parameters
    ----------
    kind
        What its rows are.
    columns
        Field of `FIELDS` -> the file's column; `time` is the first of `times`.
    times
        Columns that may hold the time, all of one rank.
    quote_volume
        Whether the volume counts money, as aggregators (Yahoo, CoinMarketCap) have it.
    """

    kind: Kind
    columns: Mapping[str, str]
    times: tuple[str, ...]
    quote_volume: bool


def parse_columns(texts: Sequence[str]) -> dict[str, str]:
    """Return field -> column of texts such as ``close=Last``.

    Raises
    ------
    InputError
        A text has another form, or names an unknown field or one field twice.
    """
    said: dict[str, str] = {}
    for text in texts:
        field, mark, column = (part.strip() for part in text.partition("="))
        if not mark or not column or field not in FIELDS or field in said:
            why = f"{field} is named twice" if field in said else f"{text!r} names no column"
            raise InputError(
                why,
                where="option --columns",
                remedy=f"write FIELD=COLUMN, separated by commas, each of {', '.join(FIELDS)} once at most",
            )
        said[field] = column
    return said


def recognise(names: Sequence[str], said: Mapping[str, str], *, where: str) -> Header | None:
    """Return what the columns of these names are; None where they are no table of a market.

    Parameters
    ----------
    names
        The file's columns, in order.
    said
        Field -> column, as `parse_columns` gives it; goes before what the names say.
    where
        The file, for messages.

    Raises
    ------
    InputError
        A column is missing or may be two things, or one that was said is not there.
    """
    plain = {name: _NOT_A_NAME.sub("", name.lower()) for name in names}
    for field, column in said.items():
        if column not in names:
            raise InputError(
                f"--columns says {field}={column}, but there is no such column; found {', '.join(names)}",
                where=where,
                remedy="name a column as the file writes it, or by its number where the file has no names",
            )
    kind = _kind(plain, said)
    if kind is None:
        return None
    columns = dict(said)
    times: tuple[str, ...] = ()
    for field in (*_NEEDED[kind], "symbol", *(("id",) if kind == "trades" else ())):
        if field in said:
            times = (said[field],) if field == "time" else times
            continue
        fitting = _fitting(field, plain, taken=set(said.values()))
        if field == "time" and fitting:
            times = fitting
        elif len(fitting) > 1:
            raise _ambiguous(field, fitting, where)
        if fitting:
            columns[field] = fitting[0]
        elif field in _NEEDED[kind]:
            raise _missing(field, plain, said, where)
    money = kind == "candles" and "volume" not in said and bool(_IN_QUOTE_BESIDE & set(plain.values()))
    return Header(kind, columns, times, money)


def _kind(plain: Mapping[str, str], said: Mapping[str, str]) -> Kind | None:
    present = {field for field in FIELDS if field in said or _fitting(field, plain, taken=set())}
    if "funding_rate" in present and not {"open", "high"} & present:
        return "funding"
    if {"price", "amount", "time"} <= present and not {"open", "high", "low"} & present:
        return "trades"
    if len(present & {"time", *CANDLE_VALUES}) >= _TELLING and present & {"open", "high", "low", "close"}:
        return "candles"
    return None


def _fitting(field: str, plain: Mapping[str, str], *, taken: set[str]) -> tuple[str, ...]:
    free = {name: text for name, text in plain.items() if name not in taken}
    if field == "close" and {"open", "high", "low"} <= set(plain.values()) and "close" not in plain.values():
        free = {name: "close" if text == "price" else text for name, text in free.items()}
    for step in _NAMES[field]:
        fitting = tuple(name for name, text in free.items() if text in step)
        if fitting:
            doubtful = tuple(name for name, text in free.items() if text in _VOLUME_DOUBT)
            return (*fitting, *doubtful) if field == "volume" and "volume" not in free.values() else fitting
    if field != "volume":
        return ()
    volumes = {name: text.removeprefix("volume") for name, text in free.items() if text.startswith("volume")}
    return tuple(name for name, what in volumes.items() if what not in _QUOTES)


def _missing(field: str, plain: Mapping[str, str], said: Mapping[str, str], where: str) -> InputError:
    others = {name: text for name, text in plain.items() if name not in said.values()}
    unknown = [name for name in others if not any(_fitting(one, {name: plain[name]}, taken=set()) for one in FIELDS)]
    say, export = f"say which column it is: --columns {field}=COLUMN", f"export the file again with its {field}"
    return InputError(
        f"column {field} missing; found {', '.join(plain)}", where=where, remedy=say if unknown else export
    )


def _ambiguous(field: str, fitting: Sequence[str], where: str) -> InputError:
    return InputError(
        f"{field} may be any of the columns {', '.join(fitting)}",
        where=where,
        remedy=f"say which one: --columns {field}={fitting[0]}"
        + ("; it must count base units (coins)" if field == "volume" else ""),
    )
