"""MRD-negative rates: intervals by a second route, and rates that a data cut leaves unbiased."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, binom

from smm_bayes.surrogacy import NEGATIVE, MrdSchedule, RateComparison, jeffreys_interval, mrd_rates, windows_passed
from smm_bayes.trial import MrdAssessments, Patients, cut_by_date

PAIRS = [((21, 52), (2, 22)), ((0, 10), (9, 10)), ((5, 10), (0, 0)), ((300, 600), (290, 610)), ((3, 3), (2, 40))]


@pytest.mark.parametrize(("negative", "number"), [(0, 10), (1, 10), (5, 10), (10, 10), (0, 0), (290, 610)])
def test_a_rate_has_the_quantiles_of_its_posterior(negative, number):
    def kernel(u):  # posterior of u, not normalised, with p = sin² u: the prior of u is flat
        return binom.pmf(negative, number, np.sin(u) ** 2)

    ends = np.arcsin(np.sqrt([0, *jeffreys_interval(negative, number), 1]))
    best = negative / max(number, 1)
    parts = [quad(kernel, a, b, points=[np.clip(np.arcsin(np.sqrt(best)), a, b)], epsabs=0, limit=400)[0]
             for a, b in pairwise(ends)]  # fmt: skip
    np.testing.assert_allclose(np.array(parts) / sum(parts), [0.025, 0.95, 0.025], rtol=1e-7)


def exceeds(experimental, control, difference=None, odds_ratio=None, prior=0.5):
    """P(difference or odds ratio is exceeded), by quadrature over the quantiles of the control arm's posterior."""
    (x, n), (y, m) = experimental, control

    def above(u):
        p = beta.ppf(u, y + prior, m - y + prior)
        limit = p + difference if odds_ratio is None else odds_ratio * p / (1 - p + odds_ratio * p)
        return beta.sf(limit, x + prior, n - x + prior)

    return quad(above, 0, 1, limit=500, epsabs=1e-8)[0]


@pytest.mark.parametrize(("experimental", "control"), PAIRS)
def test_differences_and_odds_ratios_have_their_quantiles(experimental, control):
    found = RateComparison.of(experimental, control)
    for values, name in ((found.difference, "difference"), (found.odds_ratio, "odds_ratio")):
        tails = [exceeds(experimental, control, **{name: value}) for value in values]
        np.testing.assert_allclose(tails, [0.5, 0.975, 0.025], atol=1e-6)
    assert found.probability_above == pytest.approx(exceeds(experimental, control, difference=0.0), abs=1e-6)
    swapped = RateComparison.of(control, experimental)
    np.testing.assert_allclose(np.array(swapped.difference)[[0, 2, 1]], -np.array(found.difference), atol=1e-8)
    np.testing.assert_allclose(1 / np.array(swapped.odds_ratio)[[0, 2, 1]], found.odds_ratio, rtol=1e-7)


def test_a_uniform_prior_would_be_seen():
    """The check above has the power to tell one prior from another."""
    upper = RateComparison.of(*PAIRS[0]).difference[2]
    assert abs(exceeds(*PAIRS[0], difference=upper, prior=1.0) - 0.025) > 1e-3


SCHEDULE = MrdSchedule((6,), before=1, after=1)
RATE, SHARE, ASSESSED = 0.08, 0.6, 0.85
END = np.array([5.0, 7.0])
# assessed at a time uniform over the window, while event-free: E[1(T > U)]
REACHED = float(np.exp(-RATE * END) @ [1, -1] / RATE / 2)
TRUTH = {"randomised": REACHED * ASSESSED * SHARE, "assessed": SHARE}


def trial(size, seed):
    """Enrolled over 12 months, cut 14 months after the start: seven in twelve windows have passed."""
    rng = np.random.default_rng(seed)
    time, at = rng.exponential(1 / RATE, size), rng.uniform(*END, size)
    done = np.flatnonzero((at < time) & (rng.random(size) < ASSESSED))
    mrd = MrdAssessments(done, at[done], rng.random(len(done)) < SHARE, np.full(len(done), 1e-5))
    whole = Patients(
        patient=np.array([f"P{i}" for i in range(size)], dtype=object), arm=np.zeros(size, int), time=time,
        event=np.ones(size, bool), cause=np.zeros(size, int), censoring=np.full(size, "", dtype=object),
        enrolled=rng.uniform(0, 12, size), arms=("experimental",), arm_names=("E",), causes=("progression",), mrd=mrd,
        provenance="simulated",
    )  # fmt: skip
    return cut_by_date(whole, 14.0)


def errors_off(rates):
    """Distance of each rate from the truth, in standard errors."""
    return {one.denominator: (one.rate - TRUTH[one.denominator]) /
            np.sqrt(TRUTH[one.denominator] * (1 - TRUTH[one.denominator]) / one.number) for one in rates}  # fmt: skip


def test_a_data_cut_does_not_bias_a_rate():
    patients, denominators = trial(80_000, 3), ("randomised", "assessed")
    off = errors_off(mrd_rates(patients, SCHEDULE, denominators=denominators))
    assert all(abs(value) < 4 for value in off.values()), off
    # events before a window that has not passed counted: too low
    undated = replace(patients, enrolled=None, data_cutoff=None)
    assert errors_off(mrd_rates(undated, SCHEDULE, denominators=denominators))["randomised"] < -5
    # results in windows that have not passed counted, and who is still to be assessed there left out: too high
    code = SCHEDULE.assign(patients).code[:, 0]
    counted = windows_passed(patients, SCHEDULE)[:, 0] | (code >= 0)
    share, truth = (code[counted] == NEGATIVE).mean(), TRUTH["randomised"]
    assert (share - truth) / np.sqrt(truth * (1 - truth) / counted.sum()) > 5


def test_intervals_cover_as_often_as_a_calibrated_posterior():
    """Rates drawn from the prior, counts from the rates: intervals hold their rate with their probability."""
    rng = np.random.default_rng(7)
    rate = rng.beta(0.5, 0.5, 4000)
    negative = rng.binomial(12, rate)
    limits = np.array([jeffreys_interval(x, 12, 0.8) for x in range(13)])[negative]
    inside = ((limits[:, 0] < rate) & (rate < limits[:, 1])).mean()
    assert abs(inside - 0.8) < 4 * np.sqrt(0.16 / 4000)
