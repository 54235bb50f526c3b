"""Signatures of documents: what was changed, forged or never signed is named."""

from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quant_organism.deployment import DocumentSignatures, DocumentSigner, StrategyConfig, StrategyRepository
from quant_organism.errors import InputError, StorageError
from quant_organism.settings import load_settings
from quant_organism_tests.deployment.documents import document, observation, records

KEY, OTHER = "5e" * 32, "6f" * 32


@pytest.fixture
def repository(tmp_path: Path) -> StrategyRepository:
    return StrategyRepository(tmp_path / "data" / "strategies")


def sending(repository: StrategyRepository, seed: int = 0) -> StrategyConfig:
    """Keep a strategy in stage testnet."""
    born = document(seed)
    repository.save(born)
    for stage, rule in (("shadow", "one look"), ("paper", "night door"), ("testnet", "paper by days")):
        repository.move(born.id, stage, at="2025-06-01", reason="for a test", records=records(rule))
    return repository.load(born.id)


def test_a_signature_is_that_of_the_key_over_the_document(repository: StrategyRepository) -> None:
    one = sending(repository)
    signer = DocumentSigner(repository.root, KEY)
    signed = bytes.fromhex(signer.sign(one).read_text())
    # The same by the curve itself: what is signed is the stored form, its keys sorted, without three of them.
    plain = orjson.loads(one.to_json())
    for name in ("performance", "earlier_performance", "checksum"):
        del plain[name]
    text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEY))
    assert signed == private.sign(b"quant-organism strategy document\n" + text)
    assert DocumentSignatures(repository.root, signer.public_key).refusal(one) == ""


def test_what_is_not_signed_changed_or_signed_by_somebody_else_is_named(repository: StrategyRepository) -> None:
    one, other = sending(repository), sending(repository, 1)
    signer = DocumentSigner(repository.root, KEY)
    signatures = DocumentSignatures(repository.root, signer.public_key)
    path = signer.sign(one)
    assert signatures.refusal(other) == f"{other.id} is not signed"
    path.with_name(f"{other.id}.sig").write_bytes(path.read_bytes())
    assert "was changed after it was signed" in signatures.refusal(other)
    for changed in (
        one.model_copy(update={"fitness": one.fitness + 1e-9}),
        one.model_copy(update={"universe": one.universe[1:]}),
        one.moved("retired", at="2030-01-01", reason="for a test", records=records("hard limit")),
    ):
        assert "was changed after it was signed" in signatures.refusal(changed)
    assert signatures.refusal(one.observed(observation(3))) == ""  # what each night adds needs nobody
    DocumentSigner(repository.root, OTHER).sign(one)
    assert "somebody else signed it" in signatures.refusal(one)
    path.write_text("yes\n")
    assert f"{path} is no signature" in signatures.refusal(one)


def test_what_is_written_with_a_key_at_hand_is_signed_and_so_is_each_change(tmp_path: Path) -> None:
    root = tmp_path / "data" / "strategies"
    signer = DocumentSigner(root, KEY)
    one, other = document(0), document(1)
    repository = StrategyRepository(root, signer=signer)
    assert repository.save_many([one, other]) == [root / "active" / f"{each.id}.json" for each in (one, other)]
    signatures = DocumentSignatures(root, signer.public_key)
    assert [signatures.refusal(repository.load(each.id)) for each in (one, other)] == ["", ""]
    moved = sending(repository)
    assert moved.stage == "testnet"
    assert signatures.refusal(moved) == ""
    assert signatures.refusal(repository.update_performance(one.id, observation(3))) == ""
    assert signatures.refusal(repository.archive(one.id, "for a test")) == ""
    repository.discard([other.id])
    assert [path.stem for path in (root / "signatures").iterdir()] == [one.id]


def test_nothing_that_nobody_stood_for_is_signed_by_what_a_night_adds_to_it(repository: StrategyRepository) -> None:
    signer = DocumentSigner(repository.root, KEY)
    by_night = StrategyRepository(repository.root, signer=signer)
    signatures = DocumentSignatures(repository.root, signer.public_key)
    unsigned, forged = document(0), document(1)
    repository.save(unsigned)
    by_night.save(forged)
    repository.save(forged.model_copy(update={"fitness": forged.fitness + 1.0}))  # by somebody without the key
    for id, refusal in ((unsigned.id, "is not signed"), (forged.id, "was changed after it was signed")):
        assert refusal in signatures.refusal(
            by_night.move(id, "shadow", at="2025-06-01", reason="for a test", records=records("one look"))
        )
        by_night.save(by_night.load(id))
        assert refusal in signatures.refusal(by_night.load(id))


def test_a_signature_that_cannot_be_read_leaves_the_document_as_it_was(repository: StrategyRepository) -> None:
    signer = DocumentSigner(repository.root, KEY)
    by_night = StrategyRepository(repository.root, signer=signer)
    born = document()
    by_night.save(born)
    path = repository.root / "signatures" / f"{born.id}.sig"
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match="signatures"):
        by_night.move(born.id, "shadow", at="2025-06-01", reason="for a test", records=records("one look"))
    assert repository.load(born.id) == born


@pytest.mark.parametrize("key", ["", "5e" * 31, "0x" + "5e" * 32, "zz" * 32])
def test_what_is_no_key_is_refused_and_not_repeated(key: str, tmp_path: Path) -> None:
    for make in (DocumentSigner, DocumentSignatures):
        with pytest.raises(InputError, match="64 hexadecimal digits") as refused:
            make(tmp_path, key)
        assert not key or key not in str(refused.value)


def test_a_private_key_in_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quant_organism.toml").write_text(f'[signing]\nprivate_key = "{KEY}"\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="a secret stands in a file"):
        load_settings()
