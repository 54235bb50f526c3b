import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from quant_organism.errors import BusyError, InputError, StorageError
from quant_organism.market import CycleIndex, Interval, Lake
from quant_organism.market.lake import place_lake
from quant_organism.market.query import ask, connect
from quant_organism.market.tables import CandleTable, CycleIndexTable
from quant_organism.resilience import (
    alone_in,
    check_conditions,
    leases,
    located,
    object_folder,
    take_keys_from,
    write_file,
)
from quant_organism.settings import credential
from quant_organism_tests.s3_server import KEY, S3Server, s3_server

DAY = date(2025, 1, 1)
HOUR = Interval.parse("1h")

HOLDING = """
import sys
from quant_organism.resilience import alone_in, leases, object_folder, take_keys_from, write_file
from quant_organism.settings import credential
take_keys_from(credential)
leases.LEASE_S = 1.0
folder = object_folder(sys.argv[1], endpoint=sys.argv[2])
with alone_in(folder, "counting"):
    write_file(folder / "of-the-first", b"begun")
    print("held", flush=True)
    sys.stdin.readline()
    write_file(folder / "register", b"of the first")
"""

WRITING = """
import sys
from quant_organism.resilience import object_folder, take_keys_from, write_file
from quant_organism.settings import credential
take_keys_from(credential)
path = object_folder(sys.argv[1], endpoint=sys.argv[2]) / "part.parquet"
for number in range(10**9):
    write_file(path, bytes([number % 251]) * 200_000)
    print("written", flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    take_keys_from(credential)


def candles(close: float) -> pl.DataFrame:
    rows = [(datetime(2025, 1, 1, hour, tzinfo=UTC), "BTC", close, close, close, close, 1.0) for hour in range(24)]
    names = [CandleTable.timestamp, CandleTable.symbol, "open", "high", "low", "close", "volume"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    return frame.select(pl.col(name).cast(kind) for name, kind in CandleTable.schema.items())


def start(program: str, *arguments: str) -> "subprocess.Popen[str]":
    command, pipe = [sys.executable, "-c", program, *arguments], subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **KEY})


def test_a_lake_holds_the_same_bytes_there_as_in_a_folder_and_answers_the_same(
    server: S3Server, tmp_path: Path
) -> None:
    place_lake(tmp_path / "elsewhere" / "lake", folder := server.folder())
    here, there = Lake(tmp_path / "here" / "lake"), Lake(tmp_path / "elsewhere" / "lake")
    for lake in (here, there):
        for day in (1, 2, 3):
            lake.table(CandleTable).write(candles(day), market="m", day=date(2025, 1, day), interval="1h")
        lake.record_source("m", {"kind": "files"})
        index = CycleIndex(lake.root, "m", HOUR)
        index.begin(DAY, "one", "plan", 0)
        index.begin(DAY, "two", "plan", 1)
        index.make_latest(DAY, "two")

    local = {path.relative_to(here.root).as_posix(): path.read_bytes() for path in here.root.rglob("*.*")}
    remote = {"/".join(path.keys[len(folder.keys) :]): path.read_bytes() for path in folder.rglob("*")}
    assert set(local) == set(remote)
    assert {name: local[name] for name in local if not name.endswith(".lock")} == {
        name: remote[name] for name in remote if not name.endswith(".lock")
    }
    assert here.markets() == there.markets()
    for lake in (here, there):
        assert lake.table(CandleTable).days(market="m", interval="1h") == [date(2025, 1, day) for day in (1, 2, 3)]
        assert lake.read("candles", market="m", interval="1h", start=date(2025, 1, 2)).height == 48
        assert CycleIndex(lake.root, "m", HOUR).latest(DAY) == "two"
    question = "select date, market, count(*) n, sum(close) s from candles group by all order by date"
    answers = [ask(connect(lake.root, [CandleTable, CycleIndexTable]), question) for lake in (here, there)]
    assert answers[0].equals(answers[1])
    assert answers[0]["n"].to_list() == [24, 24, 24]


def test_sql_reaches_nothing_but_its_lake(server: S3Server, tmp_path: Path) -> None:
    other, own = server.folder(), server.folder()
    Lake(other).table(CandleTable).write(candles(1.0), market="m", day=DAY, interval="1h")
    Lake(own).table(CandleTable).write(candles(1.0), market="m", day=DAY, interval="1h")
    connection = connect(own, [CandleTable])
    part = f"{'/'.join(other.keys)}/candles/market=m/interval=1h/date=2025-01-01/part.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "secret.parquet")
    for elsewhere in (f"lake://{part}", f"s3://organism/{part}", str(tmp_path / "secret.parquet")):
        with pytest.raises(InputError):
            ask(connection, f"select * from read_parquet('{elsewhere}')")
    assert ask(connection, "select count(*) n from candles")["n"][0] == 24


def test_a_reader_sees_one_of_the_tables_that_two_writers_write_at_once(server: S3Server) -> None:
    lake, ended = Lake(server.folder()), threading.Event()
    where = {"market": "m", "day": DAY, "interval": "1h"}
    lake.table(CandleTable).write(candles(1.0), **where)

    def write(values: tuple[float, float]) -> None:
        for number in range(40):
            lake.table(CandleTable).write(candles(values[number % 2]), **where)

    def read() -> set[float]:
        seen = set()
        while not ended.is_set():
            rows = lake.table(CandleTable).read_day(DAY, market="m", interval="1h")
            assert rows.height == 24
            assert rows["close"].n_unique() == 1
            seen.add(rows["close"][0])
        return seen

    with ThreadPoolExecutor() as pool:
        reading, writing = pool.submit(read), [pool.submit(write, values) for values in ((1.0, 2.0), (3.0, 4.0))]
        wait(writing)
        ended.set()
        assert [one.result() for one in writing] == [None, None]
        assert reading.result() <= {1.0, 2.0, 3.0, 4.0}
        assert len(reading.result()) > 1


def test_a_writer_that_is_killed_leaves_the_old_file_or_the_new_one(server: S3Server) -> None:
    folder = server.folder()
    with start(WRITING, str(folder), server.endpoint) as process:
        assert process.stdout is not None
        for _ in range(20):
            assert process.stdout.readline() == "written\n"
        process.kill()
    content = (folder / "part.parquet").read_bytes()
    assert len(content) == 200_000
    assert content == content[:1] * 200_000


def test_a_write_in_place_of_another_version_changes_nothing(server: S3Server) -> None:
    path = server.folder() / "register"
    first = path.write(b"first", None)
    assert first is not None
    assert path.write(b"as if there were none", None) is None
    second = path.write(b"second", first)
    assert second is not None
    assert path.write(b"in place of the first", first) is None
    assert path.read_version() == (b"second", second)


def test_of_many_who_count_under_a_lock_none_is_lost(server: S3Server) -> None:
    folder = server.folder()

    def count() -> None:
        for _ in range(3):
            with alone_in(folder, "counting"):
                path = folder / "count"
                held = int(path.read_bytes()) if path.exists() else 0
                write_file(path, str(held + 1).encode())

    with ThreadPoolExecutor(4) as pool:
        for counting in [pool.submit(count) for _ in range(4)]:
            counting.result()
    assert (folder / "count").read_bytes() == b"12"


def test_a_lock_is_kept_while_its_holder_lives_and_taken_when_it_was_killed(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_S", 1.0)
    folder = server.folder()
    with start(HOLDING, str(folder), server.endpoint) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match="counting for 2 seconds"), alone_in(folder, "counting", patience_s=2.0):
            pass
        process.kill()
    with alone_in(folder, "counting", patience_s=30.0):
        write_file(folder / "register", b"of the second")
    assert (folder / "register").read_bytes() == b"of the second"


def test_a_holder_that_was_stopped_until_others_took_its_lock_writes_nothing_more(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_S", 1.0)
    folder = server.folder()
    process = start(HOLDING, str(folder), server.endpoint)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGSTOP)
    with alone_in(folder, "counting", patience_s=30.0):
        write_file(folder / "register", b"of the second")
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate("go on\n", timeout=60)
    assert "the lock was lost" in err
    assert (folder / "register").read_bytes() == b"of the second"


def test_a_server_that_writes_in_spite_of_conditions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGNORE_CONDITIONS", "1")
    with s3_server() as careless, pytest.raises(StorageError, match="does not keep the conditions"):
        check_conditions(careless.folder())


def test_what_keeps_the_store_away_is_said(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = object_folder("s3://organism/lake", endpoint="http://127.0.0.1:9")
    with pytest.raises(StorageError, match=r"http://127\.0\.0\.1:9 does not answer") as away:
        write_file(nobody / "a", b"")
    assert away.value.where == "s3://organism/lake/a"
    with pytest.raises(StorageError, match="has no bucket elsewhere"):
        Lake(object_folder("s3://elsewhere/lake", endpoint=server.endpoint)).markets()

    def allowed_without_a_known_key(times: str) -> None:
        kind = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{server.endpoint}/moto-api/reset-auth", times.encode(), kind)
        urllib.request.urlopen(request).close()

    folder = server.folder()
    allowed_without_a_known_key("0")
    try:
        with pytest.raises(StorageError, match="refuses the key") as refused:
            Lake(folder).markets()
    finally:
        allowed_without_a_known_key("inf")
    assert not any(secret in str(refused.value) for secret in KEY.values())
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(InputError, match="holds no key to it: AWS_SECRET_ACCESS_KEY"):
        Lake(folder).markets()


@pytest.mark.parametrize(
    ("url", "endpoint", "expected"),
    [
        ("https://bucket/lake", None, "no address of a lake"),
        ("s3://key:secret@bucket/lake", None, "no address of a lake"),
        ("s3://BUCKET/lake", None, "no name of a bucket"),
        ("s3://bucket/../lake", None, "'..' cannot be part"),
        ("s3://bucket//lake", None, "'' cannot be part"),
        ("s3://bucket/la*ke", None, "cannot be part"),
        ("s3://bucket/lake", "http://10.0.0.5:9000", "without TLS"),
        ("s3://bucket/lake", "http://127.0.0.1.example.org", "without TLS"),
        ("s3://bucket/lake", "https://key:secret@host", "not the address of a server"),
        ("s3://bucket/lake", "file:///etc", "not the address of a server"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str, endpoint: str | None, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as refused:
        object_folder(url, endpoint=endpoint)
    assert "secret" not in str(refused.value)


def test_a_data_folder_has_one_lake(server: S3Server, tmp_path: Path) -> None:
    root, folder = tmp_path / "lake", server.folder()
    place_lake(root, folder)
    assert located(root) == folder
    place_lake(root, folder)
    with pytest.raises(InputError, match="already"):
        place_lake(root, server.folder())
    with pytest.raises(StorageError, match="a file is where a folder should be"):
        write_file(root / "candles" / "part.parquet", b"by whoever knows nothing of it")
    filled = tmp_path / "filled" / "lake"
    Lake(filled).record_source("m", {})
    with pytest.raises(InputError, match="must not begin anew"):
        place_lake(filled, folder)


def test_files_and_folders_are_found_by_the_patterns_of_a_folder(server: S3Server, tmp_path: Path) -> None:
    folder, names = server.folder(), ["a/market=x/date=1/part.parquet", "a/market=x/date=2/cycle=c/part.parquet"]
    names += ["a/market=xy/date=1/part.parquet", "b/market=z/interval=1h/date=1/p.parquet", "b.json", "markets/m.json"]
    for name in names:
        write_file(folder / name, b"")
        write_file(tmp_path / name, b"")
    for pattern in (
        *("*/market=*", "a/market=x/date=*/part.parquet", "a/market=*/date=*/cycle=*/*.parquet", "markets/*.json"),
        *("*/", "*", "a/market=x/date=*", "b/market=*/interval=1h", "nowhere/*", "*.json", "a/*/date=1/*"),
    ):
        local = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob(pattern))
        assert sorted("/".join(path.keys[len(folder.keys) :]) for path in folder.glob(pattern)) == local, pattern
    assert len(list(folder.rglob("*.parquet"))) == 4
    assert (folder / "a").exists()
    assert not (folder / "a/market=xyz").exists()
    with suppress(FileNotFoundError):
        (folder / "nothing").unlink()
        raise AssertionError
    (folder / "b.json").unlink()
    assert not (folder / "b.json").exists()
