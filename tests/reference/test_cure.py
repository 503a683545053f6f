"""The exponential mixture cure model, at its maximum, against other software and an independent optimisation."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import expon

from smm_bayes.survival import CureTable, TimeGrid, cure_log_likelihood
from smm_bayes.trial import Patients

# lifelines 0.30.3, MixtureCureFitter(ExponentialFitter()), on the patients below: estimates, standard errors, maximum
LIFELINES = {"cured": 0.298183236605, "mean": 20.1030558066, "log_likelihood": -1122.1322669539,
             "se_cured": 0.036276074575, "se_mean": 2.25075382378}  # fmt: skip


@pytest.fixture(scope="module")
def patients():
    """Made without chance: quantiles of a law with 30 % cured and a mean of 20 months, followed for 24 to 60 months."""
    size = 400
    place = (np.arange(size) * 149 % size + 0.5) / size  # every quantile once, in a mixed order
    time = np.full(size, np.inf)
    time[place < 0.7] = -np.log1p(-place[place < 0.7] / 0.7) / 0.05
    followed = 24 + 36 * np.arange(size) / size
    event = time <= followed
    return Patients(
        patient=np.arange(size).astype(str).astype(object), arm=np.zeros(size, int), time=np.minimum(time, followed),
        event=event, cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object),
        enrolled=None, arms=("experimental",), arm_names=("all",), causes=("progression",), provenance="simulated",
    )  # fmt: skip


def ours(table, x):
    """Log likelihood of (logit of the share, log hazards)."""
    return float(cure_log_likelihood({"cured": 1 / (1 + np.exp(-x[:1])), "log_hazard_uncured": x[None, 1:]}, table))


def maximised(of, start):
    found = minimize(lambda x: -of(x), start, method="Nelder-Mead",
                     options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 10_000, "maxfev": 10_000})  # fmt: skip
    assert found.success
    return found.x, -found.fun


def test_maximum_likelihood_of_other_software(patients):
    table = CureTable.of(patients, TimeGrid(), "progression")
    x, value = maximised(lambda x: ours(table, x), np.array([0.0, -3.0]))
    share, mean = 1 / (1 + np.exp(-x[0])), np.exp(-x[1])
    assert share == pytest.approx(LIFELINES["cured"], abs=1e-4 * LIFELINES["se_cured"])
    assert mean == pytest.approx(LIFELINES["mean"], abs=1e-4 * LIFELINES["se_mean"])
    assert value == pytest.approx(LIFELINES["log_likelihood"], abs=1e-7)


def test_curvature_at_the_maximum_is_that_of_other_software(patients):
    """Standard errors from second differences in (share, mean)."""
    table, at = CureTable.of(patients, TimeGrid(), "progression"), np.array([LIFELINES["cured"], LIFELINES["mean"]])

    def value(point):
        return ours(table, np.array([np.log(point[0] / (1 - point[0])), -np.log(point[1])]))

    steps = np.diag([1e-4, 1e-2])
    hessian = np.array([[(value(at + a + b) - value(at + a - b) - value(at - a + b) + value(at - a - b))
                         / (4 * a.sum() * b.sum()) for a in steps] for b in steps])  # fmt: skip
    errors = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    np.testing.assert_allclose(errors, [LIFELINES["se_cured"], LIFELINES["se_mean"]], rtol=1e-4)


def test_maximum_likelihood_of_two_intervals_by_independent_code(patients):
    """Patient by patient with SciPy's exponential: the law beyond the cut is a shifted exponential."""
    table = CureTable.of(patients, TimeGrid((12,)), "progression")

    def independent(x):
        share, first, second = 1 / (1 + np.exp(-x[0])), *(expon(scale=np.exp(-v)) for v in x[1:])
        early, time = patients.time <= 12, patients.time
        free = np.where(early, first.sf(time), first.sf(12) * second.sf(time - 12))
        density = np.where(early, first.pdf(time), first.sf(12) * second.pdf(time - 12))
        return np.log(np.where(patients.event, (1 - share) * density, share + (1 - share) * free)).sum()

    start = np.array([-0.5, -3.0, -3.0])
    x, value = maximised(lambda x: ours(table, x), start)
    y, other = maximised(independent, start)
    assert value == pytest.approx(other, abs=1e-9)
    np.testing.assert_allclose(x, y, atol=1e-4)
    assert value > LIFELINES["log_likelihood"]  # one hazard is a special case of two
