"""Association of MRD with survival against other software, and against maximum likelihood by another route."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from statsmodels.duration.hazard_regression import PHReg

from smm_bayes.surrogacy import (
    GlobalOddsPriors,
    GlobalOddsRatioPrior,
    GlobalOddsTable,
    NegativeOddsRatioPrior,
    SharePrior,
    cox_ratio,
    global_odds_ratio_log_likelihood,
    global_odds_ratio_model,
    landmark_patients,
    plackett_pairs,
)
from smm_bayes.survival import BaselinePrior, HazardRatioPrior, SurvivalPriors, TimeGrid
from smm_bayes.trial import Patients
from smm_bayes.trial.curves import hazard_ratio


@pytest.mark.parametrize("digits", [None, 0], ids=["no ties", "ties"])
@pytest.mark.parametrize("stratified", [False, True])
def test_cox_ratio_is_that_of_statsmodels(simulate, digits, stratified):
    """statsmodels PHReg, Efron's correction, live."""
    patients, rng = simulate(digits=digits, cutoff=50), np.random.default_rng(1)
    group = rng.random(len(patients)) < 0.4
    stratum = patients.arm if stratified else None
    found = cox_ratio(patients.time, patients.event, group, stratum)
    theirs = PHReg(patients.time, group[:, None].astype(float), status=patients.event, strata=stratum,
                   ties="efron").fit(disp=False)  # fmt: skip
    assert found.log_hazard_ratio == pytest.approx(theirs.params[0], abs=1e-6)
    assert found.standard_error == pytest.approx(theirs.bse[0], rel=1e-5)
    assert found.interval() == pytest.approx(tuple(np.exp(theirs.conf_int()[0])), rel=1e-5)
    wrong = cox_ratio(patients.time, patients.event, group, None if stratified else patients.arm)
    assert abs(wrong.log_hazard_ratio - theirs.params[0]) > 1e-3  # strata are not the same as none


def test_cox_ratio_without_strata_is_that_of_published_summaries(simulate):
    patients = simulate(digits=0, cutoff=50)
    arms = [(patients.time[patients.arm == a], patients.event[patients.arm == a]) for a in (0, 1)]
    found = cox_ratio(patients.time, patients.event, patients.arm == 1)
    assert found.hazard_ratio == pytest.approx(hazard_ratio(*arms), rel=1e-8)


def test_mode_under_flat_priors_is_the_maximum_of_the_likelihood():
    """The PyMC model climbed in its own coordinates, and the NumPy twin by a simplex: one interval, one cause."""
    rng, size = np.random.default_rng(2), 300
    arm, truth = np.arange(size) % 2, np.array([np.log(0.06), -0.4, logit(0.3), 0.8, np.log(5.0)])
    u, v = plackett_pairs(5.0, size, rng=rng)
    negative = u <= expit(truth[2] + truth[3] * arm)
    time, followed = -np.log(v) / np.exp(truth[0] + truth[1] * arm), rng.uniform(5, 40, size)
    event = time <= followed
    patients = Patients(
        patient=np.arange(size).astype(str).astype(object), arm=arm, time=np.minimum(time, followed), event=event,
        cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object), enrolled=None,
        arms=("control", "experimental"), arm_names=("Old", "New"), causes=("progression",), provenance="simulated",
    )  # fmt: skip
    status = np.where(rng.random(size) < 0.1, -1, negative)
    table = GlobalOddsTable.of(landmark_patients(patients, status, 0.0, keep_unknown=True), TimeGrid())
    flat = GlobalOddsPriors(
        SurvivalPriors({"progression": BaselinePrior(20, 1e200)}, {"progression": HazardRatioPrior(1, 1e200)}),
        SharePrior(0.5, 1 - 1e-15), NegativeOddsRatioPrior(1, 1e200), GlobalOddsRatioPrior(1, 1e200),
    )  # fmt: skip

    def likelihood(x):
        point = {"log_hazard": (x[0] + x[1] * np.arange(2))[:, None, None], "negative": expit(x[2] + x[3] * np.arange(2)),
                 "log_global_odds_ratio": x[4:]}  # fmt: skip
        return -float(global_odds_ratio_log_likelihood(point, table))

    exact = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 20_000, "maxfev": 20_000, "adaptive": True}
    best = minimize(likelihood, np.array([-3.0, 0, 0, 0, 0]), method="Nelder-Mead", options=exact)
    assert best.success
    model = global_odds_ratio_model(table, flat)
    names = ["log_baseline", "log_hazard_ratio", "logit_negative", "log_odds_ratio", "log_global_odds_ratio"]
    assert sorted(v.name for v in model.value_vars) == sorted(names)
    start = model.initial_point()
    value, slope = model.compile_logp(mode="FAST_COMPILE"), model.compile_dlogp(mode="FAST_COMPILE")
    order = [v.name for v in model.value_vars]

    def point(x):
        return {name: np.reshape(x[names.index(name)], np.shape(start[name])) for name in order}

    def gradient(x):
        return -np.array([slope(point(x))[order.index(name)] for name in names])

    mode = minimize(lambda x: -float(value(point(x))), np.array([-3.0, 0, 0, 0, 0]), jac=gradient, method="BFGS")
    np.testing.assert_allclose(mode.x, best.x, atol=1e-3)  # the least flat prior has SD 18: it pulls by some 1e-4
    assert np.abs(gradient(best.x)).max() < 0.05
    # and the truth is within 4 standard errors, by the curvature there
    steps = 1e-3 * np.eye(5)
    curvature = np.array([(gradient(best.x + s) - gradient(best.x - s)) / 2e-3 for s in steps])
    z = (best.x - truth) / np.sqrt(np.diag(np.linalg.inv(curvature)))
    assert np.abs(z).max() < 4, z
