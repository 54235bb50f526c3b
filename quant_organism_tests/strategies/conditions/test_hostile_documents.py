"""Files and texts that are damaged, endless or malicious end in a message, and quickly."""

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.strategies import Genome
from quant_organism.strategies.handwritten import load_conditions
from quant_organism_tests.strategies.conditions.documents import DOCUMENT

TEXT = yaml.safe_dump(DOCUMENT)
LAUGHS = "a: &a [lol, lol]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (LAUGHS, "anchors and aliases are not allowed"),
        ("entry: &loop\n  conditions: [*loop]\n", "anchors and aliases are not allowed"),
        ("strategy_id: !!python/object/apply:os.system ['true']\n", "tag .* is not allowed"),
        ("operator: !=\n", "is not allowed|not YAML"),
        ("entry:\n  operator: >=\n  value: 3\n", "not YAML"),
        ("a: 1\na: 2\n", "field a stands twice"),
        ("[" * 5000 + "\n", "nested deeper than 20"),
        ("a: [1, 2\n", "not YAML"),
        ("a: 2024-13-45\n", "not YAML"),
        ("a: " + "9" * 5000 + "\n", "not YAML"),
        ("? {a: 1}\n: 2\n", "not YAML"),
        ("- 1\n- 2\n", "expected a mapping of fields, found a list"),
        ("\n", "expected a mapping of fields, found None"),
        ("a: \x00\n", "not YAML"),
        ("---\na: 1\n---\nb: 2\n", "not YAML"),
        ("{" * 5000, "not JSON"),
        ('{"a":' * 5000, "not JSON"),
        ('{"a": 1, "a": 2}', "field a stands twice"),
        ('{"a": 1', "not JSON"),
        ("a: " + "x" * 70_000 + "\n", "at most 65536 are read"),
        ("a: \ud800\n", "not UTF-8"),
    ],
)
def test_a_hostile_text_is_refused(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        load_conditions(text)


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(TEXT.replace("operator: '>'", "operator: '>>'", 1))
    with pytest.raises(InputError, match=r"broken\.yaml: entry\.conditions\[1\]\.operator"):
        load_conditions(broken)
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"broken\.yaml: not UTF-8"):
        load_conditions(broken)
    broken.write_text("x" * 70_000)
    with pytest.raises(InputError, match=r"broken\.yaml: 65537 bytes or more"):
        load_conditions(broken)
    for absent in (tmp_path, tmp_path / "absent.yaml", "a\0.yaml", "\ud800.yaml", "x" * 5000):
        with pytest.raises(InputError, match="cannot be read"):
            load_conditions(absent)


def outcome(text: str) -> None:
    """Load a text; anything but a genome or a message is a fault."""
    with contextlib.suppress(InputError):
        assert isinstance(load_conditions(text), Genome)


@given(st.text(max_size=200))
def test_any_text_ends_in_a_genome_or_a_message(text: str) -> None:
    outcome(text + "\n")
    outcome("{" + text)


@given(st.sampled_from([TEXT, json.dumps(DOCUMENT)]), st.data())
def test_a_damaged_document_ends_in_a_genome_or_a_message(text: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(begin, min(begin + 20, len(text))))
    outcome(text[:begin] + data.draw(st.text(max_size=5)) + text[end:] + "\n")
