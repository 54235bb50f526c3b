"""Strongly typed expression trees over indicators: their table, grammar, text, simplification, variation, evaluation.

A tree is nested tuples of names and numbers, ``("gt", ("close",), ("sma", 20))``. It is never evaluated as text.
"""
