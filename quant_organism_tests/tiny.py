"""A market small enough to live through a whole cycle in seconds: three assets, 120 days, a strong planted trend."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import dagster as dg

from quant_organism.orchestration.definitions import build_definitions
from quant_organism.orchestration.logs import to_file
from quant_organism.orchestration.partitions import range_tags
from quant_organism.orchestration.resources import MarketResource
from quant_organism.settings import MarketSettings, Settings

WORLD: Final = """\
name: tiny
start: 2024-01-01
days: 120
assets:
  - {symbol: SIM-ONE, volatility: 1.0, price: 100}
  - {symbol: SIM-SIX, volatility: 1.3, price: 3}
  - {symbol: SIM-TWO, volatility: 1.5, price: 10}
plants:
  - {family: momentum, strength: 0.2}
seed: 7
"""

FIRST: Final = date(2024, 1, 1)
LAST: Final = date(2024, 4, 29)
EARLIER: Final = date(2024, 4, 15)


def write_world(folder: Path, more: str = "") -> Path:
    """Write the world's document, with more lines at its end, and return its path."""
    path = folder / "tiny.yaml"
    path.write_text(WORLD + more, encoding="utf-8")
    return path


def settings(folder: Path, *, world: Path | None = None, **market: Any) -> Settings:
    """Return settings for the tiny market in a data folder."""
    return Settings(
        data_dir=folder / "data",
        profile="smoke",
        threads=1,
        market=MarketSettings(world=str(world or write_world(folder)), **market),
    )


class Workshop:
    """Definitions of a data folder and an instance to run their jobs on."""

    def __init__(self, chosen: Settings, instance: dg.DagsterInstance) -> None:
        self.settings = chosen
        self.instance = instance
        self.definitions = build_definitions(chosen)
        self.market = MarketResource.of(chosen.market)

    def ingest(self, first: date = FIRST, last: date = LAST) -> dg.ExecuteInProcessResult:
        """Ingest a range of days in one run."""
        return self._run("ingest_market_data", tags=range_tags(first, last))

    def cycle(self, day: date = LAST, run_config: Mapping[str, Any] | None = None) -> dg.ExecuteInProcessResult:
        """Run the cycle of a day on what is in the lake."""
        return self.run("evolution_cycle", day, run_config)

    def run(self, job: str, day: date = LAST, run_config: Mapping[str, Any] | None = None) -> dg.ExecuteInProcessResult:
        """Run a job on a day."""
        return self._run(job, partition_key=day.isoformat(), run_config=run_config)

    def materialize(
        self, *assets: str, day: date = LAST, run_config: Mapping[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialise some assets of the cycle of a day, with their checks."""
        chosen = self.together(*assets)
        return self._run(
            "evolution_cycle", partition_key=day.isoformat(), asset_selection=chosen, run_config=run_config
        )

    def together(self, *assets: str) -> list[dg.AssetKey]:
        """Return some assets with those that are made together with them."""
        graph = self.definitions.resolve_asset_graph()
        return sorted({key for asset in assets for key in graph.get(dg.AssetKey(asset)).execution_set_asset_keys})

    def _run(self, job: str, *, run_config: Mapping[str, Any] | None = None, **how: Any) -> dg.ExecuteInProcessResult:
        log = to_file(self.settings.data_dir.parent / "dagster.log")
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, run_config={**log, **(run_config or {})}, **how
        )
