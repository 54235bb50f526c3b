"""Where new genomes come from: what hardly trades or costs too much is turned away, counted, and drawn again."""

import numpy as np
import polars as pl
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution import source as module
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.evolution.source import EXPENSIVE, IDLE, LEAST_TRADES, MOST_DRAG, GenomeSource
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.panel import Panel
from quant_organism_tests.panels import trending_panel

RULES = ("atr_stop_loss", "bollinger_bands", "rsi_filter", "volatility_scaling")
DEAR = Costs(taker_fee=0.001)
"""At twice the usual fee some of each family is too expensive."""


@pytest.fixture(scope="module")
def long_panel() -> Panel:
    return trending_panel(days=2 * module.SAMPLE_DAYS, assets=2)


@pytest.fixture(scope="module")
def source(long_panel, evaluator) -> GenomeSource:
    return GenomeSource(long_panel, DEAR, evaluator)


def drag_and_trades(genomes, panel: Panel, costs: Costs) -> tuple[np.ndarray, np.ndarray]:
    measured = Evaluator(threads=1).evaluate(genomes, panel, costs).metrics
    months = module.SAMPLE_DAYS / 30 * panel.n_assets
    with np.errstate(invalid="ignore"):
        drag = measured["turnover_per_year"] * (costs.taker_fee + costs.slippage) / measured["volatility"]
    return drag, measured["trades"] / months


def test_what_is_drawn_trades_enough_and_costs_little_or_is_the_least_bad_of_its_seat(source, long_panel):
    turns = list(RULES) * 8
    genomes, screened = source.draw(turns, np.random.default_rng(0))
    assert [genome.family for genome in genomes] == turns
    assert len({genome.hash for genome in genomes}) == len(turns)
    sample = long_panel.window(long_panel.n_bars - 24 * module.SAMPLE_DAYS, long_panel.n_bars)
    drag, trades = drag_and_trades(genomes, sample, DEAR)
    kept = (drag <= MOST_DRAG) & (trades >= LEAST_TRADES)
    assert 0 < (~kept).sum() < kept.sum()
    for genome, flaw in screened.rejected:
        (own_drag,), (own_trades,) = drag_and_trades([genome], sample, DEAR)
        assert flaw.kind == (IDLE if own_trades < LEAST_TRADES else EXPENSIVE)
        assert own_trades < LEAST_TRADES or own_drag > MOST_DRAG
    # Whoever holds a seat in spite of its drag was drawn five times, and four others of its family were worse.
    worst = {genome.family: 0 for genome in genomes}
    for genome, _ in screened.rejected:
        worst[genome.family] += 1
    for genome in np.array(genomes, dtype=object)[~kept]:
        assert worst[genome.family] >= module.REDRAWS


def test_what_was_turned_away_is_handed_over_with_its_evaluation_on_the_sample(source):
    _, screened = source.draw(list(RULES) * 4, np.random.default_rng(1))
    assert screened.rejected
    told = [genome for evaluation in screened.evaluations for genome in evaluation.genomes]
    assert told == [genome for genome, _ in screened.rejected]
    assert {evaluation.days.size for evaluation in screened.evaluations} == {module.SAMPLE_DAYS}


def test_nothing_is_drawn_that_was_asked_for_before(source):
    asked: set[str] = set()
    first, _ = source.draw(list(RULES) * 2, np.random.default_rng(2), asked=asked)
    again, _ = source.draw(list(RULES) * 2, np.random.default_rng(2), asked=asked)
    assert not {genome.hash for genome in first} & {genome.hash for genome in again}


def test_equal_seeds_draw_equal_genomes_on_any_number_of_threads(long_panel, source):
    one = GenomeSource(long_panel, DEAR, Evaluator(threads=1)).draw(RULES, np.random.default_rng(5))
    two = source.draw(RULES, np.random.default_rng(5))
    assert one[0] == two[0]
    assert one[1].rejected == two[1].rejected


def test_a_span_too_short_for_a_sample_and_fitted_families_turn_nobody_away(panel, long_panel, evaluator):
    short = GenomeSource(panel, DEAR, evaluator)
    assert short.sample is None
    genomes, screened = short.draw(list(RULES) * 3, np.random.default_rng(0))
    assert (len(genomes), screened.rejected) == (12, [])
    fitted, screened = GenomeSource(long_panel, DEAR, evaluator).draw(
        ["linear_svc_classifier"] * 3, np.random.default_rng(0)
    )
    assert (len(fitted), screened.rejected) == (3, [])


def test_a_search_lists_and_counts_what_it_turned_away(long_panel, evaluator, tmp_path):
    spec = EvolutionSpec(families=RULES, islands=1, population=14, generations=1, min_trades=5)
    ledger, told = TrialLedger(tmp_path), []

    def count_them(generation, evaluations, seen):
        identity = LedgerIdentity(
            spec_hash=spec.hash,
            panel_hash=seen.hash,
            costs_hash=DEAR.hash,
            cycle="c",
            generation=generation,
            market="m",
        )
        ledger.append(evaluations, identity)
        told.append(seen.hash)

    result = evolve(long_panel, spec, DEAR, evaluator, seed=0, on_measured=count_them)
    screened = result.rejected.filter(pl.col("kind").is_in([IDLE, EXPENSIVE]))
    assert screened.height > 0
    (sample,) = set(told) - {long_panel.hash}
    counted = ledger.frame(["genome_hash"], panel_hash=sample)["genome_hash"]
    assert sorted(counted) == sorted(screened["hash"])
    assert not set(screened["hash"]) & set(result.population["hash"])
    # They are no evaluations of the whole span, and no budget counts them.
    assert result.search.spent.evaluations == result.population.height + result.rejected.height - screened.height
    assert ledger.n_trials(market="m") == result.population.height + screened.height
