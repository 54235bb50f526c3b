"""A person's word on symbols that were traded by hand: taken over as they are, or brought back to what was wanted.

What a person trades beside a trader freezes the symbol, and no order changes its position until somebody has said what
is to become of it. The word lies in a file for each symbol; a trader takes it at its next close.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote, unquote

from quant_organism.backtest.account import HandRelease, book
from quant_organism.errors import InputError, StorageError
from quant_organism.resilience import write_file
from quant_organism.trading.runtime import Trader

Word = Literal["adopt", "restore"]

WORDS: Final[tuple[Word, ...]] = ("adopt", "restore")
"""The position is taken over as it is and traded on from there; it is brought back at once, whatever the band."""

_SUFFIX: Final = ".word"


def releases_folder(data_dir: Path) -> Path:
    """Return where the words lie."""
    return data_dir / "trader" / "releases"


def say_release(data_dir: Path, symbol: str, word: str) -> Path:
    """Leave a word on a symbol for the trader's next close, in the place of an earlier one, and return its file.

    Raises
    ------
    InputError
        It is no such word, or no symbol is named.
    StorageError
        It cannot be written.
    """
    if word not in WORDS or not symbol:
        raise InputError(
            f"{word!r} of {symbol!r}", where="trade release", remedy=f"say {' or '.join(WORDS)} of a symbol"
        )
    path = releases_folder(data_dir) / f"{quote(symbol, safe='')}{_SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"a word cannot be left: {error}", where=str(path.parent)) from error
    write_file(path, word.encode())
    return path


@dataclass(frozen=True)
class ReleaseWatcher:
    """Takes words at a close, each once; of a word that is taken and not yet written down a person has to say it again.

    Parameters
    ----------
    folder
        Where they lie.
    """

    folder: Path

    def __call__(self, trader: Trader) -> None:
        """Release the symbols that somebody has spoken of, and note it; what cannot be taken away is left alone."""
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            symbol = unquote(path.name.removesuffix(_SUFFIX))
            try:
                word = path.read_bytes().decode(errors="replace")
                path.unlink()
            except OSError as error:
                trader.note("release", f"the word on {symbol} cannot be taken: {error}", level="warning")
                continue
            account = trader.main.account
            if word not in WORDS or symbol not in account.frozen:
                found = "it is not frozen" if word in WORDS else f"{word[:20]!r} is none of {', '.join(WORDS)}"
                trader.note("release", f"nothing becomes of the word on {symbol}: {found}", level="warning")
                continue
            book(account, HandRelease(symbol, restore=word == "restore"))
            trader.note("release", f"{symbol}, which was traded by hand, is free again: {word}")
