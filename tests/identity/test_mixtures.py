"""Mixtures of one parameter: Bayes' rule on a grid, sums, integrals and inverses, for parameters of any size."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from smm_bayes.priors.mixtures import BetaMixture, GammaMixture, NormalMixture, divergence, largest_gap, sam_weight
from smm_bayes.priors.mixtures.effective_sample_size import information

EXTREME = {
    "beta of a hundredth": BetaMixture([1], [0.01], [0.01]),
    "beta of a hundredth and more": BetaMixture([0.5, 0.5], [0.01, 3], [0.01, 5]),
    "beta of 100000 beside 1": BetaMixture([0.5, 0.5], [3e4, 0.5], [7e4, 0.5]),
    "beta of weight 0": BetaMixture([1, 0], [3e4, 1], [7e4, 1]),
    "beta near 1": BetaMixture([0.5, 0.5], [5000, 2], [0.5, 3]),
    "uniform": BetaMixture([1], [1], [1]),
    "gamma of a thousandth": GammaMixture([1], [1e-3], [1e-3]),
    "gamma of a thousandth and more": GammaMixture([0.9, 0.1], [20, 1e-3], [400, 1e-3]),
    "gamma of 100000 beside 1": GammaMixture([0.5, 0.5], [1e5, 1], [1e6, 10]),
    "normal narrow and wide": NormalMixture([0.5, 0.5], [0, 1], [1e-3, 100]),
    "normal far apart": NormalMixture([0.5, 0.5], [0, 1e4], [1e-3, 1]),
}
SCIPY = {
    BetaMixture: lambda p: stats.beta(p["a"], p["b"]),
    GammaMixture: lambda p: stats.gamma(p["shape"], scale=1 / p["rate"]),
    NormalMixture: lambda p: stats.norm(p["mean"], p["sd"]),
}
size = st.floats(0.05, 300)
weight = st.floats(0.01, 0.99)


@st.composite
def mixtures(draw):
    w, values = draw(weight), [draw(size) for _ in range(4)]
    kind = draw(st.sampled_from(["beta", "gamma", "normal"]))
    if kind == "beta":
        return BetaMixture([w, 1 - w], values[:2], values[2:])
    if kind == "gamma":
        return GammaMixture([w, 1 - w], values[:2], values[2:])
    return NormalMixture([w, 1 - w], np.array(values[:2]) - 20, np.array(values[2:]) / 10)


@pytest.mark.parametrize("name", EXTREME)
def test_extreme_parameters(name):
    prior = EXTREME[name]
    each = SCIPY[type(prior)](prior.parameters)
    mean = each.mean() @ prior.weights
    assert prior.mean == pytest.approx(mean, rel=1e-12)
    assert prior.variance == pytest.approx((each.var() + (each.mean() - mean) ** 2) @ prior.weights, rel=1e-12)
    # integrals by quadrature against closed forms
    assert prior.expect(np.ones_like) == pytest.approx(1, abs=1e-13)
    assert prior.expect(lambda x: x) == pytest.approx(prior.mean, rel=1e-12)
    assert prior.expect(lambda x: (x - prior.mean) ** 2) == pytest.approx(prior.variance, rel=1e-11)
    # quantiles: the probability is reached there, and not a rounding step before
    for p in (1e-9, 0.025, 0.3, 0.5, 0.9, 0.999):
        q = prior.quantile(p)
        step = max(abs(q) * 1e-12, 1e-300)
        assert prior.cdf(q - step) <= p * (1 + 1e-9) + 1e-15
        assert prior.cdf(q + step) >= p * (1 - 1e-9) - 1e-15
    start, end = prior._range
    assert prior.quantile(0) == start
    assert prior.quantile(1) == end
    low, high = prior.interval()
    assert low <= prior.median <= high
    assert "mean" in repr(prior)


@given(mixtures(), st.lists(st.floats(0, 1), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_distribution_functions(prior, probabilities):
    each = SCIPY[type(prior)](prior.parameters)
    inside = prior.quantile(np.array([0.01, 0.2, 0.5, 0.8, 0.99]))
    np.testing.assert_allclose(prior.pdf(inside), each.pdf(inside[:, None]) @ prior.weights, rtol=1e-9)
    np.testing.assert_allclose(prior.cdf(inside), each.cdf(inside[:, None]) @ prior.weights, rtol=1e-9)
    np.testing.assert_allclose(prior.cdf(inside) + prior.sf(inside), 1, atol=1e-13)
    np.testing.assert_allclose(prior.shares(inside).sum(axis=-1), 1, rtol=1e-12)
    found = prior.quantile(probabilities)
    middle = (np.array(probabilities) > 1e-6) & (np.array(probabilities) < 1 - 1e-6)
    # a density without bound beside 1 leaves rounding steps of probability between neighbouring doubles
    coarse = isinstance(prior, BetaMixture) and prior.parameters["b"].min() < 1
    np.testing.assert_allclose(prior.cdf(found)[middle], np.array(probabilities)[middle], atol=0.2 if coarse else 1e-10)
    assert prior.expect(np.ones_like) == pytest.approx(1, abs=1e-12)
    assert prior.expect(lambda x: x) == pytest.approx(prior.mean, rel=1e-10)


@given(mixtures())
@settings(max_examples=60, deadline=None)
def test_mode_is_the_highest_point(prior):
    grid = prior.quantile(np.linspace(0.001, 0.999, 2001))
    assert prior.log_pdf(prior.mode) >= prior.log_pdf(grid).max() - 1e-9


def test_modes_at_the_ends():
    assert BetaMixture([1], [1], [3]).mode == 0
    assert BetaMixture([1], [3], [1]).mode == 1
    assert BetaMixture([1], [0.5], [0.4]).mode == 1
    assert BetaMixture([1], [0.4], [0.5]).mode == 0
    assert GammaMixture([1], [1], [3]).mode == 0
    assert GammaMixture([0.99, 0.01], [50, 0.9], [50, 1]).mode == 0  # no bound there, however little
    assert BetaMixture([1], [5], [15]).mode == pytest.approx(4 / 18, rel=1e-12)
    assert GammaMixture([1], [5], [15]).mode == pytest.approx(4 / 15, rel=1e-12)


@pytest.mark.parametrize("prior", [BetaMixture([0.3, 0.7], [4, 20], [9, 7]), GammaMixture([0.3, 0.7], [4, 20], [9, 7]),
                                   NormalMixture([0.3, 0.7], [0, 2], [1, 0.3])], ids=lambda m: m.FAMILY)  # fmt: skip
def test_information_is_the_curvature_of_the_log_density(prior):
    for theta in prior.quantile([0.05, 0.3, 0.6, 0.95]):
        step = 1e-3 * prior.sd
        around = prior.log_pdf(theta + step * np.arange(-2, 3))
        numeric = -(-around[0] + 16 * around[1] - 30 * around[2] + 16 * around[3] - around[4]) / (12 * step**2)
        assert information(prior, theta) == pytest.approx(numeric, rel=2e-5, abs=1e-5 * prior.sd**-2)


def on_a_grid(prior, log_likelihood, points=200_001):
    """Posterior mean, variance, a value and the probability of lying below it, by Bayes' rule on a grid."""
    value = np.linspace(*prior.quantile([1e-12, 1 - 1e-12]), points)
    log = prior.log_pdf(value) + log_likelihood(value)
    share = np.exp(log - log.max())
    share[[0, -1]] /= 2
    share /= share.sum()
    mean = share @ value
    at = points // 3
    return mean, share @ (value - mean) ** 2, value[at], share[:at].sum() + share[at] / 2


@pytest.mark.parametrize(("prior", "data", "log_likelihood"), [
    (BetaMixture([0.2, 0.7, 0.1], [8, 10, 1.5], [3, 2, 1.5]), {"responders": 5, "patients": 20},
     lambda x: stats.binom.logpmf(5, 20, x)),
    (GammaMixture([0.6, 0.4], [6, 30], [60, 200]), {"events": 9, "exposure": 70.0},
     lambda x: stats.poisson.logpmf(9, 70 * x)),
    (NormalMixture([0.7, 0.3], [-0.4, 0.1], [0.2, 0.8], sigma=2), {"mean": 0.3, "patients": 50},
     lambda x: stats.norm.logpdf(0.3, x, 2 / np.sqrt(50))),
], ids=["beta", "gamma", "normal"])  # fmt: skip
def test_posterior_is_bayes_rule_on_a_grid(prior, data, log_likelihood):
    after = prior.update(**data)
    mean, variance, value, below = on_a_grid(prior, log_likelihood)
    assert after.mean == pytest.approx(mean, rel=1e-7)
    assert after.variance == pytest.approx(variance, rel=1e-6)
    assert after.cdf(value) == pytest.approx(below, abs=1e-7)
    unweighted = prior._with(prior.weights, after.parameters)  # without the evidence it would be another answer
    assert abs(unweighted.mean - mean) > 100 * abs(after.mean - mean)


@given(mixtures(), st.integers(1, 30), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_two_updates_are_one(prior, n, count):
    if isinstance(prior, BetaMixture):
        count = min(count, n)
        twice = prior.update(count, n).update(1, 4)
        once = prior.update(count + 1, n + 4)
    elif isinstance(prior, GammaMixture):
        twice, once = prior.update(count, n).update(3, 2.5), prior.update(count + 3, n + 2.5)
    else:
        twice = prior.update(1.0, 0.5).update(2.0, 0.5)
        once = prior.update(1.5, np.sqrt(0.125))
    np.testing.assert_allclose(twice.weights, once.weights, atol=1e-10)
    for name, values in once.parameters.items():
        np.testing.assert_allclose(twice.parameters[name], values, rtol=1e-12)


@pytest.mark.parametrize("prior", [BetaMixture([0.3, 0.6, 0.1], [0.4, 12, 3000], [2, 5, 7000]),
                                   BetaMixture([1, 0], [2, 5], [3, 7])], ids=["three", "weight 0"])  # fmt: skip
def test_predictive_of_responders(prior):
    found = prior.predictive(25)
    count = np.arange(26)
    pmf = found.pmf(count)
    assert pmf.sum() == pytest.approx(1, abs=1e-11)
    np.testing.assert_allclose(pmf, prior.expect(lambda x: stats.binom.pmf(count[:, None], 25, x)), rtol=1e-9)
    np.testing.assert_allclose(found.cdf(count), np.cumsum(pmf), rtol=1e-12)
    np.testing.assert_allclose(found.sf(count), pmf[::-1].cumsum()[::-1] - pmf, atol=1e-12)
    assert found.cdf(-1) == 0
    assert found.sf(25) == 0
    assert found.mean == pytest.approx(count @ pmf)
    assert found.sd == pytest.approx(np.sqrt((count - found.mean) ** 2 @ pmf))
    for p in (0, 1e-6, 0.3, 0.5, 0.99, 1):
        q = found.quantile(p)
        assert 0 <= q <= 25
        assert found.cdf(q) >= p - 1e-12
        assert q == 0 or found.cdf(q - 1) < p


def test_predictive_of_events():
    prior = GammaMixture([0.5, 0.3, 0.2], [0.2, 9, 4000], [1, 100, 50000])
    found = prior.predictive(60.0)
    count = found.support()
    pmf = found.pmf(count)
    assert pmf.sum() == pytest.approx(1, abs=1e-11)
    few = np.arange(30)
    np.testing.assert_allclose(found.pmf(few), prior.expect(lambda x: stats.poisson.pmf(few[:, None], 60 * x)), rtol=1e-9)
    np.testing.assert_allclose(found.cdf(few) + found.sf(few), 1, atol=1e-13)
    assert found.mean == pytest.approx(60 * prior.mean)
    assert found.sd**2 == pytest.approx(60 * prior.mean + 60**2 * prior.variance)
    for p in (0, 0.1, 0.5, 0.999):
        q = found.quantile(p)
        assert found.cdf(q) >= p
        assert q == 0 or found.cdf(q - 1) < p
    assert found.quantile(1) == np.inf
    draws = found.sample(20_000, rng=np.random.default_rng(3))
    assert abs(draws.mean() - found.mean) < 4 * found.sd / np.sqrt(20_000)


def test_predictive_of_an_estimate():
    prior = NormalMixture([0.4, 0.6], [0, 3], [1, 2], sigma=4)
    found = prior.predictive(patients=16)
    for x in (-2.0, 0.5, 4.0):
        assert found.pdf(x) == pytest.approx(prior.expect(lambda t, x=x: stats.norm.pdf(x, t, 1.0)), rel=1e-10)


@pytest.mark.parametrize("name", ["beta", "gamma", "normal"])
def test_samples_have_the_distribution(name):
    prior = {"beta": BetaMixture([0.3, 0.7], [0.5, 20], [2, 9]), "gamma": GammaMixture([0.3, 0.7], [0.5, 20], [2, 9]),
             "normal": NormalMixture([0.3, 0.7], [-1, 2], [0.3, 2])}[name]  # fmt: skip
    draws = prior.sample(20_000, rng=np.random.default_rng(11))
    limit = 1.63 / np.sqrt(20_000)  # Kolmogorov's, at 1 %
    assert largest_gap(prior, draws) < limit
    assert largest_gap(prior.robustify(0.1, **({"sd": 3} if name == "normal" else {})), draws) > limit


# effective sample sizes

BINOMIAL = BetaMixture([0.3, 0.7], [2.5, 20], [9, 6])
POISSON = GammaMixture([0.3, 0.7], [2.5, 20], [9, 30])
NORMAL = NormalMixture([0.3, 0.7], [-1, 0.5], [0.7, 0.2], sigma=2)


def expected_size(prior, n, method):
    """Effective sample size expected after n patients to come, exactly: summed over all data or by quadrature."""
    if isinstance(prior, BetaMixture):
        probability = prior.predictive(n).pmf(np.arange(n + 1))
        return sum(p * prior.update(y, n).effective_sample_size(method) for y, p in enumerate(probability))
    if isinstance(prior, GammaMixture):
        predictive = prior.predictive(n)
        count = predictive.support(1e-10)
        return sum(p * prior.update(y, n).effective_sample_size(method)
                   for y, p in zip(count, predictive.pmf(count), strict=True))  # fmt: skip
    value, p = prior.predictive(patients=n).quadrature
    keep = p > 1e-12
    return sum(q * prior.update(x, patients=n).effective_sample_size(method)
               for x, q in zip(value[keep], p[keep], strict=True))  # fmt: skip


@pytest.mark.parametrize("prior", [BINOMIAL, POISSON, NORMAL], ids=["binomial", "poisson", "normal"])
def test_elir_alone_counts_patients_consistently(prior):
    n = 12
    assert expected_size(prior, n, "elir") == pytest.approx(prior.effective_sample_size("elir") + n, rel=1e-7)
    for method in ("moment", "morita"):
        gap = expected_size(prior, n, method) - prior.effective_sample_size(method) - n
        assert abs(gap) > 0.5, method


def test_elir_of_exponential_times_counts_events_consistently():
    """After n events the exposure has a gamma distribution given the hazard."""
    prior, n = POISSON, 5
    hazard, p = prior.quadrature
    keep = p > 1e-9
    exposure, q = np.polynomial.laguerre.laggauss(60)  # exposure times hazard is gamma (n, 1)
    share = q * exposure ** (n - 1) / 24
    before = prior.effective_sample_size("elir", likelihood="exponential")
    # given the exposure alone the hazards' quadrature can be thinned: the size is a smooth function of log exposure
    log = np.linspace(np.log(1e-3), np.log(1e5), 600)
    sizes = [prior.update(n, t).effective_sample_size("elir", likelihood="exponential") for t in np.exp(log)]
    size = np.interp(np.log(exposure[:, None] / hazard[keep]), log, sizes)
    assert share @ size @ p[keep] == pytest.approx(before + n, rel=1e-4)


@pytest.mark.parametrize("excess", [1e-4, 0.01, 0.3, 2, 1e5])
def test_elir_of_one_component_is_exact_however_near_to_1_its_parameters_are(excess):
    beta, gamma = BetaMixture([1], [1 + excess], [2 + excess]), GammaMixture([1], [1 + excess], [7])
    assert beta.effective_sample_size() == pytest.approx(3 + 2 * excess, rel=1e-11)
    assert gamma.effective_sample_size() == pytest.approx(7, rel=1e-9)
    assert gamma.effective_sample_size(likelihood="exponential") == pytest.approx(excess, rel=1e-7)
    assert NormalMixture([1], [3], [0.2], sigma=1 + excess).effective_sample_size() == pytest.approx(25 * (1 + excess) ** 2)


@pytest.mark.parametrize("prior", [BetaMixture([0.9, 0.1], [20, 1], [5, 1]), BetaMixture([0.5, 0.5], [1, 1.5], [1, 2.5]),
                                   BetaMixture([0.2, 0.5, 0.3], [2, 8, 30], [1.8, 4, 10])], ids=str)  # fmt: skip
def test_elir_is_the_plain_integral(prior):
    def integrand(x):
        return float(information(prior, x) * x * (1 - x) * prior.pdf(x))

    cuts = [1e-12, 1e-8, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1 - 1e-4, 1 - 1e-8]
    pieces = [integrate.quad(integrand, *ends, epsabs=1e-12, epsrel=1e-11)[0] for ends in pairwise(cuts)]
    assert prior.effective_sample_size() == pytest.approx(sum(pieces), rel=1e-6)


@pytest.mark.parametrize("prior", [BINOMIAL, POISSON, NORMAL], ids=["binomial", "poisson", "normal"])
def test_sizes_of_one_component_agree(prior):
    """Of a conjugate prior: a + b patients, rate units of exposure, sigma^2/sd^2 observations."""
    index = 1
    single = type(prior)([1], *(values[[index]] for values in prior.parameters.values()))
    single = single.with_sigma(2) if isinstance(single, NormalMixture) else single
    wanted = {BetaMixture: 26, GammaMixture: 30, NormalMixture: 100}[type(prior)]
    assert single.effective_sample_size("elir") == pytest.approx(wanted, rel=1e-10)
    assert single.effective_sample_size("moment") == pytest.approx(wanted, rel=1e-10)
    assert single.effective_sample_size("morita") == pytest.approx(wanted, rel=0.02)  # less 1/100 of what it compares with


def test_morita_does_not_mind_a_component_of_weight_0():
    wide = NormalMixture([1, 0], [0, 0], [1, 1e6], sigma=2)
    assert wide.effective_sample_size("morita") == NormalMixture([1], [0], [1], sigma=2).effective_sample_size("morita")


# how far from one another, and weights that adapt

def test_divergence():
    one, other = NormalMixture([1], [0], [1]), NormalMixture([1], [0.5], [2])
    closed = np.log(2) + (1 + 0.25) / 8 - 0.5
    assert divergence(other, one) == pytest.approx(closed, rel=1e-12)
    assert divergence(one, one) == pytest.approx(0, abs=1e-15)
    points, weights = one.quadrature
    assert divergence(other, (points, 7 * weights, one.log_pdf(points))) == pytest.approx(closed, rel=1e-12)
    beta = BetaMixture([0.4, 0.6], [3, 30], [5, 20])
    other = BetaMixture([1], [5], [5])
    grid = (np.arange(200_000) + 0.5) / 200_000
    brute = np.mean(beta.pdf(grid) * (beta.log_pdf(grid) - other.log_pdf(grid)))
    assert divergence(other, beta) == pytest.approx(brute, rel=1e-8)


def test_adaptive_weight_moves_from_trust_to_none():
    prior = BetaMixture([0.5, 0.5], [40, 45], [60, 55])
    weights = [sam_weight(prior, difference=0.15, responders=y, patients=60) for y in range(61)]
    best = int(np.argmax(weights))
    assert abs(best / 60 - prior.mean) < 1 / 60
    assert np.all(np.diff(weights[: best + 1]) > 0)
    assert np.all(np.diff(weights[best:]) < 0)
    assert weights[best] > 0.9
    assert weights[0] < 1e-3
    assert weights[-1] < 1e-3
    robust = prior.robustify(1 - weights[best])
    np.testing.assert_allclose(robust.weights, [weights[best] / 2, weights[best] / 2, 1 - weights[best]])


def test_adaptive_weight_counts_an_alternative_outside_the_range_as_impossible():
    prior = BetaMixture([1], [2], [18])  # 0.1 less 0.2 is no rate: the other side decides
    likelihood = stats.binom.pmf(1, 20, [0.1, 0.3])
    ratio = likelihood[0] / likelihood[1]
    assert sam_weight(prior, difference=0.2, responders=1, patients=20) == pytest.approx(ratio / (1 + ratio))
    hazard = GammaMixture([1], [10], [200])
    likelihood = stats.poisson.pmf(9, 150 * 0.05 * np.array([1, 1.5, 1 / 1.5]))
    ratio = likelihood[0] / likelihood[1:].max()
    assert sam_weight(hazard, ratio=1.5, events=9, exposure=150) == pytest.approx(ratio / (1 + ratio))
    assert sam_weight(NormalMixture([1], [0], [1]), difference=1, mean=1e3, standard_error=1e-3) == 0


@pytest.mark.parametrize(("likelihood", "events"), [("poisson", 0.4 * 3), ("exponential", 3.0)])
def test_vague_component_of_a_rate_is_worth_what_it_says(likelihood, events):
    """Worth 3 units: 3 of exposure with a mean of 0.4 events each, or, of exponential times, 3 events."""
    robust = GammaMixture([1.0], [20.0], [50.0]).robustify(0.25, patients=3, likelihood=likelihood)
    vague = GammaMixture([1.0], *(robust.parameters[name][-1:] for name in ("shape", "rate")))
    assert robust.weights.tolist() == [0.75, 0.25]
    assert vague.mean == pytest.approx(0.4, rel=1e-12)
    # an exponential time's information is one event: a Gamma prior of shape a is worth a events, whatever its rate
    assert vague.parameters["shape"][0] == pytest.approx(events, rel=1e-12)
    assert vague.parameters["rate"][0] == pytest.approx(events / 0.4, rel=1e-12)
