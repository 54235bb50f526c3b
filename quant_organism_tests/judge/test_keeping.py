"""What stands is kept as a document and lives as others do: in the shadow pool, marked, refused where it must be."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.cli.judge import sheet_of
from quant_organism.cycle import Panels
from quant_organism.deployment import (
    BirthTable,
    EvidenceDayTable,
    Marked,
    StrategyConfig,
    StrategyRepository,
    account_run,
    birth_panel,
    execute_strategy,
    mark_days,
    pool_returns,
)
from quant_organism.deployment.booking import read_rows
from quant_organism.errors import InputError, IntegrityError
from quant_organism.judge import (
    CallableStrategy,
    Court,
    JudgedPage,
    KeptStrategy,
    SandboxLimits,
    SandboxRunner,
    StrategySource,
    judge_strategy,
    keep_survivor,
    trials_of,
)
from quant_organism.judge.page import Survivor
from quant_organism.market import FundingTable, Interval, Lake, Panel, SentimentTable, SetAsideTable
from quant_organism.market.ingest import ingest
from quant_organism.market.schema import day_start_ms
from quant_organism.market.splits import split
from quant_organism.monitoring.site import serving_site
from quant_organism.strategies import Committee, default_genome
from quant_organism.validation import HoldoutRegister, NotRun
from quant_organism_tests.deployment.documents import records
from quant_organism_tests.judge.conftest import FOLLOW, market, walls
from quant_organism_tests.program import Caller

HOUR = Interval.parse("1h")
JUDGED, LATER = 220, 8
"""Days of the court, and those that the market goes on for."""


class _Made:
    """The candles of a made panel, as a source."""

    market = "made"

    def __init__(self, panel: Panel) -> None:
        names = [name for name in panel.symbols for _ in range(panel.n_bars)]
        values = {name: getattr(panel, name).T.reshape(-1) for name in ("open", "high", "low", "close", "volume")}
        times = np.tile(panel.times, panel.n_assets)
        self._table = pl.DataFrame({"timestamp": times, "symbol": names, **values}).with_columns(
            pl.col("timestamp").cast(pl.Datetime("ms", "UTC"))
        )
        self._panel = panel

    def describe(self) -> dict[str, Any]:
        return {"kind": "table", "path": "made"}

    def symbols(self) -> tuple[str, ...]:
        return self._panel.symbols

    def span(self, interval: Interval) -> tuple[date, date]:
        days = self._table["timestamp"].dt.date()
        return days.min(), days.max()  # type: ignore[return-value]

    def candles(self, symbols: Sequence[str], interval: Interval, start: date, end: date) -> pl.DataFrame:
        day = pl.col("timestamp").dt.date()
        found = self._table.filter(day.is_between(start, end), pl.col("symbol").is_in(list(symbols)))
        return found.sort("timestamp", "symbol")

    def funding(self, symbols: Sequence[str], start: date, end: date) -> pl.DataFrame:
        return FundingTable.empty()

    def sentiment(self, start: date, end: date) -> pl.DataFrame:
        return SentimentTable.empty()

    def notes(self) -> tuple[str, ...]:
        return ()

    def set_aside(self) -> pl.DataFrame:
        return SetAsideTable.empty()


@dataclass(frozen=True)
class Place:
    """A lake whose market goes on after the court's last day, and a strategy that was judged there."""

    folder: Path
    lake: Lake
    court: Court
    manifest: pl.DataFrame
    source: StrategySource
    page: JudgedPage
    now: datetime

    @property
    def repository(self) -> StrategyRepository:
        return StrategyRepository(self.folder / "strategies", now=lambda: self.now + timedelta(days=LATER))

    def keep(self) -> KeptStrategy:
        return keep_survivor(self.court, self.page, self.manifest, self.repository, now=self.now)


def place_of(folder: Path, source: StrategySource, *, edge: float = 0.35) -> Place:
    lake, made = Lake(folder / "lake"), _Made(market(edge=edge, seed=3, bars=24 * (JUDGED + LATER)))
    first, last = made.span(HOUR)
    ingest(made, lake, HOUR, first, last)
    end = first + timedelta(days=JUDGED - 1)
    tables = Panels().make(lake, "made", HOUR, end)
    court = Court(lake=lake, panel=tables.panel, copies=9)
    page = judge_strategy(court, CallableStrategy("follow", source, trials_of({"bars": 24}, None, 0)))
    now = datetime(end.year, end.month, end.day, 12, tzinfo=UTC) + timedelta(days=1)
    return Place(folder, lake, court, tables.manifest, source, page, now)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("judged")
    path = folder / "follow.py"
    path.write_text(dedent(FOLLOW))
    limits = SandboxLimits(memory_mb=2_048)
    return place_of(folder, StrategySource(path=path, limits=limits, trusted=bool(walls())))


@pytest.fixture
def place(judged: Place, tmp_path: Path) -> Place:
    """Return a copy of one's own."""
    shutil.copytree(judged.folder / "lake", tmp_path / "lake")
    lake = Lake(tmp_path / "lake")
    return replace(judged, folder=tmp_path, lake=lake, court=replace(judged.court, lake=lake))


@pytest.fixture
def call(place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Caller:
    monkeypatch.setenv("QUANT_ORGANISM_DATA_DIR", str(place.folder))
    return Caller(place.folder, monkeypatch, capfd)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving_site(folder, "127.0.0.1", port, "http://127.0.0.1:1") as site:
        yield site


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=50) as answer:
        said: bytes = answer.read()
    return said.decode()


def mark(place: Place, runner: SandboxRunner) -> Marked:
    through = (place.now + timedelta(days=LATER)).date()
    return mark_days(
        place.lake,
        place.repository,
        market="made",
        interval=HOUR,
        through=min(through, place.lake.days("candles", market="made", interval="1h")[-1]),
        equity_usd=10_000.0,
        runner=runner,
    )


def test_what_stands_is_kept_with_its_verdicts_and_watched_from_the_next_day_on(place: Place) -> None:
    assert place.page.outcome == "stands", place.page.sentence
    document = place.keep().document
    assert document is not None
    assert document.external is not None
    assert (document.kind, document.stage, document.families) == ("external", "shadow", ("external",))
    assert place.repository.read_source(document.external.source) == place.source.read()
    assert StrategyConfig.from_json(document.to_json(), where="test") == document
    asked = {verdict.gate for verdict in place.page.verdicts}
    assert set().union(*(stage.metrics for stage in document.evidence.values())) == asked
    assert document.account is not None
    assert document.account.sharpe == pytest.approx(place.page.accounts[1].sharpe, rel=1e-5)
    # It is what it was judged as: the ledger, the register of looks and the documents know it by one name.
    assert document.external.hash == place.page.facts["identity"]
    register = HoldoutRegister(place.lake.root)
    register.check_opened("made", place.court.panel.hash, document.id)
    births = read_rows(place.lake, BirthTable, market="made", interval="1h")
    assert births[BirthTable.first_day].to_list() == [(place.now + timedelta(days=1)).date()]
    assert births[BirthTable.search_p].to_list() == [0.1]
    with pytest.raises(InputError, match="kept already, in stage shadow"):
        place.keep()
    # Killed between the document and its birth, it is kept again.
    for path in (place.lake.root / BirthTable.dataset).rglob("*.parquet"):
        path.unlink()
    later = replace(place, now=place.now + timedelta(hours=1)).keep().document
    assert later is not None
    assert (later.id, later.stage) == (document.id, "shadow")
    births = read_rows(place.lake, BirthTable, market="made", interval="1h")
    assert births[BirthTable.id].to_list() == [document.id]
    panel = birth_panel(document, place.lake)
    assert panel.hash == place.court.panel.hash
    with SandboxRunner(place.repository) as runner:
        window = runner.ask(document.external, panel, Costs()).window
    again = execute_strategy(window, panel, place.court.splits, Costs(), 10_000.0)
    assert again.order_hash[:16] == document.account.h2


def test_its_days_are_marked_and_wait_while_its_source_is_changed(place: Place) -> None:
    document = place.keep().document
    assert document is not None
    assert document.external is not None
    path = place.repository.source_path(document.external.source)
    honest = path.read_bytes()
    path.write_bytes(honest.replace(b"np.sign", b"-np.sign"))
    assert [problem.path for problem in place.repository.check().problems] == [path]
    with SandboxRunner(place.repository) as runner:
        refused = mark(place, runner)
        assert refused.rows == 0
        assert "changed after it was judged" in refused.unmarked[document.id]
        path.write_bytes(honest)
        marked = mark(place, runner)
        assert (marked.rows, dict(marked.unmarked)) == (LATER - 1, {})
        assert mark(place, runner).rows == 0
        panel = Panels().make(place.lake, "made", HOUR, marked.days[-1]).panel
        window = runner.ask(document.external, panel, Costs()).window
    start = int(np.searchsorted(panel.times, day_start_ms(marked.days[0])))
    before = account_run(window, panel, Costs(), 10_000.0, stop=start)
    run = account_run(window, panel, Costs(), 10_000.0, start=start, after=before)
    rows = read_rows(place.lake, EvidenceDayTable, market="made", interval="1h").sort("date")
    earned = rows[EvidenceDayTable.net_return].to_numpy()
    assert np.ptp(earned) > 0.0
    # The account of the marks begins 180 days before, this one with all days: its risk scale differs a little.
    assert np.corrcoef(earned, run.daily_returns)[0, 1] > 0.999
    # A cycle compares its newcomers with it by what is booked, and runs no code for it.
    bred = Committee.of([default_genome("ema_crossover")])
    known = {document.id: place.repository.load(document.id), bred.id: bred}
    splits = split(panel.n_bars, panel.interval)
    returns = pool_returns(place.lake, known, panel, splits, Costs(), Evaluator(threads=1))
    assert returns[document.id].shape == returns[bred.id].shape
    np.testing.assert_array_equal(returns[document.id][-earned.size :], earned)
    assert np.count_nonzero(returns[document.id]) > 0.8 * returns[document.id].size


def test_what_does_not_stand_is_not_kept_and_why_is_said(place: Place) -> None:
    worse = [replace(each, status="failed") if each.gate == "copies" else each for each in place.page.verdicts]
    page = replace(place.page, verdicts=tuple(worse), outcome="falls", survivor=None)
    kept = replace(place, page=page).keep()
    assert kept.document is None
    assert kept.reason.startswith("it falls: copies: it shows")
    assert not (place.folder / "strategies").exists()


def test_code_that_was_changed_while_it_was_judged_is_not_kept(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "other.py"
    path.write_text("def signal(panel):\n    return 0 * panel.close\n")
    survivor = place.page.survivor
    assert survivor is not None
    other = replace(survivor.strategy, source=replace(survivor.strategy.source, path=path))
    page = replace(place.page, survivor=Survivor(other, survivor.parameters, survivor.content, survivor.window))
    with pytest.raises(InputError, match="changed while it was judged"):
        replace(place, page=page).keep()


def test_it_comes_to_money_by_the_evidence_that_is_asked_of_everybody(place: Place) -> None:
    document = place.keep().document
    assert document is not None
    walled = with_walls(document, trusted=False)
    on_paper = walled.moved("paper", at="2022-08-20", reason="standby", records=records("standby"))
    with pytest.raises(InputError, match=r"the move from paper to testnet is refused: "):
        on_paper.moved("testnet", at="2022-09-20", reason="traded", records=records("standby"))
    sent = on_paper.moved("testnet", at="2022-09-20", reason="traded", records=records("paper by trades"))
    with pytest.raises(InputError, match="for a person"):
        sent.moved("canary", at="2022-10-20", reason="agreed", records=records("canary"))
    canary = sent.moved("canary", at="2022-10-20", reason="agreed", records=records("canary"), by="person")
    live = canary.moved("live", at="2023-01-20", reason="agreed", records=records("full money"), by="person")
    assert (live.stage, live.kind, live.may_send) == ("live", "external", True)
    assert StrategyConfig.from_json(live.to_json(), where="test") == live
    with pytest.raises(InputError, match=r"external_0_\w{8}: it was made elsewhere: it is code, and has no genomes"):
        _ = live.committee


def test_nothing_leads_code_without_walls_to_where_orders_are_sent(place: Place) -> None:
    document = place.keep().document
    assert document is not None
    on_paper = with_walls(document, trusted=True).moved(
        "paper", at="2022-08-20", reason="standby", records=records("standby")
    )
    assert not on_paper.may_send
    with pytest.raises(InputError, match=r"judged without walls \(--trusted\)"):
        on_paper.moved("testnet", at="2022-09-20", reason="traded", records=records("paper by trades"))
    # Nobody writes it a way to money either: a history that says so is refused, checksum or not.
    stored = orjson.loads(on_paper.to_json())
    last = stored["history"][-1]
    stored["history"].append({**last, "from": "paper", "to": "testnet", "at": "2022-09-20T00:00:00Z"})
    stored["history"][-1]["rule"] = "paper by trades"
    stored["history"][-1]["records"] = [each.model_dump() for each in records("paper by trades")]
    stored["stage"] = "testnet"
    del stored["checksum"]
    checksum = hashlib.sha256(orjson.dumps(stored, option=orjson.OPT_SORT_KEYS)).hexdigest()
    with pytest.raises(IntegrityError, match="never moved to where orders are sent"):
        StrategyConfig.from_json(orjson.dumps({**stored, "checksum": checksum}), where="test")


def with_walls(document: StrategyConfig, *, trusted: bool) -> StrategyConfig:
    assert document.external is not None
    return document.model_copy(update={"strategy": document.external.model_copy(update={"trusted": trusted})})


def test_its_tear_sheet_tells_what_was_asked_of_it_and_the_site_leads_there(place: Place) -> None:
    kept = place.keep()
    document = kept.document
    assert document is not None
    assert document.external is not None
    path = sheet_of(kept, place.page, place.court, place.manifest, place.folder / "reports")
    assert path is not None
    with served(place.folder) as site:
        address = f"/reports/{path.relative_to(place.folder / 'reports').as_posix()}"
        assert f'href="{address}"' in read(f"{site}/strategies/{document.id}")
        told = unescape(read(site + address))
    assert f"<h1>{document.id}</h1>" in told
    assert place.page.sentence in told
    assert document.external.source in told
    assert all(verdict.reason in told for verdict in place.page.verdicts)
    survivor, figures = place.page.survivor, document.account
    assert survivor is not None
    assert figures is not None
    assert set(survivor.shakes) == {verdict.gate for verdict in place.page.verdicts if verdict.stage == "robustness"}
    for made in survivor.shakes.values():
        assert not isinstance(made, NotRun)
        assert f"{min(made.values()):.2f}, {min(made, key=lambda change: made[change])}" in told
    assert f"<dt>Sharpe ratio, all unseen days</dt><dd>{figures.sharpe:.2f}</dd>" in told
    assert "1,000 USD</th><th>10,000 USD</th><th>100,000 USD</th>" in told
    assert "genome" not in told.split("<script", maxsplit=1)[0].split("</style>")[1]
    assert sheet_of(KeptStrategy(None, "it falls"), place.page, place.court, place.manifest, place.folder) is None


def test_commands_show_it_or_refuse_it_by_name(place: Place, call: Caller) -> None:
    document = place.keep().document
    assert document is not None
    assert document.external is not None
    listed = call("strategies", "list", "--json")
    assert document.id in listed.out
    shown = call("strategies", "show", document.id)
    assert document.external.source in shown.out.replace("\n", "")
    assert "bars 24" in shown.out
    for name in ("history", "performance"):
        assert call("strategies", name, document.id).code == 0
    figures = json.loads(call("strategies", "account", document.id, "--json").out)
    assert figures["sharpe"] == pytest.approx(document.fitness)
    assert {row["id"] for row in json.loads(listed.out)["strategies"]} == {document.id}
    refused = call("strategies", "export", document.id, "--to", "freqtrade")
    assert refused.code == 2
    assert "it was made elsewhere: it is code" in refused.err
    assert document.id in refused.err
    marked = call("strategies", "mark")
    assert marked.code == 0, marked.err
    with served(place.folder) as site:
        for path in ("pool", "strategies", f"strategies/{document.id}", f"compare/strategies?id={document.id}"):
            shown_there = read(f"{site}/{path}")
            assert document.id in shown_there
            assert (document.external.source in shown_there) == (path == f"strategies/{document.id}")
