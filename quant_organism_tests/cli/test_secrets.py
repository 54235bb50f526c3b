"""Keys land nowhere: after a session of everything that touches them, every byte of every file is looked through."""

import base64
import gzip
import io
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import zstandard

from quant_organism_tests.cli.over_the_wire import ADDRESSES, KEYS, PASSPHRASE, over_the_wire
from quant_organism_tests.program import PROGRAM, Said, finish, first_line, start
from quant_organism_tests.tiny import write_world


def needles() -> list[bytes]:
    """Return the secrets in every form in which they could lie about."""
    found = [PASSPHRASE.encode()]
    for key in KEYS.values():
        raw = bytes.fromhex(key[2:])
        found += [raw, key[2:].encode(), key[2:].upper().encode(), str(int(key, 16)).encode()]
        found += [base64.b64encode(raw)[:-4], repr(raw).encode()]
    return found


def contents(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, and what they hold where they are compressed."""
    content = path.read_bytes()
    yield content
    if path.suffix == ".gz":
        yield gzip.decompress(content)
    elif ".zst" in path.suffixes or path.name.endswith(".zst"):
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=True) as reader:
            yield reader.read()
    elif path.suffix == ".parquet":
        yield repr(pl.read_parquet(path).to_dicts()).encode()
        yield repr(pl.read_parquet_metadata(path)).encode()
    elif content.startswith(b"SQLite format 3"):
        with sqlite3.connect(path) as database:
            yield "\n".join(database.iterdump()).encode(errors="replace")


def leaks(folder: Path) -> list[str]:
    """Return the files in which a secret lies."""
    secrets = needles()
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [str(path) for path in files for content in contents(path) if any(secret in content for secret in secrets)]


def test_the_search_finds_what_lies_in_any_kind_of_file(tmp_path: Path) -> None:
    text = f'{{"why": "{KEYS["kept"]}"}}'
    (tmp_path / "a.log").write_text(text)
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.compress(text.encode() * 50))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(text.encode()))
    pl.DataFrame({"note": [text] * 100}).write_parquet(tmp_path / "d.parquet", compression="zstd")
    (tmp_path / "e.bin").write_bytes(b"\0" + bytes.fromhex(KEYS["given"][2:]))
    with sqlite3.connect(tmp_path / "f.db") as database:
        database.execute("CREATE TABLE t (note TEXT)")
        database.execute("INSERT INTO t VALUES (?)", (f"opened with {PASSPHRASE}",))
    assert {Path(leak).name for leak in leaks(tmp_path)} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_after_a_whole_session_no_file_holds_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., Said]
) -> None:
    world = write_world(tmp_path)
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__PASSPHRASE", PASSPHRASE)
    deposits = [part for address in ADDRESSES.values() for part in ("--deposit", f"{address}=100000")]
    serving = start(
        *("exchange", "serve", "--world", world, "--at", "data", "--speed", "1", "--future-days", "1"),
        *("--no-limits", "--snapshot", "venue.json", *deposits),
        folder=tmp_path,
    )
    said = []
    try:
        url = first_line(serving)
        imported = subprocess.run(
            [PROGRAM, "keys", "import", "trader"],
            cwd=tmp_path,
            input=f"{KEYS['kept']}\n",
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert imported.returncode == 0, imported.stderr
        said += [imported.stdout, imported.stderr]
        monkeypatch.setenv("QUANT_ORGANISM_VENUE__BASE_URL", url)
        monkeypatch.setenv("QUANT_ORGANISM_VENUE__IP_BURST_WEIGHT", "1000")  # it asks much in little time
        for name, setting, value in (("kept", "KEY", "trader"), ("given", "PRIVATE_KEY", KEYS["given"])):
            monkeypatch.delenv("QUANT_ORGANISM_VENUE__KEY", raising=False)
            monkeypatch.setenv("QUANT_ORGANISM_VENUE__ACCOUNT_ADDRESS", ADDRESSES[name])
            monkeypatch.setenv(f"QUANT_ORGANISM_VENUE__{setting}", value)
            shown = [call("venue", *how) for how in ([], ["--json"])]
            assert [each.code for each in shown] == [0, 0], shown[0].err
            session = subprocess.run(
                [sys.executable, "-m", "quant_organism_tests.cli.trading_session", str(tmp_path)],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                env=os.environ | {"PYTHONDEVMODE": "1"},
                timeout=300,
            )
            assert session.returncode == 0, session.stderr
            monkeypatch.setenv("QUANT_ORGANISM_VENUE__ACCOUNT_ADDRESS", "0x" + "9" * 40)
            refused = finish("venue", "--debug", folder=tmp_path)
            assert refused.code != 0
            said += [text for each in (*shown, refused) for text in (each.out, each.err)]
            said += [session.stdout, session.stderr]
    finally:
        serving.terminate()
        said += [text or "" for text in serving.communicate(timeout=30)]
    (tmp_path / "said.txt").write_text("\n".join(said))
    cycle = over_the_wire().folder
    files = {path.suffix for folder in (tmp_path, cycle) for path in folder.rglob("*") if path.is_file()}
    assert {".json", ".sqlite", ".db", ".parquet", ".html", ".log", ".txt", ".zst"} <= files
    assert leaks(tmp_path) + leaks(cycle) == []
