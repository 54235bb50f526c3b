"""What people look at: the report of a cycle and its plots. Reads what the other rooms left; decides nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.monitoring.cycle import cycle_report, spans_of
    from quant_organism.monitoring.gallery import family_record, showcase
    from quant_organism.monitoring.health import Finding, examine, judged
    from quant_organism.monitoring.plots import png, showcase_figure
    from quant_organism.monitoring.report import write_report
    from quant_organism.monitoring.sheet_page import write_tear_sheets
    from quant_organism.monitoring.tables import TABLES, table_named
    from quant_organism.monitoring.tear_sheet import shakes_frame

__all__ = [
    "TABLES",
    "Finding",
    "cycle_report",
    "examine",
    "family_record",
    "judged",
    "png",
    "shakes_frame",
    "showcase",
    "showcase_figure",
    "spans_of",
    "table_named",
    "write_report",
    "write_tear_sheets",
]

_HOMES = {
    "TABLES": "tables",
    "Finding": "health",
    "cycle_report": "cycle",
    "examine": "health",
    "family_record": "gallery",
    "judged": "health",
    "png": "plots",
    "shakes_frame": "tear_sheet",
    "showcase": "gallery",
    "showcase_figure": "plots",
    "spans_of": "cycle",
    "table_named": "tables",
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
