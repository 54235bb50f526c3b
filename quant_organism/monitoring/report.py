"""Write the report of a cycle: data for machines, pictures, and one page for people that works offline."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from quant_organism.monitoring.content import CandidateRow, CycleReport, LineageRow
from quant_organism.monitoring.lineage import family_order, founder_of
from quant_organism.monitoring.pages import ACCOUNT_ROWS, gate_names, page
from quant_organism.monitoring.plots import equity_figure, pareto_figure, png
from quant_organism.monitoring.search_plots import families_figure, genealogy_figure, progress_figure
from quant_organism.resilience.files import remove_files, storage_error, write_file, write_files

_LINK: Final = (
    '<!doctype html>\n<meta charset="utf-8">\n<meta http-equiv="refresh" content="0; url={target}">\n'
    '<title>Report</title>\n<p>The report is <a href="{target}">here</a>.</p>\n'
)

_PICTURES = ("equity", "pareto", "progress", "families", "genealogy")


@dataclass(frozen=True)
class ReportFiles:
    """Where the report was written; a picture is none where there was nothing to draw."""

    json: Path
    html: Path
    equity: Path | None
    pareto: Path | None
    progress: Path | None
    families: Path | None
    genealogy: Path | None


def write_report(folder: Path, report: CycleReport) -> ReportFiles:
    """Write `report.json`, `report.html` and the pictures as PNG files; the same report again gives the same bytes.

    Parameters
    ----------
    folder
        Made if need be; an earlier report in it is replaced, each file at once.
    report
        What to say.

    Raises
    ------
    StorageError
        The folder cannot be written, or the disk is full.
    """
    pictures = _pictures(report)
    paths = {name: folder / f"{name}.png" for name in _PICTURES}
    data, page = folder / "report.json", folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_files(path for name, path in paths.items() if name not in pictures)
    except OSError as error:
        raise storage_error(error, folder) from error
    write_files(
        [
            *((paths[name], picture) for name, picture in pictures.items()),
            (data, report.to_json()),
            (page, _page(report, pictures)),
        ]
    )
    drawn = {name: path if name in pictures else None for name, path in paths.items()}
    return ReportFiles(json=data, html=page, **drawn)


def write_link(page: Path, target: str) -> None:
    """Write a page that leads to another one.

    Parameters
    ----------
    page
        Its file.
    target
        Path of the other one, from the folder of this one on.

    Raises
    ------
    StorageError
        The folder cannot be written, or the disk is full.
    """
    write_file(page, _LINK.format(target=html.escape(target)).encode())


def _pictures(report: CycleReport) -> dict[str, bytes]:
    """Draw what there is to draw, by name."""
    figures: dict[str, Figure] = {}
    if report.curves and report.curve_days:
        figures["equity"] = equity_figure(report.curve_days, report.curves, report.spans)
    if report.population:
        figures["pareto"] = pareto_figure(report.population)
    if report.search:
        figures["progress"] = progress_figure(report.search)
    if report.search and report.family_shares:
        figures["families"] = families_figure([row.generation for row in report.search], report.family_shares)
    if any(row.put_forward_in for row in report.genealogy):
        figures["genealogy"] = genealogy_figure(report.genealogy)
    return {name: png(figure) for name, figure in figures.items()}


def _page(report: CycleReport, pictures: Mapping[str, bytes]) -> bytes:
    return page(
        "report.html",
        pictures,
        report=report,
        gates=_gate_rows(report.candidates),
        passed=[candidate for candidate in report.candidates if candidate.passed],
        deployed=[decision for decision in report.decisions if decision.action == "deploy"],
        proven=[candidate for candidate in report.candidates if candidate.standing == "paper"],
        trials=max((row.trials for row in report.search), default=0),
        kin=_kin(report.genealogy),
        account_rows=ACCOUNT_ROWS,
        members={candidate.id: candidate.members for candidate in report.candidates},
    )


def _kin(genealogy: Sequence[LineageRow]) -> list[dict[str, Any]]:
    """Return each genome that was put forward with its parents and who began its line."""
    by_trial = {row.trial: row for row in genealogy}
    return [
        {
            "row": row,
            "mother": None if row.mother is None else by_trial[row.mother],
            "founder": founder_of(row, by_trial),
        }
        for row in family_order(genealogy)
    ]


def _gate_rows(candidates: Sequence[CandidateRow]) -> list[dict[str, Any]]:
    """Return one row per gate: its name and bound, each candidate's verdict, and the heading that begins with it.

    What keeps somebody from a stage of life stands first.
    """
    if not candidates:
        return []
    columns = zip(*(candidate.gates for candidate in candidates), strict=True)
    rows: list[dict[str, Any]] = []
    for name, gates in zip(gate_names(candidates[0].gates), columns, strict=True):
        missing = bool(gates[0].needed_for) and any(gate.closes for gate in gates)
        rows.append({"name": name, "gate": gates[0], "missing": missing, "verdicts": gates})
    rows.sort(key=lambda row: not row["missing"])
    heading = ""
    for row in rows:
        own = "what is missing" if row["missing"] else row["gate"].stage
        row["heading"] = own if own != heading else ""
        heading = own
    return rows
