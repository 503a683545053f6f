"""Fits and estimates of the association of MRD with survival, over simulated trials."""

import datetime

import numpy as np
import pytest

from smm_bayes.analysis.simulated_trial import DAY, MrdPlan, TrialDesign, simulate_trial
from smm_bayes.inference import fit
from smm_bayes.surrogacy import (
    GlobalOddsPriors,
    GlobalOddsTable,
    MilestoneEffects,
    SharePrior,
    global_odds_ratio_data,
    global_odds_ratio_model,
    landmark_hazard_ratio,
    landmark_model,
    landmark_patients,
    latest_status,
    naive_responder_hazard_ratio,
    plackett_pairs,
    survival_by_status,
)
from smm_bayes.survival import BaselinePrior, PiecewiseExponential, SurvivalPriors, TimeGrid
from smm_bayes.trial import Patients, cut_by_date

VISITS = (270, 540)
GRID, SIZE = TimeGrid((6, 12, 24)), 240
PRIORS = GlobalOddsPriors(SurvivalPriors({"progression": BaselinePrior(20, 60)}), SharePrior(0.35, 0.7))


def design(hazard_ratio, size=120):
    """A trial followed to the end, in which the arms differ in MRD but not in freedom from progression at 36 months."""
    mrd = MrdPlan(VISITS, 0, ((0.3, 0.4), (0.5, 0.6)), (0.8,), (0.1, 0.1), hazard_ratio, 1e-5)
    return TrialDesign(
        "A", "P", ("Old", "New"), (size // 2, size // 2), (2, 2), datetime.date(2020, 1, 1), size / 12, TimeGrid((12,)),
        (1.0, 1.0), 36.0, (0.4, 0.4), ((0.001, 0.001), (0.001, 0.001)), (0.002, 0.002), mrd,
    )  # fmt: skip


def at_second_visit(patients):
    month = VISITS[1] * DAY
    return landmark_patients(patients, latest_status(patients, month, since=VISITS[0] * DAY + 1), month)


def mean_and_error(values):
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("hazard_ratio", [1.0, 0.5])
def test_naive_comparison_is_biased_and_the_landmark_is_not(hazard_ratio):
    """Mean log hazard ratios of 1000 trials of 120 patients."""
    truth, rng, found = design(hazard_ratio), np.random.default_rng(1), []
    for _ in range(1000):
        patients = simulate_trial(truth, rng=rng)
        naive = naive_responder_hazard_ratio(patients, "progression")
        landmark = at_second_visit(patients).cox_ratio("progression")
        found.append((naive.log_hazard_ratio, landmark.log_hazard_ratio, landmark.standard_error))
    found = np.array(found)
    (naive, landmark, _), (naive_error, landmark_error, _) = mean_and_error(found)
    assert abs(landmark - np.log(hazard_ratio)) < 4 * landmark_error
    assert naive - np.log(hazard_ratio) < -0.3 - 4 * naive_error  # a hazard ratio at least a quarter too low
    covered = np.abs(found[:, 1] - np.log(hazard_ratio)) < 1.96 * found[:, 2]
    assert covered.mean() == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 1000))


def test_landmark_model_finds_the_hazard_ratio_by_status():
    patients = simulate_trial(design(0.5, 1600), rng=np.random.default_rng(2)).count_only("progression")
    landmark = at_second_visit(patients)
    model = landmark_model(landmark, GRID, PRIORS.survival)
    fitted = fit(model, seed=3, log_densities=False).require_convergence()
    found, cox = landmark_hazard_ratio(fitted.posterior).loc["progression"], landmark.cox_ratio()
    assert found["lower"] < 0.5 < found["upper"]
    assert abs(np.log(found["median"] / cox.hazard_ratio)) < 0.3 * cox.standard_error
    assert found["probability"] > 0.99
    assert found[["lower", "upper"]].tolist() == pytest.approx(cox.interval(), rel=0.05)


def trial(truth, rng, theta=None):
    """Patients event-free at the landmark, their status by the copula and their times; some censored, some unknown."""
    arm = np.arange(SIZE) % 2
    u, v = plackett_pairs(float(np.exp(truth["log_global_odds_ratio"][0])) if theta is None else theta, SIZE, rng=rng)
    time = PiecewiseExponential(truth["log_hazard"][arm, 0], GRID).time_at(-np.log(v))
    names, enrolled = ("control", "experimental"), np.linspace(0, 18, SIZE)
    whole = Patients(
        patient=np.arange(SIZE).astype(str).astype(object), arm=arm, time=time, event=np.ones(SIZE, bool),
        cause=np.zeros(SIZE, int), censoring=np.full(SIZE, "", dtype=object), enrolled=enrolled, arms=names,
        arm_names=names, causes=("progression",), provenance="simulated", data_cutoff=float((enrolled + time).max()),
    )  # fmt: skip
    status = np.where(rng.random(SIZE) < 0.15, -1, u <= truth["negative"][arm])
    return landmark_patients(cut_by_date(whole, 48.0), status, 0.0, keep_unknown=True)


@pytest.fixture(scope="module")
def refitted():
    """Compile once; then refit to any trial."""
    model = []

    def refit(landmark, seed):
        table = GlobalOddsTable.of(landmark, GRID, rows=SIZE)
        if not model:
            model.append(global_odds_ratio_model(table, PRIORS))
        return fit(model[0], seed=seed, data=global_odds_ratio_data(table, PRIORS), draws=900, tune=300,
                   chains=2, log_densities=False).require_convergence()  # fmt: skip

    return refit


def test_global_odds_ratio_is_recovered(refitted):
    """Over truths from the prior the errors of posterior means average to zero, and are small beside the prior."""
    rng, trials = np.random.default_rng(4), 16
    prior = PRIORS.sample(("progression",), ("control", "experimental"), GRID, trials, rng=rng)
    errors, turned, inside = [], [], []
    for index in range(trials):
        truth = {name: values[index] for name, values in prior.items()}
        posterior = refitted(trial(truth, rng), index).posterior
        found = posterior["log_global_odds_ratio"].values.ravel()
        known = truth["log_global_odds_ratio"][0]
        errors.append([found.mean() - known, *(posterior["negative"].mean(("chain", "draw")).values - truth["negative"]),
                       float(posterior["log_hazard_ratio"].mean()) - truth["log_hazard_ratio"][0]])  # fmt: skip
        turned.append(-found.mean() - known)
        inside.append(np.quantile(found, 0.1) < known < np.quantile(found, 0.9))
    mean, error = mean_and_error(np.array(errors))
    assert np.abs(mean / error).max() < 4, mean / error
    left = np.mean(np.array(errors)[:, 0] ** 2) / PRIORS.association.sd**2
    assert left < 0.1, left
    assert np.mean(np.array(turned) ** 2) / PRIORS.association.sd**2 > 1  # statuses exchanged would be seen
    assert sum(inside) == pytest.approx(0.8 * trials, abs=4 * np.sqrt(0.16 * trials))


def test_parts_of_a_difference_follow_from_the_fit(refitted):
    """One trial: the difference is that of the margins, and its parts are what the truth's would be, within the draws."""
    truth = {"log_hazard": np.array([[[-2.6] * 4], [[-3.4] * 4]]), "negative": np.array([0.2, 0.7]),
             "log_global_odds_ratio": np.log([6.0])}  # fmt: skip
    posterior = refitted(trial(truth, np.random.default_rng(5)), 6).posterior
    draws = {name: posterior[name].values for name in ("log_hazard", "negative", "log_global_odds_ratio")}
    share, later = survival_by_status(draws, GRID, 18.0)
    everybody = np.ones(share.shape[:3])  # all are event-free at the landmark, which is time zero here
    found = MilestoneEffects(everybody, share, later, landmark=0, time=18, delta_min=0.05)
    margin = PiecewiseExponential(draws["log_hazard"][..., 0, :], GRID).survival(18.0)[..., 0]
    np.testing.assert_allclose(found.difference, margin[..., 1] - margin[..., 0], atol=1e-10)
    share, later = survival_by_status(truth, GRID, 18.0)
    exact = MilestoneEffects(np.ones((1, 1, 2)), share[None, None], later[None, None], landmark=0, time=18, delta_min=0.05)
    table = found.table()
    for name in ("difference", "mrd", "residual"):
        value, draws_ = getattr(exact, name).item(), getattr(found, name)
        assert abs(draws_.mean() - value) < 3.5 * draws_.std(), name
        assert table.loc[name, "mcse"] < 0.2 * draws_.std()
    assert found.proportion is not None
