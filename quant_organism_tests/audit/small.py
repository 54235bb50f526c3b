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


BRIEF = SMALL.model_copy(update={"every_gate": False})
"""The same, asking no more than what decides a candidate's fate: most fall early, and nothing is repeated for them."""


def campaign(folder: Path, worlds: int, organism: Organism = run_organism, profile: AuditProfile = SMALL) -> Campaign:
    """Return a campaign over worlds without an edge."""
    return Campaign(profile, tuple(World("null", 100 + place) for place in range(worlds)), folder, organism=organism)
