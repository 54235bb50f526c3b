"""Where prices and liquidity come from: recorded or simulated bars, walked through tick by tick around the venue.

Bars come from any `CandleSource`; the oracle follows them, books are quoted around them, trades are printed along them.
"""
