"""Signals of a strategy as a table: what it wants of each asset at each close."""

from __future__ import annotations

import numpy as np
import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.strategies.bars import COLUMNS
from quant_organism.strategies.committee import Committee
from quant_organism.strategies.families import get_family
from quant_organism.strategies.signals import FittedModels, signal


def signal_table(committee: Committee, panel: Panel) -> pl.DataFrame:
    """Return the target of each asset at each of its bars, the weighted mean of the members' targets, in [-1, 1].

    Returns
    -------
    Columns timestamp (open of the bar, UTC), symbol and target, by timestamp and symbol.

    Raises
    ------
    InputError
        A member ranks all assets of a panel: its weights hang on what it holds, and are no target of one asset.
    """
    for genome in committee.genomes:
        if get_family(genome.family).ranks:
            raise InputError(
                f"{genome.family} ranks all assets at once and has no target of one asset", where=f"member {genome.id}"
            )
    models, numbers = FittedModels(), panel.times // panel.interval.milliseconds
    tables = []
    for asset, symbol in enumerate(panel.symbols):
        columns = {name: getattr(panel, name)[:, asset] for name in COLUMNS}
        target = np.zeros(panel.n_bars)
        for member in committee.members:
            if not member.assets or symbol in member.assets:
                hours = panel.interval.hours
                target += member.weight * signal(member.genome, columns, bar_hours=hours, numbers=numbers, store=models)
        times = pl.Series("timestamp", panel.times).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
        frame = pl.DataFrame({"timestamp": times, "symbol": [symbol] * times.len(), "target": target})
        tables.append(frame.filter(pl.Series(panel.valid[:, asset])))
    return pl.concat(tables).sort("timestamp", "symbol")
