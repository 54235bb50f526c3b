"""Who has asked too much (reference: section 17)."""

from dataclasses import dataclass, field
from typing import Final

from quant_organism.exchange.protocol import texts, weights
from quant_organism.exchange.protocol.decimals import MICRO_USD
from quant_organism.exchange.simulator.core import settlement
from quant_organism.exchange.simulator.core.account import Account

MINUTE_MS: Final = 60_000


@dataclass(slots=True)
class WeightBucket:
    """REST weight of one address of the network; it fills up evenly.

    Parameters
    ----------
    per_minute
        What a full minute gives, and the most there can be.
    """

    per_minute: int
    left: float = field(init=False)
    at_ms: int = 0

    def __post_init__(self) -> None:
        self.left = float(self.per_minute)

    def take(self, weight: int, now_ms: int) -> bool:
        """Take a weight out; say whether there was anything left before."""
        self.left = min(self.per_minute, self.left + max(0, now_ms - self.at_ms) * self.per_minute / MINUTE_MS)
        self.at_ms = now_ms
        if self.left <= 0:
            return False
        self.left -= weight
        return True


def address_refusal(account: Account, count: int, now_ms: int, *, is_cancel: bool) -> str | None:
    """Count an action of so many items against an account's limit; return the refusal, or None where it passes.

    Beyond the limit one action passes in ten seconds; what is refused costs nothing.
    """
    volume = account.volume // MICRO_USD
    cap = weights.cancel_cap(volume) if is_cancel else weights.request_cap(volume)
    if account.requests_used + count > cap:
        last = account.over_limit_pass_ms
        if last is not None and now_ms - last < weights.OVER_LIMIT_INTERVAL_MS:
            return texts.too_many_requests(account.requests_used + count, cap, settlement.traded_text(account))
        account.over_limit_pass_ms = now_ms
    account.requests_used += count
    return None
