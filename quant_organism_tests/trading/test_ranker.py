"""The ranker: assets by a causal score, the best of them in the policy, and what a trader makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from quant_organism.errors import InputError
from quant_organism.market import Interval, Lake, build_panel
from quant_organism.market.ingest import ingest
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import load_world
from quant_organism.trading.decided import ENGINE
from quant_organism.trading.pipeline import Pipeline
from quant_organism.trading.policy import Policy
from quant_organism.trading.policy_step import PolicyStep
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.profiles import session_profile
from quant_organism.trading.ranker import latest_ranks, put_ranked, rank_symbols
from quant_organism.trading.records import LedgerOrder, StepVerdict
from quant_organism.trading.replaying import panel_bars, replay_session
from quant_organism.trading.risk_limits import RiskLimits
from quant_organism.trading.tables import SymbolRankTable
from quant_organism_tests.tiny import FIRST, write_world
from quant_organism_tests.trading.sessions import START, ledger, market, spec, strategy

HOUR = Interval.parse("1h")
DAY = date(2024, 1, 20)
NOW = datetime(2024, 1, 21, 1, tzinfo=UTC)
RANKS = SymbolRankTable.frame(
    [("S1", 1, 0.9, 0.9, 0.9, 0.9), ("S0", 2, 0.5, 0.5, 0.5, 0.5), ("S2", 3, 0.1, 0.1, 0.1, 0.1)]
)


def test_assets_are_ranked_by_what_was_known_at_the_day_s_last_close(tmp_path: Path) -> None:
    source, short, long = (
        WorldSource(load_world(str(write_world(tmp_path)))),
        Lake(tmp_path / "a"),
        Lake(tmp_path / "b"),
    )
    ingest(source, short, HOUR, FIRST, DAY)
    ingest(source, long, HOUR, FIRST, DAY + timedelta(days=3))
    where = {"market": source.market, "interval": HOUR}
    ranks = rank_symbols(short, DAY, **where)  # type: ignore[arg-type]
    assert ranks.equals(rank_symbols(long, DAY, **where))  # type: ignore[arg-type]
    panel = build_panel(short, source.market, HOUR, DAY, None, None)
    traded = {symbol: sorted((panel.close * panel.volume)[-24:, place]) for place, symbol in enumerate(panel.symbols)}
    medians = {symbol: (values[11] + values[12]) / 2 for symbol, values in traded.items()}
    by_liquidity = ranks.sort("liquidity")["symbol"].to_list()
    assert by_liquidity == sorted(medians, key=lambda symbol: medians[symbol])
    assert sorted(ranks["liquidity"]) == sorted(ranks["calm"]) == sorted(ranks["momentum"]) == [0.0, 0.5, 1.0]
    assert ranks["place"].to_list() == [1, 2, 3]
    means = [(row["liquidity"] + row["calm"] + row["momentum"]) / 3 for row in ranks.to_dicts()]
    assert ranks["score"].to_list() == pytest.approx(means)
    assert means == sorted(means, reverse=True)
    stored = short.table(SymbolRankTable).read_day(DAY, market=source.market, interval="1h")
    assert stored.sort("place").equals(ranks)


def limited(folder: Path, policy: Policy) -> FilePolicyStore:
    """Put a policy in force, then the ranks of a day."""
    store = FilePolicyStore(policy_folder(folder))
    store.put(policy, author="me", reason="", at_ms=0)
    put_ranked(folder, RANKS, DAY, market="made", interval=HOUR, now=NOW)
    return store


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(most_symbols=1, ranked_market="made"), ("S1",)),
        (Policy(most_symbols=3, ranked_market="made"), ("S1", "S0")),  # what scores a tenth at most is left out
        (Policy(most_symbols=3, ranked_market="made", limits=RiskLimits(least_score=0.5)), ("S1",)),
        (Policy(most_symbols=1, ranked_market="made", blocked_symbols=("S1",)), ("S0",)),
        (Policy(most_symbols=2, ranked_market="made", allowed_symbols=("S2",)), ()),
        (Policy(most_symbols=1, ranked_market="other"), None),
        (Policy(), None),
    ],
)
def test_the_best_of_those_that_the_policy_allows_are_put_in_force(
    tmp_path: Path, policy: Policy, expected: tuple[str, ...] | None
) -> None:
    store = limited(tmp_path, policy)
    current = store.current()
    assert current is not None
    assert current.policy.ranked_symbols == expected
    if expected is not None:
        assert (current.number, current.author) == (2, ENGINE)
        assert current.reason == f"ranks of {DAY}: the best {len(expected)} of 3"
    assert (
        put_ranked(tmp_path, RANKS, DAY, market="made", interval=HOUR, now=NOW) is None
    )  # nothing changed, no version


def test_ranks_of_a_day_long_past_come_into_force_no_more(tmp_path: Path) -> None:
    store = FilePolicyStore(policy_folder(tmp_path))
    store.put(Policy(most_symbols=1, ranked_market="made"), author="me", reason="", at_ms=0)
    assert put_ranked(tmp_path, RANKS, DAY, market="made", interval=HOUR, now=NOW + timedelta(days=2)) is None
    assert put_ranked(tmp_path, RANKS, DAY, market="made", interval=HOUR, now=NOW + timedelta(days=1)) is not None


def test_a_policy_that_names_bars_takes_the_ranks_of_no_others(tmp_path: Path) -> None:
    """A market that is run at two intervals is ranked twice a night: whichever came last would be in force."""
    store = FilePolicyStore(policy_folder(tmp_path))
    store.put(Policy(most_symbols=1, ranked_market="made", ranked_interval="1h"), author="me", reason="", at_ms=0)
    four, others = Interval.parse("4h"), RANKS.reverse().with_columns(score=0.7)
    assert put_ranked(tmp_path, others, DAY, market="made", interval=four, now=NOW) is None
    assert put_ranked(tmp_path, RANKS, DAY, market="made", interval=HOUR, now=NOW) is not None
    assert put_ranked(tmp_path, others, DAY, market="made", interval=four, now=NOW) is None
    current = store.current()
    assert current is not None
    assert current.policy.ranked_symbols == ("S1",)
    assert current.policy.unranked() == Policy()


def test_the_newest_ranks_are_those_of_the_market_and_its_bars(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert latest_ranks(lake, market="made", interval=HOUR) is None
    table = lake.table(SymbolRankTable)
    table.write(RANKS, day=DAY, market="made", interval="1h")
    table.write(RANKS.head(1), day=DAY - timedelta(days=1), market="made", interval="1h")
    table.write(RANKS.head(2), day=DAY + timedelta(days=1), market="made", interval="4h")
    found = latest_ranks(lake, market="made", interval=HOUR)
    assert found is not None
    assert found[0] == DAY
    assert found[1].equals(RANKS)


@pytest.mark.parametrize(("session", "most"), [("scalping", 5), ("intraday", 10), ("swing", 12), ("", 12)])
def test_a_session_enters_no_more_ranked_symbols_than_its_profile_says(session: str, most: int) -> None:
    ranked = tuple(f"S{place:02}" for place in range(12))
    policy = Policy(most_symbols=12, ranked_market="made", ranked_symbols=ranked)
    limit = session_profile(session).symbols if session else None
    assert [symbol for symbol in ranked if policy.allows_symbol(symbol, limit)] == list(ranked[:most])
    assert Policy().allows_symbol("any", limit)


def test_a_limit_is_stated_whole_and_its_symbols_are_no_more_than_it() -> None:
    for fields in (
        {"most_symbols": 1},
        {"ranked_market": "made"},
        {"ranked_symbols": ["S0"]},
        {"ranked_interval": "1h"},
    ):
        with pytest.raises(InputError):
            Policy.of(fields)
    with pytest.raises(InputError, match="more symbols than most_symbols"):
        Policy.of({"most_symbols": 1, "ranked_market": "made", "ranked_symbols": ["S0", "S1"]})
    waiting = Policy(most_symbols=1, ranked_market="made")
    assert not waiting.allows_symbol("S0")
    assert waiting.unranked() == Policy()


def test_only_ranked_symbols_are_entered_and_what_is_held_of_others_is_left_as_its_strategy_wants(
    tmp_path: Path,
) -> None:
    store, panel = FilePolicyStore(policy_folder(tmp_path)), market(days=75)
    store.put(Policy(), author="me", reason="", at_ms=0)
    own = spec(panel, [(strategy(), "trades")], pipeline=lambda: Pipeline([PolicyStep(store.current, "intraday")]))
    book = ledger(tmp_path)
    trader = replay_session(book, own, panel, START, started_ms=0, closes=100)
    held = dict(trader.main.account.positions)
    assert held.keys() - {"S1"}  # somebody holds what will not be ranked
    limited(tmp_path, Policy(most_symbols=1, ranked_market="made"))
    since = trader.last_close_ms
    for place, bar in enumerate(panel_bars(panel, trader.main.execution.model, START)):  # type: ignore[attr-defined]
        if place >= 100:
            trader.on_bar(bar)
            if place == 100:
                assert trader.main.account.positions.keys() >= held.keys() - {"S1"}
    orders = [each for each in book.read(LedgerOrder) if each.close_ms > since and each.kind == "ioc"]
    assert [each.symbol for each in orders if not each.reduces and each.symbol != "S1"] == []
    assert [each.symbol for each in orders if not each.reduces]  # the ranked one is entered
    assert [each.symbol for each in orders if each.reduces and each.symbol != "S1"]  # others are left
    said = {
        each.subject: each.reason for each in book.read(StepVerdict) if each.close_ms > since and not each.decision_id
    }
    assert said == dict.fromkeys(("S0", "S2"), "the symbol is not among the best ranked")
    book.close()


def test_a_trader_enters_the_best_ranked_up_to_its_profile_s_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, panel = FilePolicyStore(policy_folder(tmp_path)), market(days=75)
    policy = Policy(most_symbols=3, ranked_market="made", ranked_symbols=("S2", "S0", "S1"))
    store.put(policy, author="me", reason="", at_ms=0)
    scalping = replace(session_profile("scalping"), symbols=1)
    monkeypatch.setattr("quant_organism.trading.policy_step.session_profile", lambda name: scalping)
    own = spec(panel, [(strategy(), "trades")], pipeline=lambda: Pipeline([PolicyStep(store.current, "scalping")]))
    book = ledger(tmp_path)
    replay_session(book, own, panel, START, started_ms=0, closes=100)
    assert {each.symbol for each in book.read(LedgerOrder) if not each.reduces} == {"S2"}
    said = {(each.subject, each.bound) for each in book.read(StepVerdict) if not each.decision_id}
    assert said == {("S0", 1), ("S1", 1)}
    book.close()
