"""At which gates candidates of each family fall, over all cycles: where work on a family would have to begin.

That families fall at different gates is no luck and no edge, so nothing is confirmed here; it is counted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.special import erfc
from scipy.stats import false_discovery_control

from quant_organism.evolution.tables import CandidateTable
from quant_organism.market import Lake
from quant_organism.market.stored import read_parts
from quant_organism.validation.statistics.p_values import ProportionInterval, wilson_interval
from quant_organism.validation.tables import VerdictTable
from quant_organism.workflows.mining.live import MOSTLY

MIXED: Final = "mixed"
"""Family of a committee of which no family has most."""


@dataclass(frozen=True)
class JudgedCandidate:
    """A candidate, the run that put it forward, and the gate where it fell; empty where it passed all that decide."""

    run: str
    candidate: str
    family: str
    gate: str


@dataclass(frozen=True)
class GateFalls:
    """How often candidates of a family fall at a gate.

    Attributes
    ----------
    family, gate
        Which.
    judged, fell
        Candidates of the family, and those of them whose first fall it was.
    interval
        95 % of their share.
    others
        Share of all other candidates that fell there; nan without others.
    q_value
        Chance that such a difference is luck, run by run, after Benjamini and Yekutieli; 1 where no run had both.
    """

    family: str
    gate: str
    judged: int
    fell: int
    interval: ProportionInterval
    others: float
    q_value: float


def read_judged(lake: Lake, interval: str) -> list[JudgedCandidate]:
    """Return the candidates of all cycles of a lake on bars of one length, each with the first cycle that judged it.

    Raises
    ------
    IntegrityError
        A file is damaged; it is named.
    """
    result: dict[str, JudgedCandidate] = {}
    parts = lake.root.glob(f"{VerdictTable.dataset}/market=*/interval={interval}/date=*/cycle=*/*.parquet")
    for part in sorted(parts, key=lambda path: (path.parts[-3], path)):
        families = _families(lake, "/".join(part.parts[-5:-1]))
        verdicts = read_parts(VerdictTable, [part]).filter(pl.col(VerdictTable.needed_for).list.len() > 0)
        for (candidate,), rows in verdicts.group_by([VerdictTable.candidate], maintain_order=True):
            failed = rows.filter(pl.col(VerdictTable.status) == "failed")[VerdictTable.gate]
            judged = JudgedCandidate(
                "/".join(part.parts[-5:-1]),
                str(candidate),
                families.get(str(candidate), MIXED),
                failed[0] if len(failed) else "",
            )
            result.setdefault(judged.candidate, judged)
    return list(result.values())


def count_falls(judged: Sequence[JudgedCandidate]) -> list[GateFalls]:
    """Count falls by family and gate, those that differ most from the others' first.

    Notes
    -----
    Each run is a table of its own (Mantel and Haenszel 1959), so that days on which everybody falls do not speak for or
    against a family.
    """
    pairs = sorted({(one.family, one.gate) for one in judged if one.gate})
    if not pairs:
        return []
    p_values = [_p_value(list(_tables(judged, family, gate))) for family, gate in pairs]
    q_values = false_discovery_control(p_values, method="by")
    result = []
    for (family, gate), q_value in zip(pairs, q_values, strict=True):
        own = [one.gate == gate for one in judged if one.family == family]
        others = [one.gate == gate for one in judged if one.family != family]
        share = float(np.mean(others)) if others else math.nan
        interval = wilson_interval(sum(own), len(own))
        result.append(GateFalls(family, gate, len(own), sum(own), interval, share, float(q_value)))
    return sorted(result, key=lambda one: (one.q_value, -one.fell, one.family, one.gate))


def _families(lake: Lake, beneath: str) -> dict[str, str]:
    rows = read_parts(CandidateTable, sorted((lake.root / CandidateTable.dataset / beneath).glob("*.parquet")))
    shares = rows.group_by(CandidateTable.candidate, CandidateTable.family).agg(pl.col(CandidateTable.weight).sum())
    most = shares.filter(pl.col(CandidateTable.weight) > MOSTLY)
    return dict(most.select(CandidateTable.candidate, CandidateTable.family).iter_rows())


def _tables(judged: Sequence[JudgedCandidate], family: str, gate: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield for each run: candidates, those of the family, those that fell at the gate, and those that are both."""
    runs = defaultdict(list)
    for one in judged:
        runs[one.run].append((one.family == family, one.gate == gate))
    for rows in runs.values():
        yield len(rows), sum(a for a, _ in rows), sum(b for _, b in rows), sum(a and b for a, b in rows)


def _p_value(tables: Sequence[tuple[int, int, int, int]]) -> float:
    excess, variance = 0.0, 0.0
    for n, own, fell, both in tables:
        excess += both - own * fell / n
        variance += own * fell * (n - own) * (n - fell) / (n * n * (n - 1)) if n > 1 else 0.0
    return max(float(erfc(abs(excess) / math.sqrt(2.0 * variance))), 1e-300) if variance else 1.0
