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


def venue(pairs: list[str]) -> Any:
    """Return an exchange that has some markets, no limits and no funding; what else it is asked decides no trade."""
    from unittest.mock import MagicMock

    exchange = MagicMock()
    exchange.markets = {pair: {"symbol": pair, "active": True} for pair in pairs}
    exchange.get_pair_quote_currency.return_value = exchange.get_proxy_coin.return_value = QUOTE
    exchange.precisionMode = exchange.precision_mode_price = 4
    # A price that is rounded may lie beyond its bar, where an order at the open is not filled.
    exchange.get_precision_price.return_value, exchange.get_precision_amount.return_value = None, 1e-12
    exchange.get_min_pair_stake_amount.return_value, exchange.get_max_pair_stake_amount.return_value = 0.0, 1e12
    exchange.get_max_leverage.return_value = exchange.get_contract_size.return_value = 1.0
    exchange.get_pair_base_currency.side_effect = lambda pair: pair.split("/")[0]
    exchange.get_liquidation_price.return_value = exchange.dry_run_liquidation_price.return_value = None
    exchange.calculate_funding_fees.return_value = 0.0
    exchange.get_option.side_effect = lambda name, default=None: "1h" if name.endswith("timeframe") else default
    return exchange


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
    tested = Backtesting(config, exchange=venue(pairs))
    tested.pairlists._whitelist = pairs
    tested._set_strategy(tested.strategylist[0])
    for parameter, value in parameters.items():
        getattr(tested.strategy, parameter).value = value
    frames = {}
    for asset, pair in enumerate(pairs):
        has = stored["valid"][:, asset]
        prices = {field: stored[field][has, asset] for field in ("open", "high", "low", "close", "volume")}
        frames[pair] = pd.DataFrame({"date": dates[has], **prices})
    tested.futures_data, tested.funding_fee_timeframe_secs = dict.fromkeys(pairs), 3_600
    processed = tested.strategy.advise_all_indicators(frames)
    # What comes before is cut by the backtest itself.
    first, last = (dates[place].to_pydatetime() for place in (tested.strategy.startup_candle_count, -1))
    found = tested.backtest(processed=processed, start_date=first, end_date=last)["results"]
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
