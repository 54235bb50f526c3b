"""Fees of perpetuals by volume (reference: section 13)."""

from typing import Final

from quant_organism.exchange.protocol.decimals import MICRO_USD, truncated
from quant_organism.exchange.simulator.core.account import Account
from quant_organism.market.schema import MS_PER_DAY

VOLUME_DAYS: Final = 14

TIERS: Final = (
    (0, 450, 150),
    (5_000_000, 400, 120),
    (25_000_000, 350, 80),
    (100_000_000, 300, 40),
    (500_000_000, 280, 0),
    (2_000_000_000, 260, 0),
    (7_000_000_000, 240, 0),
)
"""More than this 14-day volume in USD; taker rate and maker rate in millionths of the notional."""


def rates(account: Account, now_ms: int) -> tuple[int, int]:
    """Return an account's taker and maker rate in millionths: by the volume of the 14 UTC days before this one."""
    today = now_ms // MS_PER_DAY
    volume = 0
    if account.volume > TIERS[1][0] * MICRO_USD:
        volume = sum(sum(account.volumes.get(today - back, (0, 0))) for back in range(1, VOLUME_DAYS + 1))
    reached = [tier for tier in TIERS if tier[0] == 0 or volume > tier[0] * MICRO_USD]
    return reached[-1][1], reached[-1][2]


def fee(notional: int, rate_e6: int, percent: int = 100) -> int:
    """Return the fee of a notional, both in micro-USD, truncated as the venue was seen to do.

    Parameters
    ----------
    percent
        Of that rate: what the dex takes.
    """
    return truncated(notional * rate_e6 * percent, 100 * MICRO_USD)


def add_volume(account: Account, notional: int, now_ms: int, *, crossed: bool) -> None:
    """Count a trade towards an account's volume."""
    today = now_ms // MS_PER_DAY
    taken, made = account.volumes.get(today, (0, 0))
    account.volumes[today] = (taken + notional, made) if crossed else (taken, made + notional)
    account.volume += notional
