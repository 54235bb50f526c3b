"""Where a test asks for several processes, they work from the first draw on."""

import pytest

from quant_organism.validation import draws


@pytest.fixture(autouse=True)
def _processes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "ALONE_SECONDS", 0.0)
