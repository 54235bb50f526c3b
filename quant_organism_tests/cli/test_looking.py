"""Commands that look at what a run left, and those that change one thing."""

import csv
import io
import json
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.trading.ledger import TraderLedger, ledger_path
from quant_organism_tests.deployment.documents import committee, document
from quant_organism_tests.finished import Finished
from quant_organism_tests.program import Said
from quant_organism_tests.tiny import LAST

Call = Callable[..., Said]


def asked(call: Call, run: Finished, *arguments: str) -> list[dict[str, object]]:
    said = call(*arguments, "--json", "--data-dir", run.data_dir)
    assert said.code == 0
    return json.loads(said.out)


def test_strategies_are_listed_best_first_and_by_stage(call: Call, finished_run: Finished) -> None:
    everyone = asked(call, finished_run, "strategies", "list")["strategies"]  # type: ignore[call-overload]
    fitness = [row["fitness"] for row in everyone]
    assert fitness == sorted(fitness, reverse=True)
    assert len(everyone) > 0
    watched = asked(call, finished_run, "strategies", "list", "--stage", "shadow")["strategies"]  # type: ignore[call-overload]
    assert watched == [row for row in everyone if row["stage"] == "shadow"]


def test_a_strategy_is_shown_with_members_evidence_and_life(call: Call, finished_run: Finished) -> None:
    best = asked(call, finished_run, "strategies", "list", "--limit", "1")["strategies"][0]["id"]  # type: ignore[call-overload]
    said = call("strategies", "show", best, "--data-dir", finished_run.data_dir)
    assert said.code == 0
    assert all(word in said.out for word in (best, "Members", "Evidence", "walk_forward", "Life", "born"))
    document = json.loads(call("strategies", "show", best, "--json", "--data-dir", finished_run.data_dir).out)
    assert document["id"] == best


@pytest.mark.parametrize("to", ["python", "freqtrade"])
def test_a_strategy_is_written_for_other_programs_and_over_nothing(call: Call, tmp_path: Path, to: str) -> None:
    made = document(strategy=committee(2, family="ema_crossover"))
    StrategyRepository(tmp_path / "data" / "strategies").save(made)
    arguments = ("strategies", "export", made.id, "--to", to, "--output", tmp_path / "out.py", "--data-dir", "data")
    said = call(*arguments)
    assert (said.code, said.out.splitlines()[0]) == (0, f"{made.id} is in {tmp_path / 'out.py'}")
    assert made.id in (tmp_path / "out.py").read_text()
    assert call(*arguments).code == 0  # again: the same
    (tmp_path / "out.py").write_bytes(b"mine")
    refused = call(*arguments)
    assert (refused.code, (tmp_path / "out.py").read_bytes()) == (2, b"mine")
    assert "another file" in refused.err


def test_signals_of_a_strategy_cover_its_universe(call: Call, finished_run: Finished, tmp_path: Path) -> None:
    best, *_ = (row["id"] for row in asked(call, finished_run, "strategies", "list")["strategies"])  # type: ignore[call-overload]
    universe = asked(call, finished_run, "strategies", "show", best)["universe"]  # type: ignore[call-overload]
    path = tmp_path / "signals.csv"
    written: Any = asked(call, finished_run, "strategies", "export", best, "--to", "csv", "--output", str(path))
    assert written == {"id": best, "to": "csv", "path": str(path)}
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["symbol"] for row in rows} == set(universe)
    assert max(abs(float(row["target"])) for row in rows) > 0


def test_the_life_of_a_strategy_is_told_and_two_are_compared(call: Call, finished_run: Finished) -> None:
    best, *others = (row["id"] for row in asked(call, finished_run, "strategies", "list")["strategies"])  # type: ignore[call-overload]
    told: Any = asked(call, finished_run, "strategies", "history", best)
    assert [(move["to"], move["rule"]) for move in told["moves"]] == [("born", "birth")]
    counted: Any = asked(call, finished_run, "strategies", "summary")
    assert counted["stages"]["born"] == 1 + len(others)
    same: Any = asked(call, finished_run, "strategies", "diff", best, best)
    assert same["differences"] == {}
    for command in (("history", best), ("summary",), ("diff", best, best)):
        assert call("strategies", *command, "--data-dir", finished_run.data_dir).code == 0


def test_a_night_has_ranked_the_symbols_of_its_market(call: Call, finished_run: Finished) -> None:
    ranked: Any = asked(call, finished_run, "sql", "select symbol, place, score from symbol_ranks order by place")
    assert {row["symbol"] for row in ranked} == {"SIM-ONE", "SIM-SIX", "SIM-TWO"}
    assert [row["place"] for row in ranked] == [1, 2, 3]
    assert sum(row["score"] for row in ranked) == pytest.approx(1.5)  # three ranks of 0, 1/2 and 1


def test_a_person_s_yes_moves_nobody_whose_days_were_never_booked(call: Call, finished_run: Finished) -> None:
    best = asked(call, finished_run, "strategies", "list", "--limit", "1")["strategies"][0]["id"]  # type: ignore[call-overload]
    for arguments in (("performance", best), ("move", best, "live", "--reason", "y")):
        said = call("strategies", *arguments, "--data-dir", finished_run.data_dir)
        assert said.code == 2
        assert "never watched" in said.err
    assert asked(call, finished_run, "strategies", "mark")[0]["rows"] == 0
    said = call("strategies", "move", best, "rich", "--reason", "y", "--data-dir", finished_run.data_dir)
    assert said.code == 2
    assert "no stage 'rich'" in said.err


def test_an_account_shows_what_can_be_executed(call: Call, finished_run: Finished) -> None:
    best = asked(call, finished_run, "strategies", "list", "--limit", "1")["strategies"][0]["id"]  # type: ignore[call-overload]
    small, usual = (
        asked(call, finished_run, "strategies", "account", best, *more) for more in (("--equity", "2000"), ())
    )
    wanted = {
        *("equity_usd", "sharpe", "sharpe_sleeves", "annual_return", "annual_return_usd", "volatility"),
        *("max_drawdown", "tracking_error", "orders_per_day", "median_order_usd", "smallest_order_usd"),
        *("gross_mean", "gross_max", "fees_usd_year", "min_equity_usd", "capacity_usd", "sentences", "order_hash"),
    }
    assert wanted <= set(usual)
    assert (small["equity_usd"], usual["equity_usd"]) == (2_000.0, 10_000.0)  # type: ignore[call-overload]
    assert small["order_hash"] != usual["order_hash"]  # type: ignore[call-overload]
    assert usual["smallest_order_usd"] >= 10.0  # type: ignore[call-overload]
    said = call("strategies", "account", best, "--data-dir", finished_run.data_dir)
    assert said.code == 0
    assert all(word in said.out for word in ("unseen", "in sample", "1,000 USD", "100,000 USD", *usual["sentences"]))  # type: ignore[call-overload]


def test_the_ten_heaviest_members_are_shown_with_their_familys_genes_and_all_on_request(
    call: Call, finished_run: Finished
) -> None:
    listed = asked(call, finished_run, "strategies", "list")["strategies"]  # type: ignore[call-overload]
    largest = max(listed, key=lambda row: row["genomes"])["id"]
    where = ("--data-dir", finished_run.data_dir)
    members = json.loads(call("strategies", "show", largest, "--json", *where).out)["members"]
    heaviest = [
        f"{member['family']}_{member['generation']}_{member['hash'][:8]}"
        for member in sorted(members, key=lambda member: -member["weight"])
    ]
    brief, full = (call("strategies", "show", largest, *options, *where).out for options in ((), ("--full",)))
    assert [name for name in heaviest if name in brief] == heaviest[:10]
    assert ("lighter ones" in brief) == (len(heaviest) > 10)
    assert "max_holding_hours" not in brief
    assert all(name in full for name in heaviest)
    assert "max_holding_hours" in full


def test_a_strategy_is_replayed_to_the_trades_of_its_backtest(call: Call, finished_run: Finished) -> None:
    listed = call("strategies", "list", "--json", "--data-dir", finished_run.data_dir)
    id = json.loads(listed.out)["strategies"][0]["id"]
    replays = [call("replay", id, "--mode", "minimal", "--json", "--data-dir", finished_run.data_dir) for _ in range(2)]
    assert [said.code for said in replays] == [0, 0]
    assert replays[0] == replays[1]
    found = json.loads(replays[0].out)
    assert [period["bars"] for period in found["periods"]] == [14 * 24]
    shown = call("strategies", "show", id, "--data-dir", finished_run.data_dir).out
    assert "hash " + found["trade_hash"][:16] in " ".join(shown.split())
    refused = call("replay", id, "--mode", "slow", "--data-dir", finished_run.data_dir)
    assert refused.code == 2
    assert "use one of minimal, fast, full" in refused.err


def test_a_retired_strategy_leaves_the_list_with_its_reason(call: Call, finished_run: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished_run.data_dir / "strategies", tmp_path / "data" / "strategies")
    best = json.loads(call("strategies", "list", "--json").out)["strategies"][0]["id"]
    assert call("strategies", "archive", best, "--reason", "I do not trust it").code == 0
    assert best not in call("strategies", "list", "--json").out
    assert "I do not trust it" in call("strategies", "show", best, "--json").out


def test_the_archive_is_shown_as_a_grid_and_counted(call: Call, finished_run: Finished) -> None:
    found: dict[str, Any] = asked(call, finished_run, "archive", "show")  # type: ignore[assignment]
    assert found["elites"] == len(found["archive"]) == sum(row["elites"] for row in found["families"]) > 0
    assert found["coverage"] == pytest.approx(found["elites"] / found["cells"])
    assert found["qd_score"] == pytest.approx(sum(row["sharpe"] for row in found["archive"]))
    said = call("archive", "show", "--date", LAST.isoformat(), "--data-dir", finished_run.data_dir)
    assert said.code == 0
    assert all(row["family"] in said.out for row in found["families"])
    assert f"{found['elites']} of {found['cells']} cells" in said.out


def test_a_day_without_an_archive_is_named(call: Call, finished_run: Finished) -> None:
    said = call("archive", "show", "--date", "2024-01-05", "--json", "--data-dir", finished_run.data_dir)
    assert said.code == 2
    error = json.loads(said.out)["error"]
    assert "2024-01-05" in error["what"]
    assert LAST.isoformat() in error["remedy"]


def test_sql_answers_as_table_json_and_csv(call: Call, finished_run: Finished) -> None:
    query = "select symbol, count(*) as bars from candles group by symbol order by symbol"
    rows = [{"symbol": symbol, "bars": 2880} for symbol in ("SIM-ONE", "SIM-SIX", "SIM-TWO")]
    assert asked(call, finished_run, "sql", query) == rows
    text = call("sql", query, "--csv", "--data-dir", finished_run.data_dir).out
    assert [row["symbol"] for row in csv.DictReader(io.StringIO(text))] == ["SIM-ONE", "SIM-SIX", "SIM-TWO"]
    assert "3 rows" in call("sql", query, "--data-dir", finished_run.data_dir).out
    assert asked(call, finished_run, "sql", query, "--format", "json") == rows
    assert call("sql", query, "--format", "csv", "--data-dir", finished_run.data_dir).out == text
    assert call("sql", query, "--format", "csv", "--json", "--data-dir", finished_run.data_dir).code == 2


def test_long_cells_are_cut_in_tables_alone_and_tables_keep_to_the_width(
    call: Call, finished_run: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    query = "select 7 as n, repeat('abc ', 90) as plan"
    shown = call("sql", query, "--data-dir", finished_run.data_dir).out
    assert max(map(len, shown.splitlines())) <= 70
    assert "…" in shown
    assert len(shown.splitlines()) < 8
    whole = call("sql", query, "--format", "csv", "--data-dir", finished_run.data_dir).out
    assert whole.count("abc") == 90


def test_a_price_in_a_table_is_no_power_of_ten(call: Call, finished_run: Finished) -> None:
    query = "select 29960.1::double as a, 0.00001234567::double as b, 1e18::double as c, 9999.96::double as d"
    shown = call("sql", query, "--data-dir", finished_run.data_dir).out.splitlines()
    assert [line.split() for line in shown if "1e+18" in line] == [["29960", "1.235e-05", "1e+18", "10000"]]


def test_where_columns_have_no_room_beside_each_other_each_row_has_lines_of_its_own(
    call: Call, finished_run: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    columns = ", ".join(f"'value {n}' as column_{n}" for n in range(9))
    lines = call("sql", f"select {columns}", "--data-dir", finished_run.data_dir).out.splitlines()
    assert [line.split() for line in lines if "column_" in line] == [[f"column_{n}", "value", f"{n}"] for n in range(9)]
    assert lines[-1] == "1 row"


@pytest.mark.parametrize(
    "query",
    [
        "drop view candles",
        "create table t (a int)",
        "copy candles to 'out.csv'",
        "select 1; select 2",
        "select * from nothing",
        "selekt 1",
    ],
)
def test_sql_changes_nothing_and_says_what_there_is(query: str, call: Call, finished_run: Finished) -> None:
    before = {path for path in finished_run.data_dir.rglob("*") if path.is_file()}
    said = call("sql", query, "--json", "--data-dir", finished_run.data_dir)
    assert said.code == 2
    assert json.loads(said.out)["error"]["remedy"]
    assert {path for path in finished_run.data_dir.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("query", "helps"),
    [
        ("select * from nothing", "candles"),
        ("select nothing from candles", "describe DATASET"),
        ("select count(*) days, min(date) from candles", "double quotes"),
        ("select cast('a' as integer)", "mend the query"),
    ],
)
def test_the_remedy_of_a_query_is_for_what_is_wrong_with_it(
    query: str, helps: str, call: Call, finished_run: Finished
) -> None:
    said = call("sql", query, "--json", "--data-dir", finished_run.data_dir)
    assert helps in json.loads(said.out)["error"]["remedy"]


def test_data_are_listed_and_judged(call: Call, finished_run: Finished) -> None:
    (held,) = asked(call, finished_run, "data", "list")
    assert (held["days"], held["cycles"], held["interval"], held["last"]) == (120, 1, "1h", LAST.isoformat())
    table = call("data", "list", "--data-dir", finished_run.data_dir).out
    assert [str(value) in table for value in held.values()] == [True] * len(held)
    judged = asked(call, finished_run, "data", "quality")
    assert {score["of"] for score in judged["scores"]} == {"the market", "SIM-ONE", "SIM-SIX", "SIM-TWO"}  # type: ignore[call-overload]
    assert all(0.95 < score["score"] <= 1 for score in judged["scores"])  # type: ignore[call-overload]


def test_an_import_says_whose_funding_stops_and_refuses_it_where_it_is_required(tmp_path: Path, call: Call) -> None:
    import polars as pl

    hours = pl.datetime_range(
        datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 11, tzinfo=UTC), "1h", closed="left", eager=True
    )
    folder = tmp_path / "mine"
    folder.mkdir()
    bars = {name: [1.0] * len(hours) for name in ("open", "high", "low", "close", "volume")}
    for symbol, settled in (("BTC", len(hours)), ("ETH", 96), ("SOL", 0)):
        pl.DataFrame({"timestamp": hours, **bars}).write_parquet(folder / f"{symbol}.parquet")
        rates = pl.DataFrame({"timestamp": hours, "funding_rate": [1e-5] * len(hours)}).head(settled)
        if settled:
            rates.write_parquet(folder / f"{symbol}.funding.parquet")
    said = json.loads(call("data", "import", "mine", "--json").out)
    assert said["without_funding"] == ["SOL"]
    # The settlement at the first midnight belongs to the day before; the last is in force until two have not come.
    assert said["funding_known"] == pytest.approx({"BTC": 239 / 240, "ETH": 96 / 240, "SOL": 0.0}, abs=1.5 / 240)
    judged = json.loads(call("data", "quality", "--json").out)["scores"]
    assert {one["of"]: one["funding"] for one in judged if one["of"] in said["funding_known"]} == pytest.approx(
        said["funding_known"]
    )
    shown = call("data", "import", "mine").out
    assert "NO FUNDING of SOL; FUNDING of ETH is known on" in shown
    assert "FUNDING of BTC" not in shown
    refused = call("data", "import", "mine", "--require-funding", "--json")
    assert refused.code == 2
    assert "ETH" in json.loads(refused.out)["error"]["what"]


def test_files_are_imported_judged_and_searched(tmp_path: Path, finished_run: Finished, call: Call) -> None:
    """What one market left in the lake is another person's folder of files."""
    candles = call(
        "sql",
        "select symbol, timestamp, open, high, low, close, volume from candles",
        "--csv",
        "--data-dir",
        finished_run.data_dir,
    ).out
    import polars as pl

    frame = pl.read_csv(io.StringIO(candles), try_parse_dates=True).sort("timestamp", "symbol")
    (tmp_path / "mine").mkdir()
    stamps = pl.col("timestamp").cast(pl.Datetime("ms", "UTC"))
    frame.with_columns(stamps).write_parquet(tmp_path / "mine" / "candles.parquet")
    said = call("data", "import", "mine", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["market"] == "files-mine"
    assert call("data", "quality", "--market", "files-mine").code == 0
    small = ("--strategies", "8", "--batch-size", "8", "--generations", "0", "--families", "ema_crossover")
    searched = call("evolve", "--path", "mine", *small, "--json")
    assert searched.code == 0, searched.err
    assert json.loads(searched.out)["market"] == "files-mine"


def test_an_empty_data_folder_says_how_to_fill_it(call: Call) -> None:
    assert "data import" in call("data", "list").out
    assert "quant-organism run" in call("strategies", "list").out
    assert call("data", "quality").code == 2


def test_the_doctor_finds_a_working_folder_well(call: Call, finished_run: Finished) -> None:
    said = call("doctor", "--json", "--data-dir", finished_run.data_dir)
    found = json.loads(said.out)
    assert said.code == 0
    assert found["ok"]
    assert {"Python", "packages", "disk", "strategies", "lake"} <= {finding["what"] for finding in found["findings"]}


def test_the_doctor_names_what_is_broken_and_the_remedy(call: Call, tmp_path: Path) -> None:
    for folder in ("active", "archive"):
        (tmp_path / "data" / "strategies" / folder).mkdir(parents=True)
    (tmp_path / "data" / "strategies" / "active" / "rsi_filter_1_0f1e2d3c.json").write_text("{", encoding="utf-8")
    said = call("doctor", "--json")
    assert said.code == 1
    broken = [finding for finding in json.loads(said.out)["findings"] if finding["state"] == "broken"]
    assert [finding["what"] for finding in broken] == ["strategies"]
    assert "rsi_filter_1_0f1e2d3c.json" in broken[0]["found"]
    assert broken[0]["remedy"]


def truncated(data_dir: Path) -> Path:
    """Cut off the end of a candle file, as a full disk or a power cut does."""
    part = sorted((data_dir / "lake" / "candles").rglob("*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:-20])
    return part


def zeroed(data_dir: Path) -> Path:
    """Write zeros over a page in the middle of Dagster's database of runs."""
    path = data_dir / "dagster_home" / "history" / "runs.db"
    whole = bytearray(path.read_bytes())
    whole[4096 : len(whole) // 4096 * 4096] = bytes(len(whole) // 4096 * 4096 - 4096)
    path.write_bytes(bytes(whole))
    return path


def forgotten(data_dir: Path) -> Path:
    """Delete the register of looks, whose counter would begin at nothing again."""
    folder = data_dir / "lake" / "holdout_openings"
    shutil.rmtree(folder)
    return folder


def forgotten_where_nobody_survived(data_dir: Path) -> Path:
    """Delete the register of a cycle that let nobody into the pool."""
    shutil.rmtree(data_dir / "strategies")
    return forgotten(data_dir)


def overwritten(data_dir: Path) -> Path:
    """Write over the pages of a trader's ledger."""
    path = ledger_path(data_dir, "paper")
    TraderLedger(path).close()
    whole = bytearray(path.read_bytes())
    whole[4096:] = b"?" * (len(whole) - 4096)
    path.write_bytes(bytes(whole))
    return path


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (truncated, "files of the lake"),
        (zeroed, "Dagster databases"),
        (overwritten, "trader's files"),
        (forgotten, "register of looks"),
        (forgotten_where_nobody_survived, "register of looks"),
    ],
)
def test_the_doctor_finds_what_was_damaged_at_rest(
    call: Call, finished_run: Finished, tmp_path: Path, harm: Callable[[Path], Path], what: str
) -> None:
    data_dir = tmp_path / "hurt"
    shutil.copytree(finished_run.data_dir, data_dir)
    harmed = harm(data_dir)
    said = call("doctor", "--json", "--data-dir", data_dir)
    (broken,) = [finding for finding in json.loads(said.out)["findings"] if finding["state"] == "broken"]
    assert (said.code, broken["what"]) == (1, what)
    assert str(harmed) in broken["found"] + broken["remedy"]


def test_a_damaged_dagster_database_is_named_before_anything_is_computed(
    call: Call, finished_run: Finished, tmp_path: Path
) -> None:
    data_dir = tmp_path / "hurt"
    shutil.copytree(finished_run.data_dir, data_dir)
    path = zeroed(data_dir)
    said = call("run", "--world", finished_run.world, "--profile", "smoke", "--data-dir", data_dir, "--json")
    error = json.loads(said.out)["error"]
    assert (said.code, error["kind"], error["where"]) == (2, "IntegrityError", str(path))
    assert "a database of the Dagster instance is damaged" in error["what"]


def test_a_folder_in_which_dagster_would_not_find_its_settings_is_refused(
    call: Call, finished_run: Finished, tmp_path: Path
) -> None:
    said = call("run", "--world", finished_run.world, "--data-dir", tmp_path / "a[b]", "--json")
    error = json.loads(said.out)["error"]
    assert (said.code, error["where"]) == (2, str(tmp_path / "a[b]"))
    assert "* ? [" in error["what"]


def test_unreadable_documents_show_in_the_exit_code(call: Call, tmp_path: Path) -> None:
    (tmp_path / "data" / "strategies" / "active").mkdir(parents=True)
    (tmp_path / "data" / "strategies" / "active" / "rsi_filter_1_0f1e2d3c.json").write_text("{", encoding="utf-8")
    assert call("strategies", "list", "--data-dir", tmp_path / "data").code == 1
    said = call("strategies", "list", "--json", "--data-dir", tmp_path / "data")
    assert (said.code, len(json.loads(said.out)["problems"])) == (1, 1)


def test_the_doctor_notes_a_taken_port(call: Call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = call("doctor", "--json", "--port", str(taken.getsockname()[1]))
    assert said.code == 0
    (port,) = [finding for finding in json.loads(said.out)["findings"] if finding["what"] == "web UI"]
    assert port["state"] == "note"


def test_cycles_are_listed_with_what_came_of_them_and_the_latest_of_a_day_has_a_star(
    call: Call, finished_run: Finished
) -> None:
    (row,) = asked(call, finished_run, "runs", "list")
    best = asked(call, finished_run, "strategies", "list")["strategies"][0]["id"]  # type: ignore[call-overload]
    assert f"in cycle {row['cycle']}" in call("strategies", "show", best, "--data-dir", finished_run.data_dir).out
    assert (row["date"], row["seed"], row["state"], row["latest"]) == (LAST.isoformat(), 0, "complete", True)
    assert (row["profile"], row["gates"]) == ("smoke", "full")
    assert row["deployed"] == len(asked(call, finished_run, "strategies", "list", "--stage", "shadow")["strategies"])  # type: ignore[call-overload]
    assert Path(str(row["report"])).is_file()
    shown = call("runs", "list", "--data-dir", finished_run.data_dir)
    assert f"{row['cycle']} *" in shown.out
    none = call("runs", "list", "--date", "2024-01-01", "--data-dir", finished_run.data_dir)
    assert (none.code, none.out) == (0, "No cycles here on 2024-01-01.\n")


def test_a_cycle_is_meant_by_its_name_how_it_begins_or_its_day(call: Call, finished_run: Finished) -> None:
    (row,) = asked(call, finished_run, "runs", "list")
    id, day, where = str(row["cycle"]), str(row["date"]), ("--data-dir", finished_run.data_dir)
    for name in (id, id[:4], day, f"{day}/{id}", f"{row['market']}/{day}/{id}", f"{row['market']}/{day}"):
        said = call("runs", "compare", id, name, *where)
        assert said.code == 0, said.err
        assert "Nothing was set differently." in said.out
        assert "Documents written by both" in said.out
    for unknown in ("nothing", "", f"2024-01-01/{id}", "2024-01-01"):
        refused = call("runs", "compare", id, unknown, "--json", *where)
        assert refused.code == 2
        assert id in json.loads(refused.out)["error"]["remedy"]
