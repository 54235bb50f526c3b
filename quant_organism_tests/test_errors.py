"""Errors travel between processes as they are."""

import pickle

from quant_organism.errors import InputError


def test_an_error_arrives_from_another_process_as_it_was_raised():
    raised = InputError("the spread is -1", where="BTC at 2025-01-01", remedy="mend the file")
    arrived = pickle.loads(pickle.dumps(raised))  # noqa: S301
    assert type(arrived) is InputError
    assert str(arrived) == str(raised)
