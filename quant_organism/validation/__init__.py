"""Is it more than luck? Splits, gates and their verdicts on what a search put forward.

A gate that could not be computed says `not_run` with the reason and never counts as passed.
"""
