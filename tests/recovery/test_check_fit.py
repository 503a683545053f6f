"""A check of real fits: it passes the right model, fails the wrong one, and says so."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from smm_bayes.errors import SpecificationError
from smm_bayes.inference import fit
from smm_bayes.reporting.checks import plot_check
from smm_bayes.survival import (
    BaselinePrior,
    GammaPrior,
    HazardRatioPrior,
    SurvivalPriors,
    TimeGrid,
    model_data,
    patient_log_likelihood,
    piecewise_exponential_model,
)
from smm_bayes.survival import replicated as predictive
from smm_bayes.survival.check import check_fit
from smm_bayes.survival.cross_validation import compare
from smm_bayes.trial import Patients

FINE, ONE = TimeGrid((4, 8, 12, 16, 20, 24, 28)), TimeGrid(())
PRIORS = SurvivalPriors({"event": BaselinePrior(24, 96)}, {"event": HazardRatioPrior(0.8, 2.0)})
GAMMA = GammaPrior(1.0, 40)


@pytest.fixture(scope="module")
def patients():
    """Weibull times of shape 1.8 with a hazard ratio of 0.6, cut at 36 months."""
    rng = np.random.default_rng(1)
    size = 300
    arm, enrolled = np.arange(size) % 2, np.sort(rng.uniform(0, 18, size))
    time = 20 * (rng.exponential(size=size) / 0.6**arm) ** (1 / 1.8)
    event = time <= 36 - enrolled
    return Patients(
        patient=np.arange(size).astype(str).astype(object), arm=arm, time=np.minimum(time, 36 - enrolled), event=event,
        cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object),
        enrolled=enrolled, arms=("control", "experimental"), arm_names=("old", "new"), causes=("event",),
        provenance="simulated", data_cutoff=36.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def right_model(patients):
    return piecewise_exponential_model(FINE.tabulate(patients), PRIORS)


@pytest.fixture(scope="module")
def right(right_model):
    return fit(right_model, seed=1).require_convergence()


@pytest.fixture(scope="module")
def wrong(patients):
    return fit(piecewise_exponential_model(ONE.tabulate(patients), GAMMA), seed=1).require_convergence()


@pytest.fixture(scope="module")
def good(right, patients):
    return check_fit(right, patients, FINE, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def bad(wrong, patients):
    return check_fit(wrong, patients, ONE, rng=np.random.default_rng(1), draws=200)


def test_the_right_model_passes(good):
    table = good.table()
    assert good.passed
    assert good.predictive.inside.mean() >= 0.9
    assert list(table.columns) == ["check", "statistic", "value", "reference", "verdict"]
    assert not table["verdict"].str.contains("NOT").any()
    assert table.set_index(["check", "statistic"]).loc[("events", "p-value"), "value"] > 0.05
    assert good.summary().startswith("The data look like data from the model")
    assert good.summary().endswith("Data: simulated.")
    assert repr(good) == f"FitCheck: {good.summary()}"


def test_the_wrong_model_fails(bad):
    assert bad.convergence.passed
    assert not bad.passed
    assert bad.predictive.inside.mean() < 0.9
    assert bad.sensitivity is None  # no parameter but the hazards
    verdicts = bad.table().set_index(["check", "statistic"])["verdict"]
    assert verdicts["events", "p-value"] == "DOES NOT FIT"
    assert "The model does not fit events" in bad.summary()


def test_cross_validation_prefers_the_right_model(right, wrong, patients):
    table = compare({"exponential": (wrong, patients, ONE), "smooth": (right, patients, FINE)}).table()
    assert list(table.index) == ["smooth", "exponential"]
    difference = table.loc["exponential"]
    assert abs(difference["elpd_diff"]) > 3 * difference["dse"] > 0
    shuffled = patients.take(np.arange(300) < 299)
    with pytest.raises(SpecificationError, match="'smooth' are not those of the first"):
        compare({"exponential": (wrong, patients, ONE), "smooth": (right, shuffled, FINE)})


def test_elpd_is_near_the_log_likelihood_left_out_by_hand(wrong, patients, bad):
    """Gamma hazards: the predictive density of a patient left out is Lomax, in closed form."""
    table = ONE.tabulate(patients)
    shape = GAMMA.shape + table.events[patients.arm, 0, 0] - patients.event
    rate = GAMMA.rate + table.exposure[patients.arm, 0] - patients.time
    exact = np.where(patients.event, np.log(shape / (rate + patients.time)), 0) + shape * np.log(
        rate / (rate + patients.time)
    )
    np.testing.assert_allclose(bad.loo.by_patient, exact, atol=0.01)
    assert bad.loo.elpd == pytest.approx(exact.sum(), abs=0.2)
    assert bad.unreliable == 0


def test_patients_sum_to_the_fits_own_log_likelihood(right, patients):
    draws = right.posterior["log_hazard"].transpose(*predictive.DIMS).values
    cells = right.data["cell_log_likelihood"]["events"].sum("cell").values
    np.testing.assert_allclose(patient_log_likelihood(draws, patients, FINE).sum(-1), cells, rtol=1e-10)


def test_other_patients_than_the_fits_are_refused(right, patients):
    other = dataclasses.replace(patients, time=patients.time * 0.9)
    with pytest.raises(SpecificationError, match="not one of these patients"):
        check_fit(right, other, FINE, rng=np.random.default_rng(1))
    with pytest.raises(SpecificationError, match=r"need \(2, 1, 1\)"):
        check_fit(right, patients, ONE, rng=np.random.default_rng(1))


def test_a_prior_against_the_data_is_said(right_model, right, patients, good):
    """A hazard ratio near 3 expected, near 0.6 seen."""
    assert set(good.sensitivity.index) == {"level[event]", "smoothness[event]", "log_hazard_ratio[event]"}
    priors = SurvivalPriors({"event": BaselinePrior(24, 96)}, {"event": HazardRatioPrior(3.0, 4.0)})
    table = FINE.tabulate(patients)
    fitted = fit(piecewise_exponential_model(table, priors), seed=1).require_convergence()
    against = check_fit(fitted, patients, FINE, rng=np.random.default_rng(1), draws=100)
    name = "power scaling: log_hazard_ratio[event]"
    verdict = against.table().set_index("check").loc[name, "verdict"]
    assert verdict == "prior and data both move it: a prior-data conflict is possible"
    assert against.sensitivity.loc["log_hazard_ratio[event]", "prior"] > 3 * (
        good.sensitivity.loc["log_hazard_ratio[event]", "prior"]
    )
    assert "log_hazard_ratio[event]" in against.summary()


def test_the_linear_refit_is_near_a_real_one(right_model, right, patients):
    """Posterior mean hazards of replicated data: much nearer to the linear refit than to no refit."""
    draws = right.posterior["log_hazard"].transpose(*predictive.DIMS).values.reshape(-1, 2, 1, len(FINE))
    refit = predictive._Refit.of(draws, patients, FINE, FINE)
    spread = np.exp(draws).std(axis=0)
    steps, errors = [], []
    for time, cause in zip(*predictive.replicate(draws[::800], patients, FINE, rng=np.random.default_rng(2)), strict=True):
        table = predictive._tabulate(time, cause, patients, FINE)
        again = fit(right_model, seed=1, data=model_data(table, PRIORS), draws=500, attempts=1)
        mean = np.exp(again.posterior["log_hazard"]).mean(("chain", "draw")).transpose("arm", "cause", "interval").values
        steps.append((mean - refit.root**2) / spread)
        errors.append((mean - refit.hazards(time, cause, patients)) / spread)
    assert len(steps) == 5
    assert np.sqrt(np.mean(np.square(errors))) < 0.6 * np.sqrt(np.mean(np.square(steps)))


def test_the_figure_says_what_the_data_are_and_what_was_found(good):
    figure = plot_check(good)
    assert figure.get_suptitle() == "Data: simulated (trial, 300 patients)"
    survival, pareto, events, residuals = figure.axes
    assert survival.get_ylabel() == "free of any event"
    assert {text.get_text() for text in survival.get_legend().get_texts()} == {
        f"{arm}: {what}" for arm in ("old", "new") for what in ("replicated, 95 %", "Kaplan–Meier")
    }
    assert any(text.get_text() == "150" for text in survival.texts)  # at risk at the start
    assert sum(len(line.get_xdata()) for line in pareto.lines[:-1]) == 300
    assert events.get_title() == "Events by interval, event"
    p = good.predictive.p_values["residuals: event, control"]
    assert f"control: observed, p = {p:.3f}" in [text.get_text() for text in residuals.get_legend().get_texts()]
    plt.close(figure)


def test_arvizs_censored_curves_are_still_not_those_of_censored_patients():
    """When this fails, az.plot_ppc_censored may take the place of our own figure."""
    from arviz_stats.survival import generate_survival_curves

    rng = np.random.default_rng(1)
    follow_up = rng.uniform(10, 40, 200)
    time = np.minimum(rng.exponential(60, 200), follow_up)
    drawn = rng.exponential(60, (1, 20, 200))
    data = xr.DataTree.from_dict({
        "observed_data": xr.Dataset({"time": ("patient", time)}),
        "posterior_predictive": xr.Dataset({"time": (("chain", "draw", "patient"), drawn)}),
    })  # fmt: skip
    curves = generate_survival_curves(data, ["time"], num_samples=20)["time"].values
    at_30 = [survival[np.nansum(times <= 30) - 1] for times, survival in zip(*curves, strict=True)]
    assert abs(np.mean(at_30) - np.exp(-0.5)) > 0.2  # the truth is 0.61
