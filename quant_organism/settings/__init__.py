"""The settings tree: the only reader of environment variables, and of `quant_organism.toml`.

Only the command line and the orchestration read it; every other room is handed plain values.
"""

from quant_organism.settings.loading import (
    CONFIG_VARIABLE,
    DEFAULT_FILE,
    FOLDER_VARIABLE,
    PREFIX,
    as_environment,
    credential,
    folder_of_start,
    load_settings,
)
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
    "FOLDER_VARIABLE",
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
    "credential",
    "folder_of_start",
    "load_settings",
    "options_of",
]
