"""The datasets of the deployment room: documents that a cycle wrote, and what was decided about them."""

from __future__ import annotations

from typing import Final

import polars as pl

from quant_organism.market import BY_CYCLE, Column, Table


class DocumentTable(Table, dataset="strategy_configs", partitions=BY_CYCLE, written_by="strategy_configs"):
    """One strategy document at its birth."""

    id = Column(pl.String(), "identity of the strategy", key=True)
    kind = Column(pl.String(), "one genome or a committee")
    families = Column(pl.String(), "families of its genomes, with commas between")
    members = Column(pl.Int64(), "its genomes", unit="genomes")
    fitness = Column(pl.Float64(), "Sharpe ratio on all unseen days", unit="annual Sharpe ratio")
    document = Column(pl.String(), "its stored form, checksum included", unit="JSON")


class DecisionTable(Table, dataset="deployed_configs", partitions=BY_CYCLE, written_by="deployed_configs"):
    """One decision of a cycle's deployment step, on a survivor or a strategy in the pool."""

    id = Column(pl.String(), "identity of the strategy", key=True)
    action = Column(pl.String(), "`deploy`: it enters the pool; `wait`: it does not; `keep`: it stays as it is")
    stage = Column(pl.String(), "its stage of life afterwards")
    reason = Column(pl.String(), "why, in a sentence with numbers")


TABLES: Final[tuple[type[Table], ...]] = (DocumentTable, DecisionTable)
