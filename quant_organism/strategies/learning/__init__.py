"""Models that are fitted again and again on the past: features, walk-forward refits, fits, their scores.

Fits are pure functions of training rows and genes, kept as plain arrays and applied by array operations. Their linear
algebra is compiled here or too small for a library's threads, so that it is the same with any number of them. Which
side to take from a score is the business of the families.
"""
