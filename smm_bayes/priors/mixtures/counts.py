"""Counts of events under a normal mixture of log hazards: Laplace's approximation in each component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.multivariate import MultivariateNormalMixture

STEPS = 200  # of Newton's method; five to ten suffice unless data and prior are far apart
CLOSE = 1e-22  # of twice the rise that Newton's step still promises


@dataclass(frozen=True, eq=False)
class CountUpdates:
    """Posteriors after many data sets.

    Attributes
    ----------
    prior : MultivariateNormalMixture
    weights : numpy.ndarray, shape (replicate, component)
    means : numpy.ndarray, shape (replicate, component, dim)
    covariances : numpy.ndarray, shape (replicate, component, dim, dim)
    log_evidence : numpy.ndarray, shape (replicate, component)
        Log marginal likelihood of the data under each component, up to a constant of the data.
    """

    prior: MultivariateNormalMixture
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    log_evidence: np.ndarray

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, replicate: int) -> MultivariateNormalMixture:
        """Posterior of one replicate."""
        return self.prior._given(self.weights[replicate], self.means[replicate], self.covariances[replicate])

    @property
    def mean(self) -> np.ndarray:
        """Posterior means of the mixtures, shape (replicate, dim)."""
        return np.einsum("rk,rkj->rj", self.weights, self.means)

    @property
    def sd(self) -> np.ndarray:
        """Posterior standard deviations of the mixtures, shape (replicate, dim)."""
        second = np.diagonal(self.covariances, axis1=2, axis2=3) + (self.means - self.mean[:, None]) ** 2
        return np.sqrt(np.einsum("rk,rkj->rj", self.weights, second))


def check_counts(dim: int, events: Any, exposure: Any, axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Refuse counts that no trial could give."""
    events, exposure = np.asarray(events, float), np.asarray(exposure, float)
    if events.ndim != axes or events.shape != exposure.shape or events.shape[-1] != dim:
        wanted = "(dim,)" if axes == 1 else "(replicate, dim)"
        raise SpecificationError(
            f"events and exposure must have shape {wanted} with dim {dim}; got {events.shape} and {exposure.shape}"
        )
    if not (np.all((events >= 0) & (events < np.inf)) and np.all((exposure >= 0) & (exposure < np.inf))):
        raise SpecificationError("events and exposure must be finite and not negative")
    if np.any((events > 0) & (exposure == 0)):
        raise SpecificationError("there are events where there is no exposure")
    return events, exposure


def laplace(
    prior: MultivariateNormalMixture, events: Any, exposure: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    r"""Posterior after events :math:`d_j` in exposure :math:`E_j`, with log hazards :math:`\theta_j`.

    Within component k the log posterior :math:`\ell_k(\theta) = \sum_j (d_j\theta_j - E_j e^{\theta_j}) -
    \frac12(\theta - m_k)^\top S_k^{-1}(\theta - m_k)` has one peak :math:`\hat\theta_k`, found by Newton's method. The
    posterior is taken as normal with covariance :math:`V_k = (S_k^{-1} + \mathrm{diag}\,\mu)^{-1}, \mu_j = E_j
    e^{\hat\theta_j}`, and the evidence as :math:`\ell_k(\hat\theta_k) - \frac12\log|S_k| + \frac12\log|V_k|`. The
    density leans to low hazards: its mean is the peak less :math:`\frac12 V_k(\mu \circ \mathrm{diag}\,V_k)`, the
    first term of its expansion.

    Means err by 0.005 posterior standard deviations, standard deviations by 1 % and weights by 0.004 at most in the
    cases of the tests (0 to 200 events, prior standard deviations of 0.3 to 1). It is poor where a vague component
    meets an interval without events: with a prior standard deviation of 10 the mean is half a posterior standard
    deviation too low, and that is a quarter too small.

    Parameters
    ----------
    prior : MultivariateNormalMixture
    events : array_like, shape (dim,)
    exposure : array_like, shape (dim,)
        In units of time that the hazards are per.

    Returns
    -------
    weights : numpy.ndarray, shape (component,)
    means : numpy.ndarray, shape (component, dim)
    covariances : numpy.ndarray, shape (component, dim, dim)
    log_evidence : numpy.ndarray, shape (component,)
        Up to a constant of the data.

    Raises
    ------
    SpecificationError
        When shapes do not agree, a number is negative, or there are events without exposure.
    """
    from scipy.special import softmax

    events, exposure = check_counts(prior.dim, events, exposure, 1)
    precision = np.linalg.inv(prior.covariances)
    theta = _peaks(prior.means, precision, events, exposure)
    curvature = precision + (exposure * np.exp(theta))[:, :, None] * np.eye(prior.dim)
    log_evidence = _log_posterior(theta, prior.means, precision, events, exposure) - 0.5 * (
        np.linalg.slogdet(prior.covariances)[1] + np.linalg.slogdet(curvature)[1]
    )
    covariance = np.linalg.inv(curvature)
    lean = exposure * np.exp(theta) * np.diagonal(covariance, axis1=1, axis2=2)
    means = theta - 0.5 * np.einsum("kij,kj->ki", covariance, lean)
    with np.errstate(divide="ignore"):
        weights = softmax(np.log(prior.weights) + log_evidence)
    return weights, means, covariance, log_evidence


def _log_posterior(
    theta: np.ndarray, mean: np.ndarray, precision: np.ndarray, events: np.ndarray, exposure: np.ndarray
) -> np.ndarray:
    apart = theta - mean
    with np.errstate(over="ignore", invalid="ignore"):
        fit = (events * theta - np.where(exposure > 0, exposure * np.exp(theta), 0.0)).sum(axis=1)
    return fit - 0.5 * np.einsum("ki,kij,kj->k", apart, precision, apart)


def _peaks(mean: np.ndarray, precision: np.ndarray, events: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    """Peak of each component's log posterior, shape (component, dim), by Newton's method with halved steps."""
    theta = np.array(mean)
    height = _log_posterior(theta, mean, precision, events, exposure)
    for _ in range(STEPS):
        expected = exposure * np.exp(theta)
        slope = events - expected - np.einsum("kij,kj->ki", precision, theta - mean)
        step = np.linalg.solve(precision + expected[:, :, None] * np.eye(len(events)), slope[..., None])[..., 0]
        promised = (step * slope).sum(axis=1)
        if np.all(promised <= CLOSE * (1 + np.abs(height))):
            break
        size = np.ones(len(theta))
        for _ in range(60):
            trial = theta + size[:, None] * step
            reached = _log_posterior(trial, mean, precision, events, exposure)
            short = ~(reached >= height - 1e-12 * (1 + np.abs(height)))
            if not short.any():
                break
            size = np.where(short, size / 2, size)
        theta, height = trial, reached
    return theta


def update_many(prior: MultivariateNormalMixture, events: Any, exposure: Any) -> CountUpdates:
    """Posteriors after each of many data sets, by Laplace's approximation; the compiled twin of :func:`laplace`.

    Parameters
    ----------
    prior : MultivariateNormalMixture
    events, exposure : array_like, shape (replicate, dim)

    Raises
    ------
    SpecificationError
        As for :func:`laplace`.
    """
    from scipy.special import softmax

    from smm_bayes.priors.mixtures.counts_kernel import posteriors

    events, exposure = check_counts(prior.dim, events, exposure, 2)
    precision = np.linalg.inv(prior.covariances)
    means, covariances, log_evidence = posteriors(
        np.ascontiguousarray(prior.means), np.ascontiguousarray(precision), np.ascontiguousarray(events),
        np.ascontiguousarray(exposure), STEPS, CLOSE,
    )  # fmt: skip
    log_evidence += 0.5 * np.linalg.slogdet(precision)[1]
    with np.errstate(divide="ignore"):
        weights = softmax(np.log(prior.weights) + log_evidence, axis=1)
    return CountUpdates(prior, weights, means, covariances, log_evidence)
