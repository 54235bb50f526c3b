"""Which files of a folder hold market data, and in whose format; everything else is named and left alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from quant_organism.errors import InputError
from quant_organism.market.files import binance_vision, cryptodatadownload, freqtrade, hyperliquid_frames, tidy
from quant_organism.market.files.any_table import Hints
from quant_organism.market.files.any_table import claim as claim_table
from quant_organism.market.files.reading import cannot_read
from quant_organism.market.files.table import Claim, DataFile, LeftAside

# In this order: freqtrade and Binance Vision claim by the whole name, the others by suffix or first bytes. What none of
# them knows may be a table with columns that can be recognised.
_FORMATS: Final[tuple[Callable[[Path], Claim], ...]] = (
    freqtrade.claim,
    binance_vision.claim,
    cryptodatadownload.claim,
    hyperliquid_frames.claim,
    tidy.claim,
)
_READABLE: Final = (
    "tidy Parquet (BTC.parquet, BTC.funding.parquet), freqtrade (BTC_USDC_USDC-1h-futures.feather, .json, .json.gz), "
    "Binance Vision (BTCUSDT-1h-2024-01.csv or .zip), CryptoDataDownload CSV, Hyperliquid frames (.jsonl), "
    "or any CSV, Parquet or feather table with columns of time, open, high, low, close, volume; name columns that are "
    "called otherwise with --columns"
)


def find_files(path: Path, hints: Hints | None = None) -> tuple[tuple[DataFile, ...], tuple[str, ...]]:
    """Return the market data files at `path` (a folder or one file), by name, and a sentence on each file left aside.

    Tables of any format are read by what `hints` says of their columns or times, if it says anything.

    Raises
    ------
    InputError
        There is nothing at `path`, or nothing that a format claims.
    """
    if not path.exists():
        raise InputError("there is no such file or folder", where=str(path), remedy="check the path")
    if not (path.is_dir() or path.is_file()):
        raise InputError("it is neither a folder nor a regular file", where=str(path), remedy="check the path")
    hints = Hints() if hints is None else hints
    claims = _claims_of_folder(path, hints) if path.is_dir() else {path: _claim(path, hints)}
    files = tuple(claim for claim in claims.values() if isinstance(claim, DataFile))
    aside = {at: claim.reason for at, claim in claims.items() if isinstance(claim, LeftAside)}
    aside |= {at: "no market data that the project knows" for at, claim in claims.items() if claim is None}
    if not files:
        reasons = "; ".join(f"{at.name}: {reason}" for at, reason in aside.items()) or "the folder is empty"
        raise InputError(
            f"no market data to read ({reasons})" if len(aside) < 8 else "no market data to read",
            where=str(path),
            remedy=f"point to a folder or a file of: {_READABLE}",
        )
    return files, tuple(f"{at.name} was left aside: {aside[at]}." for at in sorted(aside))


def _claims_of_folder(folder: Path, hints: Hints) -> dict[Path, Claim]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise cannot_read(folder, error) from error
    return {entry: _entry_claim(entry, folder, hints) for entry in entries}


def _entry_claim(entry: Path, folder: Path, hints: Hints) -> Claim:
    if entry.name.startswith("."):
        return LeftAside("hidden files are not read")
    if entry.is_symlink() and not entry.resolve().is_relative_to(folder.resolve()):
        return LeftAside("the link leads out of the folder")
    if entry.is_dir():
        return LeftAside("folders inside are not entered")
    if not entry.is_file():
        return LeftAside("it is no regular file")
    if entry.suffix == ".zip" and entry.with_suffix(".csv").exists():
        return LeftAside(f"{entry.with_suffix('.csv').name} stands unpacked beside it")
    return _claim(entry, hints)


def _claim(path: Path, hints: Hints) -> Claim:
    """Return the first format's word on a file, a table's first where a person said how to read it; no format, None."""
    if hints and (said := claim_table(path, hints)) is not None:
        return said
    known = next((claim for claim_of in _FORMATS if (claim := claim_of(path)) is not None), None)
    return claim_table(path, hints) if known is None else known
