"""The deployment step of a cycle: write the survivors' documents and let the best of them into the shadow pool."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.lifecycle import JUDGED_DAYS, SEATED, MoveRule, next_move, records_of, rulings
from quant_organism.deployment.live_evidence import DEAD_LATELY_DAYS
from quant_organism.deployment.moves import LONGEST_TEXT, Kind
from quant_organism.deployment.records import Provenance
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.selection import PoolAround, PoolDecision, neighbours
from quant_organism.deployment.stages import DEPLOYED, Stage, timestamp
from quant_organism.errors import IntegrityError
from quant_organism.evolution import CandidateTable, read_candidates
from quant_organism.market import Lake
from quant_organism.market.tables import CycleIndexTable
from quant_organism.strategies import Committee
from quant_organism.validation import VerdictTable

LOOK: Final = "holdout_mean"
"""Gate that is the one look: its value is the p-value of the unseen days."""

LOOK_FAILED: Final = 0.5


@dataclass(frozen=True)
class Earned:
    """What a survivor has to show before it has lived a day.

    Attributes
    ----------
    proven
        It passed every gate before paper; else it stays in the shadow pool, unproven.
    why
        Why not further, or that it passed.
    numbers
        What the table of moves asks for, as far as it is known.
    source
        Of the rows that they come from.
    n
        Observations that a number rests on.
    """

    proven: bool
    why: str
    numbers: Mapping[Kind, float]
    source: str
    n: Mapping[Kind, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DeploymentResult:
    """What a cycle's deployment step did.

    Attributes
    ----------
    cycle_id
        The cycle.
    decisions
        One per strategy in the pool or among the survivors, in the order in which they were taken.
    documents
        The documents written by this step, best fitness first.
    """

    cycle_id: str
    decisions: tuple[PoolDecision, ...]
    documents: tuple[StrategyConfig, ...]

    @property
    def deployed(self) -> tuple[StrategyConfig, ...]:
        """Documents that this step let into the pool, those that went on to paper trading among them."""
        return tuple(document for document in self.documents if document.stage in DEPLOYED)


def pool_at(repository: StrategyRepository, cycle: Provenance, interval: str, *, at: str) -> list[StrategyConfig]:
    """Return who was deployed at a moment on a cycle's market and interval, by other cycles or moved on since.

    The pool is read as of that moment, whatever happened since, so that repeating or backfilling an earlier day
    decides as it would have decided then. Documents that the same cycle wrote and nobody has touched since do not
    count: its deployment step writes them anew.

    Parameters
    ----------
    repository
        Where the documents are.
    cycle
        The cycle that is about to deploy.
    interval
        Strategies on other bars have a pool of their own.
    at
        The moment.

    Raises
    ------
    IntegrityError
        A document cannot be read, so the pool is not known.
    """
    return _pool(all_documents(repository), cycle, interval, at)


def dead_lately(repository: StrategyRepository, cycle: Provenance, interval: str, *, at: str) -> list[StrategyConfig]:
    """Return who was retired from paper or beyond on a cycle's market and interval within `DEAD_LATELY_DAYS`.

    A near copy of such a strategy gets no credit for days on which the dead edge still lived.
    """
    moment = datetime.fromisoformat(timestamp(at))
    found = []
    for document in all_documents(repository):
        ends = [move for move in document.history if move.to_stage == "retired" and move.at <= timestamp(at)]
        lately = ends and (moment - datetime.fromisoformat(ends[-1].at)).days <= DEAD_LATELY_DAYS
        own = document.provenance.market == cycle.market and document.interval == interval
        if own and lately and any(move.to_stage in SEATED for move in document.history):
            found.append(document)
    return found


def judged_lately(lake: Lake, market: str, interval: str, day: date) -> dict[str, Committee]:
    """Return the candidates of earlier days whose one look failed within `JUDGED_DAYS`, by identity.

    Neither they nor near copies of them may be offered again.

    Parameters
    ----------
    lake, market, interval
        Verdicts and candidates of the cycles there.
    day
        Of the cycle that is about to deploy; only what was judged before it counts.
    """
    where, index = {"market": market, "interval": interval}, lake.table(CycleIndexTable)
    found: dict[str, Committee] = {}
    for when in index.days(**where):
        if not 0 < (day - when).days <= JUDGED_DAYS:
            continue
        for cycle in index.read_day(when, **where)[CycleIndexTable.cycle].sort():
            verdicts, candidates = (lake.table(table, cycle=cycle) for table in (VerdictTable, CandidateTable))
            if when not in verdicts.days(**where) or when not in candidates.days(**where):
                continue
            failed = set(
                verdicts.read_day(when, **where).filter(
                    pl.col(VerdictTable.gate) == LOOK,
                    pl.col(VerdictTable.status).is_in(["passed", "failed"]),
                    pl.col(VerdictTable.value) > LOOK_FAILED,
                )[VerdictTable.candidate]
            )
            if failed:
                made = read_candidates(candidates.read_day(when, **where))
                found |= {candidate.id: candidate.committee for candidate in made if candidate.id in failed}
    return found


def deploy(
    repository: StrategyRepository,
    survivors: Sequence[StrategyConfig],
    returns: Mapping[str, NDArray[np.float64]],
    *,
    cycle: Provenance,
    interval: str,
    at: str,
    earned: Mapping[str, Earned],
    judged: Collection[str] = (),
    closed_seats: int = 0,
) -> DeploymentResult:
    """Save a cycle's survivors as born and move the chosen ones to the shadow pool, the proven of them on to paper.

    Repeating it for the same cycle gives the same bytes: what the cycle wrote before and nobody has touched since is
    replaced, or removed if it no longer survives. Documents that were moved further, observed or retired since are
    left as they are, and the decision says so. A strategy that an earlier cycle found, and that never got beyond
    birth, now belongs to this cycle.

    Parameters
    ----------
    repository
        Where the documents are.
    survivors
        Documents at birth, of this cycle; may be empty.
    returns
        Net daily returns on common days, of the survivors, of `pool_at` and of those judged lately.
    cycle, interval
        The cycle that deploys, and the bars it trades on.
    at
        The moment that moves are stamped with.
    earned
        How far each survivor may go.
    judged
        Who failed its look lately, as `judged_lately` says.
    closed_seats
        Seats on paper that nobody may take.

    Raises
    ------
    InputError
        Returns are missing or unusable.
    IntegrityError
        A document in the folder cannot be read; nothing is written then.
    """
    with repository.writing():
        stored = {document.id: document for document in all_documents(repository)}
        left = {
            document.id: reason
            for document in survivors
            if (reason := _reason_to_leave(stored.get(document.id), cycle, at)) is not None
        }
        # What this cycle itself deployed competes again, moved on or not, so that the others are chosen as before.
        own = {id for id in left if stored[id].provenance.cycle_id == cycle.cycle_id}
        candidates = [document for document in survivors if document.id not in left or document.id in own]
        active = [d for d in _pool(list(stored.values()), cycle, interval, at) if d.id not in own]
        pool: dict[str, Stage] = {d.id: d.stage_at(at) or "born" for d in active}
        chosen = [PoolDecision(id, "keep", "in the pool already") for id in sorted(pool)]
        documents = []
        for document in sorted(candidates, key=lambda d: (-d.fitness, d.id)):
            if document.id in pool:
                continue
            moved, decision = _placed(document, earned[document.id], pool, returns, at, judged, closed_seats)
            chosen.append(decision)
            if moved.stage in DEPLOYED:
                pool[document.id] = moved.stage
            if document.id not in left:
                documents.append(moved)
        repository.save_many(documents)
        written = {document.id for document in documents}
        repository.discard(id for id, old in stored.items() if _is_untouched(old, cycle) and id not in written)
    kept = {id: PoolDecision(id, "keep", reason) for id, reason in left.items()}
    decisions = {decision.id: kept.get(decision.id, decision) for decision in chosen} | kept
    return DeploymentResult(cycle.cycle_id, tuple(decisions.values()), tuple(documents))


def _placed(
    document: StrategyConfig,
    earned: Earned,
    pool: Mapping[str, Stage],
    returns: Mapping[str, NDArray[np.float64]],
    at: str,
    judged: Collection[str],
    closed_seats: int,
) -> tuple[StrategyConfig, PoolDecision]:
    """Move a document at birth as far as the table lets it in the same night, and say why no further."""
    around = neighbours(document.id, pool, returns, judged=judged, closed_seats=closed_seats)
    numbers = {**earned.numbers, **around.numbers}
    if (first := next_move("born", numbers)) is None or first.end != "shadow":
        nearest = min(rulings("born", numbers, to="shadow"), key=lambda ruling: len(ruling.refusals))
        return document, PoolDecision(document.id, "wait", _with_whom("; ".join(nearest.refusals), around))
    place = f"Sharpe ratio {document.fitness:.2f} on {document.judged_days}, number {len(pool) + 1} in the pool"
    reason = _with_whom(place, around)
    sayings = {
        "shadow": "chosen for the shadow pool" + ("" if earned.proven else f", {earned.why}"),
        "paper": earned.why,
    }
    rule: MoveRule | None = first
    while rule is not None:
        records = records_of(rule, numbers, source=earned.source, n=earned.n)
        document = document.moved(rule.end, at=at, reason=_short(sayings[rule.end]), records=records)
        rule = next_move("shadow", numbers) if document.stage == "shadow" and earned.proven else None
        if rule is not None and rule.end != "paper":
            rule = None
    return document, PoolDecision(document.id, "deploy", reason)


def _with_whom(text: str, around: PoolAround) -> str:
    if around.nearest is None:
        return f"{text}; nobody in the pool to compare with"
    return f"{text}; largest correlation {around.numbers['near_living']:.2f}, with {around.nearest}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def all_documents(repository: StrategyRepository) -> tuple[StrategyConfig, ...]:
    """Return every document, active and archived.

    Raises
    ------
    IntegrityError
        Some cannot be read: what is deployed is not known then.
    """
    loaded = repository.load_all(archived=True)
    if loaded.problems:
        problems = "; ".join(f"{problem.path}: {problem.what}" for problem in loaded.problems)
        raise IntegrityError(
            f"{len(loaded.problems)} unreadable documents: {problems}",
            where=str(repository.root),
            remedy="mend or move them first: without them it is not known what is deployed",
        )
    return loaded.documents


def _pool(stored: Sequence[StrategyConfig], cycle: Provenance, interval: str, at: str) -> list[StrategyConfig]:
    return [
        document
        for document in stored
        if document.provenance.market == cycle.market
        and document.interval == interval
        and document.stage_at(at) in DEPLOYED
        and not _is_untouched(document, cycle)
    ]


def _is_untouched(document: StrategyConfig, cycle: Provenance) -> bool:
    """Tell whether a document is as this cycle's deployment step wrote it."""
    return (
        document.provenance.cycle_id == cycle.cycle_id
        and document.stage in ("born", "shadow", "paper")
        and all(move.at == document.history[0].at for move in document.history)
        and not document.performance
    )


def _reason_to_leave(stored: StrategyConfig | None, cycle: Provenance, at: str) -> str | None:
    """Say why the stored document of a survivor is not replaced, or nothing if it may be."""
    if stored is None or _is_untouched(stored, cycle):
        return None
    last = stored.history[-1]
    if stored.stage == "retired":
        state = f"retired at {last.at} ({last.reason})"
    elif stored.stage != "born":
        state = f"in {stored.stage} since {last.at}, bred on {stored.provenance.market}"
    elif last.at > timestamp(at):
        state = f"born again in the later cycle {stored.provenance.cycle_id}"
    else:
        return None
    return f"{state}; its document is left as it is"
