"""The settings tree: the only reader of `QUANT_ORGANISM_*` environment variables and of `quant_organism.toml`.

Only the command line and the orchestration read it; every other room is handed plain values.
"""

from quant_organism.settings.loading import CONFIG_VARIABLE, DEFAULT_FILE, PREFIX, as_environment, load_settings
from quant_organism.settings.tree import (
    MAX_LOOKBACK_DAYS,
    AccountSettings,
    IntervalName,
    MarketSettings,
    Option,
    SearchSettings,
    Settings,
    SignificanceSettings,
    ValidationSettings,
    VenueSettings,
    options_of,
)

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_FILE",
    "MAX_LOOKBACK_DAYS",
    "PREFIX",
    "AccountSettings",
    "IntervalName",
    "MarketSettings",
    "Option",
    "SearchSettings",
    "Settings",
    "SignificanceSettings",
    "ValidationSettings",
    "VenueSettings",
    "as_environment",
    "load_settings",
    "options_of",
]
