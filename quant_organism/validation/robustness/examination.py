"""Everything that is known of how well one strategy bears being shaken: what its tear sheet shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from quant_organism.validation.robustness.breakdown import Part, by_asset, by_regime, day_unions
from quant_organism.validation.robustness.intervals import longer_bars
from quant_organism.validation.robustness.made_markets import price_noise, resampled_bars
from quant_organism.validation.robustness.neighbourhood import neighbourhood
from quant_organism.validation.robustness.stress import asset_left_out, dearer_trading, late_execution, later_start
from quant_organism.validation.robustness.subject import ClosedTrades, Shake, Subject, closed_trades
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.monte_carlo import Bands, bootstrap_bands, trade_shuffle, trade_skip

_DAYS_A_YEAR: Final = 365


@dataclass(frozen=True, eq=False)
class Examination:
    """How one strategy bears being shaken, on one span.

    Attributes
    ----------
    sharpe
        Annual net Sharpe ratio as it is, on bars.
    average_holding_days
        Mean time that its closed trades last; 0 without any.
    shakes
        By what was changed; why not, where it was not run.
    bands
        Quantiles of resampled days, shuffled trades and skipped trades; why not, where they were not run.
    assets, regimes
        What was earned where and when.
    """

    sharpe: float
    average_holding_days: float
    shakes: Mapping[str, Shake | NotRun]
    bands: Mapping[str, Bands | NotRun]
    assets: tuple[Part, ...]
    regimes: tuple[Part, ...]


def examine(subject: Subject, *, seed: int) -> Examination:
    """Run every test of robustness on a strategy.

    Parameters
    ----------
    subject
        The strategy, its market and the span.
    seed
        Of all that is drawn.
    """
    trades = closed_trades(subject)
    holding_bars = trades.average_holding_hours / subject.panel.interval.hours
    return Examination(
        sharpe=subject.sharpe,
        average_holding_days=trades.average_holding_hours / 24,
        shakes={
            "parameters": neighbourhood(subject, seed=seed),
            "price noise": price_noise(subject, seed=seed),
            "dearer trading": dearer_trading(subject),
            "late execution": late_execution(subject),
            "later start": later_start(subject),
            "asset left out": asset_left_out(subject),
            "longer bars": longer_bars(subject),
            "resampled bars": resampled_bars(subject, average_holding_bars=holding_bars, seed=seed),
            "day unions": day_unions(subject),
        },
        bands={
            "days resampled": resampled_days(subject, trades, seed=seed),
            "trades skipped": trade_skip(trades.returns, years=trades.years, seed=seed),
            "trades shuffled": trade_shuffle(trades.returns, seed=seed),
        },
        assets=by_asset(subject),
        regimes=by_regime(subject),
    )


def resampled_days(subject: Subject, trades: ClosedTrades, *, seed: int) -> Bands | NotRun:
    """Return the bands of a strategy's daily returns, in blocks at least as long as its positions last."""
    return bootstrap_bands(
        subject.measured.daily_returns[0],
        periods_per_year=_DAYS_A_YEAR,
        average_holding=trades.average_holding_hours / 24,
        seed=seed,
    )
