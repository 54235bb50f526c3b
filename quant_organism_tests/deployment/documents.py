"""Documents for tests: small builders with sensible defaults."""

from typing import Any

import numpy as np

from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.lifecycle import RULES, MoveRule, records_of
from quant_organism.deployment.moves import EvidenceRecord, Kind
from quant_organism.deployment.records import AccountAtBirth, ExternalStrategy, Performance, Provenance, StageEvidence
from quant_organism.strategies import Committee, evolving_families, random_genome

METRICS = (
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "max_drawdown", "consistency", "trades",
    "win_rate", "turnover_per_year", "exposure",
)  # fmt: skip
SOURCE = "0123456789abcdef"
"""Of the rows that records of tests come from."""

_BEYOND = {"at least": 0.0, "at most": 0.0, "above": 1e-9, "below": -1e-9}

UNIVERSE = tuple(f"COIN{i:02d}" for i in range(38))


def provenance(**changes: Any) -> Provenance:
    """Return the provenance of a cycle."""
    fields = {
        "market": "world-demo-0a1b2c",
        "date": "2025-05-31",
        "panel_hash": "a" * 64,
        "spec_hash": "b" * 64,
        "code_version": "0.1.0",
        "seed": 7,
    }
    return Provenance(**{**fields, **changes})


def stage_evidence(seed: int = 0) -> dict[str, StageEvidence]:
    """Return evidence of the size that validation really hands over."""
    rng = np.random.default_rng(seed)
    return {
        stage: StageEvidence(
            metrics={name: float(rng.normal()) for name in METRICS},
            thresholds={"sharpe": 1.0, "trades": 30, "max_drawdown": 0.15},
            status="passed",
            reason="sharpe 1.23, at least 1 needed; trades 312, at least 30 needed; "
            "max drawdown 0.0512, at most 0.15 needed",
        )
        for stage in ("in_sample", "out_of_sample", "walk_forward", "holdout")
    }


def account_at_birth(seed: int = 0) -> AccountAtBirth:
    """Return what an account executed, with all figures there."""
    rng, hashes = np.random.default_rng([seed, 1]), {"h1": "c" * 16, "h2": "d" * 16}
    measured = [name for name in AccountAtBirth.model_fields if name not in (*hashes, "in_sample")]
    figures = {name: float(rng.uniform(0.0, 1e5)) for name in measured}
    return AccountAtBirth.model_validate({**figures, **hashes})


def committee(members: int, seed: int = 0, family: str | None = None) -> Committee:
    """Return a committee of random genomes with uneven weights; without a family, of all but the trees."""
    rng = np.random.default_rng([seed, members])
    names = [family] if family else [name for name in evolving_families() if name != "composite"]
    genomes = [
        random_genome(rng, names[int(rng.integers(len(names)))], generation=int(rng.integers(20)))
        for _ in range(members)
    ]
    return Committee.of(genomes, rng.uniform(0.5, 2.0, members))


def document(
    seed: int = 0, *, members: int = 1, strategy: Committee | ExternalStrategy | None = None, **changes: Any
) -> StrategyConfig:
    """Return a document at birth; equal arguments give equal documents."""
    fields = {
        "universe": UNIVERSE,
        "interval": "1h",
        "fitness": 1.0 + seed / 100,
        "provenance": provenance(),
        "evidence": stage_evidence(seed),
        "account": account_at_birth(seed),
        "at": "2025-05-31",
        "reason": "passed every gate",
    }
    return StrategyConfig.born(strategy or committee(members, seed), **{**fields, **changes})


def observation(day: int, sharpe: float | None = 1.0) -> Performance:
    """Return a performance record of a day in June 2025 (day 1 is the first; later months follow)."""
    at = np.datetime64("2025-06-01") + (day - 1)
    return Performance(observed_at=str(at), days=30, trades=12, sharpe=sharpe, total_return=0.0123, max_drawdown=0.0456)


def enough(rule: MoveRule) -> dict[Kind, float]:
    """Return numbers that just keep every bound of a rule; where one kind has two, one in between."""
    numbers: dict[Kind, float] = {}
    for requirement in rule.requirements:
        value = requirement.bound + _BEYOND[requirement.relation]
        numbers[requirement.kind] = max(value, numbers.get(requirement.kind, value))
    if "near_holder" in numbers:
        numbers["near_holder"] = 0.8
    return numbers


def records(name: str, **changes: float) -> tuple[EvidenceRecord, ...]:
    """Return the records that just open the way of a name, some of them with another value."""
    rule = rule_of(name)
    return records_of(rule, {**enough(rule), **changes}, source=SOURCE)


def rule_of(name: str) -> MoveRule:
    """Return the rule of a name."""
    return next(rule for rule in RULES if rule.name == name)
