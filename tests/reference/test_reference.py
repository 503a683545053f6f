import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import poisson

from smm_bayes.prediction import Enrolment, FinalAnalysis, FinalData, LogRank, probability_of_success
from smm_bayes.reporting.plots import kaplan_meier
from smm_bayes.survival import GammaHazards, PiecewiseExponential, TimeGrid, log_likelihood, maximum_likelihood
from smm_bayes.survival.law import Law
from smm_bayes.survival.piecewise import cumulative_incidence
from smm_bayes.trial import Patients
from smm_bayes.trial.calendar import TICKS_PER_MONTH
from smm_bayes.trial.table import Table, read_csv


def completed(patients, log_hazard, grid, **options):
    """Complete a trial from log hazards (chain, draw, arm, cause, interval)."""
    law = Law.plain(log_hazard, grid, patients.arms, patients.causes)
    return probability_of_success(patients, law, **options)

HERE = Path(__file__).parent
REFERENCE = json.loads((HERE / "reference.json").read_text())
MGUS2 = REFERENCE["mgus2"]
GRID = TimeGrid(MGUS2["cuts"])


@pytest.fixture(scope="module")
def table(mgus2):
    return GRID.tabulate(mgus2.count_only("progression"))


def test_events_and_exposure_by_interval(table):
    for row in MGUS2["table"]:
        arm = 0 if row["x"] == 1 else 1  # high is the control arm
        assert table.events[arm, 0, row["j"] - 1] == row["events"]
        assert table.exposure[arm, row["j"] - 1] == pytest.approx(row["exposure"], rel=1e-12)


def test_events_at_a_cut_belong_to_the_interval_that_ends_there(table):
    left_closed = [row["events"] for row in MGUS2["left_closed_table"] if row["x"] == 1]
    assert not np.array_equal(table.events[0, 0], left_closed)  # the other rule gives other counts: this can fail


def test_maximum_likelihood(table):
    found = maximum_likelihood(table.events[:, 0], table.exposure)
    # control is the high group here, so the ratio is turned round
    assert -found.log_hazard_ratio == pytest.approx(MGUS2["log_hr_high"], abs=1e-6)
    assert found.standard_error == pytest.approx(MGUS2["se_log_hr"], abs=1e-6)
    low = found.log_hazard + found.log_hazard_ratio
    np.testing.assert_allclose(low, MGUS2["log_hazard_low"], atol=1e-6)
    log_hazard = np.stack([found.log_hazard, low])[:, None]
    assert log_likelihood(log_hazard, table) == pytest.approx(MGUS2["loglik"], abs=1e-6)


def test_exponential_maximum_likelihood(mgus2):
    table = TimeGrid(()).tabulate(mgus2.count_only("progression"))
    found = maximum_likelihood(table.events[:, 0], table.exposure)
    assert -found.log_hazard_ratio == pytest.approx(MGUS2["exponential"]["coef"][1], abs=1e-6)
    assert found.standard_error == pytest.approx(np.sqrt(1 / 55 + 1 / 60), rel=1e-10)  # exact
    # R's glm takes the weights of the last iteration but one
    assert found.standard_error == pytest.approx(MGUS2["exponential"]["se"][1], rel=1e-4)


def test_poisson_regression_agrees(table):
    import statsmodels.api as sm

    events, exposure = table.events[:, 0].ravel(), table.exposure.ravel()
    arm, interval = (x.ravel() for x in np.indices(table.exposure.shape))
    design = np.c_[np.eye(len(GRID))[interval], arm]
    result = sm.GLM(events, design, family=sm.families.Poisson(), offset=np.log(exposure)).fit(tol=1e-12)
    found = maximum_likelihood(table.events[:, 0], table.exposure)
    np.testing.assert_allclose(result.params, [*found.log_hazard, found.log_hazard_ratio], atol=1e-8)


def test_kaplan_meier(mgus2):
    for index, name in enumerate(("high=1", "high=0")):
        curve = kaplan_meier(mgus2.count_only("progression"), index)
        at = MGUS2["km_loglog"][name]["at"]
        rows = np.searchsorted(curve["time"], at["time"], side="right") - 1
        for column, target in (("survival", "surv"), ("lower", "lower"), ("upper", "upper")):
            np.testing.assert_allclose(curve[column].to_numpy()[rows], at[target], atol=1e-9)


def test_log_rank(mgus2):
    final = FinalData.of(mgus2, FinalAnalysis("follow_up", follow_up=1e4, causes=("progression",)), GRID)
    assert final.z[0] ** 2 == pytest.approx(MGUS2["logrank"]["chisq"], rel=1e-10)
    low_group = MGUS2["logrank"]["observed"][0] - MGUS2["logrank"]["expected"][0]
    assert final.score[0] == pytest.approx(low_group, rel=1e-10)
    assert final.variance[0] == pytest.approx(MGUS2["logrank"]["var"][0][0], rel=1e-10)


def test_piecewise_distribution():
    known = REFERENCE["piecewise_distribution"]
    law = PiecewiseExponential(np.log([0.08, 0.05, 0.03]), TimeGrid((6, 12)))
    np.testing.assert_allclose(1 - law.survival(np.array(known["t"])), known["cdf"], atol=1e-12)
    found = [float(law.quantile(p)) for p in known["quantile_p"]]
    np.testing.assert_allclose(found, known["quantile"], rtol=1e-12)


def test_cumulative_incidence_is_near_aalen_johansen(mgus2):
    # fine intervals: the model's maximum likelihood is close to the nonparametric estimate, well within its error
    grid = TimeGrid(tuple(range(3, 241, 3)))
    table = grid.tabulate(mgus2)
    with np.errstate(divide="ignore"):
        log_hazard = np.log(table.events / np.maximum(table.cell_exposure, 1e-9))
    for row in MGUS2["aalen_johansen"]:
        arm = 0 if row["strata"] == "high=1" else 1
        found = cumulative_incidence(log_hazard[arm], grid, np.array(row["time"], dtype=float))
        np.testing.assert_allclose(found[0], row["pcm"], atol=0.15 * max(row["se_pcm"]))
        np.testing.assert_allclose(found[1], row["death"], atol=0.5 * max(row["se_death"]))


def goldilocks():
    text = read_csv(HERE / "goldilocks_interim.csv")
    there = text.take([value == "TRUE" for value in text.columns["subject_enrolled"]])
    columns = {
        "patient": there.columns["id"], "arm": there.columns["treatment"], "time": there.columns["time"],
        "event": there.columns["event"], "enrolled": there.columns["enrollment"],
        "censoring": ["lost" if lost == "TRUE" else "" for lost in there.columns["loss_to_fu"]],
    }  # fmt: skip
    return Patients.from_frame(Table("interim", columns, there.rows), arms={"control": "0", "experimental": "1"},
                               provenance="simulated", censoring="administrative")  # fmt: skip


@pytest.mark.parametrize(
    ("enrolment", "key", "error"),
    [(None, "PP_now_stop_enrolment", "mcse_now"),
     (Enrolment({"control": 60, "experimental": 60}), "PP_max_full_N", "mcse_max")],
)  # fmt: skip
def test_predictive_probabilities_of_goldilocks(enrolment, key, error):
    known = REFERENCE["goldilocks"]
    patients, grid = goldilocks(), TimeGrid(known["cutpoints"])
    table = grid.tabulate(patients)
    for row in known["suff"]:
        cell = (row["treatment"], int(row["interval"]) - 1)
        # the reference adds times that are on no clock; each patient's is at most half a tick away
        assert table.exposure[cell] == pytest.approx(row["tot_time"], rel=0, abs=len(patients) / 2 / TICKS_PER_MONTH)
        assert table.events[cell[0], 0, cell[1]] == row["tot_events"]
    posterior = GammaHazards.prior(table, *known["prior_gamma"]).update(table)
    draws = posterior.sample(40_000, rng=np.random.default_rng(5))[None]
    found = completed(
        patients, draws, grid, final=FinalAnalysis("follow_up", follow_up=known["end_of_study"]),
        rule=LogRank(1 - known["prob_ha"]), enrolment=enrolment, complete=("administrative", "lost"),
        replicates=40_000, seed=6,
    )  # fmt: skip
    assert abs(found.probability - known[key]) < 4 * np.hypot(found.mcse, known[error])


def test_lost_patients_are_kept_unless_asked():
    patients, grid = goldilocks(), TimeGrid((6, 12))
    draws = GammaHazards.prior(grid.tabulate(patients), 0.1, 0.1).update(grid.tabulate(patients)).sample(
        4000, rng=np.random.default_rng(5))[None]  # fmt: skip
    options = {"final": FinalAnalysis("follow_up", follow_up=24), "rule": LogRank(0.05), "replicates": 4000, "seed": 6}
    kept = completed(patients, draws, grid, **options)
    longer = completed(patients, draws, grid, complete=("administrative", "lost"), **options)
    assert kept.counted_events.mean() < longer.counted_events.mean() - 0.2


def test_power_of_the_log_rank_rule_in_closed_form():
    """Schoenfeld: with 66 events at HR 0.54 and one-sided 5 % the power is 0.80 (also by rpact)."""
    design = REFERENCE["design"]["power_66_events"]
    size, rng = 300, np.random.default_rng(3)
    patients = Patients(
        patient=np.arange(size).astype(object), arm=np.arange(size) % 2, time=np.zeros(size), event=np.zeros(size, bool),
        cause=np.full(size, -1), censoring=np.full(size, "administrative", dtype=object),
        enrolled=rng.uniform(-0.001, 0, size), arms=("control", "experimental"), arm_names=("c", "e"),
        causes=("event",), provenance="simulated", data_cutoff=0.0,
    )  # fmt: skip
    for hazard_ratio, power in zip(design["hr"], design["closed_form"], strict=True):
        if hazard_ratio not in (0.54, 0.7, 1):
            continue
        truth = np.log(0.02 * np.array([1, hazard_ratio])).reshape(1, 1, 2, 1, 1)
        found = completed(patients, truth, TimeGrid(()), final=FinalAnalysis("events", events=66),
                                       rule=LogRank(0.05), replicates=20_000, seed=7)  # fmt: skip
        # the formula is asymptotic (log-rank variance D/4): within 2 points
        assert found.probability == pytest.approx(power, abs=0.02)
        assert np.all(found.counted_events == 66)


def test_poisson_and_survival_likelihood_differ_by_a_constant(table):
    rng = np.random.default_rng(1)
    difference = []
    for _ in range(3):
        log_hazard = np.log(0.001) + rng.normal(size=table.events.shape)
        counted = poisson.logpmf(table.events, table.cell_exposure * np.exp(log_hazard)).sum()
        difference.append(counted - log_likelihood(log_hazard, table))
    assert np.ptp(difference) < 1e-8
