"""Run by a Python that has freqtrade: its own backtest of a file on given bars, without an exchange.

    python freqtrade_backtest.py STRATEGY.py BARS.npz TRADES.json

`BARS.npz` holds times and (bars, assets) of open, high, low, close and volume; `TRADES.json` gets every trade by asset.
"""

import json
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
from freqtrade.enums import CandleType, RunMode
from freqtrade.optimize.backtesting import Backtesting

FEE = 0.00045


def venue(pairs: list[str]) -> MagicMock:
    """Return an exchange that has some markets, no limits and no funding."""
    exchange = MagicMock()
    exchange.markets = {pair: {"symbol": pair, "active": True} for pair in pairs}
    exchange.get_pair_quote_currency.return_value = "USDC"
    exchange.precisionMode = exchange.precision_mode_price = 4
    exchange.get_precision_price.return_value = exchange.get_precision_amount.return_value = 1e-12
    exchange.get_min_pair_stake_amount.return_value, exchange.get_max_pair_stake_amount.return_value = 0.0, 1e12
    exchange.get_max_leverage.return_value = exchange.get_contract_size.return_value = 1.0
    exchange.get_proxy_coin.return_value = "USDC"
    exchange.get_pair_base_currency.side_effect = lambda pair: pair.split("/")[0]
    exchange.get_liquidation_price.return_value = exchange.dry_run_liquidation_price.return_value = None
    exchange.calculate_funding_fees.return_value = 0.0
    exchange.get_option.side_effect = lambda name, default=None: "1h" if name.endswith("timeframe") else default
    return exchange


def main(strategy: Path, bars: Path, trades: Path) -> None:
    """Backtest, and write the trades."""
    stored = np.load(bars)
    dates = pd.to_datetime(stored["times"], unit="ms", utc=True)
    assets = stored["close"].shape[1]
    pairs = [f"A{asset}/USDC:USDC" for asset in range(assets)]
    name = next(line.split("(")[0].split()[1] for line in strategy.read_text().splitlines() if "(IStrategy)" in line)
    config = {
        "stake_currency": "USDC",
        "stake_amount": 100.0,
        "max_open_trades": assets,
        "dry_run_wallet": 1e6,
        "trading_mode": "futures",
        "margin_mode": "isolated",
        "candle_type_def": CandleType.FUTURES,
        "exchange": {"name": "binance", "pair_whitelist": pairs, "pair_blacklist": []},
        "pairlists": [{"method": "StaticPairList"}],
        "entry_pricing": {"price_side": "other", "use_order_book": False},
        "exit_pricing": {"price_side": "other", "use_order_book": False},
        "timeframe": "1h",
        "fee": FEE,
        "strategy": name,
        "strategy_path": str(strategy.parent),
        "user_data_dir": strategy.parent,
        "datadir": strategy.parent,
        "runmode": RunMode.BACKTEST,
        "export": "none",
    }
    tested = Backtesting(config, exchange=venue(pairs))
    tested.pairlists._whitelist = pairs
    tested._set_strategy(tested.strategylist[0])
    columns = ("open", "high", "low", "close", "volume")
    frames = {
        pair: pd.DataFrame({"date": dates, **{name: stored[name][:, asset] for name in columns}})
        for asset, pair in enumerate(pairs)
    }
    tested.futures_data, tested.funding_fee_timeframe_secs = dict.fromkeys(pairs), 3_600
    tested.price_pair_prec = {pair: pd.Series([1e-12], index=dates[:1]) for pair in pairs}
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
    trades.write_text(json.dumps(rows))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
