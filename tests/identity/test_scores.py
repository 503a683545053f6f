"""Scores of forecasts: each by a second route, and what a good forecaster gets."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from smm_bayes.analysis.later import forecast_later, later_effect
from smm_bayes.analysis.scores import LEVELS, Forecast, log_ratio_se, score, summary
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import RatioPrior

MIXED = Forecast(np.array([0.2, 0.5, 0.3]), np.array([-1.5, 0.2, 1.0]), np.array([0.3, 0.8, 0.1]))
TRUTH = Forecast.normal(-0.7, 0.4)
REPLICATES = 1500


def simulated(seed=1, size=REPLICATES):
    return np.random.default_rng(seed).normal(-0.7, 0.4, size)


def within(found, expected, error):
    return abs(found - expected) < 4 * error


@pytest.mark.parametrize("value", [-3.0, -1.5, 0.3, 1.02, 4.0])
def test_crps_of_a_mixture_is_the_integral_of_the_squared_difference(value):
    below = integrate.quad(lambda x: MIXED.cdf(x) ** 2, -12, value, points=[-1.5, 0.9, 1.1], limit=400)[0]
    above = integrate.quad(lambda x: (1 - MIXED.cdf(x)) ** 2, value, 12, points=[-1.5, 0.9, 1.1], limit=400)[0]
    assert MIXED.crps(value) == pytest.approx(below + above, abs=1e-7)


def test_crps_of_a_normal_forecast_is_its_closed_form():
    z = (0.1 + 0.7) / 0.4
    closed = 0.4 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    assert TRUTH.crps(0.1) == pytest.approx(closed, abs=1e-12)


def test_quantiles_invert_the_distribution_function():
    chances = np.array([0.001, 0.025, 0.2, 0.21, 0.5, 0.7, 0.975, 0.999])
    assert MIXED.cdf(MIXED.quantile(chances)) == pytest.approx(chances, abs=1e-9)


def test_log_score_is_the_logarithm_of_the_density():
    density = sum(w * stats.norm.pdf(0.4, m, s) for w, m, s in
                  zip(MIXED.weights, MIXED.means, MIXED.sds, strict=True))  # fmt: skip
    assert MIXED.log_pdf(0.4) == pytest.approx(math.log(density), abs=1e-12)


def test_a_calibrated_forecaster_covers_as_stated():
    scores = [score(TRUTH, value) for value in simulated()]
    for level in LEVELS:
        share = np.mean([getattr(one, f"in_{100 * level:g}") for one in scores])
        assert within(share, level, math.sqrt(level * (1 - level) / REPLICATES))
    pit = np.array([one.pit for one in scores])
    assert within(pit.mean(), 0.5, math.sqrt(1 / 12 / REPLICATES))


@pytest.mark.parametrize("wrong", [0.7, 1.4])
def test_a_forecaster_who_is_too_sure_or_not_sure_enough_does_not(wrong):
    made = Forecast.normal(-0.7, 0.4 * wrong)
    share = np.mean([score(made, value).in_80 for value in simulated()])
    assert not within(share, 0.8, math.sqrt(0.8 * 0.2 / REPLICATES))


@pytest.mark.parametrize(("mean", "sd"), [(-0.6, 0.4), (-0.7, 0.5), (-0.7, 0.32), (-0.9, 0.6)])
def test_the_true_density_has_the_best_log_score_and_crps(mean, sd):
    """By the divergence from the truth, known for normal distributions; CRPS by more than 4 Monte Carlo errors."""
    other, values = Forecast.normal(mean, sd), simulated(size=6000)
    gain = np.array([TRUTH.log_pdf(value) - other.log_pdf(value) for value in values])
    expected = math.log(sd / 0.4) + (0.4**2 + (mean + 0.7) ** 2) / (2 * sd**2) - 0.5
    assert within(gain.mean(), expected, gain.std() / math.sqrt(len(gain)))
    assert expected > 0
    lost = np.array([other.crps(value) - TRUTH.crps(value) for value in values])
    assert lost.mean() > 4 * lost.std() / math.sqrt(len(lost))


def test_a_forecast_of_an_estimate_is_that_of_the_truth_widened_by_its_standard_error():
    """Truth N(-0.7, 0.4), estimate N(truth, 0.3): intervals that leave the error out cover too little."""
    rng = np.random.default_rng(3)
    estimates = rng.normal(rng.normal(-0.7, 0.4, REPLICATES), 0.3)
    error = math.sqrt(0.8 * 0.2 / REPLICATES)
    widened = np.mean([score(TRUTH.of_estimate(0.3), value).in_80 for value in estimates])
    bare = np.mean([score(TRUTH, value).in_80 for value in estimates])
    assert within(widened, 0.8, error)
    assert bare < 0.8 - 4 * error
    assert TRUTH.of_estimate(0.3).sd == pytest.approx(0.5, abs=1e-12)


def test_an_estimate_known_exactly_widens_nothing():
    assert MIXED.of_estimate(0.0).crps(0.3) == MIXED.crps(0.3)


def test_a_flat_forecast_has_the_flat_density_and_its_interval():
    """Both ends are softened within a cell, so the middle is what is compared."""
    flat = Forecast.flat(-2.0, 1.0)
    assert flat.log_pdf(-0.5) == pytest.approx(-math.log(3.0), abs=0.001)
    assert flat.quantile([0.1, 0.9]) == pytest.approx([-1.7, 0.7], abs=0.005)


def test_a_forecast_made_of_quantiles_has_these_quantiles():
    chances = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]
    values = [-2.0, -1.5, -1.2, -0.9, -0.7, -0.2, 0.4]
    assert Forecast.of_quantiles(chances, values).quantile(chances) == pytest.approx(values, abs=0.01)


def test_a_forecast_made_of_normal_quantiles_is_that_normal():
    chances = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]
    made = Forecast.of_quantiles(chances, stats.norm.ppf(chances, -0.7, 0.4))
    for value in (-1.4, -0.7, 0.1):
        assert made.log_pdf(value) == pytest.approx(TRUTH.log_pdf(value), abs=0.01)
        assert made.crps(value) == pytest.approx(TRUTH.crps(value), abs=0.001)


def test_merging_components_that_are_alike_keeps_moments_and_scores():
    rng = np.random.default_rng(5)
    given = rng.random(5000), rng.normal(0, 0.5, 5000), np.exp(rng.normal(-1, 0.4, 5000))
    whole = Forecast(given[0] / given[0].sum(), *given[1:])
    merged = Forecast.mixture(*given)
    assert len(merged.weights) < 2000
    assert merged.mean == pytest.approx(whole.mean, abs=1e-5)
    assert merged.sd == pytest.approx(whole.sd, abs=1e-4)
    for value in (-2.5, -0.4, 0.1, 1.9):
        assert merged.log_pdf(value) == pytest.approx(whole.log_pdf(value), abs=0.005)
        assert float(merged.cdf(value)) == pytest.approx(float(whole.cdf(value)), abs=0.005)


def test_a_forecast_that_is_the_baseline_has_its_scores():
    values = simulated(size=30)
    table = summary({"baseline": [score(TRUTH, v) for v in values],
                     "forecast": [score(Forecast.normal(-0.7, 0.4), v) for v in values]})  # fmt: skip
    assert table.loc["forecast"].tolist() == table.loc["baseline"].tolist()


def test_standard_error_of_a_ratio_is_half_the_width_of_its_interval():
    assert log_ratio_se(0.09, 0.32) == pytest.approx(math.log(0.32 / 0.09) / 2 / 1.959964, abs=1e-6)
    assert log_ratio_se(0.42, 0.79, 0.954) < log_ratio_se(0.42, 0.79)


def test_the_first_estimate_and_what_came_between_make_the_later_one():
    value, se = later_effect(-1.71, 0.32, -1.43, 0.27)
    precision = np.array([0.32, se]) ** -2.0
    assert precision.sum() == pytest.approx(0.27**-2, rel=1e-12)
    assert precision @ [-1.71, value] / precision.sum() == pytest.approx(-1.43, abs=1e-12)


@pytest.mark.parametrize("waning", [None, RatioPrior(1.5, 4.0)])
def test_forecasts_of_a_later_estimate_cover_what_is_simulated(waning):
    """A first estimate known, the truth given it normal about it, what comes between independent of it."""
    rng, first_se, later_se = np.random.default_rng(7), 0.32, 0.25
    made = forecast_later(-1.7, first_se, later_se, waning=waning)
    truth = rng.normal(-1.7, first_se, REPLICATES)
    shift = rng.normal(waning.mean, waning.sd, REPLICATES) if waning else 0.0
    added = later_se**-2 - first_se**-2
    between = rng.normal(truth + shift, added**-0.5)
    later = (-1.7 * first_se**-2 + between * added) * later_se**2
    assert within(later.mean(), made.mean, made.sd / math.sqrt(REPLICATES))
    assert within((made.cdf(later) < 0.1).mean(), 0.1, math.sqrt(0.09 / REPLICATES))
    assert within((made.cdf(later) > 0.9).mean(), 0.1, math.sqrt(0.09 / REPLICATES))


@pytest.mark.parametrize(
    "refused",
    [
        lambda: Forecast.normal(0.0, 0.0),
        lambda: Forecast(np.array([0.5, 0.4]), np.zeros(2), np.ones(2)),
        lambda: Forecast(np.ones(1), np.array([np.nan]), np.ones(1)),
        lambda: TRUTH.of_estimate(-0.1),
        lambda: Forecast.flat(1.0, 1.0),
        lambda: log_ratio_se(0.5, 0.4),
        lambda: later_effect(0.0, 0.2, 0.0, 0.2),
    ],
)
def test_what_is_no_forecast_is_refused(refused):
    with pytest.raises(SpecificationError):
        refused()
