"""Hazards and the likelihood of several trials, arm by arm and cell by cell, for parameters that are drawn."""

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.borrowing import Cohort, Contrast, Trials, TrialsPriors
from smm_bayes.borrowing.trials.hierarchical import (
    cell_log_likelihood,
    cohort_log_hazard,
    log_likelihood,
    simulate_counts,
)
from smm_bayes.borrowing.trials.relations import POOLED, Exchangeable, Power, Robust
from smm_bayes.survival import BaselinePrior, HazardRatioPrior, SurvivalPriors, TimeGrid

GRID = TimeGrid((6, 12))
APART, TOGETHER = (("progression",), ("death",)), (("progression", "death"),)
EXPOSURE = np.array([300.0, 250.0, 0.0])  # nobody reached the last interval, but for
LATE = np.array([0.0, 0.0, 90.0])  # regimens with a letter


def cohort(trial, regimen, role, events, series=APART, endpoint="", population=""):
    exposure = EXPOSURE + LATE * (len(regimen) == 1)
    return Cohort(trial, regimen, role, series, np.array(events, float), exposure, endpoint, population)


TRIALS = Trials((
    cohort("first", "none", "control", [[9, 7, 0], [1, 2, 0]], endpoint="end-organ"),
    cohort("first", "B", "experimental", [[4, 3, 2], [0, 2, 1]], endpoint="on treatment"),
    cohort("second", "none", "control", [[11, 6, 0]], TOGETHER, population="mixed"),
    cohort("second", "A", "experimental", [[5, 6, 3]], TOGETHER, "on treatment", "mixed"),
    cohort("pilot", "C", "single", [[1, 0, 2]], (("progression",),)),
    cohort("now", "B", "control", [[3, 2, 1], [1, 0, 0]]), cohort("now", "C", "experimental", [[2, 2, 2], [0, 1, 0]]),
), GRID, ("progression", "death"), "now")  # fmt: skip
PRIORS = TrialsPriors(
    SurvivalPriors({"progression": BaselinePrior(24, 96), "death": BaselinePrior(400, 3000)}, {"death": HazardRatioPrior(1, 3)}),
    (Contrast("B", "none", HazardRatioPrior(0.4, 1.2)), Contrast("A", "B", HazardRatioPrior(1.2, 3)), Contrast("C", "B")),
    "none", endpoints={"end-organ": HazardRatioPrior(1.3, 1.6), "on treatment": HazardRatioPrior(3, 9)},
    populations={"mixed": HazardRatioPrior(1.8, 4)},
)  # fmt: skip
STEPS = {"none": [], "B": [0], "A": [0, 1], "C": [0, 2]}  # contrasts that lead from the reference to a regimen


def drawn(relation=POOLED, draws=3):
    priors = replace(PRIORS, relation=relation)
    return priors, priors.sample(TRIALS, draws, rng=np.random.default_rng(5))


def plain(parameters, priors, draw, cohort):
    """Log hazards (cause, interval) of an arm before its trial deviates."""
    values = parameters["log_baseline"][draw].copy()
    for step in STEPS[cohort.regimen]:
        values[0] += parameters["log_contrast"][draw, step]
    if cohort.role == "experimental":
        values[1] += parameters["other_effect"][draw, ["first", "second", "now"].index(cohort.trial), 0]
    if cohort.endpoint:
        values[0] -= parameters["endpoint_offset"][draw, ["end-organ", "on treatment"].index(cohort.endpoint)]
    if cohort.population:
        values[0] -= parameters["population_offset"][draw, 0]
    return values


def cells(values, cohort):
    """Log likelihood Σ d·log λ − λ·E of an arm's series, over the intervals that somebody reached."""
    total = 0.0
    for series, causes in enumerate(cohort.series):
        for j in range(3):
            if cohort.exposure[j]:
                hazard = sum(np.exp(values[("progression", "death").index(cause), j]) for cause in causes)
                total += cohort.events[series, j] * np.log(hazard) - hazard * cohort.exposure[j]
    return total


def test_hazards_of_pooled_trials_arm_by_arm():
    priors, parameters = drawn()
    found = cohort_log_hazard(parameters, TRIALS, priors)
    assert found.shape == (3, 7, 2, 3)
    for draw in range(3):
        for k, one in enumerate(TRIALS.cohorts):
            np.testing.assert_allclose(found[draw, k], plain(parameters, priors, draw, one), rtol=1e-12)


@pytest.mark.parametrize("relation", [Exchangeable(), Exchangeable("interval")])
def test_a_trial_deviates_alike_in_its_arms_but_for_the_effect(relation):
    priors, parameters = drawn(relation)
    found = cohort_log_hazard(parameters, TRIALS, priors)
    names = list(TRIALS.names)
    for draw in range(3):
        for k, one in enumerate(TRIALS.cohorts):
            t, wanted = names.index(one.trial), plain(parameters, priors, draw, one)
            step = parameters["trial_hazard"][draw, t]
            wide = parameters["between_hazard"][draw][:, None]
            wanted += wide * (step if step.ndim == 2 else step[:, None])
            if one.role == "experimental":
                at = ["first", "second", "now"].index(one.trial)
                wanted[0] += np.ravel(parameters["between_effect"][draw])[0] * parameters["trial_effect"][draw, at]
            np.testing.assert_allclose(found[draw, k], wanted, rtol=1e-10)


def test_with_two_ways_each_trial_has_its_own_or_the_one_asked_for():
    priors, parameters = drawn(Robust(exchangeable=0.5), draws=8)
    near, far = (cohort_log_hazard(parameters, TRIALS, priors, layer=layer) for layer in (0, 1))
    assert not np.allclose(near, far)
    found, ways = cohort_log_hazard(parameters, TRIALS, priors), set()
    for draw in range(8):
        for k, one in enumerate(TRIALS.cohorts):
            first = parameters["first_layer"][draw, TRIALS.names.index(one.trial)] == 1
            np.testing.assert_array_equal(found[draw, k], (near if first else far)[draw, k])
            ways.add(first)
    assert ways == {True, False}


@pytest.mark.parametrize("powers", [None, Power(0.5, {"second": 0.2})])
def test_the_likelihood_of_a_trial_is_that_of_its_cells(powers):
    priors, parameters = drawn(powers or POOLED)
    log_hazard = cohort_log_hazard(parameters, TRIALS, priors)
    found, by_cell = log_likelihood(parameters, TRIALS, priors), cell_log_likelihood(log_hazard, TRIALS)
    assert found.shape == (3, len(TRIALS.names))
    for draw in range(3):
        whole = [cells(log_hazard[draw, k], one) for k, one in enumerate(TRIALS.cohorts)]
        assert by_cell[draw].sum() == pytest.approx(sum(whole), rel=1e-12)
        for t, name in enumerate(TRIALS.names):
            power = 1.0 if powers is None or name == "now" else {"second": 0.2}.get(name, 0.5)
            mine = sum(value for value, one in zip(whole, TRIALS.cohorts, strict=True) if one.trial == name)
            assert found[draw, t] == pytest.approx(power * mine, rel=1e-12)


def test_simulated_events_are_poisson_with_the_hazards_of_their_causes():
    priors, parameters = drawn()
    log_hazard, rng = cohort_log_hazard(parameters, TRIALS, priors)[0] + 2.0, np.random.default_rng(9)
    size = 400
    many = [simulate_counts(log_hazard, TRIALS, rng=rng) for _ in range(size)]
    assert many[0].names == TRIALS.names
    for k, one in enumerate(TRIALS.cohorts):
        events = np.array([each.cohorts[k].events for each in many])
        for series, causes in enumerate(one.series):
            rate = sum(np.exp(log_hazard[k, ("progression", "death").index(cause)]) for cause in causes) * one.exposure
            assert np.all(np.abs(events[:, series].mean(axis=0) - rate) <= 4 * np.sqrt(rate / size))
            assert np.all(events[:, series, one.exposure == 0] == 0)
