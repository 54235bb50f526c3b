"""The account: one object from virtual positions to orders (rules A1 to A12 of docs/execution.md).

`plan` says what to trade at a close, `plan_resting` what rests at the venue, `book` is the one door for what happened.
What a strategy decides is the business of `strategies`; how orders reach the venue, that of `trading`.
"""

from quant_organism.backtest.account.book import IOC, STOP, TARGET, AccountBook, LegKey, StandingOrder, SubAccount
from quant_organism.backtest.account.breaker import BreakerRule, BreakerState, Phase
from quant_organism.backtest.account.committee import (
    AccountRun,
    AccountSetting,
    committee_run,
    committee_setting,
    compounded,
    day_starts,
    member_name,
    returns_of_days,
    virtual_costs,
    virtual_window,
)
from quant_organism.backtest.account.door import (
    BY_HAND,
    DELEVERAGED,
    LIQUIDATED,
    AccountFill,
    AccountFunding,
    AccountReject,
    CapitalPaid,
    CashTaken,
    HandRelease,
    PlanSent,
    Rearmed,
    RestingSent,
    TradingHalted,
    book,
)
from quant_organism.backtest.account.figures import (
    EQUITY_USD,
    LARGEST_USD,
    LEAST_TRIED_USD,
    REFERENCE_USD,
    SIZES_USD,
    AccountFigures,
    account_figures,
    account_metrics,
    capacity,
    smallest_equity,
)
from quant_organism.backtest.account.model import AccountBar, FillModel, trade_account_bar
from quant_organism.backtest.account.plan import AccountClose, AccountOrder, Plan, plan
from quant_organism.backtest.account.resting import LegLevels, RestingPlan, cross_liquidation, plan_resting
from quant_organism.backtest.account.risk import Restraint, RiskState, tightest
from quant_organism.backtest.account.rules import AccountRules, TradedAsset, traded_assets
from quant_organism.backtest.account.streaming import VirtualStream
from quant_organism.backtest.account.walk import AccountPath, walk
from quant_organism.backtest.account.weather import (
    MARKET_CORRELATION,
    MARKET_VOLATILITY,
    MarketWeather,
    window_restraints,
)
from quant_organism.backtest.account.window import AccountMarket, VirtualWindow

__all__ = [
    "BY_HAND",
    "DELEVERAGED",
    "EQUITY_USD",
    "IOC",
    "LARGEST_USD",
    "LEAST_TRIED_USD",
    "LIQUIDATED",
    "MARKET_CORRELATION",
    "MARKET_VOLATILITY",
    "REFERENCE_USD",
    "SIZES_USD",
    "STOP",
    "TARGET",
    "AccountBar",
    "AccountBook",
    "AccountClose",
    "AccountFigures",
    "AccountFill",
    "AccountFunding",
    "AccountMarket",
    "AccountOrder",
    "AccountPath",
    "AccountReject",
    "AccountRules",
    "AccountRun",
    "AccountSetting",
    "BreakerRule",
    "BreakerState",
    "CapitalPaid",
    "CashTaken",
    "FillModel",
    "HandRelease",
    "LegKey",
    "LegLevels",
    "MarketWeather",
    "Phase",
    "Plan",
    "PlanSent",
    "Rearmed",
    "RestingPlan",
    "RestingSent",
    "Restraint",
    "RiskState",
    "StandingOrder",
    "SubAccount",
    "TradedAsset",
    "TradingHalted",
    "VirtualStream",
    "VirtualWindow",
    "account_figures",
    "account_metrics",
    "book",
    "capacity",
    "committee_run",
    "committee_setting",
    "compounded",
    "cross_liquidation",
    "day_starts",
    "member_name",
    "plan",
    "plan_resting",
    "returns_of_days",
    "smallest_equity",
    "tightest",
    "trade_account_bar",
    "traded_assets",
    "virtual_costs",
    "virtual_window",
    "walk",
    "window_restraints",
]
