"""Where Dagster's log of a run goes: to the console by default, to a file when a command asks for it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import dagster as dg


@dg.logger(
    config_schema={"path": dg.Field(str, description="File to append to.")},
    description="Append to a file.",
)
def file_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """Return a logger that appends to a file and to nothing else."""
    handler = _Appending(Path(context.logger_config["path"]))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.Logger("dagster_run", logging.DEBUG)
    logger.addHandler(handler)
    return logger


class _Appending(logging.Handler):
    """Appends each record and closes the file again: Dagster never tells a logger that its run is over."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{self.format(record)}\n")


LOGGERS: Final[dict[str, dg.LoggerDefinition]] = {"console": dg.colored_console_logger, "file": file_logger}


def to_file(path: Path) -> Mapping[str, Any]:
    """Return the run config that sends a run's log to a file."""
    return {"loggers": {"file": {"config": {"path": str(path)}}}}
