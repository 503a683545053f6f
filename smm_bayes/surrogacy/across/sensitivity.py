"""How the relation depends on the trials that are trusted and on the correlation within trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.surrogacy.across.pairs import TrialPairs
from smm_bayes.surrogacy.across.posterior import FORMS, AcrossTrials
from smm_bayes.surrogacy.across.priors import AcrossPriors
from smm_bayes.surrogacy.across.summary import summarise

if TYPE_CHECKING:
    import pandas as pd

CORRELATIONS = (0.0, -0.2, -0.4, -0.6)  # within trials; more negativity goes with less progression


def weighted_regression(pairs: TrialPairs, weights: np.ndarray | None = None) -> dict[str, float]:
    r"""Weighted least squares of estimated log hazard ratios on estimated log odds ratios, as usually published.

    Errors of the odds ratios are ignored.

    Parameters
    ----------
    pairs : TrialPairs
    weights : numpy.ndarray, shape (trial,), optional
        By default :math:`s_{Pi}^{-2}`.

    Returns
    -------
    dict
        ``slope``, ``intercept`` and ``r_squared``, the weighted share of the observed variance.
    """
    weight = pairs.hazard_ratio_se**-2 if weights is None else np.asarray(weights, float)
    weight = weight / weight.sum()
    x, y = pairs.log_odds_ratio, pairs.log_hazard_ratio
    x_mean, y_mean = weight @ x, weight @ y
    xx, xy, yy = weight @ (x - x_mean) ** 2, weight @ ((x - x_mean) * (y - y_mean)), weight @ (y - y_mean) ** 2
    slope = float(xy / xx)
    return {"slope": slope, "intercept": float(y_mean - slope * x_mean), "r_squared": float(xy**2 / (xx * yy))}


def sensitivity(
    sets: Mapping[str, TrialPairs], *, correlations: Sequence[float] = CORRELATIONS, forms: Sequence[str] = FORMS,
    priors: AcrossPriors | None = None, draws: int = 2000, rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """Summarise every set of pairs under every correlation and form.

    Parameters
    ----------
    sets : mapping of str to TrialPairs
        By name, such as one a level of trust.
    correlations : sequence of float
        The grid within trials: it is not estimated.
    forms : sequence of str
    priors : AcrossPriors, optional
    draws : int
    rng : numpy.random.Generator

    Returns
    -------
    pandas.DataFrame
        Columns ``pairs``, ``trials``, ``form``, ``correlation``; median, lower and upper (95 %) of ``slope``,
        ``r_squared`` and ``residual_sd``; ``negative_slope``, the probability; ``threshold``, the smallest odds ratio
        over the posterior (infinite where there is none).
    """
    import pandas as pd

    rows = []
    for name, pairs in sets.items():
        for form in forms:
            for correlation in correlations:
                found = summarise(AcrossTrials(pairs, priors or AcrossPriors(), correlation, form), draws, rng=rng)
                table = found.table()
                row = {"pairs": name, "trials": len(pairs), "form": form, "correlation": correlation}
                for label, what in (("slope", "slope"), ("r_squared", "R squared"), ("residual_sd", "residual SD")):
                    row |= {f"{label}_{column}": table.loc[what, column] for column in ("median", "lower", "upper")}
                ratio = float(np.exp(found.predictive_threshold[0]))
                rows.append(row | {"negative_slope": found.negative_slope, "threshold": ratio})
    return pd.DataFrame(rows)
