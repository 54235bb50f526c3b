"""What the shell completes: names of families, gates, workflows, runs and strategies, as they are here and now.

A shell that asks has no place for an error, so where a folder cannot be read nothing is suggested; the command itself
says why.
"""

from collections.abc import Iterable
from pathlib import Path

import typer

from quant_organism.errors import QuantOrganismError


def families() -> list[str]:
    """Return the names of all families."""
    from quant_organism.strategies import family_names, ranking_family_names

    return [*family_names(), *ranking_family_names()]


def gates(incomplete: str) -> list[str]:
    """Return the shipped profiles of gates, and YAML files."""
    from quant_organism.validation.profile import SHIPPED

    return [*SHIPPED, *_files(incomplete)]


def workflow_files(incomplete: str) -> list[str]:
    """Return the shipped workflows, and YAML files."""
    from quant_organism.workflows.spec import gallery

    return [*gallery(), *_files(incomplete)]


def workflow_runs(context: typer.Context) -> list[str]:
    """Return the runs of workflows that are kept, and the workflows that they are of."""
    from quant_organism.workflows import stored_workflows

    try:
        runs = stored_workflows(_data_dir(context) / "lake")
    except (QuantOrganismError, OSError):
        return []
    return [*runs["name"].unique().sort(), *runs["workflow"]]


def strategies(context: typer.Context) -> list[str]:
    """Return the identities of all strategies that have a document and are not archived."""
    from quant_organism.deployment import StrategyRepository

    try:
        return StrategyRepository(_data_dir(context) / "strategies").ids
    except (QuantOrganismError, OSError):
        return []


def _files(incomplete: str) -> Iterable[str]:
    """Return YAML files and folders in the folder that is being typed."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.is_dir() and not path.name.startswith("."):
            yield f"{path}/"
        elif path.suffix in (".yaml", ".yml"):
            yield str(path)


def _data_dir(context: typer.Context) -> Path:
    from quant_organism.settings import load_settings

    said = context.params.get("data_dir")
    return load_settings({} if said is None else {"data_dir": said}).data_dir
