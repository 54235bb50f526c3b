"""Cross-sectional families: rank the assets of a panel against each other and hold some against others.

What one asset's bars alone decide is the business of `families`.
"""
