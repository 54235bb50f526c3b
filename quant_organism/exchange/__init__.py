"""The venue: what is said on Hyperliquid's wire (`protocol`), and a local exchange that speaks it (`simulator`).

Decisions about what to trade do not belong here. Nothing in this room reads settings or the environment.
"""
