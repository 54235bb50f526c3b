"""Orders from intention to end: states, a journal that is written before anything is sent, reconciliation, flattening.

How requests travel does not belong here (`venue`), nor what should be traded.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.trading.orders.dead_man import DeadMan, Watchdog, cancel_all
    from quant_organism.trading.orders.flattening import NotFlat, flatten
    from quant_organism.trading.orders.journal import Journal
    from quant_organism.trading.orders.manager import OrderManager
    from quant_organism.trading.orders.margin import move_isolated_margin, reserve_requests, set_leverage
    from quant_organism.trading.orders.money import Balance
    from quant_organism.trading.orders.reconciliation import Reconciliation, accept_balance, reconcile
    from quant_organism.trading.orders.states import cloid_of
    from quant_organism.trading.orders.venue import Venue

__all__ = [
    "Balance",
    "DeadMan",
    "Journal",
    "NotFlat",
    "OrderManager",
    "Reconciliation",
    "Venue",
    "Watchdog",
    "accept_balance",
    "cancel_all",
    "cloid_of",
    "flatten",
    "move_isolated_margin",
    "reconcile",
    "reserve_requests",
    "set_leverage",
]

_HOMES = {
    "Balance": "money",
    "DeadMan": "dead_man",
    "Journal": "journal",
    "NotFlat": "flattening",
    "OrderManager": "manager",
    "Reconciliation": "reconciliation",
    "Venue": "venue",
    "Watchdog": "dead_man",
    "accept_balance": "reconciliation",
    "cancel_all": "dead_man",
    "cloid_of": "states",
    "flatten": "flattening",
    "move_isolated_margin": "margin",
    "reconcile": "reconciliation",
    "reserve_requests": "margin",
    "set_leverage": "margin",
}

# `python -m` runs the watchdog as a module of its own, which must not be loaded before.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.trading.orders.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
