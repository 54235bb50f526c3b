"""Every command in the README and in docs/ runs, once, in the order of reading, and every link leads somewhere.

Later commands build on what earlier ones left, so the tests of this file share a worker (`--dist loadfile`). The first
is started as a newcomer starts it; the others are called in this process, which need not load everything again.
"""

import datetime as dt
import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.program import PROGRAM, Caller, activated

pytestmark = pytest.mark.slow

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
FIRST = "quant-organism run --world demo"
LONG_RUNNING = {"ui"}
SMALL = {
    "QUANT_ORGANISM_PROFILE": "smoke",
    "QUANT_ORGANISM_MARKET__LOOKBACK_DAYS": "120",
    "QUANT_ORGANISM_FAMILIES": "donchian_breakout,ema_crossover,funding_rate_carry,rsi_filter",
    "QUANT_ORGANISM_SIGNIFICANCE__STRATEGIES": "20",
    "QUANT_ORGANISM_SIGNIFICANCE__COPIES": "9",
    "QUANT_ORGANISM_SIGNIFICANCE__SEARCHES": "2",
    "QUANT_ORGANISM_VALIDATION__GATES": "light",
}
"""Settings that make a command quick; what it does is the same."""
AS_SMALL = " --profile smoke"
"""An option that changes nothing by these settings."""


def commands(page: Path) -> list[str]:
    """Return the command lines of a page's bash blocks, without their comments."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+#.*$", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def of_program(program: str) -> list[tuple[str, str]]:
    """Return each command line of a program once, with the first page that has it."""
    first: dict[str, str] = {}
    for page in PAGES:
        for line in commands(page):
            first.setdefault(line, page.name)
    return [(page, line) for line, page in first.items() if line.split()[0] == program]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """Return a newcomer's folder after `make run`: candles under ~, the demo's results under ./data."""
    home = tmp_path_factory.mktemp("home")
    candles = home / "candles"
    candles.mkdir()
    for seed, symbol in enumerate(["AAA", "BBB"]):
        write_candles(candles / f"{symbol}.parquet", seed, days=130, last=dt.date(2025, 5, 31))
    index = [{"value": str(20 + day % 70), "timestamp": str(1_735_689_600 + 86_400 * day)} for day in range(151)]
    (home / "fear_greed.json").write_text(json.dumps({"data": index}))
    example = re.search(
        r"^```yaml\n(.*?)^```", (REPOSITORY / "docs" / "worlds.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert example
    (home / "mine.yaml").write_text(example[1])
    environment = {**activated(), **SMALL, "HOME": str(home)}
    done = subprocess.run([PROGRAM, *FIRST.split()[1:]], cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return home


def write_candles(path: Path, seed: int, days: int, last: dt.date) -> None:
    rng = np.random.default_rng(seed)
    bars = days * 24
    close = 50 * np.exp(np.cumsum(0.005 * rng.standard_normal(bars)))
    open_ = np.concatenate([[50.0], close[:-1]])
    first = dt.datetime.combine(last, dt.time(23), dt.UTC) - dt.timedelta(hours=bars - 1)
    stamps = pl.Series([first + dt.timedelta(hours=i) for i in range(bars)], dtype=pl.Datetime("ms", "UTC"))
    pl.DataFrame(
        {
            "timestamp": stamps,
            "open": open_,
            "high": np.maximum(open_, close) * 1.001,
            "low": np.minimum(open_, close) / 1.001,
            "close": close,
            "volume": np.exp(rng.standard_normal(bars)) * 100,
        }
    ).write_parquet(path)


AFTER_THE_FIRST = [each for each in of_program("quant-organism") if each[1].replace(AS_SMALL, "") != FIRST]


@pytest.mark.parametrize(("page", "line"), AFTER_THE_FIRST)
def test_a_documented_command_runs(page, line, workspace, monkeypatch, capfd):
    if shlex.split(line)[1] in LONG_RUNNING:
        pytest.skip("serves until it is stopped: the web UI has tests of its own")
    for name, value in {**SMALL, "HOME": str(workspace)}.items():
        monkeypatch.setenv(name, value)
    said = Caller(workspace, monkeypatch, capfd)(*shlex.split(line.replace("~", str(workspace)))[1:])
    assert said.code == 0, said.out + said.err


@pytest.mark.parametrize(("page", "line"), of_program("make"))
def test_a_documented_make_target_exists(page, line):
    result = subprocess.run(
        ["make", "-n", *line.split()[1:]], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_nothing_but_known_programs_is_documented():
    programs = {line.split()[0] for page in PAGES for line in commands(page)}
    assert programs <= {"quant-organism", "make", "git", "cd", "source"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_between_pages_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []
