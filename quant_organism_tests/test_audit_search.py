"""The audit of the search, small: that it is whole, resumable and paired, not what comes out of it."""

import json

import pytest

from benchmarks.audit_search import CHOICES, METHODS, Size, World, measure, name_of, oracle_of, right_share, summary
from benchmarks.choice import kinds
from quant_organism.backtest import Costs, Evaluator
from quant_organism.strategies import Committee, default_genome

SIZE = Size(
    population=16,
    generations=1,
    seen_days=150,
    later_days=60,
    oracle_days=60,
    oracle_genomes=8,
    planted_seeds=(1,),
    null_seeds=(1,),
)
KIND = {name_of(kind): kind for kind in kinds()}


class TwoWorlds(Size):
    """One world with a strong edge and one without any."""

    def worlds(self):
        return [(KIND["strong-momentum"], 1), (KIND["none"], 1)]


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator(threads=2)


@pytest.fixture(scope="module")
def measured(tmp_path_factory, evaluator):
    folder = tmp_path_factory.mktemp("audit")
    size = TwoWorlds(**vars(SIZE))
    return folder, size, measure("small", size, evaluator, folder)


def test_each_method_searches_each_world_with_the_same_evaluations(measured):
    _, size, rows = measured
    assert [(row["world"], row["method"]) for row in rows] == [
        (world, method) for world in ("strong-momentum", "none") for method in METHODS
    ]
    evaluations = [row["evaluations"] for row in rows]
    assert evaluations[:4] == evaluations[:1] * 4
    assert evaluations[4:] == evaluations[4:5] * 4
    assert min(evaluations) >= size.population + size.spec(("ema_crossover",)).brood
    for row in rows:
        assert (row["oracle"] is None) == (row["world"] == "none")
        assert set(CHOICES) & set(row)


def test_what_is_at_rest_is_not_measured_again_and_what_is_missing_comes_out_the_same(measured, evaluator):
    folder, size, rows = measured
    kept, lost = sorted(folder.rglob("*-evolution.json"))
    altered = json.loads(kept.read_bytes()) | {"feasible": -1}
    before = lost.read_bytes()
    kept.write_text(json.dumps(altered))
    lost.unlink()
    again = measure("small", size, evaluator, folder)
    assert lost.read_bytes() == before
    assert altered in again
    assert [row for row in again if row != altered] == [row for row in rows if row | {"feasible": -1} != altered]


def test_no_search_sees_a_day_after_the_sample():
    kind, other = KIND["strong-momentum"], TwoWorlds(**(vars(SIZE) | {"later_days": 30}))
    one, two = (World(kind, 1, size, Evaluator(threads=1)) for size in (SIZE, other))
    assert one.seen.hash == two.seen.hash
    assert one.panel.n_bars - one.seen.n_bars == 60 * 24


def test_all_kinds_of_edges_come_early():
    worlds = Size().worlds()
    assert (len(worlds), sum(kind.group == "none" for kind, _ in worlds)) == (60, 20)
    assert len({name_of(kind) for kind, _ in worlds[:12]}) == 9
    assert len({(name_of(kind), seed) for kind, seed in worlds}) == 60


def test_the_oracle_is_the_best_of_the_random_genomes_on_a_market_of_its_own(evaluator, tmp_path):
    kind, families = KIND["strong-carry"], ("ema_crossover", "funding_rate_carry")
    found = [
        oracle_of(kind, families, Size(**(vars(SIZE) | {"oracle_genomes": many})), evaluator, tmp_path / str(many))
        for many in (1, 8, 8)
    ]
    assert found[1] == found[2]
    market = kind.panel(SIZE.oracle_days, 9_000)
    of_one, of_eight, _ = evaluator.evaluate_committees(found, market, Costs()).metrics["sharpe"]
    assert of_eight > of_one
    assert oracle_of(KIND["none"], families, SIZE, evaluator, tmp_path / "none") is None


def test_the_share_of_right_families_is_by_weight():
    committee = Committee.of([default_genome("funding_rate_carry"), default_genome("rsi_filter")], [3.0, 1.0])
    assert right_share(committee, KIND["weak-carry"]) == pytest.approx(0.75)
    assert right_share(committee, KIND["weak-reversion"]) == pytest.approx(0.25)
    assert right_share(committee, KIND["none"]) is None


def row(method, seed, committee, champion):
    return {
        "world": "weak-carry",
        "group": "weak",
        "seed": seed,
        "method": method,
        "oracle": 2.0,
        "committee": {"in_sample": 3.0, "later": committee, "right": 1.0},
        "champion": {"in_sample": 3.5, "later": champion, "right": 0.0},
    }


def test_differences_are_paired_over_worlds():
    rows = [row("evolution", s, 1.0 + 10 * s, 0.5 + 10 * s) for s in range(6)]
    rows += [row("random", s, 0.8 + 10 * s, 0.5 + 10 * s) for s in range(1, 6)]
    table = {line["metric"]: line for line in summary("large", rows)}
    gain = table["large, weak: evolution - random, committee, later"]
    assert gain["value"] == pytest.approx(0.2)
    assert gain["note"] == "[+0.20, +0.20], Wilcoxon p 0.062, better in 5 of 5"
    assert table["large, weak: evolution, committee - champion, later"]["value"] == pytest.approx(0.5)
    assert table["large, weak: random, committee"]["note"].startswith("5 worlds; in sample 3.00; regret -28.80")
