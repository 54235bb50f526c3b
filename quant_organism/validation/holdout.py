"""The register of holdout openings: bars that judge a search are read once for each candidate, and on record.

An opening is written before the data are read, so that a crash in between counts as a look; only the very same look may
be taken up again after it, since it is decided already what it will show. What a look shows is not adjusted: it buys
its candidate starting wealth, once, and days that nobody has seen decide on money. The first look of a week is the
official one; the r-th beyond it weighs 2^-r, so that all of a week together weigh at most twice what one does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market import Panel, Span, check_market_id, encode
from quant_organism.market.lines import week_of
from quant_organism.market.schema import day_of
from quant_organism.market.stored import read_parts
from quant_organism.resilience import StoragePath, alone_in, located, write_file
from quant_organism.validation.tables import OpeningTable

_MOMENT = pl.Datetime("ms", "UTC")


@dataclass(frozen=True)
class Opening:
    """One look at a holdout.

    Attributes
    ----------
    number
        Its number in the market's register.
    look
        Digest of the panel, the span, the candidates and how they are measured.
    nth
        How many openings share a bar with this one, itself included; 0: nothing was opened.
    candidates
        How many strategies are judged in it, all together.
    rerun
        r: how many other looks its market and interval had in the same week before; 0: it is the official one.
    """

    number: int
    look: str
    nth: int
    candidates: int
    rerun: int = 0

    @property
    def sentence(self) -> str:
        """How often these bars have been opened, for people."""
        further = f", look {self.rerun + 1} of its week" if self.rerun else ""
        return f"opened for the {_ordinal(self.nth)} time{further}"


class HoldoutRegister:
    """The openings of a lake: one immutable Parquet file per event, under `holdout_openings/market=<market>/`.

    Any number of processes may use it. The same look (same bars, candidates, costs and code) gives the same result
    again and tells nothing new: it is one opening however often it is repeated.

    Parameters
    ----------
    root
        The lake's folder.
    now
        Moment that is written down; nothing depends on it.
    """

    def __init__(self, root: StoragePath, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder = located(root) / OpeningTable.dataset
        self._now = now

    def open(self, panel: Panel, span: Span, candidates: Sequence[str], *, measured_with: str, reason: str) -> Opening:
        """Write down that some bars are about to be read, and return the opening.

        Parameters
        ----------
        panel, span
            The bars: those of the span are sealed.
        candidates
            Identities of all strategies that will be judged on them.
        measured_with
            What else the result is a function of: hash of the costs, identity of the code that measures and judges.
        reason
            Why they are opened, for people.

        Raises
        ------
        InputError
            No candidate: then there is nothing to open for.
        IntegrityError
            A file of the register is damaged; it is named.
        BusyError, StorageError
            Another process kept writing, or the folder cannot be written; nothing may be read then.
        """
        if not candidates:
            raise InputError("no candidate to open a holdout for", remedy="leave it sealed")
        names = sorted(candidates)
        look = _digest(panel.hash, str(span.start), str(span.stop), measured_with, *names)
        begin = int(panel.times[span.start])
        end = int(panel.times[span.stop - 1]) + panel.interval.milliseconds
        folder = self._of(panel.market)
        with alone_in(folder, "opening a holdout"):
            known = self.frame(panel.market)
            opened = known.filter(event="opened")
            same = opened.filter(look=look)
            if same.height:
                return Opening(same["opening"][0], look, same["nth"][0], len(names), same["rerun"][0])
            first, last = (pl.lit(moment).cast(_MOMENT) for moment in (begin, end))
            shared = opened.filter((pl.col("first_bar") < last) & (pl.col("end") > first)).height
            week = week_of(day_of(int(panel.times[-1])))
            rerun = _of_week(known, week, panel.interval.name)
            opening = Opening(_next(known), look, 1 + shared, len(names), rerun)
            row = {
                "opening": opening.number,
                "event": "opened",
                "recorded_at": self._now(),
                "look": look,
                "panel_hash": panel.hash,
                "interval": panel.interval.name,
                "first_bar": begin,
                "end": end,
                "candidates": names,
                "nth": opening.nth,
                "week": week,
                "rerun": rerun,
                "reason": reason,
                "result_hash": None,
            }
            self._write(panel.market, row)
        return opening

    def offer(self, panel: Panel, candidates: Sequence[str], *, reason: str) -> Opening:
        """Write down that the short line puts candidates forward, which opens nothing, and return the entry.

        It takes a place among the looks of its week: whoever puts forward more in it pays for that. The same offer
        again is the same entry.

        Parameters
        ----------
        panel
            All of whose bars the search saw.
        candidates
            Identities of all strategies that are put forward together.
        reason
            Why, for people.

        Raises
        ------
        InputError, IntegrityError, BusyError, StorageError
            As `open`.
        """
        if not candidates:
            raise InputError("no candidate to put forward", remedy="leave the week's place to others")
        names = sorted(candidates)
        look = _digest(panel.hash, "offered", *names)
        end = int(panel.times[-1]) + panel.interval.milliseconds
        with alone_in(self._of(panel.market), "putting candidates forward"):
            known = self.frame(panel.market)
            same = known.filter(look=look, event="offered")
            if same.height:
                return Opening(same["opening"][0], look, 0, len(names), same["rerun"][0])
            week = week_of(day_of(int(panel.times[-1])))
            offer = Opening(_next(known), look, 0, len(names), _of_week(known, week, panel.interval.name))
            row = {
                "opening": offer.number,
                "event": "offered",
                "recorded_at": self._now(),
                "look": look,
                "panel_hash": panel.hash,
                "interval": panel.interval.name,
                "first_bar": int(panel.times[0]),
                "end": end,
                "candidates": names,
                "nth": offer.nth,
                "week": week,
                "rerun": offer.rerun,
                "reason": reason,
                "result_hash": None,
            }
            self._write(panel.market, row)
        return offer

    def unseal(self, panel: Panel, opening: Opening) -> Panel:
        """Return the panel for reading, once its opening is on record.

        Raises
        ------
        IntegrityError
            The register has no such opening of this panel.
        """
        known = self.frame(panel.market).filter(opening=opening.number, event="opened", look=opening.look)
        if known.is_empty() or known["panel_hash"][0] != panel.hash:
            raise IntegrityError(
                f"the holdout is sealed: no opening {opening.number} of this panel is on record",
                where=str(self._of(panel.market)),
                remedy="open it through the register first, with all candidates together",
            )
        return panel

    def close(self, panel: Panel, opening: Opening, result: bytes) -> None:
        """Write down the digest of what an opening showed; a repeated look must show the same.

        Raises
        ------
        IntegrityError
            The same look showed something else before.
        """
        result_hash = hashlib.sha256(result).hexdigest()
        with alone_in(self._of(panel.market), "opening a holdout"):
            events = self.frame(panel.market).filter(opening=opening.number)
            before = events.filter(event="read")
            if before.is_empty():
                row = events.row(0, named=True) | {"event": "read", "result_hash": result_hash}
                self._write(panel.market, row | {"recorded_at": self._now()})
            elif before["result_hash"][0] != result_hash:
                raise IntegrityError(
                    f"opening {opening.number} showed something else when it was read before",
                    where=str(self._of(panel.market)),
                    remedy="equal bars, candidates, costs and code give equal results: report it as a defect",
                )

    def check_opened(self, market: str, panel_hash: str, candidate: str) -> None:
        """Refuse a strategy that wants to see the unseen bars of a panel again, unless they were opened to judge it.

        Who was judged on them learns nothing new from them; anybody else would take a look that nobody counts.

        Parameters
        ----------
        market, panel_hash
            The panel whose unseen bars are wanted.
        candidate
            Identity of the strategy.

        Raises
        ------
        InputError
            No opening of this register names it.
        """
        looks = self.frame(market).filter(
            pl.col("panel_hash") == panel_hash, pl.col("candidates").list.contains(candidate), event="opened"
        )
        if looks.is_empty():
            raise InputError(
                f"the unseen bars of the panel {panel_hash[:8]} of {market} were never opened for it",
                where=candidate,
                remedy="replay strategies in the data folder of the run that judged them",
            )

    def opening_of(self, market: str, panel_hash: str, candidate: str) -> Opening | None:
        """Return the first look at a candidate on a panel, or offer by the short line; None where there was none."""
        looks = self.frame(market).filter(
            pl.col("panel_hash") == panel_hash,
            pl.col("candidates").list.contains(candidate),
            pl.col("event").is_in(["opened", "offered"]),
        )
        if looks.is_empty():
            return None
        first = looks.sort("opening").row(0, named=True)
        return Opening(first["opening"], first["look"], first["nth"], len(first["candidates"]), first["rerun"])

    def frame(self, market: str) -> pl.DataFrame:
        """Return all events of a market by `OpeningTable`, in the order of the openings.

        Raises
        ------
        IntegrityError
            A file is damaged; it is named.
        """
        try:
            return read_parts(OpeningTable, sorted(self._of(market).glob("*.parquet")))
        except IntegrityError as error:
            remedy = "bring it back from a backup: without it nobody knows how often these bars were read"
            raise IntegrityError(
                f"an opening cannot be read: {error.what}", where=error.where, remedy=remedy
            ) from error

    def _of(self, market: str) -> StoragePath:
        return self._folder / f"market={check_market_id(market)}"

    def _write(self, market: str, row: dict[str, Any]) -> None:
        event: Literal["opened", "read", "offered"] = row["event"]
        part = self._of(market) / f"{row['opening']:06d}-{event}.parquet"
        if part.exists():
            raise IntegrityError("this opening is on record already", where=str(part), remedy="report it as a defect")
        write_file(part, encode(OpeningTable, OpeningTable.frame([row])))


def _next(known: pl.DataFrame) -> int:
    return 1 + known.filter(pl.col("event") != "read").height


def _of_week(known: pl.DataFrame, week: int, interval: str) -> int:
    """Return how many looks and offers a week has had."""
    return known.filter(pl.col("event") != "read").filter(week=week, interval=interval).height


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
