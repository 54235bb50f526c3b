"""Replay: the backtest's trades from bars that come in one by one, which a planted look-ahead does not survive."""

from __future__ import annotations

from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import plan
from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.panel import Panel
from quant_organism.market.splits import Span
from quant_organism.strategies import (
    COMMON_GENES,
    Committee,
    Genome,
    StrategyFamily,
    default_genome,
    family_names,
    random_genome,
)
from quant_organism.strategies import families as register
from quant_organism.strategies.learning import linear_svc
from quant_organism.strategies.learning.features import forward_returns
from quant_organism.validation import account_replay
from quant_organism.validation.genome_replay import Pace, replay_genome
from quant_organism.validation.replay import Replay, Replayer, disjoint_periods, first_difference, replay_committee
from quant_organism.validation.replay_store import ReplayStore
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.streams import EAGER
from quant_organism_tests.panels import trending_panel

COSTS = Costs()
PERIODS = (Span("period 1", 1200, 1320), Span("period 2", 1320, 1440))

RANDOM_MARKETS = ("composite", "funding_rate_carry", "rsi_filter")
"""Families that trade nothing on a market that only trends."""

SEEDS = {"composite": 0, "funding_rate_carry": 3, "pca_tree_quantile": 2, "rsi_filter": 0}
"""Of genomes that trade in the periods, where that of the others does not."""


def eager(family: str, seed: int = 0) -> Genome:
    """Return a random genome that trades often."""
    genes = dict(random_genome(np.random.default_rng(seed), family).genes)
    return Genome(family, genes | {name: value for name, value in EAGER.items() if name in genes})


def three() -> Committee:
    """Return a committee whose members trade all assets, or some."""
    genomes = [eager("ema_crossover"), eager("rsi_filter", 1), eager("donchian_breakout", 2)]
    return Committee.of(genomes, [3, 1, 1], [(), ("S0", "S2"), ("S1",)])


def replayed(*arguments: Any, **options: Any) -> Replay:
    """Return a replay that ran."""
    found = replay_committee(*arguments, **options)
    assert isinstance(found, Replay)
    return found


class SteppedClock:
    """A clock that moves when somebody waits, and a little with each question."""

    def __init__(self) -> None:
        self.time, self.waited = 100.0, list[float]()

    def now(self) -> float:
        """Return seconds."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.waited.append(seconds)
        self.time += seconds


@given(st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=15, deadline=None)
def test_committees_make_the_trades_and_returns_of_the_backtest(seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    names = sorted(set(family_names()) - {"linear_svc_classifier", "pca_tree_quantile"})
    panel = random_panel(seed, bars=data.draw(st.integers(120, 300)), assets=3, holes=data.draw(st.booleans()))
    genomes = [eager(str(rng.choice(names)), seed + k) for k in range(2)]
    first = data.draw(st.integers(0, panel.n_bars - 30))
    middle = data.draw(st.integers(first + 1, panel.n_bars - 1))
    last = data.draw(st.integers(middle + 1, panel.n_bars))
    committee = Committee.of(genomes, [2, 1], [(), (panel.symbols[1],)])
    periods = (Span("a", first, middle), Span("b", middle, last))
    found = replayed(committee, panel, COSTS, periods)
    assert (found.equal, found.compared, found.orders_equal, found.difference) == (4, 4, 2, "")
    assert found.is_equal
    for place, span in enumerate(periods):
        expected = Evaluator(threads=1).evaluate_committees([committee], panel, COSTS, start=span.start, stop=span.stop)
        assert found.total_return[place] == pytest.approx(expected.metrics["total_return"][0], rel=1e-9, abs=1e-12)
        assert found.trades[place] == 0 or found.sharpe[place] == pytest.approx(
            expected.metrics["sharpe"][0], rel=1e-6, nan_ok=True
        )


@pytest.mark.parametrize("family", family_names())
def test_every_family_makes_the_trades_of_the_backtest(family: str) -> None:
    seed = SEEDS.get(family, 4)
    genome, panel, periods = eager(family, seed), trending_panel(days=60), PERIODS
    if family in RANDOM_MARKETS:
        panel = random_panel(seed, bars=1440, assets=3, volatility=0.01, funding=1e-4)
    for gene in ("lookback_window", "feature_window"):
        if gene in genome.genes:
            genome = Genome(family, dict(genome.genes) | {gene: "250", "refit_interval": "72", "label_horizon": "1"})
            panel, periods = trending_panel(days=45, assets=1), (Span("a", 960, 1000), Span("b", 1000, 1080))
    found = replayed(Committee.of([genome]), panel, COSTS, periods)
    assert (found.equal, found.compared, found.orders_equal) == (2, 2, 2), found.difference
    assert any(account.orders for account in found.accounts)


def test_ten_committees_send_the_orders_of_the_backtest() -> None:
    rng = np.random.default_rng(11)
    names = sorted(set(family_names()) - {"linear_svc_classifier", "pca_tree_quantile"})
    panel = trending_panel(days=45, assets=4)
    orders = 0
    for seed in range(10):
        genomes = [eager(str(name), seed + place) for place, name in enumerate(rng.choice(names, 3, replace=False))]
        committee = Committee.of(genomes, [3, 2, 1], [(), ("S0", "S3"), ("S1", "S2")])
        found = replayed(committee, panel, COSTS, (Span("period", 960, 1040),))
        assert (found.equal, found.orders_equal) == (3, 1), found.difference
        orders += found.accounts[0].orders
    assert orders > 50


@pytest.mark.parametrize("volume", [1.0, 2.0**-16])
def test_where_volume_is_limited_members_are_followed_by_orders_that_fill_whole(volume: float) -> None:
    market = trending_panel(days=60)
    found = replayed(three(), replace(market, volume=volume * market.volume), Costs(max_participation=0.2), PERIODS)
    assert (found.equal, found.orders_equal) == (6, 2), found.difference
    assert all(account.orders for account in found.accounts)


def test_orders_that_another_plan_would_send_are_found_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = three(), trending_panel(days=60), COSTS, PERIODS
    assert replayed(*arguments).is_equal

    def hasty(book: Any, close: Any) -> Any:
        return plan(book, replace(close, units={leg: 1.1 * units for leg, units in close.units.items()}))

    monkeypatch.setattr(account_replay, "plan", hasty)
    found = replayed(*arguments)
    assert (found.equal, found.orders_equal, found.is_equal) == (found.compared, 0, False)
    assert "the account in period 1, order " in found.difference
    assert ": the replay sent " in found.difference


def test_fits_on_labels_to_come_are_found_out_though_fits_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    def latest_known(shop: Any, features: Any, bar: int, window: int, horizon: int) -> Any:
        # The evaluator's bars go on after the refit, the stream's end with it.
        end = min(bar + 24, shop.bars.close.size - horizon)
        returns = forward_returns(shop.bars.close[end - window : end + horizon], horizon)
        return features[:, end - window : end], returns[:window]

    genes = {"lookback_window": "250", "refit_interval": "24", "label_horizon": "1", "decision_margin": 0.0}
    family = "linear_svc_classifier"
    genome = Genome(family, dict(eager(family, 4).genes) | genes)
    arguments = Committee.of([genome]), trending_panel(days=25, assets=1), COSTS, (Span("a", 480, 600),)
    assert replayed(*arguments).equal == 1
    monkeypatch.setattr(linear_svc, "training_set", latest_known)
    assert replayed(*arguments).equal == 0


class Peeks(StrategyFamily):
    """Goes with the bar after the last; the last of all bars has none."""

    name: ClassVar[str] = "peeks"
    seed_type: ClassVar[str] = "momentum"
    columns: ClassVar[tuple[str, ...]] = ("close",)
    conviction: ClassVar[bool] = False
    evolves: ClassVar[bool] = False
    own_genes: ClassVar[tuple[Any, ...]] = ()

    def warmup(self, genes: Any) -> int:
        return 0

    def indicators(self, genes: Any) -> dict[str, Any]:
        return {}

    def targets(self, bank: Any, genes: Any, out: Any) -> None:
        close = bank.bars.close
        ahead = np.append(np.sign(np.diff(close)), 0.0)
        changes = np.flatnonzero(np.diff(ahead, prepend=0.0))
        out.counts[0] = changes.size
        out.bars[0, : changes.size], out.sides[0, : changes.size] = changes, ahead[changes]


def test_a_family_that_looks_one_bar_ahead_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(register._FAMILIES, "peeks", Peeks())
    genes = {name: value for name, value in default_genome("ema_crossover").genes.items() if name in _common()}
    found = replayed(Committee.of([Genome("peeks", genes)]), trending_panel(days=60), COSTS, PERIODS)
    assert (found.equal, found.compared) == (0, 2)
    assert found.difference.startswith("peeks_0_")
    assert "in period 1, trade 1: the replay made nothing, the backtest long S0" in found.difference


def _common() -> set[str]:
    return {spec.name for spec in COMMON_GENES}


def test_a_look_beyond_the_period_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # An evaluator that is told of the bars after the period trades otherwise than one that is not.
    trades = Evaluator.trades

    def late(self: Evaluator, genome: Genome, panel: Panel, costs: Costs, *, start: int, stop: int) -> Any:
        return trades(self, genome, panel, costs, start=start + 24, stop=stop + 24)

    monkeypatch.setattr(Evaluator, "trades", late)
    found = replayed(Committee.of([eager("ema_crossover")]), trending_panel(days=61), COSTS, PERIODS)
    assert found.equal < found.compared
    assert found.difference


def test_what_a_process_has_kept_stays_with_it() -> None:
    # A process that began alone hands the rest to others once it has indicators and fits of its own.
    replayer = Replayer(tuple((m, PERIODS) for m in three().members), trending_panel(days=60), COSTS)
    first = replayer(0)
    other = ForkingPickler.loads(ForkingPickler.dumps(replayer))
    for one, again in zip(first.periods, other(0).periods, strict=True):
        assert one.trades > 0
        assert (one.trade_hash, one.returns.tolist()) == (again.trade_hash, again.returns.tolist())
    assert other.identity(1) == replayer.identity(1)


def test_nothing_depends_on_processes() -> None:
    panel = trending_panel(days=60)
    one, two = (replayed(three(), panel, COSTS, PERIODS, processes=count) for count in (1, 2))
    assert (one.trade_hash, one.order_hash, one.accounts) == (two.trade_hash, two.order_hash, two.accounts)
    assert (one.sharpe, one.total_return, one.trades) == (two.sharpe, two.total_return, two.trades)


def test_an_interrupted_replay_goes_on_from_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel, store, made = trending_panel(days=60), ReplayStore(tmp_path), list[int]()
    whole = replayed(three(), panel, COSTS, PERIODS)
    replay = Replayer.__call__

    def counted(self: Replayer, number: int) -> Any:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(number)
        return replay(self, number)

    monkeypatch.setattr(Replayer, "__call__", counted)
    with pytest.raises(KeyboardInterrupt):
        replay_committee(three(), panel, COSTS, PERIODS, store=store)
    made.clear()
    found = replayed(three(), panel, COSTS, PERIODS, store=store)
    assert made == [2]
    assert (found.trade_hash, found.sharpe, found.equal) == (whole.trade_hash, whole.sharpe, whole.equal)
    made.clear()
    again = replayed(three(), panel, COSTS, PERIODS, store=store)
    assert (again.total_return, again.accounts) == (whole.total_return, whole.accounts)
    assert made == []


def test_a_damaged_replay_is_named(tmp_path: Path) -> None:
    panel, store = trending_panel(days=60), ReplayStore(tmp_path)
    replayed(Committee.of([eager("ema_crossover")]), panel, COSTS, PERIODS, store=store)
    (path,) = tmp_path.rglob("*.parquet")
    path.write_bytes(b"no parquet")
    with pytest.raises(IntegrityError, match="delete it: the replay is made again"):
        replay_committee(Committee.of([eager("ema_crossover")]), panel, COSTS, PERIODS, store=store)


def test_when_time_is_up_nothing_is_claimed() -> None:
    moments = iter([0.0, 0.0, 30.0, 61.0])
    found = replay_committee(three(), trending_panel(days=60), COSTS, PERIODS, minutes=1, clock=lambda: next(moments))
    assert found == NotRun("time was up after 2 of 3 members")


def test_bars_are_handed_out_at_their_pace() -> None:
    panel, clock = trending_panel(days=60), SteppedClock()
    genome = eager("ema_crossover")
    paced = replay_genome(genome, panel, COSTS, 1430, pace=Pace(10.0, clock))
    assert clock.waited == pytest.approx([360.0] * 10)
    fast = replay_genome(genome, panel, COSTS, 1430)
    assert paced.trades.hash == fast.trades.hash
    np.testing.assert_array_equal(paced.returns, fast.returns)
    np.testing.assert_array_equal(paced.held.units, fast.held.units)
    with pytest.raises(InputError, match="a pace of 0"):
        Pace(0.0, clock)


def test_periods_adjoin_at_the_end_of_the_span() -> None:
    span = Span("unseen", 100, 100 + 24 * 100)
    found = disjoint_periods(span, 24, 3, 30)
    assert [(p.start, p.stop) for p in found] == [(340, 1060), (1060, 1780), (1780, 2500)]  # type: ignore[union-attr]
    shorter = disjoint_periods(span, 24, 3, 90)
    assert [len(p) for p in shorter] == [33 * 24] * 3  # type: ignore[union-attr]
    assert disjoint_periods(Span("unseen", 0, 24 * 14), 24, 3, 30) == NotRun(
        "14 days have no room for 3 periods of at least 5 days"
    )
    with pytest.raises(InputError, match="0 periods"):
        disjoint_periods(span, 24, 0, 30)


def test_a_period_outside_the_panel_is_refused() -> None:
    with pytest.raises(InputError, match="period 9 goes from bar 1400 to 1500, but the panel has 1440 bars"):
        replay_committee(three(), trending_panel(days=60), COSTS, (Span("period 9", 1400, 1500),))
    with pytest.raises(InputError, match="no period to replay"):
        replay_committee(three(), trending_panel(days=60), COSTS, ())
    with pytest.raises(InputError, match="no period from bar 1440 on"):
        replay_genome(eager("ema_crossover"), trending_panel(days=60), COSTS, 1440)


def test_one_bar_and_no_trades_are_defined() -> None:
    genome = eager("ema_crossover")
    still = Genome(
        genome.family, dict(genome.genes) | {"fast_ema_period": 5, "momentum_threshold": 0.05, "trend_filter": 0.02}
    )
    panel = trending_panel(days=60)
    one = replayed(Committee.of([genome]), panel, COSTS, (Span("one bar", 1439, 1440),))
    assert one.equal == 1
    none = replayed(Committee.of([still]), panel, COSTS, PERIODS)
    assert (none.equal, none.trades, none.total_return) == (2, (0, 0), (0.0, 0.0))
    assert np.isnan([none.mean_sharpe, none.consistency]).all()


def test_a_delisted_asset_is_sold_at_its_last_close() -> None:
    panel = trending_panel(days=60)
    valid = panel.valid.copy()
    valid[1300:, 0] = False
    arrays = {name: getattr(panel, name) for name in ("open", "high", "low", "close", "volume")}
    ended = Panel.from_arrays(symbols=panel.symbols, interval=panel.interval, times=panel.times, valid=valid, **arrays)
    committee = Committee.of([eager("ema_crossover")])
    found = replayed(committee, ended, COSTS, PERIODS)
    assert (found.equal, found.orders_equal) == (2, 2), found.difference
    expected = Evaluator(threads=1).evaluate_committees([committee], ended, COSTS, start=1200, stop=1320)
    assert found.total_return[0] == pytest.approx(expected.metrics["total_return"][0], rel=1e-9)


def test_the_first_difference_is_told() -> None:
    panel = trending_panel(days=60)
    evaluator = Evaluator(threads=1)
    whole, part = (
        evaluator.trades(eager("ema_crossover"), panel, COSTS, start=1200, stop=stop) for stop in (1440, 1300)
    )
    place = next(n for n, (a, b) in enumerate(zip(whole.frame.rows(), part.frame.rows(), strict=False)) if a != b)
    told = first_difference(whole, part)
    assert told.startswith(f"trade {place + 1}: the replay made ")
    assert told.endswith(f" by {part.frame['reason'][place]}")
