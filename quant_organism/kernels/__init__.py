"""How numba is used: kernels kept on disk, and lanes of windows side by side. Nothing of the domain belongs here."""
