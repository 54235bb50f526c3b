"""Every living strategy is booked once a day, the same whenever and however often it is done, and never changed."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import committee_run
from quant_organism.deployment.live_evidence import Promise, replayed
from quant_organism.deployment.marks import HISTORY_DAYS, book_births, known_of, mark_all, mark_days, read_rows
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.tables import BirthTable, EvidenceDayTable, MoveTable
from quant_organism.errors import InputError, IntegrityError
from quant_organism.market import Interval, Lake
from quant_organism.market.ingest import ingest
from quant_organism.market.panel import build_panel
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import load_world
from quant_organism.strategies import Committee, random_genome
from quant_organism_tests.deployment.documents import document, provenance, records
from quant_organism_tests.tiny import FIRST, write_world

HOUR = Interval.parse("1h")
BORN = date(2024, 3, 20)
LAST = date(2024, 4, 5)
EQUITY = 10_000.0


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> tuple[Path, str]:
    """Return a lake with the candles of the tiny world, and the market; look, do not touch."""
    folder = tmp_path_factory.mktemp("marked")
    source = WorldSource(load_world(str(write_world(folder))))
    ingest(source, Lake(folder / "lake"), HOUR, FIRST, LAST)
    return folder / "lake", source.market


class Place:
    """A lake of its own with some strategies that began to be watched."""

    def __init__(self, folder: Path, market: tuple[Path, str], *, wealth: float = 2.0, deviation: float = 0.01) -> None:
        import shutil

        shutil.copytree(market[0], folder / "lake")
        self.lake, self.market = Lake(folder / "lake"), market[1]
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.repository = StrategyRepository(folder / "strategies", now=lambda: self.now)
        symbols = ("SIM-ONE", "SIM-SIX", "SIM-TWO")
        self.ids = []
        for seed, family in enumerate(("ema_crossover", "rsi_filter")):
            rng = np.random.default_rng(seed)
            strategy = Committee.of([random_genome(rng, family) for _ in range(2)])
            born = document(
                strategy=strategy,
                universe=symbols,
                provenance=provenance(market=self.market, date=BORN.isoformat()),
                at=BORN.isoformat(),
            )
            self.ids.append(born.id)
            self.repository.save(
                born.moved("shadow", at=BORN.isoformat(), reason="chosen", records=records("one look"))
            )
            row = {
                BirthTable.id: born.id,
                BirthTable.cycle: "c",
                BirthTable.first_day: BORN + timedelta(days=1),
                BirthTable.panel_hash: "p",
                BirthTable.spec_hash: "s",
                BirthTable.pretest_p: 0.05,
                BirthTable.search_p: 0.05,
                BirthTable.search_copies: 19,
                BirthTable.unseen_p: 0.1,
                BirthTable.starting_wealth: wealth,
                BirthTable.credit: "full",
                BirthTable.deviation: deviation,
                BirthTable.sharpe: 1.5,
                BirthTable.trade_parity: 1.0,
                BirthTable.perturbations: 1.0,
                BirthTable.near_living: -1.0,
            }
            book_births(self.lake, [row], day=BORN, market=self.market, interval=HOUR)

    def mark(self, through: date = LAST, **more):
        return mark_days(
            self.lake,
            self.repository,
            market=self.market,
            interval=HOUR,
            through=through,
            equity_usd=EQUITY,
            **more,
        )

    def rows(self, table=EvidenceDayTable) -> pl.DataFrame:
        return read_rows(self.lake, table, market=self.market, interval="1h")

    def bytes(self) -> dict[str, bytes]:
        roots = [self.lake.root / name for name in ("evidence_days", "moves", "births")] + [self.repository.root]
        files = [path for root in roots for path in root.rglob("*") if path.suffix in (".parquet", ".json")]
        return {str(path.relative_to(self.lake.root.parent)): path.read_bytes() for path in files}


@pytest.fixture
def place(tmp_path, market) -> Place:
    return Place(tmp_path, market)


def test_day_by_day_and_all_at_once_give_the_same_bytes_and_again_nothing_new(tmp_path, market):
    slow, fast = Place(tmp_path / "slow", market), Place(tmp_path / "fast", market)
    end = BORN + timedelta(days=7)
    for n in range(7):
        slow.mark(BORN + timedelta(days=1 + n))
    assert fast.mark(end).rows == 14
    assert slow.bytes() == fast.bytes()
    before = fast.bytes()
    again = fast.mark(end)
    assert (again.days, again.rows, again.moves) == ((), 0, ())
    assert fast.bytes() == before


def test_what_is_booked_is_what_an_account_earned_and_the_evidence_follows_from_it(place):
    place.mark()
    first = BORN + timedelta(days=1)
    days = (LAST - FIRST).days + 1
    panel = build_panel(place.lake, place.market, HOUR, LAST, min(days, (LAST - first).days + 1 + HISTORY_DAYS), None)
    start = (first - FIRST).days * 24
    for id in place.ids:
        committee = place.repository.load(id).committee
        before = committee_run(committee, panel, Costs(), EQUITY, stop=start, evaluator=Evaluator())
        run = committee_run(committee, panel, Costs(), EQUITY, start=start, after=before, evaluator=Evaluator())
        own = place.rows().filter(pl.col("id") == id).sort("date")
        assert own["date"].to_list() == [first + timedelta(days=n) for n in range((LAST - BORN).days)]
        assert own["net_return"].to_list() == run.daily_returns.tolist()
        state = replayed(Promise(0.01, 1.5), 2.0, own["net_return"].to_list())
        assert own["wealth"][-1] == state.wealth
        assert known_of(place.lake, place.repository, id, now="2024-04-06").numbers["wealth"] == state.wealth


def test_a_stored_day_that_somebody_changed_is_noticed(place):
    place.mark(BORN + timedelta(days=3))
    day = BORN + timedelta(days=2)
    stored = place.lake.table(EvidenceDayTable)
    where = {"market": place.market, "interval": "1h"}
    frame = stored.read_day(day, **where)
    stored.write(frame.with_columns(pl.col("net_return") + 0.01), **where, day=day)
    with pytest.raises(IntegrityError, match="is not what its days give"):
        place.mark()


def test_a_day_without_bars_has_no_record_and_changes_no_evidence(place):
    missing = BORN + timedelta(days=4)
    place.lake.table(EvidenceDayTable)
    for path in (place.lake.root / "candles").rglob(f"date={missing}/*"):
        path.unlink()
    place.mark()
    rows = place.rows().filter(pl.col("id") == place.ids[0]).sort("date")
    gap = rows.filter(pl.col("date") == missing).row(0, named=True)
    assert (gap["recorded"], gap["net_return"], gap["standardised"]) == (False, None, None)
    assert gap["wealth"] == rows.filter(pl.col("date") < missing)["wealth"][-1]
    assert gap["fresh_days"] == rows.filter(pl.col("date") < missing)["fresh_days"][-1]


def test_what_the_trader_booked_stands_in_place_of_the_simulation_from_paper_on_and_never_beside_it(place):
    id, other = place.ids
    place.repository.move(id, "paper", at="2024-03-25", reason="r", records=records("day door"))
    ledger = {id: {date(2024, 3, 26): 0.01, date(2024, 3, 28): -0.005}, other: {date(2024, 3, 26): 0.5}}
    place.mark(date(2024, 3, 28), ledger=ledger)
    rows = place.rows().filter(pl.col("id") == id).sort("date")
    assert rows["source"].to_list() == ["account"] * 4 + ["ledger"] * 4
    assert rows["net_return"].to_list()[5:] == [0.01, None, -0.005]
    watched = place.rows().filter(pl.col("id") == other)
    assert set(watched["source"]) == {"account"}
    assert place.rows().group_by("id", "date").len()["len"].max() == 1


def test_the_machine_moves_on_what_was_booked_and_the_lake_has_every_number(tmp_path, market):
    place = Place(tmp_path, market, wealth=0.2, deviation=0.001)
    moves = place.mark().moves
    gone = [(day, move.id, move.rule.name) for day, move in moves if move.rule.end == "retired"]
    assert gone
    for day, id, rule in gone:
        retired = place.repository.load(id)
        assert (retired.stage, retired.history[-1].rule) == ("retired", rule)
        assert retired.history[-1].at == f"{day + timedelta(days=1)}T00:00:00Z"
        own = place.rows().filter(pl.col("id") == id).sort("date")
        assert own["date"][-1] == day
        assert own["wealth"][-1] < 0.2
    booked = place.rows(MoveTable)
    assert set(booked.filter(pl.col("end") == "retired")["id"]) == {id for _, id, _ in gone}
    assert booked.filter(pl.col("end") == "shadow", pl.col("kind") == "unseen_p").height == 2


def test_wealth_on_fresh_days_opens_paper_by_the_day_door(tmp_path, market):
    place = Place(tmp_path, market, wealth=40.0, deviation=0.05)
    moves = [(move.rule.name, place.repository.load(move.id)) for _, move in place.mark().moves]
    opened = [found for name, found in moves if name == "day door"]
    assert opened
    numbers = {record.kind: record for record in opened[0].history[2].records}
    assert numbers["wealth"].value >= 12
    assert numbers["wealth"].n >= 1
    assert {"near_seated", "seated", "trade_parity", "perturbations", "recent_sum"} <= set(numbers)


def test_every_market_is_marked_up_to_its_newest_day(place):
    found = mark_all(place.lake, place.repository, equity_usd=EQUITY)
    assert set(found) == {(place.market, "1h")}
    assert found[place.market, "1h"].days[-1] == LAST
    with pytest.raises(InputError, match="no strategy"):
        known_of(place.lake, place.repository, "rsi_filter_0_00000000", now="2024-04-06")
