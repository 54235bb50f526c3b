"""Benchmarks, one module each with `run() -> list[dict]`; `python -m benchmarks NAME` runs one. Nothing here is a test."""
