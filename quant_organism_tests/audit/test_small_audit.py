"""A small audit of the full profile, which no broken gate would survive: 2 worlds without an edge, 1 with one.

It can only catch what is broken: with so few worlds no rate is known at all. `AUDIT_WORLDS=6` in the environment, as
`make laws` sets it, asks 4 and 2.
"""

import os

import pytest

from quant_organism.audit.campaign import Campaign
from quant_organism.audit.edges import Edge
from quant_organism.audit.profile import AuditProfile
from quant_organism.audit.rates import Rates, rates
from quant_organism.audit.worlds import World

pytestmark = pytest.mark.slow

WORLDS = int(os.environ.get("AUDIT_WORLDS", "3"))
STRONG = WORLDS // 3
EDGE = Edge(family="momentum", strength="strong", k=0.2, oracle_sharpe=8.0, chosen_at=8.0)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Rates:
    nulls = tuple(World("null", 300 + place) for place in range(WORLDS - STRONG))
    strong = tuple(World("planted", 300 + place, EDGE) for place in range(STRONG))
    return rates(Campaign(AuditProfile.load("smoke"), nulls + strong, tmp_path_factory.mktemp("audit")).run())


def test_nothing_goes_beyond_the_shadow_pool_without_an_edge(found: Rates):
    assert found.false_discoveries.count == 0
    assert not [alarm.name for alarm in found.alarms if alarm.raised]


def test_a_strong_edge_is_found_by_the_right_family_and_earns_later(found: Rates):
    strong = found.found[-1]
    assert strong.right.count == strong.accepted.count == STRONG
    assert strong.later_sharpe > 2.0


@pytest.mark.parametrize(
    "gate",
    [
        "significance pretest 0.1",
        "significance decision 1.74816",
        "significance search_luck 0.05",
        "holdout holdout_mean 0.05",
    ],
)
def test_each_test_of_luck_tells_edges_from_none(found: Rates, gate: str):
    null, _, strong = next(row.passed for row in found.gates if row.gate == gate)
    assert strong.count == STRONG
    assert null.count <= 1
