"""An organism small enough for a test, and its campaigns."""

from pathlib import Path

from quant_organism.audit.campaign import Campaign
from quant_organism.audit.organism import Organism, run_organism
from quant_organism.audit.profile import AuditProfile
from quant_organism.audit.worlds import World
from quant_organism.evolution.spec import EvolutionSpec

SMALL = AuditProfile(
    name="small",
    days=240,
    later_days=60,
    search=EvolutionSpec(
        families=("donchian_breakout", "funding_rate_carry", "rsi_filter"),
        islands=1,
        population=16,
        generations=1,
        min_trades=5,
    ),
    strategies=12,
    copies=4,
    searches=4,
    gates="light",
)


def campaign(folder: Path, worlds: int, organism: Organism = run_organism, first_seed: int = 100) -> Campaign:
    """Return a campaign over worlds without an edge."""
    nulls = tuple(World("null", first_seed + place) for place in range(worlds))
    return Campaign(SMALL, nulls, folder, organism=organism)
