"""An account walked bar by bar in plain Python, and windows of virtual positions that are drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from quant_organism.backtest import Costs
from quant_organism.backtest.account import (
    AccountBook,
    AccountFill,
    AccountRules,
    FillModel,
    RiskState,
    plan,
    trade_account_bar,
    traded_assets,
)
from quant_organism.backtest.account.window import AccountMarket, VirtualWindow
from quant_organism.market.panel import Panel
from quant_organism_tests.backtest.markets import random_panel

Watch = Callable[[AccountBook], None]


@dataclass
class SlowPath:
    """What a walk in plain Python brought."""

    equity: list[int] = field(default_factory=list)
    fills: list[list[AccountFill]] = field(default_factory=list)
    at_cap: list[bool] = field(default_factory=list)


def walk_slowly(
    account: AccountBook, market: AccountMarket, virtual: VirtualWindow, model: FillModel, watch: Watch | None = None
) -> SlowPath:
    """Take an account over a window, one plan and one bar at a time."""
    path = SlowPath()
    for row in range(market.n_bars):
        time, prices = int(market.times[row]), market.prices(row)
        made = plan(account, virtual.close(row, time, prices))
        path.equity.append(made.risk.equity)
        path.at_cap.append(made.at_cap)
        path.fills.append(trade_account_bar(account, made, market.bar(row), virtual.levels(row), model))
        if watch is not None:
            watch(account)
    last = account.marks | {
        symbol: account.assets[symbol].lot_price(price) for symbol, price in market.prices(market.n_bars).items()
    }
    path.equity.append(account.equity(last))
    return path


@dataclass(frozen=True)
class DrawnAccount:
    """A market, virtual positions in it, and an account to trade them."""

    panel: Panel
    market: AccountMarket
    virtual: VirtualWindow
    account: AccountBook
    model: FillModel


@st.composite
def drawn_accounts(draw: st.DrawFn, *, bars: int = 160) -> DrawnAccount:
    """Draw an account whose members come and go, with levels that are sometimes reached."""
    seed = draw(st.integers(0, 2**32 - 1))
    panel = random_panel(
        seed,
        bars=draw(st.integers(30, bars)),
        assets=draw(st.integers(1, 4)),
        interval=draw(st.sampled_from(["1m", "5m", "1h", "4h", "1d"])),
        volatility=draw(st.sampled_from([0.002, 0.01, 0.05])),
        holes=draw(st.booleans()),
        funding=draw(st.sampled_from([0.0, 1e-4, 1e-2])),
    )
    model = FillModel(
        taker_fee=draw(st.sampled_from([0.0, 0.00045, 0.005])),
        maker_fee=draw(st.sampled_from([-0.0001, 0.00015])),
        open_slippage_bps=draw(st.sampled_from([0.0, 5.0, 80.0])),
        max_participation=draw(st.sampled_from([None, 0.1, 1.0])),
        impact=draw(st.sampled_from([0.0, 1.0])),
        own_slippage_bps={panel.symbols[0]: (1.0, 40.0)} if draw(st.booleans()) else {},
    )
    start = draw(st.integers(0, panel.n_bars // 3))
    market = AccountMarket.of(panel, model, start=start)
    virtual = random_virtual(
        market,
        seed,
        strategies=draw(st.integers(1, 3)),
        members=draw(st.integers(1, 5)),
        stopless=draw(st.booleans()),
        size=draw(st.sampled_from([0.02, 0.3, 2.0])),
    )
    halve_at, restore_below, no_entries_at, flat_at = draw(
        st.sampled_from([(0.05, 0.025, 0.08, 0.1), (0.01, 0.005, 0.015, 0.02)])
    )
    day_no_entries_at, day_flat_at = draw(st.sampled_from([(0.03, 0.05), (0.002, 0.004), (0.002, 0.05)]))
    rules = AccountRules(
        halve_at=halve_at,
        restore_below=restore_below,
        no_entries_at=no_entries_at,
        flat_at=flat_at,
        strategy_cap=draw(st.sampled_from([0.25, float("inf")])),
        least_volatility_days=2,
        volatility_days=draw(st.sampled_from([3, 90])),
        target_volatility=draw(st.sampled_from([0.1, 2.0])),
        rearm_days=draw(st.sampled_from([1, 14])),
        day_no_entries_at=day_no_entries_at,
        day_flat_at=day_flat_at,
        rapid_exits=draw(st.integers(1, 5)),
        rapid_loss=draw(st.sampled_from([0.0005, 0.015])),
        pause_minutes=draw(st.sampled_from([60, 600])),
        tail_loss_at=draw(st.sampled_from([0.002, 0.03])),
        leverage=draw(st.sampled_from([1.0, 3.0])),
    )
    highest = np.max(market.close, axis=0, initial=0.01, where=market.valid)
    prices = dict(zip(market.symbols, highest.tolist(), strict=True))
    tiers = draw(st.sampled_from([((0.0, 10),), ((0.0, 40), (300.0, 5), (2_000.0, 2))]))
    assets = traded_assets(market.symbols, prices, Costs(default_tiers=tiers))
    capital = draw(st.sampled_from([300.0, 1_000.0, 10_000.0, 250_000.0]))
    account = AccountBook.opened("drawn", rules, assets, round(capital * 1e6))
    account.risk = RiskState(scale=draw(st.sampled_from([0.0, 1.0, 4.0])))
    return DrawnAccount(panel, market, virtual, account, model)


def random_virtual(
    market: AccountMarket, seed: int, *, strategies: int, members: int, stopless: bool, size: float
) -> VirtualWindow:
    """Return legs that are in and out of trades at random, some of them equal, with levels around the opens."""
    rng = np.random.default_rng([seed, 2])
    names = tuple(f"s{number}" for number in range(strategies))
    legs = tuple(
        (name, f"m{member:02d}", symbol)
        for symbol in market.symbols
        for name in names
        for member in range(members)
        if rng.random() < 0.9
    )
    rows = market.n_bars
    places = [market.symbols.index(leg[2]) for leg in legs]
    known = np.vstack([market.close_before, market.close])
    filled = known.copy()
    for row in range(1, rows + 1):
        filled[row] = np.where(np.isfinite(known[row]), known[row], filled[row - 1])
    units = np.zeros((rows + 1, len(legs)))
    side, held = np.zeros(len(legs)), np.zeros(len(legs))
    for row in range(rows + 1):
        changes = rng.random(len(legs)) < 0.08
        side = np.where(changes, rng.integers(-1, 2, len(legs)), side)
        prices = filled[row, places] if legs else np.zeros(0)
        fresh = side * size * rng.choice([0.2, 0.5, 1.0], len(legs)) / members / prices
        held = np.where(changes, np.nan_to_num(fresh), held)
        units[row] = held
    sides = np.sign(units[:-1])
    opens = np.where(market.valid, market.open, 1.0)[:, places]
    with np.errstate(invalid="ignore"):
        stops = np.where(sides != 0, opens * (1 - sides * rng.choice([0.003, 0.03, 0.2], len(legs))), np.nan)
        targets = np.where(sides != 0, opens * (1 + sides * rng.choice([0.003, 0.03, 0.2], len(legs))), np.nan)
    stops[rng.random(stops.shape) < 0.02] = np.nan
    return VirtualWindow(
        strategies=names,
        legs=legs,
        stopless=frozenset((name, "m00") for name in names) if stopless else frozenset(),
        units=units,
        stops=stops,
        targets=targets,
        returns=rng.normal(0.0, 0.01, (rows + 1, strategies)),
        shares=np.repeat(rng.choice([0.1, 0.25, 1.0], (1, strategies)), rows + 1, 0),
        restraints=np.where(rng.random((rows + 1, 3)) < 0.2, rng.choice([0.0, 0.5, 0.9], (rows + 1, 3)), 1.0),
    )
