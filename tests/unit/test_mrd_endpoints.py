"""MRD status carried to other endpoints of the same trial; what the door refuses."""

import datetime
from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.surrogacy import (
    AssayError,
    Fading,
    JointLaw,
    JointPriors,
    JointTable,
    MrdSchedule,
    joint_model,
    joint_sensitivity,
    landmarks_of,
    latest_status,
    status_for,
)
from smm_bayes.surrogacy.visits.status import MISSING, NEGATIVE, NOT_YET, POSITIVE
from smm_bayes.survival import GammaPrior, TimeGrid
from smm_bayes.trial import Courses, Patients
from smm_bayes.trial.endpoints import DURATION_OF_RESPONSE, OS, PFS, PFS2
from smm_bayes.trial.mrd import MrdAssessments

SCHEDULE = MrdSchedule((4.0, 9.0), 0.5, 0.5)
NONE = np.nan


def courses():
    """Months since the first enrolment.

    A responds at 2, has results at both visits and dies at 30 without progression. B progresses at 3 and lives. C
    responds at 6, progresses at 20 and dies at 25. D progresses at 8.7, between its visit's window and the visit. E is
    enrolled late and still before the second visit. F progresses on the day of the first visit, and dies at 8. B has a
    new therapy from 4 on and progresses on it at 14.
    """
    columns = {
        "enrolled": [0.0, 1.0, 2.0, 3.0, 30.0, 4.0], "response": [2.0, NONE, 8.0, NONE, NONE, NONE],
        "progression": [NONE, 4.0, 22.0, 11.7, NONE, 8.0], "second_progression": [NONE, 15.0, NONE, NONE, NONE, NONE],
        "death": [30.0, NONE, 27.0, NONE, NONE, 12.0],
        "last_assessment": [29.0, 36.0, 26.0, 36.0, 36.0, 11.0], "last_alive": [30.0, 36.0, 27.0, 36.0, 36.0, 12.0],
    }  # fmt: skip
    values = {name: np.array(column) for name, column in columns.items()}
    return Courses(
        patient=np.array(list("ABCDEF"), dtype=object), arm=np.array([0, 0, 1, 1, 1, 0]),
        new_therapy=np.array([NONE, 5.0, NONE, NONE, NONE, NONE]), censoring=np.where(np.isnan(values["death"]), "administrative", "").astype(object),
        arms=("control", "experimental"), arm_names=("Old", "New"), data_cutoff=36.0, provenance="simulated", **values,
    )  # fmt: skip


def with_mrd():
    """PFS with results: A negative at both visits, C not and then negative, B, D and F none, E not at the first."""
    patients = PFS.patients(courses())
    row, time = np.array([0, 0, 2, 2, 4]), np.array([4.0, 9.0, 4.0, 9.2, 4.1])
    mrd = MrdAssessments(row, time, np.array([True, True, False, True, False]), np.full(5, 1e-5))
    return replace(patients, mrd=mrd)


def test_who_progressed_is_not_negative_on_overall_survival():
    pfs = with_mrd()
    status = SCHEDULE.assign(pfs)
    assert status.code.tolist() == [[1, 1], [NOT_YET] * 2, [0, 1], [MISSING, NOT_YET], [0, NOT_YET], [NOT_YET] * 2]
    survival = OS.patients(courses())
    found = status_for(status, pfs, survival)
    assert found.code.tolist() == [
        [NEGATIVE, NEGATIVE],
        [POSITIVE, POSITIVE],  # progressed at 3, alive at both visits
        [POSITIVE, NEGATIVE],
        [MISSING, POSITIVE],  # not assessed at the first visit, while event-free; progressed at 8.7
        [POSITIVE, NOT_YET],  # followed to month 6
        [POSITIVE, NOT_YET],  # progressed on the first visit's day; died before the second
    ]
    assert found.at_risk.tolist() == [[True, True], [True, True], [True, True], [True, True], [True, False],
                                      [True, False]]  # fmt: skip
    ignored = status_for(status, pfs, survival, progression=None)
    assert ignored.code[[1, 3]].tolist() == [[MISSING, MISSING], [MISSING, MISSING]]


def test_counting_them_as_missing_would_take_deaths_after_progression_from_the_not_negative():
    pfs, survival = with_mrd(), OS.patients(courses())
    status, grid = SCHEDULE.assign(with_mrd()), TimeGrid(())
    right, wrong = (JointTable.of(survival, status_for(status, pfs, survival, progression=cause), grid)
                    for cause in ("progression", None))  # fmt: skip
    assert len(right.rows) == 1  # D, of whom the first result is missing
    assert len(wrong.rows) == 3
    assert right.events.sum(axis=(0, 1, 2)).tolist() == [1, 2]  # F after progression; A and C while negative
    assert wrong.events.sum(axis=(0, 1, 2)).tolist() == [0, 2]


def test_the_endpoint_with_progression_keeps_its_status():
    pfs = with_mrd()
    status = SCHEDULE.assign(pfs)
    found = status_for(status, pfs, PFS.patients(courses()))
    assert np.array_equal(found.code, status.code)
    assert np.array_equal(found.at_risk, status.at_risk)


def test_second_progression_goes_on_after_the_first():
    pfs = with_mrd()
    found = status_for(SCHEDULE.assign(pfs), pfs, PFS2.patients(courses()))
    assert found.code[1].tolist() == [POSITIVE, POSITIVE]
    assert found.at_risk[1].tolist() == [True, True]


def test_duration_of_response_has_visits_of_each_patients_own():
    pfs, duration = with_mrd(), DURATION_OF_RESPONSE.patients(courses())
    landmarks = landmarks_of(SCHEDULE, pfs, duration)
    assert duration.patient.tolist() == ["A", "C"]
    assert landmarks.tolist() == [[2.0, 7.0], [-2.0, 3.0]]  # A responds at month 2, C at 6, after the first visit
    status = status_for(SCHEDULE.assign(pfs), pfs, duration)
    assert status.code.tolist() == [[1, 1], [0, 1]]
    table = JointTable.of(duration, status, TimeGrid((5.0,)), landmarks=landmarks)
    assert table.shape.own_visits
    assert table.exposure[0].tolist() == [[2.0, 3.0], [0.0, 23.0]]  # A: 2 months before its first visit
    assert table.exposure[1].tolist() == [[3.0, 2.0], [0.0, 9.0]]  # C: not negative from the start, negative from 3
    assert table.transitions[:, :, 0, 1].tolist() == [[1, 0], [0, 1]]
    assert (landmarks_of(SCHEDULE, pfs, OS.patients(courses())) == SCHEDULE.months).all()


def test_assign_takes_times_of_progression():
    pfs, survival = with_mrd(), OS.patients(courses())
    both = replace(survival, mrd=pfs.mrd)
    progressed = np.where(pfs.event & (pfs.cause == 0), pfs.time, np.nan)
    found = SCHEDULE.assign(both, progressed_by=progressed)
    assert np.array_equal(found.code, status_for(SCHEDULE.assign(pfs), pfs, survival).code)
    assert SCHEDULE.assign(both).code[1].tolist() == [MISSING, MISSING]


@pytest.mark.parametrize("wrong", [np.full(5, np.inf), np.array([0.0] * 6), np.array([-1.0] * 6)])
def test_times_of_progression_must_be_one_a_patient(wrong):
    with pytest.raises(DataError, match="progressed_by must be months above 0 of each of 6 patients"):
        SCHEDULE.assign(with_mrd(), progressed_by=wrong)


def changed(**values):
    return replace(OS.patients(courses()), **values)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        (changed(patient=np.array(list("ABCXYF"), dtype=object)), "2 patients are not among those with MRD, first X"),
        (changed(arm=np.zeros(6, dtype=int)), "arms differ between the endpoints"),
        (changed(enrolled=None), "calendar times of enrolment are needed"),
        (changed(origin=datetime.date(2020, 1, 1)), "calendar times count from None and from 2020-01-01"),
        (changed(enrolled=np.zeros(6)), "a clock starts before enrolment"),
    ],
)
def test_other_endpoints_must_be_of_the_same_trial(to, words):
    pfs = with_mrd()
    with pytest.raises(DataError, match=words):
        status_for(SCHEDULE.assign(pfs), pfs, to)
    with pytest.raises(DataError, match=words):
        landmarks_of(SCHEDULE, pfs, to)


def test_status_and_cause_must_be_of_the_patients_given():
    pfs, survival = with_mrd(), OS.patients(courses())
    status = SCHEDULE.assign(pfs)
    with pytest.raises(DataError, match="'relapse' is not one of the causes progression, death"):
        status_for(status, pfs, survival, progression="relapse")
    with pytest.raises(DataError, match="the status is of 6 patients, not 2"):
        status_for(status, DURATION_OF_RESPONSE.patients(courses()), survival)
    twice = replace(pfs, patient=np.array(list("AACDEF"), dtype=object))
    with pytest.raises(DataError, match="twice among those with MRD"):
        status_for(status, twice, survival)


def test_own_visits_go_with_a_constant_effect_of_who_is_not_negative_only():
    pfs, duration = with_mrd(), DURATION_OF_RESPONSE.patients(courses())
    landmarks = landmarks_of(SCHEDULE, pfs, duration)
    table = JointTable.of(duration, status_for(SCHEDULE.assign(pfs), pfs, duration), TimeGrid(()), landmarks=landmarks)
    rough, ratio = TimeGrid(()).tabulate(duration), {"progression": HazardRatioPrior()}
    with pytest.raises(SpecificationError, match="2 problems") as raised:
        joint_model(table, GammaPrior(), JointPriors(ratio, effect=Fading()), rough=rough, hazards_of="everyone")
    assert "choose a constant one" in str(raised.value)
    assert "choose 'not negative'" in str(raised.value)
    with pytest.raises(SpecificationError, match="a relation across trials is of effects since enrolment"):
        table.shape.check(related=True)
    with pytest.raises(SpecificationError, match="an arm has no law"):
        JointLaw.of({}, table.shape, JointPriors(ratio))


@pytest.mark.parametrize(
    ("settings", "words"),
    [({}, "nothing is to be varied"), ({"missing_log_odds": [0.5, np.inf]}, "must be finite numbers; got inf")],
)
def test_sensitivity_must_vary_something(settings, words):
    pfs = with_mrd()
    with pytest.raises(SpecificationError, match=words):
        joint_sensitivity(pfs, SCHEDULE.assign(pfs), TimeGrid(()), GammaPrior(),
                          JointPriors({"progression": HazardRatioPrior()}), seed=1, **settings)  # fmt: skip


def test_sensitivity_settings_are_named_and_never_twice():
    from smm_bayes.surrogacy.joint.sensitivity import _said, _settings

    error = AssayError(0.1, 0.05)
    alone = [_said(*setting) for setting in _settings([error, AssayError()], [1.0, 0.0], False)]
    assert alone == ["exact assay, missing at random", "disease missed 0.1, false positive 0.05",
                     "odds of missing 2.7 times as large if negative"]  # fmt: skip
    crossed = [_said(*setting) for setting in _settings([error], [1.0], True)]
    assert crossed[-1] == "disease missed 0.1, false positive 0.05; odds of missing 2.7 times as large if negative"
    assert len(crossed) == 4


def test_survival_after_a_landmark_before_the_visit_is_refused():
    share = np.log(np.full((1, 2), 0.5))
    law = JointLaw(np.zeros((1, 2, 1, 1)), share, TimeGrid(()), ("single",), ("event",), np.array([4.0]))
    with pytest.raises(SpecificationError, match="the landmark must be at the visit, 4 months, or later; got 3"):
        law.survival_after(3.0, [1.0])


def test_patients_of_one_trial_are_found_by_their_names_in_any_order():
    pfs, survival = with_mrd(), OS.patients(courses())
    order = np.array([3, 0, 5, 1, 4, 2])
    moved: Patients = replace(
        survival, **{name: getattr(survival, name)[order] for name in
                     ("patient", "arm", "time", "event", "cause", "censoring", "enrolled")},
    )  # fmt: skip
    status = SCHEDULE.assign(pfs)
    assert np.array_equal(status_for(status, pfs, moved).code, status_for(status, pfs, survival).code[order])


def test_latest_status_does_not_take_a_failed_assessment_for_a_result():
    pfs = with_mrd()
    valid = np.array([True, False, True, True, False])
    failed = replace(pfs, mrd=replace(pfs.mrd, valid=valid, negative=pfs.mrd.negative & valid))
    assert latest_status(failed, 9.5).tolist() == [1, -1, 1, -1, -1, -1]  # A: its first result; E: none
    assert latest_status(failed, 9.5, since=8.5).tolist() == [-1, -1, 1, -1, -1, -1]


def test_missing_results_are_said_in_the_priors():
    ratio = {"progression": HazardRatioPrior()}
    assert "missing results" not in JointPriors(ratio).statements()
    said = [JointPriors(ratio, missing_log_odds=value).statements()["missing results"] for value in (0.0, np.log(3))]
    assert said == ["at random (fixed, not estimated)",
                    "odds 3 times as large of the MRD-negative (fixed, not estimated)"]  # fmt: skip
    with pytest.raises(SpecificationError, match="missing_log_odds must be a finite number; got nan"):
        JointPriors(ratio, missing_log_odds=np.nan)
    draws = JointPriors(ratio, missing_log_odds=0.0).sample(("progression",), 2, 2, 5, rng=np.random.default_rng(1))
    assert draws["log_odds_missing"].shape == (5, 2)
