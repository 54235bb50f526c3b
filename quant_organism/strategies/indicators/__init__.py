"""Indicators over the valid bars of one asset: one row per period, every row causal.

Means and extremes over windows are combined from windows of power-of-two length, so that a value depends on the bars
of its own window only: no running sum drifts, and a longer history changes no bit.
"""
