"""Normal mixtures of vectors: exact identities, and Laplace's approximation after counts with its measured error."""

import time

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax

from smm_bayes.priors.mixtures import GammaMixture, MultivariateNormalMixture, NormalMixture, counts

THREE = MultivariateNormalMixture(
    [0.5, 0.3, 0.2], [[-4, -3.5, -3.8], [-3, -3, -3], [-4, -4, -4.5]],
    np.array([0.3, 0.6, 1.0])[:, None, None] * (0.6 * np.ones((3, 3)) + 0.4 * np.eye(3)), ("0-6", "6-12", "12-"),
)  # fmt: skip


def test_density_and_moments():
    rng = np.random.default_rng(1)
    theta = rng.normal(-4, 1, (5, 2, 3))
    brute = sum(
        w * stats.multivariate_normal(m, s).pdf(theta)
        for w, m, s in zip(THREE.weights, THREE.means, THREE.covariances, strict=True)
    )
    np.testing.assert_allclose(THREE.pdf(theta), brute, rtol=1e-11)
    np.testing.assert_allclose(np.exp(THREE.log_pdf(theta[0, 0])), brute[0, 0], rtol=1e-11)
    draws = THREE.sample(40_000, rng=rng)
    assert np.all(np.abs(draws.mean(axis=0) - THREE.mean) < 4 * THREE.sd / 200)
    np.testing.assert_allclose(np.cov(draws.T), THREE.covariance, rtol=0.05)
    for index, label in enumerate(THREE.labels):
        one = THREE.marginal(label)
        assert one == THREE.marginal(index)
        assert one.mean == pytest.approx(THREE.mean[index])
        assert one.sd == pytest.approx(THREE.sd[index])


def test_of_one_element_it_is_the_normal_mixture():
    one = MultivariateNormalMixture([0.6, 0.4], [[0], [2]], [[[1]], [[4]]])
    same = NormalMixture([0.6, 0.4], [0, 2], [1, 2])
    x = np.linspace(-3, 6, 7)
    np.testing.assert_allclose(one.log_pdf(x[:, None]), same.log_pdf(x), rtol=1e-12)
    after, wanted = one.update([1.5], [[0.09]]), same.update(1.5, 0.3)
    np.testing.assert_allclose(after.weights, wanted.weights, rtol=1e-12)
    np.testing.assert_allclose(after.means[:, 0], wanted.parameters["mean"], rtol=1e-12)
    np.testing.assert_allclose(after.covariances[:, 0, 0], wanted.parameters["sd"] ** 2, rtol=1e-12)


def test_update_with_an_estimate_is_bayes_rule():
    estimate, error = np.array([-3.2, -3.6, -3.0]), np.diag([0.1, 0.2, 0.4]) + 0.02
    after = THREE.update(estimate, error)
    rng = np.random.default_rng(4)
    theta = rng.normal(-3.5, 0.7, (6, 3))
    gap = after.log_pdf(theta) - THREE.log_pdf(theta) - stats.multivariate_normal(estimate, error).logpdf(theta)
    np.testing.assert_allclose(gap, gap[0], atol=1e-9)  # the marginal likelihood, the same everywhere
    twice = THREE.update(estimate, 2 * error).update(estimate, 2 * error)
    np.testing.assert_allclose(twice.weights, after.weights, rtol=1e-9)
    np.testing.assert_allclose(twice.mean, after.mean, rtol=1e-10)
    # an estimate of no interest and one that says all
    np.testing.assert_allclose(THREE.update(estimate, 1e12 * error).covariance, THREE.covariance, rtol=1e-6)
    np.testing.assert_allclose(THREE.update(estimate, 1e-12 * error).mean, estimate, rtol=1e-9)


def test_robust_component():
    found = THREE.robustify(0.2, covariance=4 * np.eye(3))
    np.testing.assert_allclose(found.weights, [*(0.8 * THREE.weights), 0.2])
    np.testing.assert_allclose(found.mean, THREE.mean)
    assert found.labels == THREE.labels


# counts


def exact(prior, events, exposure, points=2001):
    """Weights, means and SDs by summing over a grid around each component; one or two elements."""
    log_evidence, first, second = [], [], []
    for mean, covariance in zip(prior.means, prior.covariances, strict=True):
        sd = np.sqrt(np.diag(covariance))
        low = np.minimum(mean - 9 * sd, np.log((np.array(events) + 0.1) / exposure) - 4)
        high = np.minimum(mean + 9 * sd, np.log((np.array(events) + 40) / exposure) + 1)
        axes = [np.linspace(a, b, points) for a, b in zip(low, np.maximum(high, mean), strict=True)]
        theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        log = stats.multivariate_normal(mean, covariance).logpdf(theta) + (
            events * theta - np.array(exposure) * np.exp(theta)
        ).sum(axis=-1)
        top, cell = log.max(), np.prod([axis[1] - axis[0] for axis in axes])
        share = np.exp(log - top)
        log_evidence.append(top + np.log(share.sum() * cell))
        share = (share / share.sum())[..., None]
        inner = tuple(range(len(axes)))
        first.append((share * theta).sum(axis=inner))
        second.append((share * theta**2).sum(axis=inner))
    weights = softmax(np.log(prior.weights) + log_evidence)
    mean = weights @ np.array(first)
    return weights, mean, np.sqrt(weights @ np.array(second) - mean**2)


ONE = MultivariateNormalMixture([0.7, 0.3], [[-4.0], [-3.0]], [[[0.3**2]], [[1.0]]])
TWO = MultivariateNormalMixture([0.7, 0.3], [[-4.0, -3.5], [-3.0, -3.0]],
                                [[[0.2, 0.1], [0.1, 0.2]], [[1.0, 0.5], [0.5, 1.0]]])  # fmt: skip
LAPLACE = {
    "no event": (ONE, [0], [60.0]), "one event": (ONE, [1], [60.0]), "three events": (ONE, [3], [60.0]),
    "twenty events": (ONE, [20], [300.0]), "200 events": (ONE, [200], [6000.0]),
    "two: none": (TWO, [0, 0], [60.0, 40.0]), "two: one and none": (TWO, [1, 0], [60.0, 40.0]),
    "two: four and two": (TWO, [4, 2], [60.0, 40.0]), "two: thirty and ten": (TWO, [30, 10], [600.0, 300.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", LAPLACE)
def test_laplace_after_counts_against_quadrature(name):
    """Measured: weights within 0.0035, means within 0.005 posterior SDs, SDs within 1.0 %."""
    prior, events, exposure = LAPLACE[name]
    found = prior.update_counts(events, exposure)
    weights, mean, sd = exact(prior, events, exposure, 20_001 if prior.dim == 1 else 1201)
    assert np.abs(found.weights - weights).max() < 0.0045
    assert (np.abs(found.mean - mean) / sd).max() < 0.006
    assert np.abs(found.sd / sd - 1).max() < 0.0125
    # the peak in place of the mean would not do
    peaks = counts._peaks(prior.means, np.linalg.inv(prior.covariances), np.array(events), np.array(exposure))
    if max(events) < 200:
        assert (np.abs(weights @ peaks - mean) / sd).max() > 0.03


def test_laplace_is_poor_where_a_vague_component_meets_no_event():
    """As the docstring says, in numbers."""
    vague = MultivariateNormalMixture([1], [[-3.0]], [[[100.0]]])
    found, (_, mean, sd) = vague.update_counts([0], [100.0]), exact(vague, [0], [100.0], 20_001)
    assert (found.mean[0] - mean[0]) / sd[0] == pytest.approx(-0.45, abs=0.05)
    assert found.sd[0] / sd[0] == pytest.approx(0.73, abs=0.03)


def test_counts_against_the_conjugate_gamma_prior():
    """A gamma hazard's logarithm is nearly normal: mean digamma(shape) - log(rate), variance trigamma(shape)."""
    from scipy.special import digamma, polygamma

    shape, rate, events, exposure = np.array([60.0, 40.0]), np.array([2000.0, 600.0]), 9, 200.0
    gamma = GammaMixture([0.5, 0.5], shape, rate)
    normal = MultivariateNormalMixture([0.5, 0.5], (digamma(shape) - np.log(rate))[:, None], polygamma(1, shape)[:, None, None])
    wanted, found = gamma.update(events, exposure), normal.update_counts([events], [exposure])
    np.testing.assert_allclose(found.weights, wanted.weights, atol=0.01)
    new = wanted.parameters
    np.testing.assert_allclose(found.means[:, 0], digamma(new["shape"]) - np.log(new["rate"]), atol=0.01)
    np.testing.assert_allclose(found.covariances[:, 0, 0], polygamma(1, new["shape"]), rtol=0.07)


def test_nothing_seen_changes_nothing():
    after = THREE.update_counts([0, 0, 0], [0, 0, 0])
    np.testing.assert_allclose(after.weights, THREE.weights, rtol=1e-10)
    np.testing.assert_allclose(after.means, THREE.means, rtol=1e-10)
    np.testing.assert_allclose(after.covariances, THREE.covariances, rtol=1e-10)


def test_peak_is_a_peak_wherever_the_data_are():
    """Far from the prior a full step of Newton's method would overshoot by orders of magnitude."""
    precision = np.linalg.inv(THREE.covariances)
    for events, exposure in (([5000, 0, 3], [1, 1e6, 1e-3]), ([0, 0, 0], [1e9, 1e9, 1e9]), ([1, 1, 1], [1e-9, 1e-9, 1e-9])):
        events, exposure = np.array(events, float), np.array(exposure, float)
        peaks = counts._peaks(THREE.means, precision, events, exposure)
        pull = np.einsum("kij,kj->ki", precision, peaks - THREE.means)
        slope = events - exposure * np.exp(peaks) - pull
        assert np.abs(slope).max() < 1e-6 * (1 + events.max() + np.abs(pull).max())


def test_compiled_twin_and_its_speed():
    rng = np.random.default_rng(8)
    components, dim, replicates = 4, 8, 10_000
    root = 0.2 * rng.normal(size=(components, dim, dim))
    prior = MultivariateNormalMixture([0.6, 0.2, 0.1, 0.1], rng.normal(-4, 0.5, (components, dim)),
                                      root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(dim))  # fmt: skip
    exposure = rng.uniform(0, 300, (replicates, dim))
    exposure[:, 7] = 0
    events = rng.poisson(exposure * np.exp(prior.sample(replicates, rng=rng)))
    prior.update_many(events[:2], exposure[:2])  # compile
    start = time.perf_counter()
    many = prior.update_many(events, exposure)
    assert time.perf_counter() - start < 5
    assert len(many) == replicates
    for index in range(0, replicates, 500):
        one = prior.update_counts(events[index], exposure[index])
        np.testing.assert_allclose(many.weights[index], one.weights, atol=1e-9)
        np.testing.assert_allclose(many.means[index], one.means, atol=1e-8)
        np.testing.assert_allclose(many.covariances[index], one.covariances, atol=1e-9)
        np.testing.assert_allclose(many.mean[index], one.mean, atol=1e-8)
        np.testing.assert_allclose(many.sd[index], one.sd, atol=1e-8)
        np.testing.assert_allclose(many[index].mean, one.mean, atol=1e-8)
    # over data drawn from the prior, posterior means average to the prior's
    noise = many.mean.std(axis=0) / np.sqrt(replicates)
    assert np.all(np.abs(many.mean.mean(axis=0) - prior.mean) < 4 * noise + 0.01 * prior.sd)
    without_evidence = prior.weights @ many.means.mean(axis=0)
    assert np.any(np.abs(without_evidence - prior.mean) > 4 * noise + 0.01 * prior.sd)
