"""Linear support vector classifiers of the coming return's sign, and the mean score of the last few of them."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.indicator import (
    AbreastWorkshop,
    AheadWorkshop,
    HistoryWorkshop,
    Indicator,
    Onward,
    Workshop,
)
from quant_organism.strategies.learning.features import LONGEST_LAG, features_abreast, features_of, standardise
from quant_organism.strategies.learning.grids import SVC_GRID, SvcGenes, svc_genes
from quant_organism.strategies.learning.walk_forward import (
    FEW_ROWS,
    FITTED,
    NOT_CONVERGED,
    NOT_FINITE,
    ONE_CLASS,
    Fits,
    is_refit,
    refit_bars,
    refit_places,
    refits_of,
    training_set,
)
from quant_organism.strategies.store import Arrays, Keys, Rows

Floats = NDArray[np.float64]

FEWEST_ROWS = 20
"""Labelled rows below which nothing is fitted."""

_SOLVERS = {"l1": 5, "l2": 2}
"""liblinear's numbers of its primal solvers with squared hinge loss."""

_TOLERANCE, _MOST_ITERATIONS = 1e-4, 1000

_SEED = 209_652_396
"""What LinearSVC hands to liblinear for ``random_state=0``."""

# liblinear draws from one generator for the whole process: two fits at a time would not be the same twice.
_ONE_FIT_AT_A_TIME = Lock()


def score_rows(shop: Workshop, keys: Keys) -> Floats:
    """Return the score of each bar, positive for rising prices, for each of `svc_keys`; shape (K, n).

    A bar is scored by the model fitted at its close or at the last refit before, averaged with the ones before that;
    0 before the first refit.
    """
    features = features_of(shop)
    rows = np.zeros((keys.size, shop.bars.close.size))
    fits = Fits(shop)
    for row, key in zip(rows, keys.tolist(), strict=True):
        genes = svc_genes(key)
        bars = refit_bars(shop.bars.numbers, genes.window, genes.horizon, genes.interval)
        if bars.size:
            models = [refit(shop, fits, features, genes, bar)[0] for bar in bars.tolist()]
            ensemble_scores(features, bars, np.stack(models), genes.ensemble, row)
    return rows


def refit(shop: Workshop, fits: Fits, features: Floats, genes: SvcGenes, bar: int) -> Arrays:
    """Return the model (3, F + 1) of `fit` for the rows before a bar, and its status (1,)."""

    def training() -> tuple[Floats, Floats]:
        return training_set(shop, features[: genes.features], bar, genes.window, genes.horizon)

    shared = genes[: SvcGenes._fields.index("interval")]
    return fits.get("linear_svc", bar, shared, training, lambda rows, returns: fit(rows, returns, genes))


def fit(features: Floats, returns: Floats, genes: SvcGenes) -> Arrays:
    """Fit one classifier.

    Parameters
    ----------
    features
        Training rows, shape (F, window).
    returns
        Log return over the label horizon from each row on, shape (window,).
    genes
        Regularisation, penalty, class weight and label bins.

    Returns
    -------
    Means, scales and coefficients with the intercept behind them, shape (3, F + 1), and what became of the fit,
    shape (1,). A fit that was refused has coefficients 0.
    """
    count, rows = features.shape
    model = np.zeros((3, count + 1))
    model[1] = np.inf
    scaled, moments = standardise(features, count, 0, rows)
    chosen = labelled_rows(returns, genes.bins)
    rising = returns[chosen] > 0.0
    if not np.isfinite(scaled).all():
        status = NOT_FINITE
    elif rising.size < FEWEST_ROWS:
        status = FEW_ROWS
    elif rising.all() or not rising.any():
        status = ONE_CLASS
    else:
        coefficients, iterations = _solve(scaled[chosen], rising, genes)
        status = FITTED if iterations < _MOST_ITERATIONS else NOT_CONVERGED
        if np.isfinite(coefficients).all():
            model[:2, :count], model[2] = moments, coefficients
        else:
            status = NOT_FINITE
    return model, np.array([status])


def labelled_rows(returns: Floats, bins: int) -> NDArray[np.bool_]:
    """Say which rows have a label: with two bins all that moved, with more only those in the outer quantiles."""
    moved = returns != 0.0
    if bins == 2:
        return np.asarray(moved)
    low, high = np.quantile(returns, [1.0 / bins, 1.0 - 1.0 / bins])
    return np.asarray(moved & ((returns <= low) | (returns >= high)), dtype=np.bool_)


def _solve(rows: Floats, rising: NDArray[np.bool_], genes: SvcGenes) -> tuple[Floats, int]:
    # What LinearSVC(loss="squared_hinge", dual=False, tol=1e-4, max_iter=1000, random_state=0) does, without the
    # checks of its arguments, which take several times as long, and without warnings, which are not thread-safe.
    from sklearn.svm import _liblinear

    counts = np.array([rising.size - rising.sum(), rising.sum()])
    weights = rising.size / (2.0 * counts) if genes.class_weight == "balanced" else np.ones(2)
    with _ONE_FIT_AT_A_TIME:
        _liblinear.set_verbosity_wrap(0)
        coefficients, iterations = _liblinear.train_wrap(
            rows,
            rising.astype(np.float64),
            False,
            _SOLVERS[genes.penalty],
            _TOLERANCE,
            1.0,
            genes.regularization,
            weights,
            _MOST_ITERATIONS,
            _SEED,
            0.1,
            np.ones(rising.size),
        )
    return coefficients[0], int(np.max(iterations))


@compiled
def ensemble_scores(features: Floats, refits: NDArray[np.int64], models: Floats, ensemble: int, scores: Floats) -> None:
    """Write the mean score of the last `ensemble` models on each bar from the first refit on.

    Parameters
    ----------
    features
        Shape (20, n).
    refits
        Bar of each fit, ascending, shape (R,).
    models
        Means, scales and coefficients with the intercept of each fit, shape (R, 3, F + 1).
    ensemble
        Number of models that are averaged, where there are as many.
    scores
        Written from the first refit on, shape (n,); 0 where a feature is not finite.
    """
    count = models.shape[2] - 1
    for s in range(refits.size):
        begin = refits[s]
        end = refits[s + 1] if s + 1 < refits.size else scores.size
        out = scores[begin:end]
        members = min(ensemble, s + 1)
        out[:] = 0.0
        for m in range(members):
            model = models[s - m]
            out += model[2, count]
            for j in range(count):
                values, mean, weight = features[j, begin:end], model[0, j], model[2, j] / model[1, j]
                for t in range(out.size):
                    out[t] += weight * (values[t] - mean)
        for t in range(out.size):
            score = out[t] / members
            out[t] = score if np.isfinite(score) else 0.0


_FEATURES, _MOST_MODELS = max(SVC_GRID["feature_count"]), max(SVC_GRID["ensemble_size"])


def _keep(kept: Floats, model: Floats, ensemble: int) -> None:
    # Puts a model behind the others (m, 3, F + 1) of a key, of which no more than are averaged are kept.
    count = int(kept[-1, 0, 0])
    if count == ensemble:
        kept[: count - 1] = kept[1:count].copy()
        count -= 1
    kept[count, :, : model.shape[1]] = model
    kept[-1, 0, 0] = count + 1


def _latest_models(shop: HistoryWorkshop, keys: Keys) -> Floats:
    # Of each key the latest models, oldest first; how many there are stands behind them.
    kept = np.zeros((keys.size, _MOST_MODELS + 1, 3, _FEATURES + 1))
    features, fits = features_of(shop), Fits(shop)
    for own, genes in zip(kept, map(svc_genes, keys.tolist()), strict=True):
        for bar in refits_of(shop.bars, genes)[-genes.ensemble :]:
            _keep(own, refit(shop, fits, features, genes, bar)[0], genes.ensemble)
    return kept


def _next_models(shop: AheadWorkshop, keys: Keys) -> dict[int, Floats] | None:
    # The models that are fitted at the close of the next bar, by the place of their key.
    bar = shop.bars.numbers.size
    made = {
        place: refit(shop, Fits(shop), features_of(shop), genes, bar)[0]
        for place, genes in enumerate(map(svc_genes, keys.tolist()))
        if is_refit(shop.number, bar, genes)
    }
    return made or None


def _score_abreast(shop: AbreastWorkshop, keys: Keys, kept: Floats) -> Rows:
    features = features_abreast(shop)
    columns = np.ascontiguousarray(features.latest(shop.assets, 1)[:, 0])
    rows = np.zeros((shop.assets.size, keys.size))
    ahead = shop.made_ahead(SVC_SCORE, keys)
    for place, genes in enumerate(map(svc_genes, keys.tolist())):
        due = refit_places(shop.numbers, shop.known, genes)
        for asset, bar in zip(shop.assets[due].tolist(), shop.known[due].tolist(), strict=True):
            model = ahead.get(asset, {}).get(place)
            if model is None:
                every = Workshop(shop.histories.bars(asset), shop.store)
                model = refit(every, Fits(every), features.columns(asset)[0], genes, bar)[0]
            _keep(kept[asset, place], model, genes.ensemble)
        _score_last(columns, kept, shop.assets, place, genes.features, genes.ensemble, rows)
    return rows


@compiled
def _score_last(
    columns: Floats,
    kept: Floats,
    assets: Keys,
    place: int,
    count: int,
    ensemble: int,
    rows: Floats,
) -> None:
    # Writes the scores of the last bar of each asset, with features (A, F, 1), by the models kept of one key.
    for i in range(assets.size):
        own = kept[assets[i], place]
        models = own[: int(own[-1, 0, 0]), :, : count + 1].copy()
        score = np.zeros(1)
        # As if all of them had been fitted at this bar's close.
        ensemble_scores(columns[i], np.zeros(models.shape[0], dtype=np.int64), models, ensemble, score)
        rows[i, place] = score[0]


SVC_SCORE = Indicator(
    "svc_score",
    rows=score_rows,
    reach=lambda bars, keys: np.full_like(keys, LONGEST_LAG + 1),
    onward=Onward(
        start=_latest_models,
        rows=lambda shop, keys, _: score_rows(shop, keys),
        abreast=_score_abreast,
        ahead=_next_models,
    ),
)
"""Keyed by `grids.svc_keys`."""
