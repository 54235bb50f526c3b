"""Market data from a person's own files: a module per format, one set of rules for every row, one source over all.

What the files say is read and judged here; keeping it (the lake), scoring it (quality) and fetching it live elsewhere.
"""

from quant_organism.market.files.source import FileSource
from quant_organism.market.files.tally import ASIDE, FileTally, funding_known

__all__ = ["ASIDE", "FileSource", "FileTally", "funding_known"]
