"""Every dataset is described once, wholly, and the page in docs says what the descriptions say."""

import re

import pytest

from quant_organism.errors import InputError
from quant_organism.evolution.archive import AXES
from quant_organism.evolution.tables import ArchiveTable
from quant_organism.market.table import Table
from quant_organism.monitoring.tables import TABLES, table_named
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.table_pages import TABLES as PAGE
from quant_organism_tests.table_pages import table_page

every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.dataset)


def subclasses(table: type[Table]) -> set[type[Table]]:
    return {table, *(deeper for below in table.__subclasses__() for deeper in subclasses(below))}


def test_the_page_says_what_the_descriptions_say() -> None:
    assert PAGE.read_text() == table_page(), "make pages"


def test_a_dataset_is_described_once() -> None:
    names = [table.dataset for table in TABLES]
    assert len(names) == len(set(names))


def test_every_described_dataset_is_in_the_list() -> None:
    described = {
        table for table in subclasses(Table) if table.dataset and table.__module__.startswith("quant_organism.")
    }
    assert described == set(TABLES)


@every_table
def test_a_table_says_all_that_a_reader_wants_to_know(table: type[Table]) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", table.dataset)
    assert table.written_by
    assert table.one_row_is().endswith(".")
    for column in table.columns:
        assert column.meaning
        assert not column.meaning.endswith(".")
        assert 1 <= column.since <= table.version


def test_a_name_that_no_table_has_is_refused_with_what_is_near() -> None:
    with pytest.raises(InputError, match=r"no table describes a dataset 'candle'(.|\n)*candles"):
        table_named("candle")


def test_the_archive_has_a_column_for_each_measure_of_behaviour() -> None:
    assert {axis.name for axis in AXES} < set(ArchiveTable.schema)


def test_the_layout_of_the_data_folder_points_to_the_page() -> None:
    assert "(tables.md)" in (REPOSITORY / "docs" / "data-layout.md").read_text()
