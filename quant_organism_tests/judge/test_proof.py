"""Cheats, caught by name; and an honest strategy that is not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from quant_organism.judge import StrategySource
from quant_organism.judge.proof import cuts_of, ended_assets, places_proven, prove, survivors
from quant_organism_tests.judge.conftest import FOLLOW, market

Write = Callable[..., StrategySource]
PANEL = market(bars=1_200)

CHEATS = {
    "future_bar": """
        import numpy as np

        def signal(panel):
            moved = np.zeros(panel.close.shape)
            moved[:-1] = np.sign(panel.close[1:] - panel.close[:-1])
            return moved
    """,
    "whole_sample": """
        import numpy as np

        def signal(panel):
            scaled = (panel.close - panel.close.mean(axis=0)) / panel.close.std(axis=0)
            return np.clip(-scaled, -1, 1)
    """,
    "future_file": """
        import numpy as np

        def signal(panel):
            known = {1_640_995_200_000 + 3_600_000 * bar: 1.0 for bar in range(0, 2_000, 3)}
            held = np.array([known.get(time, 0.0) for time in panel.times.tolist()])
            return np.repeat(held[:, None], len(panel.symbols), axis=1)
    """,
    "repeatable": """
        import numpy as np

        def signal(panel):
            return np.random.default_rng().uniform(-1, 1, panel.close.shape)
    """,
}


def failed(verdicts) -> set[str]:
    return {verdict.gate for verdict in verdicts if verdict.status == "failed"}


def test_an_honest_strategy_is_clean(write: Write) -> None:
    proof = prove(write(FOLLOW), {"bars": 12}, PANEL)
    assert proof.is_clean, proof.verdicts


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_is_caught_by_its_name(write: Write, cheat: str) -> None:
    assert cheat in failed(prove(write(CHEATS[cheat]), {}, PANEL).verdicts)


def test_a_peek_at_the_largest_moves_alone_is_caught(write: Write) -> None:
    source = write(
        """
        import numpy as np

        def signal(panel):
            gain = np.zeros(panel.close.shape)
            gain[:-1] = panel.close[1:] / panel.close[:-1] - 1.0
            return np.where(np.abs(gain) > 0.016, np.sign(gain), 0.0)
        """
    )
    verdicts = prove(source, {}, PANEL).verdicts
    assert "future_bar" in failed(verdicts)
    assert "1 bars ahead" in next(verdict.reason for verdict in verdicts if verdict.gate == "future_bar")


def test_price_levels_are_memory(write: Write) -> None:
    source = write("def signal(panel):\n    return (panel.close < 101.5) * 1.0\n")
    assert "future_file" in failed(prove(source, {}, PANEL).verdicts)


def test_a_file_from_the_future_is_named(write: Write) -> None:
    proof = prove(write("def signal(panel):\n    return open('/data/next_year.csv').read()\n"), {}, PANEL)
    assert failed(proof.verdicts) == {"future_file"}
    assert "/data/next_year.csv" in proof.verdicts[0].reason


def test_a_universe_of_survivors_is_caught() -> None:
    panel = market(bars=1_200, ended=2)
    assert ended_assets(panel) == ("A2", "A3")
    everywhere = np.ones(panel.close.shape)
    spared = everywhere.copy()
    spared[:, 2:] = 0.0
    assert survivors(everywhere, panel).status == "passed"
    assert survivors(spared, panel).status == "failed"
    assert survivors(everywhere, market(bars=1_200), ("A9",)).status == "failed"


def test_cuts_lie_before_the_moves_that_a_peek_would_use() -> None:
    targets = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], PANEL.close.shape)
    cuts = cuts_of(PANEL, targets, 24)
    moves = np.abs(np.diff(PANEL.close, axis=0) / PANEL.close[:-1]).max(axis=1)
    late = moves[int(0.2 * PANEL.n_bars) :]
    assert 1 + int(0.2 * PANEL.n_bars) + int(late.argmax()) in cuts or 1 + int(moves.argmax()) in cuts
    assert cuts == sorted(set(cuts))
    assert cuts_of(replace(PANEL), targets, 24) == cuts


def test_a_search_is_proven_at_both_ends_and_between() -> None:
    assert [places_proven(count, 0) for count in (1, 2, 4)] == [[0], [0, 1], [0, 1, 2, 3]]
    for seed in range(20):
        places = places_proven(100, seed)
        assert (len(places), places[0], places[-1]) == (4, 0, 99)
    assert len({tuple(places_proven(100, seed)) for seed in range(20)}) > 1
