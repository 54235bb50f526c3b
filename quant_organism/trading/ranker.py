"""The ranker: of a market's assets, which a trader may enter where the policy limits how many.

The score is that by which a genome without weights of its own allots capital (`backtest.allocation`): the mean of an
asset's ranks by liquidity, calm and momentum among the assets that have a bar, at a day's last close. The ranks of a
day stand in the lake; under a policy with `most_symbols` the best of those that it allows become its `ranked_symbols`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import polars as pl

from quant_organism.backtest import allocate
from quant_organism.deployment.effects import ACTING_DAYS
from quant_organism.market import CandleTable, Interval, Lake, build_panel
from quant_organism.trading.decided import ENGINE
from quant_organism.trading.policy import Policy, PolicyVersion
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.tables import SymbolRankTable

_HISTORY_DAYS: Final = 60
"""Days that ranks rest on, whatever else the lake holds: 30 bars of a day and what their averages need to settle."""


def rank_symbols(lake: Lake, day: date, *, market: str, interval: Interval) -> pl.DataFrame:
    """Rank the assets of a market at the last close of a day, write their ranks down, and return them, the best first.

    A day that was ranked stays as it is.

    Parameters
    ----------
    lake, market, interval
        Where the candles are, and the ranks will be.
    day
        Nothing after it is looked at.

    Raises
    ------
    InputError
        The lake has no candles of that day.
    """
    where, ranked = {"market": market, "interval": interval.name}, lake.table(SymbolRankTable)
    if day in ranked.days(**where):
        return ranked.read_day(day, **where).sort(SymbolRankTable.place)
    held = lake.table(CandleTable).days(**where)
    days = min(_HISTORY_DAYS, (day - held[0]).days + 1) if held else 1
    panel = build_panel(lake, market, interval, day, days, None)
    found = allocate(panel.high, panel.low, panel.close, panel.volume, panel.valid, interval.hours)
    scores = {
        symbol: (float(ranks.mean()), *ranks.tolist())
        for symbol, ranks, trades in zip(panel.symbols, found.ranks[-1], panel.valid[-1], strict=True)
        if trades
    }
    order = sorted(scores, key=lambda symbol: (-scores[symbol][0], symbol))
    rows = [(symbol, place, *scores[symbol]) for place, symbol in enumerate(order, 1)]
    frame = SymbolRankTable.frame(rows)
    ranked.write(frame, day=day, **where)
    return frame


def latest_ranks(lake: Lake, *, market: str, interval: Interval) -> tuple[date, pl.DataFrame] | None:
    """Return the newest day that was ranked, and its ranks, the best first; none where no day was.

    Parameters
    ----------
    lake, market, interval
        Where the ranks are.
    """
    where, ranked = {"market": market, "interval": interval.name}, lake.table(SymbolRankTable)
    days = ranked.days(**where)
    return (days[-1], ranked.read_day(days[-1], **where).sort(SymbolRankTable.place)) if days else None


def put_ranked(
    data_dir: Path, ranks: pl.DataFrame, day: date, *, market: str, interval: Interval, now: datetime
) -> PolicyVersion | None:
    """Put the best ranked symbols in force where the policy limits how many may be entered.

    Parameters
    ----------
    data_dir
        Folder of the policies.
    ranks
        By `SymbolRankTable`.
    day, market, interval
        Which they are of.
    now
        Wall clock, with its zone.

    Returns
    -------
    PolicyVersion or None
        The new version; None where no policy limits symbols by the ranks of this market and these bars, these are in
        force already, or the day lies so far back that no decision of it acts any more.

    Raises
    ------
    InputError, BusyError, StorageError
        It cannot be put in force.
    """
    store = FilePolicyStore(policy_folder(data_dir))
    version = store.current()
    is_old = (now.astimezone(UTC).date() - day).days >= ACTING_DAYS
    if version is None or version.policy.ranked_market != market or is_old:
        return None
    policy, most = version.policy, version.policy.most_symbols
    if policy.ranked_interval not in (None, interval.name):
        return None
    unranked = policy.unranked()
    best = [
        symbol
        for symbol, score in ranks.select(SymbolRankTable.symbol, SymbolRankTable.score).iter_rows()
        if score > policy.limits.least_score and unranked.allows_symbol(symbol)
    ][:most]
    if policy.ranked_symbols == tuple(best):
        return None
    changed = Policy.model_validate({**policy.model_dump(), "ranked_symbols": tuple(best)})
    reason = f"ranks of {day}: the best {len(best)} of {ranks.height}"
    return store.put(changed, author=ENGINE, reason=reason, at_ms=int(now.timestamp() * 1000), after=version.number)
