"""Events found at visits: taking the dates of visits as exact is wrong, and brackets are right."""

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.inference import fit
from smm_bayes.survival import (
    BaselinePrior,
    Estimands,
    Law,
    PiecewiseExponential,
    SurvivalPriors,
    TimeGrid,
    VisitSchedule,
    VisitTable,
    visits_data,
    visits_log_likelihood,
    visits_model,
)
from smm_bayes.survival.check import power_scaling
from smm_bayes.trial import Patients

GRID = TimeGrid((12, 24))
PRIORS = SurvivalPriors({"progression": BaselinePrior(18, 72), "death": BaselinePrior(120, 480)})
HAZARDS = np.array([[0.05, 0.05, 0.05], [0.005, 0.005, 0.005]])  # (cause, interval), the same in both arms
ROOM = {"rows": 40, "pieces": 2}
HALF_YEARLY = VisitSchedule.every((6, 36))
SHORT = {"draws": 500, "tune": 300, "chains": 2, "attempts": 1, "log_densities": False}


def seen_at(schedules, size, *, rng):
    """Patients followed to 36 months, whose progression is found at the visits of their arm."""
    arm = np.arange(size) % 2
    law = PiecewiseExponential(np.log(np.broadcast_to(HAZARDS.sum(axis=0), (size, 3))), GRID)
    left = law.sample(rng=rng)
    at = GRID.index(left)
    progressed = rng.random(size) < HAZARDS[0, at] / HAZARDS[:, at].sum(axis=0)
    found = np.where(arm == 0, *(schedule.at_or_after(left) for schedule in schedules))
    event = left <= 36
    return Patients(
        patient=np.arange(size).astype(str).astype(object), arm=arm, event=event,
        time=np.where(event, np.where(progressed, found, left), 36.0), cause=np.where(event, np.where(progressed, 0, 1), -1),
        censoring=np.where(event, "", "administrative").astype(object), enrolled=None, provenance="simulated",
        arms=("control", "experimental"), arm_names=("A", "B"), causes=("progression", "death"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model():
    """Compiled once."""
    patients = seen_at((HALF_YEARLY, HALF_YEARLY), 100, rng=np.random.default_rng(0))
    return visits_model(VisitTable.of(patients, GRID, cause="progression", schedule=HALF_YEARLY), PRIORS, **ROOM)


def both_fits(model, patients, schedules, seed):
    """Dates taken as exact, which is a table of exact events without brackets; and brackets."""
    table = VisitTable.of(patients, GRID, cause="progression", schedule=dict(zip(patients.arms, schedules, strict=True)))
    none = np.zeros(0)
    exact = VisitTable(GRID.tabulate(patients), "progression", none.astype(int), np.zeros((0, len(GRID))), none)
    return [fit(model, seed=seed, data=visits_data(given, PRIORS, **ROOM), **SHORT) for given in (exact, table)]


def median_time(fitted):
    """Draws of the control arm's median time to progression."""
    log_hazard = fitted.posterior["log_hazard"].transpose("chain", "draw", "arm", "cause", "interval").values
    return PiecewiseExponential(log_hazard[:, :, 0, 0].reshape(-1, 3), GRID).median()


def test_dates_of_visits_make_progression_late_by_half_a_gap(model):
    """Six trials, visits every 6 months: the control arm's median, with dates taken as exact and with brackets.

    Dates are 3.16 months late in the mean. Each adds as much exposure, so that a constant hazard λ becomes
    1 / (1/λ + 3.16) and the median later by log 2 times 3.16 = 2.2 months. (The mean is later by all of it.)
    """
    truth, total = np.log(2) / HAZARDS[0, 0], HAZARDS[:, 0].sum()
    delay = 6 / -np.expm1(-6 * total) - 1 / total
    late, inside = [], []
    for seed in range(6):
        patients = seen_at((HALF_YEARLY, HALF_YEARLY), 500, rng=np.random.default_rng(seed))
        draws = [median_time(fitted) for fitted in both_fits(model, patients, (HALF_YEARLY, HALF_YEARLY), seed)]
        late.append([values.mean() - truth for values in draws])
        low, high = np.quantile(draws[1], [0.025, 0.975])
        inside.append(low <= truth <= high)
    mean, error = np.mean(late, axis=0), np.std(late, axis=0, ddof=1) / np.sqrt(6)
    assert mean[0] > 4 * error[0]
    assert abs(mean[1]) < 3 * error[1]
    assert delay == pytest.approx(3.16, abs=0.01)
    assert mean[0] - mean[1] == pytest.approx(np.log(2) * delay, abs=0.25)
    assert sum(inside) >= 5


def test_arms_looked_at_more_rarely_seem_better(model):
    """Equal hazards, visits every 3 months in control and once a year in the experimental arm; eight trials."""
    schedules, found = (VisitSchedule.every((3, 36)), VisitSchedule.every((12, 36))), []
    for seed in range(10, 18):
        patients = seen_at(schedules, 400, rng=np.random.default_rng(seed))
        fits = both_fits(model, patients, schedules, seed)
        found.append([float(fitted.posterior["log_hazard_ratio"].sel(cause="progression").mean()) for fitted in fits])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(8)
    assert mean[0] < -4 * error[0]
    assert mean[0] < -0.15  # hazard ratio 0.86 and below, of nothing
    assert abs(mean[1]) < 3 * error[1]


def test_a_fit_has_its_log_densities_and_estimands(model):
    """The log likelihood at every draw is that of NumPy, for the data of the refit; what reads hazards reads these."""
    import arviz as az

    patients = seen_at((HALF_YEARLY, HALF_YEARLY), 300, rng=np.random.default_rng(3))
    table = VisitTable.of(patients, GRID, cause="progression", schedule=HALF_YEARLY)
    fitted = fit(model, seed=3, data=visits_data(table, PRIORS, **ROOM)).require_convergence()
    terms = fitted.data["cell_log_likelihood"]
    draws = fitted.posterior["log_hazard"].transpose("chain", "draw", "arm", "cause", "interval").values
    np.testing.assert_allclose(
        terms["events"].sum("cell").values + terms["brackets"].sum("bracket").values,
        visits_log_likelihood(draws, table), rtol=1e-10,
    )  # fmt: skip
    assert set(fitted.data["log_prior"].data_vars) == {"log_baseline", "smoothness", "log_hazard_ratio"}
    np.testing.assert_array_equal(fitted.data["observed_data"]["brackets"].values[: len(table.arm)], table.count)
    sensitivity = power_scaling(fitted)
    assert sensitivity.loc["log_hazard_ratio[progression]", "likelihood"] > 0.05
    with pytest.raises(SpecificationError, match="sums over patients only"):
        az.loo(fitted)
    law = Law.of_draws(fitted.posterior["log_hazard"], GRID)
    incidence = Estimands(law, horizon=36).cumulative_incidence_curve([36.0])
    truth = HAZARDS[0] @ (np.exp(-np.r_[0, np.cumsum(HAZARDS.sum(axis=0)[:2] * 12)])
                          * -np.expm1(-HAZARDS.sum(axis=0) * 12) / HAZARDS.sum(axis=0))  # fmt: skip
    progressed = incidence.sel(cause="progression").isel(time=0)
    apart = (progressed.mean(("chain", "draw")) - truth) / progressed.std(("chain", "draw"))
    assert float(np.abs(apart).max()) < 3
