"""A request that the venue cannot read."""

from quant_organism.errors import QuantOrganismError


class Malformed(QuantOrganismError):
    """A request's JSON lacks a field or holds one of a wrong kind; the venue answers 422 and changes nothing."""
