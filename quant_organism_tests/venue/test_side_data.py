"""Asset contexts of the archive, read from files."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from quant_organism.errors import InputError
from quant_organism.venue.side_data import CONTEXT_SCHEMA, read_asset_contexts

DAY = """\
time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,impact_bid_px,impact_ask_px
2024-01-01T00:01:00Z,ETH,0.0000125,55000.5,2280.1,1.5,0.0002,2281.0,2281.5,2281.4,2281.3,2281.6
2024-01-01T00:00:00Z,GONE,0.0,0.0,1.0,0.0,,1.0,1.0,,,
"""


@pytest.mark.parametrize("compression", ["lz4", None])
def test_a_day_is_read_with_empty_books_as_null(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / ("20240101.csv.lz4" if compression else "20240101.csv")
    with pa.output_stream(str(path), compression=compression) as stream:
        stream.write(DAY.encode())
    frame = read_asset_contexts(path)
    assert frame.schema == CONTEXT_SCHEMA
    assert frame["symbol"].to_list() == ["GONE", "ETH"]
    assert frame["timestamp"].to_list()[1] == datetime(2024, 1, 1, 0, 1, tzinfo=UTC)
    assert frame["mid_px"].to_list() == [None, 2281.4]
    assert frame["funding"].to_list() == [0.0, 0.0000125]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv.lz4", b"not lz4 at all"),
        ("x.csv", b"time,coin\n2024-01-01T00:00:00Z,BTC\n"),
        ("x.csv", DAY.replace("2281.5", "much").encode()),
        ("x.csv", DAY.replace("2024-01-01T00:01:00Z", "noon").encode()),
    ],
    ids=["not lz4", "columns missing", "no number", "no time"],
)
def test_what_cannot_be_read_is_an_error_that_names_the_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="asset contexts"):
        read_asset_contexts(tmp_path / name)
    with pytest.raises(InputError, match="none"):
        read_asset_contexts(tmp_path / "none.csv")
