"""Doors of the prior of one arm: what is refused, and in which words."""

import numpy as np
import pytest

from smm_bayes.borrowing import (
    ArmHistory,
    BetweenTrials,
    Cohort,
    Trials,
    arm_prior,
    normalised_power_arm_prior,
    smooth_initial,
)
from smm_bayes.borrowing.trials.relations import Commensurate, Exchangeable, Robust
from smm_bayes.errors import SpecificationError
from smm_bayes.survival import BaselinePrior, TimeGrid

GRID = TimeGrid((6,))
BASELINE = BaselinePrior(24, 96)


@pytest.mark.parametrize(("names", "events", "exposure", "message"), [
    (("a",), [[1, 2, 3]], [[10, 10, 10]], r"events must have shape \(trial, interval\) \(1, 2\), on the grid.*got \(1, 3\)"),
    (("a",), [[1, -2]], [[10, 10]], "events must be finite and not negative"),
    (("a",), [[1, 2]], [[10, np.nan]], "exposure must be finite and not negative"),
    (("a",), [[1, 2]], [[10, 0]], "events in an interval without exposure"),
    (("a", "a"), [[1, 2]] * 2, [[10, 10]] * 2, "each name once; got a, a"),
    ((), np.zeros((0, 2)), np.zeros((0, 2)), "one trial at least.*got none"),
])  # fmt: skip
def test_history_that_cannot_be(names, events, exposure, message):
    with pytest.raises(SpecificationError, match=message):
        ArmHistory(GRID, names, events, exposure)


def test_all_problems_of_a_history_are_said_at_once():
    with pytest.raises(SpecificationError, match="2 problems") as caught:
        ArmHistory(GRID, ("a",), [[-1, 2]], [[1.0]])
    assert "events must be finite" in str(caught.value)
    assert "exposure must have shape" in str(caught.value)


def many(number):
    return ArmHistory(GRID, tuple(f"t{k}" for k in range(number)), np.ones((number, 2)), np.ones((number, 2)))


@pytest.mark.parametrize(("number", "relation", "found"), [(5, Commensurate(), "100,000"), (40, Robust(), "components would")])
def test_too_many_components_are_refused_before_they_are_made(number, relation, found):
    with pytest.raises(SpecificationError, match=f"{found}.*use fewer trials or nodes"):
        arm_prior(many(number), relation, BetweenTrials(), smooth_initial(BASELINE, 0.3, GRID))


def test_initial_prior_on_another_grid_or_of_two_components():
    other, here = smooth_initial(BASELINE, 0.3, TimeGrid()), smooth_initial(BASELINE, 0.3, GRID)
    for initial in (other, here.robustify(0.5, covariance=np.eye(2))):
        for make in (lambda i: arm_prior(many(1), Exchangeable(), BetweenTrials(), i), lambda i: normalised_power_arm_prior(many(1), i)):
            with pytest.raises(SpecificationError, match="must be one component of 2 log hazards"):
                make(initial)
    with pytest.raises(SpecificationError, match="yearly_sd must be above 0; got 0"):
        smooth_initial(BASELINE, 0, GRID)
    with pytest.raises(SpecificationError, match="a and b above 0"):
        normalised_power_arm_prior(many(1), here, a=0)


def test_current_counts_that_cannot_be():
    prior = arm_prior(many(1), Exchangeable(), BetweenTrials(), smooth_initial(BASELINE, 0.3, GRID))
    with pytest.raises(SpecificationError, match="events where there is no exposure"):
        prior.update([1, 0], [0, 3])
    with pytest.raises(SpecificationError, match=r"shape \(dim,\) with dim 2"):
        prior.update([1], [3])


def arm(trial, regimen, role, series, events, endpoint="", population=""):
    return Cohort(trial, regimen, role, series, np.array(events, float), np.array([30.0, 40.0]), endpoint, population)


def trials(*cohorts):
    now = arm("now", "A", "single", (("event",), ("death",)), [[1, 1], [0, 0]])
    return Trials((*cohorts, now), GRID, ("event", "death"), "now")


def test_history_is_gathered_from_trials_by_regimen_and_cause():
    given = trials(
        arm("first", "A", "control", (("death",), ("event",)), [[9, 9], [3, 4]]),
        arm("first", "B", "experimental", (("event",),), [[1, 2]]),
        arm("second", "A", "single", (("event",),), [[5, 6]]),
    )
    history = ArmHistory.of(given, "A")
    assert history.names == ("first", "second")
    np.testing.assert_array_equal(history.events, [[3, 4], [5, 6]])
    assert repr(history) == "ArmHistory: first 7 events in 70 patient-months; second 11 events in 70 patient-months"
    with pytest.raises(SpecificationError, match="no earlier trial gave C; they gave A, B"):
        ArmHistory.of(given, "C")


def test_history_that_counts_something_else_is_refused():
    given = trials(
        arm("joint", "A", "single", (("event", "death"),), [[3, 4]]),
        arm("other", "A", "single", (("event",),), [[3, 4]], "another definition"),
    )
    with pytest.raises(SpecificationError, match="2 problems") as caught:
        ArmHistory.of(given, "A")
    assert "'joint' does not count event by itself" in str(caught.value)
    assert "'other' counts another definition" in str(caught.value)


def test_patients_of_another_risk_need_a_ratio():
    given = trials(
        arm("mixed", "A", "single", (("event",),), [[3, 4]], "", "mixed risk"),
        arm("high", "A", "single", (("event",),), [[3, 4]]),
    )
    with pytest.raises(SpecificationError, match="'mixed' has patients of mixed risk; say in populations how many times"):
        ArmHistory.of(given, "A")
    history = ArmHistory.of(given, "A", populations={"mixed risk": 2.0})
    np.testing.assert_allclose(2 * history.exposure[0], history.exposure[1])


def test_what_a_prior_says_of_itself():
    prior = arm_prior(many(2), Robust(), BetweenTrials(), smooth_initial(BASELINE, 0.3, GRID))
    assert repr(prior).startswith("Robust prior from t0, t1: ")
    learnt = normalised_power_arm_prior(many(1), smooth_initial(BASELINE, 0.3, GRID))
    assert repr(learnt).startswith("Normalised power prior from t0: ")
    assert learnt.mean_power()["t0"] == pytest.approx(0.5)
