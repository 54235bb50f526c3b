"""Code that was made elsewhere: kept under its SHA-256, given out only as it was judged, and looked after."""

import hashlib
from pathlib import Path

import pytest

from quant_organism.deployment.records import ExternalStrategy
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.errors import InputError, IntegrityError
from quant_organism_tests.deployment.documents import document, records

CODE = tuple(f"def signal(panel):\n    return {answer}\n".encode() for answer in range(8))


@pytest.fixture
def repository(tmp_path: Path) -> StrategyRepository:
    return StrategyRepository(tmp_path / "strategies")


def external(source: str) -> ExternalStrategy:
    return ExternalStrategy(
        name="made elsewhere", form="callable", function="signal", source=source, seconds=10.0, memory_mb=512
    )


def test_code_is_kept_once_under_its_hash_and_comes_back_as_it_was(repository: StrategyRepository) -> None:
    names = [repository.keep_source(code) for code in (*CODE, CODE[0])]
    assert names == [hashlib.sha256(code).hexdigest() for code in (*CODE, CODE[0])]
    assert [repository.read_source(name) for name in names] == [*CODE, CODE[0]]
    kept = sorted(path.name for path in (repository.root / "sources").iterdir())
    assert kept == sorted(f"{name}.py" for name in set(names))


def test_code_that_was_changed_is_neither_given_out_nor_overwritten(repository: StrategyRepository) -> None:
    name = repository.keep_source(CODE[0])
    path = repository.source_path(name)
    path.write_bytes(CODE[1])
    changed = hashlib.sha256(CODE[1]).hexdigest()
    with pytest.raises(IntegrityError, match=f"is {changed[:16]}…, judged was {name[:16]}…"):
        repository.read_source(name)
    with pytest.raises(IntegrityError, match="changed after it was judged"):
        repository.keep_source(CODE[0])
    assert path.read_bytes() == CODE[1]
    path.unlink()
    with pytest.raises(IntegrityError, match="cannot be read: No such file or directory") as caught:
        repository.read_source(name)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("name", ["", "../" * 10 + "etc/passwd", "A" * 64, "a" * 63, "a" * 65])
def test_no_name_but_a_hash_leads_to_a_file(repository: StrategyRepository, name: str) -> None:
    with pytest.raises(InputError, match="no SHA-256"):
        repository.source_path(name)


def test_a_check_looks_at_the_code_of_all_that_may_still_trade(repository: StrategyRepository) -> None:
    names = [repository.keep_source(code) for code in CODE]
    documents = [document(seed, strategy=external(name)) for seed, name in enumerate(names)]
    repository.save_many([*documents, document(9)])
    assert repository.check().problems == ()
    for name in names:
        repository.source_path(name).write_bytes(b"")
    repository.move(documents[0].id, "shadow", at="2025-06-01", reason="chosen", records=records("one look"))
    repository.archive(documents[7].id, "dull", at="2025-06-05")
    problems = repository.check().problems
    assert [problem.path for problem in problems] == [repository.source_path(name) for name in sorted(names[:7])]
    for problem in problems:
        assert "changed after it was judged" in problem.what
        assert "bring it back from a copy" in problem.remedy
