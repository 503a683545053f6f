"""Laplace's approximation for many data sets, against linear algebra and the density term by term."""

import numpy as np
import pytest

from smm_bayes.priors.mixtures import MultivariateNormalMixture
from smm_bayes.priors.mixtures.counts_kernel import _cholesky, _height, _newton, _solve, posteriors

RNG = np.random.default_rng(12)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_root_and_the_solution_are_those_of_linear_algebra(size):
    half = RNG.normal(size=(size, size))
    matrix, values = half @ half.T + 0.3 * np.eye(size), RNG.normal(size=size)
    root, solved = matrix.copy(), values.copy()
    _cholesky(root)
    np.testing.assert_allclose(np.tril(root), np.linalg.cholesky(matrix), atol=1e-12)
    _solve(root, solved)
    np.testing.assert_allclose(solved, np.linalg.solve(matrix, values), rtol=1e-9)


MEAN = np.array([-4.0, -3.5, -3.0])
COVARIANCE = np.array([[0.5, 0.2, 0.1], [0.2, 0.6, 0.15], [0.1, 0.15, 0.9]])
COUNTS = {
    "a few": ([4.0, 0.0, 2.0], [60.0, 20.0, 40.0]), "many": ([300.0, 5.0, 90.0], [900.0, 400.0, 30.0]),
    "nothing seen": ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]), "one interval not reached": ([3.0, 1.0, 0.0], [80.0, 20.0, 0.0]),
    "far from the prior": ([900.0, 0.0, 0.0], [1.0, 5000.0, 40.0]),
}  # fmt: skip


def density(theta, events, exposure, mean=MEAN, covariance=COVARIANCE):
    """Log posterior of log hazards up to a constant, term by term."""
    apart = theta - mean
    poisson = sum(d * t - (e * np.exp(t) if e else 0.0) for d, t, e in zip(events, theta, exposure, strict=True))
    return poisson - 0.5 * apart @ np.linalg.solve(covariance, apart)


@pytest.mark.parametrize("name", COUNTS)
def test_the_peak_is_where_the_slope_is_0_and_the_posterior_is_laplaces_there(name):
    events, exposure = (np.array(values) for values in COUNTS[name])
    precision, theta, root = np.linalg.inv(COVARIANCE), MEAN.copy(), np.empty((3, 3))
    assert _height(MEAN + 0.3, MEAN, precision, events, exposure) == pytest.approx(density(MEAN + 0.3, events, exposure))
    height = _newton(theta, MEAN, precision, events, exposure, root, np.empty(3), np.empty(3), 200, 1e-13)
    slope = events - exposure * np.exp(theta) - precision @ (theta - MEAN)
    assert np.abs(slope).max() < 1e-6 * (1 + events.max())  # the density is log-concave: flat is the peak
    assert height == pytest.approx(density(theta, events, exposure), abs=1e-8)
    curvature = precision + np.diag(exposure * np.exp(theta))
    np.testing.assert_allclose(np.tril(root), np.linalg.cholesky(curvature), rtol=1e-6, atol=1e-9)
    means, covariances, evidence = posteriors(
        MEAN[None], precision[None], events[None], exposure[None], 200, 1e-13
    )
    inverse = np.linalg.inv(curvature)
    np.testing.assert_allclose(covariances[0, 0], inverse, rtol=1e-6, atol=1e-12)
    lean = 0.5 * inverse @ (exposure * np.exp(theta) * np.diag(inverse))  # first term from the peak to the mean
    np.testing.assert_allclose(means[0, 0], theta - lean, atol=1e-6)
    assert evidence[0, 0] == pytest.approx(height - 0.5 * np.linalg.slogdet(curvature)[1], abs=1e-8)


@pytest.mark.parametrize("name", [name for name in COUNTS if name != "far from the prior"])
def test_a_step_stops_where_the_next_would_promise_nothing(name):
    """One step from the prior mean is Newton's, halved until it no longer falls; at the peak none is made."""
    events, exposure = (np.array(values) for values in COUNTS[name])
    precision, rooms = np.linalg.inv(COVARIANCE), (np.empty((3, 3)), np.empty(3), np.empty(3))
    start = MEAN.copy()
    reached = _newton(start, MEAN, precision, events, exposure, *rooms, 1, 1e-13)
    slope = events - exposure * np.exp(MEAN)
    full = np.linalg.solve(precision + np.diag(exposure * np.exp(MEAN)), slope)
    share, before = 1.0, density(MEAN, events, exposure)
    while density(MEAN + share * full, events, exposure) < before - 1e-12 * (1 + abs(before)):
        share /= 2
    np.testing.assert_allclose(start, MEAN + share * full, atol=1e-10)
    assert reached == pytest.approx(density(start, events, exposure), abs=1e-8)
    again = start.copy()
    _newton(again, MEAN, precision, events, exposure, *rooms, 50, 1e9)
    np.testing.assert_array_equal(again, start)  # so near that no step is worth it


def test_many_data_sets_and_components_are_one_at_a_time():
    prior = MultivariateNormalMixture(
        [0.6, 0.4], [MEAN, MEAN + 0.8], [COVARIANCE, 0.4 * COVARIANCE + 0.2 * np.eye(3)]
    )
    events, exposure = (np.array([value[k] for value in COUNTS.values()]) for k in (0, 1))
    many = prior.update_many(events, exposure)
    for row in range(len(events)):
        one = prior.update_counts(events[row], exposure[row])
        np.testing.assert_allclose(many.weights[row], one.weights, atol=1e-9)
        np.testing.assert_allclose(many.means[row], one.means, atol=1e-8)
        np.testing.assert_allclose(many.covariances[row], one.covariances, atol=1e-9)
        np.testing.assert_allclose(many.mean[row], one.mean, atol=1e-8)
        np.testing.assert_allclose(many.sd[row], one.sd, atol=1e-8)
        np.testing.assert_allclose(many[row].mean, one.mean, atol=1e-8)
