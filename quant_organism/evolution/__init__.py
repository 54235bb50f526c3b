"""The genetic search and its final choice: which genomes to try, which to keep, which to put forward together.

Judging whether what was found is more than luck belongs to `validation`; simulating a genome belongs to `backtest`.
"""
