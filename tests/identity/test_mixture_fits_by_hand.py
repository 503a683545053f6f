"""Fits of mixtures: what each step maximises, by slopes that are 0 and by neighbours that are lower."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, logsumexp

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import em_climb, fit_mixture, fit_multivariate
from smm_bayes.priors.mixtures.em_families import (
    BetaFamily,
    GammaFamily,
    MultivariateFamily,
    NormalFamily,
    _beta_parameters,
    _gamma_shape,
)

RNG = np.random.default_rng(7)
SIZE = 60
WHOLE = RNG.exponential(1, SIZE)
SHARE = RNG.dirichlet([1.0, 2.0], SIZE) * WHOLE[:, None]
DRAWS = {"beta": RNG.beta(3, 5, SIZE), "gamma": RNG.gamma(3, 0.1, SIZE), "normal": RNG.normal(1, 2, SIZE),
         "plane": RNG.normal(size=(SIZE, 2)) @ [[1, 0.5], [0, 0.7]] + [1, -2]}  # fmt: skip


def family(name, draws=None, whole=WHOLE, bounded=False):
    draws = DRAWS[name] if draws is None else draws
    if name in ("normal", "plane"):
        return (NormalFamily if name == "normal" else MultivariateFamily)(draws, whole)
    return (BetaFamily if name == "beta" else GammaFamily)(draws, whole, bounded)


def law(name, parameters, k):
    one, two = parameters[0][k], parameters[1][k]
    return {"beta": lambda: stats.beta(one, two), "gamma": lambda: stats.gamma(one, scale=1 / two),
            "normal": lambda: stats.norm(one, two), "plane": lambda: stats.multivariate_normal(one, two)}[name]()  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_densities_are_those_of_the_family(name):
    fitted = family(name)
    parameters = fitted.estimate(SHARE, None)
    for k in range(2):
        density = law(name, parameters, k)
        np.testing.assert_allclose(fitted.log_density(parameters)[:, k], density.logpdf(DRAWS[name]), rtol=1e-9, atol=1e-9)
    assert fitted.each == (5 if name == "plane" else 2)
    assert fitted.line.shape == (SIZE, 2 if name == "plane" else 1)


@pytest.mark.parametrize("name", ["beta", "gamma", "normal"])
def test_an_estimate_is_the_maximum_of_the_weighted_likelihood(name):
    fitted = family(name)
    found = fitted.estimate(SHARE, None)

    def height(parameters):
        return (SHARE * fitted.log_density(parameters)).sum(axis=0)

    best = height(found)
    for one, two in ((1.001, 1), (0.999, 1), (1, 1.001), (1, 0.999), (1.001, 1.001), (0.999, 0.999)):
        assert np.all(height((found[0] * one, found[1] * two)) < best)
    again = fitted.estimate(SHARE, found)  # from where it ended
    np.testing.assert_allclose(again, found, rtol=1e-6)


def test_an_estimate_of_vectors_is_the_weighted_covariance():
    mean, covariance = family("plane").estimate(SHARE, None)
    for k in range(2):
        np.testing.assert_allclose(mean[k], np.average(DRAWS["plane"], axis=0, weights=SHARE[:, k]), rtol=1e-12)
        wanted = np.cov(DRAWS["plane"].T, aweights=SHARE[:, k], bias=True)
        np.testing.assert_allclose(covariance[k], wanted, rtol=1e-10)
    line = family("plane").line
    np.testing.assert_allclose(np.average(line, axis=0, weights=WHOLE), 0, atol=1e-12)
    np.testing.assert_allclose(np.average(line**2, axis=0, weights=WHOLE), 1, rtol=1e-12)


def test_logs_and_logits_are_the_lines():
    np.testing.assert_allclose(family("gamma").line[:, 0], np.log(DRAWS["gamma"]), rtol=1e-13)
    np.testing.assert_allclose(family("beta").line[:, 0], np.log(DRAWS["beta"] / (1 - DRAWS["beta"])), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(family("normal").line[:, 0], DRAWS["normal"])


def test_no_component_is_narrower_than_a_share_of_all_draws():
    spike = np.zeros((SIZE, 1))
    spike[3] = 1.0  # all on one draw, or on two that are next to equal
    for name in DRAWS:
        fitted = family(name)
        parameters = fitted.estimate(spike, None)
        assert np.isfinite(fitted.log_density(parameters)).all(), name
        draws = np.array([law(name, parameters, 0).std() if name != "plane" else parameters[1][0][0, 0] ** 0.5])
        assert draws > 0
    sd = family("normal").estimate(spike, None)[1]
    assert sd[0] == pytest.approx(em_narrowest() * np.sqrt(np.cov(DRAWS["normal"], aweights=WHOLE, bias=True)), rel=1e-9)


def em_narrowest():
    from smm_bayes.priors.mixtures.em_families import NARROWEST

    return NARROWEST


@pytest.mark.parametrize("gap", [1e-7, 1e-3, 0.2, 1.0, 5.0, 40.0])
def test_the_shape_of_a_gamma_solves_its_equation(gap):
    shape = _gamma_shape(np.array([gap]))[0]
    assert np.log(shape) - digamma(shape) == pytest.approx(gap, rel=1e-6)


@pytest.mark.parametrize(("a", "b"), [(3.0, 5.0), (0.2, 0.4), (900.0, 20.0), (0.05, 30.0)])
@pytest.mark.parametrize("start", [(1.0, 1.0), (50.0, 0.1), (1e-3, 1e3)])
def test_parameters_of_a_beta_are_found_from_their_mean_logs(a, b, start):
    g, h = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
    found = _beta_parameters(*(np.array([x]) for x in (g, h, *start)))
    assert (found[0][0], found[1][0]) == (pytest.approx(a, rel=1e-5), pytest.approx(b, rel=1e-5))


@pytest.mark.parametrize("name", ["beta", "gamma"])
def test_on_a_bound_no_step_within_the_bounds_is_higher(name):
    rng = np.random.default_rng(3)
    many = {"beta": [rng.beta(0.5, 4, 200), rng.beta(4, 0.5, 200), rng.beta(0.6, 0.5, 200)], "gamma": [rng.gamma(0.4, 1, 200)]}
    for draws in many[name]:
        whole = np.ones(200)
        fitted = family(name, draws, whole, bounded=True)
        found = fitted.estimate(whole[:, None], None)
        assert found[0][0] >= 1
        assert name == "gamma" or found[1][0] >= 1
        best = fitted.log_density(found).sum()
        for one, two in ((1.01, 1), (1, 1.01), (1, 0.99), (0.99, 1), (1.01, 1.01), (1.02, 0.99), (0.99, 1.02)):
            step = found[0] * one, found[1] * two
            if step[0][0] >= 1 and (name == "gamma" or step[1][0] >= 1):
                assert fitted.log_density(step).sum() < best


@pytest.mark.parametrize("name", DRAWS)
def test_each_step_of_the_climb_is_bayes_rule_and_the_maximum(name):
    fitted, share = family(name), SHARE / WHOLE[:, None]
    found = em_climb.climb(fitted, WHOLE, share, 4, -1.0)
    parameters, heights = None, []
    for _ in range(4):
        counted = share * WHOLE[:, None]
        weights = counted.sum(axis=0) / WHOLE.sum()
        parameters = fitted.estimate(counted, parameters)
        joint = fitted.log_density(parameters) + np.log(weights)
        heights.append(WHOLE @ logsumexp(joint, axis=1))
        share = np.exp(joint - logsumexp(joint, axis=1)[:, None])
    np.testing.assert_allclose(found.heights, heights, rtol=1e-10)
    np.testing.assert_allclose(found.weights, weights, rtol=1e-10)
    for ours, theirs in zip(found.parameters, parameters, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    ended = em_climb.climb(fitted, WHOLE, SHARE / WHOLE[:, None], 400, 0.05).heights
    gains = [em_climb._to_gain(ended[: k + 1]) for k in range(len(ended))]
    assert [gain <= 0.05 for gain in gains] == [False] * (len(ended) - 1) + [True]  # at the first step that is near
    dead = em_climb.climb(fitted, WHOLE, np.c_[np.ones(SIZE), np.zeros(SIZE)], 9, 0.0)
    assert dead.heights == [-np.inf]


@pytest.mark.parametrize("factor", [0.1, 0.5, 0.9])
def test_what_is_left_to_gain_is_the_rest_of_a_geometric_series(factor):
    heights = list(10 - 4 * factor ** np.arange(6))
    assert em_climb._to_gain(heights) == pytest.approx(10 - heights[-1], rel=1e-7)
    assert em_climb._to_gain(heights[:2]) == np.inf
    assert em_climb._to_gain([1.0, 2.0, 4.0]) == np.inf  # rising ever faster
    assert em_climb._to_gain([1.0, 2.0, 3.0]) == np.inf
    assert em_climb._to_gain([1.0, 5.0, 5.0]) == 0.0
    assert em_climb._to_gain([1e6, 2e6, 2e6 + 1e-8]) == 0.0  # less than rounding


@pytest.mark.parametrize("components", [2, 3])
def test_starts_part_the_draws_by_place_by_distance_and_around_some_of_them(components):
    fitted = family("plane")
    found = em_climb._starts(fitted, WHOLE, components, np.random.default_rng(1))
    assert len(found) == 2 + em_climb.RANDOM
    for share in found:
        assert share.shape == (SIZE, components)
        np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-12)
    for share, key in zip(found, (fitted.line[:, 0], (fitted.line**2).sum(axis=1)), strict=False):
        group = share.argmax(axis=1)
        assert set(group) == set(range(components))
        assert np.all(np.diff(group[np.argsort(key)]) >= 0)  # in order of the key
        held = np.array([WHOLE[group == k].sum() for k in range(components)]) / WHOLE.sum()
        assert np.all(np.abs(held - 1 / components) < WHOLE.max() / WHOLE.sum())
        np.testing.assert_allclose(share.max(axis=1), 0.9 + 0.1 / components, rtol=1e-12)
    for share in found[2:]:
        near = share.max(axis=0)
        assert np.all(near > 0.5)  # each has a draw it is around
    ones = em_climb._starts(fitted, WHOLE, 1, RNG)
    assert len(ones) == 1
    np.testing.assert_array_equal(ones[0], np.ones((SIZE, 1)))


@pytest.mark.parametrize("criterion", ["bic", "aic"])
def test_the_criterion_decides_between_numbers_of_components(criterion):
    rng = np.random.default_rng(11)
    draws = np.r_[rng.normal(0, 1, 60), rng.normal(3.2, 1, 30)]
    whole, scores = np.ones(90), {}
    for count in (1, 2, 3):
        one = fit_mixture(draws, "normal", components=count)
        assert len(one) == count
        assert np.all(np.diff(one.weights) <= 0)
        free = 3 * count - 1
        scores[count] = -2 * (whole @ one.log_pdf(draws)) + free * (np.log(90) if criterion == "bic" else 2)
    found = fit_mixture(draws, "normal", criterion=criterion, largest=3)
    assert len(found) == min(scores, key=scores.get)
    assert len(fit_mixture(draws, "normal", criterion=criterion, largest=1)) == 1
    doubled = fit_mixture(draws, "normal", components=2, weights=2 * whole)
    np.testing.assert_allclose(doubled.mean, fit_mixture(draws, "normal", components=2).mean, rtol=1e-4)


def test_weights_count_draws_as_often():
    draws, times = DRAWS["gamma"][:20], np.arange(20) % 3
    weighted = fit_mixture(draws, "gamma", components=1, weights=times)
    repeated = fit_mixture(np.repeat(draws, times), "gamma", components=1)
    np.testing.assert_allclose(list(weighted.parameters.values()), list(repeated.parameters.values()), rtol=1e-6)


GOOD = np.array([0.1, 0.3, 0.4, 0.7, 0.8, 0.85])
REFUSED = {
    "criterion": {"criterion": "dic"}, "no component": {"components": 0}, "half a component": {"components": 1.5},
    "largest": {"largest": 0}, "nan": {"draws": [0.1, np.nan, 0.4, 0.2]}, "infinite": {"draws": [0.1, np.inf, 0.4, 0.2]},
    "weights below 0": {"weights": [1, 1, 1, 1, 1, -0.1]}, "weights all 0": {"weights": np.zeros(6)},
    "fewer weights": {"weights": np.ones(5)}, "infinite weight": {"weights": [1, 1, 1, 1, 1, np.inf]}, "none": {"draws": []},
    "all the same": {"draws": [0.3, 0.3, 0.3, 0.3]}, "the same where they count": {"weights": [1, 0, 0, 0, 0, 0]},
    "family": {"family": "cauchy"}, "0 of a beta": {"draws": [0.0, 0.2, 0.4]}, "1 of a beta": {"draws": [1.0, 0.2, 0.4]},
    "0 of a gamma": {"draws": [0.0, 0.2, 0.4], "family": "gamma"}, "too few": {"draws": [0.1, 0.2]},
    "too few for two": {"draws": GOOD[:5], "components": 2},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_fitted_is_refused(name):
    given = {"draws": GOOD, "family": "beta"} | REFUSED[name]
    with pytest.raises(SpecificationError):
        fit_mixture(given.pop("draws"), given.pop("family"), **given)


def test_what_can_just_be_fitted_is():
    assert len(fit_mixture([0.1, 0.2, 0.4], "beta")) == 1  # three draws for two parameters
    assert len(fit_mixture(GOOD, "beta", components=2)) == 2  # six for five
    assert len(fit_mixture(GOOD, "beta", largest=1)) == 1
    assert len(fit_mixture(GOOD, "beta", weights=[0, 1, 1, 1, 1, 1])) == 1
    assert len(fit_mixture([1.5, 2.0, 4.0], "gamma")) == 1


def test_vectors_that_cannot_be_fitted_are_refused():
    draws = DRAWS["plane"]
    for bad in (draws[:, 0], np.c_[draws, draws.sum(axis=1)], draws[:5], np.zeros((9, 0)), np.full((9, 2), 3.0)):
        with pytest.raises(SpecificationError):
            fit_multivariate(bad, components=1)
    one = fit_multivariate(draws, components=1, labels=("x", "y"), weights=WHOLE)
    np.testing.assert_allclose(one.means[0], np.average(draws, axis=0, weights=WHOLE), rtol=1e-10)
    np.testing.assert_allclose(one.covariances[0], np.cov(draws.T, aweights=WHOLE, bias=True), rtol=1e-8)
    assert one.labels == ("x", "y")
    two = fit_multivariate(draws, components=2)
    assert len(two) == 2
    np.testing.assert_allclose(two.mean, draws.mean(axis=0), rtol=1e-6)
    given = fit_multivariate(draws, components=2, rng=np.random.default_rng(1))  # the same chance as without
    np.testing.assert_array_equal(given.means, two.means)
