"""Text says a tree exactly, and nothing but a tree is read."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.strategies.trees.grammar import VoteGrammar
from quant_organism.strategies.trees.primitives import PRIMITIVES
from quant_organism.strategies.trees.text import parse_tree, parse_votes, tree_text
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.strategies.trees.growing import FALLS, LANGUAGE, RISES, conditions

GRAMMAR = VoteGrammar(LANGUAGE)


@given(st.integers(0, 2**32 - 1))
def test_drawn_votes_read_back(seed: int) -> None:
    votes = GRAMMAR.draw(np.random.default_rng(seed))
    assert GRAMMAR.canonical(parse_votes(GRAMMAR.describe(votes))) == votes


@given(conditions)
def test_any_condition_reads_back(condition: tuple[object, ...]) -> None:
    assert parse_tree(tree_text(condition), "here") == condition


def test_the_text_is_for_people() -> None:
    assert tree_text(("vote", RISES, ("gt", ("rsi", 14), 70.0))) == "vote(gt(close, sma(2)), gt(rsi(14), 70.0))"
    vote, sign = ("vote", RISES, FALLS), ("family", "rsi_filter")
    assert GRAMMAR.describe(((vote,), (sign, vote), (sign,))) == (
        "momentum: vote(gt(close, sma(2)), lt(close, sma(2)))\n"
        "reversion: family(rsi_filter); vote(gt(close, sma(2)), lt(close, sma(2)))\n"
        "breakout: family(rsi_filter)"
    )


def test_numbers_read_back_to_the_last_digit() -> None:
    for number in (-0.0123456789, 5e-05, 1.5, -1e-10, 70.0):
        assert parse_tree(tree_text(("gt", ("macd",), number)), "here") == ("gt", ("macd",), number)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "expected a name or a number at character 0"),
        ("14", "'14', expected a name"),
        ("gt(close, sma(20)", r"expected , or \) at character 17"),
        ("gt(close,, sma(20))", r"expected a name"),
        ("gt(close, sma(20))) ", "expected the end at character 18"),
        ("gt(close, 1.2.3)", "'1.2.3' is no number"),
        ("sma(20); rm", "expected the end at character 7, before '; rm'"),
        ("__import__('os')", "expected a name or a number at character 0"),
        ("not(" * 50_000, "deeper than 8 levels"),
    ],
)
def test_other_text_is_refused_with_its_place(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as refusal:
        parse_tree(text, "here")
    assert refusal.value.where == "here"


def test_lines_come_in_their_order() -> None:
    with pytest.raises(InputError, match="no line reversion"):
        parse_votes("momentum: family(rsi_filter)\nbreakout: family(rsi_filter)")
    with pytest.raises(InputError, match="4 lines, expected 3"):
        parse_votes("\n".join(f"{name}: family(x)" for name in ("momentum", "reversion", "breakout", "more")))


def test_the_page_explains_the_language_as_it_is() -> None:
    page = (REPOSITORY / "docs" / "trees.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(PRIMITIVES)
    example = re.search(r"```text\n(.*?)```", page, re.DOTALL)
    assert example
    votes = GRAMMAR.canonical(parse_votes(example[1]))
    assert GRAMMAR.describe(votes) == example[1].strip()
