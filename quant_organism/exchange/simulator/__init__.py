"""A local exchange that speaks Hyperliquid's wire.

`core` is the exchange itself, without sockets, clock or randomness; `market` moves prices and liquidity along recorded
or simulated bars; `server` is HTTP and WebSocket; `faults` makes all of it fail on purpose.
"""
