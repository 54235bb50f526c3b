"""Boosted trees on prices and volumes, refitted every three weeks: the recipe that every study of qlib begins with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

Floats = NDArray[np.float64]

DAY_HOURS = 24
WINDOWS = (24, 120, 240, 480, 720)
"""Hours of 1, 5, 10, 20 and 30 days."""

REFIT_DAYS, FEWEST_DAYS, MOST_DAYS = 21, 60, 365
"""Days between fits, least and most days that a fit is made of."""


def signal(panel: Any) -> Floats:
    """Return once a day, at its last close, what the trees expect of the next day, as a position in [-1, 1].

    Every asset's next return, in units of its own volatility, is one example. The position is what is expected, in
    units of twice the deviation that expectations had among the examples.
    """
    targets = np.zeros(panel.close.shape)
    step = round(DAY_HOURS / panel.interval_hours)
    closes_at = panel.times + int(panel.interval_hours * 3_600_000)
    rows = np.flatnonzero(closes_at % 86_400_000 == 0)
    windows = tuple(max(round(hours / panel.interval_hours), 2) for hours in WINDOWS)
    rows = rows[rows >= max(windows)]
    if len(rows) < 2:
        return targets
    features, deviation = features_of(panel, rows, windows)
    ahead = np.full(features.shape[:2], np.nan)
    ahead[:-1] = (panel.close[rows[1:]] / panel.close[rows[:-1]] - 1.0) / (deviation[:-1] * np.sqrt(step))
    ahead = np.clip(np.where(np.isfinite(ahead), ahead, np.nan), -3.0, 3.0)
    # Periods are counted from 1970, so that all panels refit on the same days.
    months = closes_at[rows] // 86_400_000 // REFIT_DAYS
    wanted = np.zeros(features.shape[:2])
    for month in np.unique(months):
        days = np.flatnonzero(months == month)
        # The last example whose next day is over ended where the first of these days does.
        first = int(days[0])
        if first < FEWEST_DAYS:
            continue
        past = slice(max(first - MOST_DAYS, 0), first)
        wanted[days] = expected(features[past], ahead[past], features[days])
    wanted[~panel.valid[rows]] = 0.0
    # What is decided at a day's end is held until the next.
    places = np.searchsorted(rows, np.arange(len(targets)), side="right") - 1
    held = places >= 0
    targets[held] = wanted[places[held]]
    return targets


def expected(known: Floats, ahead: Floats, now: Floats) -> Floats:
    """Fit (days, assets, features) to what came after, and return what is expected of later days, (days, assets)."""
    seen = np.isfinite(ahead)
    # What no example knows, such as how volumes move that never change, is left out.
    used = np.isfinite(known[seen]).any(axis=0)
    known, now = known[..., used], now[..., used]
    model = HistGradientBoostingRegressor(
        learning_rate=0.1,
        max_iter=50,
        max_leaf_nodes=8,
        min_samples_leaf=50,
        l2_regularization=10.0,
        early_stopping=False,
        random_state=0,
    )
    model.fit(known[seen], ahead[seen])
    scale = float(model.predict(known[seen]).std())
    if scale == 0.0:
        return np.zeros(now.shape[:2])
    flat = model.predict(now.reshape(-1, now.shape[-1])).reshape(now.shape[:2])
    expectation: Floats = np.clip(flat / (2.0 * scale), -1.0, 1.0)
    return expectation


def features_of(panel: Any, rows: NDArray[np.int64], windows: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return features of some bars, float64 (rows, assets, features), and the deviation of the returns before each.

    None has a unit: shapes of the last bar, and over each window the change, the mean, the extremes and the place
    between them, the deviation, the volume, and how price and volume go together.
    """
    opens, high, low, close = (getattr(panel, name) for name in ("open", "high", "low", "close"))
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.vstack([np.full((1, close.shape[1]), np.nan), close[1:] / close[:-1] - 1.0])
        now = close[rows]
        found = [(now - opens[rows]) / opens[rows], (high[rows] - low[rows]) / opens[rows]]
        deviations = []
        for bars in windows:
            back = rows[:, None] - np.arange(bars)[None, ::-1]
            prices, volumes, returns = close[back], panel.volume[back], moved[back]
            top, bottom = high[back].max(axis=1), low[back].min(axis=1)
            spread = np.where(top > bottom, top - bottom, np.nan)
            deviations.append(returns.std(axis=1))
            found += [
                close[rows - bars] / now,
                prices.mean(axis=1) / now,
                top / now,
                bottom / now,
                (now - bottom) / spread,
                deviations[-1],
                volumes[:, -bars // 5 :].mean(axis=1) / volumes.mean(axis=1),
                together(returns, volumes),
            ]
    features = np.stack(found, axis=-1)
    features[~np.isfinite(features)] = np.nan
    return features, np.where(deviations[1] > 0.0, deviations[1], np.nan)


def together(returns: Floats, volumes: Floats) -> Floats:
    """Return the correlation of returns and volumes over axis 1."""
    ours, theirs = returns - returns.mean(axis=1, keepdims=True), volumes - volumes.mean(axis=1, keepdims=True)
    scale = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum(axis=1))
    correlation: Floats = (ours * theirs).sum(axis=1) / np.where(scale > 0.0, scale, np.nan)
    return correlation
