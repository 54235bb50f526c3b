"""Members of a committee at rest: gene names once per family, values in rows. Exact, and short enough for thirty."""

from typing import Any

from quant_organism.errors import IntegrityError, QuantOrganismError
from quant_organism.strategies import Genome
from quant_organism.strategies.committee import Committee, Member

_FIELDS = ("weight", "family", "generation", "hash", "values")


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
    if not isinstance(record, dict) or set(record) != set(_FIELDS):
        raise IntegrityError(f"a member has exactly the fields {', '.join(_FIELDS)}", where="members")
    names, values, weight = genes.get(record["family"]), record["values"], record["weight"]
    if not isinstance(names, list) or not isinstance(values, list) or len(names) != len(values):
        raise IntegrityError(f"values do not fit the gene names of {record['family']!r}", where="members")
    if not isinstance(weight, float):
        raise IntegrityError(f"weight is {weight!r}, expected a number", where="members")
    genome = {name: record[name] for name in ("family", "generation", "hash")}
    return Member(weight, Genome.from_dict({**genome, "genes": dict(zip(names, values, strict=True))}))
