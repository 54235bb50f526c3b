"""A document becomes a genome, or the message names the field that is wrong."""

import json
import re

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.strategies import Genome, get_family
from quant_organism.strategies.conditions.document import read_document
from quant_organism.strategies.conditions.grammar import read_structure
from quant_organism.strategies.handwritten import load_conditions
from quant_organism.strategies.handwritten.load import conditions_genome
from quant_organism_tests.strategies.conditions.documents import DOCUMENT, compare, document, simple

GRAMMAR = get_family("conditions").own_genes[0].grammar
IN_GROUP = ("entry", "conditions", 2, "conditions", 0)


def test_a_document_says_the_same_as_yaml_as_json_and_in_another_order(tmp_path) -> None:
    genome = conditions_genome(DOCUMENT)
    (tmp_path / "dip.yaml").write_text(yaml.safe_dump(DOCUMENT))
    (tmp_path / "dip.json").write_text(json.dumps(DOCUMENT, indent="\t"))
    backwards = yaml.safe_dump(dict(reversed(DOCUMENT.items())), sort_keys=False)
    for source in (tmp_path / "dip.yaml", str(tmp_path / "dip.json"), backwards, json.dumps(DOCUMENT)):
        assert load_conditions(source) == genome


def test_stops_become_risk_genes_and_periods_are_written_out() -> None:
    genome = conditions_genome(DOCUMENT)
    assert genome.family == "conditions"
    assert (genome.genes["stop_loss"], genome.genes["take_profit"]) == (0.02, 0.065)
    assert dict(genome.genes["document"]) == {
        "strategy_id": "dip_in_an_uptrend",
        "side": "LONG",
        "entry": (
            "ALL",
            ("RSI_14", "<", 30.0),
            ("close", ">", "SMA_50", 5.0),
            ("ANY", ("MACD", "crosses_above", "MACD_SIGNAL"), ("volume", ">=", "MEAN_VOLUME_20")),
        ),
        "exit": ("ANY", ("RSI_14", ">", 55.0)),
        "base_size_usd": 1000.0,
        "min_confidence": 0.5,
        "confidence_scaling": True,
        "fitness_score": 0.75,
        "allowed_regimes": ("NORMAL", "AGGRESSIVE"),
        "max_positions": 1,
    }


def test_the_flat_form_is_one_group() -> None:
    conditions = DOCUMENT["entry"]["conditions"]
    flat = document(entry=..., entry_indicators=conditions, entry_logic="ALL")
    assert conditions_genome(flat) == conditions_genome(DOCUMENT)


@pytest.mark.parametrize(("operator", "side"), [("<", "LONG"), ("<=", "LONG"), (">", "SHORT"), (">=", "SHORT")])
def test_the_rsi_alone_implies_a_side(operator: str, side: str) -> None:
    implied = simple(side, [compare("RSI", operator, 40), compare("RSI_7", operator, 45)])
    del implied["side"]
    assert dict(conditions_genome(implied).genes["document"])["side"] == side


def test_stored_genomes_come_back_the_same() -> None:
    genome = conditions_genome(DOCUMENT)
    assert Genome.from_dict(json.loads(json.dumps(genome.to_dict()))) == genome


@given(st.integers(0, 2**32 - 1))
def test_drawn_documents_are_canonical_and_vary_into_other_documents(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = GRAMMAR.draw(rng), GRAMMAR.draw(rng)
    for structure in (a, b, GRAMMAR.perturb(a, rng), *GRAMMAR.cross(a, b, rng)):
        assert GRAMMAR.canonical(json.loads(json.dumps(structure))) == structure
        assert read_structure(structure).side in GRAMMAR.describe(structure)
    assert GRAMMAR.perturb(a, rng) != a


def test_a_document_reads_as_a_sentence() -> None:
    assert GRAMMAR.describe(conditions_genome(DOCUMENT).genes["document"]) == (
        "LONG when RSI_14 < 30 and close > SMA_50 and (MACD crosses above MACD_SIGNAL or volume >= MEAN_VOLUME_20)"
        "; exit when RSI_14 > 55"
    )


@pytest.mark.parametrize(
    ("wrong", "where", "what"),
    [
        (document(strategy_id=...), "document", "missing field strategy_id"),
        (document(strategy_id="  "), "strategy_id", "expected a text"),
        (document(strategy_id="a\ud800"), "strategy_id", "expected a text"),
        (document(base_size_usd=...), "document", "missing field base_size_usd"),
        (document(base_size_usd=0), "base_size_usd", "a number above 0"),
        (document(base_size_usd="1000"), "base_size_usd", "a number above 0"),
        (document(base_size_usd=10**400), "base_size_usd", "a number above 0"),
        (document(base_size_usd=10**9999), "base_size_usd", "found an integer of 33216 bits"),
        (document(stop_loss_pct=...), "document", "missing field stop_loss_pct"),
        (document(stop_loss_pct=0.02), "stop_loss_pct", r"found 0.02, expected a number in \[1, 15\]"),
        (document(take_profit_pct=31), "take_profit_pct", r"expected a number in \[2, 30\]"),
        (document(take_profit_pct=True), "take_profit_pct", "found True"),
        (document(take_profit_pct=float("nan")), "take_profit_pct", "found nan"),
        (document(side="long"), "side", "expected one of LONG, SHORT"),
        (document(side=...), "document", "missing field side"),
        (document(entry=...), "document", "missing field entry"),
        (document(entry_logic="ALL"), "document", "entry and entry_logic exclude each other"),
        (document(entry=..., entry_logic="ALL"), "document", "missing field entry_indicators"),
        (document(entry=..., entry_indicators=[compare("RSI", "<", 30)]), "document", "missing field entry_logic"),
        (document(stop_los_pct=2), "document", "unknown field 'stop_los_pct'"),
        (document(min_confidence=1.5), "min_confidence", r"in \[0, 1\]"),
        (document(confidence_scaling=1), "confidence_scaling", "true or false"),
        (document(fitness_score=None), "fitness_score", "found None"),
        (document(allowed_regimes=[]), "allowed_regimes", "a list of regimes"),
        (document(allowed_regimes=["NORMAL", "CALM"]), r"allowed_regimes\[1\]", "one of DEFENSIVE"),
        (document(max_positions=0), "max_positions", "an integer from 1 on"),
        (document(max_positions=1.0), "max_positions", "an integer from 1 on"),
        (document(exit=None), "exit", "expected a mapping with logic, conditions"),
        (document("entry", logic="NOT"), "entry.logic", "one of ALL, ANY"),
        (document("entry", conditions=[]), "entry.conditions", "the group is empty"),
        (document("entry", conditions={}), "entry.conditions", "expected a list"),
        (document("exit", conditions=["RSI"]), r"exit.conditions\[0\]", "expected a mapping"),
        (document(*IN_GROUP, operator="=<"), r"entry.conditions\[2\].conditions\[0\].operator", "expected one of >"),
        (document(*IN_GROUP, operator=...), r"entry.conditions\[2\].conditions\[0\]", "missing field operator"),
        (document(*IN_GROUP, value=...), r"entry.conditions\[2\].conditions\[0\]", "missing field value"),
        (document(*IN_GROUP, value="RSI_7"), r"conditions\[0\].value", "found 'RSI_7', expected a number"),
        (document(*IN_GROUP, value={"nam": "RSI"}), r"conditions\[0\].value", "unknown field 'nam'"),
        (document(*IN_GROUP, value={"name": "SMB_5"}), r"conditions\[0\].value.name", "unknown name 'SMB_5'"),
        (document(*IN_GROUP, name="SMA"), r"conditions\[0\].name", "SMA needs a period"),
        (document(*IN_GROUP, name="SMA_1"), r"conditions\[0\].name", "the period of SMA_1 is 1"),
        (document(*IN_GROUP, name="SMA_1001"), r"conditions\[0\].name", "the period of SMA_1001 is 1001"),
        (document(*IN_GROUP, name="MACD_12"), r"conditions\[0\].name", "MACD takes no period"),
        (document(*IN_GROUP, name="SMA_20.5"), r"conditions\[0\].name", "unknown name"),
        (document(*IN_GROUP, name=["RSI"]), r"conditions\[0\].name", "is not a name"),
        (document("entry", "conditions", 0, value=101), r"entry.conditions\[0\].value", r"in \[0, 100\]"),
        (document("entry", "conditions", 0, scale=0), r"entry.conditions\[0\].scale", "a number above 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(wrong, where: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        conditions_genome(wrong)
    assert re.search(f"{where}$", caught.value.where or "")


@pytest.mark.parametrize(("name", "hint"), [("rsi_14", "RSI"), ("Close", "close"), ("SAM_20", "SMA")])
def test_a_misspelt_name_comes_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"did you mean {hint}"):
        conditions_genome(simple("LONG", [compare(name, ">", 30)]))


def nested(depth: int) -> dict:
    group = {"logic": "ALL", "conditions": [compare("RSI", "<", 30)]}
    for _ in range(depth - 1):
        group = {"logic": "ANY", "conditions": [group]}
    return group


def test_groups_nest_five_deep_and_no_deeper() -> None:
    conditions_genome(document(entry=nested(5)))
    with pytest.raises(InputError, match="nested deeper than 5"):
        conditions_genome(document(entry=nested(6)))


def test_a_document_that_contains_itself_is_refused() -> None:
    looped = nested(1)
    looped["conditions"].append(looped)
    with pytest.raises(InputError, match="contain themselves"):
        conditions_genome(document(entry=looped))
    structure: list = ["ALL"]
    structure.append(structure)
    with pytest.raises(InputError, match=r"entry\.conditions"):
        GRAMMAR.canonical([["strategy_id", "x"], ["entry", structure], ["base_size_usd", 1]])


def test_a_hundred_conditions_are_enough() -> None:
    conditions_genome(simple("LONG", [compare("RSI", "<", 30)] * 100))
    with pytest.raises(InputError, match="more than 100 conditions"):
        conditions_genome(simple("LONG", [compare("RSI", "<", 30)] * 101))


@pytest.mark.parametrize(
    "value",
    [None, 7, "LONG", [], [1, 2], [["side"]], [["side", "LONG"], ["side", "LONG"]], [["entry", ["ALL", [1]]]]],
)
def test_a_gene_that_is_no_document_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        GRAMMAR.canonical(value)


def test_the_stops_have_one_place() -> None:
    with pytest.raises(InputError, match="unknown field 'stop_loss_pct'"):
        read_document(DOCUMENT)
