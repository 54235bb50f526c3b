"""From what stands to a document: the code is kept by its hash, and its life begins as every other strategy's does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import numpy as np
import orjson
import polars as pl

from quant_organism import __version__
from quant_organism.backtest import Evaluator
from quant_organism.backtest.account import EQUITY_USD, AccountRun
from quant_organism.deployment import (
    BirthTable,
    ExternalStrategy,
    Provenance,
    StrategyConfig,
    StrategyRepository,
    account_run,
    all_documents,
    execute_strategy,
    pool_at,
    pool_returns,
    timestamp,
)
from quant_organism.deployment.birth import birth_rows
from quant_organism.deployment.booking import book_births, book_moves, read_rows
from quant_organism.deployment.deploy import Earned, dead_lately, deploy, judged_lately
from quant_organism.deployment.live_evidence import credited_wealth
from quant_organism.deployment.moves import Kind, source_of
from quant_organism.deployment.records import StageEvidence
from quant_organism.deployment.selection import nearest_of
from quant_organism.errors import InputError
from quant_organism.judge.court import Court
from quant_organism.judge.page import JudgedPage, Survivor, why_not
from quant_organism.judge.proof import CUTS
from quant_organism.market import PanelTable, day_of
from quant_organism.validation import CandidateReturnTable, HoldoutRegister, Verdict

_WATCHED: Final = "the court asks less than the gates of a profile: it is watched first"


@dataclass(frozen=True)
class KeptStrategy:
    """What became of a strategy that was judged.

    Attributes
    ----------
    document
        Its document; none where it is not kept.
    reason
        Why not, or what the pool said of it.
    """

    document: StrategyConfig | None
    reason: str


def keep_survivor(
    court: Court, page: JudgedPage, manifest: pl.DataFrame, repository: StrategyRepository, *, now: datetime
) -> KeptStrategy:
    """Keep what stands: its code under its hash, its document, its birth; and let it into the shadow pool if it may.

    A strategy is fixed when it is kept: whoever hands it in may have seen every day until then. So the first day that
    counts is the one after, whatever day it was judged on.

    Parameters
    ----------
    court, page
        Where it was judged, and what came of it.
    manifest
        Of the court's panel, as `market.manifest.describe_panel` returns it.
    repository
        Where documents are.
    now
        The moment, UTC.

    Raises
    ------
    InputError
        It is kept already, or its file was changed while it was judged.
    """
    survivor = page.survivor
    if survivor is None:
        outcome = "is unproven" if page.outcome == "unproven" else page.outcome
        reasons = why_not(page.verdicts, page.decisive)
        return KeptStrategy(None, _NO_CODE if page.outcome == "stands" else f"it {outcome}: {reasons}")
    code = external_strategy(survivor)
    _check_new(code, court, repository)
    panel, splits, costs, lake = court.panel, court.splits, court.costs, court.lake
    market, interval, day = panel.market, panel.interval, day_of(int(panel.times[-1]))
    provenance = Provenance(
        market=market,
        date=day.isoformat(),
        panel_hash=panel.hash,
        spec_hash=survivor.strategy.identity,
        code_version=__version__,
        seed=court.seed,
    )
    executed = execute_strategy(survivor.window, panel, splits, costs, EQUITY_USD)
    at, today, seen, unseen = timestamp(now), now.date(), splits.in_sample, splits.unseen
    before = account_run(survivor.window, panel, costs, EQUITY_USD, start=seen.start, stop=seen.stop)
    run = account_run(survivor.window, panel, costs, EQUITY_USD, start=unseen.start, stop=unseen.stop, after=before)
    document = StrategyConfig.born(
        code,
        universe=panel.symbols,
        interval=interval.name,
        fitness=executed.promised.sharpe,
        provenance=provenance,
        evidence=_evidence(page.verdicts),
        account=executed.at_birth,
        at=at,
        reason=f"{page.name} was judged, and stands among {page.trials:,} trials"[:200],
    )
    opening_of = partial(HoldoutRegister(lake.root).opening_of, market, panel.hash)
    with repository.writing():
        repository.keep_source(survivor.content)
        pool = pool_at(repository, provenance, interval.name, at=at)
        dead = dead_lately(repository, provenance, interval.name, at=at)
        judged = judged_lately(lake, market, interval.name, today)
        known = judged | {each.id: each for each in [*pool, *dead]}
        returns = pool_returns(lake, known, panel, splits, costs, Evaluator())
        returns[document.id] = np.concatenate([before.daily_returns, run.daily_returns])
        near = nearest_of(document.id, {each.id for each in dead} - {document.id}, returns)
        opening = opening_of(document.id)
        earned = {document.id: _earned(page, near, 0 if opening is None else opening.rerun)}
        result = deploy(
            repository,
            [document],
            returns,
            cycle=provenance,
            interval=interval.name,
            at=at,
            earned=earned,
            judged=judged,
        )
        frame = _returns_of(document.id, before, run)
        births = birth_rows(
            result.documents,
            earned,
            frame,
            promised_from=day_of(int(panel.times[unseen.start])),
            first_day=today + timedelta(days=1),
            search_copies=court.copies,
            opening_of=opening_of,
            nearest_dead={document.id: near},
        )
        where = {"market": market, "interval": interval.name}
        lake.table(PanelTable, cycle=provenance.cycle).write(manifest, **where, day=day)
        lake.table(CandidateReturnTable, cycle=provenance.cycle).write(frame, **where, day=day)
        book_births(lake, births, day=today, market=market, interval=interval)
        book_moves(lake, result.documents, market=market, interval=interval)
    said = next(decision.reason for decision in result.decisions if decision.id == document.id)
    return KeptStrategy(repository.load(document.id), said)


_NO_CODE: Final = "it is no code, but a document or genomes: offer it to a search or a workflow, which write documents"


def external_strategy(survivor: Survivor) -> ExternalStrategy:
    """Return what a document keeps of code that stands.

    Raises
    ------
    InputError
        The file is not any more what was judged.
    """
    source, rules = survivor.strategy.source, survivor.strategy.rules
    if source.read() != survivor.content:
        raise InputError(
            "it was changed while it was judged", where=str(source.path), remedy="judge it again, and leave it alone"
        )
    return ExternalStrategy(
        name=survivor.strategy.name,
        form=source.form,
        function=source.function,
        source=hashlib.sha256(survivor.content).hexdigest(),
        parameters=dict(survivor.parameters),
        rules={} if rules is None else rules.model_dump(mode="json"),
        seconds=source.limits.seconds,
        memory_mb=source.limits.memory_mb,
        trusted=source.trusted,
    )


def _check_new(code: ExternalStrategy, court: Court, repository: StrategyRepository) -> None:
    # Whoever was killed between document and birth is kept again, to the same end.
    held = {each.id: each for each in all_documents(repository)}.get(code.id)
    births = read_rows(court.lake, BirthTable, market=court.panel.market, interval=court.panel.interval.name)
    if held is not None and (held.stage == "retired" or code.id in births[BirthTable.id]):
        raise InputError(
            f"it is kept already, in stage {held.stage}",
            where=code.id,
            remedy=f"see it with: quant-organism strategies show {code.id}",
        )


def _evidence(verdicts: tuple[Verdict, ...]) -> dict[str, StageEvidence]:
    stages: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        stages.setdefault(verdict.stage, []).append(verdict)
    return {stage: StageEvidence.of(own, {}) for stage, own in stages.items()}


def _earned(page: JudgedPage, nearest_dead: float, reruns: int) -> Earned:
    verdicts: Mapping[str, Verdict] = {verdict.gate: verdict for verdict in page.verdicts}
    copies, look = verdicts["copies"], verdicts["holdout_mean"]
    wealth, credit = credited_wealth(copies.value, look.value, nearest_dead=nearest_dead, extra_looks=reruns)
    # The pretest asks of this program's families what the copies have asked of the strategy itself.
    numbers: dict[Kind, float] = {"pretest_p": copies.value, "search_p": copies.value, "unseen_p": look.value}
    counts: dict[Kind, int] = {"pretest_p": copies.n_used, "search_p": copies.n_used, "unseen_p": look.n_used}
    shares: dict[Kind, tuple[str, ...]] = {"gates": ("in_sample", "overfitting"), "perturbations": ("robustness",)}
    for kind, stages in shares.items():
        own = [verdict for verdict in page.verdicts if verdict.stage in stages and verdict.gate in page.decisive]
        numbers[kind], counts[kind] = sum(verdict.status == "passed" for verdict in own) / len(own), len(own)
    # A truncated panel on which it says the same makes the same trades: nothing else is asked of a replay.
    numbers["trade_parity"], counts["trade_parity"] = 1.0, CUTS
    numbers |= {"starting_wealth": wealth, "old_days": float(credit != "no old days"), "stage_days": 0}
    rows = orjson.dumps([[v.stage, v.gate, str(v.value), v.status, v.n_used] for v in page.verdicts])
    return Earned(False, _WATCHED, numbers, source_of(rows), counts)


def _returns_of(id: str, *runs: AccountRun) -> pl.DataFrame:
    rows = [
        (id, day_of(int(when)), float(net), float(ideal))
        for run in runs
        for when, net, ideal in zip(run.days, run.daily_returns, run.ideal_daily_returns, strict=True)
    ]
    return CandidateReturnTable.frame(rows)
