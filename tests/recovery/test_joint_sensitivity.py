"""Sensitivity of the joint model: the setting that made the data finds the truth, and that which did not does not."""

import numpy as np
import pytest

from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.surrogacy import (
    AssayError,
    JointLaw,
    JointPriors,
    JointShape,
    JointTable,
    MrdSchedule,
    joint_model,
    joint_sensitivity,
    simulate_joint,
)
from smm_bayes.survival import BaselinePrior, SurvivalPriors, TimeGrid

GRID, SCHEDULE, CAUSES = TimeGrid((12,)), MrdSchedule((6.0,), 0.5, 0.5), ("progression",)
SURVIVAL = SurvivalPriors({"progression": BaselinePrior(24, 96)})
PRIORS = JointPriors({"progression": HazardRatioPrior(1.0, 5.0)}, missing_log_odds=0.0)
RATIO, ROWS, SHARE = 0.25, 400, 1 / (1 + np.exp(0.4))  # of the control arm that is negative
ERROR, MISSING = AssayError(0.4, 0.1), np.array([0.05, 0.7])
LOG_ODDS = float(np.log(0.7 / 0.3) - np.log(0.05 / 0.95))
SAMPLING = {"draws": 400, "tune": 300, "chains": 2}
QUANTITY = "hazard ratio, MRD-negative over not"


def trial(seed, **kinds):
    law = JointLaw.of({
        "log_hazard": np.log(np.array([[[0.03, 0.04]], [[0.02, 0.027]]])), "log_mrd_hazard_ratio": np.log([RATIO]),
        "status_level": np.array([-0.4]), "status_log_odds_ratio": np.array([1.0]), "status_persistence": np.zeros(0),
    }, JointShape.of(GRID, SCHEDULE.months, CAUSES), PRIORS)  # fmt: skip
    arm = np.repeat([0, 1], ROWS // 2)
    return simulate_joint(law, SCHEDULE, arm, rng=np.random.default_rng(seed), causes=CAUSES, cutoff=60.0, **kinds)


@pytest.fixture(scope="module")
def model():
    patients, status = trial(1)
    table = JointTable.of(patients, status, GRID, rows=ROWS)
    return joint_model(table, SURVIVAL, PRIORS, rough=GRID.tabulate(patients))


def away(row, truth):
    """Distance of the median from the truth in posterior standard deviations, on the log scale."""
    return (np.log(row["median"]) - np.log(truth)) / ((np.log(row["upper"]) - np.log(row["lower"])) / 3.92)


def test_assay_error_that_made_the_data_finds_the_truth_and_none_does_not(model):
    patients, status = trial(2, assay=ERROR)
    found = joint_sensitivity(patients, status, GRID, SURVIVAL, PRIORS, seed=3, errors=[ERROR], horizon=36.0,
                              model=model, **SAMPLING)  # fmt: skip
    exact, right = (found.loc[(setting, QUANTITY, "progression")] for setting in found.index.unique("setting"))
    assert abs(away(right, RATIO)) < 3
    assert away(exact, RATIO) > 3  # diluted
    share = found.xs("share negative at 6 months", level="quantity").xs("control", level="of")
    assert share.iloc[1]["lower"] < SHARE < share.iloc[1]["upper"]
    assert {"difference at 36 months", "residual part at 36 months"} <= set(found.index.unique("quantity"))
    assert (found["mcse"] > 0).all()


def test_log_odds_of_missing_results_that_made_the_data_find_the_share_and_none_does_not(model):
    patients, status = trial(4, missing=MISSING[None])
    found = joint_sensitivity(patients, status, GRID, SURVIVAL, PRIORS, seed=5, missing_log_odds=[LOG_ODDS],
                              model=model, **SAMPLING)  # fmt: skip
    at_random, right = (found.loc[(setting, "share negative at 6 months", "control")]
                        for setting in found.index.unique("setting"))  # fmt: skip
    assert right["lower"] < SHARE < right["upper"]
    assert at_random["upper"] < SHARE  # negative results are missing more often
    assert abs(away(found.loc[(found.index[-1][0], QUANTITY, "progression")], RATIO)) < 3
