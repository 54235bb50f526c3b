"""How long things took, as a histogram of fixed size."""

import math
from typing import Final

_PER_DOUBLING: Final = 8
_BUCKETS: Final = 40 * _PER_DOUBLING


class LatencyHistogram:
    """Counts of durations from a microsecond to days, each within a tenth of its true value."""

    def __init__(self) -> None:
        self.count = 0
        self._buckets = [0] * _BUCKETS

    def add(self, seconds: float) -> None:
        """Count a duration."""
        place = int(math.log2(max(seconds, 1e-6) * 1e6) * _PER_DOUBLING)
        self._buckets[min(place, _BUCKETS - 1)] += 1
        self.count += 1

    def quantile(self, share: float) -> float:
        """Return the duration in seconds that this share of all does not exceed; NaN where there is none."""
        rank, before = math.ceil(share * self.count), 0
        for place, count in enumerate(self._buckets):
            before += count
            if count and before >= rank:
                return float(2 ** ((place + 1) / _PER_DOUBLING) * 1e-6)
        return math.nan

    def summary(self) -> dict[str, float]:
        """Return count, median, p99 and highest, in seconds."""
        return {
            "count": self.count,
            "p50_s": self.quantile(0.5),
            "p99_s": self.quantile(0.99),
            "max_s": self.quantile(1.0),
        }
