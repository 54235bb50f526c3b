"""Gates by kind: each asks a case for evidence and returns one verdict with its number and its reason.

Which gates a candidate meets, and with which thresholds, is declared in a profile (`validation/profile.py`); the order
and the decision are the gauntlet's (`validation/gauntlet.py`).
"""
