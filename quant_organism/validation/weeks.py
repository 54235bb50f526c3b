"""The register of weeks: which cycle of a week is the official one, and which others were put forward beside it.

A week of a market and interval has one official cycle, the first that is judged in it. Any other is exploratory: it
searches and is judged by the days that it searched, opens nothing and bears nobody, so that trying another seed or
profile costs no evidence. Whoever offers it all the same says so once, and pays for the further look.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import polars as pl

from quant_organism.market import check_market_id, encode
from quant_organism.market.lines import week_of
from quant_organism.market.stored import read_parts
from quant_organism.resilience import StoragePath, alone_in, located, write_file
from quant_organism.validation.tables import WeekTable

WeekStanding = Literal["official", "offered", "exploratory"]
"""What a cycle is in its week; the first two may put candidates forward."""


@dataclass(frozen=True)
class WeekPlace:
    """A cycle's place in its week.

    Attributes
    ----------
    standing
        What it is.
    official_day, official_cycle
        Day and identity of the week's official cycle.
    """

    standing: WeekStanding
    official_day: date
    official_cycle: str

    @property
    def sealed(self) -> str:
        """Why it puts nobody forward, for people; empty where it may."""
        if self.standing != "exploratory":
            return ""
        return (
            f"exploratory: the official cycle of its week is {self.official_cycle} of {self.official_day}, and "
            "beside it only what is offered is put forward"
        )


def question_of(plan_hash: str, seed: int) -> str:
    """Return the digest of how a cycle searches and judges, and with which seed."""
    return hashlib.sha256(f"{plan_hash} {seed}".encode()).hexdigest()


class WeekRegister:
    """The cycles that may put candidates forward: a Parquet file each, under `official_cycles/market=<market>/`.

    Any number of processes may use it. What was registered once stays so, however often the cycle is repeated.

    Parameters
    ----------
    root
        The lake's folder.
    """

    def __init__(self, root: StoragePath) -> None:
        self._folder = located(root) / WeekTable.dataset

    def place(self, market: str, interval: str, day: date, cycle: str, question: str, *, offer: bool) -> WeekPlace:
        """Return the place of a cycle that is about to be judged; the first of its week becomes the official one.

        Parameters
        ----------
        market, interval, day, cycle
            The cycle.
        question
            Digest of how it searches and judges, and with which seed: the same one on the same day is asked again
            where data or founders have changed.
        offer
            Whether it is to be put forward beside an official one.

        Raises
        ------
        IntegrityError
            A file of the register is damaged; it is named.
        BusyError, StorageError
            Another process kept writing, or the folder cannot be written.
        """
        with alone_in(self._of(market), "taking a place in a week"):
            found = self.find(market, interval, day, question)
            if found is None or (found.standing == "exploratory" and offer):
                entry = self.frame(market).height + 1
                row: dict[str, Any] = {
                    "entry": entry,
                    "week": week_of(day),
                    "interval": interval,
                    "day": day,
                    "cycle": cycle,
                    "question": question,
                    "standing": "official" if found is None else "offered",
                }
                write_file(self._of(market) / f"{entry:06d}.parquet", encode(WeekTable, WeekTable.frame([row])))
                official = found or WeekPlace("official", day, cycle)
                found = replace(official, standing=row["standing"])
        return found

    def find(self, market: str, interval: str, day: date, question: str) -> WeekPlace | None:
        """Return the place of a cycle as the register has it; None where its week has no official cycle yet.

        Raises
        ------
        IntegrityError
            A file of the register is damaged; it is named.
        """
        of_week = self.frame(market).filter(week=week_of(day), interval=interval)
        if of_week.is_empty():
            return None
        mine = of_week.filter(day=day, question=question)
        official = of_week.filter(standing="official").row(0, named=True)
        standing: WeekStanding = "exploratory" if mine.is_empty() else mine[0, "standing"]
        return WeekPlace(standing, official["day"], official["cycle"])

    def frame(self, market: str) -> pl.DataFrame:
        """Return all entries of a market by `WeekTable`, in their order.

        Raises
        ------
        IntegrityError
            A file is damaged; it is named.
        """
        return read_parts(WeekTable, sorted(self._of(market).glob("*.parquet")))

    def _of(self, market: str) -> StoragePath:
        return self._folder / f"market={check_market_id(market)}"
