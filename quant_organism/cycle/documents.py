"""Strategy documents in a frame: what validation hands to deployment."""

from collections.abc import Sequence

import polars as pl

from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.tables import DocumentTable


def documents_frame(documents: Sequence[StrategyConfig]) -> pl.DataFrame:
    """Return one row per document: what identifies it, and its stored form as text."""
    rows = [(d.id, d.kind, ", ".join(d.families), d.n_genomes, d.fitness, d.to_json().decode()) for d in documents]
    return DocumentTable.frame(rows)


def read_documents(frame: pl.DataFrame) -> list[StrategyConfig]:
    """Return the documents of a frame made by `documents_frame`.

    Raises
    ------
    IntegrityError
        A document is not what its checksum says.
    """
    return [
        StrategyConfig.from_json(row["document"].encode(), where=f"strategy_configs, {row['id']}")
        for row in frame.iter_rows(named=True)
    ]
