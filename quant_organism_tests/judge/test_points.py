"""Points in the space of a callable, proposed by somebody else: proven first, held to the space, judged as a search."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from quant_organism.errors import InputError
from quant_organism.evolution import TrialLedger
from quant_organism.evolution.proposals import ProposalResult
from quant_organism.judge import CallableSpace, CallableStrategy, Court, ParameterRange, StrategySource
from quant_organism.market import Lake
from quant_organism.validation import draw_null
from quant_organism_tests.judge.conftest import FOLLOW, market

Write = Callable[..., StrategySource]
PANEL = market(bars=24 * 95, edge=0.2)
RANGES = {
    "bars": ParameterRange(low=4, high=48, step=4),
    "width": ParameterRange(low=0.5, high=2.0, step=0.5),
    "side": ["both", "long"],
    "flag": [True, False],
    "fixed": 3,
}
POINT = {"bars": 6, "width": 0.7, "side": "long", "flag": True}


class Listed:
    """Proposes a list of points, three at a time, and keeps what it is told."""

    def __init__(self, *parameters: dict[str, object]) -> None:
        self.waiting = [{"parameters": point} for point in parameters]
        self.told: list[ProposalResult] = []

    def ask(self, n: int) -> list[dict[str, dict[str, object]]]:
        handed, self.waiting = self.waiting[: min(n, 3)], self.waiting[min(n, 3) :]
        return handed

    def tell(self, results: Sequence[ProposalResult]) -> None:
        self.told.extend(results)


def held(folder: Path) -> Court:
    return Court(lake=Lake(folder / "lake"), panel=PANEL, copies=1)


def test_points_are_measured_as_the_trials_of_a_search_and_each_counts(write: Write, tmp_path: Path) -> None:
    court, source = held(tmp_path), write(FOLLOW)
    proposer = Listed({"bars": 6}, {"bars": 90}, {"bars": 6}, {"bars": 24}, {"bars": 6}, {"bars": 12})
    space = CallableSpace(source=source, space={"bars": RANGES["bars"]})
    searched, refused = court.listen(lambda panel: proposer, 100, name="listed", space=space)
    assert isinstance(searched, CallableStrategy)
    assert searched.trials == ({"bars": 6}, {"bars": 24}, {"bars": 12})
    assert len(refused) == 1
    assert "90 is not from 4 to 48" in refused[0]
    by_itself = CallableStrategy("whole", source, searched.trials).attempts(court.seen, court.costs)
    sharpe = dict(zip((6, 24, 12), by_itself.sharpes.tolist(), strict=True))
    kept = [result for result in proposer.told if not result.refused]
    assert [result.sharpe for result in kept] == [sharpe[bars] for bars in (6, 6, 24, 6, 12)]
    assert all(0.0 < result.max_drawdown < 1.0 and result.trades > 10 for result in kept)
    assert court.in_ledger() == 3
    rows = TrialLedger(court.lake.root).frame(["genome_hash"])
    assert sorted(rows["genome_hash"]) == sorted(searched.hash_of(trial) for trial in searched.trials)


class Climbing(Listed):
    """Goes on from the better of two points, so that what it proposes hangs on what it is told."""

    def __init__(self) -> None:
        super().__init__({"bars": 32}, {"bars": 40})

    def tell(self, results: Sequence[ProposalResult]) -> None:
        super().tell(results)
        if len(self.told) == 2:
            best = max(self.told, key=lambda result: result.sharpe)
            self.waiting = [{"parameters": {"bars": best.proposal["parameters"]["bars"] + 2}}]


def test_who_learns_is_asked_anew_on_each_copy(write: Write, tmp_path: Path) -> None:
    court, source = held(tmp_path), write(FOLLOW)
    searched, _ = court.listen(
        lambda panel: Climbing(),
        3,
        name="climb",
        space=CallableSpace(source=source, space={"bars": RANGES["bars"]}),
    )
    assert isinstance(searched, CallableStrategy)
    third = set()
    for seed in range(2):
        copy = draw_null(court.seen, "mean_preserving", np.random.SeedSequence(seed))
        short, long = (
            CallableStrategy("all", source, ({"bars": bars}, {"bars": bars + 2})).attempts(copy, court.costs).sharpes
            for bars in (32, 40)
        )
        climbed = max(short[0], long[0], short[1] if short[0] > long[0] else long[1])
        assert searched.best_sharpe(copy, court.costs) == climbed
        third.add(bool(short[0] > long[0]))
    assert third == {True, False}  # what is proposed on one copy is not what is proposed on another
    assert court.in_ledger() == 3  # copies are no trials


def test_nobody_is_asked_about_code_that_looks_ahead(write: Write, tmp_path: Path) -> None:
    source = write(
        """
        import numpy as np

        def signal(panel, bars=24):
            moved = np.zeros(panel.close.shape)
            moved[:-1] = np.sign(panel.close[1:] - panel.close[:-1])
            return moved * (bars < 40)
        """
    )
    court, proposer = held(tmp_path), Listed({"bars": 48})
    space = CallableSpace(source=source, space={"bars": RANGES["bars"]})
    with pytest.raises(InputError, match=r"future_bar: with {'bars': 4}, looks up to 1 bars ahead"):
        court.listen(lambda panel: proposer, 100, name="peek", space=space)
    assert len(proposer.waiting) == 1
    assert not (tmp_path / "lake").exists()


def test_what_is_fixed_may_be_left_out_and_numbers_lie_between_the_bounds() -> None:
    space = CallableSpace(source=StrategySource(path=Path("any.py")), space=RANGES)
    assert space.point_of({"parameters": POINT}) == {**POINT, "fixed": 3}
    assert list(space.point_of({"parameters": dict(reversed(POINT.items()))})) == list(RANGES)
    mixed = CallableSpace(source=space.source, space={"lag": [1, True]})
    assert mixed.point_of({"parameters": {"lag": True}})["lag"] is True


@pytest.mark.parametrize(
    ("description", "found"),
    [
        ({"family": "ema_crossover"}, "parameters alone"),
        ({"parameters": POINT, "family": "ema_crossover"}, "parameters alone"),
        ({"parameters": [6]}, "parameters alone"),
        (["bars", 6], "parameters alone"),
        ({"parameters": POINT | {"slow": 3}}, "parameters.slow.*no parameter of the space, which has bars, width"),
        ({"parameters": {"bars": 6}}, "parameters.width.*None is no number"),
        ({"parameters": POINT | {"bars": 6.5}}, "parameters.bars.*6.5 is no whole number"),
        ({"parameters": POINT | {"bars": True}}, "parameters.bars.*True is no whole number"),
        ({"parameters": POINT | {"bars": 3}}, "3 is not from 4 to 48"),
        ({"parameters": POINT | {"width": float("nan")}}, "nan is no number"),
        ({"parameters": POINT | {"width": 2.1}}, "2.1 is not from 0.5 to 2.0"),
        ({"parameters": POINT | {"side": "short"}}, "parameters.side.*'short' is none of 'both', 'long'"),
        ({"parameters": POINT | {"flag": 1}}, "parameters.flag.*1 is none of True, False"),
        ({"parameters": POINT | {"fixed": 4}}, "parameters.fixed.*4 is none of 3"),
    ],
)
def test_what_is_no_point_of_the_space_is_refused_by_name(description: object, found: str) -> None:
    space = CallableSpace(source=StrategySource(path=Path("any.py")), space=RANGES)
    with pytest.raises(InputError, match=found):
        space.point_of(description)  # type: ignore[arg-type]
