"""The exact posterior as a fit, and curves with the patients at risk, by hand."""

import numpy as np
import pandas as pd
import pytest

import smm_bayes as smm
from smm_bayes.errors import SpecificationError
from smm_bayes.survival import GammaHazards, exact_fit, follow_up_horizon

ARMS = {"control": "old", "experimental": "new"}
ROWS = pd.DataFrame({"patient": range(8), "arm": ["old", "new"] * 4, "time": [2.0, 3, 2, 7, 5, 7, 9, 12],
                     "event": [1, 1, 1, 0, 0, 1, 1, 0], "entry": [0.0, 0, 0, 4, 0, 0, 6, 0]})  # fmt: skip


def patients(entry=False):
    return smm.read_patients(ROWS if entry else ROWS.drop(columns="entry"), arms=ARMS)


def test_draws_have_the_mean_of_the_closed_form():
    """Draws are independent, so the Monte Carlo error is the standard deviation over the root of their number."""
    model = smm.OneTrial.of(patients(), smm.TimeGrid((4, 8)), smm.GammaPrior(0.5, 50))
    fit = exact_fit(model, seed=1, draws=2000)
    exact = GammaHazards.prior(model.table, 0.5, 50).update(model.table)
    draws = fit.posterior["log_hazard"].to_numpy().reshape(8000, *exact.shape.shape)
    assert np.all(np.abs(draws.mean(axis=0) - exact.mean_log()) < 4 * draws.std(axis=0) / np.sqrt(8000))
    assert fit == exact_fit(model, seed=1, draws=2000)
    assert fit.fingerprint != exact_fit(model, seed=2, draws=2000).fingerprint
    np.testing.assert_allclose(np.exp(fit.posterior["log_hazard"]), fit.posterior["hazard"])


def test_another_prior_has_no_closed_form():
    priors = smm.SurvivalPriors({"event": smm.BaselinePrior(24, 96)})
    with pytest.raises(SpecificationError, match="GammaPrior only"):
        exact_fit(smm.OneTrial.of(patients(), smm.TimeGrid((4,)), priors), seed=1)


def test_estimands_of_a_fit_end_where_an_arm_has_nobody_followed():
    fit = exact_fit(smm.OneTrial.of(patients(), smm.TimeGrid((4,)), smm.GammaPrior(0.5, 50)), seed=1)
    found = smm.Estimands.of(fit)
    assert found.horizon == follow_up_horizon(patients()) == 9.0
    assert set(found.table()["time"]) == {9.0}  # the usual months are later
    assert smm.Estimands.of(fit, extrapolate=True).horizon is None
    assert found.summary().startswith("Free of event at month 9: control 0.")
    with pytest.raises(SpecificationError, match="does not know its model"):
        smm.Estimands.of(smm.Fit(fit.data, fit.convergence, (), 1, ""))


@pytest.mark.parametrize(("entry", "at_risk"), [(False, [4, 1, 4, 3]), (True, [3, 1, 3, 3])])
def test_curves_with_the_patients_at_risk(entry, at_risk):
    """Who enters later is not at risk before; limits are wider where more is to be covered."""
    curves = smm.kaplan_meier(patients(entry))
    table = curves.table()
    assert table["arm"].tolist() == ["old", "old", "new", "new"]
    assert table["time"].tolist() == [2, 9, 3, 7]
    assert table["events"].tolist() == [2, 1, 1, 1]
    assert table["at_risk"].tolist() == at_risk
    one = 1 - table["events"] / table["at_risk"]
    assert table["survival"].tolist() == pytest.approx([one[0], one[0] * one[1], one[2], one[2] * one[3]])
    assert table["survival"].tolist() == [float(curves[arm].at(time)) for arm, time in zip(table["arm"], table["time"], strict=True)]
    wide = curves.table(probability=0.99)
    assert (wide["lower"] <= table["lower"]).all()
    assert wide["lower"].sum() < table["lower"].sum()
