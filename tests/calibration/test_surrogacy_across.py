"""Coverage of surrogacy across trials: ranks over the prior, wrong twins, the stored table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smm_bayes.inference.calibration import calibrated
from smm_bayes.validation import coverage
from smm_bayes.validation.coverage import (
    BIVARIATE,
    DANIELS_HUGHES,
    DRAWS,
    NO_ERRORS,
    NO_RESIDUAL,
    QUANTITIES,
    coverage_table,
    simulated_ranks,
)

STORED = Path(__file__).parents[2] / "models/variants" / coverage.STORED


def test_ranks_over_the_prior_are_uniform():
    assert min(calibrated(simulated_ranks(BIVARIATE, None, 8, 200, seed=3), DRAWS).values()) > 0.05


@pytest.mark.parametrize("method", [NO_ERRORS, NO_RESIDUAL])
def test_wrong_models_are_found_out(method):
    assert calibrated(simulated_ranks(method, None, 8, 150, seed=3), DRAWS)["slope"] < 0.01


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_truths_have_the_r_squared_asked_for_and_the_prior_given_it(share):
    rng = np.random.default_rng(1)
    truth = coverage.draw_truth(4000, r_squared=share, rng=rng)
    explained = (truth["slope"] * truth["spread"]) ** 2
    assert explained / (explained + truth["residual_sd"] ** 2) == pytest.approx(share)
    free = coverage.draw_truth(400_000, rng=rng)
    explained = (free["slope"] * free["spread"]) ** 2
    near = np.abs(explained / (explained + free["residual_sd"] ** 2) - share) < 0.02
    for name in ("residual_sd", "slope", "spread"):
        a, b = np.abs(truth[name]), np.abs(free[name][near])
        assert a.mean() == pytest.approx(b.mean(), abs=4 * np.hypot(a.std() / np.sqrt(4000 / 2), b.std() / np.sqrt(len(b))))


def stored():
    return pd.read_csv(STORED)


def test_stored_coverage_over_the_prior_is_nominal():
    table = stored()
    assert set(table["method"]) == set(coverage.METHODS)
    assert set(table["quantity"]) == set(QUANTITIES)
    prior = table[(table["method"] == BIVARIATE) & table["r_squared"].isna()]
    off = (prior["coverage"] - prior["level"]) / prior["mcse"]
    assert off.abs().max() < 3.7  # of 36
    assert abs(off.mean()) < 0.7
    for method, quantity in ((NO_ERRORS, "slope"), (NO_RESIDUAL, "prediction"), (DANIELS_HUGHES, "slope")):
        wrong = table[(table["method"] == method) & (table["quantity"] == quantity) & table["r_squared"].isna()]
        assert ((wrong["level"] - wrong["coverage"]) / wrong["mcse"]).min() > 4


def test_stored_rows_are_made_again():
    """All replicates where that is quick; elsewhere their first blocks, to within the error of these."""
    keys = ["method", "r_squared", "trials", "quantity", "level"]
    made = coverage_table(methods=(DANIELS_HUGHES,), shares=(0.6,), trials=(10,))
    both = made.merge(stored(), on=keys, suffixes=("", "_stored"))
    assert len(both) == 12
    assert both["coverage"].to_numpy() == pytest.approx(both["coverage_stored"].to_numpy(), abs=2.1 / coverage.REPLICATES)  # ranks at an edge
    made = coverage_table(100, methods=(BIVARIATE,), shares=(0.6,), trials=(10,))
    both = made.merge(stored(), on=keys, suffixes=("", "_stored"))
    assert len(both) == 12
    assert ((both["coverage"] - both["coverage_stored"]).abs() <= 4 * both["mcse"]).all()
