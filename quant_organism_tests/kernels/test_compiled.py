"""Machine code on disk is taken only while every source that its kernel rests on is what it was."""

import gc
import pickle
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from numba.core import event

import quant_organism.backtest.kernel as walk
import quant_organism.strategies.families.ema_crossover.kernel as ema
import quant_organism.strategies.targets as steps
from quant_organism.backtest import layout
from quant_organism.kernels import compiled
from quant_organism.kernels.closure import closure, code_digest


def stored_stamp(kernel: object) -> object:
    """Return the stamp under which numba stores the kernel's machine code."""
    return kernel._cache._cache_file._source_stamp  # type: ignore[attr-defined]


def test_machine_code_is_stamped_with_the_sources_that_its_kernel_rests_on() -> None:
    assert stored_stamp(ema.ema_crossover_targets) == f"{numba.__version__} {code_digest(ema.__name__)}"
    assert stored_stamp(walk.simulate_sleeve) == f"{numba.__version__} {code_digest(walk.__name__)}"
    parts = {Path(module.__file__) for module in (compiled, layout)}  # what compiles it; constants that it reads
    assert parts | {Path(walk.__file__)} <= set(closure([walk.__name__]))
    assert Path(steps.__file__) in closure([ema.__name__])
    assert Path(walk.__file__) not in closure([ema.__name__])


def test_machine_code_of_other_sources_is_not_read_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "kernel.nbi"
    index.write_bytes(pickle.dumps(f"{numba.__version__} of other sources") + b"names a class that is no more")
    kept = ema.ema_crossover_targets._cache._cache_file
    monkeypatch.setattr(kept, "_index_path", str(index))
    assert kept._load_index() == {}


def test_a_kernel_divides_as_the_hardware_does_and_releases_the_lock() -> None:
    options = ema.ema_crossover_targets.targetoptions
    assert options["nogil"]
    assert options["error_model"] == "numpy"
    assert not options.get("fastmath", False)


def test_a_kernel_runs_without_linear_algebra_being_loaded() -> None:
    code = (
        "from quant_organism.backtest.metrics import path_metrics as m; m([0.1], 1.0); import sys; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert "numba.np.arraymath" in done.stdout.split()
    assert "scipy.linalg" not in done.stdout.split()


class Watch(event.Listener):
    """Notes whether the collector runs while something is compiled."""

    def __init__(self) -> None:
        self.enabled: list[bool] = []

    def on_start(self, event: event.Event) -> None:
        self.enabled.append(gc.isenabled())

    def on_end(self, event: event.Event) -> None:
        self.enabled.append(gc.isenabled())


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_while_kernels_are_compiled_and_is_then_as_it_was(enabled: bool) -> None:
    @numba.njit
    def part(x: float) -> float:
        return x + 1.0

    @numba.njit
    def kernel(x: float) -> float:
        return float(part(x))

    (gc.enable if enabled else gc.disable)()
    try:
        with event.install_listener("numba:compile", Watch()) as watch:
            assert kernel(1.0) == 2.0
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
    assert watch.enabled == [False, False, False, enabled]


def test_a_kernel_that_cannot_be_compiled_leaves_the_collector_as_it_was() -> None:
    @numba.njit
    def kernel(x: float) -> float:
        return x.nothing  # type: ignore[attr-defined, no-any-return]

    with pytest.raises(numba.TypingError):
        kernel(1.0)
    assert gc.isenabled()


def test_a_process_that_ends_looks_for_no_garbage_among_kernels() -> None:
    # What is registered first is called last.
    code = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count())); "
        "import quant_organism.kernels.compiled"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert int(done.stdout) > 10_000


def test_a_process_that_used_the_lake_too_ends_without_a_word() -> None:
    code = "import duckdb, quant_organism.kernels.compiled; print(duckdb.sql('select 1').fetchall())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("[(1,)]\n", "")
