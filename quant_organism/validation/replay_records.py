"""Replays of candidates at rest, as a frame."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from quant_organism.validation.case import Case
from quant_organism.validation.profile import Profile
from quant_organism.validation.replay_evidence import replay_of
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.tables import ReplayTable
from quant_organism.validation.triple import NO_VENUE, PERIODS, Mode, triple_score


def modes_of(profile: Profile) -> tuple[Mode, ...]:
    """Return the modes in which a profile's gates replay, the least first."""
    asked = {getattr(gate, "mode", None) for gate in profile.gates}
    return tuple(mode for mode in PERIODS if mode in asked)


def replays_frame(cases: Iterable[Case], modes: Iterable[Mode]) -> pl.DataFrame:
    """Return what was replayed of candidates that were looked at on the unseen days; what did not run has no row."""
    rows = []
    wanted = tuple(modes)
    for case in cases:
        for mode in wanted:
            found = replay_of(case, mode)
            if isinstance(found, NotRun):
                continue
            backtest = case.metrics("holdout") if case.promise == "holdout" else NotRun("there are no unseen days")
            score = triple_score(backtest, found, NO_VENUE)
            rows += [
                (
                    case.candidate.id,
                    mode,
                    place + 1,
                    found.begins[place],
                    len(span),
                    found.trades[place],
                    account.sharpe,
                    account.total_return,
                    found.equal,
                    found.compared,
                    found.trade_hash,
                    found.difference,
                    found.total_return[place],
                    account.orders,
                    account.order_hash,
                    account.backtest_hash,
                    score.overall,
                    score.attainable,
                    score.sentence,
                )
                for place, (span, account) in enumerate(zip(found.periods, found.accounts, strict=True))
            ]
    return ReplayTable.frame(rows)
