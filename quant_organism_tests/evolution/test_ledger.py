"""The trial ledger: every unique trial is there once, for ever, however and how often it was handed in."""

import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError, IntegrityError, StorageError
from quant_organism.evolution.ledger import AppendResult, TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.evolution.sketch import return_moments, sketch
from quant_organism.evolution.tables import TrialTable
from quant_organism.market.panel import Panel
from quant_organism.market.query import connect
from quant_organism.strategies import random_genome
from quant_organism_tests.evolution.evaluations import A_DAY, FAMILIES, IDENTITY, made_up, some_of

APPEND_FOR_EVER = """
import sys
from dataclasses import replace
from pathlib import Path
from quant_organism.evolution.ledger import TrialLedger
from quant_organism_tests.evolution.evaluations import IDENTITY, made_up

ledger = TrialLedger(Path(sys.argv[1]))
for generation in range(10_000):
    ledger.append([made_up(generation)], replace(IDENTITY, generation=generation))
    print(generation, flush=True)
"""

APPEND_TEN = """
import sys
from dataclasses import replace
from pathlib import Path
from quant_organism.evolution.ledger import TrialLedger
from quant_organism_tests.evolution.evaluations import IDENTITY, made_up

ledger = TrialLedger(Path(sys.argv[1]))
results = [ledger.append([made_up(g)], replace(IDENTITY, cycle=sys.argv[2], generation=g)) for g in range(10)]
print(sum(result.new for result in results), sum(result.known for result in results))
"""


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(tmp_path / "lake")


def files(root: Path) -> dict[str, bytes]:
    """Return every Parquet file under a folder with its bytes."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.parquet"))}


def test_a_row_says_what_the_evaluation_says(ledger: TrialLedger) -> None:
    evaluation = made_up(0)
    assert ledger.append([evaluation], IDENTITY) == AppendResult(12, 0)
    frame = ledger.frame()
    assert frame.schema == TrialTable.schema
    places = {genome.hash: place for place, genome in enumerate(evaluation.genomes)}
    order = [places[genome_hash] for genome_hash in frame["genome_hash"]]
    assert frame["family"].to_list() == [evaluation.genomes[place].family for place in order]
    assert np.array_equal(frame["behaviour"].to_numpy(), evaluation.behaviour[order])
    for name in ("sharpe", "turnover_per_year", "trades"):
        np.testing.assert_array_equal(frame[name].to_numpy(), evaluation.metrics[name][order])
    moments = return_moments(evaluation.daily_returns)
    for name in ("mean", "std", "skew", "kurtosis", "autocorrelation"):
        np.testing.assert_array_equal(frame[name].to_numpy(), getattr(moments, name)[order])
    kept = [np.frombuffer(row or bytes(128), dtype=np.int8) for row in frame["sketch"]]
    assert np.array_equal(np.stack(kept), sketch(evaluation.daily_returns)[order])
    same = frame.select(pl.exclude("genome_hash").n_unique()).row(0, named=True)
    assert {name for name, distinct in same.items() if distinct == 1} == {
        *("panel_hash", "costs_hash", "spec_hash", "market", "cycle", "generation", "first_day", "last_day", "n_days")
    }
    first = frame.row(0, named=True)
    assert (first["first_day"], first["last_day"], first["n_days"]) == (date(2024, 10, 4), date(2024, 12, 2), 60)
    assert {name: first[name] for name in vars(IDENTITY)} == vars(IDENTITY)


def test_what_is_undefined_of_a_trial_that_never_trades_is_null(ledger: TrialLedger) -> None:
    evaluation = made_up(0)
    ledger.append([evaluation], IDENTITY)
    (idle,) = ledger.frame().filter(trades=0).rows(named=True)
    assert idle["genome_hash"] == evaluation.genomes[-1].hash
    assert {name for name, value in idle.items() if value is None} == {
        *("skew", "kurtosis", "autocorrelation", "sharpe", "sketch")
    }


def test_the_same_batch_again_changes_nothing_and_has_the_same_result(ledger: TrialLedger, tmp_path: Path) -> None:
    earlier, later = made_up(0), made_up(1)
    ledger.append([earlier], IDENTITY)
    mixed = [later, some_of(earlier, [3, 4])]
    resumed = replace(IDENTITY, generation=4)
    result = ledger.append(mixed, resumed)
    assert result == AppendResult(12, 2)
    before = files(tmp_path)
    assert ledger.append(mixed[::-1], resumed) == result
    assert TrialLedger(tmp_path / "lake").append(mixed, resumed) == result
    assert files(tmp_path) == before
    assert ledger.n_met_again() == 2


def test_a_genome_is_a_new_trial_on_another_panel_or_at_other_costs_and_not_in_another_cycle(
    ledger: TrialLedger,
) -> None:
    evaluation = made_up(0)
    assert ledger.append([evaluation], IDENTITY) == AppendResult(12, 0)
    for change in ({"cycle": "2025-02-01"}, {"generation": 4}, {"spec_hash": "6" * 64}, {"market": "files-x"}):
        assert ledger.append([evaluation], replace(IDENTITY, **change)) == AppendResult(0, 12)
    assert ledger.n_met_again() == 48
    assert ledger.append([evaluation], replace(IDENTITY, panel_hash="b" * 64)) == AppendResult(12, 0)
    assert ledger.append([evaluation], replace(IDENTITY, costs_hash="d" * 64)) == AppendResult(12, 0)
    assert ledger.n_trials() == 36
    assert ledger.n_trials(panel_hash=IDENTITY.panel_hash) == 24
    assert ledger.frame(["cycle"])["cycle"].unique().to_list() == [IDENTITY.cycle]


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_neither_the_order_nor_the_splitting_of_appends_matters(data: st.DataObject) -> None:
    whole = made_up(0)
    places = data.draw(st.lists(st.integers(0, 11), max_size=30).map(lambda some: [*range(12), *some]))
    shuffled = data.draw(st.permutations(places))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(places) - 1), max_size=4)))
    with tempfile.TemporaryDirectory() as folder:
        at_once, split = TrialLedger(Path(folder) / "a"), TrialLedger(Path(folder) / "b")
        at_once.append([whole], IDENTITY)
        results = []
        for generation, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(places)], strict=True)):
            if data.draw(st.booleans()):
                split = TrialLedger(Path(folder) / "b")  # another process goes on
            batch = some_of(whole, shuffled[start:stop])
            results.append(split.append([batch], replace(IDENTITY, generation=generation)))
        assert sum(result.new for result in results) == 12
        assert sum(result.known for result in results) == len(places) - 12 == split.n_met_again()
        one, other = (made.frame().drop("generation").sort("genome_hash") for made in (at_once, split))
        assert one.equals(other)


def test_clones_count_once_wherever_luck_is_judged(ledger: TrialLedger) -> None:
    evaluation = made_up(0)
    clones = replace(evaluation, behaviour=evaluation.behaviour[[0, 0, 0, *range(3, 12)]])
    ledger.append([clones], IDENTITY)
    assert (ledger.n_trials(), ledger.n_behaviours()) == (12, 10)
    assert np.array_equal(ledger.behaviours(IDENTITY.panel_hash), np.unique(clones.behaviour))
    ledger.append([clones], replace(IDENTITY, panel_hash="b" * 64))
    assert (ledger.n_trials(), ledger.n_behaviours()) == (24, 20)


def test_trials_on_overlapping_data_of_a_market_are_counted(ledger: TrialLedger) -> None:
    ledger.append([made_up(0, days=60, first_day=20_000)], IDENTITY)
    ledger.append([made_up(0, days=60, first_day=20_030)], replace(IDENTITY, panel_hash="b" * 64))
    ledger.append([made_up(0, days=60)], replace(IDENTITY, panel_hash="c" * 64, market="world-null"))

    def overlapping(first: int, last: int) -> int:
        return ledger.n_trials(market="world-demo", overlapping=(first * A_DAY, (last + 1) * A_DAY - 1))

    assert overlapping(19_000, 19_999) == 0
    assert overlapping(19_000, 20_000) == 12
    assert overlapping(20_029, 20_029) == 12
    assert overlapping(20_030, 20_059) == 24
    assert overlapping(20_060, 30_000) == 12
    assert overlapping(20_090, 30_000) == 0


def test_trials_of_later_panels_do_not_count_where_an_earlier_day_is_repeated(ledger: TrialLedger) -> None:
    ledger.append([made_up(0, days=60, first_day=20_000)], IDENTITY)
    ledger.append([made_up(0, days=60, first_day=20_001)], replace(IDENTITY, panel_hash="b" * 64))
    span = (20_000 * A_DAY, 20_060 * A_DAY - 1)
    assert ledger.n_behaviours(market="world-demo", overlapping=span) == 2 * ledger.n_behaviours(panel_hash="b" * 64)
    assert ledger.n_trials(market="world-demo", overlapping=span, until=span[1]) == 12
    assert ledger.n_trials(market="world-demo", overlapping=span, until=span[0]) == 0


def test_an_empty_ledger_has_nothing_and_is_not_made_by_looking(ledger: TrialLedger, tmp_path: Path) -> None:
    assert ledger.append([], IDENTITY) == AppendResult(0, 0)
    assert (ledger.n_trials(), ledger.n_behaviours(), ledger.n_met_again()) == (0, 0, 0)
    assert ledger.frame().schema == TrialTable.schema
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "emptied", "of another kind"])
def test_a_damaged_part_is_named_and_the_rest_is_usable_without_it(ledger: TrialLedger, damage: str) -> None:
    for generation in range(3):
        ledger.append([made_up(generation)], replace(IDENTITY, generation=generation))
    (part,) = ledger.root.rglob("generation-0001-*.parquet")
    whole = part.read_bytes()
    if damage == "of another kind":
        pl.DataFrame({"x": [1]}).write_parquet(part)
    else:
        part.write_bytes(whole[: 0 if damage == "emptied" else len(whole) // 2])
    for look in (
        lambda fresh: fresh.frame(),
        lambda fresh: fresh.n_trials(),
        lambda fresh: fresh.n_met_again(),
        lambda fresh: fresh.append([made_up(7)], IDENTITY),
    ):
        with pytest.raises(IntegrityError, match="generation-0001-") as caught:
            look(TrialLedger(ledger.root))
        assert "delete it" in str(caught.value.remedy)

    part.unlink()
    assert ledger.n_trials() == 24
    assert ledger.append([made_up(1)], replace(IDENTITY, generation=1)) == AppendResult(12, 0)
    assert part.read_bytes() == whole


def test_a_return_that_is_not_a_number_is_refused_with_its_genome_and_day(ledger: TrialLedger, tmp_path: Path) -> None:
    evaluation = made_up(0)
    evaluation.daily_returns[3, 7] = np.nan
    with pytest.raises(InputError, match=f"{evaluation.genomes[3].id}, day 7"):
        ledger.append([evaluation], IDENTITY)
    assert list(tmp_path.iterdir()) == []


def test_evaluations_of_different_days_are_refused(ledger: TrialLedger) -> None:
    with pytest.raises(InputError, match="same days"):
        ledger.append([made_up(0), made_up(1, first_day=20_001)], IDENTITY)


@pytest.mark.parametrize(
    "change", [{"panel_hash": "../up"}, {"costs_hash": ""}, {"spec_hash": "A" * 64}, {"cycle": "a/b"}, {"cycle": ".."}]
)
def test_an_identity_is_never_a_path(change: dict[str, str]) -> None:
    with pytest.raises(InputError):
        replace(IDENTITY, **change)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(StorageError, match="lake"):
        TrialLedger(tmp_path / "data" / "lake").append([made_up(0)], IDENTITY)
    with pytest.raises(IntegrityError, match="it does not say where the lake is"):
        TrialLedger(tmp_path / "data")


def test_the_lake_shows_the_ledger_to_sql(ledger: TrialLedger) -> None:
    ledger.append([made_up(0)], IDENTITY)
    ledger.append([made_up(1)], replace(IDENTITY, costs_hash="d" * 64, cycle="1e5"))
    ledger.append([made_up(1)], replace(IDENTITY, costs_hash="d" * 64, cycle="x"))
    counted = connect(ledger.root, [TrialTable]).sql(
        "select cycle, count(*), count(sharpe) from trials group by 1 order by 1"
    )
    assert counted.fetchall() == [("1e5", 12, 11), ("2025-01-31", 12, 11)]
    shown = connect(ledger.root, [TrialTable]).sql("from trials").pl()
    assert shown.select(TrialTable.schema.names()).sort("genome_hash").equals(ledger.frame().sort("genome_hash"))


def test_what_an_evaluator_measured_is_recorded_with_its_panel(
    ledger: TrialLedger, panel: Panel, costs: Costs, evaluator: Evaluator
) -> None:
    rng = np.random.default_rng(0)
    genomes = [random_genome(rng, FAMILIES[i % len(FAMILIES)]) for i in range(9)]
    identity = LedgerIdentity(
        spec_hash="5" * 64, panel_hash=panel.hash, costs_hash=costs.hash, cycle="c", generation=0, market=panel.market
    )
    batches = [evaluator.evaluate(genomes[:4], panel, costs), evaluator.evaluate(genomes[4:], panel, costs)]
    assert ledger.append(batches, identity).new == 9
    frame = ledger.frame()
    assert set(frame["genome_hash"]) == {genome.hash for genome in genomes}
    assert frame["n_days"].unique().to_list() == [len(batches[0].days)]
    assert set(ledger.behaviours(panel.hash)) == {int(digest) for batch in batches for digest in batch.behaviour}


def test_a_killed_append_leaves_nothing_torn_and_can_be_repeated(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for attempt in range(3):
        root = tmp_path / str(attempt)
        with subprocess.Popen([sys.executable, "-c", APPEND_FOR_EVER, str(root)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            reported = [writer.stdout.readline()]
            time.sleep(rng.uniform(0.0, 0.2))
            writer.send_signal(signal.SIGKILL)
            reported += writer.stdout.readlines()
        finished = len([line for line in reported if line.endswith(b"\n")])
        ledger = TrialLedger(root)
        assert ledger.n_trials() in (12 * finished, 12 * (finished + 1))

        undisturbed = TrialLedger(tmp_path / f"whole{attempt}")
        for generation in range(finished + 1):
            identity = replace(IDENTITY, generation=generation)
            assert ledger.append([made_up(generation)], identity) == AppendResult(12, 0)
            undisturbed.append([made_up(generation)], identity)
        assert files(root) == files(undisturbed.root)
        assert list(root.rglob(".writing-*")) == []


def test_two_processes_that_try_the_same_genomes_count_each_once(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", APPEND_TEN, str(tmp_path / "lake"), cycle] for cycle in ("one", "two")]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    counts = [[int(word) for word in writer.communicate()[0].split()] for writer in writers]
    assert np.sum(counts, axis=0).tolist() == [120, 120]
    genomes = TrialLedger(tmp_path / "lake").frame(["genome_hash"])["genome_hash"]
    assert len(genomes) == genomes.n_unique() == 120
