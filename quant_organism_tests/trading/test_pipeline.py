"""The pipeline: four steps in a fixed order, each of which can only take away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pytest

from quant_organism.backtest.account import AccountBook, AccountClose, AccountRules, Restraint, TradedAsset
from quant_organism.errors import InputError
from quant_organism.trading import Allowance, CloseStanding, Pipeline
from quant_organism.trading.risk_limits import RiskLimits

CLOSE = AccountClose(3_600_000, {"BTC": 100.0}, {("s", "m", "BTC"): 0.001}, {"s": 0.25})
ACCOUNT = AccountBook.opened("paper", AccountRules(), {"BTC": TradedAsset(3)}, 10**10)
STANDING = CloseStanding(1, "paper", CLOSE, ACCOUNT, (), 3_600_000)


@dataclass(frozen=True)
class Step:
    name: str
    change: Callable[[Allowance], Allowance]

    def judge(self, standing: CloseStanding, left: Allowance) -> Allowance:
        return self.change(left)

    def state(self) -> dict[str, object]:
        return {}

    def restore(self, state: Mapping[str, object]) -> None:
        pass


def test_without_steps_everything_passes() -> None:
    assert Pipeline().judge(STANDING) == Allowance({"s": 0.25})


def test_steps_speak_in_their_order() -> None:
    halved = Step("policy", lambda left: replace(left, restraint=left.restraint.also(Restraint(0.5))))
    less = Step("governor", lambda left: replace(left, shares={"s": left.shares["s"] * left.restraint.long}))
    assert Pipeline([halved, less]).judge(STANDING).shares == {"s": 0.125}


@pytest.mark.parametrize(
    "change",
    [
        lambda left: replace(left, restraint=Restraint(long=2.0)),
        lambda left: replace(left, restraint=Restraint(entry=-0.1)),
        lambda left: replace(left, shares={"s": 0.3}),
        lambda left: replace(left, shares={"s": float("nan")}),
        lambda left: replace(left, shares={}),
        lambda left: replace(left, shares={"s": 0.1, "t": 0.1}),
        lambda left: replace(left, barred=frozenset()),
        lambda left: replace(left, limits=RiskLimits()),
    ],
)
def test_no_step_gives_back(change: Callable[[Allowance], Allowance]) -> None:
    tight = RiskLimits(halve_at=0.04)
    barring = Step("policy", lambda left: replace(left, barred=frozenset({("s", "BTC")}), limits=tight))
    with pytest.raises(InputError, match="gave back"):
        Pipeline([barring, Step("portfolio", change)]).judge(STANDING)


@pytest.mark.parametrize("names", [("governor", "policy"), ("policy", "policy"), ("broker",)])
def test_steps_have_their_names_and_order(names: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="steps are"):
        Pipeline([Step(name, lambda left: left) for name in names])
