"""`quant-organism exchange serve` as a process."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from quant_organism.errors import InputError
from quant_organism.simulator.opening import parse_deposits, parse_dexs
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.program import finish, first_line

USER = "0x" + "a1" * 20
TIMEOUT = 30


def serve(tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    program = "from quant_organism.cli.main import main; main()"
    command = [sys.executable, "-c", program, "exchange", "serve", "--port", "0", "--seed", "1", "--ticks", "6", *more]
    here = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(command, cwd=tmp_path, env=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def url_of(process: subprocess.Popen[str]) -> str:
    line = first_line(process)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", line), line
    return line


def test_it_serves_and_goes_on_from_its_snapshot(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text("name: tiny\nstart: 2026-01-01\ndays: 4\nassets: [{symbol: AAA, price: 100}]\n")
    plan = tmp_path / "plan.yaml"
    plan.write_text("faults: [{kind: http_status, action: meta, options: {status: 503}}]\n")
    said = ("--world", str(world), "--speed", "0", "--at", "data", "--snapshot", str(tmp_path / "venue.json"))
    times = []
    for more in (("--deposit", f"{USER}=500", "--faults", str(plan)), ()):
        process = serve(tmp_path, *said, *more)
        try:
            url = url_of(process)
            meta = requests.post(f"{url}/info", json={"type": "meta"}, timeout=TIMEOUT)
            assert meta.status_code == (503 if more else 200)
            state = requests.post(
                f"{url}/info", json={"type": "clearinghouseState", "user": USER}, timeout=TIMEOUT
            ).json()
            assert state["marginSummary"]["accountValue"] == "500.0"
            stepped = requests.post(f"{url}/admin/step", json={"ms": 3_600_000}, timeout=TIMEOUT).json()
            times.append(stepped["time"])
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=TIMEOUT)
        assert "Traceback" not in errors
    assert times[1] - times[0] == 3_600_000


def test_coins_of_a_dex_are_served_and_followed(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text(
        "name: tiny\nstart: 2026-01-01\ndays: 4\nassets: [{symbol: AAA, price: 100}, {symbol: GOLD, price: 3000}]\n"
    )
    process = serve(tmp_path, "--world", str(world), "--speed", "120", "--ticks", "240", "--dex", "xyz=GOLD")
    try:
        url = url_of(process)
        said = finish(
            *("follow", "--base-url", url, "--symbols", "xyz:GOLD,AAA", "--interval", "1m", "--bars", "2"),
            folder=tmp_path,
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
    assert said.code == 0, said.err
    assert {line.split()[2] for line in said.out.splitlines()} == {"AAA", "xyz:GOLD"}


@pytest.mark.parametrize("text", ["", "xyz", "xyz=", "xyz=A,,B"])
def test_dexs_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError, match="--dex"):
        parse_dexs([text])


@pytest.mark.parametrize("text", ["", "0x12=5", f"{USER}=5.5", f"{USER}"])
def test_deposits_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError, match="--deposit"):
        parse_deposits([text])
