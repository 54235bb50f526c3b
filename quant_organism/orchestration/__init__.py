"""The Dagster layer, the only room that imports Dagster: assets, checks, jobs, schedule, sensor, resources.

Thin by design: what an asset does is a function of another room. Enter by `definitions.build_definitions`, or by
`driver.Driver` to materialise assets from a program.
"""

import warnings
from typing import TYPE_CHECKING

from quant_organism.resilience import take_keys_from
from quant_organism.settings import credential

if TYPE_CHECKING:
    from quant_organism.orchestration.event_storage import EventLog as EventLog

# What Dagster says each time and nobody can act on: partitioned checks are a preview feature, lenient mappings of days
# and `--select '*'` of its own command beta ones; a night's job takes many days of market data but one cycle at a time.
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec is currently in preview")
warnings.filterwarnings("ignore", message="Parameter `allow_nonexistent_upstream_partitions` .* is currently in beta")
warnings.filterwarnings("ignore", message="Parameter `include_sources` .* is currently in beta")
warnings.filterwarnings("ignore", message="Asset job nightly_evolution materializes assets with varying")

# Servers of code, runs and daemon are processes of Dagster's, and this room is what each of them loads first of ours.
take_keys_from(credential)

__all__ = ["EventLog"]

_HOMES = {"EventLog": "event_storage"}

# The `dagster.yaml` of every data folder names its event log by this face, so that the file behind it can move.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.orchestration.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
