r"""Likelihood of pairs of effects with the trials' own effects and the two means integrated out.

With :math:`u_i = \hat\theta_{Pi} - b\hat\theta_{Mi}`, a change of variables whose Jacobian is 1, the two estimates of a
trial are

.. math::
    \begin{pmatrix} \hat\theta_{Mi} \\ u_i \end{pmatrix} \sim N\left(
    \begin{pmatrix} \mu \\ a \end{pmatrix},
    \begin{pmatrix} A_i & E_i \\ E_i & D_i \end{pmatrix} \right), \quad
    \begin{aligned} A_i &= \tau^2 + s_{Mi}^2 \\ E_i &= \rho s_{Mi} s_{Pi} - b s_{Mi}^2 \\
    D_i &= \psi^2 + s_{Pi}^2 + b^2 s_{Mi}^2 - 2 b \rho s_{Mi} s_{Pi} \end{aligned}

for :math:`\theta_{Mi} \sim N(\mu, \tau^2)`. Where :math:`\theta_{Mi}` is flat only its location is in
:math:`\hat\theta_{Mi}` given :math:`u_i`: that factor integrates to 1 whatever a, b and :math:`\psi` are, and
:math:`u_i \sim N(a, D_i)` is left. Given :math:`(b, \tau, \psi)` the posterior of :math:`(\mu, a)` is normal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from smm_bayes.surrogacy.across.pairs import TrialPairs
from smm_bayes.surrogacy.across.priors import AcrossPriors


class Given(NamedTuple):
    r"""Posterior of :math:`(\mu, a)` and the likelihood, given :math:`(b, \tau, \psi)`; arrays of one shape.

    Without a distribution of :math:`\theta_{Mi}` what is of :math:`\mu` is 0.
    """

    log_likelihood: np.ndarray
    mean: np.ndarray
    intercept: np.ndarray
    mean_variance: np.ndarray
    intercept_variance: np.ndarray
    covariance: np.ndarray


def covariances(
    odds_se: np.ndarray, hazard_se: np.ndarray, correlation: float, slope: np.ndarray, spread: np.ndarray,
    residual_sd: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Give A, E and D of the formulas above, of shapes that broadcast."""
    both = correlation * odds_se * hazard_se
    within = spread**2 + odds_se**2
    across = both - slope * odds_se**2
    residual = residual_sd**2 + hazard_se**2 + slope**2 * odds_se**2 - 2 * slope * both
    return within, across, residual


def given(
    pairs: TrialPairs, priors: AcrossPriors, correlation: float, bivariate: bool, slope: np.ndarray,
    spread: np.ndarray, residual_sd: np.ndarray,
) -> Given:  # fmt: skip
    """Integrate the trials' effects and the means out.

    Parameters
    ----------
    pairs : TrialPairs
    priors : AcrossPriors
        Those of the mean and the intercept are used.
    correlation : float
        Within trials, of the two estimates' errors.
    bivariate : bool
        Whether the effects on negativity are normal over trials.
    slope, spread, residual_sd : numpy.ndarray
        Of shapes that broadcast.
    """
    slope, spread, residual_sd = (np.asarray(x, float)[..., None] for x in (slope, spread, residual_sd))
    within, across, residual = covariances(
        pairs.odds_ratio_se, pairs.hazard_ratio_se, correlation, slope, spread, residual_sd
    )
    u = pairs.log_hazard_ratio - slope * pairs.log_odds_ratio
    if not bivariate:
        return _one(u, residual, priors)
    return _two(pairs.log_odds_ratio, u, (within, across, residual), priors)


def _one(u: np.ndarray, residual: np.ndarray, priors: AcrossPriors) -> Given:
    middle, variance = priors.intercept.mean, priors.intercept.sd**2
    away = u - middle
    precision = (1 / residual).sum(axis=-1) + 1 / variance
    pull = (away / residual).sum(axis=-1)
    size = (away**2 / residual + np.log(residual)).sum(axis=-1) + u.shape[-1] * np.log(2 * np.pi)
    log_likelihood = -0.5 * (size - pull**2 / precision + np.log(precision * variance))
    nothing = np.zeros_like(precision)
    return Given(log_likelihood, nothing, middle + pull / precision, nothing, 1 / precision, nothing)


def _two(y: np.ndarray, u: np.ndarray, parts: tuple[np.ndarray, ...], priors: AcrossPriors) -> Given:
    within, across, residual = parts
    y, u = y - priors.mean.mean, u - priors.intercept.mean
    determinant = within * residual - across**2
    scale = 1 / determinant
    first, second = residual * y - across * u, within * u - across * y
    size = (scale * (first * y + second * u) + np.log(determinant)).sum(axis=-1)
    pull_mean, pull_intercept = (scale * first).sum(axis=-1), (scale * second).sum(axis=-1)
    p_mean = (scale * residual).sum(axis=-1) + priors.mean.sd**-2
    p_intercept = (scale * within).sum(axis=-1) + priors.intercept.sd**-2
    p_both = -(scale * across).sum(axis=-1)
    whole = p_mean * p_intercept - p_both**2
    mean = (p_intercept * pull_mean - p_both * pull_intercept) / whole
    intercept = (p_mean * pull_intercept - p_both * pull_mean) / whole
    log_prior_size = 2 * np.log(priors.mean.sd * priors.intercept.sd)
    log_likelihood = -0.5 * (
        size + 2 * y.shape[-1] * np.log(2 * np.pi) + np.log(whole) + log_prior_size
        - pull_mean * mean - pull_intercept * intercept
    )  # fmt: skip
    return Given(log_likelihood, mean + priors.mean.mean, intercept + priors.intercept.mean,
                 p_intercept / whole, p_mean / whole, -p_both / whole)  # fmt: skip
