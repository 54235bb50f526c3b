"""Every shipped workflow runs on a small market, and has its page."""

from dataclasses import replace
from pathlib import Path

import pytest

from quant_organism.cycle import SplitPanel
from quant_organism.workflows.plan import plan_workflow
from quant_organism.workflows.run import run_workflow
from quant_organism.workflows.spec import gallery, read_workflow
from quant_organism_tests.panels import trending_panel
from quant_organism_tests.workflow_pages import INDEX, PAGES, index_page, workflow_page
from quant_organism_tests.workflows.places import ID, place_in

every_workflow = pytest.mark.parametrize("name", gallery())


@every_workflow
def test_a_shipped_workflow_runs_to_its_end(name: str, tmp_path: Path) -> None:
    path, place = gallery()[name], place_in(tmp_path)
    panel = trending_panel(days=120, drift=0.0015)
    place = replace(place, data=SplitPanel(replace(panel, symbols=("SIM-ASH", "SIM-ELM", "SIM-FIR"))))
    run = run_workflow(plan_workflow(read_workflow(path), path.parent), path.read_bytes(), ID, place)
    states = [(state.status, state.note) for state in run.states.values()]
    done = [status for status, note in states if status != "skipped" or "has no winner" not in note]
    assert set(done) == {"completed"}
    assert len(done) >= 1


@every_workflow
def test_a_shipped_workflow_has_its_page(name: str) -> None:
    assert (PAGES / f"{name}.md").read_text() == workflow_page(name), "make pages"


def test_the_list_of_shipped_workflows_is_whole() -> None:
    assert len(gallery()) >= 8
    assert index_page(INDEX.read_text()) == INDEX.read_text(), "make pages"
