"""What of the pages follows from the code: families' gene tables, facts and pictures, the gates, and the lake's tables.

``python -m quant_organism_tests.family_pages`` (`make pages`) brings `docs/` up to date; the text around is written by
hand and left alone.
"""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PIL import Image

from quant_organism.deployment.lifecycle import RULES
from quant_organism.deployment.moves import KINDS
from quant_organism.monitoring.gallery import family_record, showcase
from quant_organism.monitoring.plots import png, showcase_figure
from quant_organism.strategies import family_names, ranking_family_names
from quant_organism_tests.cli_page import COMMANDS, command_page
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.gate_table import COLUMNS, gate_rows
from quant_organism_tests.table_pages import TABLES, table_page
from quant_organism_tests.workflow_pages import write_pages

INDEX = REPOSITORY / "docs" / "families.md"
LIFE = REPOSITORY / "docs" / "strategy-documents.md"
GATES = REPOSITORY / "docs" / "validation.md"
PAGES = REPOSITORY / "docs" / "families"
PICTURES = REPOSITORY / "docs" / "images" / "families"

_END = "<!-- end -->"


def refreshed(page: Path) -> str:
    """Return a page's text with all that stands between the marks ``<!-- name -->`` and ``<!-- end -->`` made anew."""

    def block(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n{BLOCKS[match[1]](page.stem)}\n{_END}"

    return re.sub(rf"<!-- ({'|'.join(BLOCKS)}) -->\n.*?{_END}", block, page.read_text(), flags=re.DOTALL)


def picture(family: str) -> bytes:
    """Return a family's picture as a PNG file of 256 colours, which makes it three times smaller."""
    buffer = io.BytesIO()
    drawn = Image.open(io.BytesIO(png(showcase_figure(showcase(family)))))
    drawn.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _family_table(_: str) -> str:
    records = [family_record(name) for name in (*family_names(), *ranking_family_names())]
    return _table(
        ("family", "type", "logic", "reads", "warm-up, bars", "evolves"),
        (
            (
                f"[{record['family']}](families/{record['family']}.md)",
                record["type"],
                record["logic"],
                ", ".join(record["columns"]),
                record["warmup_bars"],
                "yes" if record["evolves"] else "if chosen",
            )
            for record in records
        ),
    )


def _gate_table(_: str) -> str:
    return _table(COLUMNS, gate_rows())


def _move_table(_: str) -> str:
    return _table(
        ("from", "to", "rule", "needs all of", "by"),
        (
            (
                ", ".join(rule.starts) if len(rule.starts) < 5 else "any",
                rule.end,
                rule.name,
                ", ".join(f"`{r.kind}` {r.relation} {r.bound:g}" for r in rule.requirements),
                rule.by,
            )
            for rule in RULES
        ),
    )


def _kind_table(_: str) -> str:
    return _table(("number", "what it is"), ((f"`{kind}`", meaning) for kind, meaning in KINDS.items()))


def _facts(family: str) -> str:
    record = family_record(family)
    output = {
        "book": "a weight for every asset",
        "conviction": "a conviction in [-1, 1]",
        "state": "a state of -1, 0 or +1",
    }[record["output"]]
    bars = "hours" if record["output"] == "book" else "bars"
    return (
        f"Type {record['type']}. Reads {', '.join(record['columns'])}; gives {output}. "
        f"Warm-up with default genes: {record['warmup_bars']} {bars}. "
        f"Evolves {'by default' if record['evolves'] else 'only if chosen'}."
    )


def _gene_table(family: str) -> str:
    return _table(*_genes(family_record(family)["genes"]))


def _common_table(_: str) -> str:
    return _table(*_genes(family_record(family_names()[0])["common_genes"]))


def _book_table(_: str) -> str:
    return _table(*_genes(family_record(ranking_family_names()[0])["common_genes"]))


def _genes(records: Sequence[dict[str, object]]) -> tuple[Sequence[str], list[list[object]]]:
    columns = ("gene", "default", "allowed", "drawn from", "unit", "what it does")
    return columns, [[f"`{record['gene']}`", *(record[column] for column in columns[1:])] for record in records]


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("\n", "<br>") for cell in line) + " |" for line in lines)


BLOCKS: dict[str, Callable[[str], str]] = {
    "book genes": _book_table,
    "families": _family_table,
    "common genes": _common_table,
    "facts": _facts,
    "gates": _gate_table,
    "genes": _gene_table,
    "moves": _move_table,
    "numbers": _kind_table,
}


if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    COMMANDS.write_text(command_page())
    TABLES.write_text(table_page())
    write_pages()
    for page in (INDEX, GATES, LIFE, *sorted(PAGES.glob("*.md"))):
        page.write_text(refreshed(page))
    for name in (*family_names(), *ranking_family_names()):
        (PICTURES / f"{name}.png").write_bytes(picture(name))
