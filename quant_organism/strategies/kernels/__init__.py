"""Compiled signal kernels, one file per family: indicator rows and gene values in, directions of G genomes out.

They know no genomes, orders or equity. They release the GIL and are cached on disk.
"""
