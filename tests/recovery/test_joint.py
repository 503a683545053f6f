"""Fits of the joint model of MRD and a time to event: maximum likelihood, recovery, and results that are missing."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.optimize import minimize

from smm_bayes.inference import fit
from smm_bayes.surrogacy import MISSING, MrdSchedule
from smm_bayes.surrogacy.joint import (
    JointLaw,
    JointPriors,
    JointShape,
    JointTable,
    MrdOddsRatioPrior,
    PersistencePrior,
    SharePrior,
    StatusPriors,
    joint_data,
    joint_model,
    patient_log_likelihood,
    simulate_joint,
)
from smm_bayes.survival import BaselinePrior, HazardRatioPrior, SmoothnessPrior, SurvivalPriors, TimeGrid

GRID, SCHEDULE, SIZE, ROWS = TimeGrid((12,)), MrdSchedule((6, 12), 0.5, 0.5), 1400, 900
CAUSES = ("progression", "death")
WIDE = HazardRatioPrior(1, 50)
SURVIVAL = SurvivalPriors({"progression": BaselinePrior(30, 1500), "death": BaselinePrior(150, 7500)},
                          hazard_ratio={"progression": WIDE, "death": WIDE}, smoothness=SmoothnessPrior(200))  # fmt: skip
STATUS = StatusPriors(SharePrior(0.3, 0.95), MrdOddsRatioPrior(1, 50), PersistencePrior(5, 500))
AT_RANDOM = JointPriors({"progression": WIDE}, STATUS, missing_log_odds=0.0)  # in the model: one compile serves for both
TOLD = replace(AT_RANDOM, missing_log_odds=1.0)
SHAPE = JointShape.of(GRID, SCHEDULE.months, CAUSES)
TRUTH = {
    "log_baseline": np.log([[0.03, 0.025], [0.004, 0.006]]), "log_hazard_ratio": np.array([-0.3, 0.1]),
    "status_level": np.array([-0.8, -0.6]), "status_log_odds_ratio": np.array([1.0, 0.7]),
    "status_persistence": np.array([2.0]), "log_mrd_hazard_ratio": np.array([-1.0]),
}  # fmt: skip
SIZES = {name: values.size for name, values in TRUTH.items()}
SHORT = {"draws": 800, "tune": 400, "chains": 2, "log_densities": False}


def law_of(parameters):
    baseline = parameters["log_baseline"][..., None, :, :]
    treated = np.arange(2)[:, None, None] * parameters["log_hazard_ratio"][..., None, :, None]
    return JointLaw.of(parameters | {"log_hazard": baseline + treated}, SHAPE, AT_RANDOM)


def trial(seed, missing):
    return simulate_joint(law_of(TRUTH), SCHEDULE, np.arange(SIZE) % 2, rng=np.random.default_rng(seed),
                          enrolled=np.linspace(0, 24, SIZE), cutoff=60.0, missing=missing)  # fmt: skip


@dataclass
class Models:
    """The model, compiled when it is first fitted; the log odds of a missing result are data of a refit."""

    made: dict

    def posterior(self, patients, status, priors, seed):
        """Posterior of all parameters."""
        table, rough = JointTable.of(patients, status, GRID, rows=ROWS), GRID.tabulate(patients)
        if not self.made:
            self.made["model"] = joint_model(table, SURVIVAL, priors, rough=rough)
        data = joint_data(table, SURVIVAL, priors, rough=rough)
        return fit(self.made["model"], seed=seed, data=data, **SHORT).require_convergence().posterior


def moments(posterior):
    """Means and SDs of all parameters, one vector each."""
    return [np.concatenate([getattr(posterior[name], what)(("chain", "draw")).values.ravel() for name in TRUTH])
            for what in ("mean", "std")]  # fmt: skip


@pytest.fixture(scope="module")
def models():
    return Models({})


@pytest.fixture(scope="module")
def partly(models):
    """A large trial with 30 % of results missing at random, and its posterior."""
    patients, status = trial(1, 0.3)
    return patients, status, *moments(models.posterior(patients, status, AT_RANDOM, 1))


@pytest.fixture(scope="module")
def climbed(partly):
    """The maximum of the twin's likelihood for that trial, and the inverse of the information there."""
    return maximum_likelihood(*partly[:2])


def vector(parameters):
    return np.concatenate([parameters[name].ravel() for name in TRUTH])


def unpacked(values):
    """Parameters by name from vectors (..., number)."""
    parts = np.split(values, np.cumsum(list(SIZES.values()))[:-1], axis=-1)
    return {name: part.reshape(*values.shape[:-1], *TRUTH[name].shape) for name, part in zip(TRUTH, parts, strict=True)}


def maximum_likelihood(patients, status):
    """Climb the twin; the parameters there, and the inverse of the information. Differences are central."""
    number = sum(SIZES.values())
    shifts = 1e-5 * np.concatenate([np.zeros((1, number)), np.eye(number), -np.eye(number)])

    def descend(values):
        total = patient_log_likelihood(law_of(unpacked(values + shifts)), patients, status).sum(axis=-1)
        up, down = np.split(total[1:], 2)
        return -total[0], -(up - down) / 2e-5

    best = minimize(descend, vector(TRUTH), jac=True, method="BFGS", options={"gtol": 1e-2}).x
    bend = [(descend(best + step)[1] - descend(best - step)[1]) / 2e-3 for step in 1e-3 * np.eye(number)]
    return best, np.linalg.inv((np.array(bend) + np.transpose(bend)) / 2)


def test_a_large_trial_recovers_every_parameter(partly):
    _, status, mean, sd = partly
    assert 0.25 < (status.code == MISSING).sum() / status.at_risk.sum() < 0.35
    assert np.abs((mean - vector(TRUTH)) / sd).max() < 4
    assert sd[-1] < 0.2  # so that an effect of 1 is seen


def test_with_flat_priors_the_posterior_is_at_the_maximum_of_the_twin(partly, climbed):
    *_, mean, sd = partly
    best, covariance = climbed
    apart = np.abs(mean - best) / sd
    assert apart.max() < 0.2, apart
    np.testing.assert_allclose(sd, np.sqrt(np.diag(covariance)), rtol=0.1)


def test_results_missing_at_random_cost_precision_and_nothing_else(partly, climbed):
    """The same patients with every result known: estimates differ by what the lost results explain.

    The wrong twin takes who has no result for not negative.
    """
    patients, status, *_ = partly
    complete, every = trial(1, 0.0)
    np.testing.assert_array_equal(complete.time, patients.time)
    better, tighter = maximum_likelihood(complete, every)
    best, covariance = climbed
    lost = covariance - tighter
    assert np.linalg.eigvalsh(lost).min() > -0.05 * np.diag(tighter).min()
    mrd = np.repeat(list(SIZES), list(SIZES.values()))
    for name in ("status_level", "status_log_odds_ratio", "status_persistence", "log_mrd_hazard_ratio"):
        assert (np.diag(lost) / np.diag(tighter))[mrd == name].min() > 0.1
    z = (best - better) / np.sqrt(np.maximum(np.diag(lost), 1e-8))
    assert np.abs(z).max() < 4, z
    positive = replace(status, code=np.where(status.code == MISSING, 0, status.code))
    wrong, _ = maximum_likelihood(patients, positive)
    assert (np.abs(wrong - better) / np.sqrt(np.maximum(np.diag(lost), 1e-8)))[mrd == "status_level"].max() > 6


def test_results_missing_because_of_the_status_need_to_be_told(models):
    """Who is negative misses more results, with a log odds ratio of 1: believed missing at random, shares are too low."""
    odds = np.log(0.25 / 0.75) + np.arange(2)
    patients, status = trial(3, 1 / (1 + np.exp(-odds)))
    average = {}
    for priors in (TOLD, AT_RANDOM):
        posterior = models.posterior(patients, status, priors, 4)
        mean, sd = moments(posterior)
        first = posterior["status_level"][..., 0] + posterior["status_log_odds_ratio"][..., 0] / 2
        average[priors.missing_log_odds] = float((first.mean() - (-0.8 + 0.5)) / first.std())
        if priors is TOLD:
            assert np.abs((mean - vector(TRUTH)) / sd).max() < 4
            missed = posterior["log_odds_missing"]
            assert (np.abs(missed.mean(("chain", "draw")) - odds[0]) / missed.std(("chain", "draw"))).max() < 4
    assert abs(average[1.0]) < 3, average
    assert average[0.0] < -4, average
