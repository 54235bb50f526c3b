"""Breed, judge and run trading strategies for crypto perpetuals.

Each room's `__init__` names its public face; importing this package loads none of them.
"""

__version__ = "0.1.0"
