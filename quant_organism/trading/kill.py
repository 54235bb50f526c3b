"""The kill switch: an account is made flat by the venue alone, and whoever trades it is told to stop.

It needs nothing of a trader: no journal, no ledger, no lock, no room on the disk. It is done when the venue has shown
twice that nothing is open and nothing is held. The flag that it leaves is what a trader looks at before it enters; only
a person takes it away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from quant_organism.errors import StorageError
from quant_organism.resilience import write_file
from quant_organism.trading.orders import Journal, NotFlat, OrderManager, Venue, flatten
from quant_organism.venue import VenueError

_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class KillFlag:
    """Whoever trades must stop.

    Parameters
    ----------
    at_ms
        When it was said, UTC milliseconds.
    account
        Network and address.
    reason
        In a person's words.
    """

    at_ms: int
    account: str
    reason: str


@dataclass(frozen=True)
class Killed:
    """How an account was made flat.

    Parameters
    ----------
    is_flat
        Whether the venue has shown it twice.
    rounds
        Of cancelling and closing.
    seconds
        That it took.
    left
        What the venue still showed, in words; empty where it is flat.
    flag_problem
        Why no flag could be left; empty where one was.
    """

    is_flat: bool
    rounds: int
    seconds: float
    left: str
    flag_problem: str


def kill_file(data_dir: Path) -> Path:
    """Return where the flag lies."""
    return data_dir / "trader" / "killed.json"


def raise_flag(path: Path, flag: KillFlag) -> str:
    """Leave the flag, and return why that could not be done; empty where it was. Nothing waits for a disk here."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, orjson.dumps(asdict(flag)))
    except (OSError, StorageError) as error:
        return str(error)
    return ""


def flag_raised(path: Path) -> KillFlag | None:
    """Return the flag, or none. A flag that cannot be read is one: whoever cannot tell must not enter."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return KillFlag(0, "", f"the flag cannot be read: {error}")
    try:
        return KillFlag(**orjson.loads(raw))
    except (ValueError, TypeError):
        return KillFlag(0, "", "the flag is there and does not say why")


def lower_flag(path: Path) -> bool:
    """Take the flag away; say whether there was one.

    Raises
    ------
    StorageError
        It is there, and the folder cannot be written.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"the flag cannot be taken away: {error}", where=str(path)) from error
    return True


def kill(
    open_venue: Callable[[], Venue],
    flag: KillFlag,
    path: Path,
    *,
    patience_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Killed:
    """Leave the flag, then cancel and close everything at the venue, again and again until it is shown flat.

    Parameters
    ----------
    open_venue
        Connects to the account; tried again where the venue does not answer.
    flag, path
        What is left for the trader, and where.
    patience_seconds
        No further attempt is begun after so long.
    clock, sleep
        A clock that never goes back in seconds, and how to wait.

    Raises
    ------
    InputError, IntegrityError
        The wallet cannot be opened, or may not act for the account: no attempt would help.
    """
    began, flag_problem = clock(), raise_flag(path, flag)
    rounds, attempt, left = 0, 0, "it was not looked"
    venue: Venue | None = None
    while attempt == 0 or clock() - began < patience_seconds:
        attempt += 1
        try:
            venue = venue or open_venue()
            manager = OrderManager(venue, Journal(None, flag.account), sleep=sleep)
            rounds += flatten(manager, f"kill {flag.at_ms}/{attempt}", sleep=sleep)
        except (NotFlat, VenueError) as error:
            left = error.what
        else:
            return Killed(True, rounds, clock() - began, "", flag_problem)
        sleep(_PAUSE_SECONDS)
    return Killed(False, rounds, clock() - began, left, flag_problem)
