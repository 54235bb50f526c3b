"""Group deployment: documents of the survivors, and who of them enters the shadow pool."""

import dagster as dg
import polars as pl

from quant_organism.deployment.birth import born_documents, earned, scored_returns
from quant_organism.deployment.deploy import deploy, pool_at
from quant_organism.deployment.stages import DEPLOYED
from quant_organism.orchestration.cycle import Cycle
from quant_organism.orchestration.documents import documents_frame, read_documents
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    StrategiesResource,
)


@dg.asset(group_name="deployment", partitions_def=DAILY, kinds={"json", "parquet"})
def strategy_configs(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    validated_strategies: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
) -> pl.DataFrame:
    """The document of each survivor at its birth: genomes, evidence, provenance, checksum. One row per document."""
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    documents = born_documents(
        cycle.candidates(),
        validated_strategies,
        cycle.read("validation_verdicts"),
        panel=cycle.panel,
        provenance=cycle.provenance(),
        at=context.partition_key,
    )
    frame = documents_frame(documents)
    context.add_output_metadata(
        {
            "documents": len(documents),
            "best fitness": number(max((document.fitness for document in documents), default=None)),
            "cycle": cycle.provenance().cycle_id,
            "documents of this cycle": table(frame.drop("document")),
        }
    )
    return frame


@dg.asset(group_name="deployment", partitions_def=DAILY, kinds={"json", "parquet"})
def deployed_configs(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    validated_strategies: pl.DataFrame,
    strategy_configs: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    strategies: StrategiesResource,
) -> pl.DataFrame:
    """Who enters the shadow pool, and who goes on to paper trading: the best survivors that are not too alike.

    At most ten are deployed at a time. One row per decision.
    """
    cycle, repository = Cycle.open(market_panel, context.partition_key, market, lake), strategies.open()
    at = context.partition_key
    survivors, provenance, interval = read_documents(strategy_configs), cycle.provenance(), cycle.interval.name
    with repository.writing():
        pool = pool_at(repository, provenance, interval, at=at)
        committees = list({d.id: d.committee for d in [*survivors, *pool]}.values())
        returns = scored_returns(committees, cycle.panel, cycle.splits, search.costs, search.evaluator())
        how_far = earned(validated_strategies, cycle.read("validation_verdicts"))
        result = deploy(repository, survivors, returns, cycle=provenance, interval=interval, at=at, earned=how_far)
        stages = {decision.id: repository.load(decision.id).stage for decision in result.decisions}
    decisions = pl.DataFrame(
        [(d.id, d.action, stages[d.id], d.reason) for d in result.decisions],
        schema={"id": pl.Utf8, "action": pl.Utf8, "stage": pl.Utf8, "reason": pl.Utf8},
        orient="row",
    )
    context.add_output_metadata(
        {
            "deployed": len(result.deployed),
            "on paper": sum(document.stage == "paper" for document in result.deployed),
            "in the pool": sum(stage in DEPLOYED for stage in stages.values()),
            "decisions": table(decisions),
            "documents": dg.MetadataValue.path(str(repository.root)),
        }
    )
    return decisions
