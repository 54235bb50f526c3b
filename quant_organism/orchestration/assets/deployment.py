"""Group deployment: documents of the survivors, and who of them enters the shadow pool."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import dagster as dg
import polars as pl

from quant_organism.cycle import Panels, Progress
from quant_organism.cycle.documents import read_documents
from quant_organism.cycle.stages import deploy_survivors, write_documents
from quant_organism.deployment import DEPLOYED, AccountTable, DocumentTable
from quant_organism.deployment.decisions import Figure, decide_days
from quant_organism.evolution import read_candidates
from quant_organism.market import Table
from quant_organism.monitoring import LifeSpan, account_figures
from quant_organism.orchestration.failures import plainly
from quant_organism.orchestration.metadata import number, page, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    ReportsResource,
    SearchResource,
    SignificanceResource,
    StrategiesResource,
    open_cycle,
)
from quant_organism.orchestration.tables import outputs_of, table_outputs
from quant_organism.trading import trader_days
from quant_organism.trading.decided import carry_out
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.ranker import put_ranked, rank_symbols
from quant_organism.validation import read_reviewed

_SHOWN: Final = ("annual_return", "max_drawdown", "sharpe", "sharpe_sleeves", "tracking_error", "orders_per_day")


@dg.multi_asset(
    name="strategy_configs",
    outs=table_outputs(
        [DocumentTable, AccountTable],
        group="deployment",
        kinds={"json", "parquet"},
        description="""The document of each survivor at its birth: genomes, evidence, account, provenance, checksum.

        One row per document.
        """,
    ),
    partitions_def=DAILY,
)
@plainly
def documents_of_survivors(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    candidates: pl.DataFrame,
    validated_strategies: pl.DataFrame,
    validation_verdicts: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    reports: ReportsResource,
    panels: dg.ResourceParam[Panels],
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.Output[pl.DataFrame]]:
    """Write the survivors' documents, with what accounts execute of them."""
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    reviewed = read_reviewed(read_candidates(candidates), validated_strategies, validation_verdicts)
    documented = write_documents(cycle, reviewed, progress)
    frames = documented.tables
    shown: dict[type[Table], dict[str, Any]] = {
        DocumentTable: {
            "documents": len(documented.documents),
            "best fitness": number(max((document.fitness for document in documented.documents), default=None)),
            "strategies": page(f"{reports.site}/strategies", "all documents"),
            "documents of this cycle": table(frames[DocumentTable].drop(DocumentTable.document)),
        },
        AccountTable: {
            "accounts": table(frames[AccountTable].select(*AccountTable.key, *_SHOWN)),
            **{name: " ".join(one.sentences) for name, one in documented.executed.items()},
        },
    }
    yield from outputs_of(frames, shown)


# Seats that the marks of the day have freed are free for the newcomers of its night.
@dg.asset(group_name="deployment", partitions_def=DAILY, deps=["evidence_days"], kinds={"json", "parquet"})
@plainly
def deployed_configs(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    candidates: pl.DataFrame,
    validated_strategies: pl.DataFrame,
    validation_verdicts: pl.DataFrame,
    strategy_configs: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
    strategies: StrategiesResource,
    reports: ReportsResource,
) -> pl.DataFrame:
    """Who enters the shadow pool, and who goes on to paper trading: the best survivors that are not too alike.

    At most ten are deployed at a time. One row per decision.
    """
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    repository = strategies.open()
    reviewed = read_reviewed(read_candidates(candidates), validated_strategies, validation_verdicts)
    deployed = deploy_survivors(cycle, repository, read_documents(strategy_configs), reviewed)
    entered, decisions = deployed.result.deployed, deployed.table
    context.add_output_metadata(
        {
            "pool": page(f"{reports.site}/pool", "equity, correlation and stages"),
            "deployed": len(entered),
            "on paper": sum(document.stage == "paper" for document in entered),
            "in the pool": int(decisions["stage"].is_in(list(DEPLOYED)).sum()),
            "decisions": table(decisions),
            "documents": dg.MetadataValue.path(str(repository.root)),
        }
    )
    return decisions


@dg.asset(
    group_name="deployment",
    partitions_def=DAILY,
    deps=["deployed_configs", "evidence_days", "market_regime"],
    kinds={"parquet"},
)
@plainly
def deployment_decisions(
    context: dg.AssetExecutionContext,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    strategies: StrategiesResource,
) -> dg.MaterializeResult[None]:
    """What was decided after each new day, by rules in one file, and what a person is asked.

    Moves are those of the table of moves. What acts is carried out at once: a stricter risk mode, sessions that may not
    enter, an emergency stop; under a policy that limits symbols, the best ranked.
    """
    day, opened = date.fromisoformat(context.partition_key), lake.open()
    policies = FilePolicyStore(policy_folder(lake.data_dir))
    policy = policies.current()

    def figures_of(last: date) -> Mapping[str, Figure]:
        year = LifeSpan(market.id, market.bars, last - timedelta(days=364), last)
        return account_figures(lake.data_dir, year, search.equity_usd)

    booked = decide_days(
        opened,
        strategies.open(),
        figures_of,
        market=market.id,
        interval=market.bars,
        through=day,
        equity_usd=search.equity_usd,
        trader=trader_days(opened, market=market.id, interval=market.bars.name),
        in_force={} if policy is None else {"risk_adjustment": policy.policy.risk_mode},
    )
    now = datetime.now(UTC)
    done = carry_out(lake.data_dir, market=market.id, interval=market.bars, now=now)
    ranks = rank_symbols(opened, day, market=market.id, interval=market.bars)
    limited = put_ranked(lake.data_dir, ranks, day, market=market.id, interval=market.bars, now=now)
    rows = [(each.type, each.subject, each.value, each.rule, each.urgency, each.needs_person) for each in booked]
    names = ["type", "subject", "value", "rule", "urgency", "needs_person"]
    shown = pl.DataFrame(rows, schema=names, orient="row")
    return dg.MaterializeResult(
        metadata={
            "decisions": len(booked),
            "carried out": "; ".join(f"{each.type} {each.id}: {each.what}" for each in done) or "nothing",
            "asked of a person": int(shown["needs_person"].sum() or 0),
            "all": table(shown),
            "symbols by rank": table(ranks),
            "symbols that may be entered": "as before" if limited is None else limited.reason,
        }
    )
