"""Which parameters gates take, within which bounds, and what they are where a profile does not say."""

import pytest

from quant_organism.errors import InputError
from quant_organism.validation.profile import KINDS, Profile

DEFAULTS = {
    "decision": {"unseen_at_most": 0.25},
    "backtest": {"at_least": None, "at_most": None},
    "positive_windows": {"span": "walk_forward", "windows": 4},
    "backtest_overfitting": {"blocks": 12},
    "parameter_neighbourhood": {"at_least": 0.5, "neighbours": 100, "step": 0.05},
    "price_noise": {"above": 0.0, "draws": 20, "noise": 0.1},
    "dearer_trading": {"above": 0.0, "cost_factor": 2.0, "slippage_factor": 3.0},
    "late_execution": {"above": 0.0, "bars": 1},
    "later_start": {"above": 0.0},
    "asset_left_out": {"above": 0.0},
    "longer_bars": {"above": 0.0},
    "trade_skip": {"at_most": 0.05, "draws": 1000},
    "resampled_days": {"at_most": 0.05},
    "resampled_bars": {"at_most": 0.05, "draws": 20},
    "day_unions": {"at_most": 0.05},
    "trade_parity": {"mode": "fast"},
    "replay_sharpe": {"mode": "fast", "at_least": 0.8},
    "replay_consistency": {"mode": "fast", "at_least": 0.6},
    "testnet_books": {"at_most": 0.01},
    "testnet_slippage": {"at_most": 2.0},
    "testnet_latency": {"at_most": 150.0},
    "testnet_score": {"at_least": 0.5},
    "triple_validation": {"mode": "fast", "at_least": 0.7},
}
NEEDED = {
    "backtest": {"metric": "sharpe", "span": "in_sample", "at_least": 1.0},
    "positive_windows": {"at_least": 0.5},
    "deflated_sharpe": {"at_least": 0.9},
    "backtest_overfitting": {"at_most": 0.5},
    "trial_budget": {"at_most": 1.0},
    "haircut_sharpe": {"at_least": 0.5},
    "predictive_ability": {"at_most": 0.05},
    "luck": {"at_most": 0.05},
    "holdout_mean": {"at_most": 0.05},
    "pretest": {"at_most": 0.05},
    "search_luck": {"at_most": 0.05},
    "decision": {"at_least": 1.748163},
}
SHARE = (0, 1, -0.01, 1.01)
COUNT = (1, 1_000, 0, 1_001)
BOUNDS = {
    # The least and the largest that is taken, and what is refused on either side.
    ("positive_windows", "windows"): (3, 1_000, 2, 1_001),
    ("positive_windows", "at_least"): SHARE,
    ("deflated_sharpe", "at_least"): SHARE,
    ("backtest_overfitting", "at_most"): SHARE,
    ("backtest_overfitting", "blocks"): (2, 16, 0, 18),
    ("trial_budget", "at_most"): (1e-9, 1e9, 0, float("inf")),
    ("haircut_sharpe", "at_least"): (-9, 9, float("-inf"), float("inf")),
    ("predictive_ability", "at_most"): (1e-9, 1 - 1e-9, 0, 1),
    ("parameter_neighbourhood", "at_least"): SHARE,
    ("parameter_neighbourhood", "neighbours"): COUNT,
    ("parameter_neighbourhood", "step"): (1e-9, 1, 0, 1.01),
    ("price_noise", "above"): (-9, 9, float("-inf"), float("inf")),
    ("price_noise", "draws"): COUNT,
    ("price_noise", "noise"): (1e-9, 10, 0, 10.1),
    ("dearer_trading", "cost_factor"): (1, 100, 0.99, 100.1),
    ("dearer_trading", "slippage_factor"): (1, 100, 0.99, 100.1),
    ("late_execution", "bars"): COUNT,
    ("trade_skip", "at_most"): SHARE,
    ("trade_skip", "draws"): (1, 100_000, 0, 100_001),
    ("resampled_days", "at_most"): SHARE,
    ("resampled_bars", "at_most"): SHARE,
    ("resampled_bars", "draws"): COUNT,
    ("day_unions", "at_most"): SHARE,
    ("replay_sharpe", "at_least"): (-9, 9, float("-inf"), float("inf")),
    ("replay_consistency", "at_least"): SHARE,
    ("testnet_books", "at_most"): (0, 9, -0.01, float("inf")),
    ("testnet_slippage", "at_most"): (1e-9, 9, 0, float("inf")),
    ("testnet_latency", "at_most"): (1e-9, 9, 0, float("inf")),
    ("testnet_score", "at_least"): (1e-9, 1, 0, 1.01),
    ("triple_validation", "at_least"): (1e-9, 1, 0, 1.01),
    ("luck", "at_most"): (1e-9, 1 - 1e-9, 0, 1),
    ("holdout_mean", "at_most"): (1e-9, 1 - 1e-9, 0, 1),
    ("pretest", "at_most"): (1e-9, 1 - 1e-9, 0, 1),
    ("search_luck", "at_most"): (1e-9, 1 - 1e-9, 0, 1),
    ("decision", "at_least"): (1e-9, 1e9, 0, float("inf")),
    ("decision", "unseen_at_most"): (1e-9, 1, 0, 1.01),
}


def gate_of(kind: str, **parameters: object) -> object:
    """Return a gate that a profile shows for information."""
    document = {"gate": kind} | NEEDED.get(kind, {}) | parameters
    first = {"gate": "backtest", "metric": "trades", "span": "out_of_sample", "at_least": 1}
    unseen = {"gate": "holdout_mean", "at_most": 0.5}
    return Profile.of({"name": "one", "shadow": [first], "information": [document, unseen]}).information[0]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_profile_need_not_say(kind: str) -> None:
    gate = gate_of(kind)
    left_open = {
        name: getattr(gate, name) for name, field in KINDS[kind].model_fields.items() if not field.is_required()
    }
    assert left_open == DEFAULTS.get(kind, {}) | {
        name: value for name, value in NEEDED.get(kind, {}).items() if name in left_open
    }


@pytest.mark.parametrize(("kind", "name"), BOUNDS)
def test_bounds_of_what_it_may_say(kind: str, name: str) -> None:
    least, most, too_little, too_much = BOUNDS[kind, name]
    assert getattr(gate_of(kind, **{name: least}), name) == least
    assert getattr(gate_of(kind, **{name: most}), name) == most
    for refused in (too_little, too_much):
        with pytest.raises(InputError, match=name):
            gate_of(kind, **{name: refused})


RANGES = {
    # What a metric cannot be less or more than; None: there is no such bound.
    "sharpe": (None, None),
    "sortino": (None, None),
    "calmar": (None, None),
    "total_return": (-1.0, None),
    "annual_return": (-1.0, None),
    "volatility": (0.0, None),
    "max_drawdown": (0.0, 1.0),
    "consistency": (0.0, 1.0),
    "win_rate": (0.0, 1.0),
    "trades": (0.0, None),
    "turnover_per_year": (0.0, None),
    "exposure": (0.0, None),
}


@pytest.mark.parametrize("metric", RANGES)
def test_a_metric_is_bounded_by_what_it_can_be(metric: str) -> None:
    for end, outwards in zip(RANGES[metric], (-1, 1), strict=True):
        taken = outwards * 1e6 if end is None else end
        assert gate_of("backtest", metric=metric, at_least=taken).threshold == taken
        if end is not None:
            with pytest.raises(InputError, match=f"is no bound of {metric}"):
                gate_of("backtest", metric=metric, at_least=end + outwards * 1e-6)


def test_a_metric_that_nobody_measures_is_not_bounded() -> None:
    with pytest.raises(InputError, match="no metric is called 'luck'; choose from sharpe, sortino"):
        gate_of("backtest", metric="luck")
