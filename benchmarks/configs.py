"""Strategy documents: time to save and to load a thousand, and the size of the largest."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.moves import EvidenceRecord
from quant_organism.deployment.records import Performance, Provenance, StageEvidence
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.strategies import Committee, evolving_families, random_genome

COUNT = 1_000
METRICS = (
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "max_drawdown", "consistency", "trades",
    "win_rate", "turnover_per_year", "exposure",
)  # fmt: skip


def run() -> list[dict[str, Any]]:
    """Save and load on the disk of the system's temporary folder; every document is flushed to it."""
    rng = np.random.default_rng(0)
    documents = [_document(rng, members=1) for _ in range(COUNT)]
    committees = [_document(rng, members=30) for _ in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        repository = StrategyRepository(Path(folder))
        start = time.perf_counter()
        repository.save_many(documents)
        saved = time.perf_counter()
        loaded = repository.load_all()
        read = time.perf_counter()
    if sorted(loaded.documents, key=lambda d: d.id) != sorted(documents, key=lambda d: d.id):
        raise AssertionError("what was loaded is not what was saved")
    return [
        _row("save_1000_s", saved - start, "s", "flushed to disk one by one; bar 1"),
        _row("load_1000_s", read - saved, "s", "checksums, hashes and bounds verified; bar 1"),
        _row("max_bytes", max(len(d.to_json()) for d in documents), "bytes", "38 symbols, 10 records; bar 5000"),
        _row("committee30_bytes", max(len(d.to_json()) for d in committees), "bytes", "30 members; bar 22000"),
    ]


_LOOK = tuple(
    EvidenceRecord(kind=kind, value=value, bound=bound, n=100, source="0123456789abcdef")
    for kind, value, bound in (
        ("pretest_p", 0.025, 0.1),
        ("gates", 1.0, 1.0),
        ("near_living", 0.612345678, 0.9),
        ("near_judged", -1.0, 0.9),
        ("in_shadow", 4, 10),
        ("unseen_p", 0.0612, 0.5),
    )
)


def _document(rng: np.random.Generator, *, members: int) -> StrategyConfig:
    """Return a document in shadow trading with four stages of evidence and ten performance records."""
    names = [name for name in evolving_families() if name != "composite"]
    genomes = [
        random_genome(rng, names[int(rng.integers(len(names)))], generation=int(rng.integers(20)))
        for _ in range(members)
    ]
    evidence = StageEvidence(
        metrics={name: float(rng.normal()) for name in METRICS},
        thresholds={"sharpe": 1.0, "trades": 30, "max_drawdown": 0.15},
        status="passed",
        reason="sharpe 1.23, at least 1 needed; trades 312, at least 30 needed; max drawdown 0.05, at most 0.15 needed",
    )
    config = StrategyConfig.born(
        Committee.of(genomes, rng.uniform(1.0, 2.0, members)),
        universe=tuple(f"COIN{i:02d}" for i in range(38)),
        interval="1h",
        fitness=float(rng.normal()),
        provenance=Provenance(
            market="world-demo-0a1b2c",
            date="2025-05-31",
            panel_hash="a" * 64,
            spec_hash="b" * 64,
            code_version="0.1.0",
            seed=7,
        ),
        evidence=dict.fromkeys(("in_sample", "out_of_sample", "walk_forward", "holdout"), evidence),
        at="2025-05-31",
        reason="passed every gate",
    ).moved("shadow", at="2025-05-31", reason="chosen for the shadow pool", records=_LOOK)
    for day in range(1, 11):
        record = Performance(
            observed_at=f"2025-06-{day:02d}", days=30, trades=12, sharpe=1.2, total_return=0.0123, max_drawdown=0.0456
        )
        config = config.observed(record)
    return config


def _row(metric: str, value: float, unit: str, note: str) -> dict[str, Any]:
    return {"metric": metric, "value": value, "unit": unit, "note": note}
