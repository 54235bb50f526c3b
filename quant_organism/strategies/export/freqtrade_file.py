"""Strategies as one file for freqtrade: an `IStrategy` that carries its own rules.

Source: https://www.freqtrade.io/en/stable/strategy-customization, interface version 3.
"""

from __future__ import annotations

from typing import Any, Final

from quant_organism.errors import InputError
from quant_organism.strategies.committee import Committee
from quant_organism.strategies.export.python_file import Portrait, body, head
from quant_organism.strategies.families import get_family

_LEAST_TRAILING: Final = 0.005
"""A trailing stop below is off, as the gene says."""

_HEAD = '''"""{id}: a strategy of quant_organism for freqtrade. Beside freqtrade it needs nothing.

{origin}
Universe: {universe}. Bars: {interval}.

    freqtrade backtesting --strategy-path . --strategy {file} --timeframe {interval}

`target` gives what is wanted at each close as in quant_organism. What is done with it differs:
- freqtrade fills by its own rules, fees and funding; the filters on volatility and mood, the choice among assets and
  the netting of an account are not here.
- The members' stops are one per pair here: the widest stop and target, the longest hold; a trailing stop only where all
  members trail.
- A size is set when a position is entered, and stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from freqtrade.strategy import IStrategy
from numpy.typing import NDArray
'''

_CLASS = '''

class {name}(IStrategy):
    """Enter where the target takes a side, leave where it has left it."""

    INTERFACE_VERSION = 3
    timeframe = "{interval}"
    can_short = True
    process_only_new_candles = True
    startup_candle_count = {startup}
    stoploss = {stop!r}
    minimal_roi = {{"0": {profit!r}}}
{trailing}
    def populate_indicators(self, dataframe, metadata):
        """Add the columns `target` and `size`, the share of equity that is wanted."""
        columns = {{name: dataframe[name].to_numpy(dtype=float) for name in ("open", "high", "low", "close", "volume")}}
        symbol = metadata["pair"].split("/")[0]
        dataframe["target"] = target(columns, symbol)
        dataframe["size"] = (np.sign(dataframe["target"]) * target(columns, symbol, size=True)).clip(lower=0.0)
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        """Enter on the bar on which the target takes a side, and not again before it has left it."""
        side = np.sign(dataframe["target"])
        before = side.shift(fill_value=0.0)
        dataframe["enter_long"] = ((side > 0) & (before <= 0)).astype(int)
        dataframe["enter_short"] = ((side < 0) & (before >= 0)).astype(int)
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        """Leave where the target is no longer on the side."""
        dataframe["exit_long"] = (dataframe["target"] <= 0).astype(int)
        dataframe["exit_short"] = (dataframe["target"] >= 0).astype(int)
        return dataframe

    def custom_stake_amount(
        self, pair, current_time, current_rate, proposed_stake, min_stake, max_stake, leverage, entry_tag, side, **rest
    ):
        """Stake the wanted share of the wallet."""
        dataframe, _ = self.dp.get_analyzed_dataframe(pair, self.timeframe)
        share = float(dataframe["size"].iloc[-1])
        return min(max_stake, share * self.wallets.get_total_stake_amount())

    def custom_exit(self, pair, trade, current_time: datetime, current_rate, current_profit, **rest):
        """Leave after the longest hold."""
        return "max_holding_hours" if current_time - trade.open_date_utc >= timedelta(hours={holding}) else None
'''


def class_name(committee: Committee) -> str:
    """Return the name of the class: the identity without underscores."""
    return "".join(part.capitalize() for part in committee.id.split("_"))


def freqtrade_file(portrait: Portrait) -> str:
    """Write a strategy as a file for freqtrade.

    Raises
    ------
    InputError
        A member that cannot be written, by its name and the reason.
    """
    members = portrait.committee.members
    for member in members:
        family = get_family(member.genome.family)
        if "funding_rate" in family.columns_of(member.genome.genes):
            raise InputError(
                f"{family.name} reads funding rates, which freqtrade does not hand to strategies",
                where=f"member {member.genome.id}",
                remedy="write it as Python or its signals: --to python, --to csv",
            )
    rules = body(portrait)

    def values(gene: str) -> list[Any]:
        return [member.genome.genes[gene] for member in members]

    trailing = ""
    if min(values("trailing_stop")) >= _LEAST_TRAILING:
        trailing = f"    trailing_stop = True\n    trailing_stop_positive = {max(values('trailing_stop'))!r}\n"
    name = class_name(portrait.committee)
    return (
        head(_HEAD, portrait, name)
        + rules
        + _CLASS.format(
            name=name,
            interval=portrait.interval.name,
            startup=_startup(portrait),
            stop=-max(values("stop_loss")),
            profit=max(values("take_profit")),
            trailing=trailing,
            holding=max(values("max_holding_hours")),
        )
    )


def _startup(portrait: Portrait) -> int:
    # Averages that never forget have forgotten almost all after some warm-ups.
    genomes = portrait.committee.genomes
    return 4 * max(get_family(genome.family).warmup(genome.genes) for genome in genomes)
