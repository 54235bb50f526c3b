"""Benchmarks: one module each with `run() -> list[dict]`; `python -m benchmarks NAME` runs one."""
