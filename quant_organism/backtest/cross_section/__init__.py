"""Books of cross-sectional genomes: one equity, all assets of a panel, resized at each decision and never stopped.

Where an asset is traded by itself, that is the business of the sleeves beside this folder.
"""
