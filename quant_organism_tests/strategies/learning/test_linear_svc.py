"""Classifiers equal scikit-learn's to the last bit, and say what became of them."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from quant_organism.strategies.learning.grids import SvcGenes
from quant_organism.strategies.learning.linear_svc import ensemble_scores, fit, labelled_rows
from quant_organism.strategies.learning.walk_forward import FEW_ROWS, FITTED, NOT_CONVERGED, NOT_FINITE, ONE_CLASS

GENES = SvcGenes(250, 4, 1.0, "l2", "none", 2, 1, 24, 1)


def training(seed: int, rows: int = 250, features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return features of different sizes and returns that the first two of them tell a little about."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(features, rows)) * np.logspace(-3, 1, features)[:, None] + 0.3
    return x, 0.01 * ((x[0] - 0.3) / 1e-3 - rng.standard_t(4, rows) + 0.2)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
@pytest.mark.parametrize("c", [0.001, 1.0, 1000.0])
@pytest.mark.parametrize("bins", [2, 3, 4])
def test_coefficients_are_those_of_linear_svc(penalty: str, class_weight: str, c: float, bins: int) -> None:
    x, returns = training(bins)
    genes = GENES._replace(regularization=c, penalty=penalty, class_weight=class_weight, bins=bins)
    (means, scales, coefficients), status = fit(x, returns, genes)
    np.testing.assert_allclose(means[:4], x.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(scales[:4], x.std(axis=1), rtol=1e-12)
    chosen = labelled_rows(returns, bins)
    scaled = (x.T - means[:4]) / scales[:4]
    weight = None if class_weight == "none" else class_weight
    theirs = LinearSVC(
        C=c, penalty=penalty, class_weight=weight, dual=False, tol=1e-4, max_iter=1000, random_state=0
    ).fit(scaled[chosen], np.sign(returns[chosen]))
    np.testing.assert_array_equal(coefficients, [*theirs.coef_[0], *theirs.intercept_])
    assert status[0] == FITTED


def test_a_separable_feature_has_the_weight_worked_out_by_hand() -> None:
    # 20 rows at +1 that rise and 20 at -1 that fall: the intercept is 0 and w minimises w^2 / 2 + 40 C (1 - w)^2, so
    # w = 80 C / (1 + 80 C), which is 4/9 for C = 0.01.
    x = np.repeat([1.0, -1.0], 20)
    (_, _, coefficients), _ = fit(x[np.newaxis], 0.01 * x, GENES._replace(regularization=0.01))
    np.testing.assert_allclose(coefficients, [4 / 9, 0.0], atol=1e-4)


def test_labels_come_from_the_outer_quantiles() -> None:
    # Of 0..8 the outer thirds begin at 8/3 and 16/3, the outer quarters at 2 and 6; what did not move has no label.
    returns = np.arange(9.0)
    assert np.flatnonzero(labelled_rows(returns, 2)).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert np.flatnonzero(labelled_rows(returns, 3)).tolist() == [1, 2, 6, 7, 8]
    assert np.flatnonzero(labelled_rows(returns, 4)).tolist() == [1, 2, 6, 7, 8]


def test_what_cannot_be_fitted_is_refused_and_scores_nothing() -> None:
    x, returns = training(0)
    broken = x.copy()
    broken[2, 17] = np.inf
    cases = {
        FEW_ROWS: (x, np.where(np.arange(250) < 19, returns, 0.0)),
        ONE_CLASS: (x, np.abs(returns)),
        NOT_FINITE: (broken, returns),
    }
    for expected, (features, labels) in cases.items():
        model, status = fit(features, labels, GENES)
        assert status[0] == expected
        scores = np.full(250, 7.0)
        ensemble_scores(x, np.array([0]), model[np.newaxis], 1, scores)
        assert not scores.any()


def test_a_fit_that_does_not_converge_is_recorded_in_silence() -> None:
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.normal(size=(20, 1000)), axis=1)
    returns = np.diff(x[0], prepend=0.0)
    x[1:] = x[0] + 1e-3 * x[1:]
    genes = GENES._replace(regularization=1000.0, penalty="l1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, status = fit(x, returns, genes)
    assert status[0] == NOT_CONVERGED
    assert np.isfinite(model[2]).all()
    means, scales = model[:2, :20]
    with pytest.warns(ConvergenceWarning):
        LinearSVC(C=1000.0, penalty="l1", dual=False, random_state=0).fit((x.T - means) / scales, returns > 0)


def test_a_constant_feature_has_no_say() -> None:
    x, returns = training(3)
    x[1] = 0.1 + 1e-12 * np.sin(np.arange(250))
    model, _ = fit(x, returns, GENES)
    assert model[2, 1] == 0.0
    scores, shifted = np.zeros(250), np.zeros(250)
    ensemble_scores(x, np.array([0]), model[np.newaxis], 1, scores)
    x[1] += 1.0
    ensemble_scores(x, np.array([0]), model[np.newaxis], 1, shifted)
    np.testing.assert_array_equal(shifted, scores)


def test_fits_at_the_same_time_are_those_made_one_by_one() -> None:
    jobs = [training(seed, 500, 20) for seed in range(40)]
    genes = GENES._replace(regularization=10.0, penalty="l1")
    alone = [fit(*job, genes)[0] for job in jobs]
    with ThreadPoolExecutor(4) as executor:
        together = list(executor.map(lambda job: fit(*job, genes)[0], jobs))
    np.testing.assert_array_equal(together, alone)


def test_scores_are_the_mean_of_the_last_fits() -> None:
    # One feature equal to the bar's number; models 2 x, 4 x - 4 and x + 9, the second about a mean of 1.
    features = np.arange(6.0)[np.newaxis]
    models = np.array([[[0, 0], [1, 1], [2, 0]], [[1, 0], [0.5, 1], [2, 0]], [[0, 0], [1, 1], [1, 9]]], dtype=float)
    found = []
    for ensemble in (1, 2, 3):
        scores = np.zeros(6)
        ensemble_scores(features, np.array([1, 3, 4]), models, ensemble, scores)
        found.append(scores.tolist())
    assert found == [
        [0, 2, 4, 8, 13, 14],
        [0, 2, 4, (8 + 6) / 2, (13 + 12) / 2, (14 + 16) / 2],
        [0, 2, 4, 7, (13 + 12 + 8) / 3, (14 + 16 + 10) / 3],
    ]


def test_a_bar_with_a_feature_that_is_not_finite_scores_nothing() -> None:
    features = np.array([[1.0, np.nan, np.inf, 2.0]])
    scores = np.zeros(4)
    ensemble_scores(features, np.array([0]), np.array([[[0.0, 0], [1, 1], [1, 0]]]), 1, scores)
    assert scores.tolist() == [1, 0, 0, 2]
