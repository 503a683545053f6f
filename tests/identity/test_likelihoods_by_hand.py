"""Likelihoods and laws of a few patients, against sums, integrals and maxima that are written out."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize

from smm_bayes.errors import SpecificationError
from smm_bayes.survival import (
    GammaHazards,
    PiecewiseExponential,
    TimeGrid,
    cumulative_incidence,
    log_likelihood,
    maximum_likelihood,
    patient_log_likelihood,
)
from smm_bayes.survival.cure import cure_log_likelihood
from smm_bayes.survival.cure_table import CureTable
from smm_bayes.survival.grid import EventTable

GRID = TimeGrid((6, 12, 24))
HAZARDS = np.array([[[0.05, 0.09, 0.02, 0.04], [0.01, 0.02, 0.03, 0.01]], [[0.03, 0.01, 0.05, 0.02], [0.02, 0.01, 0.005, 0.01]]])
RNG = np.random.default_rng(8)


def integral(curve, end, start=0.0):
    return quad(curve, start, end, points=[cut for cut in GRID.cuts if start < cut < end] or None, epsabs=1e-13)[0]


def step(levels):
    """A function that is constant in each interval; an interval ends at its cut."""
    return lambda t: levels[sum(t > cut for cut in GRID.cuts)]


def log_density(time, cause, hazards, entry=0.0):
    """Log of the density of an event, or of being event-free, by integration of the hazards by cause."""
    total = sum(integral(step(levels), time, entry) for levels in hazards)
    return (np.log(step(hazards[cause])(time)) if cause >= 0 else 0.0) - total


def test_the_likelihood_is_the_product_of_densities(simulate):
    patients = simulate(size=30, digits=0, hazards=((0.05, 0.02), (0.03, 0.02)))
    values = np.log(np.stack([HAZARDS, 0.4 * HAZARDS]))
    by_patient = patient_log_likelihood(values, patients, GRID)
    assert by_patient.shape == (2, 30)
    for draw in range(2):
        wanted = [log_density(t, c, np.exp(values[draw, a]))
                  for t, c, a in zip(patients.time, patients.cause, patients.arm, strict=True)]  # fmt: skip
        np.testing.assert_allclose(by_patient[draw], wanted, atol=1e-9)
        assert log_likelihood(values, GRID.tabulate(patients))[draw] == pytest.approx(sum(wanted), abs=1e-8)


EVENTS = {
    "both arms": ([[4, 2, 7], [1, 3, 2]], [[50, 30, 90], [60, 40, 80]]),
    "an interval without events": ([[4, 0, 7], [1, 0, 2]], [[50, 30, 90], [60, 40, 80]]),
    "one event in each arm": ([[1, 0, 0], [0, 0, 1]], [[50, 30, 90], [60, 40, 80]]),
    "a huge effect": ([[300, 200, 100], [1, 0, 0]], [[5, 3, 2], [6000, 4000, 9000]]),
    "one event in an interval": ([[0, 1, 5], [1, 0, 6]], [[5, 3, 2], [60, 4, 9]]),
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_the_maximum_is_where_an_optimiser_finds_it(name):
    events, exposure = (np.array(values, float) for values in EVENTS[name])
    found, used = maximum_likelihood(events, exposure), events.sum(axis=0) > 0

    def short(theta):
        log = theta[1:] + np.array([0.0, theta[0]])[:, None]
        return -(events[:, used] * log - exposure[:, used] * np.exp(log)).sum()

    start = np.r_[found.log_hazard_ratio + 0.01, np.log((events.sum(axis=0) / exposure.sum(axis=0))[used])]
    best = minimize(short, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 9000, "maxfev": 9000})
    assert short(np.r_[found.log_hazard_ratio, found.log_hazard[used]]) <= best.fun + 1e-9
    assert found.log_hazard_ratio == pytest.approx(best.x[0], abs=1e-4)
    assert np.all(np.isneginf(found.log_hazard[~used]))
    # the score of the profile is 0, and the standard error is of its slope
    ratio = np.exp(found.log_hazard_ratio) * exposure[1]
    share, total = ratio / (exposure[0] + ratio), events.sum(axis=0)
    assert events[1].sum() - total @ share == pytest.approx(0, abs=1e-9)
    assert found.standard_error == pytest.approx((total @ (share * (1 - share))) ** -0.5, rel=1e-9)


def test_an_interval_that_nobody_reached_says_nothing():
    events, exposure = (np.array(values, float) for values in EVENTS["both arms"])
    wider = maximum_likelihood(np.c_[events, [0, 0]], np.c_[exposure, [0, 0]])
    found = maximum_likelihood(events, exposure)
    assert (wider.log_hazard_ratio, wider.standard_error) == (found.log_hazard_ratio, found.standard_error)
    np.testing.assert_array_equal(wider.log_hazard, [*found.log_hazard, np.nan])


def test_without_events_in_an_arm_the_ratio_is_infinite():
    exposure = np.full((2, 3), 40.0)
    for arm, limit in ((0, -np.inf), (1, np.inf)):
        events = np.zeros((2, 3))
        events[arm, 1] = 3
        found = maximum_likelihood(events, exposure)
        assert (found.log_hazard_ratio, found.standard_error) == (limit, np.inf)
        assert found.log_hazard.shape == (3,)
        assert np.isnan(found.log_hazard).all()


LAW = PiecewiseExponential(np.log(HAZARDS[:, 0]), GRID)  # two laws, of the control and of the experimental arm


def test_functions_of_time_are_integrals_of_the_hazard():
    times = np.array([0.0, 0.5, 6.0, 6.5, 12.0, 20.0, 24.0, 31.0])
    for row, levels in enumerate(HAZARDS[:, 0]):
        wanted = [integral(step(levels), t) if t else 0.0 for t in times]
        np.testing.assert_allclose(LAW.cumulative_hazard(times)[row], wanted, atol=1e-12)
        np.testing.assert_allclose(LAW.survival(times)[row], np.exp(-np.array(wanted)), atol=1e-12)
        np.testing.assert_allclose(LAW.hazard(times)[row], [step(levels)(t) for t in times], rtol=1e-14)
        for horizon in (3.0, 6.0, 17.0, 40.0):
            area = integral(lambda t, row=row: LAW.survival(t)[row, 0], horizon)
            assert LAW.rmst(horizon)[row] == pytest.approx(area, abs=1e-9)
    assert LAW.median().shape == (2,)
    np.testing.assert_allclose([LAW.survival(m)[k, 0] for k, m in enumerate(LAW.median())], 0.5, atol=1e-12)


def test_times_are_where_the_cumulative_hazard_is_reached():
    goals = np.array([0.0, 0.1, 0.3, 0.84, 2.0])
    many = PiecewiseExponential(np.broadcast_to(LAW.log_hazard[:, None], (2, 5, 4)), GRID)
    reached = many.time_at(np.broadcast_to(goals, (2, 5)))
    for row in range(2):
        np.testing.assert_allclose(np.diag(LAW.cumulative_hazard(reached[row])[row : row + 1].repeat(5, 0)), goals, atol=1e-12)
    ended = PiecewiseExponential(np.log(np.array([0.1, 0.2, 0.1, 1e-300])), GRID)
    assert ended.time_at(np.array(5.0)) > 1e200  # no hazard is left
    with np.errstate(divide="ignore"):
        assert np.isinf(PiecewiseExponential(np.log(np.array([0.1, 0.2, 0.1, 0.0])), GRID).time_at(np.array(5.0)))


@pytest.mark.parametrize("probability", [-0.01, 1.0, 1.5, np.nan])
def test_a_share_that_no_time_has_is_refused(probability):
    with pytest.raises(SpecificationError, match=r"\[0, 1\)"):
        LAW.quantile(probability)
    np.testing.assert_array_equal(LAW.quantile(0.0), 0.0)
    with pytest.raises(SpecificationError, match="4 intervals"):
        PiecewiseExponential(np.zeros((4, 3)), GRID)


def test_hazards_near_zero_leave_everybody_event_free():
    tiny = PiecewiseExponential(np.array([-800.0, -60.0, -np.inf, -30.0]), GRID)
    assert tiny.rmst(30.0) == pytest.approx(30.0, abs=1e-10)
    assert tiny.survival(20.0)[0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("survived", [0.0, 3.0, 6.0, 13.0, 30.0])
def test_draws_given_survival_have_the_conditional_law(survived):
    """The cumulative hazard from what was survived to the time drawn is a standard exponential variable."""
    size = 4000
    given, wanted = np.full((size, 2), survived), np.random.default_rng(5).exponential(size=(size, 2))
    times = LAW.sample(rng=np.random.default_rng(5), survived=given)
    assert times.min() >= survived
    for row in range(2):
        passed = LAW.cumulative_hazard(times[:, row])[row] - LAW.cumulative_hazard(survived)[row, 0]
        np.testing.assert_allclose(passed, wanted[:, row], atol=1e-9)
    assert LAW.sample(rng=np.random.default_rng(5)).shape == (2,)
    mixed = LAW.sample(rng=np.random.default_rng(5), survived=np.array([[2.0], [15.0]]))
    assert mixed.shape == (2, 2)
    assert (mixed > [[2.0], [15.0]]).all()


def test_incidence_is_the_integral_of_hazard_and_survival():
    times = np.array([0.0, 4.0, 6.0, 11.0, 33.0])
    found = cumulative_incidence(np.log(HAZARDS), GRID, times)
    assert found.shape == (2, 2, 5)
    for arm in range(2):
        def alive(t, arm=arm):
            return np.exp(-sum(integral(step(levels), t) for levels in HAZARDS[arm])) if t else 1.0

        for cause in range(2):
            for k, time in enumerate(times[1:], 1):
                area = integral(lambda t, a=arm, c=cause, f=alive: step(HAZARDS[a, c])(t) * f(t), time)
                assert found[arm, cause, k] == pytest.approx(area, abs=1e-8)
    np.testing.assert_array_equal(found[:, :, 0], 0.0)
    with np.errstate(divide="ignore"):
        none = cumulative_incidence(np.log(np.zeros((2, 4))), GRID, times)
    np.testing.assert_array_equal(none, 0.0)  # no hazard, no event


def test_gamma_hazards_by_hand():
    """Gamma(a, b) with d events in exposure E is Gamma(a + d, b + E), of mean (a + d) / (b + E)."""
    events, exposure = np.array([[[3.0, 0.0], [1.0, 2.0]], [[5.0, 1.0], [0.0, 0.0]]]), np.array([[40.0, 7.0], [33.0, 12.0]])
    table = EventTable(events, exposure, TimeGrid((6,)), ("control", "experimental"), ("progression", "death"))
    prior = GammaHazards.prior(table, 0.7, 12.0)
    np.testing.assert_array_equal(prior.shape, np.full((2, 2, 2), 0.7))
    np.testing.assert_array_equal(prior.rate, np.full((2, 2, 2), 12.0))
    after = prior.update(table)
    for arm, cause, j in np.ndindex(2, 2, 2):
        shape, rate = 0.7 + events[arm, cause, j], 12.0 + exposure[arm, j]
        assert after.mean()[arm, cause, j] == pytest.approx(shape / rate, rel=1e-14)
        log_mean = quad(lambda x, s=shape: np.log(x) * x ** (s - 1) * np.exp(-x), 0, np.inf, limit=400)[0]
        norm = quad(lambda x, s=shape: x ** (s - 1) * np.exp(-x), 0, np.inf, limit=400)[0]
        assert after.mean_log()[arm, cause, j] == pytest.approx(log_mean / norm - np.log(rate), abs=1e-5)
    draws = np.exp(after.sample(20_000, rng=np.random.default_rng(2)))
    assert draws.shape == (20_000, 2, 2, 2)
    second = after.mean() * (after.shape + 1) / after.rate
    for powers, wanted in ((draws, after.mean()), (draws**2, second)):
        assert np.all(np.abs(powers.mean(axis=0) - wanted) < 4 * powers.std(axis=0) / np.sqrt(20_000))
    small = GammaHazards(np.array(1e-5), np.array(1.0)).sample(50, rng=np.random.default_rng(2))
    assert np.isfinite(small).all()
    assert small.min() < -1000  # where the hazard itself underflows
    for shape, rate in ((0, 1), (1, 0), (-1, 1), (1, -2), (np.nan, 1)):
        with pytest.raises(SpecificationError, match="above 0"):
            GammaHazards.prior(table, shape, rate)
    assert GammaHazards.prior(table, 0.001, 0.5).rate.max() == 0.5


def test_the_cure_likelihood_patient_by_patient(simulate):
    """With cure an event adds log{(1 - π) f}, and being event-free log{π + (1 - π) S}, of the curable cause."""
    patients = simulate(size=24, digits=0, hazards=((0.05, 0.02), (0.03, 0.02)))
    for curable, other in (("progression", "death"), ("death", "progression")):
        table, which = CureTable.of(patients, GRID, curable), patients.causes.index(curable)
        for cured in ([0.3, 0.6], [0.05, 0.9], [0.0, 0.5]):
            parameters = {"cured": np.array(cured), "log_hazard_uncured": np.log(HAZARDS[:, 0]),
                          "log_hazard_other": np.log(HAZARDS[:, 1:])}  # fmt: skip
            wanted = 0.0
            for time, cause, arm in zip(patients.time, patients.cause, patients.arm, strict=True):
                share, spent = cured[arm], integral(step(HAZARDS[arm, 0]), time)
                if cause == which:
                    wanted += np.log(1 - share) + np.log(step(HAZARDS[arm, 0])(time)) - spent
                else:
                    wanted += np.log(share + (1 - share) * np.exp(-spent))
                wanted += log_density(time, 0 if cause == patients.causes.index(other) else -1, HAZARDS[arm, 1:])
            assert cure_log_likelihood(parameters, table) == pytest.approx(wanted, abs=1e-8)
    alone = CureTable.of(patients.count_only("progression"), GRID, "progression")
    assert alone.others is None
    whole = CureTable.of(patients, GRID, "progression")
    assert cure_log_likelihood(parameters, alone) == pytest.approx(
        cure_log_likelihood(parameters, whole) - log_likelihood(parameters["log_hazard_other"], whole.others), abs=1e-9)
