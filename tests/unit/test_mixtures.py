"""Mixtures as values: what they accept, give and refuse, and how they are drawn."""

import copy
import pickle
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import (
    BetaMixture,
    GammaMixture,
    MultivariateNormalMixture,
    NormalMixture,
    divergence,
    fit_mixture,
    fit_multivariate,
    largest_gap,
    sam_weight,
)
from smm_bayes.reporting.priors import plot_prior, prior_curves

BETA = BetaMixture([0.4, 0.6], [3, 20], [7, 30])
GAMMA = GammaMixture([0.4, 0.6], [3, 20], [60, 300])
NORMAL = NormalMixture([0.4, 0.6], [-1, 0], [0.5, 2])
VECTOR = MultivariateNormalMixture([0.5, 0.5], [[0, 0], [1, 1]], [np.eye(2), 4 * np.eye(2)], ("a", "b"))
RNG = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


@pytest.mark.parametrize("prior", [BETA, GAMMA, NORMAL], ids=lambda m: m.FAMILY)
def test_shapes(prior):
    for method in (prior.pdf, prior.log_pdf, prior.cdf, prior.sf, prior.quantile):
        assert np.shape(method(0.3)) == ()
        assert isinstance(float(method(0.3)), float)
        assert method([0.3]).shape == (1,)
        assert method(np.full((2, 3), 0.3)).shape == (2, 3)
    assert prior.shares(0.3).shape == (2,)
    assert prior.shares(np.full((4, 2), 0.3)).shape == (4, 2, 2)
    assert prior.sample(7, rng=RNG).shape == (7,)
    assert prior.sample(0, rng=RNG).shape == (0,)
    assert prior.expect(lambda x: np.stack([x, x**2])).shape == (2,)
    for value in (prior.mean, prior.sd, prior.variance, prior.median, prior.mode):
        assert type(value) is float


def test_outside_the_range():
    for prior, outside in ((BETA, [-0.1, 1.1]), (GAMMA, [-0.1])):
        assert np.all(prior.pdf(outside) == 0)
        assert np.all(prior.log_pdf(outside) == -np.inf)
        assert np.all(np.isnan(prior.shares(outside)))
    np.testing.assert_array_equal(BETA.cdf([-1, 2]), [0, 1])
    np.testing.assert_array_equal(BETA.sf([-1, 2]), [1, 0])
    np.testing.assert_array_equal(GAMMA.cdf([-1, 0, np.inf]), [0, 0, 1])
    assert BetaMixture([1], [0.5], [1]).pdf(0) == np.inf
    np.testing.assert_array_equal(BetaMixture([0.5, 0.5], [0.5, 2], [2, 2]).shares([0.0, 1.0])[0], [1, 0])
    assert np.isnan(BETA.pdf(np.nan))


def test_values_do_not_change():
    for prior in (BETA, NORMAL, VECTOR):
        with pytest.raises(AttributeError, match="does not change"):
            prior.weights = np.ones(2)
        with pytest.raises(ValueError, match="read-only"):
            prior.weights[0] = 1
    BETA.parameters["a"] = None
    assert BETA.parameters["a"].tolist() == [3, 20]
    with pytest.raises(ValueError, match="read-only"):
        BETA.parameters["a"][0] = 1


def test_equality_and_copies():
    same = BetaMixture([0.4, 0.6], [3, 20], [7, 30])
    assert same == BETA
    assert hash(same) == hash(BETA)
    assert BetaMixture([0.6, 0.4], [3, 20], [7, 30]) != BETA
    assert GAMMA != BETA
    assert NORMAL.with_sigma(2) != NORMAL
    assert NORMAL.with_sigma(2) == NORMAL.with_sigma(2)
    assert {NORMAL, NORMAL.with_sigma(2)} == {NORMAL.with_sigma(2), NORMAL}
    for prior in (BETA, GAMMA, NORMAL.with_sigma(3)):
        assert pickle.loads(pickle.dumps(prior)) == prior
        assert copy.deepcopy(prior) == prior
    assert pickle.loads(pickle.dumps(VECTOR)).mean.tolist() == VECTOR.mean.tolist()


def test_what_a_reader_sees():
    assert repr(BetaMixture([1], [4], [16])) == "Beta(4, 16): mean 0.2, SD 0.0873, 95 % between 0.0605 and 0.396"
    assert repr(BETA).startswith("0.4 Beta(3, 7) + 0.6 Beta(20, 30): mean ")
    assert "<th>rate</th>" in GAMMA._repr_html_()
    assert repr(VECTOR) == "2 multivariate normal components of 2: a 0.5 (SD 1.7), b 0.5 (SD 1.7)"
    assert repr(BETA.predictive(10)).startswith("responders among 10 patients: mean 3.6")
    assert repr(GAMMA.predictive(30.0)).startswith("events in an exposure of 30: mean 1.8")


@pytest.mark.parametrize(("make", "said"), [
    (lambda: BetaMixture([0.5, 0.6], [1, 2], [1, 2]), "sum to 1"),
    (lambda: BetaMixture([-0.5, 1.5], [1, 2], [1, 2]), r"within \[0, 1\]"),
    (lambda: BetaMixture([], [], []), "sum to 1"),
    (lambda: BetaMixture([0.5, 0.5], [1], [1, 2]), "a has 1 values for 2 weights"),
    (lambda: BetaMixture([1], [0], [1]), "a must be above 0"),
    (lambda: BetaMixture(["x"], [1], [1]), "weights must be numbers"),
    (lambda: BetaMixture(None, [1], [1]), "finite numbers"),
    (lambda: BetaMixture([[1]], [1], [1]), "a list of finite numbers"),
    (lambda: GammaMixture([1], [np.nan], [1]), "finite"),
    (lambda: GammaMixture([1], [1], [-1]), "rate must be above 0"),
    (lambda: NormalMixture([1], [0], [0]), "sd must be above 0"),
    (lambda: NormalMixture([1], [0], [1], sigma=0), "sigma must be above 0"),
    (lambda: NormalMixture([1], [0], [1], sigma=np.inf), "finite"),
    (lambda: BETA.quantile(1.1), "probabilities within"),
    (lambda: BETA.quantile([0.5, np.nan]), "probabilities within"),
    (lambda: BETA.interval(1.5), "probabilities within"),
    (lambda: BETA.update(6, 5), "responders <= patients; got 6 of 5"),
    (lambda: BETA.update(-1, 5), "responders <= patients"),
    (lambda: BETA.update(np.nan, 5), "responders <= patients"),
    (lambda: BETA.predictive(2.5), "whole number"),
    (lambda: BETA.predictive(np.nan), "whole number"),
    (lambda: BETA.predictive(5).quantile(2), "probabilities within"),
    (lambda: BETA.robustify(1.2), "robust weight"),
    (lambda: BETA.robustify(0.1, mean=1), "mean between 0 and 1"),
    (lambda: BETA.robustify(0.1, patients=0), "patients above 0"),
    (lambda: GAMMA.update(1, 0), "exposure where there are events"),
    (lambda: GAMMA.update(-1, 3), "from 0"),
    (lambda: GAMMA.predictive(0), "exposure must be above 0"),
    (lambda: GAMMA.robustify(0.1, mean=-1), "above 0"),
    (lambda: GAMMA.robustify(0.1, likelihood="normal"), "poisson or exponential"),
    (lambda: NORMAL.update(0.3), "standard_error, or patients"),
    (lambda: NORMAL.update(0.3, 0.1, patients=3), "not both"),
    (lambda: NORMAL.update(0.3, 0.0), "standard error must be above 0"),
    (lambda: NORMAL.update(np.inf, 0.1), "finite"),
    (lambda: NORMAL.update(0.3, patients=20), "needs sigma"),
    (lambda: NORMAL.with_sigma(2).update(0.3, patients=-1), "patients must be above 0"),
    (lambda: NORMAL.robustify(0.1), "needs sigma"),
    (lambda: NORMAL.effective_sample_size(), "needs sigma"),
    (lambda: BETA.effective_sample_size("elr"), "elir, morita or moment"),
    (lambda: BETA.effective_sample_size(likelihood="poisson"), "goes with likelihood 'binomial'"),
    (lambda: GAMMA.effective_sample_size(likelihood="normal"), "goes with likelihood 'poisson'"),
    (lambda: NORMAL.effective_sample_size(likelihood="poisson", sigma=1), "goes with likelihood 'normal'"),
    (lambda: BetaMixture([1], [0.9], [2]).effective_sample_size(), "the smallest is 0.9"),
    (lambda: GammaMixture([1], [0.9], [2]).effective_sample_size(), "the smallest is 0.9"),
])  # fmt: skip
def test_refused(make, said):
    with pytest.raises(SpecificationError, match=said):
        make()


def test_everything_wrong_is_said_at_once():
    with pytest.raises(SpecificationError, match="3 problems") as caught:
        BetaMixture([0.5, 0.6], [1, -2], [1, 0])
    assert all(part in str(caught.value) for part in ("a must", "b must", "weights must"))


@pytest.mark.parametrize(("make", "said"), [
    (lambda: MultivariateNormalMixture([1], [0, 0], np.eye(2)), "need weights"),
    (lambda: MultivariateNormalMixture([1], [[0, 0]], [np.eye(3)]), "need weights"),
    (lambda: MultivariateNormalMixture([0.5], [[0, 0]], [np.eye(2)]), "sum to 1"),
    (lambda: MultivariateNormalMixture([1], [[0, np.nan]], [np.eye(2)]), "finite"),
    (lambda: MultivariateNormalMixture([1], [[0, 0]], [[[1, 0.5], [0.2, 1]]]), "component 0 is not symmetric"),
    (lambda: MultivariateNormalMixture([1], [[0, 0]], [[[1, 2], [2, 1]]]), "not positive definite"),
    (lambda: MultivariateNormalMixture([1], [[0, 0]], [np.eye(2)], ("a", "a")), "2 different names"),
    (lambda: VECTOR.marginal("c"), "no element 'c'; there are a, b"),
    (lambda: VECTOR.marginal(2), "no element 2"),
    (lambda: VECTOR.log_pdf([1.0, 2.0, 3.0]), "last axis of 2"),
    (lambda: VECTOR.robustify(2, covariance=np.eye(2)), "robust weight"),
    (lambda: VECTOR.robustify(0.2, covariance=np.eye(3)), "a vector of 2"),
    (lambda: VECTOR.update([0, 0, 0], np.eye(3)), "a vector of 2"),
    (lambda: VECTOR.update([0, 0], [[1, 2], [2, 1]]), "not positive definite"),
    (lambda: VECTOR.update_counts([1, 2, 3], [1, 2, 3]), r"shape \(dim,\) with dim 2"),
    (lambda: VECTOR.update_counts([1, -2], [1, 2]), "not negative"),
    (lambda: VECTOR.update_counts([1, 0], [0, 2]), "events where there is no exposure"),
    (lambda: VECTOR.update_counts([1, np.inf], [1, 2]), "finite"),
    (lambda: VECTOR.update_many([1, 2], [1, 2]), r"\(replicate, dim\)"),
])  # fmt: skip
def test_refused_vectors(make, said):
    with pytest.raises(SpecificationError, match=said):
        make()


FEW = [0.2, 0.3, 0.5]


@pytest.mark.parametrize(("make", "said"), [
    (lambda: fit_mixture([0.2, np.nan, 0.4], "beta"), "1 of 3 are not"),
    (lambda: fit_mixture([0.2, 1.0, 0.0], "beta"), "between 0 and 1, ends left out; 2 are not"),
    (lambda: fit_mixture([0.2, 0.0], "gamma"), "above 0; 1 are not"),
    (lambda: fit_mixture(FEW, "cauchy"), "one of beta, normal, gamma"),
    (lambda: fit_mixture(FEW, components=0), "whole number from 1"),
    (lambda: fit_mixture(FEW, components=2), "too few, or too much alike, for 5 parameters"),
    (lambda: fit_mixture(FEW, criterion="dic"), "bic or aic"),
    (lambda: fit_mixture(FEW, largest=0), "largest"),
    (lambda: fit_mixture(FEW, weights=[1, 1]), "3 numbers from 0"),
    (lambda: fit_mixture(FEW, weights=[0, 0, 0]), "not all 0"),
    (lambda: fit_mixture([0.3, 0.3, 0.3]), "all are the same"),
    (lambda: fit_mixture([]), "there are none"),
    (lambda: fit_multivariate(FEW), r"\(..., dim\)"),
    (lambda: fit_multivariate(np.ones((5, 2))), "all are the same"),
    (lambda: fit_multivariate(np.arange(4.0).reshape(2, 2) ** 2), "too few"),
    (lambda: fit_multivariate(np.outer(np.arange(9.0), [1, 2])), "linear function"),
    (lambda: divergence(BETA, ([0.1], [1.0], [1.0, 2.0])), "same shape"),
    (lambda: largest_gap(BETA, []), "need draws"),
    (lambda: largest_gap(BETA, FEW, [1]), "one weight a draw"),
    (lambda: sam_weight(BETA, difference=0.1, events=1, exposure=2), "data of a BetaMixture are responders and patients"),
    (lambda: sam_weight(BETA, difference=0.1), "got none"),
    (lambda: sam_weight(BETA, responders=1, patients=3), "difference or ratio"),
    (lambda: sam_weight(BETA, difference=0.1, ratio=2, responders=1, patients=3), "not both"),
    (lambda: sam_weight(BETA, difference=-0.1, responders=1, patients=3), "difference must be above 0"),
    (lambda: sam_weight(BETA, difference=0.9, responders=1, patients=3), "smaller difference"),
    (lambda: sam_weight(BETA, difference=0.1, responders=4, patients=3), "data cannot be"),
    (lambda: sam_weight(BETA, difference=0.1, odds=0, responders=1, patients=3), "odds"),
    (lambda: sam_weight(BETA, difference=0.1, centre=1, responders=1, patients=3), "centre"),
    (lambda: sam_weight(NORMAL, ratio=2, mean=1, standard_error=1), "goes with rates and hazards"),
    (lambda: sam_weight(GAMMA, ratio=1, events=1, exposure=1), "ratio must be above 1"),
    (lambda: sam_weight(VECTOR, difference=1), "need a beta, gamma or normal"),
])  # fmt: skip
def test_refused_fits_and_weights(make, said):
    with pytest.raises(SpecificationError, match=said):
        make()


def test_light_to_import():
    code = ("import sys, smm_bayes.borrowing; print([m for m in sys.modules if m in "
            "('pymc', 'nutpie', 'arviz', 'pandas', 'matplotlib', 'numba', 'scipy')])")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


# the plot: numbers, not pictures


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_plot_of_prior_and_posterior():
    data = {"responders": 5, "patients": 20}
    curves = prior_curves(BETA, data, BETA.update(**data))
    value = curves["value"]
    np.testing.assert_allclose(curves["components"].sum(axis=0), curves["prior"])
    grid = (np.arange(100_000) + 0.5) / 100_000
    likelihood = grid**5 * (1 - grid) ** 15
    np.testing.assert_allclose(curves["likelihood"], value**5 * (1 - value) ** 15 / likelihood.mean(), rtol=1e-6)
    np.testing.assert_allclose(curves["posterior"], BETA.update(5, 20).pdf(value))
    ax = plot_prior(BETA, data=data)
    assert ax.get_xlabel() == "response rate"
    assert labels(ax)[:2] == ["component 1, weight 0.4", "component 2, weight 0.6"]
    assert labels(ax)[2].startswith("prior: mean 0.36")
    assert labels(ax)[3:4] == ["likelihood, scaled"]
    assert labels(ax)[4].startswith("posterior: mean 0.3")
    assert max(line.get_ydata().max() for line in ax.lines) < ax.get_ylim()[1]


def test_plots_of_other_families():
    ax = plot_prior(GAMMA, data={"events": 3, "exposure": 50.0})
    assert ax.get_xlabel() == "hazard per month"
    curves = prior_curves(GAMMA, {"events": 3, "exposure": 50.0})
    shape = curves["value"] ** 3 * np.exp(-50 * curves["value"])
    np.testing.assert_allclose(curves["likelihood"] / shape, curves["likelihood"][0] / shape[0], rtol=1e-6)
    ax = plot_prior(NORMAL, components=False, label="log hazard ratio")
    assert ax.get_xlabel() == "log hazard ratio"
    assert labels(ax)[0].startswith("density: mean -0.4")
    curves = prior_curves(NORMAL, {"mean": 0.2, "standard_error": 0.5})
    np.testing.assert_allclose(curves["likelihood"], NormalMixture([1], [0.2], [0.5]).pdf(curves["value"]), rtol=1e-5)
    _, ax = plt.subplots()
    assert plot_prior(BetaMixture([1], [0.5], [0.5]), ax) is ax
    assert np.isfinite(ax.get_ylim()).all()


def test_plot_refuses():
    with pytest.raises(SpecificationError, match="has no GammaMixture for a posterior"):
        plot_prior(BETA, posterior=GAMMA)
    with pytest.raises(SpecificationError, match=r"must be what BetaMixture.update takes"):
        plot_prior(BETA, data={"events": 3})
