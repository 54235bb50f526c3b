"""What trading costs."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

from quant_organism.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Fees, slippage and funding that a backtest charges.

    Parameters
    ----------
    taker_fee
        Fraction of the notional of each fill; the default is the base tier of Hyperliquid perpetuals.
    slippage_bps
        Basis points by which market fills and triggered stops are worse than the price they aim at; 5 is 0.05 %.
    charge_funding
        Whether positions pay and receive the funding of their asset.

    Raises
    ------
    InputError
        If the fee is not in [0, 0.1] or the slippage not in [0, 1000].
    """

    taker_fee: float = 0.00045
    slippage_bps: float = 5.0
    charge_funding: bool = True

    def __post_init__(self) -> None:
        for name, highest in (("taker_fee", 0.1), ("slippage_bps", 1000.0)):
            value = getattr(self, name)
            if not math.isfinite(value) or not 0.0 <= value <= highest:
                raise InputError(f"{name} is {value!r}, expected a number in [0, {highest:g}]", where="costs")

    @property
    def slippage(self) -> float:
        """Slippage as a fraction of price."""
        return self.slippage_bps / 10_000.0

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical text of all fields, in hex."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
