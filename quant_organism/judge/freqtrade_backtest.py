"""Run as a program by a Python that has freqtrade, shut in: its own backtest of a file on given bars, without a venue.

    python freqtrade_backtest.py STRATEGY.py BARS.npz PARAMETERS CLASS

`BARS.npz` holds times, symbols, interval, fee, and (bars, assets) of open, high, low, close, volume and valid;
`PARAMETERS` is JSON; without a `CLASS` the file has one. On standard output comes JSON: the version, and every trade.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

QUOTE = "USDC"
ASKED = "2026.9"
"""The version of freqtrade whose questions an exchange of a backtest answers here."""


class BacktestExchange:
    """An exchange as far as a backtest asks one: some markets, no limits, no rounding, no leverage and no funding.

    Parameters
    ----------
    pairs
        Its markets.
    """

    margin_mode = "isolated"
    precisionMode = precision_mode_price = 4

    def __init__(self, pairs: list[str]) -> None:
        self.markets = {pair: {"symbol": pair, "active": True} for pair in pairs}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"this version of freqtrade asks its exchange for {name}, and {ASKED} did not")

    def get_markets(self, **_: Any) -> dict[str, Any]:
        """Return all markets."""
        return self.markets

    def market_is_tradable(self, market: dict[str, Any]) -> bool:
        """Return whether there is such a market."""
        return market["symbol"] in self.markets

    def get_pair_quote_currency(self, _: str) -> str:
        """Return what a market is paid in."""
        return QUOTE

    def get_pair_base_currency(self, pair: str) -> str:
        """Return what is traded in a market."""
        return pair.split("/")[0]

    def get_proxy_coin(self) -> str:
        """Return what collateral is held in."""
        return QUOTE

    def validate_required_startup_candles(self, *_: Any) -> int:
        """Ask for no download."""
        return 0

    def get_option(self, name: str, default: Any = None) -> Any:
        """Return what freqtrade takes where nothing is set; of timeframes, of which nothing is made, hours."""
        return "1h" if name.endswith("timeframe") else default

    def get_precision_price(self, _: str) -> None:
        """Round no price: it may lie beyond its bar then, where an order at the open is not filled."""

    def get_precision_amount(self, _: str) -> float:
        """Return the step of amounts."""
        return 1e-12

    def get_contract_size(self, _: str) -> float:
        """Return how much a contract is."""
        return 1.0

    def get_max_leverage(self, *_: Any, **__: Any) -> float:
        """Return the most leverage: none."""
        return 1.0

    def get_min_pair_stake_amount(self, *_: Any, **__: Any) -> float:
        """Return the least stake."""
        return 0.0

    def get_max_pair_stake_amount(self, *_: Any, **__: Any) -> float:
        """Return the largest stake."""
        return 1e12

    def get_liquidation_price(self, **_: Any) -> None:
        """Liquidate nothing."""

    def calculate_funding_fees(self, *_: Any, **__: Any) -> float:
        """Charge no funding."""
        return 0.0


def class_of(strategy: Path) -> str:
    """Return the name of the class in a file."""
    for each in ast.parse(strategy.read_bytes()).body:
        bases = each.bases if isinstance(each, ast.ClassDef) else []
        if any(getattr(base, "id", getattr(base, "attr", "")) == "IStrategy" for base in bases):
            return str(each.name)  # type: ignore[attr-defined]
    raise ValueError("no class of IStrategy in the file")


def backtest(strategy: Path, bars: Path, parameters: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return every trade, ascending by entry; what is still open at the end freqtrade closes there."""
    import pandas as pd
    from freqtrade.enums import CandleType, RunMode  # type: ignore[import-not-found]
    from freqtrade.optimize.backtesting import Backtesting  # type: ignore[import-not-found]

    stored = np.load(bars, allow_pickle=False)
    dates = pd.to_datetime(stored["times"], unit="ms", utc=True)
    pairs = [f"{symbol}/{QUOTE}:{QUOTE}" for symbol in stored["symbols"].tolist()]
    config = {
        "stake_currency": QUOTE,
        "stake_amount": 100.0,
        "max_open_trades": len(pairs),
        "dry_run_wallet": 1e6,
        "trading_mode": "futures",
        "margin_mode": "isolated",
        "candle_type_def": CandleType.FUTURES,
        "exchange": {"name": "binance", "pair_whitelist": pairs, "pair_blacklist": []},
        "pairlists": [{"method": "StaticPairList"}],
        "entry_pricing": {"price_side": "other", "use_order_book": False},
        "exit_pricing": {"price_side": "other", "use_order_book": False},
        "timeframe": str(stored["interval"]),
        "fee": float(stored["fee"]),
        "strategy": name or class_of(strategy),
        "strategy_path": str(strategy.parent),
        "user_data_dir": Path.cwd(),
        "datadir": Path.cwd(),
        "runmode": RunMode.BACKTEST,
        "export": "none",
    }
    tested = Backtesting(config, exchange=BacktestExchange(pairs))
    (own,) = tested.strategylist
    for parameter, value in parameters.items():
        getattr(own, parameter).value = value
        # What the class says beside its parameters would be loaded over it.
        for said in [name for name in dir(own) if name.endswith("_params")]:
            if isinstance(known := getattr(own, said), dict) and parameter in known:
                setattr(own, said, {**known, parameter: value})
    frames = {}
    for asset, pair in enumerate(pairs):
        has = stored["valid"][:, asset]
        prices = {field: stored[field][has, asset] for field in ("open", "high", "low", "close", "volume")}
        frames[pair] = pd.DataFrame({"date": dates[has], **prices})
    # What loads the bars of a backtest from files sets these; no funding is charged, whatever they are.
    tested.futures_data, tested.funding_fee_timeframe_secs = dict.fromkeys(pairs), 3_600
    tested.backtest_one_strategy(own, frames, tested.timerange)
    found = tested.all_bt_content[own.get_strategy_name()]["results"]
    rows = [
        {
            "asset": pairs.index(row.pair),
            "side": -1 if row.is_short else 1,
            "entered": int(row.open_date.timestamp() * 1_000),
            "entry": row.open_rate,
            "left": int(row.close_date.timestamp() * 1_000),
            "exit": row.close_rate,
            "reason": str(row.exit_reason),
        }
        for row in found.itertuples()
    ]
    return sorted(rows, key=lambda row: (row["entered"], row["asset"]))


def main(strategy: str, bars: str, parameters: str, name: str) -> None:
    """Backtest, and write the trades."""
    # Whatever a strategy prints goes where errors go, and cannot be taken for trades.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import freqtrade  # type: ignore[import-not-found]

    trades = backtest(Path(strategy), Path(bars), json.loads(parameters), name)
    with answer:
        json.dump({"version": freqtrade.__version__, "trades": trades}, answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
