"""Health: each injected cause is seen where it belongs, unknown is not healthy, and the trader's worst decides."""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from quant_organism.deployment import StrategyRepository
from quant_organism.market import Lake
from quant_organism.market.tables import REASONS, CandleQualityTable, CandleTable, CycleIndexTable
from quant_organism.monitoring import components
from quant_organism.monitoring.components import ComponentHealth, Status
from quant_organism.monitoring.system_health import LEVELS, TRADER, WEIGHTS, SystemHealth, last_recorded, record
from quant_organism.monitoring.trader_metrics import trader_registry
from quant_organism.trading.breakers import LIQUIDATION, REJECTIONS
from quant_organism.trading.kill import KillFlag, kill_file, raise_flag
from quant_organism.workflows import WorkflowRunTable, WorkflowStore, correlation_id
from quant_organism_tests.deployment.documents import records
from quant_organism_tests.monitoring.trading_ledger import CLOSE, FILL, HOUR, PLAN, traded
from quant_organism_tests.trading.sessions import strategy

SOON = CLOSE + 60_000
DAY = date(2024, 1, 31)
AT_ONCE = int(datetime(2024, 2, 1, 4, tzinfo=UTC).timestamp() * 1_000)


def trader(data_dir: Path, now_ms: int = SOON) -> dict[str, ComponentHealth]:
    return {one.component: one for one in components.trader_health(data_dir, now_ms)}


def statuses(data_dir: Path, now_ms: int = SOON) -> dict[str, Status]:
    return {name: one.status for name, one in trader(data_dir, now_ms).items()}


def ill(data_dir: Path, now_ms: int = SOON) -> dict[str, Status]:
    return {name: status for name, status in statuses(data_dir, now_ms).items() if status != "ok"}


def test_a_trader_that_was_never_started_is_not_ill(tmp_path: Path) -> None:
    assert statuses(tmp_path) == dict.fromkeys(TRADER, "unused")


def test_a_trader_that_trades_is_well_and_every_value_has_its_age(tmp_path: Path) -> None:
    traded(tmp_path)
    found = trader(tmp_path)
    assert {name: one.status for name, one in found.items()} == dict.fromkeys(TRADER, "ok")
    assert all(one.value is not None and one.unit and one.age_s == 60.0 for one in found.values())
    assert not any(one.remedy for one in found.values())


@pytest.mark.parametrize(
    ("late_ms", "feed", "others"),
    [
        (HOUR + 299_000, "ok", "ok"),
        (HOUR + 301_000, "degraded", "unknown"),
        (2 * HOUR - 1_000, "degraded", "unknown"),
        (2 * HOUR, "failed", "unknown"),
    ],
)
def test_a_stale_feed_is_seen_and_what_was_read_long_ago_is_not_believed(
    tmp_path: Path, late_ms: int, feed: Status, others: Status
) -> None:
    traded(tmp_path)
    found = statuses(tmp_path, CLOSE + late_ms)
    assert found == {"feed": feed, "venue": others, "clock": others, "ledger": "ok", "risk": "ok"}


def test_a_ledger_whose_records_do_not_make_the_account_is_a_mismatch(tmp_path: Path) -> None:
    folder = traded(tmp_path)
    trade = replace(FILL, lots=1, size=0.001, notional=100_000, fee=0)
    folder.write(trade, replace(trade, lots=-1, size=-0.001, notional=200_000))
    found = trader(tmp_path)["ledger"]
    assert (found.status, found.value) == ("failed", 1.0)
    assert found.found.startswith("cash, micro-USD, by fills and flows: records ")
    folder.write(replace(trade, lots=-1, size=-0.001))
    found = trader(tmp_path)["ledger"]
    assert (found.status, found.value) == ("failed", 2.0)
    assert "lots of BTC: records 49, account 50" in found.found


def test_a_ledger_that_is_no_database_has_failed_and_the_rest_is_unknown(tmp_path: Path) -> None:
    folder = traded(tmp_path)
    folder.path.write_bytes(b"no database at all" * 100)
    assert ill(tmp_path) == {**dict.fromkeys(TRADER, "unknown"), "ledger": "failed"}


def test_pages_of_a_ledger_that_were_written_over_are_seen_by_health_and_by_metrics(tmp_path: Path) -> None:
    path = traded(tmp_path).path
    with path.open("r+b") as file:  # the first page says that it is a ledger; the others say what is in it
        file.seek(4_096)
        file.write(bytes(path.stat().st_size - 4_096))
    assert ill(tmp_path) == {**dict.fromkeys(TRADER, "unknown"), "ledger": "failed"}
    assert components.open_breakers(tmp_path) == []
    told = generate_latest(trader_registry(tmp_path, "paper", lambda: SOON)).decode()
    assert "quant_organism_trader_up 0.0" in told
    assert "equity_usd" not in told


def test_orders_without_a_ledger_are_unknown_and_not_unused(tmp_path: Path) -> None:
    folder = traded(tmp_path)
    folder.path.with_name("orders-testnet.sqlite").write_bytes(folder.path.read_bytes())
    folder.path.unlink()
    assert statuses(tmp_path) == dict.fromkeys(TRADER, "unknown")


def test_silent_lines_are_the_venues(tmp_path: Path) -> None:
    traded(tmp_path, silent_lines=1)
    assert ill(tmp_path) == {"venue": "failed"}


def test_refused_orders_are_the_venues(tmp_path: Path) -> None:
    traded(tmp_path).trip(REJECTIONS.name)
    assert ill(tmp_path) == {"venue": "degraded"}


@pytest.mark.parametrize(("skew", "status"), [(0.49, "ok"), (0.5, "degraded"), (1.0, "failed"), (None, "unknown")])
def test_a_clock_that_is_off(tmp_path: Path, skew: float | None, status: Status) -> None:
    traded(tmp_path, clock_skew_s=skew)
    assert statuses(tmp_path)["clock"] == status


def test_a_kill_a_stop_and_a_near_liquidation_are_risk(tmp_path: Path) -> None:
    folder = traded(tmp_path)
    folder.write(replace(PLAN, number=2, factor=0.5))
    assert ill(tmp_path) == {"risk": "degraded"}
    folder.write(replace(PLAN, number=3, is_stopped=True))
    assert ill(tmp_path) == {"risk": "failed"}
    folder.write(replace(PLAN, number=4))
    assert ill(tmp_path) == {}
    raise_flag(kill_file(tmp_path), KillFlag(CLOSE, "simulator", "somebody pulled it"))
    assert "somebody pulled it" in trader(tmp_path)["risk"].found
    kill_file(tmp_path).unlink()
    folder.trip(LIQUIDATION.name)
    assert ill(tmp_path) == {"risk": "failed"}


def test_a_session_that_ended_is_no_stale_feed_but_positions_that_nobody_minds_are_told(tmp_path: Path) -> None:
    traded(tmp_path / "paper").end()
    assert statuses(tmp_path / "paper", CLOSE + 99 * HOUR)["feed"] == "unused"
    traded(tmp_path / "testnet", mode="testnet").end()
    left = trader(tmp_path / "testnet", CLOSE + 99 * HOUR)["feed"]
    assert (left.status, "1 positions are held" in left.found) == ("degraded", True)


@pytest.mark.parametrize(
    ("free", "status"), [(10**9 - 1, "failed"), (10**9, "degraded"), (5 * 10**9 - 1, "degraded"), (5 * 10**9, "ok")]
)
def test_a_full_disk(tmp_path: Path, free: int, status: Status) -> None:
    asked: list[Path] = []

    def says(path: Path) -> int:
        asked.append(path)
        return free

    found = components.disk_health(tmp_path / "data" / "not" / "there", says)
    assert (found.status, found.value, bool(found.remedy)) == (status, free, status != "ok")
    assert asked == [tmp_path.resolve()]
    assert components.disk_health(tmp_path).value is not None  # of the real disk


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake with the candles of three days."""
    made = Lake(tmp_path / "lake")
    made.write_days(
        "candles", {DAY - timedelta(days=n): CandleTable.empty() for n in range(3)}, market="made", interval="1h"
    )
    return made


@pytest.mark.parametrize("nights", [0, 1, 3])
def test_a_missed_night_is_counted_by_what_it_did_not_leave(lake: Lake, nights: int) -> None:
    due = DAY + timedelta(days=nights)
    found = components.nights_missed(lake, "made", "1h", due, AT_ONCE)
    assert (found.status, found.value) == ("failed" if nights else "ok", nights)
    assert (f"those of {due} are due" in found.found) == bool(nights)
    assert components.nights_missed(lake, "another", "1h", due, AT_ONCE).status == "unused"


def test_a_file_that_was_cut_off_is_damage_of_the_lake(lake: Lake, tmp_path: Path) -> None:
    assert components.lake_health(tmp_path, AT_ONCE).status == "ok"
    newest = max(lake.root.glob("candles/**/*.parquet"))
    newest.write_bytes(newest.read_bytes()[:-10])
    found = components.lake_health(tmp_path, AT_ONCE)
    assert (found.status, found.value) == ("failed", 1)
    assert str(newest) in found.found
    shutil.rmtree(lake.root)
    assert components.lake_health(tmp_path, AT_ONCE).status == "unused"


@pytest.mark.parametrize(("defective", "status"), [(12, "ok"), (13, "failed")])
def test_quality_below_its_bound(tmp_path: Path, defective: int, status: Status) -> None:
    lake = Lake(tmp_path)
    rows = [
        {"day": day, "symbol": "BTC", "bars": 240, "expected": 240, "defective": n, "score": 1 - n / 240, "reasons": ""}
        | dict.fromkeys(REASONS, 0)
        for day, n in ((DAY - timedelta(days=1), 0), (DAY, defective))
    ]
    frame = CandleQualityTable.frame(rows)
    lake.table(CandleQualityTable, cycle="c").write(frame, market="made", interval="1h", day=DAY)
    lake.table(CycleIndexTable).write(
        CycleIndexTable.frame([("c", "", 0, True)]), market="made", interval="1h", day=DAY
    )
    found = components.quality_health(lake, "made", "1h", 0.95, AT_ONCE)
    assert (found.status, found.value) == (status, 1 - defective / 240)
    assert found.age_s == 4 * 3_600
    assert found.run == f"made/{DAY}/c"
    assert components.quality_health(lake, "other", "1h", 0.95, AT_ONCE).status == "unused"


@pytest.mark.parametrize(("behind", "status"), [(8, "ok"), (9, "degraded"), (16, "degraded"), (17, "failed")])
def test_a_search_that_is_overdue(tmp_path: Path, behind: int, status: Status) -> None:
    lake = Lake(tmp_path)
    lake.write("cycles", CandleQualityTable.empty(), market="made", interval="1h", day=DAY)
    found = components.search_health(lake, "made", "1h", DAY + timedelta(days=behind), AT_ONCE)
    assert (found.status, found.value) == (status, behind)


def run_of(lake: Lake, name: str, hour: int, status: str, schedule: str | None) -> str:
    """Store a run of a workflow, and return its correlation id."""
    begun = datetime(2025, 6, 1, hour, tzinfo=UTC)
    id = correlation_id(begun, bytes(4))
    blank = {
        column: 0 if kind == pl.Int64 else 0.0 if kind == pl.Float64 else DAY if kind == pl.Date else "-"
        for column, kind in WorkflowRunTable.schema.items()
    }
    spec = orjson.dumps({"name": name} if schedule is None else {"name": name, "schedule": schedule}).decode()
    row = blank | {"name": name, "status": status, "begun": begun, "ended": begun, "spec": spec}
    WorkflowStore(lake.root, lake.root / "runs", id).write({WorkflowRunTable: WorkflowRunTable.frame([row])})
    return id


def test_a_workflow_that_failed_by_its_schedule_is_named_until_it_goes_through(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert components.workflows_health(lake, AT_ONCE).status == "unused"
    run_of(lake, "tried", 1, "failed", None)  # whoever started it saw it
    assert components.workflows_health(lake, AT_ONCE).status == "unused"
    failed = run_of(lake, "nightly", 2, "failed", "30 2 * * *")
    found = components.workflows_health(lake, AT_ONCE)
    assert (found.status, found.value, found.run) == ("failed", 1, failed)
    assert failed in found.remedy
    run_of(lake, "nightly", 3, "completed", "30 2 * * *")
    assert (components.workflows_health(lake, AT_ONCE).status, components.workflows_health(lake, AT_ONCE).run) == (
        "ok",
        "",
    )


def test_documents_that_cannot_be_read_and_strategies_that_decay(tmp_path: Path) -> None:
    assert components.strategies_health(tmp_path, AT_ONCE).status == "unused"
    repository, document = StrategyRepository(tmp_path / "strategies"), strategy()
    repository.save(document)
    assert components.strategies_health(tmp_path, AT_ONCE).status == "ok"
    for to, rule in (("shadow", "one look"), ("paper", "night door"), ("decaying", "shortfall")):
        repository.move(document.id, to, at="2025-06-04", reason="a test's", records=records(rule))  # type: ignore[arg-type]
    found = components.strategies_health(tmp_path, AT_ONCE)
    assert (found.status, found.value) == ("degraded", 1)
    assert document.id in found.remedy
    (tmp_path / "strategies" / "active" / f"{document.id}.json").write_text("{")
    assert components.strategies_health(tmp_path, AT_ONCE).status == "failed"


def health(**changed: Status) -> SystemHealth:
    made = tuple(ComponentHealth(name, changed.get(name, "ok"), "") for name in WEIGHTS)
    return SystemHealth(AT_ONCE, made)


@pytest.mark.parametrize("name", TRADER)
@pytest.mark.parametrize("status", ["failed", "unknown"])
def test_an_unhealthy_trader_is_poor_whatever_else_is_well(name: str, status: Status) -> None:
    assert (health(**{name: status}).level, health(**{name: status}).is_well) == ("poor", False)


@pytest.mark.parametrize("name", sorted(WEIGHTS.keys() - set(TRADER)))
def test_another_component_that_fails_leaves_it_degraded(name: str) -> None:
    assert (health(**{name: "failed"}).level, health(**{name: "degraded"}).is_well) == ("degraded", True)


def test_levels_and_nothing_in_use() -> None:
    assert (health().score, health().level) == (1.0, "excellent")
    assert health(**dict.fromkeys(WEIGHTS, "failed")).level == "critical"  # type: ignore[arg-type]
    idle = health(**dict.fromkeys(WEIGHTS.keys() - {"disk"}, "unused"))  # type: ignore[arg-type]
    assert (idle.score, idle.level) == (None, "unknown")
    assert [least for least, _ in LEVELS] == sorted((least for least, _ in LEVELS), reverse=True)


@given(
    st.fixed_dictionaries({name: st.sampled_from(get_args(Status)) for name in WEIGHTS}), st.sampled_from([*WEIGHTS])
)
def test_what_gets_better_never_lowers_the_score(others: dict[str, Status], name: str) -> None:
    order: tuple[Status, ...] = ("failed", "degraded", "ok")
    scores = [health(**{**others, name: status}).score for status in order]
    known = [score for score in scores if score is not None]
    assert known == sorted(known)
    assert all(0.0 <= score <= 1.0 for score in known)


def test_the_history_keeps_each_measurement_of_a_day_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert last_recorded(lake, market="made", interval="1h") is None
    for at, seen in ((AT_ONCE, health()), (AT_ONCE, health()), (AT_ONCE + 5_000, health(disk="failed"))):
        record(lake, replace(seen, at_ms=at), market="made", interval="1h")
    when = datetime(2024, 2, 1, 4, 0, 5, tzinfo=UTC)
    assert last_recorded(lake, market="made", interval="1h") == (when, "degraded")
    rows = lake.read("system_health", market="made", interval="1h")
    assert rows.height == 2 * len(WEIGHTS)
