"""What a process calls that is to make pieces of a cycle soon: by then it has loaded what stages compute with."""

from quant_organism.cycle import stages


def stages_are_loaded() -> bool:
    """Return that they are: whoever can call this has loaded them."""
    return callable(stages.search)
