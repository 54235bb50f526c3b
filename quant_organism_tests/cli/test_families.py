"""`quant-organism families`: the gallery at the command line."""

import json
from collections.abc import Callable
from pathlib import Path

from quant_organism.strategies import family_names, get_family, ranking_family_names
from quant_organism_tests.program import Said

NAMES = [*family_names(), *ranking_family_names()]

Call = Callable[..., Said]


def test_every_family_is_listed_with_its_genes(call: Call) -> None:
    said = call("families", "list")
    assert said.code == 0
    assert [name for name in NAMES if name not in said.out] == []
    records = json.loads(call("families", "list", "--json").out)["families"]
    assert [record["family"] for record in records] == NAMES
    for record in records:
        assert [gene["gene"] for gene in record["genes"]] == [s.name for s in get_family(record["family"]).own_genes]


def test_one_family_is_shown_and_drawn(call: Call, tmp_path: Path) -> None:
    said = call("families", "show", "rsi_filter", "--plot", "rsi.png")
    assert said.code == 0
    for part in ("mean_reversion", "oversold_threshold", "[15, 35]", "RSI points", "stop_loss", "from bar 41 on"):
        assert part in said.out
    assert (tmp_path / "rsi.png").read_bytes().startswith(b"\x89PNG")
    shown = json.loads(call("families", "show", "conditions", "--json").out)
    assert shown["genes"][0]["default"] == "LONG when RSI_14 < 30; exit when RSI_14 > 50"
    assert shown["evolves"] is False


def test_what_cannot_be_shown_or_written_is_said(call: Call, tmp_path: Path) -> None:
    said = call("families", "show", "rsi_filer")
    assert said.code == 2
    assert "did you mean rsi_filter" in said.err
    (tmp_path / "file").write_text("")
    said = call("families", "show", "rsi_filter", "--plot", "file/rsi.png")
    assert said.code == 2
    assert "Traceback" not in said.err
