"""The strategy families, one file each: genes, warm-up and the indicators they read.

Their compiled signal kernels live in `kernels/`, so that reading a genome does not load a compiler.
"""

from quant_organism.strategies.library import (
    bollinger_bands,
    donchian_breakout,
    ema_crossover,
    rsi_filter,
)

__all__ = ["bollinger_bands", "donchian_breakout", "ema_crossover", "rsi_filter"]
