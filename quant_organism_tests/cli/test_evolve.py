"""`quant-organism evolve`: a search without validation or deployment, on the same assets as `run`."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import polars as pl
import pytest

from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.tables import PopulationTable
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval
from quant_organism.market.world import WorldSource, load_world
from quant_organism_tests.program import Said
from quant_organism_tests.tiny import FIRST, LAST, write_world

Call = Callable[..., Said]

SIZE = ("--strategies", "24", "--batch-size", "12", "--generations", "2", "--families", "ema_crossover,rsi_filter")


def test_a_search_shows_islands_objectives_cost_and_what_to_type_next(call: Call, tmp_path: Path) -> None:
    world = write_world(tmp_path)
    said = call("evolve", "--world", world, *SIZE, "--cost-per-worker-hour", "2", "--resume")
    assert said.code == 0
    for word in ("ema_crossover", "max_drawdown", "search cost in USD", "its last generation", "None of these numbers"):
        assert word in said.out
    assert f"quant-organism run --families ema_crossover,rsi_filter --world {world}" in said.out
    assert not list((tmp_path / "data" / "checkpoints").rglob("*.json"))
    (figures,) = json.loads(call("runs", "figures", "--json").out)
    assert figures["cost_usd"] == pytest.approx(2 * figures["hours"])  # one process is one worker, whatever its threads
    assert 0 < figures["worker_use"] <= 1

    again = call("evolve", "--world", world, *SIZE, "--json")
    document = json.loads(again.out)
    assert document["generations"][-1]["generation"] == 2
    assert {row["island"] for row in document["islands"]} == {0, 1}
    assert document["lost_batches"] == []
    assert "search cost in USD" not in document["search"]  # no price was said
    assert [one["cost_usd"] for one in json.loads(call("runs", "figures", "--json").out)] == [figures["cost_usd"], None]

    lake = Lake(tmp_path / "data" / "lake")
    stored = lake.table(PopulationTable).read(market=document["market"], interval="1h", start=LAST, end=LAST)
    assert stored.height == document["trials"]
    # Both searches tried the same: every trial is counted, and counted once.
    assert TrialLedger(lake.root).n_trials(market=document["market"]) == stored.height
    assert stored.filter(pl.col("operator") == "crossover")["father"].null_count() == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--strategies", "25", "--batch-size", "12"), "--strategies 24"),
        (("--max-evaluations", "10"), "max_evaluations"),
        (("--cost-limit", "30"), "cost_per_worker_hour_usd"),
        (("--hours", "-1"), "hours"),
        (("--spec", "nothing.yaml"), "nothing.yaml"),
        (("--generations", "-3"), "generations"),
        (("--families", ","), "no family is named"),
        (("--compare", "random,grid"), "no search to compare with"),
        (("--compare", "cmaes", "--families", "composite"), "CMA-ES"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_fetched(
    wrong: tuple[str, ...], message: str, call: Call, tmp_path: Path
) -> None:
    said = call("evolve", "--world", write_world(tmp_path), "--json", *wrong)
    assert said.code == 2
    assert message in json.dumps(json.loads(said.out)["error"])
    assert not (tmp_path / "data" / "lake").exists()


def test_market_data_and_search_of_one_command_are_one_piece(call: Call, tmp_path: Path) -> None:
    holder, written, ended = tmp_path / "data" / "run.pid", set(), Event()

    def watch() -> None:
        while not ended.wait(0.01):
            with suppress(FileNotFoundError):
                if (stat := holder.stat()).st_size:
                    written.add(stat.st_mtime_ns)

    watching = Thread(target=watch)
    watching.start()
    size = ("--strategies", "12", "--batch-size", "12", "--generations", "0", "--families", "ema_crossover")
    said = call("evolve", "--world", write_world(tmp_path), *size)
    ended.set()
    watching.join()
    assert said.code == 0, said.err
    assert len(written) == 1  # whoever takes the lock writes down who it is: it was taken once


def test_damaged_files_of_an_earlier_search_are_named_and_without_them_it_goes_on(call: Call, tmp_path: Path) -> None:
    arguments = ("evolve", "--world", write_world(tmp_path), *SIZE, "--json")
    done = json.loads(call(*arguments).out)

    folder = tmp_path / "data" / "checkpoints" / done["market"] / "1h" / LAST.isoformat()
    state = folder / done["cycle"] / "state.json"
    state.parent.mkdir(parents=True)
    state.write_text("{")
    said = call(*arguments, "--resume")
    assert said.code != 0
    assert "state.json" in json.dumps(json.loads(said.out)["error"])

    part = next((tmp_path / "data" / "lake" / "trials").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    said = call(*arguments)
    assert said.code != 0
    error = json.loads(said.out)["error"]
    assert part.name in json.dumps(error)
    assert error["remedy"]
    part.unlink()
    assert call(*arguments).code == 0


def test_other_searches_stand_beside_it_and_their_trials_are_counted(call: Call, tmp_path: Path) -> None:
    world = write_world(tmp_path)
    small = ("--strategies", "24", "--batch-size", "12", "--generations", "1", "--families", "ema_crossover,composite")
    said = call("evolve", "--world", world, *small, "--compare", "random,cmaes", "--json")
    document = json.loads(said.out)
    comparison = document["comparison"]
    assert list(dict.fromkeys(row["method"] for row in comparison["rows"])) == ["evolution", "random", "cmaes"]
    assert len({row["evaluations"] for row in comparison["rows"]}) == 1
    assert all(isinstance(row["unseen_sharpe"], float) for row in comparison["rows"])
    assert "cmaes leaves out composite" in comparison["notes"][0]
    assert "follow the end of the simulated market" in comparison["notes"][-1]
    # The ledger holds the trials of all three searches, those that two of them met once.
    ledger = TrialLedger(tmp_path / "data" / "lake")
    assert (
        document["trials"] + 24 < ledger.n_trials(market=document["market"]) <= 3 * comparison["rows"][0]["evaluations"]
    )


def test_of_a_real_market_no_unseen_day_is_opened_for_a_comparison(call: Call, tmp_path: Path) -> None:
    candles = tmp_path / "candles"
    candles.mkdir()
    source = WorldSource(load_world(str(write_world(tmp_path))))
    source.candles(source.symbols(), Interval.parse("1h"), FIRST, LAST).write_parquet(candles / "candles.parquet")
    families = ("--families", "ema_crossover,rsi_filter", "--compare", "random")
    size = ("--strategies", "16", "--batch-size", "16", "--generations", "0")
    said = call("evolve", "--source", "files", "--path", candles, *size, *families)
    assert said.code == 0, said.err
    assert said.out.count("not looked at") >= 2
    assert "which reads them once" in said.out
