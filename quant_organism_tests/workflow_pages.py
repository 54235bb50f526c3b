"""The pages of shipped workflows, `docs/workflows/`, and their list, as the workflows say themselves."""

import re

from quant_organism.workflows.kinds import KINDS
from quant_organism.workflows.plan import plan_workflow
from quant_organism.workflows.spec import gallery, read_workflow
from quant_organism_tests.conftest import REPOSITORY

INDEX = REPOSITORY / "docs" / "workflows.md"
PAGES = REPOSITORY / "docs" / "workflows"

_BLOCK = r"(<!-- {name} -->\n).*?(<!-- end -->)"


def workflow_page(name: str) -> str:
    """Return the page of a shipped workflow."""
    path = gallery()[name]
    spec = read_workflow(path)
    plan = plan_workflow(spec, path.parent)
    rows = [
        f"| {phase.name} | {phase.spec.type} | {phase.spec.inherit_best_from or ''} | {phase.span} | "
        f"{phase.points or ''} |"
        for phase in plan.phases
    ]
    return "\n".join(
        [
            f"# Workflow {name}",
            "",
            spec.description,
            "",
            f"`quant-organism workflow run {name}` runs it; a copy of the file is where yours begins. See",
            "[workflows](../workflows.md) for what the keys mean.",
            "",
            "| phase | type | inherits from | days | strategies |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "```yaml",
            path.read_text().rstrip("\n"),
            "```",
            "",
        ]
    )


def index_page(text: str) -> str:
    """Return the page on workflows with its lists of shipped ones and of types of phases made anew."""
    shipped = [
        f"| [{name}](workflows/{name}.md) | {read_workflow(path).description} |" for name, path in gallery().items()
    ]
    kinds = [f"| `{name}` | {kind.summary} | {', '.join(sorted(kind.reads))} |" for name, kind in KINDS.items()]
    for name, rows in (
        ("gallery", ["| workflow | what it asks |", "| --- | --- |", *shipped]),
        ("types", ["| type | what it does | keys of its own |", "| --- | --- | --- |", *kinds]),
    ):
        block = "\n".join(rows)
        text = re.sub(_BLOCK.format(name=name), lambda m, b=block: f"{m[1]}{b}\n{m[2]}", text, flags=re.DOTALL)
    return text


def write_pages() -> None:
    """Write all pages."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in gallery():
        (PAGES / f"{name}.md").write_text(workflow_page(name))
    INDEX.write_text(index_page(INDEX.read_text()))
