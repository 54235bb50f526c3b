"""Genes that every genome carries and that the evaluator applies, never the signal: risk, allocation, regime."""

from quant_organism.market import LONGEST_HOLDING_HOURS
from quant_organism.strategies.genes import GeneSpec
from quant_organism.strategies.priors import NeutralPrior, RangePrior

TRAILING_STOP_OFF_BELOW = 0.005
"""A trailing stop nearer than this fraction is switched off."""

RISK_GENES = (
    GeneSpec(
        name="stop_loss",
        kind="float",
        default=0.03,
        low=0.01,
        high=0.15,
        prior=RangePrior(0.05, 0.15),
        unit="fraction of the entry price",
        description="adverse move from the entry that closes the position",
    ),
    GeneSpec(
        name="take_profit",
        kind="float",
        default=0.06,
        low=0.02,
        high=0.30,
        prior=NeutralPrior(0.30, 0.5, RangePrior(0.10, 0.30)),
        unit="fraction of the entry price",
        description="favourable move from the entry that closes the position",
    ),
    GeneSpec(
        name="trailing_stop",
        kind="float",
        default=0.0,
        low=0.0,
        high=0.15,
        prior=NeutralPrior(0.0, 0.7, RangePrior(0.06, 0.15)),
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
        high=LONGEST_HOLDING_HOURS,
        scale="log",
        prior=NeutralPrior(LONGEST_HOLDING_HOURS, 0.5, RangePrior(120, LONGEST_HOLDING_HOURS)),
        unit="hours",
        description="time after which the position is closed at the next open",
    ),
    GeneSpec(
        name="max_drawdown",
        kind="float",
        default=0.10,
        low=0.05,
        high=0.20,
        prior=NeutralPrior(0.20),
        unit="fraction of the highest equity",
        description="drawdown of a sleeve from which on it enters nothing new",
    ),
    GeneSpec(
        name="position_size_limit",
        kind="float",
        default=0.15,
        low=0.10,
        high=0.15,
        unit="fraction of equity",
        description="most that the best asset may be allotted; others in proportion to their score",
    ),
)

ALLOCATION_GENES = (
    GeneSpec(
        name="liquidity_weight",
        kind="float",
        default=0.4,
        low=0.0,
        high=1.0,
        unit="weight",
        description="pull of an asset's traded value on its allocation score",
    ),
    GeneSpec(
        name="volatility_weight",
        kind="float",
        default=0.3,
        low=0.0,
        high=1.0,
        unit="weight",
        description="pull of an asset's calm on its allocation score",
    ),
    GeneSpec(
        name="momentum_weight",
        kind="float",
        default=0.3,
        low=0.0,
        high=1.0,
        unit="weight",
        description="pull of an asset's momentum, up or down, on its allocation score",
    ),
)

REGIME_GENES = (
    GeneSpec(
        name="volatility_threshold",
        kind="float",
        default=2.3,
        low=1.0,
        high=3.0,
        prior=NeutralPrior(3.0),
        unit="ratio",
        description="multiple of its usual volatility above which nothing new is entered",
    ),
    GeneSpec(
        name="fear_greed_sensitivity",
        kind="float",
        default=0.3,
        low=0.0,
        high=1.0,
        prior=NeutralPrior(0.0),
        unit="share",
        description="how much smaller longs are entered in extreme greed, and shorts in extreme fear",
    ),
)

COMMON_GENES = RISK_GENES + ALLOCATION_GENES + REGIME_GENES
