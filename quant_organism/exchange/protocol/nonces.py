"""Which nonces a signer may still use."""

import bisect
from dataclasses import dataclass, field
from typing import Final

from quant_organism.market.schema import MS_PER_DAY

KEPT: Final = 100
MAX_PAST_MS: Final = 2 * MS_PER_DAY
MAX_FUTURE_MS: Final = MS_PER_DAY


@dataclass(slots=True)
class NonceWindow:
    """The highest nonces that one signer has used.

    Parameters
    ----------
    used
        At most 100, sorted.
    """

    used: list[int] = field(default_factory=list)

    def refusal(self, nonce: int, now_ms: int) -> str | None:
        """Return why a nonce cannot be used at this time, or None where it can."""
        earliest, latest = now_ms - MAX_PAST_MS, now_ms + MAX_FUTURE_MS
        if nonce <= earliest:
            return f"Invalid nonce: nonce too low {nonce} < {earliest}"
        if nonce >= latest:
            return f"nonce too high {nonce} > {latest}"
        place = bisect.bisect_left(self.used, nonce)
        if place < len(self.used) and self.used[place] == nonce:
            return f"Invalid nonce: duplicate nonce {nonce}"
        if len(self.used) == KEPT and place == 0:
            return f"Invalid nonce: nonce too low {nonce} < {self.used[0]}"
        return None

    def consume(self, nonce: int) -> None:
        """Remember a nonce that was admitted, whatever became of its action."""
        bisect.insort(self.used, nonce)
        del self.used[:-KEPT]
