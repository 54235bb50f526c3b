"""A disaster rehearsed, small: `make drill` goes on with a whole cycle."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from quant_organism.market import Lake, PanelTable
from quant_organism.orchestration.home import open_instance
from quant_organism_tests.drill import rehearse, same_content
from quant_organism_tests.finished import Finished, data_of_an_earlier_day
from quant_organism_tests.program import Said
from quant_organism_tests.tiny import EARLIER, LAST, Workshop, settings


@pytest.fixture(scope="session")
def earlier() -> Path:
    """Return the data of an earlier day's cycle; look, do not touch."""
    return data_of_an_earlier_day()


def test_what_was_lost_is_brought_back_reconciled_and_goes_on(
    call: Callable[..., Said], finished_run: Finished, earlier: Path, tmp_path: Path
) -> None:
    found = rehearse(tmp_path, earlier, call)
    assert found.doctor.code == 0, found.doctor.out
    assert same_content(found.original, found.restored) == []
    lost = found.sent - found.known
    assert len(lost) >= 6  # those of after the backup, which the venue alone knows
    first, second = found.after
    assert set(first.recovered) == lost
    assert second.is_clean
    assert found.books == found.venue != {}
    # the next day's panel in the restored folder is that of a folder that was never lost
    restored = settings(tmp_path, world=finished_run.world).model_copy(update={"data_dir": found.restored})
    with open_instance(found.restored) as instance:
        workshop = Workshop(restored, instance)
        assert workshop.ingest(EARLIER + timedelta(days=1), LAST).success
        assert workshop.materialize("market_panel").success
    panels = [
        Lake(data_dir / "lake").table(PanelTable).read_day(LAST, market=workshop.market.id, interval="1h")
        for data_dir in (found.restored, finished_run.data_dir)
    ]
    assert panels[0].equals(panels[1])
