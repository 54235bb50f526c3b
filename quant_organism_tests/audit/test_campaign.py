"""An audit goes on where it was interrupted and gives the same whatever runs beside what."""

from dataclasses import replace
from pathlib import Path

import pytest

from quant_organism.audit.campaign import Campaign
from quant_organism.audit.outcome import Outcome
from quant_organism.audit.worlds import World
from quant_organism.errors import InputError, IntegrityError
from quant_organism.validation import draws
from quant_organism_tests.audit.outcomes import NULL, STRONG
from quant_organism_tests.audit.small import BRIEF, SMALL, campaign
from quant_organism_tests.panels import trending_panel


def without_costs(outcome: Outcome) -> Outcome:
    """Return an outcome without what was measured in seconds."""
    gates = tuple(replace(gate, cpu_seconds=0.0) for gate in outcome.gates)
    return replace(outcome, gates=gates, cpu_seconds={})


def refuses(*args) -> None:
    raise AssertionError("a world that was done is run again")


def test_an_outcome_survives_its_file(tmp_path: Path):
    for outcome in (NULL, STRONG):
        (tmp_path / "world.json").write_bytes(outcome.to_bytes())
        assert Outcome.read(tmp_path / "world.json") == outcome


def test_an_interrupted_audit_goes_on_where_it_was(tmp_path: Path):
    begun = campaign(tmp_path, 2, profile=BRIEF).run()
    whole = replace(campaign(tmp_path, 2, profile=BRIEF), organism=refuses)
    assert whole.run() == begun
    longer = campaign(tmp_path, 3, profile=BRIEF)
    assert list(longer.done()) == begun
    assert longer.run()[:2] == begun


def test_worlds_side_by_side_give_what_they_give_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draws, "ALONE_SECONDS", 0.0)
    alone = campaign(tmp_path / "a", 2, profile=BRIEF).run(processes=1)
    together = campaign(tmp_path / "b", 2, profile=BRIEF).run(processes=2)
    assert [without_costs(o) for o in alone] == [without_costs(o) for o in together]


@pytest.mark.slow
def test_worlds_on_ray_give_what_they_give_here_and_those_that_are_done_are_kept(tmp_path: Path):
    alone = campaign(tmp_path / "a", 3, profile=BRIEF).run()
    begun = campaign(tmp_path / "b", 1, profile=BRIEF).run()
    on_ray = campaign(tmp_path / "b", 3, profile=BRIEF)
    together = on_ray.run(processes=2, executor="ray")
    assert [without_costs(o) for o in together] == [without_costs(o) for o in alone]
    assert together[0] == begun[0]  # with its seconds: it was not lived through again
    assert list(on_ray.done()) == together


def test_another_profile_begins_anew(tmp_path: Path):
    one = campaign(tmp_path, 1)
    other = replace(one, profile=SMALL.model_copy(update={"copies": 5}))
    assert one.place != other.place
    assert one.place == replace(one, profile=SMALL.model_copy(update={"name": "renamed"})).place


def test_a_damaged_file_is_named(tmp_path: Path):
    one = campaign(tmp_path, 1)
    one.place.mkdir(parents=True)
    path = one.place / f"{one.worlds[0].name}.json"
    path.write_text('{"world": "null-100"')
    with pytest.raises(IntegrityError, match="cannot be read") as raised:
        one.run()
    assert raised.value.where == str(path)


def test_a_real_market_turned_over_is_a_world_without_days_after_it(tmp_path: Path):
    real = trending_panel(days=200)
    worlds = (World("flipped", 1), World("flipped", 2))
    first, second = Campaign(SMALL, worlds, tmp_path, real).run()
    assert first.later_sharpe is None
    assert first.drift is None
    assert first.in_sample_sharpe != second.in_sample_sharpe


def test_a_flipped_world_needs_a_real_market(tmp_path: Path):
    with pytest.raises(InputError, match="there is none"):
        Campaign(SMALL, (World("flipped", 1),), tmp_path).run()
