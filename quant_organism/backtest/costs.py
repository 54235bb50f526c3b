"""What trading costs, and what the venue asks for as margin."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from quant_organism.errors import InputError

MarginTiers = tuple[tuple[float, int], ...]
"""(lower bound of the notional in USD, maximum leverage from there on), ascending from 0."""

FEE_TIERS = (
    (0.0, 0.00045, 0.00015),
    (5e6, 0.00040, 0.00012),
    (25e6, 0.00035, 0.00008),
    (100e6, 0.00030, 0.00004),
    (500e6, 0.00028, 0.0),
    (2e9, 0.00026, 0.0),
    (7e9, 0.00024, 0.0),
)
"""Hyperliquid perpetuals: 14-day volume in USD above which these taker and maker fees hold."""

_RANGES = {
    "taker_fee": (0.0, 0.1),
    "maker_fee": (-0.01, 0.1),
    "slippage_bps": (0.0, 1000.0),
    "impact_bps": (0.0, 10_000.0),
    "leverage": (1.0, 100.0),
    "capital_usd": (1.0, 1e12),
}


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Fees, slippage, funding and margin that a backtest charges; the defaults are Hyperliquid's base tier.

    Parameters
    ----------
    taker_fee, maker_fee
        Fraction of the notional of a market fill, and of a target that rested; a rebate is negative.
    slippage_bps
        Basis points by which market fills are worse than the price they aim at; 5 is 0.05 %.
    charge_funding
        Whether positions pay and receive the funding of their asset.
    leverage
        A position's margin is its notional over this; at most the asset's maximum counts.
    default_tiers, margin_tiers
        Margin tiers of the assets, by symbol where they differ from the default. Maintenance is
        1 / (2 x maximum leverage) of the notional. Read them from the venue's metadata; they differ between networks.
    max_participation
        Largest share of a bar's volume that market orders take; None fills every order at once.
    impact_bps
        Further slippage of a fill that takes a bar's whole volume; it goes with the square root of the share taken.
    capital_usd
        What an equity of 1 stands for, where amounts matter: margin tiers and participation.
    own_slippage_bps
        Slippage of an account's orders at the open and of its stops, by symbols for which they were measured. Sleeves
        slip by `slippage_bps` everywhere.

    Raises
    ------
    InputError
        If a figure is out of range.
    """

    taker_fee: float = 0.00045
    maker_fee: float = 0.00015
    slippage_bps: float = 5.0
    charge_funding: bool = True
    leverage: float = 3.0
    default_tiers: MarginTiers = ((0.0, 10),)
    margin_tiers: Mapping[str, MarginTiers] = field(default_factory=dict, hash=False)
    max_participation: float | None = None
    impact_bps: float = 0.0
    capital_usd: float = 10_000.0
    own_slippage_bps: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not math.isfinite(value) or not least <= value <= most:
                raise InputError(f"{name} is {value!r}, expected a number in [{least:g}, {most:g}]", where="costs")
        if self.max_participation is not None and not 0.0 < self.max_participation <= 1.0:
            raise InputError(
                f"max_participation is {self.max_participation!r}, expected a share in (0, 1] or none", where="costs"
            )
        if self.impact_bps and self.max_participation is None:
            raise InputError(
                "impact_bps needs max_participation",
                where="costs",
                remedy="without it no fill knows what share of a bar it takes",
            )
        for symbol, slippages in self.own_slippage_bps.items():
            if len(slippages) != 2 or not all(0.0 <= bps < 10_000.0 for bps in slippages):
                raise InputError(
                    f"slippages are {slippages!r}, expected those at the open and of stops, each from 0 to 10,000 bps",
                    where=f"costs, {symbol}",
                )
        for symbol, tiers in {"default_tiers": self.default_tiers, **self.margin_tiers}.items():
            _check_tiers(symbol, tiers)

    @classmethod
    def at_volume(cls, volume_usd: float, **others: Any) -> Costs:
        """Return the costs of an account with this 14-day volume on Hyperliquid; `others` as in `Costs`."""
        taker, maker = [(taker, maker) for least, taker, maker in FEE_TIERS if volume_usd >= least][-1]
        return cls(taker_fee=taker, maker_fee=maker, **others)

    @property
    def slippage(self) -> float:
        """Slippage as a fraction of price."""
        return self.slippage_bps / 10_000.0

    @property
    def of_sleeves(self) -> Costs:
        """What the sleeves of a search cost: the same but for what was measured for accounts."""
        return replace(self, own_slippage_bps={}) if self.own_slippage_bps else self

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical text of all fields, in hex."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values; slippages of symbols only where any were measured."""
        plain = asdict(replace(self, margin_tiers={}, own_slippage_bps={})) | {"margin_tiers": dict(self.margin_tiers)}
        del plain["own_slippage_bps"]
        measured = {symbol: list(bps) for symbol, bps in self.own_slippage_bps.items()}
        return plain | ({"own_slippage_bps": measured} if measured else {})

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Costs:
        """Read what `to_dict` returned, also after it was JSON."""
        margin = {symbol: _read_tiers(tiers) for symbol, tiers in fields["margin_tiers"].items()}
        own = {symbol: (at_open, at_stop) for symbol, (at_open, at_stop) in fields.get("own_slippage_bps", {}).items()}
        tiers = {"margin_tiers": margin, "default_tiers": _read_tiers(fields["default_tiers"])}
        return cls(**{**fields, **tiers, "own_slippage_bps": own})

    def tiers(self, symbol: str) -> MarginTiers:
        """Return the margin tiers of an asset."""
        return self.margin_tiers.get(symbol, self.default_tiers)


def _read_tiers(tiers: Sequence[Sequence[Any]]) -> MarginTiers:
    return tuple((bound, most) for bound, most in tiers)


def _check_tiers(where: str, tiers: MarginTiers) -> None:
    bounds, leverages = [bound for bound, _ in tiers], [most for _, most in tiers]
    ascending = bool(tiers) and bounds[0] == 0.0 and all(a < b for a, b in itertools.pairwise(bounds))
    falling = all(a > b for a, b in itertools.pairwise(leverages))
    if not ascending or not falling or not all(1 <= most <= 100 for most in leverages):
        raise InputError(
            f"margin tiers are {tiers!r}, expected bounds ascending from 0 with falling leverages in [1, 100]",
            where=f"costs, {where}",
        )
