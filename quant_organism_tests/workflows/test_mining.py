"""Mining: what is taken for a trial, the test of a region against reference tests, and what a pattern becomes."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, ttest_1samp, ttest_ind
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.multitest import multipletests

from quant_organism.deployment.tables import BirthTable, EvidenceDayTable
from quant_organism.evolution.records import genome_text
from quant_organism.evolution.sketch import return_moments, sketch
from quant_organism.evolution.tables import CandidateTable, PopulationTable, TrialTable
from quant_organism.market import CandleTable, Lake, RegimeTable
from quant_organism.strategies import default_genome
from quant_organism.validation.tables import VerdictTable
from quant_organism.workflows.mining import (
    DrawnTrials,
    GeneRange,
    Region,
    SleevePanel,
    WatchedReturns,
    count_falls,
    mine,
    mine_falls,
    mine_lake,
    read_drawn,
    read_judged,
    read_sleeves,
    read_watched,
    stored_patterns,
)
from quant_organism.workflows.mining.falls import JudgedCandidate
from quant_organism.workflows.mining.live import live_figures
from quant_organism.workflows.mining.patterns import CONFIRMED_AT, FOUND_AT, MOST_PATTERNS, parts_of
from quant_organism.workflows.mining.regions import TrialSpace, candidate_regions
from quant_organism.workflows.mining.sleeves import read_regimes
from quant_organism_tests.program import Caller
from quant_organism_tests.workflows.mined_worlds import MOMENTUM, SEARCHES, TREND, searched, world
from quant_organism_tests.workflows.places import lived, place_in

FIRST = date(2024, 1, 1)
DAYS = 120


def made(
    returns: Sequence[np.ndarray], genes: Sequence[Mapping[str, Any]], begins: Sequence[int], families: Sequence[str]
) -> DrawnTrials:
    """Return trials of panels that begin so many days after the first, each with the same genomes."""
    rows, sketches = [], []
    for number, (paths, begin) in enumerate(zip(returns, begins, strict=True)):
        moments = return_moments(paths)
        for trial, family in enumerate(families):
            rows.append(
                {
                    "panel": f"panel{number}",
                    "market": "made",
                    "timeline": "",
                    "run": f"run{number}",
                    "family": family,
                    "first_day": FIRST + timedelta(days=begin),
                    "last_day": FIRST + timedelta(days=begin + paths.shape[1] - 1),
                    "n_days": paths.shape[1],
                    "sharpe": moments.mean[trial] / moments.std[trial] * math.sqrt(365.0),
                }
            )
        sketches.append(sketch(paths))
    return DrawnTrials(pl.DataFrame(rows), tuple(genes) * len(returns), np.concatenate(sketches))


def luck(rng: np.random.Generator, trials: int, days: int = DAYS, share: float = 0.3) -> np.ndarray:
    """Return daily returns without any edge, all correlated by the market that they share."""
    market = rng.standard_normal(days)
    own = rng.standard_normal((trials, days))
    return np.asarray(
        0.01 * (math.sqrt(share) * market * rng.choice([-1, 1], (trials, 1)) + math.sqrt(1 - share) * own)
    )


def periods(count: int) -> list[dict[str, Any]]:
    """Return genes that tell trials apart."""
    return [{"period": 10 + number, "kind": "ab"[number % 2]} for number in range(count)]


@cache
def lake_with_an_edge() -> Lake:
    """Return the records of small searches on a market with trends; look, do not touch."""
    return searched(world(MOMENTUM), 0, Path(mkdtemp()))


def test_only_what_was_drawn_before_anything_was_known_is_a_trial() -> None:
    lake = lake_with_an_edge()
    trials = read_drawn(lake, "1h")
    parts = sorted((lake.root / PopulationTable.dataset).rglob("*.parquet"))
    population = pl.concat([pl.read_parquet(part, hive_partitioning=False) for part in parts])
    drawn = population.filter(pl.col("operator").is_in(["founder", "favoured", "immigrant"]), pl.col("trades") > 0)
    assert len(trials) == drawn.height < population.height
    assert sorted(trials.rows["family"]) == sorted(drawn["family"])
    by_ledger = pl.concat([pl.read_parquet(p) for p in (lake.root / TrialTable.dataset).rglob("*.parquet")])
    daily = by_ledger.filter(pl.col("genome_hash").is_in(drawn["hash"].implode()))
    expected = (daily["mean"] / daily["std"] * math.sqrt(365)).sort()
    np.testing.assert_allclose(trials.rows["sharpe"].sort(), expected)
    assert trials.rows["run"].n_unique() == SEARCHES
    assert set(trials.rows["timeline"]) == set(trials.rows["market"])  # a simulated market has its days for itself


def test_points_of_a_grid_are_trials_too_and_those_of_heirs_are_not(tmp_path: Path) -> None:
    grid = {
        "name": "wide",
        "type": "optimization",
        "strategies": [{"name": "channel", "type": "donchian_breakout"}],
        "optimization": {"parameters": {"channel.channel_period": [20, 35, 50]}},
    }
    heirs = {
        "name": "near",
        "type": "optimization",
        "inherit_best_from": "wide",
        "top": 1,
        "optimization": {"parameters": {"channel.exit_period_ratio": [0.3, 0.7]}},
    }
    place = place_in(tmp_path)
    lived(place, grid, heirs)
    trials = read_drawn(place.lake, "1h")
    assert sorted(genes["channel_period"] for genes in trials.genes) == [20, 35, 50]
    assert set(trials.rows["family"]) == {"donchian_breakout"}
    assert {run.rpartition(".")[2] for run in trials.rows["run"]} == {"wide"}


def test_the_test_of_a_region_is_that_of_a_portfolio() -> None:
    """The figures follow from daily returns alone: the mean of unit-risk returns, and its standard error."""
    rng = np.random.default_rng(5)
    paths = luck(rng, 12, days=400, share=0.0)  # nobody alike: each is a cluster
    paths[:4] += 0.002
    trials = made([paths], periods(12), [0], ["a"] * 12)
    region = Region("a", (GeneRange("period", high=13),))
    figures = TrialSpace(trials).figures(region.inside(trials), region.beside(trials))
    assert figures is not None
    unit = paths / paths.std(axis=1, ddof=1, keepdims=True)
    difference = unit[:4].mean(axis=0) - unit[4:].mean(axis=0)
    assert (figures.trials, figures.clusters, figures.runs) == (4, 4, 1)
    assert figures.sharpe == pytest.approx(unit[:4].mean() * math.sqrt(365))
    assert figures.effect == pytest.approx(difference.mean() * math.sqrt(365))
    error = difference.std(ddof=1) / math.sqrt(400) * math.sqrt(365)
    assert (figures.high - figures.low) / (2 * 1.96) == pytest.approx(error, rel=0.25)  # sketches estimate it


def test_clones_are_one() -> None:
    """A search that clones its favourite adds trials and no evidence."""
    rng = np.random.default_rng(6)
    paths = luck(rng, 8, share=0.0)
    alone = made([paths], periods(8), [0], ["a"] * 8)
    cloned = made(
        [np.vstack([paths, np.repeat(paths[:1], 20, axis=0)])], [*periods(8), *periods(1) * 20], [0], ["a"] * 28
    )
    region = Region("a", (GeneRange("period", high=13),))
    one, many = (TrialSpace(t).figures(region.inside(t), region.beside(t)) for t in (alone, cloned))
    assert one is not None
    assert many is not None
    assert (many.trials, many.clusters) == (one.trials + 20, one.clusters)
    assert many.effect == pytest.approx(one.effect)
    assert many.p_value == pytest.approx(one.p_value)


def test_the_same_days_twice_are_no_more_evidence() -> None:
    rng = np.random.default_rng(7)
    paths = luck(rng, 8, share=0.0) + 0.001
    once = made([paths], periods(8), [0], ["a"] * 8)
    again = made([paths, paths], periods(8), [0, 0], ["a"] * 8)
    apart = made([paths, paths], periods(8), [0, DAYS], ["a"] * 8)
    region = Region("a", (GeneRange("period", high=13),))
    first, twice, two = (TrialSpace(t).figures(region.inside(t), region.beside(t)) for t in (once, again, apart))
    assert first is not None
    assert twice is not None
    assert two is not None
    assert twice.p_value == pytest.approx(first.p_value)
    assert two.high - two.low == pytest.approx((first.high - first.low) / math.sqrt(2))


def test_p_values_of_luck_are_uniform() -> None:
    """However alike the trials of a market are, the difference of two halves of them is judged by its own deviation."""
    region = Region("a", (GeneRange("period", high=19),))
    z = []
    for seed in range(200):
        trials = made([luck(np.random.default_rng(seed), 20)], periods(20), [0], ["a"] * 20)
        figures = TrialSpace(trials).figures(region.inside(trials), region.beside(trials))
        assert figures is not None
        z.append(figures.effect / ((figures.high - figures.low) / (2 * 1.96)))
    assert kstest(z, "norm").pvalue > 0.01


def test_every_region_that_was_looked_at_counts() -> None:
    rng = np.random.default_rng(8)
    returns = [luck(rng, 24) for _ in range(2)]
    for paths in returns:
        paths[:8] += 0.008  # an edge that nothing can hide
    trials = made(returns, periods(24), [0, DAYS], ["a"] * 24)
    mining = mine(trials)
    first, _ = parts_of(trials)
    looked_at = list(candidate_regions(TrialSpace(trials.of(first))))
    assert mining.looked_at == len(looked_at) == len({one.inside.tobytes() for one in looked_at})
    _, q_values, *_ = multipletests([one.figures.p_value for one in looked_at], method="fdr_by")
    best = mining.patterns[0]
    assert best.q_value == pytest.approx(min(q_values))
    assert best.status == "confirmed"
    assert all(genes["period"] < 20 for genes in periods(24) if best.region.holds("a", genes))
    assert len(mining.patterns) <= MOST_PATTERNS
    assert all(pattern.q_value <= FOUND_AT for pattern in mining.patterns)


@pytest.mark.parametrize(
    ("later", "status"), [(0.008, "confirmed"), (-0.004, "refuted"), (None, "found")], ids=["again", "lost", "nothing"]
)
def test_other_days_decide(later: float | None, status: str) -> None:
    returns = [luck(np.random.default_rng(seed), 24) for seed in (1, 2)]
    returns[0][:12] += 0.008
    returns[1][:12] += later or 0.0
    trials = made(returns, periods(24), [0, DAYS], ["a"] * 24)
    if later is None:
        trials = trials.of((trials.rows["run"] == "run0").to_numpy())
    mining = mine(trials)
    assert {pattern.status for pattern in mining.patterns[:1]} == {status}
    assert mining.again == (0 if later is None else 24)


def test_what_was_confirmed_grows_stale_with_time_and_by_losses() -> None:
    returns = [luck(np.random.default_rng(seed), 24) for seed in (1, 2)]
    for paths in returns:
        paths[:12] += 0.008
    trials = made(returns, periods(24), [0, DAYS], ["a"] * 24)
    members = [(1.0, "a", {"period": 10, "kind": "a"}, [])]
    day = FIRST + timedelta(days=DAYS)
    loser = WatchedReturns("x", members, {day + timedelta(days=n): -0.3 for n in range(60)})
    assert mine(trials).patterns[0].status == "confirmed"
    assert mine(trials, [loser]).patterns[0].status == "stale"
    newer = made([*returns, luck(np.random.default_rng(3), 24)], periods(24), [0, DAYS, 700], ["a"] * 24)
    rows = newer.rows.with_columns(
        family=pl.when(pl.col("run") == "run2").then(pl.lit("b")).otherwise(pl.col("family"))
    )
    late = mine(DrawnTrials(rows, newer.genes, newer.sketches))
    assert late.patterns[0].status == "stale"


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(20, 90), st.sampled_from(["", "one", "two"])), min_size=1, max_size=9
    )
)
def test_no_day_of_a_timeline_both_finds_and_confirms(spans: list[tuple[int, int, str]]) -> None:
    rows = pl.DataFrame(
        [
            {
                "timeline": line,
                "first_day": FIRST + timedelta(days=begin),
                "last_day": FIRST + timedelta(days=begin + long),
            }
            for begin, long, line in spans
        ]
    )
    trials = DrawnTrials(rows, ({},) * rows.height, np.ones((rows.height, 128), dtype=np.int8))
    found, again = parts_of(trials)
    assert not (found & again).any()
    assert found.any()
    for line in {line for *_, line in spans}:
        own = (rows["timeline"] == line).to_numpy()
        if (found & own).any() and (again & own).any():
            assert rows.filter(found & own)["last_day"].max() < rows.filter(again & own)["first_day"].min()


def test_lucky_markets_alone_take_turns() -> None:
    rows = pl.DataFrame(
        [{"timeline": f"world{n}", "first_day": FIRST, "last_day": FIRST + timedelta(days=90)} for n in range(4)]
    )
    found, again = parts_of(DrawnTrials(rows, ({},) * 4, np.ones((4, 128), dtype=np.int8)))
    assert found.tolist() == [True, False, True, False]
    assert again.tolist() == [False, True, False, True]


def test_a_planted_edge_is_found_and_kept_and_luck_is_not(tmp_path: Path) -> None:
    minings = mine_lake(lake_with_an_edge())
    confirmed = [pattern for pattern in minings["1h"].patterns if pattern.status == "confirmed"]
    assert confirmed
    assert {pattern.region.family for pattern in confirmed} <= set(TREND)
    stored = stored_patterns(lake_with_an_edge())
    assert stored["id"].to_list() == [pattern.id for pattern in minings["1h"].patterns]
    assert stored["interval"].unique().to_list() == ["1h"]
    without = mine_lake(searched(world(searches=2), 0, tmp_path))
    assert not [pattern for pattern in without["1h"].patterns if pattern.status == "confirmed"]
    assert all(pattern.again_p is None or pattern.again_p > CONFIRMED_AT for pattern in without["1h"].patterns)


def sleeves(
    begins: int, edge: Mapping[str, float], seed: int, *, days: int = DAYS, trials: int = 6, regimes: Any = None
) -> SleevePanel:
    """Return what trials of two families did on three assets that share a market; `edge`: daily means by asset."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((3, days)) * 0.005
    paths = shared + 0.01 * rng.standard_normal((trials, 3, days))
    paths[: trials // 2] += np.array([edge.get(name, 0.0) for name in "XYZ"])[:, None]
    return SleevePanel(
        "made",
        "",
        [f"run{begins}"] * trials,
        ["a"] * (trials // 2) + ["b"] * (trials - trials // 2),
        ("X", "Y", "Z"),
        tuple(FIRST + timedelta(days=begins + n) for n in range(days)),
        paths,
        paths.mean(axis=1),
        regimes or {},
    )


def test_an_asset_is_tested_as_a_paired_difference() -> None:
    """One trial: Student's test of its own daily returns, and of what they are more than those on other assets."""
    panel = sleeves(0, {}, 3, trials=2)
    one = next(each.figures for each in panel.slices() if each.region == Region("a", asset="Y"))
    unit = panel.sleeves[0] / panel.sleeves[0].std(axis=1, ddof=1, keepdims=True)
    difference = unit[1] - unit[[0, 2]].mean(axis=0)
    assert one.effect / one.effect_error == pytest.approx(ttest_1samp(difference, 0.0).statistic)
    assert one.sharpe / one.sharpe_error == pytest.approx(ttest_1samp(panel.sleeves[0, 1], 0.0).statistic)
    assert one.effect == pytest.approx(difference.mean() * math.sqrt(365))
    assert (one.trials, one.clusters, one.beside, one.n_days, one.freedom) == (1, 1, 2, DAYS, DAYS - 1)


def test_a_regime_is_tested_against_the_other_days_of_its_factor() -> None:
    """One trial: Welch's test of its days; what is not known of a day belongs to neither side."""
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    regimes = {"volatility": {"calm": frozenset(days[10:50]), "turbulent": frozenset(days[50:])}}
    panel = sleeves(0, {}, 4, trials=2, regimes=regimes)
    found = {each.region: each for each in panel.slices() if each.region.regime}
    assert {region.regime for region in found} == {"volatility: calm", "volatility: turbulent"}
    one = found[Region("a", regime="volatility: calm")]
    calm, other = panel.returns[0, 10:50], panel.returns[0, 50:]
    test = ttest_ind(calm / calm.std(ddof=1), other / other.std(ddof=1), equal_var=False)
    assert one.figures.effect / one.figures.effect_error == pytest.approx(test.statistic)
    assert (one.figures.n_days, one.figures.freedom) == (40, 39)
    assert one.inside.tolist() == [10 <= n < 50 for n in range(DAYS)]
    few = {"volatility": {"calm": frozenset(days[:19]), "turbulent": frozenset(days[19:])}}
    assert not [each for each in sleeves(0, {}, 4, regimes=few).slices() if each.region.regime]


@pytest.mark.parametrize(
    ("later", "status"), [({"Y": 0.008}, "confirmed"), ({"X": 0.008}, "refuted")], ids=["again", "elsewhere"]
)
def test_an_asset_is_found_on_some_days_and_confirmed_on_others(later: Mapping[str, float], status: str) -> None:
    rng = np.random.default_rng(9)
    trials = made([luck(rng, 24) for _ in range(2)], periods(24), [0, DAYS], ["a"] * 12 + ["b"] * 12)
    panels = {"panel0": sleeves(0, {"Y": 0.008}, 1), "panel1": sleeves(DAYS, later, 2)}
    slices = {panel: list(one.slices()) for panel, one in panels.items()}
    mining = mine(trials, (), slices)
    best = mining.patterns[0]
    assert (best.region, best.status) == (Region("a", asset="Y"), status)
    alone = mine(trials)
    assert mining.looked_at == alone.looked_at + 6  # two families on three assets: all kinds are tests together
    assert best.q_value >= best.found.p_value * mining.looked_at
    assert (mining.panels, mining.measured, alone.measured) == (2, 2, 0)


def test_regimes_of_the_same_days_are_one_pattern() -> None:
    rng = np.random.default_rng(9)
    trials = made([luck(rng, 24) for _ in range(2)], periods(24), [0, DAYS], ["a"] * 12 + ["b"] * 12)
    slices = {}
    for number in range(2):
        days = [FIRST + timedelta(days=number * DAYS + n) for n in range(DAYS)]
        halves = {"low": frozenset(days[:60]), "high": frozenset(days[60:])}
        near = {"low": frozenset(days[:58]), "high": frozenset(days[58:])}
        panel = sleeves(number * DAYS, {}, number, regimes={"mood": halves, "trend": near})
        panel.returns[:3, :60] += 0.006
        slices[f"panel{number}"] = list(panel.slices())
    found = [pattern for pattern in mine(trials, (), slices).patterns if pattern.region.regime]
    assert [pattern.status for pattern in found] == ["confirmed"]
    assert found[0].region.family == "a"
    assert found[0].region.regime.endswith("low")


def test_what_was_drawn_is_measured_again_as_the_ledger_has_it() -> None:
    lake = lake_with_an_edge()
    trials = read_drawn(lake, "1h")
    panels = dict(read_sleeves(lake, "1h", trials))
    assert set(panels) == set(trials.panels)
    for panel, places in trials.panels.items():
        measured = return_moments(panels[panel].returns)
        sharpes = measured.mean / measured.std * math.sqrt(365)
        known = set(np.round(trials.rows["sharpe"].gather(places), 9))
        assert set(np.round(sharpes, 9)) <= known
        units = trials.rows[places].with_columns(cluster=trials.clusters[places]).n_unique(["family", "cluster"])
        assert len(sharpes) == units < len(places)
        assert panels[panel].sleeves.shape == (units, 4, len(panels[panel].days))


def test_a_panel_whose_days_have_changed_is_left_out(tmp_path: Path) -> None:
    copytree(lake_with_an_edge().root, tmp_path / "lake")
    lake = Lake(tmp_path / "lake")
    trials = read_drawn(lake, "1h")
    day = trials.rows["first_day"].min()
    assert isinstance(day, date)
    market = trials.rows[0, "market"]
    candles = lake.table(CandleTable)
    rows = candles.read_day(day, market=market, interval="1h")
    candles.write(rows.with_columns(pl.col("volume") * 2), market=market, interval="1h", day=day)
    first = next(iter(trials.panels))
    assert set(trials.panels) - {panel for panel, _ in read_sleeves(lake, "1h", trials)} == {first}


def test_a_day_has_the_regime_of_the_day_before(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    row = {"module": "volatility", "value": 1.0, "days": 1, "module_version": 1}
    for number, label in enumerate(["calm", "calm", "turbulent"]):
        frame = RegimeTable.frame([row | {"label": label}])
        lake.table(RegimeTable).write(frame, market="made", interval="1h", day=FIRST + timedelta(days=number))
    after = [FIRST + timedelta(days=n) for n in (1, 2, 3)]
    expected = {"volatility": {"calm": frozenset(after[:2]), "turbulent": frozenset(after[2:])}}
    assert read_regimes(lake, "made", "1h") == expected
    assert read_regimes(lake, "other", "1h") == {}


def test_days_since_count_for_an_asset_or_a_regime_only_where_they_are_of_it() -> None:
    days = {FIRST + timedelta(days=n): float(n) for n in range(4)}
    regimes = {"volatility": {"calm": frozenset([FIRST + timedelta(days=1), FIRST + timedelta(days=3)])}}
    whole = WatchedReturns("x", [(1.0, "a", {}, [])], days, regimes)
    own = WatchedReturns("y", [(0.6, "a", {}, ["Y"]), (0.4, "a", {}, ["X"])], days, regimes)
    before = FIRST - timedelta(days=1)
    calm = live_figures([whole], Region("a", regime="volatility: calm"), before)
    assert (calm.strategies, calm.days) == (1, 2)
    assert calm.sharpe == pytest.approx(2.0 * math.sqrt(365))
    assert live_figures([whole], Region("a", regime="volatility: turbulent"), before).days == 0
    assert live_figures([whole, own], Region("a", asset="Y"), before).strategies == 1
    assert live_figures([whole, own], Region("a"), before).strategies == 2


def test_commands_mine_list_and_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    call = Caller(tmp_path, monkeypatch, capfd)
    assert "Nothing was searched here yet" in call("regions", "mine").out
    copytree(lake_with_an_edge().root, tmp_path / "data" / "lake")
    told = call("regions", "mine")
    assert told.code == 0
    assert "confirmed" in told.out
    rows = json.loads(call("regions", "list", "--json").out)
    assert [row["id"] for row in rows] == stored_patterns(Lake(tmp_path / "data" / "lake"))["id"].to_list()
    first = rows[0]
    assert json.loads(call("regions", "show", first["id"][:6], "--json").out) == first
    shown = call("regions", "show", first["id"]).out
    assert first["family"] in shown
    assert first["status"] in shown
    wrong = call("regions", "show", "nobody")
    assert wrong.code == 2
    assert first["id"] in wrong.err


def test_falls_are_counted_run_by_run() -> None:
    """As statsmodels tests tables of several strata; a run in which everybody falls says nothing."""
    rng = np.random.default_rng(0)
    judged = [
        JudgedCandidate(
            f"run{run}",
            FIRST,
            f"c{run}-{n}",
            "a" if n < 6 else "b",
            "dear" if rng.random() < (0.7 if n < 6 else 0.3) else "",
        )
        for run in range(4)
        for n in range(12)
    ]
    (first, second) = count_falls(judged)
    tables = []
    for run in range(4):
        of_run = [one for one in judged if one.run == f"run{run}"]
        cells = Counter((one.family, one.gate) for one in of_run)
        tables.append(np.array([[cells[family, gate] for gate in ("dear", "")] for family in ("a", "b")]))
    reference = StratifiedTable(tables).test_null_odds().pvalue
    assert first.q_value == pytest.approx(min(1.0, reference * 1.5), rel=1e-9)  # two equal p-values: 1 + 1/2
    assert {first.family, second.family} == {"a", "b"}
    a = first if first.family == "a" else second
    assert (a.judged, a.fell) == (24, sum(one.gate == "dear" for one in judged if one.family == "a"))
    assert a.others == np.mean([one.gate == "dear" for one in judged if one.family == "b"])
    everybody = [JudgedCandidate("storm", FIRST, f"s{n}", "a", "dear") for n in range(20)]
    again = next(one for one in count_falls([*judged, *everybody]) if one.family == "a")
    assert (again.fell - a.fell, again.q_value) == (20, pytest.approx(a.q_value))
    assert count_falls([]) == []


def judged_runs(seed: int, *shares: float) -> list[JudgedCandidate]:
    """Return runs of a day each, in which half of twelve candidates are of a family that falls with these shares."""
    rng = np.random.default_rng(seed)
    return [
        JudgedCandidate(
            f"run{run}",
            FIRST + timedelta(days=run),
            f"c{run}-{n}",
            "a" if n < 6 else "b",
            "dear" if rng.random() < (share if n < 6 else 0.3) else "thin" if rng.random() < 0.5 else "",
        )
        for run, share in enumerate(shares)
        for n in range(12)
    ]


def test_a_failing_gate_is_found_on_earlier_runs_and_confirmed_on_later_ones() -> None:
    """Of 40 worlds in which all families fall alike at most 5 confirm a gate; of 40 with a planted one at least 32."""

    def confirmed(*shares: float) -> list[set[tuple[str, str]]]:
        return [
            {(o.found.family, o.found.gate) for o in mine_falls(judged_runs(s, *shares)) if o.status == "confirmed"}
            for s in range(40)
        ]

    assert sum(map(bool, confirmed(*[0.3] * 20))) <= 5
    planted = confirmed(*[0.8] * 20)
    assert sum(("a", "dear") in each for each in planted) >= 32
    changed = {one.found.gate: one for one in mine_falls(judged_runs(0, *[0.9] * 10, *[0.1] * 10)) if one.found.z > 0}
    assert changed["dear"].status == "refuted"
    assert changed["dear"].found.judged == 60
    late = [replace(one, day=FIRST + timedelta(days=600)) for one in judged_runs(1, 0.3) if one.family == "b"]
    old = mine_falls([*judged_runs(0, *[0.9] * 20), *(replace(one, candidate=f"late{one.candidate}") for one in late)])
    assert [one.status for one in old if (one.found.family, one.found.gate) == ("a", "dear")] == ["stale"]
    assert mine_falls([]) == []


def test_a_candidate_falls_at_its_first_gate_that_decides(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = [
        ("one", "told", [], "failed"),
        ("one", "trades", ["shadow"], "passed"),
        ("one", "luck", ["shadow"], "failed"),
        ("one", "late", ["paper"], "failed"),
        ("two", "trades", ["shadow"], "passed"),
    ]
    blank = {
        name: 0 if kind == pl.Int64 else 0.0 if kind == pl.Float64 else "-"
        for name, kind in VerdictTable.schema.items()
    }
    frame = VerdictTable.frame(
        [
            {**blank, "candidate": name, "gate": gate, "needed_for": needed, "status": status}
            for name, gate, needed, status in rows
        ]
    )
    members = CandidateTable.frame(
        [
            ("one", "best", 0, 1.0, [], "a", "{}"),
            ("two", "best", 0, 0.5, [], "a", "{}"),
            ("two", "best", 1, 0.5, [], "b", "{}"),
        ]
    )
    for day in (FIRST, FIRST + timedelta(days=1)):  # judged twice, counted once
        where = {"market": "made", "interval": "1h", "day": day}
        lake.table(VerdictTable, cycle="c").write(frame, **where)
        lake.table(CandidateTable, cycle="c").write(members, **where)
    found = {(one.candidate, one.family, one.gate) for one in read_judged(lake, "1h")}
    assert found == {("one", "a", "luck"), ("two", "mixed", "")}
    assert len(read_judged(lake, "1h")) == 2


def test_strategies_that_were_watched_speak_for_the_region_that_holds_most_of_them(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    genome = default_genome("donchian_breakout")
    where = {"market": "made", "interval": "1h", "day": FIRST}
    text = genome_text(genome)
    members = [("s", "best", 0, 0.6, [], genome.family, text), ("s", "best", 1, 0.4, [], "x", text)]
    lake.table(CandidateTable, cycle="c").write(CandidateTable.frame(members), **where)
    birth = {
        name: 0.0 if kind == pl.Float64 else 0 if kind == pl.Int64 else "-" for name, kind in BirthTable.schema.items()
    }
    birth |= {"id": "s", "cycle": "c", "first_day": FIRST, "judged_from": None}
    lake.table(BirthTable).write(BirthTable.frame([birth]), **where)
    day = {
        name: 0.0 if kind == pl.Float64 else 0 if kind == pl.Int64 else "-"
        for name, kind in EvidenceDayTable.schema.items()
    }
    for number, (recorded, value) in enumerate([(True, 0.5), (False, None), (True, 1.5)]):
        row = EvidenceDayTable.frame([day | {"id": "s", "recorded": recorded, "standardised": value}])
        lake.table(EvidenceDayTable).write(row, **where | {"day": FIRST + timedelta(days=number)})
    watched = read_watched(lake, "1h")
    since = live_figures(watched, Region(genome.family), FIRST - timedelta(days=1))
    assert (since.strategies, since.days) == (1, 2)
    assert since.sharpe == pytest.approx(math.sqrt(365))
    assert live_figures(watched, Region(genome.family), FIRST).days == 1
    assert live_figures(watched, Region("x"), FIRST).strategies == 0


@pytest.mark.parametrize(
    ("one", "held", "not_held", "text"),
    [
        (GeneRange("n", low=3.0), {"n": 3}, {"n": 2.9}, "n from 3"),
        (GeneRange("n", high=3.0), {"n": 3}, {"n": 3.1}, "n to 3"),
        (GeneRange("n", 1.0, 3.0), {"n": 1}, {"m": 2}, "n 1 to 3"),
        (GeneRange("n", value="up"), {"n": "up"}, {"n": "down"}, "n is up"),
    ],
)
def test_a_range_holds_its_ends(one: GeneRange, held: dict[str, Any], not_held: dict[str, Any], text: str) -> None:
    assert one.holds(held)
    assert not one.holds(not_held)
    region = Region("a", (one,))
    assert str(region) == f"a: {text}"
    row = {"family": "a", "ranges": json.dumps(region.document), "asset": "", "regime": ""}
    assert Region.read(row) == region
