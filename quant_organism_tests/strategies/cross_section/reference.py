"""Cross-sections in plain Python, slow and from the definitions: what each asset is to weigh at one close."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from quant_organism.market import Panel
from quant_organism.strategies import Genome


def weights_at(genome: Genome, panel: Panel, row: int) -> list[float]:
    """Return what a genome wants of each asset at the close of a row, in the panel's order."""
    genes, hours = genome.genes, panel.interval.hours
    own = [[t for t in range(row + 1) if panel.valid[t, a]] for a in range(panel.n_assets)]
    market = [_market_return(panel, t) for t in range(row + 1)]
    order = sorted(range(panel.n_assets), key=panel.symbols.__getitem__)
    facts = {}
    for a in order:
        found = _facts(genome, panel, a, own[a], market, hours) if panel.valid[row, a] else None
        if found is not None:
            facts[a] = found
    drop = math.floor(float(genes["liquidity_share"]) * len(facts))  # type: ignore[arg-type]
    for a in sorted(facts, key=lambda a: (facts[a]["traded"], order.index(a)))[:drop]:
        del facts[a]
    weights = [0.0] * panel.n_assets
    kept = [a for a in order if a in facts]
    if len(kept) < 6:
        return weights
    x = [facts[a]["score"] for a in kept]
    tilt = float(genes.get("funding_tilt", 0.0))  # type: ignore[arg-type]
    if tilt > 0:
        rated = [a for a in kept if facts[a]["received"] is not None]
        received = dict(zip(rated, standardised([facts[a]["received"] for a in rated]), strict=True))
        x = [z + tilt * received.get(a, 0.0) for a, z in zip(kept, standardised(x), strict=True)]
    for a, w in zip(kept, book(x, [facts[a] for a in kept], genes), strict=True):
        weights[a] = w
    return weights


def book(x: Sequence[float], facts: Sequence[Mapping[str, Any]], genes: Mapping[str, Any]) -> list[float]:
    """Return the weights of at least six eligible assets."""
    n = len(x)
    if genes["weighting"] == "score":
        u = standardised(x)
    elif genes["weighting"] == "rank":
        ranks = [sum(o < v for o in x) + (sum(o == v for o in x) + 1) / 2 for v in x]
        u = [(rank - 0.5) / n - 0.5 for rank in ranks]
    else:
        k = max(1, math.floor(genes["tail_share"] * n))
        high, low = sorted(x, reverse=True)[k], sorted(x)[k]
        u = [float(v > high) - float(v < low) for v in x]
    if genes["inverse_volatility"] == "yes":
        u = [v / f["sigma"] for v, f in zip(u, facts, strict=True)]
    ones = [1.0] * n
    b = [f["beta"] for f in facts] if genes["neutrality"] == "beta" else ones
    w = balanced(u, b)
    return w if max(map(abs, w)) <= 0.5 + 1e-9 else balanced(u, ones)


def balanced(u: Sequence[float], b: Sequence[float]) -> list[float]:
    """Return weights whose absolute values sum to 1 and whose betas sum to 0."""
    longs = sum(v * c for v, c in zip(u, b, strict=True) if v > 0)
    shorts = -sum(v * c for v, c in zip(u, b, strict=True) if v < 0)
    if longs == 0 or shorts == 0:
        return [0.0] * len(u)
    w = [v / longs if v > 0 else v / shorts for v in u]
    return [v / sum(map(abs, w)) for v in w]


def standardised(x: Sequence[float]) -> list[float]:
    """Return z-scores by population deviation, within two; all 0 without spread."""
    if not x:
        return []
    mean = sum(x) / len(x)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x))
    if deviation < 1e-12:
        return [0.0] * len(x)
    return [min(2.0, max(-2.0, (v - mean) / deviation)) for v in x]


def _market_return(panel: Panel, t: int) -> float:
    both = [a for a in range(panel.n_assets) if t > 0 and panel.valid[t, a] and panel.valid[t - 1, a]]
    moves = [math.log(panel.close[t, a] / panel.close[t - 1, a]) for a in both]
    return sum(moves) / len(moves) if moves else 0.0


def _facts(
    genome: Genome, panel: Panel, a: int, rows: list[int], market: list[float], hours: float
) -> dict[str, Any] | None:
    """Return what is known of an asset at its last bar, None if it may not be held."""
    genes: Mapping[str, Any] = genome.genes

    def bars(span: float) -> int:
        return max(1, math.ceil(span / hours))

    def last(span: float) -> list[int]:
        return rows[-bars(span) :]

    window = {"xs_residual_momentum": "residual_lookback", "xs_volume_shock": ""}.get(genome.family, "lookback")
    lookback = genes[window] if window else 720
    skip = bars(genes["skip"]) if genes.get("skip") else 0
    if len(rows) <= max(bars(720), bars(lookback) + skip):
        return None
    if sum(panel.volume[t, a] == 0 for t in last(24)) * 4 > bars(24):
        return None
    moves = {t: math.log(panel.close[t, a] / panel.close[s, a]) for s, t in itertools.pairwise(rows)}
    sigma = math.sqrt(sum(moves[t] ** 2 for t in last(336)) / bars(336))
    if sigma == 0.0:
        return None
    squares = sum(market[t] ** 2 for t in last(720))
    raw = sum(moves[t] * market[t] for t in last(720)) / squares if squares > 0 else 1.0
    beta = min(3.0, max(0.2, 0.5 + 0.5 * raw))

    def change(span: float, skipped: int = 0) -> float:
        end = len(rows) - 1 - skipped
        return math.log(float(panel.close[rows[end], a]) / float(panel.close[rows[end - bars(span)], a]))

    def traded(span: float) -> float:
        return sum(float(panel.close[t, a] * panel.volume[t, a]) for t in last(span)) / bars(span)

    def paid(span: float) -> float | None:
        if not all(math.isfinite(panel.funding_rate[t, a]) for t in last(span)):
            return None
        return sum(float(panel.funding_paid[t, a]) for t in last(span)) / bars(span)

    week = paid(168)
    facts = {"sigma": sigma, "beta": beta, "traded": traded(168), "received": None if week is None else -week}
    match genome.family:
        case "xs_momentum":
            score = change(lookback, skip) / (sigma if genes["scaled"] == "yes" else 1.0)
        case "xs_residual_momentum":
            end = len(rows) - skip
            seen = sum(market[t] for t in rows[end - bars(lookback) : end])
            score = (change(lookback, skip) - beta * seen) / (sigma if genes["scaled"] == "yes" else 1.0)
        case "xs_carry":
            cost = paid(lookback)
            if cost is None:
                return None
            score = -cost
        case "xs_volume_shock":
            score = math.log(traded(genes["short"]) / traded(720))
        case "xs_low_risk" if genes["measure"] == "volatility":
            score = -math.sqrt(sum(moves[t] ** 2 for t in last(lookback)) / bars(lookback))
        case "xs_low_risk":
            score = -max(change(24, bars(24 * day) if day else 0) for day in range(lookback // 24))
        case _:
            score = -change(lookback) / sigma
    return facts | {"score": score}
