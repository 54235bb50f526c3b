"""Rules of the wire that client and simulator share: numbers, assets, orders, words, signatures, nonces, weights.

Pure functions and values; no sockets, no clock, no state of an exchange.
"""
