"""Frames of assets at rest: one Parquet file per partition in the lake, as the table of the asset's name describes."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import dagster as dg
import polars as pl

from quant_organism.market.stored import StoredTable
from quant_organism.market.table import BY_CYCLE
from quant_organism.monitoring.tables import table_named
from quant_organism.orchestration.failures import said_first
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    SignificanceResource,
    cycle_at_hand,
)

_NEEDED: Final = {"lake", "market", "search", "significance"}


@dataclass(frozen=True)
class LakeIOManager(dg.IOManager):
    """Store an asset's frame as the table of the asset's name, of the market, interval and cycle at hand; read it back.

    A table that lies by cycle is that of the cycle which was begun last on the day by the settings at hand.

    Parameters
    ----------
    lake, market
        Where, and of which market.
    search, significance
        How the cycle at hand searches and judges.
    """

    lake: LakeResource
    market: MarketResource
    search: SearchResource
    significance: SignificanceResource

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        """Write the frame of the one partition that was materialised."""
        day = date.fromisoformat(context.partition_key)
        with said_first():
            stored, shown = self._of_day(context.asset_key, day)
            path = stored.write(obj, market=self.market.id, interval=self.market.interval, day=day)
        context.add_output_metadata(
            {"rows": obj.height, "stored at": dg.MetadataValue.path(str(path)), "market": self.market.id, **shown}
        )

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        """Read one partition; of a range of them, or of all there are, the latest cycle of each day."""
        span = context.asset_partition_key_range if context.has_asset_partitions else None
        start, end = (date.fromisoformat(span.start), date.fromisoformat(span.end)) if span else (None, None)
        with said_first():
            stored = self.lake.open().table(table_named(context.asset_key.path[-1]))
            if start is not None and start == end:
                stored, _ = self._of_day(context.asset_key, start)
            return stored.read(market=self.market.id, interval=self.market.interval, start=start, end=end)

    def _of_day(self, asset: dg.AssetKey, day: date) -> tuple[StoredTable, dict[str, Any]]:
        """Return where an asset's days are, and what the web UI shows of the cycle."""
        table = table_named(asset.path[-1])
        if table.partitions != BY_CYCLE:
            return self.lake.open().table(table), {}
        cycle = cycle_at_hand(day, self.market, self.lake, self.search, self.significance)
        return self.lake.open().table(table, cycle=cycle), {"cycle": cycle}


@dg.io_manager(required_resource_keys=_NEEDED)
def lake_io_manager(context: dg.InitResourceContext) -> LakeIOManager:
    """Return the IO manager on the resources of the run, so that what a launchpad changes of them holds for it too."""
    return LakeIOManager(**{name: getattr(context.resources, name) for name in _NEEDED})
