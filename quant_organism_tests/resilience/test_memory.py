"""What a process no longer needs goes back to the system."""

import gc
import subprocess
import sys
import weakref

from quant_organism.resilience import return_freed_memory

SCATTERED = """
from pathlib import Path
from quant_organism.resilience import return_freed_memory

def held_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

blocks = [bytes([1]) * 60_000 for _ in range(5_000)]
kept = blocks[::100]
del blocks
before = held_mb()
return_freed_memory()
print(before - held_mb())
"""


def test_memory_between_living_blocks_goes_back_to_the_system():
    given_back = subprocess.run([sys.executable, "-c", SCATTERED], capture_output=True, text=True, check=True).stdout
    assert float(given_back) > 200


class Ring:
    """Something that only refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_only_refers_to_itself_goes():
    gc.disable()
    try:
        ring = weakref.ref(Ring())
        assert ring() is not None
        return_freed_memory()
        assert ring() is None
    finally:
        gc.enable()
