"""Stages have one word each, and a moment has one text."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from quant_organism.deployment.stages import DEPLOYED, STAGES, timestamp
from quant_organism.errors import InputError


def test_who_was_only_born_or_has_ended_takes_no_place():
    assert set(STAGES) - DEPLOYED == {"born", "retired"}


@pytest.mark.parametrize(
    "value",
    [
        "2025-05-31",
        "2025-05-31T00:00:00Z",
        "2025-05-31T02:00:00+02:00",
        date(2025, 5, 31),
        datetime(2025, 5, 31, tzinfo=UTC),
        datetime(2025, 5, 31, 5, tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_one_moment_has_one_text(value):
    assert timestamp(value) == "2025-05-31T00:00:00Z"


@pytest.mark.parametrize("value", ["yesterday", "2025-13-01", "2025-05-31T00:00:00", 1748649600, "", None])
def test_what_is_no_moment_is_refused(value):
    with pytest.raises(InputError):
        timestamp(value)
