"""The code of docs/contributing.md does what the text beside it says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quant_organism.errors import InputError
from quant_organism.market.lake import Lake
from quant_organism.market.table import Table
from quant_organism.market.tables import CandleTable
from quant_organism.orchestration.partitions import DAILY
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.validation.test_gates import case_of

PAGE = REPOSITORY / "docs" / "contributing.md"


def section_of(heading: str) -> str:
    """Return the text of a section."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(section)


def run_section(heading: str, **given: Any) -> dict[str, Any]:
    """Run the Python of a section, in its order, with some names given; return all names."""
    section = section_of(heading)
    names = {"__name__": "contributing", **given}
    for block in re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    return names


class TestANewSourceOfCandles:
    HEADING = "A new source of candles"

    def table(self, days: int = 5) -> pl.DataFrame:
        rows = [
            (symbol, datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day), 10.0, 11.0, 9.0, 10.5, 100.0)
            for day in range(days)
            for symbol in ("AAA", "BBB")
        ]
        return CandleTable.frame(rows)

    def test_it_becomes_a_market_of_the_lake(self, tmp_path: Path) -> None:
        table = self.table()
        names = run_section(self.HEADING, table=table, folder=tmp_path)
        report = names["report"]
        assert (report.market, report.symbols, report.bars) == ("mine", ("AAA", "BBB"), 10)
        assert (report.start, report.end) == (date(2025, 1, 1), date(2025, 1, 5))
        assert Lake(tmp_path).table(CandleTable).read(market="mine", interval="1d").equals(table)

    @pytest.mark.parametrize(
        ("spoil", "what"),
        [
            (lambda table: table.with_columns(close=pl.lit(None, pl.Float64)), "missing value"),
            (lambda table: table.with_columns(pl.col("timestamp").dt.offset_by("1h")), "does not open on the grid"),
            (lambda table: pl.concat([table, table]), "two bars at the same time"),
        ],
    )
    def test_a_bar_that_breaks_a_rule_is_named(
        self, spoil: Callable[[pl.DataFrame], pl.DataFrame], what: str, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match=rf"{what}.*: AAA at 2025-01-01"):
            run_section(self.HEADING, table=spoil(self.table()), folder=tmp_path)

    def test_another_source_of_the_same_name_is_refused(self, tmp_path: Path) -> None:
        names = run_section(self.HEADING, table=self.table(), folder=tmp_path)
        other = names["TableSource"]("mine", self.table())
        other.describe = lambda: {"kind": "elsewhere", "path": "mine"}
        with pytest.raises(InputError, match="imported from"):
            names["ingest"](other, Lake(tmp_path), names["daily"], *other.span(names["daily"]))


class TestANewDataset:
    HEADING = "A new dataset"

    def test_it_is_written_read_and_shown_by_its_description(self, tmp_path: Path) -> None:
        names = run_section(self.HEADING, folder=tmp_path)
        spread: type[Table] = names["SpreadTable"]
        assert names["path"] == tmp_path / "spreads/market=mine/interval=1h/date=2025-01-31/part.parquet"
        assert names["wide"]["symbol"].to_list() == ["ETH"]
        (metadata,) = names["spreads_of_the_day"].metadata_by_key.values()
        columns = metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == spread.schema.names()
        assert columns[1].description.endswith("[basis points of the mid price]")

    def test_what_was_stored_before_a_column_came_is_read_by_its_default(self, tmp_path: Path) -> None:
        older = run_section(self.HEADING, folder=tmp_path)["older"]
        assert older.columns == ["symbol", "spread_bps", "quotes", "widest_bps"]
        assert older["widest_bps"].is_nan().all()

    def test_what_does_not_fit_is_refused(self, tmp_path: Path) -> None:
        names = run_section(self.HEADING, folder=tmp_path)
        with pytest.raises(InputError, match="2 rows share their key with another, the first is symbol BTC"):
            names["SpreadTable"].validate(pl.concat([names["frame"][:1]] * 2))


class TestANewFamilyOfANewIndicator:
    SECTIONS = ("A new indicator", "A new family")
    ASKED = (
        "strategies/test_growing_bank.py",
        "strategies/test_signal_laws.py",
        "strategies/test_birth.py",
        "backtest/test_stream.py",
    )

    @pytest.fixture(scope="class")
    @classmethod
    def copy(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Return a copy of the program and of its tests to which the files of both sections are added."""
        folder = tmp_path_factory.mktemp("program")
        for part in ("quant_organism", "quant_organism_tests"):
            shutil.copytree(REPOSITORY / part, folder / part)
        shutil.copy(REPOSITORY / "pyproject.toml", folder)
        for section in map(section_of, cls.SECTIONS):
            for place, code in re.findall(r"^```python\n# (\S+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
                (folder / place).parent.mkdir(exist_ok=True)
                (folder / place).write_text(code)
        register = folder / "quant_organism" / "strategies" / "families" / "__init__.py"
        (named,) = re.findall(r"^```diff\n(.*?)^```", section_of("A new family"), re.MULTILINE | re.DOTALL)
        text = register.read_text()
        for before, added in re.findall(r"^ (.*\n)\+(.*\n)", named, re.MULTILINE):
            assert text.count(before) == 1
            text = text.replace(before, before + added)
        register.write_text(text)
        return folder

    def run(self, copy: Path, *arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, check=False, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def test_it_takes_part_like_the_others(self, copy: Path) -> None:
        code = (
            "import numpy as np\n"
            "from quant_organism.backtest import Costs, Evaluator\n"
            "from quant_organism.strategies import evolving_families, get_family, random_genome\n"
            "from quant_organism_tests.backtest.markets import random_panel\n"
            "assert 'body_momentum' in evolving_families()\n"
            "assert 'body_momentum' in get_family('composite').language.voters\n"
            "genomes = [random_genome(np.random.default_rng(seed), 'body_momentum') for seed in range(5)]\n"
            "print(Evaluator(threads=1).evaluate(genomes, random_panel(1), Costs()).metrics['trades'].max() > 0)\n"
        )
        assert self.run(copy, "-c", code) == "True\n"

    @pytest.mark.slow
    def test_it_is_asked_what_the_others_are_asked(self, copy: Path) -> None:
        files = [f"quant_organism_tests/{file}" for file in self.ASKED]
        names = "body_momentum or body_share"
        report = self.run(copy, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", names, *files)
        assert int(re.findall(r"(\d+) passed", report)[0]) >= 12


class TestANewGate:
    HEADING = "A new gate"

    @pytest.mark.parametrize(("worst", "status"), [(-0.0500001, "failed"), (-0.05, "passed"), (-0.01, "passed")])
    def test_it_judges_by_its_bound(self, worst: float, status: str) -> None:
        gate = run_section(self.HEADING)["WorstDay"](at_least=-0.05)
        verdict = gate.judge(case_of([0.01, worst, 0.02]))
        assert (verdict.gate, verdict.stage, verdict.status) == ("worst_day", "in_sample", status)
        assert (verdict.value, verdict.threshold, verdict.n_used) == (worst, -0.05, 3)

    def test_a_profile_asks_for_it_once_its_file_is_named(self, tmp_path: Path) -> None:
        shutil.copytree(REPOSITORY / "quant_organism", tmp_path / "quant_organism")
        gates = tmp_path / "quant_organism" / "validation" / "gates"
        (code,) = re.findall(r"^```python\n# \S+/worst_day.py\n(.*?)^```", section_of(self.HEADING), re.M | re.S)
        (gates / "worst_day.py").write_text(code)
        face = (gates / "__init__.py").read_text().replace("testnet, thresholds\n", "testnet, thresholds, worst_day\n")
        (gates / "__init__.py").write_text(
            face.replace("testnet, significance) for", "testnet, significance, worst_day) for")
        )
        (declared,) = re.findall(r"^```yaml\n(.*?)^```", section_of(self.HEADING), re.M | re.S)
        light = (tmp_path / "quant_organism/validation/profiles/light.yaml").read_text().split("information:")[0]
        (tmp_path / "mine.yaml").write_text(light + "\n" + declared)
        asks = "from quant_organism.validation.profile import Profile; print(Profile.load('mine.yaml').information)"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, "-c", asks], cwd=tmp_path, env=environment, capture_output=True, check=False, text=True
        )
        assert done.stdout.strip() == "(WorstDay(at_least=-0.05),)", done.stderr


class TestANewAsset:
    def test_it_reads_the_panel_and_returns_its_table(self) -> None:
        asset = run_section("A new asset")["youngest_listings"]
        assert {key.to_user_string() for key in asset.dependency_keys} == {"market_panel"}
        assert asset.partitions_def is DAILY
        panel = pl.DataFrame({"symbol": ["A", "B", "C"], "bars": [30, 10, 20]})
        assert asset(panel)["symbol"].to_list() == ["B", "C", "A"]
