"""Services leave nothing behind, small: `make restarts` does a hundred rounds."""

from pathlib import Path

import pytest

from quant_organism_tests.restarts import rehearse


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_services_that_were_started_and_stopped_twice_left_nothing(tmp_path: Path) -> None:
    seen = rehearse(tmp_path, 2)
    assert seen.wrong == []
    assert seen.left == []
    assert seen.grown == {}
    assert seen.processes >= 2 * 9  # web UI with four of its own, trader with two, figures, watch
    assert seen.sockets > 0
    assert seen.files > 0
