"""`quant-organism trade --mode replay`: days of the lake from the command line, gone on with where it was stopped."""

from datetime import date
from pathlib import Path

import orjson
import pytest

from quant_organism.deployment import StrategyRepository
from quant_organism.market import Interval, Lake
from quant_organism.market.ingest import ingest
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import Asset, WorldSpec
from quant_organism.trading.demonstration import demonstration_document
from quant_organism.trading.policy import Policy
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.ranker import rank_symbols
from quant_organism_tests.cli.conftest import finish
from quant_organism_tests.program import Caller

WORLD = WorldSpec(
    name="replayed", start=date(2026, 1, 1), days=44, assets=(Asset(symbol="ONE"), Asset(symbol="TWO")), seed=3
)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a folder with days in its lake and a document in its repository, and the document's identity."""
    folder, source = tmp_path_factory.mktemp("replayed"), WorldSource(WORLD)
    ingest(source, Lake(folder / "data" / "lake"), Interval.parse("1h"), date(2026, 1, 1), date(2026, 2, 13))
    document = demonstration_document(("ONE", "TWO"), "1h")
    provenance = document.provenance.model_copy(update={"market": source.market})
    StrategyRepository(folder / "data" / "strategies").save(document.model_copy(update={"provenance": provenance}))
    return folder, document.id


def test_days_of_the_lake_are_replayed_in_parts_as_in_one_piece(
    replayed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, strategy = replayed
    call = Caller(folder, monkeypatch, capfd)
    command = ("trade", "--mode", "replay", "--strategy", strategy, "--from", "2026-02-08", "--to", "2026-02-11")
    part = orjson.loads(finish(*command, "--bars", "40", "--json", folder=folder).out)
    assert not part["is_ended"]
    rest = orjson.loads(call(*command, "--json").out)
    assert rest["symbol_ranks"] == []  # no night has ranked
    assert (rest["session"], rest["close"], rest["is_ended"]) == (part["session"], "2026-02-12 00:00 UTC", True)
    again = orjson.loads(call(*command, "--json").out)
    assert again["session"] == rest["session"] + 1
    assert again["order_hash"] == rest["order_hash"] != ""
    assert {**again, "session": rest["session"]} == rest


def test_status_shows_the_newest_ranks_of_the_session_s_market(
    replayed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, strategy = replayed
    call = Caller(folder, monkeypatch, capfd)
    days = ("--from", "2026-02-08", "--to", "2026-02-08")
    done = orjson.loads(call("trade", "--mode", "replay", "--strategy", strategy, *days, "--json").out)
    lake = Lake(folder / "data" / "lake")
    interval = Interval.parse(done["interval"])
    for day in (date(2026, 2, 8), date(2026, 2, 9)):
        rank_symbols(lake, day, market=done["market"], interval=interval)
    shown = orjson.loads(call("trade", "status", "--mode", "replay", "--json").out)["symbol_ranks"]
    assert {row["day"] for row in shown} == {"2026-02-09"}
    assert [row["place"] for row in shown] == list(range(1, len(shown) + 1))
    assert shown[0]["symbol"] in call("trade", "status", "--mode", "replay").out


def test_a_plain_replay_makes_the_orders_of_the_backtest_and_a_policy_shapes_the_other(
    replayed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, strategy = replayed
    call = Caller(folder, monkeypatch, capfd)
    command = ("trade", "--mode", "replay", "--strategy", strategy, "--from", "2026-02-08", "--to", "2026-02-10")
    plain = orjson.loads(call(*command, "--plain", "--json").out)
    assert (plain["parity"], plain["parity_difference"], plain["is_ended"]) == (True, "", True)
    assert plain["orders"] > 0
    store = FilePolicyStore(policy_folder(folder / "data"))
    free = orjson.loads(call(*command, "--json").out)
    limit = Policy(most_symbols=1, ranked_market="of another", ranked_symbols=())
    store.put(limit, author="test", reason="ranks know what a replay must not", at_ms=0)
    assert orjson.loads(call(*command, "--json").out)["order_hash"] == free["order_hash"] != ""
    store.put(Policy(allowed_venues=("paper",)), author="test", reason="no replays", at_ms=0)
    shaped = orjson.loads(call(*command, "--json").out)
    assert "parity" not in shaped
    assert (shaped["fills"], shaped["positions"]) == (0, [])
    again = orjson.loads(call(*command, "--plain", "--json").out)
    assert (again["parity"], again["order_hash"]) == (True, plain["order_hash"])


def test_days_that_leave_no_history_are_refused_with_those_that_do(
    replayed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, strategy = replayed
    call = Caller(folder, monkeypatch, capfd)
    said = call("trade", "--mode", "replay", "--strategy", strategy, "--from", "2026-01-20")
    assert said.code == 2
    assert "2026-02-05 to 2026-02-13" in said.err


def test_a_session_ended_before_its_first_bar_says_so_and_not_that_something_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("quant_organism.trading.preparing.prepare_live", interrupted)
    said = Caller(tmp_path, monkeypatch, capfd)("trade", "--mode", "paper", "--base-url", "http://127.0.0.1:1")
    assert said.code == 130
    assert "the same command again" in said.err
