"""Members of a committee at rest: gene names once per family, values in rows. Exact, and short enough for thirty."""

from typing import Any

from quant_organism.errors import IntegrityError, QuantOrganismError
from quant_organism.strategies import Genome
from quant_organism.strategies.committee import Committee, Member

_FIELDS = {"weight", "family", "generation", "hash", "values"}
_OPTIONAL_FIELD = "assets"
"""There where a member is restricted to assets."""


def encode_members(committee: Committee) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """Return gene names by family and one record per member, its values in the order of the names."""
    genes = {genome.family: list(genome.genes) for genome in committee.genomes}
    members = [
        {
            "weight": member.weight,
            "family": member.genome.family,
            "generation": member.genome.generation,
            "hash": member.genome.hash,
            "values": list(member.genome.genes.values()),
            **({_OPTIONAL_FIELD: list(member.assets)} if member.assets else {}),
        }
        for member in committee.members
    ]
    return dict(sorted(genes.items())), members


def decode_members(genes: Any, members: Any, where: str) -> Committee:
    """Return the committee of what `encode_members` wrote.

    Raises
    ------
    IntegrityError
        The records are not of that form, or a genome's hash is not that of its genes.
    InputError
        A family or gene is unknown or out of bounds, or the weights do not sum to 1.
    """
    if not isinstance(genes, dict) or not isinstance(members, list):
        raise IntegrityError("fields genes and members are missing or of the wrong kind", where=where)
    try:
        return Committee(tuple(_member(genes, record) for record in members))
    except QuantOrganismError as error:
        place = f"{where}, {error.where}" if error.where else where
        raise type(error)(error.what, where=place, remedy=error.remedy) from None


def _member(genes: dict[str, Any], record: Any) -> Member:
    if not isinstance(record, dict) or set(record) - {_OPTIONAL_FIELD} != _FIELDS:
        fields = ", ".join(sorted(_FIELDS))
        raise IntegrityError(f"a member has exactly the fields {fields}, and {_OPTIONAL_FIELD} or not", where="members")
    names, values, weight = genes.get(record["family"]), record["values"], record["weight"]
    assets = record.get(_OPTIONAL_FIELD, [])
    if not isinstance(names, list) or not isinstance(values, list) or len(names) != len(values):
        raise IntegrityError(f"values do not fit the gene names of {record['family']!r}", where="members")
    if not isinstance(weight, float):
        raise IntegrityError(f"weight is {weight!r}, expected a number", where="members")
    if not isinstance(assets, list) or not all(isinstance(symbol, str) for symbol in assets):
        raise IntegrityError(f"assets are {assets!r}, expected a list of symbols", where="members")
    genome = {name: record[name] for name in ("family", "generation", "hash")}
    genes_of_it = dict(zip(names, values, strict=True))
    return Member(weight, Genome.from_dict({**genome, "genes": genes_of_it}), tuple(assets))
