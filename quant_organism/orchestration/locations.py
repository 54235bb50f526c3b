"""Code locations of a home's workspace: the attribute that a location names is the definitions of its market."""

import dagster as dg

from quant_organism.errors import InputError
from quant_organism.orchestration.definitions import build_definitions, settings_at_hand, with_workflows
from quant_organism.orchestration.markets import known_market, markets_of


def __getattr__(name: str) -> dg.Definitions:
    """Return the definitions of the market whose code location has this name, as it was worked on last.

    Search, validation and folders are those of environment and settings file; the market that these describe has the
    health of the data folder and its workflows beside it.
    """
    if name.startswith("__"):
        raise AttributeError(name)
    settings = settings_at_hand()
    market = next((known for known in markets_of(settings.data_dir) if known.location == name), None)
    if market is None:
        raise InputError(
            f"no market of this home has the code location {name}",
            where=str(settings.data_dir.resolve()),
            remedy="start quant-organism ui anew",
        )
    at_hand = market == known_market(settings)
    shown = settings.model_copy(update={"market": market.how})
    own = build_definitions(shown, key_prefix=market.key_prefix, at_hand=at_hand)
    return with_workflows(own, settings) if at_hand else own
