"""Carrying out plans: what a trader asks of whoever sends its orders, and the modelled one of replay and paper.

Live execution, which sends them to a venue, is another of the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from quant_organism.backtest.account import (
    AccountBar,
    AccountBook,
    AccountRules,
    FillModel,
    LegKey,
    LegLevels,
    Plan,
    book,
    trade_account_bar,
)


class LevelsAtOpen(Protocol):
    """Where legs leave by themselves in a bar that has just opened: `VirtualStream.levels`."""

    def __call__(self, opens: Mapping[str, float], /) -> dict[LegKey, LegLevels]:
        """Return the levels at these first prices, USD."""
        ...


class Execution(Protocol):
    """Takes an account from a plan to the close of the bar that follows; moves it through `book` alone."""

    def open(self, name: str, rules: AccountRules, capital: int) -> AccountBook:
        """Return a new account.

        Parameters
        ----------
        name, rules
            Its name, and its limits.
        capital
            Micro-USD that it begins with where nothing else says how much there is.
        """
        ...

    def begin(self, account: AccountBook, made: Plan, levels: LevelsAtOpen) -> list[object]:
        """Send the orders of a plan that has just been made and written down, then what shall rest.

        Parameters
        ----------
        account
            Moved by what is known at once.
        made
            The plan.
        levels
            Asked with the first prices of the bar that begins.

        Returns
        -------
        list
            Events that were booked, in their order: `PlanSent`, `AccountFill`, `RestingSent`, `AccountFunding` ...
        """
        ...

    def watch(self, account: AccountBook, made: Plan, levels: LevelsAtOpen) -> list[object]:
        """Book what has come since, and see to what rests; called every second or so between two closes.

        Parameters
        ----------
        account, made, levels
            As in `begin`.

        Returns
        -------
        list
            Events that were booked, in their order.
        """
        ...

    def finish(self, account: AccountBook, made: Plan, bar: AccountBar, levels: LevelsAtOpen) -> list[object]:
        """Bring an account to the close of the bar that followed a plan: fills and funding that are not booked yet.

        Parameters
        ----------
        account
            Moved to the close, but for its marks: the next plan sets them.
        made
            The plan before the bar.
        bar
            What happened.
        levels
            As in `begin`; only before the strategies have seen the bar.

        Returns
        -------
        list
            Events that were booked since `begin`, in their order.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return what must be saved in one piece with the account, as values of JSON."""
        ...

    def restore(self, state: Mapping[str, Any], /) -> None:
        """Take up what `state` returned."""
        ...


@dataclass(frozen=True)
class ModelledExecution:
    """Fills by the account's own rules, once the bar is known: nothing is sent.

    Parameters
    ----------
    model
        What fills cost.
    """

    model: FillModel

    def open(self, name: str, rules: AccountRules, capital: int) -> AccountBook:
        """Return an account that holds nothing but its capital."""
        return AccountBook.opened(name, rules, {}, capital)

    def begin(self, account: AccountBook, made: Plan, levels: LevelsAtOpen) -> list[object]:
        """Do nothing: what the bar opens with is known when it closes."""
        return []

    def watch(self, account: AccountBook, made: Plan, levels: LevelsAtOpen) -> list[object]:
        """Do nothing: what happens within the bar is known when it closes."""
        return []

    def finish(self, account: AccountBook, made: Plan, bar: AccountBar, levels: LevelsAtOpen) -> list[object]:
        """Fill orders at the open and resting ones within the bar, and pay funding."""
        events: list[object] = []

        def door(moved: AccountBook, event: object) -> None:
            book(moved, event)
            events.append(event)

        trade_account_bar(account, made, bar, levels(bar.open), self.model, door)
        return events

    def state(self) -> dict[str, Any]:
        """Return nothing: all that it knows is the account."""
        return {}

    def restore(self, state: Mapping[str, Any], /) -> None:
        """Take nothing up."""
