"""Strategies for other programs: plain Python and freqtrade files that carry their own rules, and tables of signals.

`series` and `rules` say once more, in plain numpy, what indicators and families are; the package
itself never runs them.
"""

from quant_organism.strategies.export.freqtrade_file import class_name, freqtrade_file
from quant_organism.strategies.export.python_file import Portrait, python_file
from quant_organism.strategies.export.signals import signal_table

__all__ = ["Portrait", "class_name", "freqtrade_file", "python_file", "signal_table"]
