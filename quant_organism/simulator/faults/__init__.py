"""Failures on purpose: which, when and where (`plan`), decided and logged (`injector`), done to the market, accounts,
answers and messages (`effects`). Failures of HTTP and WebSocket themselves are done by the server.
"""
