"""What searches put forward, side by side."""

import numpy as np
import pytest

from quant_organism.backtest import Costs
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.comparison import Contender, Unseen, standings
from quant_organism.strategies import Committee, default_genome


@pytest.fixture(scope="module")
def contender():
    ema, rsi = default_genome("ema_crossover"), default_genome("rsi_filter")
    candidates = [
        Candidate(Committee.of([ema, rsi]), "best on all assets"),
        Candidate(Committee.of([rsi]), "champion"),
        Candidate(Committee.of([ema]), "champion"),
    ]
    return Contender.of("random", candidates, evaluations=7, feasible=5)


def test_the_first_of_each_kind_stands_for_a_search(contender):
    assert [len(contender.choices[name].members) for name in ("committee", "champion")] == [2, 1]
    assert contender.choices["champion"].members[0].genome == default_genome("rsi_filter")
    assert Contender.of("tpe", [], evaluations=7, feasible=0).choices == {}


def test_figures_are_those_of_each_span_alone(contender, panel, evaluator):
    costs, half = Costs(), panel.n_bars // 48 * 24
    seen = panel.window(0, half)
    rows = standings([contender], seen, Unseen(panel, half), costs, evaluator)
    committees = list(contender.choices.values())
    inside = evaluator.evaluate_committees(committees, seen, costs).metrics["sharpe"]
    later = evaluator.evaluate_committees(committees, panel, costs, start=half).metrics["sharpe"]
    assert [row["in_sample_sharpe"] for row in rows] == inside.tolist()
    assert [row["unseen_sharpe"] for row in rows] == later.tolist()
    assert not np.isclose(inside, later).any()


def test_without_unseen_days_nothing_is_said_of_them(contender, panel, evaluator):
    rows = standings([contender], panel, None, Costs(), evaluator)
    assert [row["unseen_sharpe"] for row in rows] == [None, None]
    assert standings([], panel, None, Costs(), evaluator) == []


def test_who_never_traded_earned_nothing(contender, panel, evaluator):
    too_short = panel.window(0, 24)
    assert {row["in_sample_sharpe"] for row in standings([contender], too_short, None, Costs(), evaluator)} == {0.0}
