"""Kernels that judge final analyses and update by counts, against optimisers, quadrature and linear algebra of SciPy."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize

from smm_bayes.borrowing import MultivariateNormalMixture
from smm_bayes.borrowing.mixtures.counts_kernel import _cholesky, _height, _newton, _solve, posteriors
from smm_bayes.design.kernels import log_ranks
from smm_bayes.prediction.final_kernels import hazard_ratios, posterior_below
from smm_bayes.prediction.kernels import log_rank

RNG = np.random.default_rng(12)


def cells(events, exposure):
    return np.array([events], float), np.array([exposure], float)


CELLS = {
    "equal arms": ([[3, 5], [3, 5]], [[40, 60], [40, 60]]),
    "a large effect": ([[30, 20], [2, 1]], [[100, 80], [400, 500]]),
    "a huge effect": ([[400, 300], [1, 0]], [[1, 2], [9000, 8000]]),
    "no event in a cell": ([[4, 0, 2], [6, 0, 1]], [[50, 30, 10], [40, 30, 20]]),
    "one event in a cell": ([[1, 0, 7], [0, 3, 2]], [[5, 30, 10], [40, 3, 20]]),
    "nobody left in an arm's cell": ([[4, 2], [6, 0]], [[50, 30], [40, 0]]),
    "one event each": ([[1], [1]], [[30], [7]]),
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_the_hazard_ratio_is_where_the_score_is_zero(name):
    events, exposure = cells(*CELLS[name])

    def score(beta):
        total, ratio = events[0].sum(axis=0), np.exp(beta) * exposure[0, 1]
        return events[0, 1].sum() - (total * ratio / (exposure[0, 0] + ratio)).sum()

    out = np.empty(1)
    hazard_ratios(events, exposure, out)
    assert out[0] == pytest.approx(brentq(score, -30, 30, xtol=1e-13), abs=1e-9)


def test_the_hazard_ratio_of_every_replicate_where_it_is_finite_and_where_not():
    events = np.array([[[3, 1], [0, 0]], [[0, 0], [2, 1]], [[0, 0], [0, 0]], [[2, 2], [2, 2]], [[1, 0], [0, 0]]], float)
    out = np.empty(5)
    hazard_ratios(events, np.full((5, 2, 2), 10.0), out)
    np.testing.assert_array_equal(out[:3], [-np.inf, np.inf, np.nan])
    assert out[3] == pytest.approx(0, abs=1e-12)
    assert out[4] == -np.inf


LAWS = {  # mean and sd of the log hazard ratio, shape and rate of the baseline
    "vague": (0.0, 2.0, 0.5, 3.0), "sceptical": (0.0, 0.3, 0.01, 0.01), "off centre": (-1.2, 0.8, 2.0, 40.0),
}  # fmt: skip


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", [name for name in CELLS if name != "a huge effect"])
def test_the_posterior_below_a_threshold_is_the_integral(name, law):
    events, exposure = cells(*CELLS[name])
    mean, sd, shape, rate = LAWS[law]

    def log_density(beta):
        held = rate + exposure[0, 0] + np.exp(beta) * exposure[0, 1]
        return (-0.5 * ((beta - mean) / sd) ** 2 + beta * events[0, 1].sum()
                - ((shape + events[0].sum(axis=0)) * np.log(held)).sum())  # fmt: skip

    line = np.linspace(mean - 10 * sd, mean + 10 * sd, 4001)
    heights = np.array([log_density(beta) for beta in line])
    top, peak = heights.max(), line[heights.argmax()]
    held = line[heights > top - 45]
    low, high = held[0], held[-1]

    def mass(start, end):
        if end <= start:
            return 0.0
        inside = [peak] if start < peak < end else None
        return quad(lambda b: np.exp(log_density(b) - top), start, end, points=inside, limit=400, epsabs=0, epsrel=1e-11)[0]

    for threshold in (peak - 1.1, peak - 0.05, peak + 0.02, peak + 0.6, mean + 0.3):
        out = np.empty(1)
        posterior_below(events, exposure, threshold, mean, sd, shape, rate, out)
        below, above = mass(low, min(threshold, high)), mass(max(threshold, low), high)
        assert out[0] == pytest.approx(below / (below + above), abs=1e-7)


def test_a_threshold_beyond_the_posterior_is_certain():
    events, exposure = cells(*CELLS["a large effect"])
    for threshold, certain in ((-60.0, 0.0), (60.0, 1.0), (-12.0, 0.0), (5.0, 1.0)):
        out = np.full(2, np.nan)
        posterior_below(np.repeat(events, 2, 0), np.repeat(exposure, 2, 0), threshold, 0.0, 1.5, 0.5, 1.0, out)
        np.testing.assert_array_equal(out, certain)


def test_the_posterior_of_a_replicate_does_not_depend_on_the_others():
    shapes = [name for name in CELLS if len(CELLS[name][0][0]) == 2]
    events = np.array([CELLS[name][0] for name in shapes], float)
    exposure = np.array([CELLS[name][1] for name in shapes], float)
    together = np.empty(len(shapes))
    posterior_below(events, exposure, -0.4, 0.1, 1.2, 0.5, 1.0, together)
    for row in range(len(shapes)):
        alone = np.empty(1)
        posterior_below(events[row : row + 1], exposure[row : row + 1], -0.4, 0.1, 1.2, 0.5, 1.0, alone)
        assert alone[0] == together[row]
    assert len(set(together.tolist())) > 2


def test_the_log_rank_of_every_trial_is_that_of_the_trial_alone():
    time, event = RNG.exponential(5, (4, 12)), RNG.random((4, 12)) < 0.6
    experimental = np.arange(12) % 2 == 1
    score, variance = log_ranks(time, event, experimental)
    for row in range(4):
        assert (score[row], variance[row]) == log_rank(time[row], event[row], experimental)


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
def test_the_peak_is_where_an_optimiser_finds_it_and_the_posterior_is_laplaces_there(name):
    events, exposure = (np.array(values) for values in COUNTS[name])
    precision, theta, root = np.linalg.inv(COVARIANCE), MEAN.copy(), np.empty((3, 3))
    assert _height(MEAN + 0.3, MEAN, precision, events, exposure) == pytest.approx(density(MEAN + 0.3, events, exposure))
    height = _newton(theta, MEAN, precision, events, exposure, root, np.empty(3), np.empty(3), 200, 1e-13)
    best = minimize(lambda t: -density(t, events, exposure), theta + 0.01, method="Nelder-Mead",
                    options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000})  # fmt: skip
    np.testing.assert_allclose(theta, best.x, atol=2e-5)
    assert height == pytest.approx(-best.fun, abs=1e-8)
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
