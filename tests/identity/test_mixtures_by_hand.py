"""Mixtures of two components, every function against SciPy's distributions, weighted and added up."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures import (
    BetaMixture,
    GammaMixture,
    MultivariateNormalMixture,
    NormalMixture,
    divergence,
    largest_gap,
    sam_weight,
)
from smm_bayes.priors.mixtures.components import check_weights, vector
from smm_bayes.priors.mixtures.effective_sample_size import information

W = np.array([0.35, 0.65])
BETA, GAMMA = BetaMixture(W, [3, 12], [7, 5]), GammaMixture(W, [3, 20], [60, 300])
NORMAL = NormalMixture(W, [-1, 0.5], [0.5, 1.2], sigma=4.0)
EACH = {
    "beta": (BETA, [stats.beta(3, 7), stats.beta(12, 5)], np.linspace(0.02, 0.97, 9)),
    "gamma": (GAMMA, [stats.gamma(3, scale=1 / 60), stats.gamma(20, scale=1 / 300)], np.linspace(0.005, 0.2, 9)),
    "normal": (NORMAL, [stats.norm(-1, 0.5), stats.norm(0.5, 1.2)], np.linspace(-3, 3.5, 9)),
}


def over(parts, function, weights=W):
    return sum(w * function(part) for w, part in zip(weights, parts, strict=True))


def second_derivative(function, x, h):
    return (function(x - h) - 2 * function(x) + function(x + h)) / h**2


@pytest.mark.parametrize("name", EACH)
def test_functions_are_weighted_sums(name):
    prior, parts, points = EACH[name]
    np.testing.assert_allclose(prior.pdf(points), over(parts, lambda d: d.pdf(points)), rtol=1e-11)
    np.testing.assert_allclose(np.exp(prior.log_pdf(points)), prior.pdf(points), rtol=1e-14)
    np.testing.assert_allclose(prior.cdf(points), over(parts, lambda d: d.cdf(points)), rtol=1e-11)
    np.testing.assert_allclose(prior.sf(points), over(parts, lambda d: d.sf(points)), rtol=1e-11)
    for p in (0.0, 1e-6, 0.025, 0.5, 0.8, 1 - 1e-6, 1.0):
        found = prior.quantile(p)
        if p in (0.0, 1.0):
            assert found == prior._range[int(p)]
        else:
            assert over(parts, lambda d, x=found: d.cdf(x)) == pytest.approx(p, rel=1e-9)
    for p in (-1e-9, 1 + 1e-9, np.nan):
        with pytest.raises(SpecificationError, match="within"):
            prior.quantile([0.5, p])
    low, high = prior.interval(0.8)
    assert (prior.cdf(low), prior.sf(high)) == (pytest.approx(0.1, rel=1e-9), pytest.approx(0.1, rel=1e-9))
    assert prior.interval() == prior.interval(0.95)
    assert prior.cdf(prior.median) == pytest.approx(0.5, rel=1e-10)
    mean = over(parts, lambda d: d.mean())
    assert prior.mean == pytest.approx(mean, rel=1e-13)
    assert prior.variance == pytest.approx(over(parts, lambda d: d.var() + (d.mean() - mean) ** 2), rel=1e-12)
    assert prior.sd == pytest.approx(np.sqrt(prior.variance), rel=1e-14)
    for k in range(2):
        np.testing.assert_allclose(prior.shares(points)[:, k], W[k] * parts[k].pdf(points) / prior.pdf(points), rtol=1e-10)
    best = minimize_scalar(lambda x: -prior.log_pdf(x), bounds=(points[0], points[-1]), method="bounded",
                           options={"xatol": 1e-12})  # fmt: skip
    assert prior.log_pdf(prior.mode) >= -best.fun - 1e-12
    np.testing.assert_allclose(
        prior.expect(lambda x: np.stack([x, x**3])), [mean, over(parts, lambda d: d.moment(3))], rtol=1e-10
    )
    nodes, weights = prior.quadrature
    assert weights.sum() == pytest.approx(1, abs=1e-13)
    assert weights @ (nodes > nodes[len(nodes) // 2]) == pytest.approx(prior.sf(nodes[len(nodes) // 2]), abs=0.02)


@pytest.mark.parametrize("name", EACH)
def test_draws_have_moments_and_components_of_the_mixture(name):
    prior, parts, _ = EACH[name]
    size = 20_000
    draws = prior.sample(size, rng=np.random.default_rng(3))
    assert draws.shape == (size,)
    assert stats.kstest(draws, lambda x: over(parts, lambda d: d.cdf(x))).pvalue > 1e-4
    assert largest_gap(prior, draws) == pytest.approx(stats.kstest(draws, prior.cdf).statistic, rel=1e-10)
    assert prior.sample(3, rng=np.random.default_rng(3)).shape == (3,)


@pytest.mark.parametrize("name", EACH)
def test_information_is_minus_the_second_derivative_of_the_log_density(name):
    prior, _, points = EACH[name]
    step = (points[-1] - points[0]) / 4000
    wanted = [-second_derivative(prior.log_pdf, x, step) for x in points[1:-1]]
    np.testing.assert_allclose(information(prior, points[1:-1]), wanted, rtol=2e-3)


PATIENT = {"beta": lambda x: 1 / (x * (1 - x)), "gamma": lambda x: 1 / x, "normal": lambda x: 1 / 16.0}  # information of one
SCORE = {
    "beta": lambda d, x: (d.args[0] - 1) / x - (d.args[1] - 1) / (1 - x),
    "gamma": lambda d, x: (d.args[0] - 1) / x - 1 / d.kwds["scale"],
    "normal": lambda d, x: -(x - d.mean()) / d.var(),
}
ENDS = {"beta": (0, 1), "gamma": (0, 1.5), "normal": (-12, 14)}


@pytest.mark.parametrize("name", EACH)
def test_elir_is_information_over_that_of_one_patient(name):
    """With a score p'/p the information integrates to that of the square; of p'' over a beta's x(1 - x) to 2 more."""
    prior, parts, _ = EACH[name]

    def ratio(x):
        slope = over(parts, lambda d: d.pdf(x) * SCORE[name](d, x))
        return slope**2 / max(prior.pdf(x), 1e-300) / PATIENT[name](x)

    area = quad(ratio, *ENDS[name], limit=400, epsabs=0, epsrel=1e-7)[0]
    assert prior.effective_sample_size("elir") == pytest.approx(area + 2 * (name == "beta"), rel=1e-6)


def test_sizes_of_single_components():
    mean, variance = BETA.mean, BETA.variance
    assert BETA.effective_sample_size("moment") == pytest.approx(mean * (1 - mean) / variance - 1, rel=1e-12)
    assert GAMMA.effective_sample_size("moment") == pytest.approx(GAMMA.mean / GAMMA.variance, rel=1e-12)
    events = GAMMA.effective_sample_size("moment", likelihood="exponential")
    assert events == pytest.approx(GAMMA.mean**2 / GAMMA.variance, rel=1e-12)
    assert NORMAL.effective_sample_size("moment") == pytest.approx(16 / NORMAL.variance, rel=1e-12)
    assert NORMAL.effective_sample_size("moment", sigma=2.0) == pytest.approx(4 / NORMAL.variance, rel=1e-12)
    # a single beta component: E[(a-1)(1-x)/x] = b and E[(b-1)x/(1-x)] = a, but 0 where the factor before is 0
    for a, b in ((4, 7), (1, 5), (3, 1), (1, 1)):
        one = BetaMixture([1], [a], [b])
        assert one.effective_sample_size("elir") == pytest.approx(b * (a > 1) + a * (b > 1), rel=1e-8, abs=1e-9)
        assert one.effective_sample_size("moment") == pytest.approx(a + b, rel=1e-10)
    for shape, rate in ((4, 70), (1, 30), (1.5, 9)):
        one = GammaMixture([1], [shape], [rate])
        assert one.effective_sample_size("elir") == pytest.approx(rate * (shape > 1), rel=1e-8, abs=1e-9)
        found = one.effective_sample_size("elir", likelihood="exponential")
        assert found == pytest.approx(shape - 1, rel=1e-8, abs=1e-9)
        assert one.effective_sample_size("moment", likelihood="exponential") == pytest.approx(shape, rel=1e-10)
        # at the mode (shape - 1) / rate: that of m events and a hundredth, (m + 0.01 - 1), over the same square
        if shape > 1:
            found = one.effective_sample_size("morita", likelihood="exponential")
            assert found == pytest.approx(shape - 0.01, rel=1e-9)
    at = information(GAMMA, GAMMA.mode) * GAMMA.mode**2
    assert GAMMA.effective_sample_size("morita", likelihood="exponential") == pytest.approx(at + 0.99, rel=1e-9)
    one = NormalMixture([1], [2], [0.5], sigma=3)
    for method in ("elir", "moment"):
        assert one.effective_sample_size(method) == pytest.approx(36, rel=1e-9)
    assert one.effective_sample_size("morita") == pytest.approx(36 * (1 - 1 / 100), rel=1e-9)
    with pytest.raises(SpecificationError, match="of 1 or more"):
        BetaMixture(W, [0.99, 2], [2, 2]).effective_sample_size("elir")
    with_weight_0 = BetaMixture([0, 1], [0.5, 4], [0.5, 7])
    assert with_weight_0.effective_sample_size("elir") == pytest.approx(11, rel=1e-8)


LARGE = {"beta": BetaMixture([1], [80], [50]), "gamma": GammaMixture([1], [90], [7]), "normal": NormalMixture([1], [3], [0.4])}


@pytest.mark.parametrize("name", LARGE)
def test_on_the_line_a_component_is_highest_at_its_peak_and_about_as_wide_as_its_standard_deviation(name):
    prior = LARGE[name]
    peak, width = (values[0] for values in prior._peak())
    near = prior._height(np.array([[peak - 1e-4], [peak], [peak + 1e-4]]))[:, 0]
    assert near[1] == 0
    assert near.max() == near[1]
    draws = prior._to_line(prior.quantile((np.arange(500) + 0.5) / 500))
    assert draws.std() == pytest.approx(width, rel=0.02)
    for fall in (0.5, 2.0):  # the height falls as the logarithm of a density
        away = peak + width * np.sqrt(2 * fall)
        assert -prior._height(np.array([[away]]))[0, 0] == pytest.approx(fall, rel=0.2)


def marginal(prior, likelihood, low, high):
    return [quad(lambda x, d=d: d.pdf(x) * likelihood(x), low, high, limit=300, epsabs=0, epsrel=1e-11)[0] for d in prior]


def test_updates_are_bayes_rule_by_integration():
    cases = [
        (BETA.update(6, 9), EACH["beta"], lambda x: x**6 * (1 - x) ** 3, (0, 1)),
        (BETA.update(0, 4), EACH["beta"], lambda x: (1 - x) ** 4, (0, 1)),
        (GAMMA.update(7, 90.0), EACH["gamma"], lambda x: (100 * x) ** 7 * np.exp(-90 * x), (0, 0.6)),
        (GAMMA.update(0, 90.0), EACH["gamma"], lambda x: np.exp(-90 * x), (0, 0.6)),
        (NORMAL.update(1.3, 0.7), EACH["normal"], lambda x: np.exp(-0.5 * ((x - 1.3) / 0.7) ** 2), (-9, 9)),
        (NORMAL.update(1.3, patients=25), EACH["normal"], lambda x: np.exp(-0.5 * ((x - 1.3) / 0.8) ** 2), (-9, 9)),
        (NORMAL.update(1.3, patients=25, sigma=2.0), EACH["normal"], lambda x: np.exp(-0.5 * ((x - 1.3) / 0.4) ** 2), (-9, 9)),
    ]
    for after, (_, parts, points), likelihood, ends in cases:
        evidence = np.array(marginal(parts, likelihood, *ends))
        np.testing.assert_allclose(after.weights, W * evidence / (W @ evidence), rtol=1e-7)
        wanted = over(parts, lambda d, x=points, f=likelihood: d.pdf(x) * f(x)) / (W @ evidence)
        np.testing.assert_allclose(after.pdf(points), wanted, rtol=1e-6, atol=1e-12)
    assert NORMAL.update(1.3, 0.7).sigma == 4.0
    np.testing.assert_allclose(BETA.update_weights(np.log([1.0, 3.0])), W * [1, 3] / (W @ [1, 3]), rtol=1e-13)


@pytest.mark.parametrize(("responders", "patients"), [(-1, 4), (5, 4), (0, np.inf), (np.nan, 3), (-0.5, -0.2)])
def test_data_that_cannot_be_are_refused(responders, patients):
    with pytest.raises(SpecificationError, match="responders"):
        BETA.update(responders, patients)


def test_data_at_the_ends_are_taken_and_beyond_are_refused():
    np.testing.assert_allclose(BETA.update(4, 4).parameters["a"], [7, 16])
    np.testing.assert_allclose(BETA.update(0, 0).weights, W)
    np.testing.assert_allclose(GAMMA.update(0, 0).weights, W)
    for events, exposure in ((-1, 5), (1, 0), (0, -1), (np.inf, 1), (1, np.inf), (np.nan, 1)):
        with pytest.raises(SpecificationError, match="events"):
            GAMMA.update(events, exposure)
    for options in ({}, {"standard_error": 1, "patients": 3}, {"standard_error": 0}, {"standard_error": -1}, {"patients": 0},
                    {"patients": -2}, {"patients": np.inf}, {"standard_error": np.inf}, {"patients": 2, "sigma": 0}):  # fmt: skip
        with pytest.raises(SpecificationError):
            NORMAL.update(1.0, **options)
    for mean in (np.nan, np.inf):
        with pytest.raises(SpecificationError, match="finite"):
            NORMAL.update(mean, 1.0)
    assert NORMAL.standard_error(None, 4, None) == 2.0
    assert NORMAL.standard_error(0.3, None, None) == 0.3
    assert NORMAL.with_sigma(2.0).require_sigma() == 2.0
    assert NORMAL.require_sigma(7) == 7.0
    with pytest.raises(SpecificationError, match="sigma above 0"):
        NormalMixture(W, [0, 1], [1, 1]).require_sigma()


COUNTS = {
    "beta": (BETA.predictive(12), [stats.betabinom(12, 3, 7), stats.betabinom(12, 12, 5)]),
    "gamma": (GAMMA.predictive(40.0), [stats.nbinom(3, 60 / 100), stats.nbinom(20, 300 / 340)]),
    "gamma, many": (GAMMA.predictive(4000.0), [stats.nbinom(3, 60 / 4060), stats.nbinom(20, 300 / 4300)]),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_to_come_are_weighted_sums(name):
    found, parts = COUNTS[name]
    count = np.arange(-1, 14)
    np.testing.assert_allclose(found.pmf(count), over(parts, lambda d: d.pmf(count)), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(found.cdf(count), over(parts, lambda d: d.cdf(count)), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(found.sf(count), over(parts, lambda d: d.sf(count)), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(found.cdf(count + 0.5), found.cdf(count), rtol=1e-12)
    mean = over(parts, lambda d: d.mean())
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert found.sd**2 == pytest.approx(over(parts, lambda d: d.var() + (d.mean() - mean) ** 2), rel=1e-11)
    for p in (0.0, 1e-4, 0.2, 0.5, 0.9, 0.9999):
        at = float(found.quantile(p))
        assert at == int(at) >= 0
        assert over(parts, lambda d, x=at: d.cdf(x)) >= p - 1e-12
        assert at == 0 or over(parts, lambda d, x=at: d.cdf(x - 1)) < p
    assert found.quantile(1.0) == (12 if name == "beta" else np.inf)
    for p in (-0.01, 1.01, np.nan):
        with pytest.raises(SpecificationError, match="within"):
            found.quantile(p)
    support = found.support(1e-6)
    assert support[0] == 0
    np.testing.assert_array_equal(np.diff(support), 1)
    assert over(parts, lambda d: d.sf(support[-1])) <= 1e-6 + 1e-12
    assert support[-1] == (12 if name == "beta" else max(d.isf(1e-6) for d in parts))
    draws = found.sample(4000, rng=np.random.default_rng(1))
    assert draws.shape == (4000,)
    assert abs(draws.mean() - mean) < 4 * found.sd / np.sqrt(4000)
    for k in (0, 2, 5):
        share = found.cdf(k)
        assert abs((draws <= k).mean() - share) < 4 * np.sqrt(share * (1 - share) / 4000) + 1e-9


def test_predictions_of_impossible_numbers_are_refused():
    for patients in (-1, 2.5, np.inf):
        with pytest.raises(SpecificationError, match="whole number"):
            BETA.predictive(patients)
    assert BETA.predictive(0).mean == 0
    for exposure in (0, -1, np.inf):
        with pytest.raises(SpecificationError, match="exposure"):
            GAMMA.predictive(exposure)
    np.testing.assert_allclose(NORMAL.predictive(0.9).parameters["sd"], np.sqrt(np.array([0.25, 1.44]) + 0.81), rtol=1e-13)
    np.testing.assert_array_equal(NORMAL.predictive(patients=4).parameters["mean"], [-1, 0.5])
    assert NORMAL.predictive(patients=4).sigma == 4.0


def test_a_vague_component_is_worth_what_it_says():
    added = BETA.robustify(0.2)
    np.testing.assert_allclose(added.weights, [*0.8 * W, 0.2], rtol=1e-14)
    np.testing.assert_allclose([added.parameters["a"][-1], added.parameters["b"][-1]], [1, 1])
    added = BETA.robustify(0.2, mean=0.3, patients=5)
    np.testing.assert_allclose([added.parameters["a"][-1], added.parameters["b"][-1]], [1.5, 3.5])
    for options in ({}, {"mean": 0.1}, {"patients": 3}, {"likelihood": "exponential"}, {"likelihood": "exponential", "patients": 2}):
        added = GAMMA.robustify(0.1, **options)
        shape, rate = added.parameters["shape"][-1], added.parameters["rate"][-1]
        assert shape / rate == pytest.approx(options.get("mean", GAMMA.mean), rel=1e-12)
        assert (shape if options.get("likelihood") else rate) == pytest.approx(options.get("patients", 1), rel=1e-12)
    added = NORMAL.robustify(0.1)
    assert (added.parameters["mean"][-1], added.parameters["sd"][-1]) == (NORMAL.mean, 4.0)
    added = NORMAL.robustify(0.1, mean=1, sd=9)
    assert (added.parameters["mean"][-1], added.parameters["sd"][-1]) == (1, 9)
    assert BETA.robustify(0.0).weights.tolist() == [*W, 0.0]
    assert BETA.robustify(1.0).weights.tolist() == [0.0, 0.0, 1.0]
    for weight in (-0.01, 1.01):
        with pytest.raises(SpecificationError, match="robust weight"):
            BETA.robustify(weight)
    for options in ({"mean": 0}, {"mean": 1}, {"patients": 0}, {"patients": np.inf}):
        with pytest.raises(SpecificationError):
            BETA.robustify(0.1, **options)
        with pytest.raises(SpecificationError):
            GAMMA.robustify(0.1, **(options if options != {"mean": 1} else {"mean": np.inf}))


def test_the_adaptive_weight_is_the_ratio_of_likelihoods():
    def weight(middle, away, odds=1.0):
        ratio = odds * middle / max(away)
        return ratio / (1 + ratio)

    def binomial(x):
        return x**7 * (1 - x) ** 3 if 0 <= x <= 1 else 0.0

    def poisson(x):
        return x**5 * np.exp(-60 * x) if x >= 0 else 0.0

    m, g, data = BETA.mean, GAMMA.mean, {"responders": 7, "patients": 10}
    assert sam_weight(BETA, difference=0.2, **data) == pytest.approx(weight(binomial(m), [binomial(m + 0.2), binomial(m - 0.2)]))
    assert sam_weight(BETA, ratio=1.4, odds=3, **data) == pytest.approx(
        weight(binomial(m), [binomial(m * 1.4), binomial(m / 1.4)], 3))
    assert sam_weight(BETA, difference=0.5, centre=0.3, **data) == pytest.approx(weight(binomial(0.3), [binomial(0.8), 0.0]))
    events = {"events": 5, "exposure": 60}
    assert sam_weight(GAMMA, ratio=2, **events) == pytest.approx(weight(poisson(g), [poisson(2 * g), poisson(g / 2)]))
    assert sam_weight(GAMMA, difference=0.2, **events) == pytest.approx(weight(poisson(g), [poisson(g + 0.2), 0.0]))
    estimate = {"mean": 0.4, "standard_error": 0.6}
    heights = [np.exp(-0.5 * ((0.4 - x) / 0.6) ** 2) for x in (NORMAL.mean, NORMAL.mean + 1, NORMAL.mean - 1)]
    assert sam_weight(NORMAL, difference=1, **estimate) == pytest.approx(weight(heights[0], heights[1:]))
    assert sam_weight(BETA, difference=0.2, responders=0, patients=0) == pytest.approx(0.5)
    assert sam_weight(GAMMA, ratio=2, events=0, exposure=0) == pytest.approx(0.5)


REFUSED = [
    (BETA, {"difference": 0.1, "responders": 3}), (BETA, {"difference": 0.1, "events": 3, "exposure": 3}),
    (BETA, {"responders": 3, "patients": 5}), (BETA, {"difference": 0.1, "ratio": 2, "responders": 3, "patients": 5}),
    (BETA, {"difference": 0, "responders": 3, "patients": 5}), (BETA, {"difference": np.inf, "responders": 3, "patients": 5}),
    (BETA, {"ratio": 1, "responders": 3, "patients": 5}), (BETA, {"ratio": np.inf, "responders": 3, "patients": 5}),
    (BETA, {"difference": 0.1, "odds": 0, "responders": 3, "patients": 5}),
    (BETA, {"difference": 0.1, "odds": np.inf, "responders": 3, "patients": 5}),
    (BETA, {"difference": 0.1, "centre": 0, "responders": 3, "patients": 5}),
    (BETA, {"difference": 0.1, "centre": 1, "responders": 3, "patients": 5}),
    (BETA, {"difference": 0.9, "centre": 0.5, "responders": 3, "patients": 5}),
    (BETA, {"difference": 0.1, "responders": 6, "patients": 5}), (BETA, {"difference": 0.1, "responders": -1, "patients": 5}),
    (BETA, {"difference": 0.1, "responders": 1, "patients": np.inf}), (GAMMA, {"ratio": 2, "events": 1, "exposure": 0}),
    (GAMMA, {"ratio": 2, "events": -1, "exposure": 2}), (GAMMA, {"ratio": 2, "events": 1, "exposure": -2}),
    (GAMMA, {"ratio": 2, "events": np.inf, "exposure": 2}), (GAMMA, {"ratio": 2, "events": 1, "exposure": np.inf}),
    (NORMAL, {"ratio": 2, "mean": 0, "standard_error": 1}), (NORMAL, {"difference": 2, "mean": np.nan, "standard_error": 1}),
    (NORMAL, {"difference": 2, "mean": 0, "standard_error": 0}), (NORMAL, {"difference": 2, "mean": 0, "standard_error": np.inf}),
    ("no mixture", {"difference": 2, "mean": 0, "standard_error": 1}),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_has_no_adaptive_weight_is_refused(case):
    prior, given = REFUSED[case]
    with pytest.raises(SpecificationError):
        sam_weight(prior, **given)


def test_the_divergence_is_an_integral_over_the_target():
    other = {"beta": BetaMixture([1], [5], [5]), "gamma": GammaMixture([1], [5], [80]), "normal": NormalMixture([1], [0], [2])}
    for name, (prior, _, _) in EACH.items():
        low, high = prior.quantile([1e-13, 1 - 1e-13])
        target = other[name]
        area = quad(lambda x, p=prior, t=target: p.pdf(x) * (p.log_pdf(x) - t.log_pdf(x)), low, high, limit=400, epsrel=1e-7)[0]
        assert divergence(target, prior) == pytest.approx(area, rel=1e-6)
        assert divergence(prior, prior) == pytest.approx(0, abs=1e-12)
    points, weights = BETA.quadrature
    given = (points, 7 * weights, BETA.log_pdf(points))
    assert divergence(other["beta"], given) == pytest.approx(divergence(other["beta"], BETA), rel=1e-9)
    some = (np.array([0.2, 0.5, -3.0]), np.array([1.0, 3.0, 0.0]), np.log([0.4, 0.9, 1.0]))
    wanted = (1 * (np.log(0.4) - BETA.log_pdf(0.2)) + 3 * (np.log(0.9) - BETA.log_pdf(0.5))) / 4
    assert divergence(BETA, some) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(SpecificationError, match="same shape"):
        divergence(BETA, (points, weights[1:], given[2]))
    with pytest.raises(SpecificationError, match="same shape"):
        divergence(BETA, (points, weights, given[2][1:]))


def test_the_largest_gap_is_beside_a_draw():
    draws, weights = np.array([0.4, 0.1, 0.8]), np.array([1.0, 2.0, 5.0])
    gaps = []
    for x in draws:
        below, up_to = weights[draws < x].sum() / 8, weights[draws <= x].sum() / 8
        gaps += [abs(below - BETA.cdf(x)), abs(up_to - BETA.cdf(x))]
    assert largest_gap(BETA, draws, weights) == pytest.approx(max(gaps), rel=1e-12)
    assert largest_gap(BETA, draws) == pytest.approx(stats.kstest(draws, BETA.cdf).statistic, rel=1e-12)
    for bad in ((np.zeros(0), None), (draws, weights[1:])):
        with pytest.raises(SpecificationError, match="need draws"):
            largest_gap(BETA, *bad)


def problems_of(function, *arguments):
    problems = Problems("mixture", SpecificationError)
    return function(*arguments, problems), len(problems)


def test_weights_are_shares_and_numbers_are_numbers():
    for weights in ([], [-0.1, 1.1], [0.5, 0.6], [0.5, 0.499], [1.2]):
        assert problems_of(check_weights, np.array(weights))[1] == 1
    for weights in ([1.0], [0.0, 1.0], [0.5, 0.5 + 5e-7], [0.5, 0.5 - 5e-7]):
        found, count = problems_of(check_weights, np.array(weights))
        assert count == 0
        assert found.sum() == pytest.approx(1, abs=1e-15)
    for values in ("a", [1, None], [[1, 2]], [1, np.nan], [np.inf]):
        assert problems_of(vector, "a", values)[1] == 1
    assert problems_of(vector, "a", 3)[0].tolist() == [3.0]
    with pytest.raises(SpecificationError, match="above 0"):
        GammaMixture([1], [0.0], [1])
    assert len(problems_of(vector, "a", "a")[0]) == 0
    with pytest.raises(SpecificationError, match="one a component"):
        BetaMixture(W, [1, 2, 3], [1, 2])


def test_a_vector_has_a_name_of_its_own_for_every_element():
    for labels in (("a",), ("a", "b", "c"), ("a", "a")):
        with pytest.raises(SpecificationError, match="2 different names"):
            MultivariateNormalMixture([1], [[0, 0]], [np.eye(2)], labels)
    assert MultivariateNormalMixture([1], [[0, 0]], [np.eye(2)]).labels == ("0", "1")
    assert MultivariateNormalMixture([1], [[0, 0]], [np.eye(2)], ("a", "b")).labels == ("a", "b")
