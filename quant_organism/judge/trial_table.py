"""A table of trials: daily returns, a column each, of which one was chosen. What returns alone can tell is said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.judge.luck import LEAST, luck_of
from quant_organism.judge.page import JudgedPage, outcome_of, why_not
from quant_organism.validation import NotRun, Verdict, mean_return_test
from quant_organism.validation.statistics.annualised import haircut_sharpe
from quant_organism.validation.statistics.clusters import Clusters, cluster_returns
from quant_organism.validation.statistics.evidence import flat_columns
from quant_organism.validation.statistics.pbo import backtest_overfitting
from quant_organism.validation.statistics.sharpe import sharpe_moments
from quant_organism.validation.statistics.spa import predictive_ability
from quant_organism.validation.verdict import at_least, at_most, not_run

MOST_OVERFITTING: Final = 0.25
LARGEST_P: Final = 0.05

NOT_FROM_RETURNS: Final = {
    "look_ahead": "whether a bar was known when it was traded on shows only by running the code on truncated bars",
    "search_luck": "how good the whole search looks on copies of the market takes the search itself",
    "perturbations": "costs, delays, noise and assets left out take the code",
    "accounts": "minimum orders, lots and caps of an account take the positions",
    "costs": "whether fees, slippage and funding are in these returns cannot be seen in them",
    "trials": "how many were really tried is taken as declared; trials that nobody recorded cannot be counted",
}
"""What a table of returns cannot tell, by name."""

UNMARKED: Final = "no day is marked as unseen: say from which day on nothing was chosen, as unseen_from"

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrialReturns:
    """Daily returns of trials.

    Parameters
    ----------
    days
        UTC days, ascending, T.
    names
        Of the N trials.
    returns
        Net daily returns, fractions, float64 (T, N).
    where
        File that they come from, for messages.
    """

    days: tuple[date, ...]
    names: tuple[str, ...]
    returns: Floats
    where: str = "table"

    def __post_init__(self) -> None:
        repeated = [b for a, b in zip(self.days, self.days[1:], strict=False) if b <= a]
        if repeated:
            raise InputError(
                f"{repeated[0]} does not come after the day before it", where=self.where, remedy="one row a day, sorted"
            )
        if self.returns.shape != (len(self.days), len(self.names)) or not self.names or not self.days:
            raise InputError(
                f"returns of shape {self.returns.shape} for {len(self.days)} days and {len(self.names)} trials",
                where=self.where,
                remedy="one row a day, one column a trial",
            )
        # A return of -100 % or less ends an account, and what is not a number is neither.
        broken = np.argwhere(~(self.returns > -1.0) | ~np.isfinite(self.returns))
        if len(broken):
            row, column = broken[0]
            raise InputError(
                f"{self.returns[row, column]} is no daily return: a fraction above -1 is expected",
                where=f"{self.where}: {self.names[column]} on {self.days[row]}",
                remedy="write 1.5 % as 0.015, and 0 where a trial did not trade",
            )

    @classmethod
    def read(cls, path: Path) -> TrialReturns:
        """Return the trials of a CSV or Parquet file: a column of days, and a column of numbers for each trial.

        Raises
        ------
        InputError
            The file cannot be read, has no column of days or more than one, or holds something else than returns.
        """
        try:
            frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"no table can be read: {reason}", where=str(path), remedy="give a CSV or Parquet file of daily returns"
            ) from None
        days = [name for name, kind in frame.schema.items() if kind == pl.Date or isinstance(kind, pl.Datetime)]
        if len(days) != 1:
            raise InputError(
                f"{len(days)} columns of days, expected one: {', '.join(days) or 'none'}",
                where=str(path),
                remedy="write days as 2024-01-31 in one column",
            )
        names = [name for name in frame.columns if name not in days]
        if text := [name for name in names if not frame.schema[name].is_numeric()]:
            raise InputError(f"column {text[0]} holds no numbers", where=str(path), remedy="leave it out, or mend it")
        dated = frame[days[0]].cast(pl.Date)
        if dated.null_count():
            raise InputError("a row has no day", where=f"{path}: row {dated.is_null().arg_max()}", remedy="mend it")
        returns = np.ascontiguousarray(frame.select(pl.col(names).cast(pl.Float64)).to_numpy())
        return cls(tuple(dated.to_list()), tuple(names), returns, str(path))


def judge_trials(
    trials: TrialReturns,
    chosen: str,
    *,
    name: str | None = None,
    tried: int | None = None,
    unseen_from: date | None = None,
    days_per_year: int = 365,
    seed: int = 0,
) -> JudgedPage:
    """Say of the chosen one of some trials what their returns can tell.

    Parameters
    ----------
    trials
        All that is at hand of what was tried.
    chosen
        Name of the one that was chosen.
    name
        What the page calls it; the chosen one's name by default.
    tried
        How many were really tried, with those that are not in the table. Each that is not counts as one of its own:
        nobody can tell that it was a clone. None: those of the table.
    unseen_from
        First day on which nothing was chosen; none: all days were looked at.
    days_per_year
        Returns a year: 365, or 252 where markets close.
    seed
        Of what is resampled.

    Raises
    ------
    InputError
        There is no such trial, fewer were tried than stand in the table, or no day lies before the unseen ones.
    """
    if chosen not in trials.names:
        raise InputError(f"no trial {chosen} in the table", where=trials.where, remedy="name one of its columns")
    held = len(trials.names)
    declared = held if tried is None else tried
    if declared < held:
        raise InputError(
            f"{declared} tried, but {held} stand in the table", where="tried", remedy="count every one, also failures"
        )
    seen = len(trials.days) if unseen_from is None else sum(day < unseen_from for day in trials.days)
    if seen == 0 or (unseen_from is not None and seen == len(trials.days)):
        raise InputError(
            f"{seen} of {len(trials.days)} days lie before {unseen_from}",
            where="unseen_from",
            remedy=f"choose a day after {trials.days[0]} and up to {trials.days[-1]}",
        )
    own = trials.returns[:, trials.names.index(chosen)]
    traded = trials.returns[:seen, ~flat_columns(trials.returns[:seen])]
    clusters = cluster_returns(traded)
    kinds = (clusters.count if isinstance(clusters, Clusters) else 0) + declared - held
    kinds = min(max(kinds, 1), declared)
    luck = luck_of(own[:seen], kinds)
    verdicts = [_deflated(own[:seen], kinds, declared), *_searched(traded, clusters, seed)]
    verdicts.append(_haircut(own[:seen], declared, days_per_year))
    decisive = ["deflated_sharpe", "backtest_overfitting", "holdout_mean"]
    unsaid = dict(NOT_FROM_RETURNS)
    if unseen_from is None:
        unsaid["holdout_mean"] = UNMARKED
    else:
        verdicts.append(_unseen(own[seen:], seed))
    outcome = outcome_of(verdicts, decisive)
    annual = sharpe_moments(own[:seen]).sharpe * np.sqrt(days_per_year)
    if isinstance(luck, NotRun):
        sentence = f"Nothing can be said of {chosen}: {luck.reason}."
    else:
        sentence = (
            f"The Sharpe ratio of {annual:.2f} that {chosen} shows on {seen:,} days, luck shows with probability "
            f"{luck.p_value:.2g} after {declared:,} trials ({kinds:,} of them count as different); {luck.overturning}."
        )
    closing = {
        "stands": " As far as returns can tell, it stands.",
        "unproven": f" It is unproven: {why_not(verdicts, decisive) or UNMARKED}.",
        "falls": f" It falls: {why_not(verdicts, decisive)}.",
    }
    return JudgedPage(
        name=name or chosen,
        kind="table",
        outcome=outcome,
        sentence=sentence + closing[outcome],
        trials=declared,
        overturned_at=None if isinstance(luck, NotRun) else luck.overturned_at,
        verdicts=tuple(verdicts),
        decisive=tuple(decisive),
        unsaid=unsaid,
        facts={"days": seen, "unseen_days": len(trials.days) - seen, "kinds": kinds, "in_table": held},
    )


def _deflated(returns: Floats, kinds: int, declared: int) -> Verdict:
    luck, every = luck_of(returns, kinds), luck_of(returns, declared)
    if isinstance(luck, NotRun) or isinstance(every, NotRun):
        reason = luck.reason if isinstance(luck, NotRun) else "undefined where every trial counts"
        return not_run("overfitting", "deflated_sharpe", LEAST, reason, kinds)
    probability = 1.0 - luck.p_value
    reason = (
        f"beats the luck of {kinds:,} different trials with probability {probability:.3f}, at least {LEAST:g} needed; "
        f"{1.0 - every.p_value:.3f} if all {declared:,} were different; {luck.overturning}"
    )
    return at_least("overfitting", "deflated_sharpe", probability, LEAST, kinds, reason)


def _searched(traded: Floats, clusters: Clusters | NotRun, seed: int) -> list[Verdict]:
    # Of the table as a whole, the chosen one or not.
    if isinstance(clusters, NotRun):
        return [not_run("overfitting", "backtest_overfitting", MOST_OVERFITTING, clusters.reason)]
    verdicts = []
    overfitting = backtest_overfitting(traded[:, clusters.medoids])
    if isinstance(overfitting, NotRun):
        verdicts.append(
            not_run("overfitting", "backtest_overfitting", MOST_OVERFITTING, overfitting.reason, clusters.count)
        )
    else:
        reason = (
            f"what looks best on one half of the days falls behind on the other with probability "
            f"{overfitting.probability:.2f} ({overfitting.columns} kinds of trials, {overfitting.blocks} blocks), at "
            f"most {MOST_OVERFITTING:g} accepted"
        )
        verdicts.append(
            at_most(
                "overfitting",
                "backtest_overfitting",
                overfitting.probability,
                MOST_OVERFITTING,
                overfitting.columns,
                reason,
            )
        )
    ability = predictive_ability(traded, seed=seed)
    if isinstance(ability, NotRun):
        verdicts.append(not_run("overfitting", "predictive_ability", LARGEST_P, ability.reason, traded.shape[1]))
    else:
        reason = (
            f"the best of the {ability.models} trials in the table does as well without an edge with probability "
            f"{ability.p_value:.3g}; it holds for a fixed list only, not for what a search chose on these days"
        )
        verdicts.append(
            at_most("overfitting", "predictive_ability", ability.p_value, LARGEST_P, ability.models, reason)
        )
    return verdicts


def _haircut(returns: Floats, declared: int, days_per_year: int) -> Verdict:
    annual = sharpe_moments(returns).sharpe * np.sqrt(days_per_year)
    if np.isnan(annual):
        return not_run("overfitting", "haircut_sharpe", 0.5, "the returns do not vary: nothing was traded", declared)
    left = haircut_sharpe(float(annual), len(returns) / days_per_year, declared)
    reason = f"a Sharpe ratio of {annual:.2f} is worth {left:.2f} after {declared:,} trials"
    return at_least("overfitting", "haircut_sharpe", left, 0.5, declared, reason)


def _unseen(returns: Floats, seed: int) -> Verdict:
    test = mean_return_test(returns, seed=seed)
    if isinstance(test, NotRun):
        return not_run("holdout", "holdout_mean", LARGEST_P, test.reason, len(returns))
    reason = (
        f"on {test.days} days that are declared unseen, it does as well without an edge with probability "
        f"{test.p_value:.3g}, at most {LARGEST_P:g} accepted"
    )
    return at_most("holdout", "holdout_mean", test.p_value, LARGEST_P, test.days, reason)
