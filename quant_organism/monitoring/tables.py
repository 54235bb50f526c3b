"""Every dataset of the lake in one list, rooms in the order of their work, and the datasets of this room."""

from __future__ import annotations

import difflib
from typing import Final

import polars as pl

from quant_organism.deployment.tables import TABLES as DEPLOYMENT
from quant_organism.errors import InputError
from quant_organism.evolution.tables import TABLES as EVOLUTION
from quant_organism.market.schema import TIMESTAMP
from quant_organism.market.table import BY_CYCLE, BY_INTERVAL, Column, Table
from quant_organism.market.tables import TABLES as MARKET
from quant_organism.trading.tables import TABLES as TRADING
from quant_organism.validation.tables import TABLES as VALIDATION
from quant_organism.workflows.tables import TABLES as WORKFLOWS


class RobustnessTable(Table, dataset="tear_sheets", partitions=BY_CYCLE, written_by="tear_sheets"):
    """One kind of change to one survivor: what it earned in sample when it was made."""

    candidate = Column(pl.String(), "identity of the strategy", key=True)
    change = Column(pl.String(), "what was changed", key=True)
    count = Column(pl.Int64(), "changes or draws that were made; 0 where the test was not run")
    sharpe_5 = Column(pl.Float64(), "5 % quantile", unit="annual Sharpe ratio")
    sharpe_50 = Column(pl.Float64(), "median", unit="annual Sharpe ratio")
    sharpe_95 = Column(pl.Float64(), "95 % quantile", unit="annual Sharpe ratio")
    max_drawdown_95 = Column(pl.Float64(), "95 % quantile of the maximum drawdown", unit="fraction of equity")
    loss_probability = Column(pl.Float64(), "share without a gain", unit="fraction")
    worst = Column(pl.String(), "the worst change in words, or why the test was not run")


class SystemHealthTable(Table, dataset="system_health", partitions=BY_INTERVAL, written_by="system_health"):
    """One component of the installation at one measurement of its health, by the UTC day on which it was measured."""

    measured = Column(TIMESTAMP, "when all components were measured", unit="UTC", key=True)
    component = Column(pl.String(), "what was measured", key=True)
    status = Column(pl.String(), "`ok`, `degraded`, `failed`, `unknown` or `unused`")
    value = Column(pl.Float64(), "the measured value; missing where nothing was measured", nullable=True)
    unit = Column(pl.String(), "of the value")
    age_s = Column(pl.Float64(), "how old the value was", unit="s", nullable=True)
    found = Column(pl.String(), "what was found, for a person")
    remedy = Column(pl.String(), "what to do; empty where nothing is to be done")
    score = Column(pl.Float64(), "of all components, the same in every row", unit="fraction", nullable=True)
    level = Column(pl.String(), "what the score is called, the same in every row")


ROOMS: Final[dict[str, tuple[type[Table], ...]]] = {
    "market": MARKET,
    "evolution": EVOLUTION,
    "validation": VALIDATION,
    "deployment": DEPLOYMENT,
    "trading": TRADING,
    "workflows": WORKFLOWS,
    "monitoring": (RobustnessTable, SystemHealthTable),
}
"""Tables by the room that describes them."""

TABLES: Final[tuple[type[Table], ...]] = tuple(table for tables in ROOMS.values() for table in tables)
"""All of them."""

_BY_NAME: Final = {table.dataset: table for table in TABLES}


def table_named(dataset: str) -> type[Table]:
    """Return the table of a dataset.

    Raises
    ------
    InputError
        No table describes it.
    """
    if dataset not in _BY_NAME:
        near = difflib.get_close_matches(dataset, _BY_NAME, n=3) or sorted(_BY_NAME)
        raise InputError(
            f"no table describes a dataset {dataset!r}",
            remedy=f"describe it in the tables of its room (docs/contributing.md); there are: {', '.join(near)}",
        )
    return _BY_NAME[dataset]
