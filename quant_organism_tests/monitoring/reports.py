"""A report for tests: a cycle that looks like a real one, from a seed."""

import numpy as np

from quant_organism.monitoring.content import (
    CandidateRow,
    Curve,
    CycleReport,
    DataRow,
    DecisionRow,
    GenerationRow,
    LineageRow,
    PopulationPoint,
    ReportedGate,
    ReportedSpan,
)

FAMILIES = ("bollinger_bands", "donchian_breakout", "ema_crossover", "rsi_filter")
GATES = (
    ("in_sample", "sharpe", 1.0, 1),
    ("in_sample", "trades", 30.0, 1),
    ("in_sample", "max_drawdown", 0.15, -1),
    ("out_of_sample", "sharpe", 0.5, 1),
    ("out_of_sample", "trades", 10.0, 1),
    ("out_of_sample", "max_drawdown", 0.15, -1),
    ("walk_forward", "sharpe", 0.5, 1),
    ("walk_forward", "max_drawdown", 0.15, -1),
    ("walk_forward", "positive_windows", 0.5, 1),
    ("holdout", "luck", 0.05, -1),
)


def cycle_report(seed: int = 0, *, edge: float = 1.0, candidates: int = 6) -> CycleReport:
    """Return a report; without edge (0) nothing passes."""
    rng = np.random.default_rng(seed)
    days = [str(np.datetime64("2023-06-01") + i) for i in range(730)]
    ids = [
        f"committee_8_{seed:04d}{i:04d}" if i < 3 else f"rsi_filter_{i}_{seed:04d}{i:04d}" for i in range(candidates)
    ]
    rows = [_candidate(id, i, rng, edge) for i, id in enumerate(ids)]
    drift = [edge * 0.0008 - 0.0001 * i for i in range(candidates)]
    curves = [
        Curve(id=id, values=np.cumprod(1 + rng.normal(drift[i], 0.006, 730)).tolist(), highlighted=i == 0)
        for i, id in enumerate(ids)
    ]
    survivors = [row for row in rows if row.passed]
    return CycleReport(
        title="What the search found, and what of it is more than luck",
        market="world-demo-0a1b2c",
        date="2025-05-30",
        interval="1h",
        provenance={"panel_hash": "a" * 64, "spec_hash": "b" * 64, "code_version": "0.1.0", "seed": 7},
        summary=[
            "The search tried 2,640 strategies of 4 families on 8 assets over two years of hourly bars.",
            "It put 6 of them forward, and these were judged on the last ten months, which the search had not seen.",
        ],
        data=[
            DataRow(symbol=f"COIN{i}", first="2023-06-01", last="2025-05-30", bars=17_520 - 100 * i, score=1 - i / 200)
            for i in range(8)
        ],
        search=[_generation(g, rng) for g in range(11)],
        population=[_point(rng) for _ in range(600)],
        family_shares={
            name: np.linspace(0.25, end, 11).tolist()
            for name, end in zip(FAMILIES, (0.15, 0.31, 0.46, 0.08), strict=True)
        },
        genealogy=_genealogy(rng, ids),
        trial_budget="With 2,640 trials on 1.2 years, luck alone is expected to show an annual Sharpe ratio of 3.21.",
        candidates=rows,
        decisions=[
            DecisionRow(
                id=row.id,
                action="wait" if i else "deploy",
                reason=f"correlation 0.93 with {survivors[0].id}, at most 0.70 allowed"
                if i
                else f"Sharpe ratio {row.score:.2f} on unseen days, place 1 of 10; nobody in the pool to compare with",
                stage="born" if i else "shadow",
            )
            for i, row in enumerate(survivors)
        ],
        curve_days=days,
        curves=curves,
        spans=[
            ReportedSpan(label="in-sample", start=days[0], end=days[437], unseen=False),
            ReportedSpan(label="out-of-sample", start=days[452], end=days[583], unseen=True),
            ReportedSpan(label="walk-forward", start=days[584], end=days[-1], unseen=True),
        ],
        limits=[
            "The past is one path; only live evidence tells whether an edge is still there.",
            "Both unseen spans are read again whenever this cycle is repeated.",
        ],
    )


def _genealogy(rng: np.random.Generator, ids: list[str]) -> list[LineageRow]:
    """Return lines of all families: per generation three daughters of earlier genomes of their family."""
    rows: list[LineageRow] = []
    for trial in range(40):
        family, generation = FAMILIES[trial % 4], trial // 4
        kin = [row.trial for row in rows if row.family == family and row.generation < generation]
        newcomer = not kin or rng.random() < 0.1
        operator = str(rng.choice(["crossover", "mutation"]))
        if newcomer:
            operator = ("founder", "archive")[trial % 2] if generation == 0 else "immigrant"
        rows.append(
            LineageRow(
                trial=trial,
                id=f"{family}_{generation}_{trial:08d}",
                family=family,
                generation=generation,
                operator=operator,
                mother=None if newcomer else int(rng.choice(kin)),
                father=int(rng.choice(kin)) if operator == "crossover" else None,
                sharpe=float(rng.normal(1.5, 0.5)),
                put_forward_in=ids[:1],
            )
        )
    return rows


def _candidate(id: str, rank: int, rng: np.random.Generator, edge: float) -> CandidateRow:
    gates = []
    for stage, gate, threshold, sign in GATES:
        value = threshold * (1 + sign * (edge * rng.uniform(0.2, 0.9) - 0.18 * rank))
        if gate == "trades":
            value = float(round(value))
        if edge == 0 and gate == "luck":
            value = 0.38
        status = "passed" if sign * value >= sign * threshold and edge > 0 else "failed"
        label = gate.replace("_", " ")
        bound = "at least" if sign > 0 else "at most"
        gates.append(
            ReportedGate(
                stage=stage,
                gate=gate,
                needed_for=("shadow",) if gate != "max_drawdown" else ("shadow", "paper"),
                status=status,
                value=value,
                threshold=threshold,
                reason=f"{label} {value:.3g}, {bound} {threshold:.3g} needed",
            )
        )
    if rank == 5:
        gates[-1] = ReportedGate(
            stage="holdout",
            gate="luck",
            needed_for=("shadow",),
            status="not_run",
            value=float("nan"),
            threshold=0.05,
            reason="needs 60 days, has 12",
        )
    origin = ("pooled", "family", "family", "champion", "champion", "champion")[min(rank, 5)]
    stop = next((gate for gate in gates if gate.status != "passed"), None)
    return CandidateRow(
        id=id,
        origin=origin,
        members=30 - 4 * rank if rank < 3 else 1,
        score=edge * 2 - 0.3 * rank,
        standing="fallen" if stop else "shadow",
        why=f"fell at {stop.gate}: {stop.reason}" if stop else "unproven: fell short of paper at decision: p = 0.2",
        gates=gates,
    )


def _generation(generation: int, rng: np.random.Generator) -> GenerationRow:
    best = 1.2 + 1.6 * (1 - 0.7**generation)
    return GenerationRow(
        generation=generation,
        trials=240 * (generation + 1),
        feasible=180 * (generation + 1),
        hypervolume=4 + best + rng.uniform(0, 0.1),
        best_sharpe=best,
        median_sharpe=best - 0.9,
        best_consistency=0.7,
        median_consistency=0.55,
        best_max_drawdown=0.021,
        median_max_drawdown=0.083,
        best_turnover_per_year=14.0,
        median_turnover_per_year=312.0,
    )


def _point(rng: np.random.Generator) -> PopulationPoint:
    drawdown = float(rng.gamma(2.5, 0.03))
    sharpe = float(rng.normal(0.6, 0.9) + 3 * min(drawdown, 0.15))
    return PopulationPoint(
        family=str(rng.choice(FAMILIES)),
        sharpe=sharpe,
        max_drawdown=drawdown,
        turnover_per_year=float(rng.gamma(2, 200)),
        consistency=float(rng.uniform(0.3, 0.8)),
        on_front=sharpe > 1.6 + 4 * drawdown,
    )
