"""Triple validation: backtest, replay and testnet, each with a score, and what they come to together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from quant_organism.market import Span
from quant_organism.validation.replay import Replay, disjoint_periods
from quant_organism.validation.statistics.evidence import NotRun

Mode = Literal["minimal", "fast", "full"]

PERIODS: Final[Mapping[Mode, tuple[int, int]]] = MappingProxyType({"minimal": (1, 14), "fast": (3, 7), "full": (3, 90)})
"""Replayed periods of each mode: how many, and their longest length in days. They adjoin, at the end of the unseen
days, and are shorter where these have no room for so many. The testnet belongs to mode full."""

StageName = Literal["backtest", "replay", "testnet"]

WEIGHTS: Final[Mapping[StageName, float]] = MappingProxyType({"backtest": 0.5, "replay": 0.3, "testnet": 0.2})

BACKTEST_SHARPE, MOST_DRAWDOWN, WIN_RATE = 1.0, 0.15, 0.4
REPLAY_SHARPE, CONSISTENCY = 0.8, 0.6
TESTNET_SCORE = 0.5
OVERALL = 0.7

NO_VENUE: Final = NotRun("no venue configured")


@dataclass(frozen=True)
class TripleScore:
    """What three stages come to.

    Attributes
    ----------
    stages
        Score of each stage in [0, 1], or why it did not run.
    """

    stages: Mapping[StageName, float | NotRun]

    @property
    def overall(self) -> float:
        """Weighted sum over the stages that ran; those that did not add nothing, and the weights stay as they are."""
        return math.fsum(WEIGHTS[name] * score for name, score in self.stages.items() if not isinstance(score, NotRun))

    @property
    def attainable(self) -> float:
        """Most that the stages that ran could have come to."""
        return math.fsum(WEIGHTS[name] for name, score in self.stages.items() if not isinstance(score, NotRun))

    @property
    def sentence(self) -> str:
        """The score in words, and what it is of."""
        parts = [
            f"{name} not run ({score.reason})" if isinstance(score, NotRun) else f"{name} {score:.2f}"
            for name, score in self.stages.items()
        ]
        return f"{self.overall:.2f} of at most {self.attainable:.1f}: {', '.join(parts)}"


def score_backtest(metrics: Mapping[str, float]) -> float:
    """Return how far Sharpe ratio, drawdown and win rate reach their bounds, on average, in [0, 1]."""
    drawdown = metrics["max_drawdown"]
    calm = 1.0 if drawdown <= MOST_DRAWDOWN else MOST_DRAWDOWN / drawdown
    reached = (_share(metrics["sharpe"], BACKTEST_SHARPE), calm, _share(metrics["win_rate"], WIN_RATE))
    return math.fsum(reached) / len(reached)


def score_replay(replay: Replay) -> float:
    """Return how far Sharpe ratio and consistency reach their bounds, in [0, 1]; 0 where trades or orders differ."""
    if not replay.is_equal:
        return 0.0
    return 0.5 * (_share(replay.mean_sharpe, REPLAY_SHARPE) + _share(replay.consistency, CONSISTENCY))


def triple_score(
    metrics: Mapping[str, float] | NotRun, replay: Replay | NotRun, testnet: float | NotRun
) -> TripleScore:
    """Weigh the three stages.

    Parameters
    ----------
    metrics
        Of the backtest over the unseen days: sharpe, max_drawdown, win_rate; or why there is none.
    replay
        The replay, or why there is none.
    testnet
        Score of the rehearsal at a venue, or why there was none.
    """
    backtest: float | NotRun
    if isinstance(metrics, NotRun):
        backtest = metrics
    else:
        backtest = NotRun("nothing was traded") if math.isnan(metrics["sharpe"]) else score_backtest(metrics)
    return TripleScore(
        {
            "backtest": backtest,
            "replay": replay if isinstance(replay, NotRun) else score_replay(replay),
            "testnet": testnet if isinstance(testnet, NotRun) else _share(testnet, TESTNET_SCORE),
        }
    )


def periods_of(mode: Mode, span: Span, bars_per_day: int) -> tuple[Span, ...] | NotRun:
    """Return where a mode replays, inside a span."""
    count, days = PERIODS[mode]
    return disjoint_periods(span, bars_per_day, count, days)


def _share(value: float, bound: float) -> float:
    return 0.0 if math.isnan(value) else min(max(value / bound, 0.0), 1.0)
