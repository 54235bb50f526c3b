"""Tables of the journal, and their rows as values."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from quant_organism.trading.orders.states import ActionRecord, Change
from quant_organism.venue import Fill

SCHEMA_VERSION: Final = 4

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    cloid TEXT PRIMARY KEY, decision_id TEXT NOT NULL, coin TEXT NOT NULL, is_buy INTEGER NOT NULL,
    px TEXT NOT NULL, sz TEXT NOT NULL, tif TEXT NOT NULL, reduce_only INTEGER NOT NULL,
    trigger_px TEXT, tpsl TEXT, trigger_is_market INTEGER,
    state TEXT NOT NULL, oid INTEGER, text TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_state ON orders (state);
CREATE TABLE IF NOT EXISTS oids (
    oid INTEGER PRIMARY KEY, cloid TEXT NOT NULL, sz TEXT, said_filled TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS oids_by_cloid ON oids (cloid);
CREATE TABLE IF NOT EXISTS actions (
    nonce INTEGER PRIMARY KEY, signer TEXT NOT NULL, kind TEXT NOT NULL, cloids TEXT NOT NULL, changes TEXT NOT NULL,
    is_settled INTEGER NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS actions_open ON actions (is_settled) WHERE is_settled = 0;
CREATE TABLE IF NOT EXISTS fills (
    tid INTEGER NOT NULL, oid INTEGER NOT NULL, cloid TEXT, coin TEXT NOT NULL, is_buy INTEGER NOT NULL,
    px TEXT NOT NULL, sz TEXT NOT NULL, time_ms INTEGER NOT NULL, fee TEXT NOT NULL, fee_token TEXT NOT NULL,
    closed_pnl TEXT NOT NULL, crossed INTEGER NOT NULL, is_liquidation INTEGER NOT NULL, liquidation_method TEXT,
    PRIMARY KEY (tid, oid)
) STRICT;
CREATE INDEX IF NOT EXISTS fills_by_oid ON fills (oid);
CREATE INDEX IF NOT EXISTS fills_by_cloid ON fills (cloid);
CREATE TABLE IF NOT EXISTS flows (
    time_ms INTEGER NOT NULL, kind TEXT NOT NULL, coin TEXT NOT NULL, name TEXT NOT NULL, usd TEXT NOT NULL,
    PRIMARY KEY (time_ms, kind, coin, name)
) STRICT;
CREATE TABLE IF NOT EXISTS baseline (coin TEXT PRIMARY KEY, szi TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS moves (
    at_ms INTEGER NOT NULL, cloid TEXT NOT NULL, before TEXT NOT NULL, event TEXT NOT NULL, after TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
"""

UPGRADES: Final[Mapping[str, Sequence[str]]] = {
    "2": (
        "ALTER TABLE oids ADD COLUMN sz TEXT",
        "ALTER TABLE oids ADD COLUMN said_filled TEXT NOT NULL DEFAULT '0'",
        "ALTER TABLE fills ADD COLUMN liquidation_method TEXT",
        # what was placed anew was the size in all
        "UPDATE actions SET changes = (SELECT json_group_object(key, json_array(json_extract(value, '$[0]'), "
        "json_extract(value, '$[1]'), json_extract(value, '$[1]'))) FROM json_each(changes)) WHERE changes <> '{}'",
    ),
    "3": (),
}
"""What makes a journal of a version one of the next, before tables that it lacks are made."""


def action_of(row: sqlite3.Row) -> ActionRecord:
    """Return the action of a row."""
    changes: dict[str, Any] = json.loads(row["changes"])
    return ActionRecord(
        nonce=row["nonce"],
        signer=row["signer"],
        kind=row["kind"],
        cloids=tuple(json.loads(row["cloids"])),
        changes={cloid: Change(*map(Decimal, change)) for cloid, change in changes.items()},
        text=row["text"],
    )


def signed_size(row: sqlite3.Row) -> Decimal:
    """Return a fill's size, in coins, negative where it was sold."""
    return Decimal(row["sz"]) if row["is_buy"] else -Decimal(row["sz"])


def fill_of(row: sqlite3.Row) -> Fill:
    """Return the fill of a row."""
    return Fill(
        coin=row["coin"],
        is_buy=bool(row["is_buy"]),
        px=Decimal(row["px"]),
        sz=Decimal(row["sz"]),
        time_ms=row["time_ms"],
        oid=row["oid"],
        tid=row["tid"],
        cloid=row["cloid"],
        fee=Decimal(row["fee"]),
        fee_token=row["fee_token"],
        closed_pnl=Decimal(row["closed_pnl"]),
        crossed=bool(row["crossed"]),
        is_liquidation=bool(row["is_liquidation"]),
        liquidation_method=row["liquidation_method"],
    )
