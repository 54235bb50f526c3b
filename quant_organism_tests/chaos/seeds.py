"""Seed after seed: a session of a hundred faults at random and the whole catalogue, each seed for itself.

What came of a seed is a line of a file that belongs to the code that was tried and to that of the trial: an interrupted
run goes on with the seeds that are missing, and changed code begins again.
"""

import hashlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import orjson

from quant_organism.errors import QuantOrganismError
from quant_organism.kernels.closure import code_digest
from quant_organism_tests.chaos.catalogue import CATALOGUE, CROWD, crowd, stage
from quant_organism_tests.chaos.session import open_session

TRADERS: Final = 4
ROUNDS, PARTS = 2, 12
FAULTS: Final = 100
_TRIED: Final = ("quant_organism.trading.orders", "quant_organism.venue", "quant_organism.simulator")


@dataclass(slots=True)
class SeedResult:
    """What came of one seed.

    Parameters
    ----------
    faults
        Strikes by kind.
    staged
        Faults of the catalogue after which the books were compared, the crowd of orders included.
    orders, fills
        On the venue.
    broken
        The rule that was broken; None: none was.
    seconds
        How long it took.
    """

    seed: int
    faults: dict[str, int] = field(default_factory=dict)
    staged: int = 0
    orders: int = 0
    fills: int = 0
    broken: str | None = None
    seconds: float = 0.0


def run_seed(seed: int, folder: Path, *, faults: int = FAULTS, orders: int = CROWD) -> SeedResult:
    """Let a seed's faults strike; a broken rule is told of, and ends the seed.

    Parameters
    ----------
    seed
        Of everything that is drawn.
    folder
        Where journals and locks are kept.
    faults
        At least so many at random, beside those that are staged.
    orders
        Open orders of the crowded account.
    """
    result, begun = SeedResult(seed), time.monotonic()
    try:
        with open_session(seed, folder / "session", TRADERS) as session:
            try:
                for number in range(PARTS):
                    session.part(number, ROUNDS)
                    if session.count.faults.total() >= faults:
                        break
                stage(session, seed)
                result.staged = len(CATALOGUE)
                session.end()
            finally:
                result.faults = dict(session.count.faults)
                result.orders, result.fills = session.count.orders, session.count.fills
        crowd(seed, folder / "crowd", orders)
        result.staged += 1
    except (AssertionError, QuantOrganismError) as error:
        result.broken = f"{type(error).__name__}: {error}"
    result.seconds = round(time.monotonic() - begun, 1)
    return result


def run_seeds(seeds: Iterable[int], folder: Path, told: Callable[[str], None]) -> list[SeedResult]:
    """Run seeds that have no result yet; return the results of all, old ones included.

    Parameters
    ----------
    seeds
        In this order.
    folder
        Where results are kept, a file for each state of the code.
    told
        Is told how far it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_code()[:12]}.jsonl"
    known = {result.seed: result for result in _read(path)}
    results = []
    for seed in seeds:
        if seed not in known:
            with tempfile.TemporaryDirectory() as place:
                known[seed] = run_seed(seed, Path(place))
            with path.open("ab") as file:
                file.write(orjson.dumps(asdict(known[seed])) + b"\n")
        results.append(known[seed])
        struck, broken = (
            sum(sum(each.faults.values()) for each in results),
            sum(each.broken is not None for each in results),
        )
        told(f"seed {seed} in {known[seed].seconds:.0f} s; {len(results)} seeds, {struck} faults, {broken} broken")
    return results


def summary(results: list[SeedResult]) -> list[tuple[str, str]]:
    """Return what a report of seeds shows."""
    faults = strikes(results)
    broken = [result for result in results if result.broken is not None]
    return [
        ("seeds", f"{len(results)}, {len(broken)} of which broke a rule"),
        ("faults that struck", f"{faults.total()} of {len(faults)} kinds"),
        ("staged faults, books compared after each", str(sum(result.staged for result in results))),
        ("orders and fills on the venue", f"{sum(r.orders for r in results)}, {sum(r.fills for r in results)}"),
        *((f"BROKEN, seed {result.seed}", str(result.broken)) for result in broken),
    ]


def strikes(results: list[SeedResult]) -> Counter[str]:
    """Return how often each kind of fault struck."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.faults)
    return total


def _code() -> str:
    """Return the digest of the code that is tried, and of what is done to it."""
    digest = hashlib.sha256(code_digest(*_TRIED).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> list[SeedResult]:
    if not path.is_file():
        return []
    *whole, rest = path.read_bytes().split(b"\n")
    if rest:  # the last line was interrupted
        path.write_bytes(b"".join(line + b"\n" for line in whole))
    return [SeedResult(**orjson.loads(line)) for line in whole]
