"""The Dagster layer, the only room that imports Dagster: assets, checks, jobs, schedule, sensor, resources.

Thin by design: what an asset does is a function of another room. Enter by `definitions.build_definitions`, or by
`driver.Driver` to materialise assets from a program.
"""

import warnings

# Partitioned checks are a preview feature and lenient partition mappings a beta one; Dagster says so at every import.
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec is currently in preview")
warnings.filterwarnings("ignore", message="Parameter `allow_nonexistent_upstream_partitions` .* is currently in beta")
