"""Probability of success of a log-rank test at an interim analysis, against numbers of other software."""

import json
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.design import RatioPosterior, log_rank_success

STORED = json.loads((Path(__file__).parent / "borrowing_design.json").read_text())["interim"]


def chance(case, mean, sd):
    """With V = D/4 for D events of two equal arms."""
    seen, final = case["interim_events"] / 4, np.array([case["final_events"] / 4])
    posterior = RatioPosterior(np.ones((1, 1)), np.array([[mean]]), np.array([[sd]]))
    score = np.array([-case["z1"] * np.sqrt(seen)])
    return log_rank_success(posterior, score, np.array([seen]), final_variance=final, alpha=case["alpha"])[0]


@pytest.mark.parametrize("case", STORED, ids=lambda case: f"{case['observed_HR']}")
def test_conditional_and_predictive_power_to_the_printed_digits(case):
    d, observed = case["interim_events"], np.log(case["observed_HR"])
    for name, theta in (("cp_HR0.54", np.log(0.54)), ("cp_observed", observed), ("cp_null", 0.0)):
        assert chance(case, theta, 0.0) == pytest.approx(case[name], rel=1e-12)
    assert chance(case, observed, 0.0) == pytest.approx(case["rpact"]["cp_obs"], rel=1e-12)
    for name, mean, sd in (("pp_flat", 0.0, np.inf), ("pp_prior_logHR_N0_sd2", 0.0, 2.0), ("pp_prior_logHR_mean_log.7_sd.5", np.log(0.7), 0.5)):
        precision = d / 4 + sd**-2.0
        after = (observed * d / 4 + mean * sd**-2.0) / precision
        assert chance(case, after, precision**-0.5) == pytest.approx(case[name], rel=1e-12)
    # gsDesign integrates numerically, with a final bound of 1.644854 plus 4e-7
    assert case["gsDesign"]["gsPP_flat"] == pytest.approx(chance(case, observed, np.sqrt(4 / d)), abs=3e-7)


def test_a_mixture_is_averaged():
    case = STORED[0]
    both = RatioPosterior(np.array([[0.3, 0.7]]), np.array([[-0.6, 0.1]]), np.array([[0.2, 0.4]]))
    seen = np.array([case["interim_events"] / 4])
    found = log_rank_success(both, -case["z1"] * np.sqrt(seen), seen, final_variance=2 * seen, alpha=0.05)[0]
    assert found == pytest.approx(0.3 * chance(case, -0.6, 0.2) + 0.7 * chance(case, 0.1, 0.4), rel=1e-12)
