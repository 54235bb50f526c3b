"""The assets, a file per group of the asset graph. A body reads, calls one function of another room, and returns."""
