"""Entries of condition documents: how sure one is, and how large in USD, by what holds at the close.

A document names a size of its own. It is the most that its entry may be; the account's scale and caps make it smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from quant_organism.backtest import MarketRow
from quant_organism.market.panel import Panel
from quant_organism.strategies import COLUMNS, Committee, Genome
from quant_organism.strategies.conditions.document import Document
from quant_organism.strategies.conditions.grammar import read_structure
from quant_organism.strategies.handwritten import Explanation, explain
from quant_organism.strategies.handwritten.sizing import Entry, Situation, judge_entry, largest_margin
from quant_organism.trading.policy import Policy

_MOMENTUM_BARS: Final = 5


@dataclass(frozen=True)
class EntryCase:
    """An entry that a document wants, as the close shows it.

    Parameters
    ----------
    document
        Whose entry conditions hold.
    price
        The close, USD.
    margin
        Largest margin of the conditions that hold.
    stop_loss, take_profit, position_size_limit
        As the genome carries them.
    macd, macd_signal
        Where the document compares the two; else none.
    five_bar_return
        Fraction; none in the first five bars.
    """

    document: Document
    price: float
    margin: float
    stop_loss: float
    take_profit: float
    position_size_limit: float
    macd: float | None = None
    macd_signal: float | None = None
    five_bar_return: float | None = None

    def judged(self, policy: Policy, *, equity_usd: float, open_positions: int) -> Entry:
        """Return confidence and size of the entry under a policy, or why it is not made.

        Parameters
        ----------
        policy
            Says the risk mode and the least confidence.
        equity_usd
            That caps are a share of.
        open_positions
            That the strategy holds already.
        """
        situation = Situation(
            price=self.price,
            margin=self.margin,
            regime=policy.risk_mode.upper(),
            equity_usd=equity_usd,
            open_positions=open_positions,
            minimum_confidence=policy.minimum_confidence,
            macd=self.macd,
            macd_signal=self.macd_signal,
            five_bar_return=self.five_bar_return,
        )
        return judge_entry(
            self.document,
            situation,
            stop_loss=self.stop_loss,
            take_profit=self.take_profit,
            position_size_limit=self.position_size_limit,
        )


class ConditionBars:
    """The bars that a document was evaluated on, kept to say why it enters.

    Parameters
    ----------
    genome, document
        A genome of conditions, and what it holds.
    history
        Bars of its own symbols before the first that it trades.
    """

    def __init__(self, genome: Genome, document: Document, history: Panel) -> None:
        self._genome, self._document, self._symbols = genome, document, history.symbols
        self._rows = [
            {
                name: list(np.where(history.valid[:, place], getattr(history, name)[:, place], np.nan))
                for name in COLUMNS
            }
            for place in range(history.n_assets)
        ]

    @classmethod
    def of(cls, committee: Committee, history: Panel) -> ConditionBars | None:
        """Return the bars of a committee that is one document alone; none for every other."""
        if len(committee.members) != 1 or committee.members[0].genome.family != "conditions":
            return None
        genome = committee.members[0].genome
        document = read_structure(genome.genes["document"])
        return cls(genome, document, history) if isinstance(document, Document) else None

    def advance(self, row: MarketRow) -> None:
        """Keep a bar of its own symbols."""
        for place, columns in enumerate(self._rows):
            for name, values in columns.items():
                values.append(float(getattr(row, name)[place]) if row.valid[place] else np.nan)

    def explained(self, symbol: str) -> Explanation:
        """Return which conditions held in a symbol at the last close, and on which values.

        Raises
        ------
        InputError
            It has no bar there.
        """
        columns = self._rows[self._symbols.index(symbol)]
        return explain(self._genome, columns, len(columns["close"]) - 1)

    def case(self, symbol: str, price: float) -> EntryCase:
        """Return the entry in a symbol that has a bar at the last close.

        Raises
        ------
        InputError
            It has no bar there.
        """
        columns, found = self._rows[self._symbols.index(symbol)], self.explained(symbol)
        genes, closes = self._genome.genes, [close for close in columns["close"] if close == close]
        macd, macd_signal = _compared_macd(found)
        return EntryCase(
            document=self._document,
            price=price,
            margin=largest_margin(found, self._document.side),
            stop_loss=_gene(genes["stop_loss"]),
            take_profit=_gene(genes["take_profit"]),
            position_size_limit=_gene(genes["position_size_limit"]),
            macd=macd,
            macd_signal=macd_signal,
            five_bar_return=closes[-1] / closes[-1 - _MOMENTUM_BARS] - 1.0 if len(closes) > _MOMENTUM_BARS else None,
        )


def open_symbols(strategy: str, legs: Sequence[tuple[str, str, str]]) -> int:
    """Return in how many symbols a strategy is in a trade."""
    return len({symbol for name, _, symbol in legs if name == strategy})


def _compared_macd(found: Explanation) -> tuple[float | None, float | None]:
    for rule in found.rules:
        for each in rule.conditions:
            if each.condition.name == "MACD" and each.condition.value == "MACD_SIGNAL" and each.status != "unavailable":
                return each.left, each.right
    return None, None


def _gene(value: object) -> float:
    assert isinstance(value, float)
    return value
