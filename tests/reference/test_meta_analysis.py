"""Meta-analyses against numbers of other software, and against integration by brute force on plain grids."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline
from scipy.optimize import brentq
from scipy.special import expit, logit, xlogy
from scipy.stats import norm

from smm_bayes.borrowing import HalfCauchy, HalfNormal, Normal, exchangeable_nonexchangeable, meta_analytic_predictive

KNOWN = json.loads((Path(__file__).parent / "borrowing_meta.json").read_text())
SD = np.concatenate([np.arange(0, 1.5, 0.02), np.arange(1.5, 3, 0.05), np.arange(3, 8.1, 0.25)])
MEAN = np.linspace(-12, 11, 401)
THETA = np.arange(-35, 27, 0.05)
Z, WEIGHT = np.polynomial.hermite_e.hermegauss(60)
WEIGHT = WEIGHT / WEIGHT.sum()


@pytest.fixture(scope="module")
def known():
    return meta_analytic_predictive(responders=KNOWN["responders"], patients=KNOWN["patients"])


def marginal_likelihoods(likelihood, sd, *factors):
    """Likelihood of each trial (trial, mean): sums over a fine grid, or Hermite's rule where the SD is small.

    The same times each factor of the parameter follows.
    """
    if sd < 0.15:
        theta = MEAN[:, None] + sd * Z
        rows = likelihood(theta)
        return [rows @ WEIGHT, *((rows * factor(theta)) @ WEIGHT for factor in factors)]
    kernel = np.exp(-0.5 * ((THETA[:, None] - MEAN) / sd) ** 2) * ((THETA[1] - THETA[0]) / (sd * np.sqrt(2 * np.pi)))
    rows = likelihood(THETA)
    return [rows @ kernel, *((rows * factor(THETA)) @ kernel for factor in factors)]


def integral(values):
    """Integrate over the grid of SDs, as a function of the upper end."""
    return make_interp_spline(SD, values, k=5).antiderivative()


def test_other_software(known):
    """Within 1e-5, what the grid of the other software is good to (2.5e-5 for the SD between trials)."""
    new = KNOWN["new_trial"]
    assert known.mean == pytest.approx(new["mean"], abs=2e-6)
    assert known.sd == pytest.approx(new["sd"], abs=4e-6)
    for p, value in new["quantiles"].items():
        assert known.quantile(float(p)) == pytest.approx(value, abs=1.3e-5)
    for ours, name, error in ((known.between_trial_sd, "between_trial_sd", 2.5e-5),
                              (known.population_mean, "population_mean", 5e-6)):  # fmt: skip
        assert ours.mean == pytest.approx(KNOWN[name]["mean"], abs=error)
        assert ours.sd == pytest.approx(KNOWN[name]["sd"], abs=error)


@pytest.mark.parametrize("case", ["known", "sparse", "poisson"])
def test_brute_force_agrees_to_six_digits(case):
    """Plain grids of mean and SD, with no idea of where the posterior is."""
    r, n = (np.array(column, float) for column in {
        "known": (KNOWN["responders"], KNOWN["patients"]), "sparse": ([0, 0, 3, 10], [20, 15, 30, 10]),
        "poisson": ([0, 3, 10, 55], [10, 30, 20, 100]),
    }[case])  # fmt: skip
    if case == "poisson":
        ours, scale = meta_analytic_predictive(events=r, exposure=n, sd_prior=HalfNormal(0.45)), 0.45
        line, law = np.log, lambda theta: _poisson(theta, r, n)
    else:
        ours, scale = meta_analytic_predictive(responders=r, patients=n), 1.0
        line, law = logit, lambda theta: _binomial(theta, r, n)
    at = {p: float(line(ours.quantile(p))) for p in (0.025, 0.5, 0.975)}
    share = norm.pdf(np.linspace(-8, 8, 129)) / 8.0
    sums = []
    for sd in SD:
        whole = norm.pdf(MEAN, 0, 2) * marginal_likelihoods(law, sd)[0].prod(axis=0)
        below = make_interp_spline(MEAN, whole, k=5).antiderivative()
        step = MEAN[1] - MEAN[0]
        tails = [WEIGHT @ below(cut - sd * Z) if sd < 0.15 else whole @ norm.cdf((cut - MEAN) / sd) * step
                 for cut in at.values()]  # fmt: skip
        theta = MEAN[:, None] + sd * np.linspace(-8, 8, 129)
        response = np.exp(MEAN + sd**2 / 2) if case == "poisson" else expit(theta) @ share
        sums.append([whole @ each * step for each in (np.ones_like(MEAN), MEAN, MEAN**2, response)] + tails)
    sums = np.array(sums).T * np.exp(-((SD / scale) ** 2) / 2)
    sums /= sums[0].max()
    total = integral(sums[0])
    mass = total(SD[-1])
    expected = [integral(row)(SD[-1]) / mass for row in (*sums[1:], sums[0] * SD, sums[0] * SD**2)]
    middle, square, response, *tails, mean_sd, square_sd = expected
    assert ours.between_trial_sd.mean == pytest.approx(mean_sd, rel=1e-6)
    assert ours.between_trial_sd.sd == pytest.approx(np.sqrt(square_sd - mean_sd**2), rel=2e-6)
    for p, found in zip(at, tails, strict=True):
        exact = brentq(lambda sd, p=p: total(sd) / mass - p, 0, SD[-1])
        assert ours.between_trial_sd.quantile(p) == pytest.approx(exact, rel=5e-6)
        assert found == pytest.approx(p, abs=1e-6)
    assert ours.population_mean.mean == pytest.approx(middle, abs=2e-6)
    assert ours.population_mean.sd == pytest.approx(np.sqrt(square - middle**2), rel=3e-6)
    assert ours.mean == pytest.approx(response, rel=2e-6)


def _binomial(theta, r, n):
    """Likelihood of the log odds, 1 at its highest."""
    r, n = (values.reshape(-1, *(1,) * theta.ndim) for values in (r, n))
    return np.exp(r * theta - n * np.logaddexp(0, theta) - xlogy(r, r / n) - xlogy(n - r, 1 - r / n))


def _poisson(theta, d, e):
    """Likelihood of the log rate, 1 at its highest."""
    d, e = (values.reshape(-1, *(1,) * theta.ndim) for values in (d, e))
    return np.exp(d * theta - e * np.exp(np.minimum(theta, 50)) - xlogy(d, d / e) + d)


def test_normal_estimates_against_one_integral():
    """With normal estimates only the SD is left to integrate over: by adaptive quadrature of closed forms."""
    from scipy.integrate import quad

    y, s = np.array([-51.0, -49, -36, -47, -90, -54]), 88 / np.sqrt([74, 166, 328, 20, 25, 58])
    ours = meta_analytic_predictive(
        estimates=y, standard_errors=s, mean_prior=Normal(0, 88), sd_prior=HalfNormal(44)
    )

    def parts(sd):
        weight = 1 / (s**2 + sd**2)
        precision = weight.sum() + 88**-2
        mean = (weight @ y) / precision
        height = 0.5 * np.log(weight).sum() - 0.5 * (weight @ y**2 - precision * mean**2) - 0.5 * np.log(precision)
        return np.exp(height - 0.5 * (sd / 44) ** 2 + 40), mean, precision**-1 + sd**2

    def expect(function):
        ends = [0, 5, 15, 40, 100, 300]
        return sum(quad(lambda sd: function(*parts(sd), sd) * parts(sd)[0], a, b, epsrel=1e-12, epsabs=0, limit=200)[0]
                   for a, b in pairwise(ends))  # fmt: skip

    whole = expect(lambda w, m, v, sd: 1.0)
    mean = expect(lambda w, m, v, sd: m) / whole
    variance = expect(lambda w, m, v, sd: v + m**2) / whole - mean**2
    assert ours.mean == pytest.approx(mean, rel=1e-7)
    assert ours.sd == pytest.approx(np.sqrt(variance), rel=1e-7)
    assert ours.between_trial_sd.mean == pytest.approx(expect(lambda w, m, v, sd: sd) / whole, rel=1e-7)
    for p in (0.025, 0.25, 0.5, 0.975):
        at = float(ours.quantile(p))
        assert expect(lambda w, m, v, sd, at=at: norm.cdf(at, m, np.sqrt(v))) / whole == pytest.approx(p, abs=1e-7)


def test_a_narrow_peak_of_little_mass_is_seen():
    """Two precise estimates that disagree, a heavy-tailed SD: small SDs put a thin peak where tables are wide."""
    from scipy.integrate import quad

    y, s, scale, prior = np.array([0.827489, 0.384198]), np.array([0.022243, 0.094255]), 0.637, Normal(-0.215, 1.257)
    ours = meta_analytic_predictive(estimates=y, standard_errors=s, sd_prior=HalfCauchy(scale), mean_prior=prior)

    def parts(sd):
        weight = 1 / (s**2 + sd**2)
        precision = weight.sum() + prior.sd**-2
        mean = (weight @ y + prior.mean * prior.sd**-2) / precision
        height = 0.5 * np.log(weight).sum() - 0.5 * (weight @ y**2 - precision * mean**2) - 0.5 * np.log(precision)
        return np.exp(height) / (1 + (sd / scale) ** 2), mean, np.sqrt(1 / precision + sd**2)

    def expect(function):
        ends = [0, *10.0 ** np.arange(-3, 7, 0.5)]
        return sum(quad(lambda sd: function(*parts(sd)[1:]) * parts(sd)[0], a, b, epsrel=1e-11, epsabs=0, limit=200)[0]
                   for a, b in pairwise(ends))  # fmt: skip

    whole = expect(lambda mean, width: 1.0)
    for p in (0.025, 0.1, 0.5, 0.9, 0.975):
        at = float(ours.quantile(p))
        assert expect(lambda mean, width, at=at: norm.cdf(at, mean, width)) / whole == pytest.approx(p, abs=1e-7)


def test_exnex_against_brute_force():
    """Cohorts one of which is far off: rates and exchangeability from sums over a plain grid."""
    r, n = np.array([2.0, 1, 9, 3]), np.array([14.0, 10, 15, 12])
    mean_prior, own = Normal.unit_information(0.2), Normal.unit_information(0.3)
    probability = [0.9, 0.2, 0.5, 0.7]
    ours = exchangeable_nonexchangeable(r, n, probability=probability, mean_prior=mean_prior, own_prior=own)
    chance = np.array(probability)
    def law(theta):
        return _binomial(theta, r, n)

    rows, density = law(THETA), norm.pdf(THETA, own.mean, own.sd) * (THETA[1] - THETA[0])
    alone, alone_rate = rows @ density, rows @ (density * expit(THETA))
    sums = []
    for sd in SD:
        together, together_rate = marginal_likelihoods(law, sd, expit)
        mixed = chance[:, None] * together + (1 - chance[:, None]) * alone[:, None]
        whole = norm.pdf(MEAN, mean_prior.mean, mean_prior.sd) * np.exp(-(sd**2) / 2) * mixed.prod(axis=0)
        rate = chance[:, None] * together_rate + (1 - chance[:, None]) * alone_rate[:, None]
        members = (whole * chance[:, None] * together / mixed).sum(axis=1)
        sums.append([whole.sum(), *members, *(whole * rate / mixed).sum(axis=1)])
    total, *each = (integral(row)(SD[-1]) for row in np.array(sums).T)
    members, rates = np.array(each[:4]), np.array(each[4:])
    np.testing.assert_allclose([c.exchangeable for c in ours.cohorts], members / total, atol=2e-6)
    np.testing.assert_allclose([c.mean for c in ours.cohorts], rates / total, atol=2e-6)


def test_two_exchangeable_distributions_against_weighted_prior_draws():
    """Draws of both means and SDs from the prior, weighted by the likelihood: within 4 Monte Carlo errors."""
    r, n = np.array([2.0, 1, 9, 12]), np.array([14.0, 10, 15, 16])
    means, sds, own = (Normal(-1.5, 1), Normal(0.8, 1)), (HalfNormal(0.5), HalfNormal(1)), Normal(0, 1.5)
    chance = np.array([0.35, 0.45, 0.2])
    ours, swapped = (exchangeable_nonexchangeable(
        r, n, probability=p, mean_prior=means, sd_prior=sds, own_prior=own).cohorts for p in ([0.35, 0.45], [0.45, 0.35])
    )  # fmt: skip
    rng, size = np.random.default_rng(1), 100_000
    z, weight = Z[10:-10], WEIGHT[10:-10]
    theta = [prior.sample(size, rng=rng)[:, None] + sd.sample(size, rng=rng)[:, None] * z
             for prior, sd in zip(means, sds, strict=True)]  # fmt: skip
    parts = [*theta, (own.mean + own.sd * z)[None]]
    found = [[row @ weight for row in _binomial(part, r, n)] for part in parts]
    rates = [[(row * expit(part)) @ weight for row in _binomial(part, r, n)] for part in parts]
    each, rate = ([c * np.array(part) for c, part in zip(chance, columns, strict=True)] for columns in (found, rates))
    mixed, total = each[0] + each[1] + each[2], rate[0] + rate[1] + rate[2]
    likelihood = mixed.prod(axis=0)
    likelihood /= likelihood.sum()

    def distance(cohorts):
        pairs = [(cohort.mean, total[k] / mixed[k]) for k, cohort in enumerate(cohorts)]
        pairs += [(cohort.memberships[h], each[h][k] / mixed[k]) for k, cohort in enumerate(cohorts) for h in (0, 1)]
        gaps = [(value - likelihood @ x, np.sqrt(likelihood**2 @ (x - likelihood @ x) ** 2)) for value, x in pairs]
        return max(abs(gap) / error for gap, error in gaps)

    assert distance(ours) < 4
    assert distance(swapped) > 20
