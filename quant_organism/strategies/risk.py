"""Risk genes: carried by every genome and applied by the evaluator, never by the signal."""

from quant_organism.strategies.genes import GeneSpec

TRAILING_STOP_OFF_BELOW = 0.005
"""A trailing stop nearer than this fraction is switched off."""

RISK_GENES = (
    GeneSpec(
        name="stop_loss",
        kind="float",
        default=0.03,
        low=0.01,
        high=0.15,
        unit="fraction of the entry price",
        description="adverse move from the entry that closes the position",
    ),
    GeneSpec(
        name="take_profit",
        kind="float",
        default=0.06,
        low=0.02,
        high=0.30,
        unit="fraction of the entry price",
        description="favourable move from the entry that closes the position",
    ),
    GeneSpec(
        name="trailing_stop",
        kind="float",
        default=0.0,
        low=0.0,
        high=0.15,
        unit="fraction of the best price",
        description="retreat from the best price of earlier bars that closes the position; below 0.005 it is off",
    ),
    GeneSpec(
        name="position_size",
        kind="float",
        default=0.05,
        low=0.01,
        high=0.15,
        unit="fraction of equity",
        description="notional of a position at conviction 1",
    ),
    GeneSpec(
        name="max_holding_hours",
        kind="int",
        default=72,
        low=4,
        high=336,
        unit="hours",
        description="time after which the position is closed at the next open",
    ),
)
