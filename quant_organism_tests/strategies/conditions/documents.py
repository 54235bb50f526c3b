"""Documents for the tests, as YAML or JSON would give them."""

from __future__ import annotations

import copy
from typing import Any

DOCUMENT: dict[str, Any] = {
    "strategy_id": "dip_in_an_uptrend",
    "side": "LONG",
    "entry": {
        "logic": "ALL",
        "conditions": [
            {"name": "RSI", "operator": "<", "value": 30},
            {"name": "close", "operator": ">", "value": {"name": "SMA_50"}, "scale": 5},
            {
                "logic": "ANY",
                "conditions": [
                    {"name": "MACD", "operator": "crosses_above", "value": {"name": "MACD_SIGNAL"}},
                    {"name": "volume", "operator": ">=", "value": {"name": "MEAN_VOLUME_20"}},
                ],
            },
        ],
    },
    "exit": {"logic": "ANY", "conditions": [{"name": "RSI_14", "operator": ">", "value": 55}]},
    "base_size_usd": 1000,
    "stop_loss_pct": 2,
    "take_profit_pct": 6.5,
    "fitness_score": 0.75,
    "allowed_regimes": ["AGGRESSIVE", "NORMAL"],
}


def document(*path: str | int, **fields: Any) -> dict[str, Any]:
    """Return a copy of `DOCUMENT` with fields set in the part at `path`; a field set to `...` is taken away."""
    made = copy.deepcopy(DOCUMENT)
    part: Any = made
    for step in path:
        part = part[step]
    for name, value in fields.items():
        if value is ...:
            del part[name]
        else:
            part[name] = value
    return made


def simple(side: str, entry: list[dict[str, Any]], exits: list[dict[str, Any]] | None = None, **fields: Any) -> Any:
    """Return a document of which all entry and any exit conditions must hold."""
    made = {
        "strategy_id": "simple",
        "side": side,
        "entry": {"logic": "ALL", "conditions": entry},
        "base_size_usd": 1000,
        "stop_loss_pct": 3,
        "take_profit_pct": 6,
    }
    if exits is not None:
        made["exit"] = {"logic": "ANY", "conditions": exits}
    return made | fields


def compare(name: str, operator: str, value: float | str, **more: Any) -> dict[str, Any]:
    """Return one condition; a text as value names a series."""
    right = {"name": value} if isinstance(value, str) else value
    return {"name": name, "operator": operator, "value": right, **more}
