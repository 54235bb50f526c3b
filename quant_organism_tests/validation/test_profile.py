"""Profiles say what they mean, and a mistake in one is found before any work is done."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.strategies.handwritten.load import parse
from quant_organism.validation.profile import KINDS, SHIPPED, Profile
from quant_organism.validation.verdict import STAGES
from quant_organism_tests.conftest import REPOSITORY

SHARPE = {"gate": "backtest", "metric": "sharpe", "span": "holdout", "at_least": 1.0}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_are_read_and_differ(name):
    profile = Profile.load(name)
    assert profile.name == name
    assert profile.shadow == Profile.load("light").shadow
    assert [other for other in SHIPPED if Profile.load(other).hash == profile.hash] == [name]


def test_light_promotes_nobody_beyond_shadow_and_the_others_decide_by_both_p_values():
    assert Profile.load("light").paper == ()
    bounds = [
        next(gate.threshold for gate in Profile.load(name).paper if gate.kind == "decision")
        for name in ("full", "strict")
    ]
    assert bounds == [1.748163, 2.679521]


@pytest.mark.parametrize("name", SHIPPED)
def test_gates_stand_in_the_order_of_what_they_cost_and_each_once(name):
    gates = Profile.load(name).gates
    places = [STAGES.index(gate.stage) for gate in gates]
    assert all(a <= b for a, b in pairwise(places))
    assert len(set(gates)) == len(gates)


def test_a_file_of_ones_own_is_read(tmp_path: Path):
    path = tmp_path / "gates.yaml"
    path.write_text("name: mine\nshadow:\n  - {gate: luck, at_most: 0.01}\n")
    profile = Profile.load(str(path))
    assert [(gate.name, gate.threshold) for gate in profile.gates] == [("luck", 0.01)]


def test_the_documented_example_is_a_profile():
    text = (REPOSITORY / "docs" / "validation.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert Profile.of(parse(example.encode(), as_json=False)).name == "mine"


def test_a_gate_before_two_stages_of_life_is_judged_once():
    profile = Profile.of({"name": "x", "shadow": [SHARPE], "paper": [SHARPE]})
    (gate,) = profile.gates
    assert profile.goals(gate) == ("shadow", "paper")


BAD = [
    ([], "expected a mapping"),
    ({"name": "x"}, "missing field shadow"),
    ({"name": "x", "shadow": []}, "no gate stands before the shadow pool"),
    ({"name": "x", "shadow": {}}, "shadow: expected a list of gates"),
    ({"name": "x", "shadow": ["luck"]}, r"shadow\[0\]: expected a mapping with gate"),
    ({"name": "x", "shadow": [{"gate": "magic"}]}, r"shadow\[0\].gate: found 'magic'"),
    ({"name": "x", "shadow": [{"gate": ["luck"]}]}, r"shadow\[0\].gate"),
    ({"name": "x", "shadow": [SHARPE], "life": []}, "unknown field 'life'"),
    ({"name": "x", "shadow": [SHARPE, SHARPE]}, r"shadow\[1\]: the same gate stands twice"),
    ({"name": "x", "shadow": [SHARPE | {"at_lest": 1}]}, r"shadow\[0\].at_lest: no such field"),
    ({"name": "x", "shadow": [SHARPE | {"at_most": 1.0}]}, "at_least or at_most, one of them"),
    ({"name": "x", "shadow": [SHARPE | {"metric": "beauty"}]}, "no metric is called 'beauty'"),
    ({"name": "x", "shadow": [SHARPE | {"metric": "max_drawdown", "at_least": 1.5}]}, "lies in"),
    ({"name": "x", "shadow": [SHARPE | {"at_least": float("nan")}]}, r"at_least"),
    ({"name": "x", "shadow": [SHARPE | {"at_least": float("inf")}]}, r"at_least"),
    ({"name": "x", "shadow": [SHARPE | {"at_least": "1.0"}]}, r"at_least"),
    ({"name": "x", "shadow": [SHARPE | {"at_least": True}]}, r"at_least"),
    ({"name": "x", "shadow": [SHARPE | {"span": "future"}]}, r"shadow\[0\].span"),
    ({"name": "x", "shadow": [{"gate": "luck"}]}, r"shadow\[0\].at_most: missing field"),
    ({"name": "x", "shadow": [{"gate": "luck", "at_most": 0}]}, r"shadow\[0\].at_most"),
    ({"name": "x", "shadow": [{"gate": "luck", "at_most": 1.0}]}, r"shadow\[0\].at_most"),
    ({"name": "x", "shadow": [SHARPE | {"span": "in_sample"}]}, "shadow: no gate looks at unseen days"),
    (
        {"name": "x", "shadow": [SHARPE], "paper": [{"gate": "deflated_sharpe", "at_least": 0.9}]},
        "paper: no gate looks",
    ),
    ({"name": "x", "shadow": [SHARPE, {"gate": "decision", "at_least": 1.7}]}, "lacks"),
    ({"name": "x", "shadow": [{"gate": "backtest_overfitting", "at_most": 0.2, "blocks": 7}]}, "blocks"),
    ({"name": "x", "shadow": [SHARPE | {"at_least": float(n)} for n in range(101)]}, "at most 100"),
]


@pytest.mark.parametrize(("document", "words"), BAD)
def test_a_mistake_is_named_with_its_place(document, words):
    with pytest.raises(InputError, match=words):
        Profile.of(document)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nshadow: &a [*a]\n", "anchors"),
        ("name: !!python/object:os.system x\n", "tag"),
        ("name: x\nname: y\n", "stands twice"),
        ("[" * 50, "nested deeper"),
        ("name: x\n" + "#" * 70_000, "bytes"),
        ("a: [1\n", "not YAML"),
    ],
)
def test_hostile_files_are_refused_and_named(tmp_path: Path, text, words):
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        Profile.load(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("source", ["nowhere.yaml", ".", "\0"])
def test_a_file_that_cannot_be_read_is_told_with_what_there_is(source):
    with pytest.raises(InputError, match="light, full, strict"):
        Profile.load(source)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from([*KINDS, "holdout"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["gate", "name", "shadow", "at_least", "at_most", "span"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_document_is_a_profile_or_an_input_error(document):
    try:
        profile = Profile.of(document)
    except InputError:
        return
    assert profile.shadow


def test_the_hash_changes_with_any_threshold():
    one, two = (Profile.of({"name": "x", "shadow": [SHARPE | {"at_least": bound}]}) for bound in (1.0, 1.1))
    assert one.hash != two.hash
