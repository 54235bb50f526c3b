"""Breakers of the risk guard: what neither bars nor fills tell. Those are ceilings; what evolves may only be tighter.

What closes and fills alone decide is part of the account's plan (`backtest.account`).
"""

from __future__ import annotations

from typing import Final

from quant_organism.backtest.account import BreakerRule, Restraint

_MINUTE: Final = 60_000

STALE_DATA: Final = BreakerRule(name="stale data", unit="bars", bound=2.0, release=1.0, trial_ms=_MINUTE)
CLOCK_SKEW: Final = BreakerRule(name="clock skew", unit="s", bound=1.0, release=0.5, trial_ms=10 * _MINUTE)
REJECTIONS: Final = BreakerRule(
    name="order rejections", unit="of the last 50 orders", bound=0.2, release=0.1, trial_ms=60 * _MINUTE
)
LIQUIDATION: Final = BreakerRule(
    name="liquidation distance",
    unit="of the entry's distance that is lost",
    bound=0.75,
    release=0.5,
    trial_ms=60 * _MINUTE,
    restraint=Restraint(0.5, 0.5, 0.0),
)
LINES: Final = BreakerRule(
    name="feed or venue", unit="lines that do not answer", bound=1.0, release=1.0, trial_ms=_MINUTE
)
GREED: Final = BreakerRule(
    name="greed",
    unit="Fear & Greed index",
    bound=90.0,
    release=85.0,
    trial_ms=24 * 60 * _MINUTE,
    restraint=Restraint(long=0.5),
    trial=Restraint(long=0.5),
)
FEAR: Final = BreakerRule(
    name="fear",
    unit="100 less the Fear & Greed index",
    bound=90.0,
    release=85.0,
    trial_ms=24 * 60 * _MINUTE,
    restraint=Restraint(short=0.5),
    trial=Restraint(short=0.5),
)

GUARD_RULES: Final = (STALE_DATA, CLOCK_SKEW, REJECTIONS, LIQUIDATION, LINES, GREED, FEAR)
"""Ceilings: what evolves may only be tighter."""
