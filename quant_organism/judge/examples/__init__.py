"""Strategies as other people write them, judged by their names: `quant-organism judge moving_average_stop`."""
