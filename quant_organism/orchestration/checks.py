"""Blocking checks: between market and evolution, between validation and deployment. One that fails stops the cycle."""

from collections.abc import Sequence
from datetime import date

import dagster as dg
import polars as pl

from quant_organism.cycle.documents import read_documents
from quant_organism.errors import QuantOrganismError
from quant_organism.market import CandleQualityTable, summarise
from quant_organism.monitoring import table_named
from quant_organism.orchestration.metadata import number
from quant_organism.orchestration.metadata import table as shown
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    SignificanceResource,
    read_at_hand,
)
from quant_organism.validation import BACKTEST, DECISION, REPLAY, TESTNET, Stage, StandingTable, VerdictTable


def data_quality(
    context: dg.AssetCheckExecutionContext,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
) -> dg.AssetCheckResult:
    """Compare the quality scores of the panel's candles with the least that is accepted."""
    day = date.fromisoformat(context.partition_key)
    assessment = read_at_hand(CandleQualityTable, day, market, lake, search, significance)
    summary = summarise(assessment)
    reasons = summary.blocking_reasons(market.min_quality, require_funding=market.require_funding)
    sound = f"all {summary.overall.expected} bars score {summary.overall.score:.2%}"
    worst = assessment.filter(pl.col("score") < 1).sort("score", "day", "symbol")
    return dg.AssetCheckResult(
        passed=not reasons,
        description="\n".join(reasons or [sound, *summary.funding_gaps(market.min_quality)]),
        metadata={
            "score of all bars": number(summary.overall.score),
            "score of the newest day": number(summary.newest_day.score),
            "least accepted": market.min_quality,
            "share of bars with known funding": number(summary.overall.funding or 0.0),
            "worst days": shown(worst.select("day", "symbol", "bars", "expected", "score", "reasons")),
        },
    )


def something_to_find(edge_pretest: pl.DataFrame) -> dg.AssetCheckResult:
    """Warn where the test before the search found nothing, or did not run."""
    row = edge_pretest.row(0, named=True)
    reason = f"Not run: {row['sentence']}" if row["status"] == "not_run" else row["sentence"]
    return dg.AssetCheckResult(
        passed=row["status"] == "passed",
        severity=dg.AssetCheckSeverity.WARN,
        description=reason,
        metadata={"p-value": number(row["p_value"]), "largest accepted": row["level"]},
    )


def evidence_complete(
    context: dg.AssetCheckExecutionContext,
    strategy_configs: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
) -> dg.AssetCheckResult:
    """Look for a stage that did not run, failed, or is missing in any document."""
    day = date.fromisoformat(context.partition_key)
    verdicts, validated = (
        read_at_hand(table, day, market, lake, search, significance) for table in (VerdictTable, StandingTable)
    )
    earned = verdicts.join(validated.select("candidate", "standing"), on="candidate")
    needed = earned.filter(pl.col("needed_for").list.contains(pl.col("standing")))
    lacking = [
        {"id": document.id, "stage": stage, "status": found.status if found else "missing"}
        for document in read_documents(strategy_configs)
        for stage in needed.filter(candidate=document.id)["stage"].unique(maintain_order=True)
        if (found := document.evidence.get(stage)) is None or found.status in ("failed", "not_run")
    ]
    return dg.AssetCheckResult(
        passed=not lacking,
        description=f"{len(lacking)} stages without passed evidence" if lacking else "every stage passed",
        metadata={"documents": strategy_configs.height, "lacking": shown(pl.DataFrame(lacking))},
    )


def config_intact(strategy_configs: pl.DataFrame) -> dg.AssetCheckResult:
    """Read every document back from its stored form."""
    broken = []
    for row in strategy_configs.partition_by("id"):
        try:
            read_documents(row)
        except QuantOrganismError as error:
            broken.append({"id": row["id"][0], "problem": str(error)})
    return dg.AssetCheckResult(
        passed=not broken,
        description=f"{len(broken)} broken documents" if broken else "every document reads back",
        metadata={"documents": strategy_configs.height, "broken": shown(pl.DataFrame(broken))},
    )


def _gate_check(asset: dg.AssetKey, stage: Stage, days: dg.PartitionsDefinition[str]) -> dg.AssetChecksDefinition:
    """Return the check of one stage's gates on an asset whose rows are verdicts, or that wrote all of them.

    It warns where no candidate passed all gates of the stage that decide something.
    """

    @dg.asset_check(
        name=f"{stage}_gates",
        asset=asset,
        partitions_def=days,
        description=f"Gates of the stage {stage}: some candidate passes all of them that decide something.",
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        market: MarketResource,
        lake: LakeResource,
        search: SearchResource,
        significance: SignificanceResource,
    ) -> dg.AssetCheckResult:
        day = date.fromisoformat(context.partition_key)
        name = asset.path[-1]
        table = VerdictTable if name == "validated_strategies" else table_named(name)
        verdicts = read_at_hand(table, day, market, lake, search, significance)
        own = verdicts.filter(pl.col("stage") == stage)
        stopped = own.filter(pl.col("needed_for").list.len() > 0, pl.col("status").is_in(["failed", "not_run"]))
        asked = own.filter(pl.col("status") != "not_applicable")
        judged, fell = asked["candidate"].n_unique(), stopped["candidate"].n_unique()
        return dg.AssetCheckResult(
            passed=judged == 0 or fell < judged,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{judged - fell} of {judged} candidates passed" if judged else "nothing was judged here",
            metadata={"verdicts": shown(own.select("candidate", "gate", "needed_for", "status", "value", "reason"))},
        )

    return check


def checks_on(days: dg.PartitionsDefinition[str], prefix: Sequence[str] = ()) -> list[dg.AssetChecksDefinition]:
    """Return all checks but those of tables, on assets with these partitions, whose keys begin so."""

    def key(name: str) -> dg.AssetKey:
        return dg.AssetKey([*prefix, name])

    return [
        dg.asset_check(
            asset=key("market_panel"),
            partitions_def=days,
            blocking=True,
            description="Candles are sound enough to evolve on: all bars together, the newest day, and every symbol.",
        )(data_quality),
        dg.asset_check(
            asset=key("edge_pretest"),
            partitions_def=days,
            description="There may be something to find: random strategies do better here than where nothing can be "
            "found. Where it fails, what the search finds is unproven.",
        )(something_to_find),
        *(
            _gate_check(key(asset), stage, days)
            for asset, stages in (
                ("backtest_validation", BACKTEST),
                ("replay_validation", REPLAY),
                ("testnet_validation", TESTNET),
                ("validated_strategies", DECISION),
            )
            for stage in stages
        ),
        dg.asset_check(
            asset=key("strategy_configs"),
            partitions_def=days,
            blocking=True,
            description="Every document carries passed evidence of every stage before what it has earned: nothing "
            "passes by default.",
        )(evidence_complete),
        dg.asset_check(
            asset=key("strategy_configs"),
            partitions_def=days,
            blocking=True,
            description="Every document reads back to what its checksum, identity and schema version say.",
        )(config_intact),
    ]
