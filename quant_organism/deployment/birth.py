"""From validated candidates to documents at birth, and the returns by which they are compared with the pool."""

from collections.abc import Sequence

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.config import StrategyConfig
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
    """Write the documents of the candidates that passed every gate, best fitness first.

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
            reason=f"passed every gate of validation ({row['origin']})",
        )
        for row in survivors.to_dicts()
    ]


def _evidence(row: dict[str, str], verdicts: pl.DataFrame) -> dict[str, StageEvidence]:
    metrics = orjson.loads(row["metrics"])
    gates: dict[str, list[Verdict]] = {}
    for gate in verdicts.filter(pl.col("candidate") == row["candidate"]).drop("candidate", "origin").to_dicts():
        gates.setdefault(gate["stage"], []).append(Verdict(**gate))
    return {
        stage: StageEvidence.of(found, {name: metrics[stage][name] for name in _EVIDENCE_METRICS})
        for stage, found in gates.items()
    }


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
