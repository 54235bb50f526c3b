"""Gates on a rehearsal at a venue: what it showed in numbers, what a failure costs, and what it is a rehearsal of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from quant_organism.backtest import Costs
from quant_organism.validation.case import Case
from quant_organism.validation.gates.testnet import triple_of
from quant_organism.validation.gauntlet import TESTNET, run_gauntlet
from quant_organism.validation.profile import Profile
from quant_organism.validation.rehearsal import VenueRehearsal, last_decisions
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.verdict import Verdict
from quant_organism_tests.chain import Chain, edge, grounds_of

CLEAN = VenueRehearsal(
    network="testnet",
    minutes=30.0,
    plans=30,
    orders=40,
    filled=38,
    differences=(),
    differing=0,
    paid_usd=3.0,
    stated_usd=2.0,
    latencies_ms=(90.0, 130.0),
    gaps=(),
    gap_usd=0.0,
)
PROFILE = Profile.of(
    {
        "name": "rehearsals",
        "shadow": [{"gate": "backtest", "metric": "sharpe", "span": "holdout", "at_least": 0.5}],
        "information": [
            {"gate": "testnet_orders"},
            {"gate": "testnet_books"},
            {"gate": "testnet_slippage"},
            {"gate": "testnet_latency"},
            {"gate": "testnet_score"},
            {"gate": "triple_validation", "mode": "minimal"},
        ],
    }
)


@dataclass
class Desk:
    """Returns what it was made with, and keeps what it was asked."""

    found: VenueRehearsal | NotRun
    closes: int = 5
    asked: list[Sequence[Mapping[str, float]]] = field(default_factory=list)

    def __call__(self, wanted: Sequence[Mapping[str, float]], costs: Costs, /) -> VenueRehearsal | NotRun:
        """Carry nothing out."""
        self.asked.append(wanted)
        return self.found


@pytest.fixture(scope="module")
def cycle() -> Chain:
    """Return a cycle whose candidate trades."""
    return edge()


def verdicts(cycle: Chain, desk: Desk) -> dict[str, Verdict]:
    """Judge the candidate with a venue configured."""
    grounds = grounds_of(
        cycle.search.candidates, cycle.panel, cycle.splits, trials=cycle.search.search.trials, rehearses=desk
    )
    (review,) = run_gauntlet(grounds, PROFILE)
    assert review.standing == "shadow"  # which no rehearsal decides
    return {j.verdict.gate: j.verdict for j in review.judgements if j.verdict.stage in TESTNET}


def test_verdicts_tell_the_numbers_of_a_clean_rehearsal(cycle: Chain) -> None:
    desk = Desk(CLEAN)
    found = verdicts(cycle, desk)
    assert {gate: verdict.status for gate, verdict in found.items()} == dict.fromkeys(found, "passed")
    assert {gate: verdict.value for gate, verdict in found.items() if gate != "triple_validation"} == {
        "testnet_orders": 1.0,
        "testnet_books": 0.0,
        "testnet_slippage": 1.5,
        "testnet_latency": 110.0,
        "testnet_score": 1.0,
    }
    assert found["testnet_orders"].reason == (
        "40 of 40 orders as planned and booked as filled, 38 filled, in 30 minutes on testnet"
    )
    assert "testnet 1.00" in found["triple_validation"].reason
    assert len(desk.asked) == 1  # all gates share one rehearsal
    assert 1 <= len(desk.asked[0]) <= desk.closes
    assert all(abs(share) < 10.0 for wanted in desk.asked[0] for share in wanted.values())


def test_a_failure_is_named_and_costs_the_stage_its_part_of_the_triple_score(cycle: Chain) -> None:
    differs = replace(
        CLEAN,
        differences=("order 0xab of BTC: booked 1 at 2, the venue filled 1 at 3",),
        differing=1,
        gaps=("cash: books and venue say 1 and 2 USD after plan 3",),
        gap_usd=1.0,
        paid_usd=6.0,
        latencies_ms=(400.0,),
    )
    clean, found = verdicts(cycle, Desk(CLEAN)), verdicts(cycle, Desk(differs))
    assert {verdict.status for gate, verdict in found.items() if gate != "triple_validation"} == {"failed"}
    assert found["testnet_orders"].value == 39 / 40
    assert found["testnet_orders"].reason.endswith("; order 0xab of BTC: booked 1 at 2, the venue filled 1 at 3")
    assert found["testnet_books"].reason.endswith("; cash: books and venue say 1 and 2 USD after plan 3")
    assert found["triple_validation"].value == pytest.approx(clean["triple_validation"].value - 0.2)


def test_slow_and_dear_sending_lowers_the_score() -> None:
    assert replace(CLEAN, latencies_ms=(300.0,), paid_usd=8.0).score == 0.5
    assert replace(CLEAN, latencies_ms=(), paid_usd=0.0, stated_usd=0.0).score == 0.0
    assert replace(CLEAN, gap_usd=0.02).score == 0.0
    assert math.isnan(replace(CLEAN, orders=0, filled=0).equal_share)


def test_a_venue_that_cannot_be_used_is_the_reason_why_nothing_ran(cycle: Chain) -> None:
    found = verdicts(cycle, Desk(NotRun("no policy is in force")))
    told = {(verdict.status, verdict.reason) for gate, verdict in found.items() if gate != "triple_validation"}
    assert told == {("not_run", "no policy is in force")}
    assert "testnet not run (no policy is in force)" in found["triple_validation"].reason


def test_what_is_rehearsed_are_the_accounts_last_decisions(cycle: Chain) -> None:
    grounds = grounds_of(cycle.search.candidates, cycle.panel, cycle.splits, trials=cycle.search.search.trials)
    grounds.admit(grounds.candidates)
    run = Case(grounds.candidates[0], grounds).account()
    found = last_decisions(run, 3)
    assert len(found) == 3
    units = run.setting.virtual.units[:-1]
    changed = np.flatnonzero((np.diff(units, axis=0) != 0.0).any(axis=1)) + 1
    row = int(changed[-1])
    market = run.setting.market
    whole = dict.fromkeys(market.symbols, 0.0)
    for leg, (_, _, symbol) in enumerate(run.setting.virtual.legs):
        price = market.close[row - 1, market.symbols.index(symbol)]
        whole[symbol] += units[row, leg] * run.path.scale[row] * price
    assert found[-1] == pytest.approx({symbol: share for symbol, share in whole.items() if share})
    assert triple_of(Case(grounds.candidates[0], grounds), "minimal").attainable == pytest.approx(0.8)
