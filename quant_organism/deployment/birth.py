"""From validated candidates to documents at birth, and the returns by which they are compared with the pool."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.deploy import Earned
from quant_organism.deployment.records import Provenance, StageEvidence
from quant_organism.evolution.candidates import Candidate
from quant_organism.market.panel import Panel
from quant_organism.strategies.committee import Committee
from quant_organism.validation.splits import Splits
from quant_organism.validation.verdict import Verdict

_EVIDENCE_METRICS = ("sharpe", "total_return", "max_drawdown", "trades", "win_rate", "turnover_per_year")


def born_documents(
    candidates: Sequence[Candidate],
    validated: pl.DataFrame,
    verdicts: pl.DataFrame,
    *,
    panel: Panel,
    provenance: Provenance,
    at: str,
) -> list[StrategyConfig]:
    """Write the documents of the candidates that have earned a place in the shadow pool or more, best fitness first.

    A document carries the evidence of the gates before the stage of life that its strategy has earned.

    Parameters
    ----------
    candidates
        All candidates of the cycle.
    validated, verdicts
        As `validation.records` writes them.
    panel
        The cycle's panel: its symbols are the universe.
    provenance, at
        The cycle, and the moment of birth.
    """
    survivors = validated.filter("passed").sort(["score", "candidate"], descending=[True, False])
    by_id = {candidate.id: candidate for candidate in candidates}
    return [
        StrategyConfig.born(
            by_id[row["candidate"]].committee,
            universe=panel.symbols,
            interval=panel.interval.name,
            fitness=row["score"],
            provenance=provenance,
            evidence=_evidence(row, verdicts),
            at=at,
            reason=f"passed every gate before {row['standing']} ({row['origin']})",
        )
        for row in survivors.to_dicts()
    ]


def _evidence(row: dict[str, str], verdicts: pl.DataFrame) -> dict[str, StageEvidence]:
    metrics = orjson.loads(row["metrics"])
    needed = verdicts.filter(
        pl.col("candidate") == row["candidate"], pl.col("needed_for").list.contains(row["standing"])
    )
    gates: dict[str, list[Verdict]] = {}
    for gate in needed.select(field.name for field in fields(Verdict)).to_dicts():
        gates.setdefault(gate["stage"], []).append(Verdict(**gate))
    return {
        stage: StageEvidence.of(found, {name: metrics[stage][name] for name in _EVIDENCE_METRICS if stage in metrics})
        for stage, found in gates.items()
    }


def earned(validated: pl.DataFrame, verdicts: pl.DataFrame) -> dict[str, Earned]:
    """Return how far each survivor may go, and what speaks for it, by identity.

    Parameters
    ----------
    validated, verdicts
        As `validation.records` writes them.
    """
    found = {}
    for row in validated.filter("passed").to_dicts():
        gates = verdicts.filter(
            pl.col("candidate") == row["candidate"], pl.col("needed_for").list.contains(row["standing"])
        )
        last = gates.row(-1, named=True)
        found[row["candidate"]] = Earned(row["standing"] == "paper", row["why"], last["reason"])
    return found


def scored_returns(
    committees: Sequence[Committee], panel: Panel, splits: Splits, costs: Costs, evaluator: Evaluator
) -> dict[str, NDArray[np.float64]]:
    """Return each committee's net daily returns over the in-sample and unseen spans, by identity, on common days."""
    if not committees:
        return {}
    spans = [
        evaluator.evaluate_committees(committees, panel, costs, start=span.start, stop=span.stop).daily_returns
        for span in (splits.in_sample, splits.unseen)
    ]
    joined = np.concatenate(spans, axis=1)
    return {committee.id: returns for committee, returns in zip(committees, joined, strict=True)}
