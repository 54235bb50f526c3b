"""The audit from the command line: a report of few worlds, kept, taken up again, and refused where nothing fits."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quant_organism.market.panel import Panel
from quant_organism_tests.audit.small import SMALL
from quant_organism_tests.panels import trending_panel
from quant_organism_tests.program import Said

Call = Callable[..., Said]


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "tiny.yaml"
    content = SMALL.model_dump(mode="json")
    content["search"] = {key: content["search"][key] for key in ("families", "islands", "population", "generations")}
    path.write_text(json.dumps(content))  # JSON is YAML
    return path


def audit(call: Call, profile: Path, folder: Path, *more: str) -> Said:
    options = ("--profile", str(profile), "--data-dir", str(folder), "--processes", "1")
    return call("audit", *options, *more)


def test_an_audit_is_reported_for_people_and_programs_and_goes_on(call: Call, profile: Path, tmp_path: Path):
    worlds = ("--nulls", "1", "--planted", "1")
    first = audit(call, profile, tmp_path, *worlds)
    assert first.code == 0, first.err
    for said in ("false discoveries", "Gate by gate", "0/1", "audit.html", "tuning: 100000 to 100000"):
        assert said in first.out
    pages = {path.name: path.read_text() for path in tmp_path.rglob("audit.*")}
    assert set(pages) == {"audit.html", "audit.json", "audit.md"}
    assert "Where nothing can be found" in pages["audit.html"]
    again = audit(call, profile, tmp_path, "--json", "--so-far", "--nulls", "2", "--planted", "1")
    document = json.loads(again.out)
    assert document["provenance"]["wanted"] == 3
    assert [outcome["world"] for outcome in document["outcomes"]] == ["null-100000", "breakout-strong-100000"]
    assert document["outcomes"] == json.loads(pages["audit.json"])["outcomes"]


def test_a_real_market_is_turned_over(call: Call, profile: Path, tmp_path: Path):
    write_candles(tmp_path / "candles", trending_panel(days=200))
    content = json.loads(profile.read_text())
    content["search"]["families"].remove("funding_rate_carry")  # these candles come without funding
    profile = tmp_path / "without_funding.yaml"
    profile.write_text(json.dumps(content))
    worlds = ("--nulls", "0", "--planted", "0", "--flipped", "1", "--implanted", "1")
    said = audit(call, profile, tmp_path / "data", "--json", *worlds, "--panel", str(tmp_path / "candles"))
    assert said.code == 0, said.out
    document = json.loads(said.out)
    assert document["rates"]["flipped"]["worlds"] == 1
    assert [row["family"] for row in document["rates"]["found_in_real"]] == ["breakout", "all"]
    later = {outcome["origin"]: outcome["later_sharpe"] for outcome in document["outcomes"]}
    assert later["flipped"] is None
    page = next(file for file in document["files"] if file.endswith("audit.md"))
    assert "Where something was written into real candles" in Path(page).read_text()


def write_candles(folder: Path, panel: Panel) -> None:
    import polars as pl

    folder.mkdir()
    for place, symbol in enumerate(panel.symbols):
        columns = {name: getattr(panel, name)[:, place] for name in ("open", "high", "low", "close", "volume")}
        stamps = pl.Series(panel.times).cast(pl.Datetime("ms", "UTC"))
        pl.DataFrame({"timestamp": stamps, **columns}).write_parquet(folder / f"{symbol}.parquet")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seed-range", "all"), "no range of seeds"),
        (("--nulls", "0", "--planted", "0"), "no world is asked for"),
        (("--implanted", "4"), "name them with --panel"),
        (("--profile", "nosuch"), "no audit profile can be read"),
        (("--so-far",), "no world is done"),
    ],
)
def test_what_cannot_be_audited_is_said(call: Call, tmp_path: Path, options: tuple[str, ...], said: str):
    refused = call("audit", "--data-dir", str(tmp_path), *options)
    assert refused.code == 2
    assert said in refused.err


@pytest.mark.parametrize(
    ("content", "where", "said"),
    [
        ("[1, 2]", "", "not a mapping"),
        ("days: 10", "days", "greater than or equal to 180"),
        ("wings: 2", "wings", "Extra inputs"),
        ("search: {families: [nosuch]}", "families", "unknown families"),
        ("x" * 70_000, "", "more than 65536 bytes"),
    ],
)
def test_a_bad_profile_is_named_with_its_key(call: Call, tmp_path: Path, content: str, where: str, said: str):
    path = tmp_path / "bad.yaml"
    base = f"name: bad\nstrategies: 1\ncopies: 1\nsearches: 1\n{'' if 'search:' in content else 'search: {}'}\n"
    path.write_text(content if content[0] in "[x" else base + content)
    refused = call("audit", "--profile", str(path), "--data-dir", str(tmp_path))
    assert refused.code == 2
    assert said in refused.err
    assert where in refused.err
