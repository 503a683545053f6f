"""Estimates of several trials in one linear model: limits, a second route, calibration over its own priors."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import integrate, stats

from smm_bayes.borrowing.meta_analysis import HalfNormal, Normal, meta_analytic_predictive
from smm_bayes.borrowing.meta_analysis.linear import REACH, Joint, Spreads, predicted
from smm_bayes.errors import SpecificationError

Y, SE = np.array([-1.6, -0.9, -1.2]), np.array([0.3, 0.2, 0.25])


def one_mean(y, se, new_se, mean=-1.0, sd=1.0, hazard=True):
    """Trials that share a mean, each with a deviation of its own; the last is to be predicted."""
    errors = np.append(se, new_se)
    size = len(errors)
    own = np.zeros((size, size, size))
    own[np.arange(size), np.arange(size), np.arange(size)] = 1.0
    none = np.zeros_like(own)
    return Joint(np.full(size, mean), np.full((size, size), sd**2) + np.diag(errors**2),
                 own if hazard else none, none if hazard else own, np.asarray(y))  # fmt: skip


def moments(found):
    weights, means, sds = found
    mean = weights @ means[:, 0]
    return float(mean), float(math.sqrt(weights @ (sds[:, 0] ** 2 + (means[:, 0] - mean) ** 2)))


def test_a_spread_of_0_is_full_pooling():
    precision = np.append(SE**-2.0, 1.0)
    pooled = precision @ np.append(Y, -1.0) / precision.sum()
    mean, sd = moments(predicted(one_mean(Y, SE, 0.15), Spreads(0.0, 0.0)))
    assert mean == pytest.approx(pooled, abs=1e-12)
    assert sd == pytest.approx(math.sqrt(1 / precision.sum() + 0.15**2), abs=1e-12)


def test_an_immense_spread_leaves_what_is_believed_of_a_trial_alone():
    """A new trial, with so large a deviation of its own, learns hardly anything from the others."""
    wide = predicted(one_mean(Y, SE, 0.15), Spreads(0.0, 0.0, 1e-12, 1e4, 0.0))
    assert moments(wide)[1] > 9e3


@pytest.mark.parametrize("hazard", [True, False])
@pytest.mark.parametrize("scale", [0.2, 0.5])
def test_prediction_is_that_of_the_meta_analysis_by_another_quadrature(scale, hazard):
    """Mean and SD of a new trial's truth to a thousandth: what the two quadratures leave out."""
    exact = meta_analytic_predictive(estimates=Y, standard_errors=SE, sd_prior=HalfNormal(scale),
                                     mean_prior=Normal(-1.0, 1.0))  # fmt: skip
    spreads = Spreads(scale, 0.0) if hazard else Spreads(0.0, scale)
    mean, sd = moments(predicted(one_mean(Y, SE, 1e-6, hazard=hazard), spreads))
    assert mean == pytest.approx(exact.distribution.mean, abs=1e-3)
    assert sd == pytest.approx(exact.distribution.sd, abs=1e-3)


def test_a_robust_relation_is_the_sum_over_all_memberships():
    """Three trials and a new one, sixteen memberships, the spread by adaptive integration."""
    scale, apart, share = 0.3, 1.2, 0.8
    joint = one_mean(Y, SE, 0.1)
    total = first = second = 0.0
    for members in product([True, False], repeat=4):
        chance = np.prod([share if member else 1 - share for member in members])

        def terms(tau, members=members):
            covariance = joint.covariance + np.diag([tau**2 if member else apart**2 for member in members])
            gain = np.linalg.solve(covariance[:3, :3], covariance[:3, 3])
            mean = -1.0 + gain @ (Y + 1.0)
            variance = covariance[3, 3] - gain @ covariance[:3, 3]
            weight = stats.multivariate_normal.pdf(Y, np.full(3, -1.0), covariance[:3, :3])
            return weight * stats.halfnorm.pdf(tau, scale=scale) * np.array([1.0, mean, variance + mean**2])

        found = [integrate.quad(lambda tau, k=k: terms(tau)[k], 0, REACH * scale)[0] for k in range(3)]
        total, first, second = (held + chance * one for held, one in zip((total, first, second), found, strict=True))
    mean, sd = moments(predicted(joint, Spreads(scale, 0.0, share, apart, 0.0)))
    assert mean == pytest.approx(first / total, abs=1e-3)
    assert sd == pytest.approx(math.sqrt(second / total - (first / total) ** 2), abs=1e-3)


def test_a_robust_relation_that_is_surely_exchangeable_is_exchangeable():
    joint = one_mean(Y, SE, 0.1)
    sure, nearly = Spreads(0.3, 0.0), Spreads(0.3, 0.0, 1 - 1e-12, 5.0, 0.0)
    assert moments(predicted(joint, nearly)) == pytest.approx(moments(predicted(joint, sure)), abs=1e-9)


def test_nothing_known_gives_the_prior():
    joint = one_mean([], np.zeros(0), 0.2)
    assert moments(predicted(joint, Spreads(0.0, 0.0))) == pytest.approx((-1.0, math.sqrt(1.04)), abs=1e-12)


@pytest.mark.parametrize(
    "spreads",
    [Spreads(0.3, 0.0), Spreads(0.3, 0.2), Spreads(0.3, 0.0, 0.7, 1.5, 0.0)],
    ids=["exchangeable", "hazard and effect", "robust"],
)
def test_forecasts_of_trials_drawn_from_the_model_are_calibrated(spreads):
    """Probabilities, before, of what is simulated are uniform: their mean and the share outside 80 % intervals."""
    rng, replicates, pit = np.random.default_rng(11), 400, []
    for _ in range(replicates):
        tau, effect = np.abs(rng.normal(0, spreads.hazard)), np.abs(rng.normal(0, spreads.effect))
        apart = rng.random(4) > spreads.exchangeable
        truth = rng.normal(-1.0, 1.0) + rng.normal(0, np.where(apart, spreads.hazard_apart, tau))
        truth = truth + rng.normal(0, effect, 4)
        y = rng.normal(truth, np.append(SE, 0.15))
        joint = one_mean(y[:3], SE, 0.15)
        joint = Joint(joint.mean, joint.covariance, joint.hazard, joint.hazard, joint.known)
        weights, means, sds = predicted(joint, spreads)
        pit.append(weights @ stats.norm.cdf((y[3] - means[:, 0]) / sds[:, 0]))
    pit = np.array(pit)
    assert abs(pit.mean() - 0.5) < 4 * math.sqrt(1 / 12 / replicates)
    assert abs(np.mean((pit > 0.1) & (pit < 0.9)) - 0.8) < 4 * math.sqrt(0.16 / replicates)


def test_trials_drawn_with_more_spread_than_the_model_has_are_not():
    rng, replicates, inside = np.random.default_rng(12), 400, 0
    for _ in range(replicates):
        y = rng.normal(rng.normal(-1.0, 1.0) + rng.normal(0, 0.5, 4), np.append(SE, 0.15))
        weights, means, sds = predicted(one_mean(y[:3], SE, 0.15), Spreads(0.05, 0.0))
        inside += 0.1 < weights @ stats.norm.cdf((y[3] - means[:, 0]) / sds[:, 0]) < 0.9
    assert inside / replicates < 0.8 - 4 * math.sqrt(0.16 / replicates)


@pytest.mark.parametrize("refused", [(-0.1, 0.0), (0.1, 0.1, 0.0), (0.1, 0.1, 1.2)])
def test_spreads_that_are_none_are_refused(refused):
    with pytest.raises(SpecificationError):
        Spreads(*refused)
