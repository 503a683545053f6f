"""A regression fitted: what is there is found, what is not there shrinks away."""

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.inference.sampling import fit
from smm_bayes.survival import BaselinePrior, Estimands, HazardRatioPrior, SurvivalPriors, TimeGrid
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.regression import Regression, regression_data, regression_model
from smm_bayes.survival.regression_priors import CovariatePrior, RegressionPriors
from smm_bayes.survival.subgroups import subgroup_hazard_ratios
from smm_bayes.trial import Patients

GRID = TimeGrid((12, 24))
PRIORS = RegressionPriors(SurvivalPriors({"event": BaselinePrior(24, 96)}, {"event": HazardRatioPrior()}),
                          {"age": CovariatePrior(1.0, 2.5, per=10, centre=65)})  # fmt: skip
SIZE = 1200


def simulated(seed, predictive=0.0):
    """1200 patients; strata have hazards 0.02 and 0.04, a decade of age counts 1.3, treatment 0.6, high risk 1.8."""
    rng, every = np.random.default_rng(seed), np.arange(SIZE)
    arm, stratum, high, decade = every % 2, every // 2 % 2, every // 4 % 3 == 0, every // 12 % 3 - 1
    log_hazard = np.log(np.where(stratum, 0.04, 0.02)) + np.log(1.3) * decade + np.log(1.8) * high
    log_hazard += arm * (np.log(0.6) + predictive * high)
    time = rng.exponential(np.exp(-log_hazard))
    event = time <= 48
    return Patients(
        patient=every.astype(str).astype(object), arm=arm, time=np.minimum(time, 48.0), event=event,
        cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object), enrolled=None,
        arms=("control", "experimental"), arm_names=("A", "B"), causes=("event",), provenance="simulated",
        stratum=np.where(stratum, "late", "early").astype(object),
        covariates={"age": 65.0 + 10 * decade, "risk": np.where(high, "high", "low").astype(object)},
    )  # fmt: skip


def tabulated(patients):
    return PatternTable.of(patients, GRID, strata=True, covariates=("age",), subgroups=("risk",))


@pytest.fixture(scope="module")
def fits():
    """The model compiled once, fitted to twelve trials without and to one with a subgroup that does not benefit."""
    trials = [simulated(seed) for seed in range(12)] + [simulated(50, predictive=np.log(1 / 0.6))]
    tables = [tabulated(patients) for patients in trials]
    model = regression_model(tables[0], PRIORS)
    return trials, tables, [fit(model, seed=seed, data=regression_data(table, PRIORS), log_densities=False)
                            for seed, table in enumerate(tables)], model  # fmt: skip


def test_truth_is_recovered_on_average(fits):
    """Bias over twelve trials within four standard errors, for treatment, age, risk and both strata's hazards."""
    _, tables, found, _ = fits
    assert all(one.convergence.passed for one in found)
    truth = {"age": np.log(1.3), "risk": np.log(1.8), "treatment": np.log(0.6), "early": np.log(0.02), "late": np.log(0.04)}
    estimates = {name: [] for name in truth}
    for one in found[:12]:
        posterior = one.posterior
        effect = posterior["prognostic_effect"].mean(("chain", "draw")).values[0]
        levels = tables[0].level_names
        typical = effect.mean()  # 0: both strata's baselines are midway between the risk groups
        estimates["age"].append(float(posterior["covariate_effect"].mean()))
        estimates["risk"].append(effect[levels.index("risk: high")] - effect[levels.index("risk: low")])
        estimates["treatment"].append(float(posterior["log_hazard_ratio"].mean()))
        baseline = posterior["log_baseline"].mean(("chain", "draw")).values[:, :2].mean(axis=1) + typical
        estimates["early"].append(baseline[0] - np.log(1.8) / 2)
        estimates["late"].append(baseline[1] - np.log(1.8) / 2)
    for name, values in estimates.items():
        bias, error = np.mean(values) - truth[name], np.std(values, ddof=1) / np.sqrt(12)
        assert abs(bias) < 4 * error + 0.02, (name, bias, error)  # 0.02: shrinkage towards the prior's middle


def test_subgroups_that_do_not_differ_shrink_and_those_that_do_stay_apart(fits):
    """Estimates of two subgroups are nearer to each other than subgroups analysed alone, unless they truly differ."""
    trials, tables, found, _ = fits
    together, alone = [], []
    for patients, table, one in zip(trials[:12], tables, found, strict=False):
        ratios = np.log(subgroup_hazard_ratios(one.posterior, table, "event")).mean(("chain", "draw")).values
        together.append(ratios[1] - ratios[2])
        by = []
        for level in ("high", "low"):
            rows = patients.covariates["risk"] == level
            events = [patients.event[rows & (patients.arm == arm)].sum() for arm in (0, 1)]
            exposure = [patients.time[rows & (patients.arm == arm)].sum() for arm in (0, 1)]
            by.append(np.log(events[1] / exposure[1]) - np.log(events[0] / exposure[0]))
        alone.append(by[0] - by[1])
    assert np.mean(np.square(together)) < 0.5 * np.mean(np.square(alone))
    apart = subgroup_hazard_ratios(found[12].posterior, tables[12], "event")
    difference = np.log(apart.sel(level="risk: high")) - np.log(apart.sel(level="risk: low"))
    assert float((difference > 0).mean()) > 0.95


def test_standardised_difference_covers_the_truth(fits):
    """95 % intervals of the difference at two years hold the truth, computed patient by patient, most of the time."""
    _, tables, found, _ = fits
    every, inside = np.arange(SIZE), 0
    stratum, high, decade = every // 2 % 2, every // 4 % 3 == 0, every // 12 % 3 - 1
    hazard = np.where(stratum, 0.04, 0.02) * 1.3**decade * np.where(high, 1.8, 1.0)
    truth = np.mean(np.exp(-24 * hazard * 0.6) - np.exp(-24 * hazard))
    for table, one in zip(tables[:12], found, strict=False):
        draws = Estimands(Regression(table, PRIORS).law(one.posterior), horizon=48).milestone_difference(24).values
        inside += np.quantile(draws, 0.025) <= truth <= np.quantile(draws, 0.975)
    assert inside >= 10  # of 12; at 95 % coverage fewer happens once in 50


def test_a_table_of_other_patterns_is_refused(fits):
    from smm_bayes.errors import SpecificationError

    trials, tables, _, model = fits
    fewer = tabulated(trials[0].take(np.arange(SIZE) < 30))
    assert len(fewer) < len(tables[0])
    with pytest.raises(SpecificationError, match="shape"):
        fit(model, seed=1, data=regression_data(fewer, PRIORS))
    with pytest.raises(SpecificationError, match="baseline of cause 'event'"):
        regression_model(tables[0], replace(PRIORS, survival=SurvivalPriors({})))
