"""A document is exact, short, and refuses to be read when anything about it does not fit."""

import hashlib
import itertools
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.deployment.config import LISTED_MOVES, LISTED_PERFORMANCE, MAX_BYTES, StrategyConfig
from quant_organism.errors import InputError, IntegrityError, QuantOrganismError
from quant_organism.strategies import Committee
from quant_organism_tests.deployment.documents import (
    UNIVERSE,
    committee,
    document,
    observation,
    records,
    stage_evidence,
)

OLD = Path(__file__).parent / "old_documents"
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def restricted(strategy: Committee) -> Committee:
    """Restrict each member to one asset, in turn."""
    assets = [(UNIVERSE[i % len(UNIVERSE)],) for i in range(len(strategy.members))]
    return Committee.of(strategy.genomes, strategy.weights, assets)


def read(data: bytes) -> StrategyConfig:
    return StrategyConfig.from_json(data, where="a.json")


def tampered(config: StrategyConfig, *, resealed: bool, **changes) -> bytes:
    """Change fields of the stored form, with or without a checksum that fits again."""
    content = {**orjson.loads(config.to_json()), **changes}
    if resealed:
        del content["checksum"]
        content["checksum"] = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return orjson.dumps(content)


@given(
    seed=st.integers(0, 10_000),
    members=st.integers(1, 30),
    fitness=NUMBERS,
    sharpes=st.lists(NUMBERS | st.none(), max_size=25),
)
def test_what_is_written_is_read_back_exactly(seed, members, fitness, sharpes):
    config = document(seed, members=members, fitness=fitness)
    for day, sharpe in enumerate(sharpes, start=1):
        config = config.observed(observation(day, sharpe))
    again = read(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()
    assert [g.hash for g in again.committee.genomes] == [g.hash for g in config.committee.genomes]
    assert again.committee.weights.tolist() == config.committee.weights.tolist()


def test_identity_and_kind_are_those_of_what_trades():
    single, several = document(members=1), document(members=5)
    assert (single.kind, single.id) == ("genome", single.committee.genomes[0].id)
    assert several.kind == "committee"
    assert several.id == committee(5).id
    assert several.id.startswith("committee_")


@pytest.mark.parametrize(("members", "limit"), [(1, 5_000), (30, 22_000)])
def test_a_long_life_stays_within_the_size_limit(members, limit):
    config = document(members=members).moved("shadow", at="2025-05-31", reason="r" * 200, records=records("one look"))
    config = config.moved("paper", at="2025-05-31", reason="r" * 200, records=records("night door"))
    for day in range(1, 200):
        config = config.observed(observation(day))
    for turn in range(12):
        fell, back = (
            f"202{year}-0{month}-01"
            for year, month in ((6 + turn // 4, 1 + 2 * (turn % 4)), (6 + turn // 4, 2 + 2 * (turn % 4)))
        )
        config = config.moved("decaying", at=fell, reason="r" * 200, records=records("drawdown"))
        config = config.moved("shadow", at=back, reason="r" * 200, records=records("recovered"))
        config = config.moved("paper", at=back, reason="r" * 200, records=records("day door"))
    config = config.moved("retired", at="2029-01-01", reason="r" * 200, records=records("hard limit"))
    assert MAX_BYTES[config.kind] == limit
    assert len(config.to_json()) <= limit
    assert config.history[0].to_stage == "born"
    assert len(config.history) + config.earlier_moves == 40
    assert len(config.performance) + config.earlier_performance.records == 199
    assert config.performance[-1] == observation(199)
    assert read(config.to_json()) == config


def test_the_text_of_trees_comes_on_top_of_the_limit():
    grown = document(strategy=committee(30, family="composite"))
    assert len(grown.to_json()) > MAX_BYTES["committee"]
    assert read(grown.to_json()) == grown


def test_members_restricted_to_assets_are_read_back_exactly_within_the_same_limit():
    strategy = restricted(committee(30))
    config = document(strategy=strategy)
    for day in range(1, 200):
        config = config.observed(observation(day))
    again = read(config.to_json())
    assert again == config
    assert again.committee.members == strategy.members
    assert len(config.to_json()) <= MAX_BYTES["committee"]


def test_a_genome_restricted_to_assets_is_not_the_genome():
    strategy = restricted(committee(1))
    config = document(strategy=strategy)
    assert (config.kind, config.id) == ("committee", strategy.id)
    assert config.id != strategy.genomes[0].id
    assert read(config.to_json()) == config


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("genome_version_1", ["born", "shadow", "decaying", "shadow"]),
        ("committee_version_2", ["born", "shadow", "paper"]),
        ("genome_version_3", ["born", "shadow", "paper"]),
    ],
)
def test_a_document_of_an_earlier_version_is_read_in_the_words_of_this_one(name, stages):
    stored = (OLD / f"{name}.json").read_bytes()
    config = read(stored)
    assert [move.to_stage for move in config.history] == stages
    assert [move.from_stage for move in config.history] == [None, *stages[:-1]]
    assert config.stage == stages[-1]
    before, after = orjson.loads(stored), orjson.loads(config.to_json())
    assert after.pop("account") is None
    renamed = {"schema_version", "stage", "history", "checksum"}
    assert {key: value for key, value in after.items() if key not in renamed} == {
        key: value for key, value in before.items() if key not in renamed
    }
    told = [(move["at"], move["reason"], move["evidence"]) for move in before["history"]]
    assert [(move["at"], move["reason"], move["note"]) for move in after["history"]] == told
    assert [move["rule"] for move in after["history"]] == ["birth", *["before records"] * (len(stages) - 1)]
    assert after["schema_version"] == "4"
    assert read(config.to_json()) == config


def test_an_altered_document_of_an_earlier_version_is_refused_by_the_checksum_that_it_was_written_with():
    stored = (OLD / "genome_version_1.json").read_bytes()
    with pytest.raises(IntegrityError, match="checksum"):
        read(stored.replace(b"testing", b"shadow"))


def test_the_earlier_word_is_no_stage_of_the_present_version():
    birth = {"at": "2025-05-31T00:00:00Z", "from": None, "to": "testing", "rule": "birth", "reason": "r"}
    stored = tampered(document(), resealed=True, stage="testing", history=[birth])
    with pytest.raises(IntegrityError, match="to: Input should be"):
        read(stored)


def test_members_cannot_trade_what_the_universe_lacks():
    genomes = committee(2).genomes
    with pytest.raises(InputError, match="members trade MOON"):
        document(strategy=Committee.of(genomes, None, [("MOON",), ()]))


@pytest.mark.parametrize("assets", ["COIN00", [1], ["COIN01", "COIN00"], {"COIN00": 1}])
def test_assets_of_a_member_that_are_no_sorted_list_of_symbols_are_refused(assets):
    config = document(strategy=restricted(committee(2)))
    member, *others = orjson.loads(config.to_json())["members"]
    with pytest.raises(QuantOrganismError):
        read(tampered(config, resealed=True, members=[{**member, "assets": assets}, *others]))


def test_lists_are_bounded_even_where_there_is_room():
    config = document(evidence={})
    for day in range(1, 21):
        config = config.observed(observation(day))
    assert [record.observed_at[8:10] for record in config.performance] == [f"{d:02d}" for d in range(11, 21)]
    assert len(config.performance) == LISTED_PERFORMANCE
    assert len(config.history) <= LISTED_MOVES


def test_a_document_too_large_to_shorten_is_refused_with_what_makes_it_large():
    with pytest.raises(InputError, match="at most 5000 are allowed") as caught:
        document(universe=tuple(f"A-VERY-LONG-SYMBOL-{i:04d}" for i in range(300)))
    assert "300 now" in caught.value.remedy


def test_a_move_needs_the_table_and_time_order():
    config = document()
    moved = config.moved("shadow", at="2025-06-02", reason="chosen", records=records("one look"))
    assert (config.stage, moved.stage) == ("born", "shadow")
    assert moved.history[-1].from_stage == "born"
    with pytest.raises(InputError, match="from born to live"):
        config.moved("live", at="2025-06-02", reason="chosen", records=records("one look"))
    with pytest.raises(InputError, match="before the last move"):
        moved.moved("paper", at="2025-06-01", reason="chosen", records=records("night door"))


def test_the_past_of_a_strategy_can_be_asked_for():
    config = document().moved("shadow", at="2025-06-02", reason="chosen", records=records("one look"))
    config = config.moved("retired", at="2025-06-20", reason="lost", records=records("wealth lost"))
    moments = ["2025-05-30", "2025-05-31", "2025-06-02", "2025-06-19T23:59:59Z", "2025-06-20"]
    assert [config.stage_at(at) for at in moments] == [None, "born", "shadow", "shadow", "retired"]


def test_observations_come_in_order_and_the_same_moment_again_replaces():
    config = document().observed(observation(1, 1.0)).observed(observation(2, 2.0))
    assert [record.sharpe for record in config.observed(observation(2, 3.0)).performance] == [1.0, 3.0]
    assert config.last_active == "2025-06-02T00:00:00Z"
    with pytest.raises(InputError, match="older than the newest"):
        config.observed(observation(1, 5.0))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"fitness": float("nan")}, "fitness"),
        ({"universe": ()}, "universe"),
        ({"universe": ("BTC", "BTC")}, "universe"),
        ({"interval": ""}, "interval"),
        ({"at": "soon"}, "not a moment"),
        ({"reason": ""}, "reason"),
    ],
)
def test_unusable_values_at_birth_are_named(changes, found):
    with pytest.raises(InputError, match=found):
        document(**changes)


def test_a_later_version_is_told_apart_before_anything_else_is_judged():
    with pytest.raises(IntegrityError, match=r"newer version.*nothing was changed") as caught:
        read(tampered(document(), resealed=False, schema_version="6"))
    assert caught.value.remedy == "update quant-organism"


@pytest.mark.parametrize("resealed", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"fitness": "high"},
        {"id": "rsi_filter_0_00000000"},
        {"stage": "live"},
        {"kind": "committee"},
        {"colour": "blue"},
        {"members": []},
        {"members": [{"weight": 1.0}]},
        {"genes": {}},
        {"history": []},
        {"universe": ["B", "A"]},
    ],
)
def test_an_altered_document_is_refused_even_if_its_checksum_was_made_to_fit(changes, resealed):
    with pytest.raises(QuantOrganismError) as caught:
        read(tampered(document(), resealed=resealed, **changes))
    assert caught.value.where.startswith("a.json")
    if not resealed:
        assert "checksum" in caught.value.what


def test_altered_genes_are_found_by_their_hash_and_unknown_ones_by_their_name():
    config = document()
    content = orjson.loads(config.to_json())
    member, (family, names) = content["members"][0], next(iter(content["genes"].items()))
    at = names.index("max_holding_hours")
    values = [*member["values"][:at], 5 if member["values"][at] != 5 else 6, *member["values"][at + 1 :]]
    with pytest.raises(IntegrityError, match="hash"):
        read(tampered(config, resealed=True, members=[{**member, "values": values}]))
    with pytest.raises(InputError, match="unknown gene wings"):
        read(tampered(config, resealed=True, genes={family: [*names[:-1], "wings"]}))
    renamed = [{**member, "family": "horoscope"}]
    with pytest.raises(InputError, match="unknown family 'horoscope'"):
        read(tampered(config, resealed=True, genes={"horoscope": names}, members=renamed))


@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_document_are_an_error_and_never_a_crash(data):
    with pytest.raises(IntegrityError):
        read(data)


@given(cut=st.integers(0, 2_000))
def test_a_truncated_document_is_never_taken_for_a_whole_one(cut):
    with pytest.raises(IntegrityError):
        read(document().to_json()[:cut])


def test_evidence_is_kept_stage_by_stage():
    evidence = stage_evidence(3)
    assert dict(read(document(evidence=evidence).to_json()).evidence) == evidence


def test_no_way_to_money_is_written_by_hand_whatever_the_checksum_says():
    """The evidence "y" once led from born to live in four moves of four seconds."""
    config = document()
    birth, at = orjson.loads(config.to_json())["history"][0], "2025-05-31T00:00:00Z"
    stages = ["born", "shadow", "paper", "testnet", "canary", "live"]
    for rule, note in (("before records", "y"), ("full money", ""), ("no such rule", "")):
        moves = [
            {"at": at, "from": start, "to": end, "rule": rule, "reason": "y", "note": note}
            for start, end in itertools.pairwise(stages)
        ]
        for stage in stages[1:]:
            history = [birth, *moves[: stages.index(stage)]]
            if rule == "before records" and stage in ("shadow", "paper"):
                continue
            with pytest.raises(IntegrityError, match=r"no records|not proven|no rule"):
                read(tampered(config, resealed=True, stage=stage, history=history))


def test_a_move_left_out_of_the_middle_is_noticed():
    config = document().moved("shadow", at="2025-05-31", reason="r", records=records("one look"))
    config = config.moved("paper", at="2025-06-10", reason="r", records=records("day door"))
    moves = orjson.loads(config.to_json())["history"]
    with pytest.raises(IntegrityError, match="does not follow"):
        read(tampered(config, resealed=True, history=[moves[0], moves[2]]))


def test_a_stay_that_the_moments_do_not_show_is_refused():
    config = document(members=2).moved("shadow", at="2025-05-31", reason="r", records=records("one look"))
    config = config.moved("paper", at="2025-06-10", reason="r", records=records("day door"))
    with pytest.raises(InputError, match="say 7 days in paper, the clock says 6"):
        config.moved("testnet", at="2025-06-16", reason="r", records=records("paper by trades"))
    moved = config.moved("testnet", at="2025-06-17", reason="r", records=records("paper by trades"))
    moves = orjson.loads(moved.to_json())["history"]
    early = [*moves[:3], {**moves[3], "at": "2025-06-11T00:00:00Z"}]
    with pytest.raises(IntegrityError, match="too early"):
        read(tampered(moved, resealed=True, history=early))


def test_what_is_for_a_person_the_machine_does_not_do():
    config = document().moved("shadow", at="2025-05-31", reason="r", records=records("one look"))
    with pytest.raises(InputError, match="approved is not known"):
        config.moved("retired", at="2025-06-01", reason="r", records=[], by="person")
    assert (
        config.moved("retired", at="2025-06-01", reason="r", records=records("by a person"), by="person").stage
        == "retired"
    )
    with pytest.raises(InputError):
        config.moved("retired", at="2025-06-01", reason="r", records=records("by a person"))
