"""The whole way of a strategy: its search, copies, shakes, the ledger, and the unseen days on record."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quant_organism.backtest import Costs
from quant_organism.backtest.account import AccountMarket, FillModel
from quant_organism.deployment import external_id
from quant_organism.errors import InputError
from quant_organism.evolution import TrialLedger
from quant_organism.evolution.proposals import ProposalResult
from quant_organism.judge import (
    CallableStrategy,
    Court,
    DocumentStrategy,
    JudgedPage,
    StrategySource,
    judge_strategy,
    trials_of,
)
from quant_organism.judge.positions import annual_sharpe, daily_returns, follow
from quant_organism.judge.proof import places_proven
from quant_organism.market import Lake, Panel
from quant_organism.strategies import default_genome
from quant_organism.validation import HoldoutRegister
from quant_organism_tests.judge.conftest import FOLLOW, market

Write = Callable[..., StrategySource]


def court(folder: Path, panel: Panel, *, copies: int = 1) -> Court:
    return Court(lake=Lake(folder / "lake"), panel=panel, copies=copies)


def verdict(page: JudgedPage, gate: str):
    return next(each for each in page.verdicts if each.gate == gate)


def test_a_strong_edge_is_looked_at_on_the_unseen_days_once(write: Write, tmp_path: Path) -> None:
    panel = market(edge=0.35, seed=3)
    held = court(tmp_path, panel, copies=9)
    strategy = CallableStrategy("follow", write(FOLLOW), trials_of({"bars": [12, 24]}, None, 0))
    page = judge_strategy(held, strategy)
    assert page.outcome != "falls", page.sentence
    assert verdict(page, "copies").value == pytest.approx(0.1)
    assert [account.equity_usd for account in page.accounts] == [1_000.0, 10_000.0, 100_000.0]
    opened = HoldoutRegister(held.lake.root).frame("made")
    assert opened["event"].to_list() == ["opened", "read"]
    assert opened["candidates"][0].to_list() == [external_id(page.facts["identity"])]
    again = judge_strategy(held, strategy)
    assert again.document == page.document
    assert HoldoutRegister(held.lake.root).frame("made").height == 2


def test_without_an_edge_no_look_is_spent_and_every_trial_counts(write: Write, tmp_path: Path) -> None:
    held = court(tmp_path, market(seed=5))
    strategy = CallableStrategy("follow", write(FOLLOW), trials_of({"bars": [6, 12, 24]}, None, 0))
    page = judge_strategy(held, strategy)
    assert page.outcome == "falls"
    assert page.overturned_at == 1
    assert "if nothing else had ever been tried" in page.sentence
    assert HoldoutRegister(held.lake.root).frame("made").is_empty()
    assert "sealed" in page.unsaid["unseen_days"]
    trials = TrialLedger(held.lake.root).frame()
    assert trials["family"].to_list() == ["external"] * 3
    assert held.in_ledger() == 3


def test_a_second_search_that_is_not_declared_is_caught(write: Write, tmp_path: Path) -> None:
    held = court(tmp_path, market(seed=5))
    source = write(FOLLOW)
    held.record(
        strategy := CallableStrategy("wide", source, trials_of({"bars": list(range(4, 44))}, None, 0)),
        strategy.attempts(held.seen, held.costs),
    )
    one = CallableStrategy("narrow", source, ({"bars": 50},))
    claimed = judge_strategy(held, one, tried=1)
    assert claimed.outcome == "falls"
    assert "41 of outside strategies" in verdict(claimed, "declared_trials").reason
    assert claimed.trials == 41
    honest = judge_strategy(held, one)
    assert verdict(honest, "declared_trials").status == "passed"
    assert honest.trials == 41


PEEK = """
    import numpy as np

    def signal(panel, bars=24, peeks_at=24):
        close, moved = panel.close, np.zeros(panel.close.shape)
        moved[bars:] = np.sign(close[bars:] - close[:-bars])
        if bars == peeks_at:
            moved[:-1] = np.sign(close[1:] - close[:-1])
        return np.nan_to_num(moved)
"""
"""Follows, and knows the next bar where it is asked with one of its parameters."""

PEEK_BEFORE_LARGE_MOVES = """
    import numpy as np

    def signal(panel, bars=24):
        close, moved = panel.close, np.zeros(panel.close.shape)
        moved[bars:] = np.sign(close[bars:] - close[:-bars])
        next_move = np.zeros(close.shape)
        next_move[:-1] = close[1:] / close[:-1] - 1.0
        return np.where(np.abs(next_move) > 0.018, np.sign(next_move), np.nan_to_num(moved))
"""

SPACE = {"bars": [6, 12, 18, 24, 30, 36]}


@pytest.mark.parametrize(
    ("text", "space", "with_what"),
    [
        (PEEK, {}, ""),
        (PEEK, {"bars": [6, 12], "peeks_at": [6, 12]}, "with bars 6, peeks_at 6, "),
        (PEEK_BEFORE_LARGE_MOVES, SPACE, "with bars 6, "),
    ],
    ids=["always", "for some of its parameters", "before large moves alone"],
)
def test_a_cheat_is_told_of_before_a_trial_or_a_copy_is_spent(
    write: Write, tmp_path: Path, text: str, space: dict[str, list[int]], with_what: str
) -> None:
    asked: list[str] = []
    held = replace(court(tmp_path, market(seed=5)), progress=lambda what, done, total, note: asked.append(what))
    page = judge_strategy(held, CallableStrategy("peek", write(text), trials_of(space, None, 0)))
    assert page.outcome == "falls"
    assert f"peek falls before luck is asked about: {with_what}future_bar: looks up to 1 bars ahead" in page.sentence
    assert set(asked) == {"Proof"}
    assert {each.gate for each in page.verdicts} == set(page.decisive)
    assert held.in_ledger() == 0
    assert not (tmp_path / "lake").exists()


def test_who_peeks_for_one_of_many_parameters_is_caught_when_that_one_is_put_forward(
    write: Write, tmp_path: Path
) -> None:
    trials = trials_of(SPACE, None, 0)
    unproven = next(place for place in range(len(trials)) if place not in places_proven(len(trials), 0))
    only = trials[unproven]["bars"]
    held = court(tmp_path, market(seed=5))
    strategy = CallableStrategy("peek", write(PEEK), tuple({**trial, "peeks_at": only} for trial in trials))
    page = judge_strategy(held, strategy)
    assert page.facts["parameters"] == {"bars": only, "peeks_at": only}
    assert page.outcome == "falls"
    assert "future_bar: looks up to 1 bars ahead" in page.sentence
    assert {each.gate for each in page.verdicts}.isdisjoint({"copies", "deflated_sharpe", "holdout_mean"})
    assert held.in_ledger() == len(trials)


def test_a_file_from_the_future_is_named_on_the_page(write: Write, tmp_path: Path) -> None:
    source = write("def signal(panel):\n    return open('/data/next_year.csv').read()\n")
    page = judge_strategy(court(tmp_path, market()), CallableStrategy("read", source, ({},)))
    assert page.outcome == "falls"
    assert "future_file: it reads the file /data/next_year.csv" in page.sentence


def test_a_universe_of_survivors_is_named_on_the_page(write: Write, tmp_path: Path) -> None:
    held = replace(court(tmp_path, market(seed=5)), left_out=("A9",))
    page = judge_strategy(held, CallableStrategy("follow", write(FOLLOW), ({"bars": 24},)))
    assert page.outcome == "falls"
    assert "survivor_universe: the universe leaves out A9, which ended before the panel does" in page.sentence
    assert {each.gate for each in page.verdicts if each.status == "failed"} == {"survivor_universe"}


def test_of_a_hostile_search_nothing_is_recorded_and_nothing_is_lost(write: Write, tmp_path: Path) -> None:
    held = court(tmp_path, market(seed=5))
    honest = CallableStrategy("follow", write(FOLLOW), ({"bars": 24},))
    held.record(honest, honest.attempts(held.seen, held.costs))
    before = {path: path.read_bytes() for path in (tmp_path / "lake").rglob("*") if path.is_file()}
    hoarding = write(
        """
        import numpy as np

        def signal(panel, bars=24):
            return np.ones(10**10) if bars == 12 else 0 * panel.close
        """
    )
    with pytest.raises(InputError, match="MB of memory"):
        judge_strategy(held, CallableStrategy("hoard", hoarding, trials_of({"bars": [6, 12]}, None, 0)))
    assert {path: path.read_bytes() for path in (tmp_path / "lake").rglob("*") if path.is_file()} == before
    assert held.in_ledger() == 1


def test_fewer_trials_than_its_own_search_takes_are_refused(write: Write, tmp_path: Path) -> None:
    strategy = CallableStrategy("follow", write(FOLLOW), trials_of({"bars": [6, 12]}, None, 0))
    with pytest.raises(InputError, match="its own search takes 2"):
        judge_strategy(court(tmp_path, market()), strategy, tried=1)


def test_a_document_is_judged_as_it_is(tmp_path: Path) -> None:
    strategy = DocumentStrategy("cross", (default_genome("ema_crossover"),))
    page = judge_strategy(court(tmp_path, market(seed=1)), strategy)
    assert page.kind == "document"
    assert {"copies", "dearer_trading", "price_noise", "late_execution"} <= {each.gate for each in page.verdicts}


class Listening:
    """Proposes two genomes, and keeps what it is told."""

    def __init__(self) -> None:
        self.waiting = [{"family": "ema_crossover"}, {"family": "rsi_filter"}, {"family": "crystal_ball"}]
        self.told: list[ProposalResult] = []

    def ask(self, n: int) -> list[dict[str, str]]:
        handed, self.waiting = self.waiting[:n], self.waiting[n:]
        return handed

    def tell(self, results: Sequence[ProposalResult]) -> None:
        self.told.extend(results)


def test_a_proposer_never_learns_of_an_unseen_day(tmp_path: Path) -> None:
    panel = market(seed=4)
    held = court(tmp_path / "one", panel)
    stop = held.splits.in_sample.stop
    prices = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close")}
    for values in prices.values():
        values[stop:] *= 3.0
    others = {name: getattr(panel, name) for name in ("symbols", "interval", "times", "volume", "valid", "market")}
    altered = court(tmp_path / "other", Panel.from_arrays(**others, **prices))
    made: list[Listening] = []

    def make(panel: Panel) -> Listening:
        made.append(Listening())
        return made[-1]

    for each in (held, altered):
        strategy, refused = each.listen(make, 10, name="both")
        assert strategy.n_trials == 2
        assert len(refused) == 1
    told = [[(result.sharpe, result.trades) for result in proposer.told] for proposer in made]
    assert told[0][:2] == told[1][:2]
    page = judge_strategy(held, strategy)
    assert page.trials == 2
    assert page.facts["search_trials"] == 2
    asked = next(each.n_used for each in page.verdicts if each.gate == "copies")
    assert len(made) == 2 + asked  # another on each copy, which learns of that copy alone
    assert len({str(proposer.told[0].sharpe) for proposer in made[1:]}) == 1 + asked


def test_virtual_units_earn_what_their_positions_do() -> None:
    """A long of everything earns the mean of what all assets did since, less costs, and no position earns nothing."""
    panel = market(seed=2, bars=480)
    free = replace(Costs(), taker_fee=0.0, slippage_bps=0.0)
    window = follow(np.ones(panel.close.shape), panel, free, strategy="all")
    grown = panel.close[-1] / panel.close[0] - panel.open[1] / panel.close[0]
    assert window.virtual_returns.sum() == pytest.approx(float(grown.mean()))
    dear = follow(np.ones(panel.close.shape), panel, Costs(), strategy="all")
    assert dear.virtual_returns.sum() < window.virtual_returns.sum()
    assert not follow(np.zeros(panel.close.shape), panel, Costs(), strategy="none").virtual_returns.any()


def test_units_change_with_targets_alone_and_end_with_their_asset() -> None:
    panel = market(seed=2, bars=480, ended=1)
    targets = np.where(np.arange(480)[:, None] < 200, 1.0, -0.5) * np.ones(panel.close.shape)
    window = follow(targets, panel, Costs(), strategy="turn")
    units = window.units[1:]
    assert np.count_nonzero(np.diff(units[:, 0])) == 1
    assert units[0, 0] == pytest.approx(1.0 / (4 * panel.close[0, 0]))
    assert units[200, 0] == pytest.approx(-0.5 / (4 * panel.close[200, 0]))
    assert not units[240:, 3].any()
    AccountMarket.of(panel, FillModel.of(Costs()))
    assert daily_returns(window.part(0, 480), panel, 0, 480).size == 20


def test_what_later_bars_do_changes_nothing_before() -> None:
    panel, rng = market(seed=2, bars=480), np.random.default_rng(0)
    targets = rng.uniform(-1.0, 1.0, panel.close.shape)
    whole = follow(targets, panel, Costs(), strategy="s")
    cut = follow(targets[:300], panel.window(0, 300), Costs(), strategy="s")
    np.testing.assert_array_equal(whole.units[:301], cut.units)
    np.testing.assert_array_equal(whole.returns[:301], cut.returns)


def test_nothing_earned_is_a_ratio_of_nothing() -> None:
    assert annual_sharpe(np.zeros(30)) == 0.0
