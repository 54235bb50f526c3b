"""When a plan's faults strike, and what is wrong with a plan."""

from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import InputError
from quant_organism.simulator.faults.injector import Circumstances, FaultInjector
from quant_organism.simulator.faults.plan import Fault, FaultPlan, load_plan, parse_plan


class TestPlan:
    def _strikes(self, fault: dict[str, Any], others: int = 0, seed: int = 4) -> list[int]:
        faults = [Fault(kind="latency", probability=0.5, count=None)] * others
        plan = parse_plan({"seed": seed, "faults": [fault]}, "test")
        injector = FaultInjector(FaultPlan(seed=plan.seed, faults=[*plan.faults, *faults]), lambda: 0)
        where = Circumstances("info", "meta")
        return [i for i in range(200) if plan.faults[0] in injector.strike("request", where)[:1]]

    def test_nth_and_count(self) -> None:
        assert self._strikes({"kind": "reset_before", "nth": 3, "count": 2}) == [2, 3]
        assert self._strikes({"kind": "reset_before", "endpoint": "exchange"}) == []

    def test_probability_is_drawn_from_the_seed_alone(self) -> None:
        fault = {"kind": "reset_before", "probability": 0.3, "count": None}
        drawn = self._strikes(fault)
        assert 40 <= len(drawn) <= 80
        assert drawn == self._strikes(fault, others=3)
        assert drawn != self._strikes(fault, seed=5)

    def test_a_window_of_time(self) -> None:
        now = 0
        plan = FaultPlan(faults=[Fault(kind="latency", after_ms=10, duration_ms=5, count=None)])
        injector = FaultInjector(plan, lambda: now)
        struck = []
        for now in range(20):
            struck += [now] * len(injector.strike("request", Circumstances()))
        assert struck == [10, 11, 12, 13, 14]

    def test_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "plan.yaml"
        path.write_text("seed: 3\nfaults:\n  - {kind: latency, endpoint: info, options: {ms: 5}}\n")
        assert load_plan(path).faults[0].options == {"ms": 5}

    @pytest.mark.parametrize(
        ("text", "where"),
        [
            ("faults: [{kind: nonsense}]", "faults.0.kind"),
            ("faults: [{kind: latency, probability: 2}]", "faults.0.probability"),
            ("faults: [{kind: latency, often: 2}]", "faults.0.often"),
            ("[1, 2", "plan.yaml"),
            ("!!python/object/apply:os.system [ls]", "plan.yaml"),
        ],
    )
    def test_what_is_wrong_is_said(self, tmp_path: Path, text: str, where: str) -> None:
        path = tmp_path / "plan.yaml"
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            load_plan(path)
        assert where in str(caught.value)
