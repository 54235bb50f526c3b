"""A hearing: a strategy that can be run, before copies of the market, perturbations, accounts and the unseen days.

Before anything else it is asked whether it knows the future; then whether luck explains it, and only who has not fallen
is looked at on the unseen days, once and on record.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account import (
    EQUITY_USD,
    SIZES_USD,
    AccountFigures,
    AccountRun,
    AccountSetting,
    VirtualWindow,
    account_figures,
)
from quant_organism.deployment import external_id, restrained
from quant_organism.errors import InputError
from quant_organism.judge.copies import SHARPE, OnCopies, Strategy
from quant_organism.judge.court import Court
from quant_organism.judge.luck import LEAST, among_searches, luck_of
from quant_organism.judge.outside import Attempts, CallableStrategy, DocumentStrategy, Shakes
from quant_organism.judge.page import JudgedPage, Survivor, outcome_of, why_not
from quant_organism.judge.parameters import Parameters
from quant_organism.judge.positions import annual_sharpe
from quant_organism.judge.proof import GATES as CHEATS
from quant_organism.judge.proof import Proof, opened_file, prove, sides_of, survivors
from quant_organism.judge.sandbox import ForbiddenFile
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel
from quant_organism.validation import (
    DrawStore,
    HoldoutRegister,
    NotRun,
    Remembered,
    Verdict,
    in_order,
    mean_return_test,
)
from quant_organism.validation.draws import Statistics
from quant_organism.validation.permutation import STOP_AFTER
from quant_organism.validation.statistics.clusters import Clusters, cluster_returns
from quant_organism.validation.statistics.evidence import flat_columns
from quant_organism.validation.statistics.p_values import SimulatedP, simulated_p_value
from quant_organism.validation.statistics.pbo import backtest_overfitting
from quant_organism.validation.statistics.sequential import starting_wealth
from quant_organism.validation.verdict import Status, at_least, at_most, not_run

WEALTH: Final = 1.748163
"""Starting wealth that search and unseen days have to buy, as the gate `decision` asks for before paper trading."""

MOST_UNSEEN_P: Final = 0.25
MOST_SEARCH_P: Final = 0.1
MOST_OVERFITTING: Final = 0.25

_SHAKES: Final = ("dearer_trading", "late_execution", "later_start", "asset_left_out", "price_noise")


Floats = NDArray[np.float64]


def judge_strategy(court: Court, strategy: Strategy, *, tried: int | None = None) -> JudgedPage:
    """Judge a strategy.

    Parameters
    ----------
    court
        Where.
    strategy
        It, with the search that put it forward.
    tried
        Trials that are declared. None: those of its search, and those that the ledger has of outside strategies on
        these days.

    Raises
    ------
    InputError
        The strategy failed, or fewer were tried than its own search takes.
    """
    if tried is not None and tried < strategy.n_trials:
        raise InputError(
            f"{tried} tried, but its own search takes {strategy.n_trials}", where="tried", remedy="count every one"
        )
    content, proofs = b"", dict[int, Proof]()
    if isinstance(strategy, CallableStrategy):
        content = strategy.source.read()
        proofs = court.proofs(strategy.source, strategy.trials)
        place, last = list(proofs.items())[-1]
        if last.knows_future:
            return _caught(strategy, last.verdicts, strategy.trials[place])
    court.progress("Search", 0, 1, f"{strategy.n_trials} trials")
    try:
        attempts = strategy.attempts(court.seen, court.costs)
    except ForbiddenFile as caught:
        return _caught(strategy, (opened_file(caught),), {})
    court.record(strategy, attempts)
    court.progress("Search", 1, 1, f"{strategy.n_trials} trials")
    return _Hearing(court, strategy, content, attempts, proofs, tried).page()


def _caught(strategy: Strategy, verdicts: tuple[Verdict, ...], asked_with: Parameters) -> JudgedPage:
    # Before its search, or amid it: no trial is in the ledger.
    reasons = "; ".join(f"{verdict.gate}: {verdict.reason}" for verdict in verdicts if verdict.status == "failed")
    shown = ", ".join(f"{name} {value}" for name, value in asked_with.items()) if strategy.n_trials > 1 else ""
    return JudgedPage(
        name=strategy.name,
        kind=strategy.kind,
        outcome="falls",
        sentence=f"{strategy.name} falls before luck is asked about: {f'with {shown}, ' if shown else ''}{reasons}.",
        trials=strategy.n_trials,
        overturned_at=1,
        verdicts=verdicts,
        decisive=CHEATS,
        unsaid={"everything_else": "it was caught first: no trial is recorded, and no copy or unseen day was spent"},
        facts={"caught_with": dict(asked_with)},
    )


@dataclass(eq=False)
class _Hearing:
    """One strategy before the court."""

    court: Court
    strategy: Strategy
    content: bytes
    attempts: Attempts
    proofs: Mapping[int, Proof]
    tried: int | None

    def __post_init__(self) -> None:
        best = self.attempts.best
        self.chosen, self.daily = self.attempts.parameters[best], self.attempts.daily[best]
        self.verdicts: list[Verdict] = []
        self.counted = max(self.tried or 0, self.court.in_ledger(), self.strategy.n_trials)
        self.run: AccountRun | None = None
        self.p_copies: SimulatedP | None = None
        self.p_unseen: float | None = None
        self.overturned_kinds: int | None = None
        self.kinds_more = 0
        self.setting: AccountSetting | None = None
        self.whole: VirtualWindow | None = None
        self.shakes: Mapping[str, Shakes | NotRun] = {}

    def page(self) -> JudgedPage:
        court, seen = self.court, self.court.seen
        if isinstance(self.strategy, CallableStrategy):
            court.progress("Proof", 0, 1, "the one that is put forward")
            proof = self.proofs.get(self.attempts.best) or prove(self.strategy.source, self.chosen, seen)
            court.progress("Proof", 1, 1, "the one that is put forward")
            self.verdicts += self._with_universe(proof)
        else:
            proof = None
        self.verdicts.append(self._declared())
        cheated = [v for v in self.verdicts if v.status == "failed" and v.gate in CHEATS]
        if not cheated:
            self._ask_luck()
            self._shake(proof)
            if outcome_of(self.verdicts, self._decisive(unseen=False)) != "falls":
                self._open()
        decisive = self._decisive(unseen=True)
        outcome = outcome_of(self.verdicts, decisive)
        return JudgedPage(
            name=self.strategy.name,
            kind=self.strategy.kind,
            outcome=outcome,
            sentence=self._sentence(outcome, decisive),
            trials=self.counted,
            overturned_at=self._overturned_at(),
            verdicts=tuple(self.verdicts),
            decisive=tuple(decisive),
            unsaid=self._unsaid(),
            accounts=() if self.run is None else self._accounts(),
            facts={
                "market": court.panel.market,
                "parameters": dict(self.chosen),
                "identity": self.strategy.hash_of(self.chosen),
                "seen_days": int(self.daily.size),
                "sharpe": annual_sharpe(self.daily),
                "search_trials": self.strategy.n_trials,
            },
            survivor=self._survivor() if outcome == "stands" else None,
        )

    def _survivor(self) -> Survivor | None:
        if self.whole is None or not isinstance(self.strategy, CallableStrategy):
            return None
        return Survivor(self.strategy, self.chosen, self.content, self.whole, self.shakes)

    def _decisive(self, *, unseen: bool) -> list[str]:
        gates = list(CHEATS) if isinstance(self.strategy, CallableStrategy) else []
        gates += ["declared_trials", "deflated_sharpe", "copies", *_SHAKES]
        if self.court.panel.n_assets == 1:
            gates.remove("asset_left_out")
        if any(v.gate == "backtest_overfitting" and v.status != "not_run" for v in self.verdicts):
            gates.append("backtest_overfitting")
        return [*gates, "holdout_mean", "account", "decision"] if unseen else gates

    def _with_universe(self, proof: Proof) -> list[Verdict]:
        assert isinstance(self.strategy, CallableStrategy)
        if proof.answer is None or not self.court.left_out:
            return list(proof.verdicts)
        sides = sides_of(self.strategy.source, proof.answer)
        universe = survivors(sides, self.court.seen, self.court.left_out)
        return [universe if verdict.gate == universe.gate else verdict for verdict in proof.verdicts]

    def _declared(self) -> Verdict:
        known = self.court.in_ledger()
        said = self.counted if self.tried is None else self.tried
        reason = (
            f"{said:,} trials are declared, and the ledger has {known:,} of outside strategies on these days: a search "
            "was not declared"
            if known > said
            else f"{said:,} trials count; the ledger has no more on these days"
        )
        return at_least("overfitting", "declared_trials", float(said), float(known), known, reason)

    def _ask_luck(self) -> None:
        returns = self.attempts.daily.T
        clusters = cluster_returns(returns[:, ~flat_columns(returns)])
        own = clusters.count if isinstance(clusters, Clusters) else 1
        self.kinds_more = own - self.strategy.n_trials
        kinds = min(max(self.counted + self.kinds_more, 1), self.counted)
        luck = luck_of(self.daily, kinds)
        if isinstance(luck, NotRun):
            self.verdicts.append(not_run("overfitting", "deflated_sharpe", LEAST, luck.reason, kinds))
        else:
            reason = f"beats the luck of {kinds:,} different trials with probability {1.0 - luck.p_value:.3f}"
            self.verdicts.append(at_least("overfitting", "deflated_sharpe", 1.0 - luck.p_value, LEAST, kinds, reason))
            self.overturned_kinds = luck.overturned_at
        if isinstance(clusters, Clusters) and self.strategy.n_trials > 1:
            overfitting = backtest_overfitting(returns[:, ~flat_columns(returns)][:, clusters.medoids])
            if isinstance(overfitting, NotRun):
                reason = overfitting.reason
                self.verdicts.append(not_run("overfitting", "backtest_overfitting", MOST_OVERFITTING, reason, own))
            else:
                reason = f"the best of one half of the days falls behind on the other: {overfitting.probability:.2f}"
                self.verdicts.append(
                    at_most(
                        "overfitting",
                        "backtest_overfitting",
                        overfitting.probability,
                        MOST_OVERFITTING,
                        overfitting.columns,
                        reason,
                    )
                )
        self._ask_copies()

    def _ask_copies(self) -> None:
        court = self.court
        sharpe = annual_sharpe(self.daily)
        copies = OnCopies(self.strategy, court.seen, court.costs, court.seed)
        make: Callable[[int], Statistics] = copies
        processes = 1
        if self.strategy.again is None:  # who is asked anew has no name to keep draws under, and stays in this process
            make = Remembered(copies, DrawStore(court.lake.root, "judge", copies.identity))
            processes = court.processes
        made: list[float] = []
        exceeding = 0
        for number, found in in_order(make, range(1, court.copies + 1), processes):
            made.append(float(found[SHARPE]))
            exceeding += made[-1] >= sharpe
            court.progress("Copies", number, court.copies, f"{exceeding} did as well")
            if exceeding == STOP_AFTER:
                break
        simulated = simulated_p_value(sharpe, made, stop_after=STOP_AFTER)
        if isinstance(simulated, NotRun):
            self.verdicts.append(not_run("significance", "copies", MOST_SEARCH_P, simulated.reason))
            return
        self.p_copies = simulated
        searches = self.counted / self.strategy.n_trials
        p_value = among_searches(simulated.p_value, searches)
        reason = (
            f"{'the whole search' if self.strategy.n_trials > 1 else 'it'} shows {sharpe:.2f} on the market and "
            f"{float(np.median(made)):.2f} (median) on {simulated.draws} copies without an edge: p = "
            f"{simulated.p_value:.3g}, {p_value:.3g} for {self.counted:,} trials"
        )
        self.verdicts.append(at_most("significance", "copies", p_value, MOST_SEARCH_P, simulated.draws, reason))

    def _shake(self, proof: Proof | None) -> None:
        court = self.court
        court.progress("Shakes", 0, 1, "costs, delays, noise")
        if isinstance(self.strategy, CallableStrategy):
            assert proof is not None
            assert proof.answer is not None
            made = self.strategy.shaken(court.seen, proof.answer, self.chosen, court.costs, court.seed)
        else:
            made = self.strategy.shaken(self.chosen, court.seen, court.costs, court.seed)
        self.shakes = made
        court.progress("Shakes", 1, 1, "costs, delays, noise")
        for gate in _SHAKES:
            shakes = made.get(gate, NotRun("nothing of the kind can be changed here"))
            if isinstance(shakes, NotRun):
                self.verdicts.append(not_run("robustness", gate, 0.0, shakes.reason))
                continue
            worst = min(shakes, key=lambda change: shakes[change])
            value, reason = shakes[worst], f"the lowest Sharpe ratio is {shakes[worst]:.2f} ({worst}), above 0 needed"
            status: Status = "passed" if value > 0.0 else "failed"
            self.verdicts.append(Verdict("robustness", gate, status, value, 0.0, len(shakes), reason))

    def _open(self) -> None:
        court, unseen = self.court, self.court.splits.unseen
        register = HoldoutRegister(court.lake.root)
        candidate = external_id(self.strategy.hash_of(self.chosen))
        measured_with = f"{court.costs.hash} {EQUITY_USD!r} USD {code_identity(__name__)}"
        reason = f"judging {self.strategy.name}, made elsewhere"
        opening = register.open(court.panel, unseen, [candidate], measured_with=measured_with, reason=reason)
        panel = register.unseal(court.panel, opening)
        if isinstance(self.strategy, CallableStrategy):
            proof = prove(self.strategy.source, self.chosen, panel)
            if not proof.is_clean:
                kept = [verdict for verdict in self.verdicts if verdict.gate not in CHEATS]
                self.verdicts = [*self._with_universe(proof), *kept]
            if proof.answer is None or not proof.is_clean:
                return
            self.whole = self.strategy.window(proof.answer, panel, court.costs)
            window = restrained(self.whole, panel, unseen.start, unseen.stop)
        else:
            window = self.strategy.window(self.chosen, panel, court.costs, unseen.start, unseen.stop)
        self.setting = self._setting(window, panel)
        self.run = self.setting.run(EQUITY_USD)
        register.close(panel, opening, hashlib.sha256(self.run.path.equity.tobytes()).digest())
        returns = self.run.daily_returns
        idle = self.run.why_idle
        traded = len(self.run.path.fills)
        said = idle or (
            f"an account of {EQUITY_USD:,.0f} USD made {traded:,} fills" if traded else "nothing was traded"
        )
        self.verdicts.append(
            Verdict(
                "holdout", "account", "failed" if idle or not traded else "passed", float(traded), 1.0, traded, said
            )
        )
        test = mean_return_test(returns, seed=court.seed)
        if isinstance(test, NotRun):
            self.verdicts.append(not_run("holdout", "holdout_mean", MOST_UNSEEN_P, test.reason, len(returns)))
            return
        self.p_unseen = test.p_value
        reason = (
            f"the account shows a Sharpe ratio of {annual_sharpe(returns):.2f} on {len(returns)} unseen days, "
            f"{opening.sentence}: without an edge with probability {test.p_value:.3g}"
        )
        self.verdicts.append(at_most("holdout", "holdout_mean", test.p_value, MOST_UNSEEN_P, len(returns), reason))
        wealth = self._wealth(self.counted) * 2.0**-opening.rerun
        reason = f"copies and unseen days together buy a starting wealth of {wealth:.2f}, at least {WEALTH:.3f} needed"
        if opening.rerun:
            reason += f"; halved for each of {opening.rerun} looks of the week before"
        self.verdicts.append(at_least("significance", "decision", wealth, WEALTH, len(returns), reason))

    def _setting(self, window: VirtualWindow, panel: Panel) -> AccountSetting:
        unseen, before = self.court.splits.unseen, self.daily.tolist()
        return AccountSetting.of(
            window, panel, self.court.costs, start=unseen.start, stop=unseen.stop, daily_before=before
        )

    def _accounts(self) -> tuple[AccountFigures, ...]:
        assert self.setting is not None
        return tuple(account_figures(self.setting.run(size, digests=False)) for size in SIZES_USD)

    def _wealth(self, trials: float) -> float:
        assert self.p_copies is not None
        assert self.p_unseen is not None
        return starting_wealth(among_searches(self.p_copies.p_value, trials / self.strategy.n_trials), self.p_unseen)

    def _overturned_at(self) -> int | None:
        """Return the least number of trials at which what stands on their number would fall; None: none is known."""
        found: list[int] = []
        if self.overturned_kinds is not None:
            found.append(self.overturned_kinds - self.kinds_more if self.overturned_kinds > 1 else 1)
        if self.p_copies is not None and self.p_copies.p_value < 1.0:
            own = self.strategy.n_trials
            most = MOST_SEARCH_P
            if self.p_unseen is not None:
                most = min(most, 1.0 / (16.0 * WEALTH**2 * self.p_unseen))
            found.append(math.floor(own * math.log1p(-most) / math.log1p(-self.p_copies.p_value)) + 1)
        return max(min(found), 1) if found else None

    def _sentence(self, outcome: str, decisive: Sequence[str]) -> str:
        name = self.strategy.name
        cheats = [v for v in self.verdicts if v.gate in CHEATS and v.status == "failed"]
        if cheats:
            caught = "; ".join(f"{verdict.gate}: {verdict.reason}" for verdict in cheats)
            return f"{name} falls before luck is asked about: {caught}."
        sharpe = annual_sharpe(self.daily)
        overturned = self._overturned_at()
        p_value = next((v.value for v in self.verdicts if v.gate == "copies" and v.status != "not_run"), math.nan)
        said = (
            f"The Sharpe ratio of {sharpe:.2f} that {name} shows on {self.daily.size} days, luck shows on "
            f"copies of the market with probability {p_value:.2g} after {self.counted:,} trials"
        )
        if overturned is None:
            said += "; no number of trials that anybody runs would overturn it."
        elif overturned > self.counted:
            said += f"; {overturned:,} trials would overturn it."
        elif overturned == 1:
            said += "; it would not stand if nothing else had ever been tried."
        else:
            said += f"; it would have borne {overturned - 1:,}."
        closing = {
            "stands": " It stands.",
            "unproven": f" It is unproven: {why_not(self.verdicts, decisive)}.",
            "falls": f" It falls: {why_not(self.verdicts, decisive)}.",
        }
        return said + closing[outcome]

    def _unsaid(self) -> dict[str, str]:
        unsaid = {"before": "what was tried before and elsewhere is taken as declared: nobody can count it"}
        if isinstance(self.strategy, DocumentStrategy):
            unsaid["look_ahead"] = "not asked: families read closed bars only, which their own tests prove"
        if self.run is None:
            unsaid["unseen_days"] = "they stay sealed: it fell on the days that were seen, and no look was spent"
            unsaid["accounts"] = "they are shown of the unseen days"
        return unsaid
