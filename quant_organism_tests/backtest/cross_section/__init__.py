"""Tests of the books of cross-sectional genomes."""
