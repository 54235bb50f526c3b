"""What runs in a worker process of Ray: a workbench, or what makes pieces of work, kept from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Protocol

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
    node = _checked_node(kit.code)
    panel = replace(kit.panel)  # without the hash that it knew when it was sent
    if panel.hash != kit.panel_hash:
        raise IntegrityError(
            f"the panel arrived with hash {panel.hash}, but was sent with {kit.panel_hash}",
            where=node,
            remedy="run the same again; if it stays, see to the node's memory and network",
        )
    return Workbench(panel, kit.costs, kit.evaluator)


class PieceMaker(Protocol):
    """Makes numbered pieces of work, each from its number alone; a frozen dataclass where it holds a panel."""

    @property
    def identity(self) -> Mapping[str, str]:
        """All that a piece is a function of besides its number: hashes of panel, spec and costs, code, seed."""
        ...

    def __call__(self, number: int) -> Any:
        """Make a piece."""
        ...


@dataclass(frozen=True)
class PieceKit:
    """What is shipped once to every node that makes pieces: who makes them, what they rest on, and by which code."""

    maker: PieceMaker
    identity: Mapping[str, str]
    code: str


def make_piece(kit: tuple[ray.ObjectRef[PieceKit]], number: int) -> Any:
    """Make a piece; the kit comes wrapped, so that Ray does not unpack it for each.

    Raises
    ------
    IntegrityError
        This node runs other code than the one that sent the kit, or what it rests on did not arrive as it was.
    """
    return _maker(kit[0])(number)


@lru_cache(maxsize=1)
def _maker(reference: ray.ObjectRef[PieceKit]) -> PieceMaker:
    kit = ray.get(reference)
    node = _checked_node(kit.code)
    panels = {name: replace(panel) for name, panel in panels_of(kit.maker).items()}  # without the hashes they knew
    maker: PieceMaker = replace(kit.maker, **panels) if panels else kit.maker  # type: ignore[type-var]
    identity = dict(maker.identity)
    if identity != dict(kit.identity):
        other = [name for name, value in kit.identity.items() if identity.get(name) != value]
        raise IntegrityError(
            f"{' and '.join(other)} of the work is not what was sent",
            where=node,
            remedy="run the same again; if it stays, install the same version of quant_organism on every node",
        )
    return maker


def panels_of(maker: PieceMaker) -> dict[str, Panel]:
    """Return the panels that a maker of pieces holds, by the name of the field."""
    names = [field.name for field in fields(maker)]  # type: ignore[arg-type]
    held = {name: getattr(maker, name) for name in names}
    return {name: value for name, value in held.items() if isinstance(value, Panel)}


def _checked_node(code: str) -> str:
    """Return the name of this node, which must run the same code as the one that sent the work."""
    node = f"Ray node {ray.util.get_node_ip_address()}"
    if code != worker_code():
        raise IntegrityError(
            f"runs {worker_code()}, but the search runs {code}",
            where=node,
            remedy="install the same version of quant_organism and of its packages on every node",
        )
    return node
