"""At which gates candidates of each family fall, over all cycles: where work on a family would have to begin.

A gate that a family fails more often than others is found on earlier runs, and later ones are asked about it. That
families differ in this is no edge: whatever is confirmed here says nothing of what they earn.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import polars as pl
from scipy.special import erfc

from quant_organism.evolution.tables import CandidateTable
from quant_organism.market import Lake
from quant_organism.market.stored import read_parts
from quant_organism.validation.statistics.p_values import ProportionInterval, benjamini_yekutieli, holm, wilson_interval
from quant_organism.validation.tables import VerdictTable
from quant_organism.workflows.mining.live import MOSTLY
from quant_organism.workflows.mining.patterns import CONFIRMED_AT, FOUND_AT, STALE_AFTER, Status

MIXED: Final = "mixed"
"""Family of a committee of which no family has most."""


@dataclass(frozen=True)
class JudgedCandidate:
    """A candidate, the run that put it forward, its day, and the gate where it fell; empty where it passed all."""

    run: str
    day: date
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
    z
        Standard errors that the family falls there more often than others, run by run; 0 where no run had both.
    q_value
        Chance that such a difference is luck, after Benjamini and Yekutieli.
    """

    family: str
    gate: str
    judged: int
    fell: int
    interval: ProportionInterval
    others: float
    z: float
    q_value: float


@dataclass(frozen=True)
class FailingGate:
    """A gate that candidates of a family fail more often than others, and what later runs say about it.

    Attributes
    ----------
    found, again
        On earlier and on later runs; None where no later run has candidates both of the family and others.
    again_p
        Chance that luck alone shows that on later runs, one-sided, after Holm over all that were found; None without.
    status
        `confirmed`, or `stale` where the family was last judged long ago; `refuted`: there no more often than others;
        `found`: not enough to say.
    """

    found: GateFalls
    again: GateFalls | None
    again_p: float | None
    status: Status


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
                date.fromisoformat(part.parts[-3].partition("=")[2]),
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
    counted = [_falls(judged, *pair) for pair in sorted({(one.family, one.gate) for one in judged if one.gate})]
    if not counted:
        return []
    p_values = [max(float(erfc(abs(one.z) / math.sqrt(2.0))), 1e-300) for one in counted]
    q_values = benjamini_yekutieli(np.array(p_values))
    result = [replace(one, q_value=float(q)) for one, q in zip(counted, q_values, strict=True)]
    return sorted(result, key=lambda one: (one.q_value, -one.fell, one.family, one.gate))


def mine_falls(judged: Sequence[JudgedCandidate]) -> list[FailingGate]:
    """Look on earlier runs for gates that a family fails more often than others, and ask later runs about them.

    Runs are divided at the day that leaves most candidates on the poorer side. Earlier ones find by q over all families
    and gates, as `count_falls` has it; what they find is tested on later ones, one-sided, after Holm.
    """
    early, late = _divided(judged)
    found = [one for one in count_falls(early) if one.q_value <= FOUND_AT and one.z > 0.0]
    again = [_falls(late, one.family, one.gate) for one in found]
    known = [place for place, one in enumerate(again) if one.z != 0.0]
    raw = np.array([0.5 * float(erfc(again[place].z / math.sqrt(2.0))) for place in known])
    adjusted = dict(zip(known, holm(raw).tolist() if known else [], strict=True))
    newest = max((one.day for one in judged), default=date.min)
    result = []
    for place, one in enumerate(found):
        p_value = adjusted.get(place)
        status: Status = "found"
        if p_value is not None and p_value <= CONFIRMED_AT:
            last = max(each.day for each in late if each.family == one.family)
            status = "stale" if newest - last > STALE_AFTER else "confirmed"
        elif p_value is not None and again[place].z < 0.0:
            status = "refuted"
        result.append(FailingGate(one, None if p_value is None else again[place], p_value, status))
    return result


def _divided(judged: Sequence[JudgedCandidate]) -> tuple[list[JudgedCandidate], list[JudgedCandidate]]:
    """Return candidates of earlier and of later days."""
    days = sorted({one.day for one in judged})
    parts = [([one for one in judged if one.day <= day], [one for one in judged if one.day > day]) for day in days]
    return max(parts, key=lambda part: min(map(len, part)), default=([], []))


def _falls(judged: Sequence[JudgedCandidate], family: str, gate: str) -> GateFalls:
    own = [one.gate == gate for one in judged if one.family == family]
    others = [one.gate == gate for one in judged if one.family != family]
    share = float(np.mean(others)) if others else math.nan
    interval = wilson_interval(sum(own), len(own)) if own else ProportionInterval(0.0, 1.0)
    return GateFalls(family, gate, len(own), sum(own), interval, share, _excess(_tables(judged, family, gate)), 1.0)


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


def _excess(tables: Iterable[tuple[int, int, int, int]]) -> float:
    """Return how many standard errors more of the family fell than it would if it fell as others do."""
    excess, variance = 0.0, 0.0
    for n, own, fell, both in tables:
        excess += both - own * fell / n
        variance += own * fell * (n - own) * (n - fell) / (n * n * (n - 1)) if n > 1 else 0.0
    return excess / math.sqrt(variance) if variance else 0.0
