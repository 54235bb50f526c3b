"""What gates read of replays: decisions proven and members replayed, of all candidates in independent pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from quant_organism.backtest import Costs
from quant_organism.evolution import Candidate
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel, Span, promised
from quant_organism.strategies import Genome, Member
from quant_organism.validation.case import Case, Grounds
from quant_organism.validation.draws import in_order
from quant_organism.validation.look_ahead import DecisionProver, Decisions
from quant_organism.validation.replay import Replay, Replayer, joined_replay
from quant_organism.validation.replay_store import MemberReplay
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.triple import Mode, periods_of

_Member = tuple[str, tuple[str, ...]]
"""What tells members apart."""


@dataclass(frozen=True, eq=False)
class ReplayPieces:
    """All that is made bar by bar of some strategies, in pieces that need nothing of each other.

    First the decisions of each genome over the whole sample, then the trades of each member over its periods.

    Parameters
    ----------
    panel, costs
        The market and the costs of the backtest.
    genomes, stops
        Whose decisions are proven, and the rows before which the backtest saw bars, as for `DecisionProver`.
    replays
        Members and their periods, as for `Replayer`.
    """

    panel: Panel
    costs: Costs
    genomes: tuple[Genome, ...]
    stops: tuple[int, ...]
    replays: tuple[tuple[Member, tuple[Span, ...]], ...]

    @property
    def identity(self) -> dict[str, str]:
        """All that a piece is a function of besides its number."""
        pieces = [genome.hash for genome in self.genomes]
        pieces += [f"{member.key} {[(span.start, span.stop) for span in spans]}" for member, spans in self.replays]
        return {
            "panel": self.panel.hash,
            "costs": self.costs.hash,
            "stops": ",".join(map(str, self.stops)),
            "pieces": hashlib.sha256("\n".join(pieces).encode()).hexdigest(),
            "code": code_identity(__name__),
        }

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.genomes) + len(self.replays)

    def __call__(self, number: int) -> Decisions | MemberReplay:
        """Make a piece."""
        proofs = len(self.genomes)
        return self._prover(number) if number < proofs else self.replayer(number - proofs)

    @cached_property
    def replayer(self) -> Replayer:
        """Replays members; the numbers of its replays begin anew."""
        return Replayer(self.replays, self.panel, self.costs)

    @cached_property
    def _prover(self) -> DecisionProver:
        return DecisionProver(self.genomes, self.panel, self.costs, self.stops)


def make_replays(
    grounds: Grounds,
    candidates: Sequence[Candidate],
    modes: Collection[Mode],
    *,
    decisions: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Make what gates will read of the replays of candidates, as far as it is not at hand.

    Members that candidates share are looked at once, and replays that are stored are not made again.

    Parameters
    ----------
    grounds
        What candidates are judged on; they say where pieces are made, and keep them.
    candidates, modes
        Who is replayed, and how much.
    decisions
        Whether their decisions are proven too.
    progress
        Told how many pieces are made, of how many.

    Returns
    -------
    How many pieces were made.
    """
    proven, members = _proven(grounds), {m.key: m for candidate in candidates for m in candidate.committee.members}
    genomes = {member.genome.hash: member.genome for member in members.values()} if decisions else {}
    unproven = {name: genome for name, genome in genomes.items() if name not in proven}
    periods = {mode: spans for mode in modes if not isinstance(spans := _periods(grounds, mode), NotRun)}
    missing = [(key, mode) for mode in periods for key in members if key not in _replayed(grounds, mode)]
    if not unproven and not missing:
        return 0
    panel, store = grounds.replayable, grounds.replays
    if store is not None:
        stored = Replayer(tuple((members[key], periods[mode]) for key, mode in missing), panel, grounds.costs)
        for place, (key, mode) in enumerate(missing):
            if (known := store.read(stored.identity(place))) is not None:
                _replayed(grounds, mode)[key] = known
        missing = [(key, mode) for key, mode in missing if key not in _replayed(grounds, mode)]
    stops = tuple(dict.fromkeys((grounds.splits.in_sample.stop, panel.n_bars)))
    left = tuple((members[key], periods[mode]) for key, mode in missing)
    pieces = ReplayPieces(panel, grounds.costs, tuple(unproven.values()), stops, left)
    keys, names = iter(missing), iter(unproven)
    for number, made in in_order(pieces, range(len(pieces)), grounds.processes, grounds.executor):
        if isinstance(made, Decisions):
            proven[next(names)] = made
        else:
            key, mode = next(keys)
            _replayed(grounds, mode)[key] = made
            if store is not None:
                store.write(pieces.replayer.identity(number - len(unproven)), made)
        progress(number + 1, len(pieces))
    return len(pieces)


def decisions_of(case: Case) -> tuple[Decisions, ...]:
    """Return what was found of the decisions of a candidate's members; of each genome once, whoever shares it."""
    make_replays(case.grounds, [case.candidate], (), decisions=True)
    proven = _proven(case.grounds)
    return tuple(proven[name] for name in dict.fromkeys(m.genome.hash for m in case.candidate.committee.members))


def replay_of(case: Case, mode: Mode) -> Replay | NotRun:
    """Return the replay of a candidate.

    It lies in the unseen days and is part of the look at them that has been written down: it shows what the backtest
    showed, or that one of the two is wrong. Where the search saw all days, it lies at their end.
    """
    grounds, committee = case.grounds, case.candidate.committee

    def join() -> Replay | NotRun:
        periods = _periods(grounds, mode)
        if isinstance(periods, NotRun):
            return periods
        make_replays(grounds, [case.candidate], (mode,))
        members = [_replayed(grounds, mode)[member.key] for member in committee.members]
        return joined_replay(
            committee, members, grounds.replayable, grounds.costs, periods, equity_usd=grounds.equity_usd
        )

    return case.once(("replay", mode), join)


def _periods(grounds: Grounds, mode: Mode) -> tuple[Span, ...] | NotRun:
    return periods_of(mode, promised(grounds.splits), grounds.panel.interval.bars_per_day)


def _proven(grounds: Grounds) -> dict[str, Decisions]:
    return grounds.once("decisions", dict)


def _replayed(grounds: Grounds, mode: Mode) -> dict[_Member, MemberReplay]:
    return grounds.once(("member replays", mode), dict)
