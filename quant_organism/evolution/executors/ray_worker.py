"""What runs in a worker process of Ray: a workbench that is kept from batch to batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import ray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import IntegrityError
from quant_organism.evolution.measuring import Measured, Workbench
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel
from quant_organism.strategies import Genome


@dataclass(frozen=True)
class Kit:
    """What is shipped once to every node; Ray maps the panel's arrays into each worker without copying them."""

    panel: Panel
    panel_hash: str
    costs: Costs
    evaluator: Evaluator
    code: str


def worker_code() -> str:
    """Return which code measures here; it must be the same on every node."""
    return code_identity(__name__)


def measure_batch(kit: tuple[ray.ObjectRef[Kit]], genomes: tuple[Genome, ...]) -> Measured:
    """Measure a batch; the kit comes wrapped, so that Ray does not unpack it for each batch.

    Raises
    ------
    IntegrityError
        This node runs other code than the one that sent the batch, or the panel did not arrive as it was.
    """
    return _workbench(kit[0]).measure(genomes)


@lru_cache(maxsize=1)
def _workbench(reference: ray.ObjectRef[Kit]) -> Workbench:
    kit = ray.get(reference)
    node = f"Ray node {ray.util.get_node_ip_address()}"
    if kit.code != worker_code():
        raise IntegrityError(
            f"runs {worker_code()}, but the search runs {kit.code}",
            where=node,
            remedy="install the same version of quant_organism and of its packages on every node",
        )
    panel = replace(kit.panel)  # without the hash that it knew when it was sent
    if panel.hash != kit.panel_hash:
        raise IntegrityError(
            f"the panel arrived with hash {panel.hash}, but was sent with {kit.panel_hash}",
            where=node,
            remedy="run the same again; if it stays, see to the node's memory and network",
        )
    return Workbench(panel, kit.costs, kit.evaluator)
