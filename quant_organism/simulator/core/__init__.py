"""The exchange: books, orders, accounts, margin, funding, liquidation.

All money is in integer micro-USD and moves between accounts only, so that it is conserved to the last unit. Time comes
in as an argument. Start at `venue`.
"""
