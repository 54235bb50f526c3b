"""Types of phases, as they are known before anything runs: what each reads, whose hours it takes, who may inherit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

RESULT_METRICS: Final = (
    "sharpe",
    "sortino",
    "calmar",
    "total_return",
    "annual_return",
    "volatility",
    "max_drawdown",
    "consistency",
    "beta",
    "alpha",
    "turnover_per_year",
    "exposure",
    "net_exposure",
    "trades",
    "win_rate",
)
"""Metrics of a result, as a committee's evaluation names them."""

Share = Literal["optimisation", "judging", "deployment"]

SHARES: Final[Mapping[Share, float]] = MappingProxyType({"optimisation": 0.5, "judging": 0.375, "deployment": 0.125})
"""Shares of the workflow's hours and money."""

COMMON_KEYS: Final = frozenset({"name", "type", "description", "inherit_best_from", "top", "market", "costs", "budget"})
_STRATEGY_KEYS: Final = frozenset({"strategies", "risk", "aggregate"})
_DAYS: Final = frozenset({"span", "in_sample"})


@dataclass(frozen=True)
class PatternKind:
    """What holds of a type of phase before it runs.

    Parameters
    ----------
    summary
        What it does, for people.
    reads
        Keys of a phase that mean something to it, beside those that mean something to all.
    share
        Whose hours it takes.
    winners
        Whether another phase may inherit from it.
    parent
        Whether it inherits: `never`, `may`, or `must`.
    trades
        Whether it needs strategies, stated or inherited.
    """

    summary: str
    reads: frozenset[str]
    share: Share = "judging"
    winners: bool = False
    parent: Literal["never", "may", "must"] = "may"
    trades: bool = True


KINDS: Final[Mapping[str, PatternKind]] = MappingProxyType(
    {
        "optimization": PatternKind(
            "try a grid, random points or an evolution on the days that a search may see, and rank what was tried",
            _STRATEGY_KEYS | {"optimization", "method", "evolution", "significance", "founders_in_regions", "span"},
            share="optimisation",
            winners=True,
        ),
        "backtest": PatternKind(
            "measure strategies over a span", _STRATEGY_KEYS | _DAYS | {"optimization"}, winners=True
        ),
        "walk_forward": PatternKind(
            "choose on all days before a window, trade the window, go on to the next",
            _STRATEGY_KEYS | _DAYS | {"optimization", "folds"},
            winners=True,
        ),
        "train_test": PatternKind(
            "choose on the first days of a span, measure on the others",
            _STRATEGY_KEYS | _DAYS | {"optimization", "train_share"},
            winners=True,
        ),
        "monte_carlo": PatternKind(
            "resample daily returns in blocks: how far could Sharpe ratio and drawdown differ by chance",
            _STRATEGY_KEYS | _DAYS | {"draws"},
        ),
        "signal_generation": PatternKind("write down every change of target", _STRATEGY_KEYS | {"span"}),
        "signal_replay": PatternKind(
            "trade bar by bar, and compare trades and orders with the backtest's",
            _STRATEGY_KEYS | _DAYS | {"mode"},
        ),
        "validation": PatternKind(
            "judge by the gates of a profile", _STRATEGY_KEYS | {"gates", "every_gate", "significance"}, winners=True
        ),
        "deployment": PatternKind(
            "write documents of those that passed, and let the best into the shadow pool",
            frozenset(),
            share="deployment",
            parent="must",
            trades=False,
        ),
        "analysis": PatternKind(
            "ask the results of earlier phases for numbers, and hold them against bounds",
            frozenset({"phases", "checks"}),
            parent="never",
            trades=False,
        ),
        "own": PatternKind(
            "a function of your own",
            _STRATEGY_KEYS | _DAYS | {"optimization", "file", "function", "options"},
            winners=True,
        ),
    }
)
"""Types of phases by name."""
