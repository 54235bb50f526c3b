"""What people look at: the report of a cycle and its plots. Reads what the other rooms left; decides nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.monitoring.cycle import cycle_report, spans_of
    from quant_organism.monitoring.decision_figures import account_figures
    from quant_organism.monitoring.external_sheet import external_tear_sheet
    from quant_organism.monitoring.gallery import family_record, showcase
    from quant_organism.monitoring.health import Finding, examine, judged
    from quant_organism.monitoring.life import LifeRecord, LifeSpan, life_of, months_of, span_named
    from quant_organism.monitoring.pages import IN_A_CELL
    from quant_organism.monitoring.plots import png, showcase_figure
    from quant_organism.monitoring.report import write_link, write_report
    from quant_organism.monitoring.runs import RunComparison, StoredRun, choose_run, compare_runs, stored_runs
    from quant_organism.monitoring.sheet_page import write_tear_sheets
    from quant_organism.monitoring.site import serving_site
    from quant_organism.monitoring.tables import TABLES, table_named
    from quant_organism.monitoring.tear_sheet import shakes_frame

__all__ = [
    "IN_A_CELL",
    "TABLES",
    "Finding",
    "LifeRecord",
    "LifeSpan",
    "RunComparison",
    "StoredRun",
    "account_figures",
    "choose_run",
    "compare_runs",
    "cycle_report",
    "examine",
    "external_tear_sheet",
    "family_record",
    "judged",
    "life_of",
    "months_of",
    "png",
    "serving_site",
    "shakes_frame",
    "showcase",
    "showcase_figure",
    "span_named",
    "spans_of",
    "stored_runs",
    "table_named",
    "write_link",
    "write_report",
    "write_tear_sheets",
]

_HOMES = {
    "IN_A_CELL": "pages",
    "TABLES": "tables",
    "Finding": "health",
    "LifeRecord": "life",
    "LifeSpan": "life",
    "RunComparison": "runs",
    "StoredRun": "runs",
    "account_figures": "decision_figures",
    "choose_run": "runs",
    "compare_runs": "runs",
    "cycle_report": "cycle",
    "examine": "health",
    "external_tear_sheet": "external_sheet",
    "family_record": "gallery",
    "judged": "health",
    "life_of": "life",
    "months_of": "life",
    "png": "plots",
    "serving_site": "site",
    "shakes_frame": "tear_sheet",
    "showcase": "gallery",
    "showcase_figure": "plots",
    "span_named": "life",
    "spans_of": "cycle",
    "stored_runs": "runs",
    "table_named": "tables",
    "write_link": "report",
    "write_report": "report",
    "write_tear_sheets": "sheet_page",
}

# Plots take their time to load, and most commands draw nothing.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.monitoring.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
