"""An account at a venue that a session sends its orders to: opened, compared, followed; and what the guard reads of it.

Everything that rests for an account is a stop or a target that only reduces. So a trader that dies leaves its positions
protected, and `quant-organism trade kill` needs nothing of it. A watchdog ends one that hangs, and cancels what could
open or grow a position; the venue's own switch is not used, since it would take the stops too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from quant_organism.errors import InputError
from quant_organism.market import Interval
from quant_organism.trading.follower import AccountFollower
from quant_organism.trading.guard import WATCHED_ORDERS, Readings, ReadingSource
from quant_organism.trading.live import LATE_MS, LiveExecution
from quant_organism.trading.orders import Journal, OrderManager
from quant_organism.trading.orders.dead_man import Minder, Watchdog
from quant_organism.trading.orders.states import OrderRecord
from quant_organism.trading.pipeline import CloseStanding
from quant_organism.trading.policy import PolicyVersion
from quant_organism.trading.records import Mode
from quant_organism.venue import HyperliquidVenue, LineSpec, account_feed


@dataclass(frozen=True, eq=False)
class VenueAccount:
    """An account that orders are sent for, from the first comparison of books and venue to the end of the session.

    Parameters
    ----------
    follower
        The account: its line, its journal and its reconciliation.
    execution
        Carries out plans there.
    now_ms
        The venue's time.
    beat
        Shows the watchdog that the session lives.
    """

    follower: AccountFollower
    execution: LiveExecution
    now_ms: Callable[[], int]
    beat: Callable[[], None] = lambda: None

    def readings(self, interval: Interval, fear_greed: Callable[[int], float | None]) -> ReadingSource:
        """Return what the risk guard reads at each close.

        Parameters
        ----------
        interval
            Length of the session's bars.
        fear_greed
            Returns the index known at a close, none where there is none.
        """

        def read(standing: CloseStanding, /) -> Readings:
            seen = self.follower.standing()
            return Readings(
                data_age_bars=max(self.now_ms() - standing.close.time, 0) / interval.milliseconds,
                clock_skew_s=abs(seen.skew_ms) / 1e3,
                rejected=rejected_share(self.follower.manager.journal.orders()),
                silent_lines=0 if seen.is_known else 1,
                fear_greed=fear_greed(standing.close.time),
            )

        return read


@contextmanager
def venue_account(
    venue: HyperliquidVenue,
    path: Path,
    *,
    visibility_seconds: float = 5.0,
    line: LineSpec | None = None,
    now_ms: Callable[[], int] | None = None,
    late_ms: int = LATE_MS,
    opens_watchdog: Callable[[], Watchdog] | None = None,
) -> Iterator[VenueAccount]:
    """Open an account for sending, and close it again; its orders stay.

    Parameters
    ----------
    venue
        Connected with the wallet that signs.
    path
        File of the journal.
    visibility_seconds
        After so long the venue shows everything that it has processed.
    line
        Of the socket.
    now_ms
        The venue's time; none: as its answers show it.
    late_ms
        So long after its close a plan's orders are still sent.
    opens_watchdog
        Starts the process that minds the account; none: nobody does.

    Raises
    ------
    InputError
        Books and venue differ.
    VenueError, IntegrityError, BusyError
        The venue does not answer, the journal is damaged, or another process trades with it.
    """
    journal = Journal(path, f"{venue.transport.spec.network} {venue.address}")
    try:
        manager = OrderManager(venue, journal, visibility_seconds=visibility_seconds)
        follower = AccountFollower(manager, account_feed(venue, rng=np.random.default_rng(), line=line or LineSpec()))
        try:
            compared = follower.start()
            if compared.position_gaps or compared.balance_gap or compared.unsettled:
                raise InputError(
                    "the books of the account and the venue differ, and nothing is sent before they agree",
                    where=f"{venue.transport.spec.network} {venue.address}",
                    remedy="look at what was done by hand; start again once the venue shows what the journal says",
                )
            execution = LiveExecution(manager, now_ms=now_ms, late_ms=late_ms)
            opened = VenueAccount(follower, execution, now_ms or venue.venue_ms)
            if opens_watchdog is None:
                yield opened
            else:
                minder = Minder(opens_watchdog)
                try:
                    yield replace(opened, beat=minder.beat)
                finally:
                    minder.release()
        finally:
            follower.close()
    finally:
        journal.close()


def journal_path(data_dir: Path, mode: Mode) -> Path:
    """Return where the journal of the orders of a mode lies."""
    return data_dir / "trader" / f"orders-{mode}.sqlite"


def check_policy(version: PolicyVersion | None, mode: Mode, now_ms: int) -> PolicyVersion:
    """Return the policy in force, where it lets a mode send orders.

    Raises
    ------
    InputError
        There is none, it names other modes, or it is not valid now.
    """
    remedy = f"write one whose allowed_venues name {mode}, and: quant-organism trade policy set FILE"
    if version is None:
        raise InputError("no policy is in force, and without one nothing is sent", where=f"mode {mode}", remedy=remedy)
    if mode not in version.policy.allowed_venues:
        named = ", ".join(version.policy.allowed_venues) or "nothing"
        raise InputError(
            f"policy {version.number} allows {named}, and {mode} is not among it", where=f"mode {mode}", remedy=remedy
        )
    if not version.policy.is_valid_at(now_ms):
        raise InputError(f"policy {version.number} is not valid now", where=f"mode {mode}", remedy=remedy)
    return version


def rejected_share(orders: Sequence[OrderRecord]) -> float | None:
    """Return which part of the last orders the venue refused; none before there were enough to say."""
    latest = orders[-WATCHED_ORDERS:]
    if len(latest) < WATCHED_ORDERS:
        return None
    return sum(record.state == "rejected" for record in latest) / len(latest)
