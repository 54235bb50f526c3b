"""All indicators of the package, found where they are defined."""

from importlib import import_module
from pkgutil import iter_modules

from quant_organism.strategies import get_family, indicators, learning
from quant_organism.strategies.families.composite import Composite
from quant_organism.strategies.indicators.indicator import Indicator
from quant_organism.strategies.trees.language import Language


def language() -> Language:
    """Return the language of the registered families."""
    family = get_family("composite")
    assert isinstance(family, Composite)
    return family.language


def all_indicators() -> list[Indicator]:
    """Return every indicator object, each once."""
    found = {id(language().sign): language().sign}
    for room in (indicators, learning):
        for module in iter_modules(room.__path__, f"{room.__name__}."):
            values = vars(import_module(module.name)).values()
            found |= {id(value): value for value in values if isinstance(value, Indicator)}
    return list(found.values())
