"""Ask and tell: whoever proposes strategies, the engine or somebody from outside, is asked and told in the same way.

A proposer is told what each of its proposals was worth on the days that a search may see; nothing here ever holds
another day.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluation, Evaluator
from quant_organism.errors import InputError
from quant_organism.evolution.ledger import AppendResult, TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity, completed
from quant_organism.evolution.measuring import BatchFailure, Measured
from quant_organism.evolution.sketch import return_moments, sketch
from quant_organism.market import Panel
from quant_organism.strategies import Flaw, Genome
from quant_organism.strategies.handwritten import load_conditions

EXTERNAL: Final = "external"
"""Family of trials that are no genomes, in the ledger."""

_ROUND: Final = 50
_LONGEST_FILE: Final = 16 * 2**20

Description = Mapping[str, Any]
"""A strategy in plain values: a genome (`family`, `genes`), a condition document (`entry`, `exit`, ...), or a point in
the space of a callable (`parameters`)."""

Proposal = Description | Genome
"""What is proposed: a description, or a genome itself."""


@dataclass(frozen=True)
class ProposalResult:
    """What a proposer is told of one of its proposals.

    Attributes
    ----------
    proposal
        As it was proposed.
    genome
        That it means; None where it means none, and of a callable.
    sharpe, max_drawdown, trades
        Net and annual on the days that a search may see; nan and 0 where it was refused.
    refused
        Why it was not measured: it describes no strategy, failed its birth checks, or was lost; empty where it was.
    fitness
        What is to be made large: the Sharpe ratio, or what the spec of a search makes of it.
    flaw
        What the birth checks found, where they were made.
    evaluation
        All that was measured, of this genome and of others that were measured with it; None of a callable.
    """

    proposal: Proposal
    genome: Genome | None
    sharpe: float
    max_drawdown: float
    trades: int
    refused: str = ""
    fitness: float = float("nan")
    flaw: Flaw | None = None
    evaluation: Evaluation | None = None

    @property
    def is_lost(self) -> bool:
        """Whether it means a genome that could not be measured, so that nothing is known of it."""
        return self.genome is not None and self.flaw is None and self.refused != ""


class Proposer(Protocol):
    """Proposes strategies, and learns what they were worth."""

    def ask(self, n: int) -> Sequence[Proposal]:
        """Propose at most `n` strategies; none: there are no more."""
        ...

    def tell(self, results: Sequence[ProposalResult]) -> None:
        """Learn what the proposals of the last round were worth, in their order."""
        ...


class FileProposals:
    """Proposals that stand in a file, one JSON object a line, as a language model would write them.

    Parameters
    ----------
    path
        The file; empty lines are passed over.

    Raises
    ------
    InputError
        The file cannot be read or is larger than any list of proposals, or a line is no JSON object; it is named.
    """

    def __init__(self, path: Path) -> None:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"cannot be read: {error.strerror}", where=str(path), remedy="give a file of one JSON object a line"
            ) from None
        if len(text) > _LONGEST_FILE:
            raise InputError(f"more than {_LONGEST_FILE} bytes", where=str(path), remedy="split it")
        self._waiting: list[Description] = []
        self.results: list[ProposalResult] = []
        """Everything that was told, in order."""
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"not JSON: {error}", where=f"{path}, line {number}", remedy="correct it") from None
            if not isinstance(found, dict):
                raise InputError("not a JSON object", where=f"{path}, line {number}", remedy="write one a line")
            self._waiting.append(found)

    def ask(self, n: int) -> Sequence[Description]:
        """Hand out the next lines."""
        handed, self._waiting = self._waiting[:n], self._waiting[n:]
        return handed

    def tell(self, results: Sequence[ProposalResult]) -> None:
        """Keep what was told."""
        self.results.extend(results)


def genome_of(description: Description) -> Genome:
    """Return the genome that a description means: `{family, genes}`, or a condition document.

    Raises
    ------
    InputError
        It describes no strategy; what is wrong and where is said.
    """
    if not isinstance(description, Mapping):
        raise InputError(f"a {type(description).__name__} describes no strategy", remedy="give a mapping of fields")
    if "family" not in description:
        return load_conditions(json.dumps(dict(description)))
    unknown = sorted(set(description) - {"family", "genes"})
    family, genes = description["family"], description.get("genes", {})
    if unknown or not isinstance(family, str) or not isinstance(genes, Mapping):
        raise InputError(
            f"a genome is described by family and genes{f', not by {unknown[0]}' if unknown else ''}",
            where="proposal",
            remedy="see `quant-organism families list` for names and genes",
        )
    from quant_organism.strategies import default_genome

    return Genome(family, dict(default_genome(family).genes) | dict(genes))


MeasureProposals = Callable[[Sequence[Proposal], int], list[ProposalResult]]
"""Measures proposals, by the number of the time that was asked, on the days that a search may see."""


def ask_and_tell(proposer: Proposer, measure: MeasureProposals, n: int, number: int) -> list[ProposalResult]:
    """Ask a proposer once, measure and record what it proposes, and tell it: what every search is made of.

    Parameters
    ----------
    proposer
        Who is asked.
    measure
        Measures and records what was proposed.
    n
        Most proposals.
    number
        Of the round, for the record.

    Returns
    -------
    list of ProposalResult
        What it was told; none where it proposed nothing, and was told nothing.

    Raises
    ------
    InputError
        A proposer that hands in more than it was asked for.
    """
    proposals = list(proposer.ask(n))
    if len(proposals) > n:
        raise InputError(
            f"{len(proposals)} proposals where {n} were asked for", where="ask", remedy="propose at most n"
        )
    if not proposals:
        return []
    results = measure(proposals, number)
    proposer.tell(results)
    return results


def listen(proposer: Proposer, measure: MeasureProposals, *, budget: int) -> list[ProposalResult]:
    """Ask a proposer until it has no more to say or the budget is spent, and tell it what each proposal was worth.

    Parameters
    ----------
    proposer
        Who is asked.
    measure
        Measures what was proposed; of genomes `MeasuredGenomes` does.
    budget
        Most proposals, refused ones included.

    Raises
    ------
    InputError
        A proposer that hands in more than it was asked for.
    """
    told: list[ProposalResult] = []
    for number in count():
        results = ask_and_tell(proposer, measure, min(_ROUND, budget - len(told)), number)
        told += results
        if not results:
            break
    return told


def results_of(genomes: Sequence[Genome], outcome: Measured | BatchFailure) -> list[ProposalResult]:
    """Return what became of genomes that were measured as one batch, in their order; their fitness is the Sharpe ratio.

    Parameters
    ----------
    genomes
        Each once.
    outcome
        Of the batch.
    """
    if isinstance(outcome, BatchFailure):
        return [refused(genome, outcome.reason, genome) for genome in genomes]
    worth = _worth_of(outcome.evaluation)
    flaws = iter(outcome.flaws)
    results = []
    for genome in genomes:
        if genome.hash in worth:
            results.append(measured(genome, genome, worth[genome.hash], outcome.evaluation))
        else:
            flaw = next(flaws)
            results.append(refused(genome, f"{flaw.kind}: {flaw.detail}", genome, flaw))
    return results


def _worth_of(evaluation: Evaluation | None) -> dict[str, tuple[float, float, int]]:
    # Sharpe ratio, maximum drawdown and trades, by the hash of the genome.
    if evaluation is None:
        return {}
    columns = [evaluation.metrics[name].tolist() for name in ("sharpe", "max_drawdown", "trades")]
    rows = zip(evaluation.genomes, *columns, strict=True)
    return {genome.hash: (sharpe, drawdown, int(trades)) for genome, sharpe, drawdown, trades in rows}


@dataclass(frozen=True, eq=False, kw_only=True)
class MeasuredGenomes:
    """Measures proposals that describe genomes.

    Parameters
    ----------
    panel
        In sample only: what is not here cannot be seen.
    costs, evaluator
        As for any search.
    record
        Enters what was tried in the ledger, with the number of the round; none: on a copy of the market.
    """

    panel: Panel
    costs: Costs
    evaluator: Evaluator = field(default_factory=Evaluator)
    record: Callable[[Evaluation, int], None] | None = None

    def __call__(self, proposals: Sequence[Proposal], number: int) -> list[ProposalResult]:
        """Return what each was worth, or why it describes no strategy."""
        read = [_read(proposal) for proposal in proposals]
        genomes = list({genome.hash: genome for genome in read if isinstance(genome, Genome)}.values())
        evaluation = self.evaluator.evaluate(genomes, self.panel, self.costs) if genomes else None
        if evaluation is not None and self.record is not None:
            self.record(evaluation, number)
        worth = _worth_of(evaluation)
        return [
            refused(proposal, genome)
            if isinstance(genome, str)
            else measured(proposal, genome, worth[genome.hash], evaluation)
            for proposal, genome in zip(proposals, read, strict=True)
        ]


def measured(
    proposal: Proposal, genome: Genome | None, worth: tuple[float, float, int], evaluation: Evaluation | None = None
) -> ProposalResult:
    """Return what a proposer is told of what was measured: Sharpe ratio, maximum drawdown and trades."""
    return ProposalResult(proposal, genome, *worth, fitness=worth[0], evaluation=evaluation)


def refused(proposal: Proposal, reason: str, genome: Genome | None = None, flaw: Flaw | None = None) -> ProposalResult:
    """Return what a proposer is told of what was not measured."""
    return ProposalResult(proposal, genome, float("nan"), float("nan"), 0, reason, flaw=flaw)


def _read(proposal: Proposal) -> Genome | str:
    try:
        return proposal if isinstance(proposal, Genome) else genome_of(proposal)
    except InputError as error:
        return str(error)


@dataclass(frozen=True, eq=False)
class ExternalTrials:
    """Trials that are no genomes: callables with parameters, whatever made them.

    Parameters
    ----------
    hashes
        SHA-256 in hex of what each is: source and parameters, G.
    days
        First millisecond of each UTC day, shape (D,).
    daily_returns
        Net, float64 (G, D).
    sharpe, turnover
        Annual, float64 (G,).
    trades
        Changes of position, int64 (G,).
    positions
        Digest of what each held, uint64 (G,): equal for trials that did the same.
    """

    hashes: tuple[str, ...]
    days: NDArray[np.int64]
    daily_returns: NDArray[np.float64]
    sharpe: NDArray[np.float64]
    turnover: NDArray[np.float64]
    trades: NDArray[np.int64]
    positions: NDArray[np.uint64]

    def record(self, ledger: TrialLedger, identity: LedgerIdentity) -> AppendResult:
        """Enter them in a ledger; errors as `TrialLedger.append`."""
        moments = return_moments(self.daily_returns)
        columns = {
            "genome_hash": list(self.hashes),
            "family": [EXTERNAL] * len(self.hashes),
            "mean": moments.mean,
            "std": moments.std,
            "skew": moments.skew,
            "kurtosis": moments.kurtosis,
            "autocorrelation": moments.autocorrelation,
            "sharpe": self.sharpe,
            "turnover_per_year": self.turnover,
            "trades": self.trades,
            "behaviour": self.positions,
            "sketch": [row.tobytes() if row.any() else None for row in sketch(self.daily_returns)],
        }
        rows = completed(columns, self.days, identity)
        return ledger.append_rows(rows, list(self.hashes), identity)


def positions_digest(units: NDArray[np.float64]) -> int:
    """Return 64 bits that tell positions over time apart, of units of any shape."""
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(units).tobytes()).digest()[:8], "big")
