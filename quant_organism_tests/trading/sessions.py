"""Sessions on small markets made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from quant_organism.backtest import Costs
from quant_organism.deployment import StrategyConfig
from quant_organism.market.panel import Panel
from quant_organism.strategies import Committee, default_genome
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.records import Role
from quant_organism.trading.replaying import panel_assets
from quant_organism.trading.starting import SessionSpec
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.deployment.documents import document

START = 60 * 24
"""Rows of history: 60 days, so that the risk scale is known from the first close."""

COSTS = Costs(max_participation=0.2)


def market(seed: int = 7, days: int = 75, assets: int = 3, *, holes: bool = True) -> Panel:
    """Return hourly bars with enough volume to trade in."""
    panel = random_panel(seed, bars=days * 24, assets=assets, volatility=0.01, holes=False)
    if holes:  # a gap in each asset within what is traded
        valid = panel.valid.copy()
        for asset in range(assets):
            valid[START + 40 * (asset + 1) : START + 40 * (asset + 1) + 3, asset] = False
        columns = {name: getattr(panel, name) for name in ("open", "high", "low", "close", "volume")}
        panel = Panel.from_arrays(
            symbols=panel.symbols,
            interval=panel.interval,
            times=panel.times,
            funding_rate=panel.funding_rate,
            funding_paid=panel.funding_paid,
            valid=valid,
            **columns,
        )
    return replace(panel, volume=panel.volume * 1e4, market="made")


def strategy(
    families: Sequence[str] = ("ema_crossover", "rsi_filter"), assets: int = 3, **changes: Any
) -> StrategyConfig:
    """Return the document of a strategy of default genomes."""
    genomes = [default_genome(name) for name in families]
    universe = tuple(f"S{place}" for place in range(assets))
    return document(strategy=Committee.of(genomes), universe=universe, interval="1h", **changes)


def spec(
    panel: Panel,
    documents: Sequence[tuple[StrategyConfig, Role]],
    *,
    start: int = START,
    costs: Costs = COSTS,
    **changes: Any,
) -> SessionSpec:
    """Return a replay of documents."""
    fields: dict[str, Any] = {
        "mode": "replay",
        "profile": "intraday",
        "market": panel.market,
        "interval": panel.interval,
        "capital_usd": 10_000.0,
        "costs": costs,
        "assets": panel_assets(panel, start, costs),
        "documents": documents,
        "history_days": 60,
        "history_end": "2024-02-29",
    }
    return SessionSpec(**fields | changes)


def ledger(folder: Path) -> TraderLedger:
    """Return a ledger that needs no disk that lasts."""
    return TraderLedger(folder / "ledger.sqlite", survives_power_cut=False)
