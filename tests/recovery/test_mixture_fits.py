"""EM: the likelihood never falls, mixtures are found again, and the criterion counts components."""

import numpy as np
import pytest
from scipy import stats

from smm_bayes.priors.mixtures import (
    BetaMixture,
    GammaMixture,
    MultivariateNormalMixture,
    NormalMixture,
    divergence,
    em_climb,
    em_families,
    fit_mixture,
    fit_multivariate,
    largest_gap,
)

TRUE = {
    "beta": BetaMixture([0.6, 0.3, 0.1], [40, 8, 1], [60, 20, 1]),
    "gamma": GammaMixture([0.6, 0.4], [20, 4], [400, 20]),
    "normal": NormalMixture([0.7, 0.3], [0, 0], [1, 4]),
}
PLANE = MultivariateNormalMixture([0.6, 0.4], [[0, 0], [3, 1]], [[[1, 0.5], [0.5, 1]], [[1, -0.5], [-0.5, 2]]])


def family(name, draws, whole):
    if name == "normal":
        return em_families.NormalFamily(draws, whole)
    if name == "plane":
        return em_families.MultivariateFamily(draws, whole)
    return {"beta": em_families.BetaFamily, "gamma": em_families.GammaFamily}[name](draws, whole, True)


@pytest.mark.parametrize("name", ["beta", "gamma", "normal", "plane"])
def test_log_likelihood_never_falls(name):
    rng = np.random.default_rng(5)
    draws = (PLANE if name == "plane" else TRUE[name]).sample(400, rng=rng)
    whole = rng.exponential(1, 400)
    fitted = family(name, draws, whole)
    for components in (1, 2, 3, 4):
        for share in em_climb._starts(fitted, whole, components, rng):
            found = em_climb.climb(fitted, whole, share, 120, 0.0)
            rises = np.diff(found.heights)
            assert np.all(rises >= -1e-9 * abs(found.heights[-1]))


@pytest.mark.parametrize("name", TRUE)
def test_points_of_a_quadrature_give_their_mixture_back(name):
    true = TRUE[name]
    points, weights = true.quadrature
    found = fit_mixture(points, name, weights=10_000 * weights)
    assert len(found) == len(true)  # the criterion counts them
    assert divergence(found, true) < 1e-7
    np.testing.assert_allclose(found.weights, true.weights, atol=2e-3)
    for one, other in zip(found.parameters.values(), true.parameters.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.01, atol=1e-6)
    assert divergence(fit_mixture(points, name, weights=weights * 1e4, components=1), true) > 0.01


@pytest.mark.parametrize("name", TRUE)
def test_draws(name):
    draws = TRUE[name].sample(3000, rng=np.random.default_rng(21)).reshape(4, 750)
    found = fit_mixture(draws, name, rng=np.random.default_rng(2))
    assert np.all(np.diff(found.weights) <= 0)
    free = 3 * len(TRUE[name]) - 1
    assert divergence(found, TRUE[name]) < 4 * free / (2 * 3000)  # its expectation is free / 2n
    assert largest_gap(found, draws) < 1.63 / np.sqrt(3000)
    assert fit_mixture(draws, name, rng=np.random.default_rng(2)) == found
    assert found.mean == pytest.approx(draws.mean(), rel=0.02, abs=1e-6)


def test_one_component_is_maximum_likelihood():
    rng = np.random.default_rng(7)
    x = rng.gamma(3.0, 0.1, 500)
    shape, _, scale = stats.gamma.fit(x, floc=0)
    found = fit_mixture(x, "gamma", components=1)
    assert found.parameters["shape"][0] == pytest.approx(shape, rel=1e-6)
    assert found.parameters["rate"][0] == pytest.approx(1 / scale, rel=1e-6)
    x = rng.beta(3.0, 8.0, 500)
    a, b, *_ = stats.beta.fit(x, floc=0, fscale=1)
    found = fit_mixture(x, "beta", components=1)
    assert (found.parameters["a"][0], found.parameters["b"][0]) == pytest.approx((a, b), rel=1e-4)
    found = fit_mixture(x, "normal", components=1)
    assert (found.mean, found.sd) == pytest.approx((x.mean(), x.std()))


def test_bounded_components():
    x = BetaMixture([1], [0.3], [0.4]).sample(1000, rng=np.random.default_rng(9))
    free = fit_mixture(x, "beta", components=1, bounded=False)
    assert free.parameters["a"][0] == pytest.approx(0.3, rel=0.1)
    held = fit_mixture(x, "beta", components=2)
    assert min(held.parameters["a"].min(), held.parameters["b"].min()) >= 1
    assert np.isfinite(held.effective_sample_size("elir"))
    # on the bound it is the maximum there: no step within the bounds is higher
    x = np.random.default_rng(9).beta(0.7, 4, 2000)
    one = fit_mixture(x, "beta", components=1)
    assert one.parameters["a"][0] == 1
    best = one.log_pdf(x).sum()
    b = one.parameters["b"][0]
    for a, c in ((1.01, b), (1.05, b * 1.05), (1, b * 1.02), (1, b * 0.98)):
        assert BetaMixture([1], [a], [c]).log_pdf(x).sum() < best


@pytest.mark.parametrize("name", TRUE)
def test_a_few_equal_draws_are_no_component(name):
    """Without a least width the likelihood of a spike on them would have no bound."""
    draws = TRUE[name].sample(1000, rng=np.random.default_rng(31))
    found = fit_mixture(np.append(draws, [draws[0]] * 3), name)
    assert found.weights.min() > 0.02
    assert divergence(found, TRUE[name]) < 0.02


def test_a_tight_component_beside_a_vague_one():
    true = BetaMixture([0.5, 0.5], [3e4, 1.0], [7e4, 1.0])
    points, weights = true.quadrature
    assert divergence(fit_mixture(points, "beta", weights=5000 * weights), true) < 1e-6
    true = GammaMixture([0.5, 0.5], [1e5, 2.0], [1e6, 20.0])
    points, weights = true.quadrature
    assert divergence(fit_mixture(points, "gamma", weights=5000 * weights), true) < 1e-6


def test_criterion():
    """A weak second part: little data do not pay for it, many do; Akaike's criterion asks for less."""
    true = NormalMixture([0.85, 0.15], [0, 2.5], [1, 0.7])
    points, weights = true.quadrature
    counts = {(n, criterion): len(fit_mixture(points, weights=n * weights, criterion=criterion, largest=3))
              for n in (60, 3000) for criterion in ("bic", "aic")}  # fmt: skip
    assert counts[60, "bic"] == 1
    assert counts[3000, "bic"] == 2
    assert counts[60, "aic"] >= counts[60, "bic"]


def test_vectors():
    draws = PLANE.sample(3000, rng=np.random.default_rng(6))
    found = fit_multivariate(draws.reshape(3, 1000, 2), labels=("early", "late"))
    assert len(found) == 2
    assert found.labels == ("early", "late")
    np.testing.assert_allclose(found.weights, PLANE.weights, atol=4 * 0.012)
    np.testing.assert_allclose(found.means, PLANE.means, atol=0.15)
    np.testing.assert_allclose(found.covariances, PLANE.covariances, atol=0.25)
    np.testing.assert_allclose(found.mean, draws.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(found.covariance, np.cov(draws.T, bias=True), rtol=1e-3)
    one = fit_multivariate(draws, components=1)
    np.testing.assert_allclose(one.covariances[0], np.cov(draws.T, bias=True), rtol=1e-10)
