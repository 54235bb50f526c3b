"""Frames of assets at rest: one Parquet file per partition in the lake, as the table of the asset's name describes."""

from datetime import date

import dagster as dg
import polars as pl

from quant_organism.market.stored import StoredTable
from quant_organism.monitoring.tables import table_named
from quant_organism.orchestration.resources import LakeResource, MarketResource


class LakeIOManager(dg.ConfigurableIOManager):
    """Store an asset's frame as the table of the asset's name, of the market and interval at hand; read it back.

    Parameters
    ----------
    lake, market
        Where, and of which market.
    """

    lake: LakeResource
    market: MarketResource

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        """Write the frame of the one partition that was materialised."""
        path = self._stored(context.asset_key).write(
            obj,
            market=self.market.id,
            interval=self.market.interval,
            day=date.fromisoformat(context.partition_key),
        )
        context.add_output_metadata(
            {"rows": obj.height, "stored at": dg.MetadataValue.path(str(path)), "market": self.market.id}
        )

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        """Read one partition, a range of them, or all there are."""
        span = context.asset_partition_key_range if context.has_asset_partitions else None
        return self._stored(context.asset_key).read(
            market=self.market.id,
            interval=self.market.interval,
            start=date.fromisoformat(span.start) if span else None,
            end=date.fromisoformat(span.end) if span else None,
        )

    def _stored(self, asset: dg.AssetKey) -> StoredTable:
        return self.lake.open().table(table_named(asset.path[-1]))
