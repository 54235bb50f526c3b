"""`quant-organism follow`: bars of a venue's trades into the lake while they happen."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quant_organism.market.lake import Lake
from quant_organism.market.tables import CandleTable, LiveCandleTable, SlippageTable
from quant_organism.venue import market_name, measure_books
from quant_organism_tests.chaos.market import COINS, chaos_venue
from quant_organism_tests.program import Said, finish, first_line, start


@pytest.fixture
def url() -> Iterator[str]:
    """Serve a venue, two minutes a second."""
    with chaos_venue(1, {}, speed=120.0, days=4, ticks_per_bar=240) as running:
        yield running.url


def test_bars_are_shown_and_in_the_lake_when_it_ends(url: str, tmp_path: Path) -> None:
    said = finish(
        *("follow", "--base-url", url, "--symbols", ",".join(COINS), "--interval", "1m"),
        *("--bars", "12", "--record", "frames", "--books"),
        folder=tmp_path,
    )
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert len(lines) == 12
    kept = Lake(tmp_path / "data" / "lake").table(LiveCandleTable).read(market=market_name(url), interval="1m")
    assert kept.schema == CandleTable.schema
    shown = {f"{row['timestamp']:%Y-%m-%d %H:%M} {row['symbol']} {row['open']:g}" for row in kept.to_dicts()}
    assert {" ".join(line.split()[:4]) for line in lines} == shown
    assert set(measure_books([tmp_path / "frames"]).frame[SlippageTable.symbol]) == set(COINS)
    assert "connections" in said.err


def test_ctrl_c_ends_it_and_keeps_what_was_shown(url: str, tmp_path: Path) -> None:
    with start("follow", "--base-url", url, "--symbols", "ETH", "--interval", "1m", folder=tmp_path) as process:
        first = first_line(process).split()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    kept = Lake(tmp_path / "data" / "lake").table(LiveCandleTable).read(market=market_name(url), interval="1m")
    assert len(kept) == 1 + len(rest.splitlines())
    assert first[2] == "ETH"


def test_a_coin_that_is_not_listed_is_refused(url: str, call: Callable[..., Said]) -> None:
    said = call("follow", "--base-url", url, "--symbols", "NOPE")
    assert said.code == 2
    assert "the venue lists no 'NOPE'" in said.err
