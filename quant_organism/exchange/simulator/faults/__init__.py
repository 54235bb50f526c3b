"""Failures on purpose: which (`kinds`), when and where (`plan`), decided and logged (`injector`), done to the market
and the accounts (`market`). Failures of HTTP and WebSocket themselves are done by the server.
"""
