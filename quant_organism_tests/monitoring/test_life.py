"""A span of days from its records: what is counted, what two accounts earned, and how results split by regime."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quant_organism.deployment import BirthTable, EvidenceDayTable, MoveTable, PostmortemTable
from quant_organism.errors import InputError
from quant_organism.market import Interval, Lake, RegimeTable, Table
from quant_organism.monitoring import life_of, months_of, span_named
from quant_organism.monitoring.life import LifeRecord
from quant_organism.monitoring.site_content import life_chart

FIRST = date(2024, 4, 21)
WHERE = {"market": "made", "interval": "1h"}
RETURNS = {"a": 0.01, "b": -0.02, "c": 0.03}


def row(table: type[Table], **known: Any) -> dict[str, Any]:
    """Return a row of a table in which nothing is known but what is said."""
    usual = {"String": "", "Int64": 0, "Float64": 0.0, "Boolean": True, "Date": FIRST}
    blank = {name: usual[str(dtype)] for name, dtype in table.schema.items()}
    return blank | known


def write(lake: Lake, table: type[Table], day: date, *rows: dict[str, Any]) -> None:
    """Store a day of a table."""
    lake.table(table).write(table.frame([row(table, **each) for each in rows]), day=day, **WHERE)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty days: `a` and `b` on paper, `c` in shadow; `b` loses half of its size, and is retired on the last."""
    folder = tmp_path_factory.mktemp("data")
    lake = Lake(folder / "lake")
    write(lake, BirthTable, FIRST - timedelta(days=1), {"id": "old"})
    write(lake, BirthTable, FIRST, {"id": "a"}, {"id": "b"}, {"id": "c"})
    for n in range(30):
        day = FIRST + timedelta(days=n)
        write(
            lake,
            EvidenceDayTable,
            day,
            {"id": "a", "stage": "paper", "net_return": 0.01, "factor": 1.0},
            {"id": "b", "stage": "live", "net_return": -0.02, "factor": 0.5},
            {"id": "c", "stage": "shadow", "net_return": 0.03, "factor": 0.9, "recorded": n != 3},
        )
        label = "calm" if n < 24 else "turbulent"
        write(lake, RegimeTable, day, {"module": "volatility", "label": label})
    moved = {"id": "b", "at": "2024-05-20T00:00:00Z", "start": "decaying", "end": "retired", "rule": "hard limit"}
    write(lake, MoveTable, date(2024, 5, 20), {**moved, "kind": "hard_limit"}, {**moved, "kind": "stage_days"})
    risen = {"id": "a", "at": "2024-04-22T00:00:00Z", "start": "shadow", "end": "paper", "rule": "night door"}
    write(lake, MoveTable, date(2024, 4, 22), risen)
    write(lake, PostmortemTable, date(2024, 5, 20), {"id": "b", "cause": "hard limit"})
    return folder


def told(data_dir: Path, name: str) -> LifeRecord:
    """Return the life of the made market over some days."""
    return life_of(data_dir, span_named("made", "1h", name))


def test_a_month_counts_its_own_births_moves_and_deaths(data_dir: Path) -> None:
    april, may = told(data_dir, "2024-04"), told(data_dir, "2024-05")
    assert [april.total[name] for name in ("born", "to_paper", "retired", "days")] == [4, 1, 0, 10]
    assert [may.total[name] for name in ("born", "to_paper", "retired", "days")] == [0, 0, 1, 20]
    assert may.deaths["cause"].to_list() == ["hard limit"]
    assert may.moves.height == 1


def test_months_of_a_span_are_those_of_each_alone(data_dir: Path) -> None:
    both = told(data_dir, "2024-04-01..2024-05-31")
    assert both.months == [told(data_dir, "2024-04").total | {"month": "2024-04"}, {**both.months[1]}]
    account = np.prod([1 + month["account"] for month in both.months]) - 1
    assert both.total["account"] == pytest.approx(account)
    assert both.total["born"] == 4


def test_the_account_gives_a_quarter_at_most_and_the_size_of_the_day_before(data_dir: Path) -> None:
    days = told(data_dir, "2024-04").days
    assert days["account"][0] == pytest.approx(0.25 * 0.01 - 0.25 * 0.02)
    assert days["account"][1:].to_list() == pytest.approx([0.25 * 0.01 - 0.25 * 0.5 * 0.02] * 9)
    assert days["shadow"].to_list() == pytest.approx([0.03] * 3 + [0.0] + [0.03] * 6)
    assert days["watched"].unique().to_list() == [3]
    assert days["seated"].unique().to_list() == [2]


def test_a_day_belongs_to_the_regime_that_was_known_when_it_began(data_dir: Path) -> None:
    rows = told(data_dir, "2024-04..2024-05").by_regime
    assert set(rows["strategy"]) == {"account", "a", "b"}
    assert rows["label"].unique().to_list() == ["calm"], "five turbulent days are too few"
    assert rows["days"].unique().to_list() == [24]
    assert rows.filter(strategy="a")["mean_return"].to_list() == pytest.approx([0.01])


def test_a_span_without_records_is_empty(data_dir: Path) -> None:
    nothing = told(data_dir, "2023-01")
    assert nothing.total["days"] == nothing.total["born"] == 0
    assert nothing.total["account"] is None
    assert life_chart(nothing) == {}
    assert life_of(data_dir, span_named("other", "1h", "2024-04")).moves.is_empty()


def test_the_document_is_plain_and_the_chart_has_both_accounts(data_dir: Path) -> None:
    life = told(data_dir, "2024-04")
    document = life.document()
    assert document["total"]["account_drawdown"] == pytest.approx(0.25 * 0.02 - 0.25 * 0.01)
    assert len(document["days"]) == 10
    names = [line["name"] for line in life_chart(life)["panels"][0]["series"]]
    assert names == ["account", "shadow"]


def test_months_are_told_newest_first(data_dir: Path) -> None:
    assert months_of(data_dir) == [("made", Interval.parse("1h"), ["2024-05", "2024-04"])]


@pytest.mark.parametrize("name", ["", "2024", "2024-13", "2024-00", "0000-01", "2024-05-32", "..", "2024-06..2024-05"])
def test_what_names_no_days_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"names no days|ends before"):
        span_named("made", "1h", name)
