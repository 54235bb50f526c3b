"""Market data: where candles and funding come from, the lake that keeps them, their quality, and the panel of arrays.

What a strategy does with prices belongs to `strategies`; orders and venues live elsewhere. Import the modules
themselves: `schema`, `source`, `lake`, `ingest`, `quality`, `panel`, and the sources `files` and `world`.
"""
