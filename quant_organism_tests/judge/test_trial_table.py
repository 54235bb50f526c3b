"""Tables of trials: what daily returns alone can tell, and what is refused."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.judge import TrialReturns, judge_trials, load_spec
from quant_organism.judge.luck import LEAST, LuckAmongTrials, luck_of
from quant_organism.validation.statistics.deflation import deflated_sharpe_ratio
from quant_organism.validation.statistics.sharpe import sharpe_moments

FIRST = date(2022, 1, 1)


def trials(*, days: int = 700, columns: int = 40, edge: float = 0.0, seed: int = 0) -> TrialReturns:
    """Return independent trials, the first with a daily mean of `edge` deviations."""
    returns = 0.01 * np.random.default_rng(seed).standard_normal((days, columns))
    returns[:, 0] += 0.01 * edge
    names = tuple(f"trial_{column}" for column in range(columns))
    return TrialReturns(tuple(FIRST + timedelta(days=day) for day in range(days)), names, returns)


def best_of(table: TrialReturns) -> str:
    ratios = table.returns.mean(axis=0) / table.returns.std(axis=0)
    return table.names[int(ratios.argmax())]


def status(page, gate: str) -> str:
    return next(verdict.status for verdict in page.verdicts if verdict.gate == gate)


def test_the_best_of_forty_trials_without_an_edge_falls() -> None:
    table = trials()
    page = judge_trials(table, best_of(table), unseen_from=FIRST + timedelta(days=500))
    assert page.outcome == "falls"
    assert status(page, "deflated_sharpe") == "failed"


def test_a_strong_edge_among_them_stands_and_says_how_many_trials_would_overturn_it() -> None:
    page = judge_trials(trials(edge=0.25), "trial_0", unseen_from=FIRST + timedelta(days=500))
    assert page.outcome == "stands", page.sentence
    assert page.overturned_at is None or page.overturned_at > 40
    assert "after 40 trials" in page.sentence


def test_without_marked_days_even_a_strong_edge_is_unproven() -> None:
    page = judge_trials(trials(edge=0.25), "trial_0")
    assert page.outcome == "unproven"
    assert "unseen_from" in page.unsaid["holdout_mean"]


def test_trials_that_are_not_shown_count_as_different() -> None:
    table = trials(edge=0.12)
    shown, declared = judge_trials(table, "trial_0"), judge_trials(table, "trial_0", tried=5_000)
    assert declared.facts["kinds"] == shown.facts["kinds"] + 4_960
    assert declared.overturned_at == shown.overturned_at
    assert status(shown, "deflated_sharpe") == "passed"
    assert status(declared, "deflated_sharpe") == "failed"


def test_clones_of_a_trial_count_once() -> None:
    one = trials(columns=10, edge=0.1)
    cloned = TrialReturns(one.days, tuple(f"c{i}" for i in range(200)), np.tile(one.returns, 20))
    assert judge_trials(cloned, "c0").facts["kinds"] == judge_trials(one, "trial_0").facts["kinds"] == 10


def test_what_only_the_code_tells_is_named() -> None:
    page = judge_trials(trials(), "trial_3")
    assert {"look_ahead", "search_luck", "perturbations", "accounts"} <= set(page.unsaid)


def test_unseen_days_change_no_figure_of_the_seen_ones() -> None:
    table = trials(edge=0.1)
    altered = table.returns.copy()
    altered[500:] *= -3.0
    other = TrialReturns(table.days, table.names, altered)
    cut = FIRST + timedelta(days=500)
    pages = [judge_trials(each, "trial_0", unseen_from=cut) for each in (table, other)]
    assert pages[0].verdicts[:-1] == pages[1].verdicts[:-1]
    assert pages[0].verdicts[-1] != pages[1].verdicts[-1]


@settings(max_examples=20, deadline=None)
@given(edge=st.floats(-0.05, 0.2), seed=st.integers(0, 1_000))
def test_the_overturning_number_is_the_first_at_which_it_does_not_stand(edge: float, seed: int) -> None:
    returns = trials(days=400, columns=1, edge=edge, seed=seed).returns[:, 0]
    luck = luck_of(returns, 3)
    assert isinstance(luck, LuckAmongTrials)
    moments = sharpe_moments(returns)
    if luck.overturned_at is not None:
        assert deflated_sharpe_ratio(moments, luck.overturned_at) < LEAST
        assert luck.overturned_at == 1 or deflated_sharpe_ratio(moments, luck.overturned_at - 1) >= LEAST
    assert luck.p_value == pytest.approx(1.0 - deflated_sharpe_ratio(moments, 3))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_is_read_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    table = trials(days=60, columns=3)
    frame = pl.DataFrame({"day": table.days, **dict(zip(table.names, table.returns.T, strict=True))})
    path = tmp_path / f"trials.{suffix}"
    frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    back = TrialReturns.read(path)
    assert back.days == table.days
    assert back.names == table.names
    np.testing.assert_array_equal(back.returns, table.returns)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("day,a\n2024-01-02,0.1\n2024-01-01,0.1\n", "does not come after"),
        ("day,a\n2024-01-01,0.1\n2024-01-01,0.1\n", "does not come after"),
        ("day,a\n2024-01-01,-1.5\n", "no daily return"),
        ("day,a\n2024-01-01,\n2024-01-02,0.1\n", "no daily return"),
        ("day,a\n2024-01-01,x\n", "holds no numbers"),
        ("a,b\n0.1,0.2\n", "0 columns of days"),
        ("day,a\n", "days"),
    ],
)
def test_what_is_no_table_of_returns_is_refused(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "trials.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=found):
        TrialReturns.read(path)


def test_an_unknown_trial_or_too_few_declared_are_refused() -> None:
    with pytest.raises(InputError, match="no trial nobody"):
        judge_trials(trials(columns=3), "nobody")
    with pytest.raises(InputError, match="2 tried, but 3 stand"):
        judge_trials(trials(columns=3), "trial_0", tried=2)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("kind: table\ntable: a.csv\n", "chosen"),
        ("kind: table\ntable: a.csv\nchosen: a\ntrys: 4\n", "trys"),
        ("kind: table\ntable: a.csv\nchosen: a\ntried: many\n", "tried"),
        ("kind: table\nkind: table\n", "kind"),
    ],
)
def test_a_document_is_read_strictly(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "judge.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        load_spec(str(path))
    assert where in str(refused.value)
