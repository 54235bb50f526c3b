"""Checkpoints: what is loaded is what was saved last, whole, and of this very search, or nothing is loaded at all."""

import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from quant_organism.errors import InputError, IntegrityError, StorageError
from quant_organism.evolution.checkpoint import Checkpoint
from quant_organism_tests.market.small_disk import small_disk

IDENTITY = {"spec": "aa", "panel": "bb", "costs": "cc", "code": "0.1.0", "seed": "7"}


def rows(generation: int, count: int = 3) -> pl.DataFrame:
    values = np.random.default_rng(generation).standard_normal(count)
    return pl.DataFrame({"generation": [generation] * count, "sharpe": values})


def saved(folder, generations: int = 3) -> Checkpoint:
    checkpoint = Checkpoint(folder, IDENTITY)
    for generation in range(generations):
        checkpoint.save(
            generation, {"best": generation / 7}, {"trials": rows(generation), "flaws": rows(generation, 0)}
        )
    return checkpoint


def expected(generations: int) -> pl.DataFrame:
    return pl.concat([rows(generation) for generation in range(generations)])


def test_what_was_saved_last_is_loaded_with_the_rows_of_all_generations(tmp_path):
    saved(tmp_path / "c")
    generation, state, tables = Checkpoint(tmp_path / "c", IDENTITY).load()
    assert (generation, state) == (2, {"best": 2 / 7})
    assert_frame_equal(tables["trials"], expected(3), check_exact=True)
    assert tables["flaws"].shape == (0, 2)


def test_nothing_saved_is_nothing_to_load(tmp_path):
    assert Checkpoint(tmp_path / "c", IDENTITY).load() is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(state=st.dictionaries(st.text(), json_values, max_size=4))
def test_any_json_state_comes_back_as_it_was(state, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    Checkpoint(folder, IDENTITY).save(0, state, {})
    assert Checkpoint(folder, IDENTITY).load() == (0, state, {})


def test_a_random_generator_goes_on_from_its_stored_state(tmp_path):
    rng = np.random.default_rng(np.random.SeedSequence(5))
    rng.random(10)
    Checkpoint(tmp_path, IDENTITY).save(0, {"rng": rng.bit_generator.state}, {})
    _, state, _ = Checkpoint(tmp_path, IDENTITY).load()
    other = np.random.default_rng()
    other.bit_generator.state = state["rng"]
    assert other.random(5).tobytes() == rng.random(5).tobytes()


def test_a_state_that_json_cannot_hold_is_refused_and_the_last_one_stays(tmp_path):
    checkpoint = saved(tmp_path)
    with pytest.raises(ValueError, match="JSON compliant"):
        checkpoint.save(3, {"best": float("nan")}, {})
    assert Checkpoint(tmp_path, IDENTITY).load()[0] == 2


def test_a_resumed_search_saves_on_where_it_was(tmp_path):
    saved(tmp_path)
    resumed = Checkpoint(tmp_path, IDENTITY)
    resumed.load()
    resumed.save(3, {}, {"trials": rows(3), "flaws": rows(3, 0)})
    assert_frame_equal(Checkpoint(tmp_path, IDENTITY).load()[2]["trials"], expected(4), check_exact=True)


def test_a_search_that_starts_anew_keeps_nothing_of_the_one_before(tmp_path):
    saved(tmp_path)
    Checkpoint(tmp_path, IDENTITY).save(0, {}, {"trials": rows(0)})
    assert_frame_equal(Checkpoint(tmp_path, IDENTITY).load()[2]["trials"], expected(1), check_exact=True)
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_parts_are_written_once_and_never_again(tmp_path):
    checkpoint = saved(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.parquet")}
    checkpoint.save(3, {}, {"trials": rows(3), "flaws": rows(3, 0)})
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("field", sorted(IDENTITY))
def test_the_checkpoint_of_another_search_is_refused_by_the_field_that_differs(tmp_path, field):
    saved(tmp_path)
    with pytest.raises(InputError) as caught:
        Checkpoint(tmp_path, {**IDENTITY, field: "other"}).load()
    assert f"its {field} is {IDENTITY[field]}, here it is other" in str(caught.value)
    assert "--resume" in str(caught.value)


def test_a_field_more_or_less_is_another_search(tmp_path):
    saved(tmp_path)
    with pytest.raises(InputError, match="its archive is nothing, here it is dd"):
        Checkpoint(tmp_path, {**IDENTITY, "archive": "dd"}).load()


def alter(path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [alter, lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_damaged_or_missing_part_is_named(tmp_path, harm):
    saved(tmp_path)
    part = sorted(tmp_path.glob("trials-*.parquet"))[1]
    harm(part)
    with pytest.raises(IntegrityError) as caught:
        Checkpoint(tmp_path, IDENTITY).load()
    assert part.name in str(caught.value)
    assert "start the search anew" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"body": 3}', b"\xff\xfe", b'{"sha256": "", "body": {}}'])
def test_a_state_that_is_none_is_named(tmp_path, content):
    saved(tmp_path)
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"state\.json"):
        Checkpoint(tmp_path, IDENTITY).load()


def test_a_state_altered_by_one_digit_is_refused(tmp_path):
    saved(tmp_path)
    state = tmp_path / "state.json"
    state.write_text(state.read_text().replace('"generation":2', '"generation":1'))
    with pytest.raises(IntegrityError, match="altered"):
        Checkpoint(tmp_path, IDENTITY).load()


def test_a_finished_search_leaves_no_checkpoint(tmp_path):
    checkpoint = saved(tmp_path / "c")
    checkpoint.remove()
    assert not (tmp_path / "c").exists()
    assert checkpoint.load() is None
    checkpoint.remove()  # twice is once


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    with small_disk(tmp_path / "disk", "400k") as disk:
        checkpoint = saved(disk / "c")
        with pytest.raises(StorageError, match="disk is full"):
            checkpoint.save(3, {}, {"trials": rows(3, 200_000)})
        generation, _, tables = Checkpoint(disk / "c", IDENTITY).load()
        assert generation == 2
        assert_frame_equal(tables["trials"], expected(3), check_exact=True)
        checkpoint.save(3, {}, {"trials": rows(3), "flaws": rows(3, 0)})  # there is room for less
        assert Checkpoint(disk / "c", IDENTITY).load()[0] == 3


SAVER = """
import sys
from pathlib import Path
from quant_organism.evolution.checkpoint import Checkpoint
from quant_organism_tests.evolution.test_checkpoint import IDENTITY, rows

checkpoint = Checkpoint(Path(sys.argv[1]), IDENTITY)
loaded = checkpoint.load()
for generation in range(loaded[0] + 1 if loaded else 0, 100_000):
    checkpoint.save(generation, {"best": generation / 7}, {"trials": rows(generation)})
    print(generation, flush=True)
"""


def test_whenever_the_writer_is_killed_the_last_checkpoint_is_whole(tmp_path):
    rng = np.random.default_rng(0)
    reported = -1
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", SAVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            first = writer.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.2))
            writer.send_signal(signal.SIGKILL)
            last = int((first + writer.stdout.read()).split()[-1])
        assert last > reported
        reported = last
        generation, state, tables = Checkpoint(tmp_path, IDENTITY).load()
        assert generation in (reported, reported + 1)
        assert state == {"best": generation / 7}
        assert_frame_equal(tables["trials"], expected(generation + 1), check_exact=True)
