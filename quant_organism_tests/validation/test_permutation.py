"""A search is as significant as it is better than the same search where nothing can be found."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError
from quant_organism.evolution.candidates import EdgeEvidence
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.panel import Panel
from quant_organism.validation.case import PValue
from quant_organism.validation.draws import DrawStore, Remembered, Statistics
from quant_organism.validation.gauntlet import run_gauntlet
from quant_organism.validation.permutation import (
    STOP_AFTER,
    Incomplete,
    SearchOnNulls,
    SearchSignificance,
    frozen_spec,
    search_significance,
)
from quant_organism.validation.significance_records import p_values, significance_frame
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.p_values import SimulatedP
from quant_organism_tests.chain import PROFILE, grounds_of
from quant_organism_tests.chain import edge as market_with_edge
from quant_organism_tests.panels import trending_panel

FAMILIES = ("donchian_breakout", "ema_crossover", "rsi_filter")
SPEC = EvolutionSpec(
    families=FAMILIES, islands=2, population=10, generations=1, min_trades=5, champions=2, choice="pooled"
)


@pytest.fixture(scope="module")
def edge() -> Panel:
    return trending_panel(days=100, drift=0.0015)


def searched(panel: Panel, **changes) -> SearchOnNulls:
    return SearchOnNulls(panel, SPEC, Costs(), threads=1, seed=0, **changes)


def measured(*args, **options) -> SearchSignificance:
    result = search_significance(*args, **options)
    assert isinstance(result, SearchSignificance)
    return result


def p_of(result: SearchSignificance, name: str) -> float:
    found = result.p_values[name]
    assert isinstance(found, SimulatedP)
    return found.p_value


def table(real: tuple[float, ...], *copies: tuple[float, ...]) -> Callable[[int], Statistics]:
    """Return draws of a committee and two champions from a table."""

    def make(draw: int) -> Statistics:
        committee, first, second = real if draw == 0 else copies[(draw - 1) % len(copies)]
        return {"committee": committee, "champion 1": first, "champion 2": second, "lost batches": 0.0}

    return make


def test_an_edge_is_significant_and_the_same_search_elsewhere_shows_luck(edge: Panel):
    result = measured(searched(edge), draws=19)
    assert result.p_value == pytest.approx(0.05)
    assert p_of(result, "champion 1") == pytest.approx(0.05)
    assert result.sharpe["committee"] > 2 * result.luck_sharpe["committee"]
    assert "p = 0.05" in result.sentence


def test_without_an_edge_a_search_is_not_significant():
    result = measured(searched(trending_panel(days=100, drift=0.0)), draws=9)
    assert result.p_value > 0.1


def test_the_first_draw_is_the_search_of_the_cycle(edge: Panel):
    found = evolve(edge, SPEC, Costs(), Evaluator(threads=1), seed=0)
    committees = [candidate.committee for candidate in found.candidates]
    sharpe = Evaluator(threads=1).evaluate_committees(committees, edge, Costs()).metrics["sharpe"]
    drawn = searched(edge)(0)
    assert drawn["committee"] == sharpe[0]
    assert drawn["champion 1"] == sharpe[1]


def test_the_answer_depends_on_neither_threads_nor_processes_and_resumes(edge: Panel, tmp_path: Path):
    one = searched(edge)
    store = DrawStore(tmp_path, "permutation", one.identity)
    part = measured(one, draws=2, make=Remembered(one, store), processes=2)
    whole = measured(one, draws=4, make=Remembered(one, store))
    again = measured(SearchOnNulls(edge, SPEC, Costs(), threads=2, seed=0), draws=4)
    assert part.draws == 2
    assert whole.p_values == again.p_values
    assert whole.luck_sharpe == again.luck_sharpe
    assert len(list(tmp_path.rglob("*.parquet"))) == 5


def test_other_nulls_seeds_and_copies_are_other_draws(edge: Panel):
    one = searched(edge)
    drawn = [one(1)["champion 1"], one(2)["champion 1"], searched(edge, kind="plain")(1)["champion 1"]]
    assert len(set(drawn)) == 3
    assert searched(edge, kind="plain").identity != one.identity


def test_known_p_values(edge: Panel):
    def p(exceeding: int, draws: int) -> float:
        copies = [(2.0, 2.0, 2.0)] * exceeding + [(0.0, 0.0, 0.0)] * (draws - exceeding)
        return measured(searched(edge), draws=draws, make=table((1.0, 1.0, 1.0), *copies)).p_value

    assert p(0, 99) == pytest.approx(0.01)
    assert p(4, 99) == pytest.approx(0.05)
    assert p(0, 19) == pytest.approx(0.05)


def test_ties_count_against_the_search(edge: Panel):
    assert measured(searched(edge), draws=9, make=table((1.0, 1.0, 1.0), (1.0, 0.0, 0.0))).p_value == 1.0


def test_it_stops_once_the_answer_is_clear(edge: Panel):
    result = measured(searched(edge), draws=99, make=table((1.0, 1.0, 1.0), (2.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
    assert result.draws == 19
    assert result.p_value == pytest.approx(10 / 19)
    assert p_of(result, "champion 1") == pytest.approx(1 / 20)


def test_copies_where_nothing_traded_count_as_lower_and_are_reported(edge: Panel):
    nan = math.nan
    result = measured(searched(edge), draws=19, make=table((1.0, 1.0, nan), (nan, nan, nan)))
    assert (result.p_value, result.undefined) == (pytest.approx(0.05), 19)
    assert isinstance(result.p_values["champion 2"], NotRun)


def test_without_a_committee_the_champion_speaks_and_without_both_nobody(edge: Panel):
    nan = math.nan
    alone = measured(searched(edge), draws=19, make=table((nan, 1.0, nan), (5.0, 0.0, 0.0)))
    assert alone.p_value == pytest.approx(0.05)
    assert "champion 1 shows" in alone.sentence
    nothing = measured(searched(edge), draws=3, make=table((nan, nan, nan), (1.0, 1.0, 1.0)))
    assert math.isnan(nothing.p_value)
    assert "nothing that traded enough" in nothing.sentence


def test_a_later_champion_is_no_more_significant_than_an_earlier_one(edge: Panel):
    result = measured(searched(edge), draws=9, make=table((1.0, 1.0, 0.9), (0.0, 2.0, 0.0), (0.0, 0.0, 0.0)))
    assert p_of(result, "champion 2") == p_of(result, "champion 1") == pytest.approx(0.6)


def test_few_copies_say_how_uncertain_they_are(edge: Panel):
    result = measured(searched(edge), draws=9, make=table((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    assert result.p_value == result.smallest_possible
    assert "not enough to tell; 10 more would be" in result.sentence


def test_what_a_time_limit_cuts_short_counts_against_the_search(edge: Panel):
    seconds = count()
    result = search_significance(
        searched(edge),
        draws=19,
        minutes=0.2,
        make=table((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
        clock=lambda: float(next(seconds)) * 2,
    )
    assert isinstance(result, SearchSignificance)
    assert (result.draws, result.wanted, result.missing) == (4, 19, 15)
    assert result.p_value == pytest.approx(16 / 20)
    assert result.sentence.startswith("incomplete: 4 of 19 copies; go on with")
    at_once = search_significance(searched(edge), minutes=0.0, make=table((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    assert isinstance(at_once, Incomplete)
    assert (at_once.made, at_once.planned) == (0, 99)


def test_a_clear_answer_is_complete_however_little_time_there_was(edge: Panel, tmp_path: Path):
    make = Remembered(table((1.0, 1.0, 1.0), (2.0, 0.0, 0.0)), DrawStore(tmp_path, "search", {}))
    clear = measured(searched(edge), draws=99, make=make)
    assert clear.draws == STOP_AFTER
    assert measured(searched(edge), draws=99, minutes=0.0, make=make).p_values == clear.p_values


@pytest.mark.parametrize("processes", [1, 2])
def test_what_was_cut_short_goes_on_to_the_same_bytes_on_any_number_of_processes(
    edge: Panel, tmp_path: Path, processes: int
):
    one = searched(edge)
    make = Remembered(one, DrawStore(tmp_path / "cut", "search", one.identity))
    clock = iter([0.0, 0.0, 0.0, *[60.0] * 9])
    cut = search_significance(one, draws=4, minutes=1, make=make, processes=processes, clock=lambda: next(clock))
    assert isinstance(cut, SearchSignificance)
    assert (cut.draws, cut.missing) == (1, 3)
    frame = significance_frame(cut)
    assert frame.select("status", "draws").row(0) == ("incomplete", 1)
    assert frame[0, "p_value"] >= 4 / 5
    resumed = significance_frame(measured(one, draws=4, make=make, processes=processes))
    whole = significance_frame(measured(one, draws=4))
    assert resumed.write_ipc(None).getvalue() == whole.write_ipc(None).getvalue()


def test_nobody_is_promoted_beyond_shadow_on_copies_that_were_cut_short():
    found = market_with_edge()
    cut = p_values(search_significance(searched(trending_panel(days=100)), minutes=0.0))
    standings = {}
    for name, known in {"cut": cut, "whole": {"committee": PValue(0.001, 999)}}.items():
        grounds = grounds_of(found.search.candidates, found.panel, found.splits, trials=found.search.search.trials)
        reviews = run_gauntlet(replace(grounds, find_significance=lambda known=known: known), PROFILE)
        standings[name] = {review.standing for review in reviews}
        (decision,) = [j.verdict for j in reviews[0].judgements if j.verdict.gate == "decision"]
        assert (decision.status == "not_run") == (name == "cut")
        assert ("incomplete: 0 of 99 copies; go on with" in decision.reason) == (name == "cut")
    assert standings == {"cut": {"shadow"}, "whole": {"paper"}}


def test_a_copy_of_which_a_batch_was_lost_is_not_kept_and_counts_against_the_search(edge: Panel, tmp_path: Path):
    whole, lost = table((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), {3}
    make = Remembered(
        lambda draw: dict(whole(draw)) | {"lost batches": float(draw in lost)}, DrawStore(tmp_path, "search", {})
    )
    cut = search_significance(searched(edge), draws=9, make=make)
    assert isinstance(cut, SearchSignificance)
    assert (cut.draws, cut.missing, cut.p_value) == (8, 1, pytest.approx(2 / 10))
    assert [draw for draw in range(10) if not make.keeps(draw)] == [3]
    lost.clear()
    assert measured(searched(edge), draws=9, make=make).p_value == pytest.approx(0.1)


def test_families_that_fit_models_are_left_out_and_named(edge: Panel):
    spec = SPEC.model_copy(update={"families": ("ema_crossover", "linear_svc_classifier"), "hours": 1.0})
    frozen, left_out = frozen_spec(spec, edge)
    assert (frozen.families, left_out, frozen.hours) == (("ema_crossover",), ("linear_svc_classifier",), None)
    assert frozen_spec(spec, edge, fitted=True)[1] == ()
    assert frozen.champions == 4
    result = measured(searched(edge), draws=1, make=table((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), left_out=left_out)
    assert "It does not cover families that fit models (1 left out)" in result.sentence


def test_what_the_committee_is_made_of_is_settled_by_the_market_itself(edge: Panel):
    spec = SPEC.model_copy(update={"choice": "auto"})
    assert frozen_spec(spec, edge, evidence=EdgeEvidence(0.01, 1.0))[0].choice == "pooled"
    assert frozen_spec(spec, edge, evidence=EdgeEvidence(1.0, 0.01))[0].choice == "per_asset"


def test_too_little_is_not_run(edge: Panel):
    assert isinstance(search_significance(searched(trending_panel(days=60))), NotRun)
    fitted_only, _ = frozen_spec(SPEC.model_copy(update={"families": ("linear_svc_classifier",)}), edge)
    alone = search_significance(SearchOnNulls(edge, fitted_only, Costs(), threads=1, seed=0))
    assert isinstance(alone, NotRun)
    assert "no rule family" in alone.reason
    with pytest.raises(InputError, match="0 draws"):
        search_significance(searched(edge), draws=0)
