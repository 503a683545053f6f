"""Mixtures against numbers of other software; see borrowing_mixtures.json for what made them."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

from smm_bayes.priors.mixtures import BetaMixture, GammaMixture, NormalMixture, sam_weight

REFERENCE = json.loads((Path(__file__).parent / "borrowing_mixtures.json").read_text())
SIZES = REFERENCE["effective_sample_size"]
PRIORS = {
    "beta_5_15": (BetaMixture([1], [5], [15]), {}),
    "bmix_0.2B11_0.8B10_2": (BetaMixture([0.2, 0.8], [1, 10], [1, 2]), {}),
    "nmix_sigma10_0.5N0_2_0.5N3_4": (NormalMixture([0.5, 0.5], [0, 3], [2, 4], sigma=10), {}),
    "gmix_poisson_0.3G20_4_0.7G50_10": (GammaMixture([0.3, 0.7], [20, 50], [4, 10]), {"likelihood": "poisson"}),
}
# the other software integrates elir to a tolerance of about 1e-10 and finds the mode to about 1e-6 by a search
TOLERANCE = {"elir": 1e-10, "moment": 1e-12, "morita": 2e-6}


GAMMA_MORITA = ("gmix_poisson_0.3G20_4_0.7G50_10", "morita")  # has a test of its own


@pytest.mark.parametrize(("name", "method"), [(n, m) for n in PRIORS for m in TOLERANCE if (n, m) != GAMMA_MORITA])
def test_effective_sample_size(name, method):
    prior, settings = PRIORS[name]
    found = prior.effective_sample_size(method, **settings)
    assert found == pytest.approx(SIZES[name][method], rel=TOLERANCE[method])


def test_morita_of_a_gamma_mixture_with_the_tail_that_the_other_software_leaves_out():
    """The other software sums over counts of the prior predictive up to a quantile; the expectation is known exactly."""
    prior, settings = PRIORS["gmix_poisson_0.3G20_4_0.7G50_10"]
    printed, found = SIZES["gmix_poisson_0.3G20_4_0.7G50_10"]["morita"], prior.effective_sample_size("morita", **settings)
    assert found == pytest.approx(8.6892, abs=5e-5)
    assert printed == pytest.approx(8.6905, abs=5e-5)
    w, shape, rate, mode = prior.weights, prior.parameters["shape"], prior.parameters["rate"], prior.mode
    at_mode = stats.gamma.pdf(mode, shape, scale=1 / rate) * w
    at_mode /= at_mode.sum()
    first = (shape - 1) / mode - rate
    information = (at_mode @ first) ** 2 - at_mode @ (first**2 - (shape - 1) / mode**2)

    def size(last):
        """Exposure whose posterior, expected over counts to ``last``, has the prior's information at the mode."""

        def short_of(exposure):
            count = np.arange(last + 1)
            return prior.predictive(exposure).pmf(count) @ ((mode / 100 + count - 1) / mode**2) - information

        return optimize.brentq(short_of, 5, 12, xtol=1e-12)

    assert size(500) == pytest.approx(found, rel=1e-9)  # the whole sum
    last = int(prior.predictive(found).quantile(1 - 1e-4))
    assert last == 93
    assert size(last) > printed > size(last + 2) > found  # cut there or up to two counts later: the other's number


def test_robust_beta_mixture_its_posterior_and_summary():
    wanted = REFERENCE["mixtures"]["robustify"]
    prior = BetaMixture([0.2, 0.8], [8, 10], [3, 2]).robustify(0.1)
    after = prior.update(responders=5, patients=20)
    for found, rows in ((prior, wanted["beta"]), (after, wanted["beta_post_r5_n20"])):
        np.testing.assert_allclose(found.weights, [row["w"] for row in rows], rtol=1e-12)
        np.testing.assert_allclose(found.parameters["a"], [row["a"] for row in rows], rtol=1e-12)
        np.testing.assert_allclose(found.parameters["b"], [row["b"] for row in rows], rtol=1e-12)
    summary = wanted["beta_summary"]
    assert prior.mean == pytest.approx(summary["mean"], rel=1e-12)
    assert prior.sd == pytest.approx(summary["sd"], rel=1e-12)
    quantiles = prior.quantile([0.025, 0.25, 0.5, 0.75, 0.975])
    printed = [summary[name] for name in (" 2.5%", "25.0%", "50.0%", "75.0%", "97.5%")]
    # the other software's root search stops within about 1e-5; its own probabilities at its quantiles say so
    np.testing.assert_allclose(quantiles, printed, rtol=1e-5)
    assert np.abs(prior.cdf(quantiles) - [0.025, 0.25, 0.5, 0.75, 0.975]).max() < 1e-14


def test_predictive_counts():
    wanted = REFERENCE["mixtures"]["preddist_beta"]
    found = BetaMixture([0.2, 0.8], [1, 15], [1, 50]).predictive(10)
    np.testing.assert_allclose(found.pmf(np.arange(11)), wanted["d"], rtol=1e-12)
    np.testing.assert_allclose(found.cdf(np.arange(11)), wanted["p"], rtol=1e-12)
    assert found.quantile(0.5) == wanted["q50"]


def test_robust_gamma_mixture():
    rows = REFERENCE["mixtures"]["robustify"]["gamma"]
    found = GammaMixture([0.2, 0.8], [6, 10], [3, 5]).robustify(0.1)
    np.testing.assert_allclose(found.weights, [row["w"] for row in rows], rtol=1e-12)
    np.testing.assert_allclose(found.parameters["shape"], [row["a"] for row in rows], rtol=1e-12)
    np.testing.assert_allclose(found.parameters["rate"], [row["b"] for row in rows], rtol=1e-12)


def test_self_adapting_weight_by_hand():
    """Beta(40, 60) and a difference of 0.15, as in the example of the software of its authors: 12 of 60."""
    prior = BetaMixture([1], [40], [60])
    likelihood = stats.binom.pmf(12, 60, [0.4, 0.25, 0.55])
    ratio = likelihood[0] / max(likelihood[1:])
    found = sam_weight(prior, difference=0.15, responders=12, patients=60)
    assert found == pytest.approx(ratio / (1 + ratio), rel=1e-12)
    assert sam_weight(prior, difference=0.15, odds=1 / 9, responders=12, patients=60) == pytest.approx(
        ratio / 9 / (1 + ratio / 9), rel=1e-12
    )
    normal = NormalMixture([1], [0], [0.3])
    likelihood = stats.norm.pdf(0.5, [0, 0.9, -0.9], 3 / np.sqrt(80))
    ratio = likelihood[0] / max(likelihood[1:])
    assert sam_weight(normal, difference=0.9, mean=0.5, standard_error=3 / np.sqrt(80)) == pytest.approx(
        ratio / (1 + ratio), rel=1e-12
    )
    gamma = GammaMixture([1], [80], [80])
    likelihood = stats.poisson.pmf(70, 60 * np.array([1, 1.2, 0.8]))
    ratio = likelihood[0] / max(likelihood[1:])
    assert sam_weight(gamma, difference=0.2, events=70, exposure=60) == pytest.approx(ratio / (1 + ratio), rel=1e-12)
