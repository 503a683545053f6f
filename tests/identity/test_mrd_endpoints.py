"""MRD beside endpoints other than the one it was read with, and on clocks of each patient's own."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from smm_bayes.inference.densities import Densities
from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.surrogacy import (
    JointLaw,
    JointPriors,
    JointShape,
    JointTable,
    MrdSchedule,
    MrdStatus,
    joint_data,
    joint_model,
    patient_log_likelihood,
    simulate_joint,
)
from smm_bayes.survival import BaselinePrior, GammaPrior, SurvivalPriors, TimeGrid
from smm_bayes.trial import Patients

CAUSES = ("progression", "death")
GRID = TimeGrid((6, 12))
SCHEDULE = MrdSchedule((4.0, 9.0), 0.5, 0.5)
SURVIVAL = SurvivalPriors({cause: BaselinePrior(30, 120) for cause in CAUSES})


def patients_of(time, cause, arm):
    time, cause = np.asarray(time, float), np.asarray(cause)
    return Patients(
        patient=np.arange(len(time)).astype(str).astype(object), arm=np.asarray(arm), time=time, event=cause >= 0,
        cause=cause, censoring=np.where(cause >= 0, "", "administrative").astype(object), enrolled=None,
        arms=("control", "experimental"), arm_names=("Old", "New"), causes=CAUSES, provenance="simulated",
    )  # fmt: skip


def parameters(rng, size=3):
    return {
        "log_hazard": np.log(rng.uniform(0.01, 0.1, (size, 2, 2, 3))),
        "log_mrd_hazard_ratio": rng.normal(-0.7, 0.4, (size, 1)),
        "status_level": rng.normal(-1, 0.5, (size, 2)), "status_log_odds_ratio": rng.normal(1, 0.5, (size, 2)),
        "status_persistence": rng.normal(2, 0.5, (size, 1)),
    }  # fmt: skip


def free_values(model, given):
    """Values of the model's free variables that have these hazards: Gamma hazards are free themselves."""
    values = {name: given[name] for name in given if name != "log_hazard"} | {"hazard": np.exp(given["log_hazard"])}
    return {variable.name: values[variable.name] for variable in model.free_RVs}


def joint_density(model, given):
    """Log likelihood at each row of the parameters, without compiling."""
    terms = Densities(model)(free_values(model, given))
    return sum(terms[name].reshape(len(terms[name]), -1).sum(axis=1) for name in ("state_events", "status", "rows"))


def by_hand(given, patients, code, landmarks, draw):
    """Log likelihood patient by patient, month by month: the paths of the visits each one reached are gone through."""
    total, edges = 0.0, [0.0, 6.0, 12.0, np.inf]
    for i, (time, arm, cause) in enumerate(zip(patients.time, patients.arm, patients.cause, strict=True)):
        reached = [k for k in range(2) if time > landmarks[i, k]]
        likelihood = 0.0
        for states in product((0, 1), repeat=len(reached)):
            if any(code[i, k] >= 0 and code[i, k] != z for k, z in zip(reached, states, strict=True)):
                continue
            value, before = 0.0, 0
            for k, z in zip(reached, states, strict=True):
                odds = given["status_level"][draw, k] + given["status_log_odds_ratio"][draw, k] * arm
                odds += given["status_persistence"][draw, 0] * before if k else 0.0
                value += np.log(1 / (1 + np.exp(-odds if z else odds)))
                before = z

            def hazard(c, month, states=states, arm=arm, i=i, reached=reached):
                cell = np.searchsorted(edges[1:-1], month)
                now = [z for k, z in zip(reached, states, strict=True) if landmarks[i, k] < month]
                effect = given["log_mrd_hazard_ratio"][draw, 0] if c == 0 and now and now[-1] else 0.0
                return np.exp(given["log_hazard"][draw, arm, c, cell] + effect)

            cuts = sorted({0.0, time, *(x for x in (6.0, 12.0, *landmarks[i]) if 0 < x < time)})
            for low, high in pairwise(cuts):
                value -= sum(hazard(c, (low + high) / 2) for c in range(2)) * (high - low)
            if cause >= 0:
                value += np.log(hazard(cause, time))
            likelihood += np.exp(value)
        total += np.log(likelihood)
    return total


@pytest.fixture(scope="module")
def own():
    """Patients on a clock from response: visits before it, after it, in the first interval and later, known or not."""
    rng = np.random.default_rng(5)
    size = 24
    start = rng.uniform(0.5, 11.0, size)
    landmarks = np.array(SCHEDULE.months) - start[:, None]
    time, cause = rng.uniform(0.5, 25, size), rng.integers(-1, 2, size)
    patients = patients_of(time, cause, rng.integers(0, 2, size))
    code = rng.integers(-1, 2, (size, 2))
    status = MrdStatus(SCHEDULE, code, time[:, None] > landmarks, patients.arm, patients.arms)
    return patients, status, landmarks


@pytest.mark.parametrize("singly", [False, True])
def test_visits_of_each_patients_own_by_hand(own, singly):
    patients, status, landmarks = own
    table = JointTable.of(patients, status, GRID, landmarks=landmarks, singly=singly)
    model = joint_model(table, GammaPrior(), JointPriors({"progression": HazardRatioPrior()}),
                        rough=GRID.tabulate(patients))  # fmt: skip
    given = parameters(np.random.default_rng(6))
    expected = [by_hand(given, patients, status.code, landmarks, draw) for draw in range(3)]
    assert joint_density(model, given) == pytest.approx(expected, abs=1e-8)


def test_mrd_that_acts_only_after_the_first_scheduled_month_would_differ(own):
    """On a clock from response the schedule's months say nothing of when a status counts."""
    patients, status, landmarks = own
    table = JointTable.of(patients, status, GRID, landmarks=landmarks)
    wrong = replace(table, shape=replace(table.shape, own_visits=False))
    given = parameters(np.random.default_rng(6))
    priors, rough = JointPriors({"progression": HazardRatioPrior()}), GRID.tabulate(patients)
    right, other = (joint_density(joint_model(t, GammaPrior(), priors, rough=rough), given) for t in (table, wrong))
    assert np.all(np.abs(right - other) > 0.01)


@pytest.fixture(scope="module")
def enrolled():
    """Patients of a joint law, a fifth of their results missing."""
    rng = np.random.default_rng(7)
    shape = JointShape.of(GRID, SCHEDULE.months, CAUSES)
    law = JointLaw.of({name: values[0] for name, values in parameters(rng).items()}, shape,
                      JointPriors({"progression": HazardRatioPrior()}))  # fmt: skip
    return simulate_joint(law, SCHEDULE, rng.integers(0, 2, 60), rng=rng, missing=0.2, cutoff=30.0)


def test_log_odds_of_missing_results_are_data_of_one_model(enrolled):
    patients, status = enrolled
    table, rough = JointTable.of(patients, status, GRID), GRID.tabulate(patients)
    priors = JointPriors({"progression": HazardRatioPrior()}, missing_log_odds=0.0)
    model = joint_model(table, GammaPrior(), priors, rough=rough)
    rng = np.random.default_rng(8)
    given = parameters(rng) | {"log_odds_missing": rng.normal(-1.5, 0.5, (3, 2))}
    law = JointLaw.of(given, table.shape, priors)
    for log_odds in (0.0, 1.3, -0.8):
        data = joint_data(table, GammaPrior(), replace(priors, missing_log_odds=log_odds), rough=rough)
        with model:
            for name, values in data.items():
                model.set_data(name, values)
        missing = 1 / (1 + np.exp(-(given["log_odds_missing"][..., None] + log_odds * np.arange(2))))
        twin = patient_log_likelihood(law, patients, status, missing=missing).sum(axis=-1)
        assert joint_density(model, given) == pytest.approx(twin, abs=1e-8), log_odds


def test_missing_at_random_is_the_same_with_and_without_the_missing_results_in_the_model(enrolled):
    """With log odds ratio 0 the likelihood is that without, times the probability of who has no result."""
    patients, status = enrolled
    law_priors = JointPriors({"progression": HazardRatioPrior()})
    shape = JointTable.of(patients, status, GRID).shape
    law = JointLaw.of(parameters(np.random.default_rng(9)), shape, law_priors)
    share = np.array([0.1, 0.3])
    without = patient_log_likelihood(law, patients, status).sum(axis=-1)
    within = patient_log_likelihood(law, patients, status, missing=np.repeat(share[:, None], 2, axis=1)).sum(axis=-1)
    code = np.where(patients.time[:, None] > np.array(SCHEDULE.months), status.code, -2)
    extra = (np.log(share) * (code == -1) + np.log(1 - share) * (code >= 0)).sum()
    assert within - without == pytest.approx(extra)
    priors = [JointPriors({"progression": HazardRatioPrior()}, missing_log_odds=x) for x in (None, 0.0)]
    names = [set(joint_data(JointTable.of(patients, status, GRID), SURVIVAL, prior, rough=GRID.tabulate(patients)))
             for prior in priors]  # fmt: skip
    assert names[1] - names[0] == {"row_assessed_data", "row_missing_data", "missing_log_odds_data"}
    assert not names[0] - names[1]


def test_refit_takes_exactly_the_data_of_the_model(enrolled):
    patients, status = enrolled
    table, rough = JointTable.of(patients, status, GRID), GRID.tabulate(patients)
    for log_odds in (None, 0.0, 1.0):
        priors = JointPriors({"progression": HazardRatioPrior()}, missing_log_odds=log_odds)
        model = joint_model(table, SURVIVAL, priors, rough=rough)
        data = joint_data(table, SURVIVAL, priors, rough=rough)
        assert {variable.name for variable in model.data_vars} == set(data)
        for variable in model.data_vars:
            assert np.array_equal(variable.get_value(), data[variable.name]), variable.name


def test_survival_after_a_visit_is_that_of_the_milestone():
    rng = np.random.default_rng(10)
    law = JointLaw.of(parameters(rng), JointShape.of(GRID, SCHEDULE.months, CAUSES),
                      JointPriors({"progression": HazardRatioPrior()}))  # fmt: skip
    for visit, month in enumerate(SCHEDULE.months):
        after = law.survival_after(month, [24.0 - month], visit=visit)[..., 0]
        assert after == pytest.approx(law.milestone(24.0, visit)[2])
    later = law.survival_after(10.0, [0.0, 5.0, 14.0])
    assert later[..., 0] == pytest.approx(1.0)
    both = law.survival_after(9.0, [1.0, 6.0, 15.0])
    assert later[..., 1:] == pytest.approx(both[..., 1:] / both[..., :1])


def test_survival_after_a_landmark_by_simulation():
    rng = np.random.default_rng(11)
    given = {name: values[0] for name, values in parameters(rng).items()}
    law = JointLaw.of(given, JointShape.of(GRID, SCHEDULE.months, CAUSES),
                      JointPriors({"progression": HazardRatioPrior()}))  # fmt: skip
    arm = np.repeat([0, 1], 100_000)
    time, _, path = law.sample(arm, rng=rng)
    state = law.states[path]
    exact = law.survival_after(6.0, [8.0], visit=0)[..., 0]  # the second visit is between
    for a, z in product((0, 1), (0, 1)):
        here = (arm == a) & (state[:, 0] == z) & (time > 6.0)
        share = (time[here] > 14.0).mean()
        assert abs(share - exact[a, z]) < 4 * np.sqrt(exact[a, z] * (1 - exact[a, z]) / here.sum())
