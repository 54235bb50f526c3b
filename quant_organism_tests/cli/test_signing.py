"""`quant-organism strategies sign`: a person stands for what sends orders, with a key that lands nowhere."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quant_organism.deployment import DocumentSigner, StrategyRepository
from quant_organism_tests.deployment.documents import document, records
from quant_organism_tests.deployment.test_signatures import KEY, sending
from quant_organism_tests.program import Said


def test_a_person_signs_what_sends_orders_and_looks_whether_it_holds(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository = StrategyRepository(tmp_path / "data" / "strategies")
    one, born = sending(repository), document(1)
    repository.save(born)
    refused = call("strategies", "sign")
    assert refused.code == 2
    assert "there is no key to sign with" in refused.err
    monkeypatch.setenv("QUANT_ORGANISM_SIGNING__PRIVATE_KEY", KEY)
    assert call("strategies", "sign", "--check").code == 1
    said = json.loads(call("strategies", "sign", "--json").out)
    assert said["strategies"] == [{"id": one.id, "stage": "testnet", "signature": "holds"}]
    monkeypatch.delenv("QUANT_ORGANISM_SIGNING__PRIVATE_KEY")
    monkeypatch.setenv("QUANT_ORGANISM_SIGNING__PUBLIC_KEY", said["public_key"])
    assert call("strategies", "sign", "--check").code == 0
    assert "is not signed" in call("strategies", "sign", born.id, "--check").out
    repository.move(one.id, "decaying", reason="for a test", records=records("shortfall"))
    assert "was changed" in call("strategies", "sign", one.id, "--check").out
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_a_move_that_a_person_makes_with_the_key_at_hand_is_signed(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository = StrategyRepository(tmp_path / "data" / "strategies")
    signer = DocumentSigner(repository.root, KEY)
    one, other = sending(repository), sending(repository, 1)
    signer.sign(one)
    signer.sign(other)
    call("strategies", "archive", one.id, "--reason", "without the key")
    monkeypatch.setenv("QUANT_ORGANISM_SIGNING__PRIVATE_KEY", KEY)
    call("strategies", "archive", other.id, "--reason", "with it")
    assert not signer.stands_for(repository.load(one.id))
    assert signer.stands_for(repository.load(other.id))
