"""Nothing is planned in the past: each trigger, reached before, on or after the data cut-off, or out of reach."""

import datetime
from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.prediction import (
    Enrolment,
    EventCount,
    FinalAnalysis,
    final_status,
    probability_of_success,
)
from smm_bayes.prediction.trigger import observed_events
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.trial import Patients
from smm_bayes.trial.calendar import DAYS_PER_MONTH, calendar_date


def completed(patients, log_hazard, grid, **options):
    """Complete a trial from log hazards (chain, draw, arm, cause, interval)."""
    law = Law.plain(log_hazard, grid, patients.arms, patients.causes)
    return probability_of_success(patients, law, **options)

ORIGIN = datetime.date(2020, 1, 1)
# Ten patients enrolled on days 0, 10, ..., 90; data cut-off on day 400 (2021-02-04). Events on days 150, 200 and 400;
# patients 3 and 4 were lost; five are still followed. Times are dates less enrolment, and so whole days.
ENROLLED = np.arange(0, 100, 10)
LAST_SEEN = np.array([150, 200, 400, 250, 300, 400, 400, 400, 400, 400])
REASON = np.array(["", "", "", "lost", "withdrawn", *["administrative"] * 5], dtype=object)
CUTOFF = 400
DATA = "2021-02-04"


def months(day):
    return day / DAYS_PER_MONTH


def trial(**changes):
    event = REASON == ""
    made = Patients(
        patient=np.array([f"P{i}" for i in range(10)], dtype=object), arm=np.arange(10) % 2,
        time=months(LAST_SEEN - ENROLLED), event=event, cause=np.where(event, 0, -1), censoring=REASON,
        enrolled=months(ENROLLED), arms=("control", "experimental"), arm_names=("Rd", "KRd"), causes=("progression",),
        origin=ORIGIN, data_cutoff=months(CUTOFF),
    )  # fmt: skip
    return replace(made, **changes)


def predict(final, patients=None, **options):
    patients = trial() if patients is None else patients
    log_hazard = np.full((1, 50, 2, len(patients.causes), 1), np.log(0.05))
    return completed(patients, log_hazard, TimeGrid(()), final=final, rule=EventCount(at_least=1), seed=4,
                                  replicates=200, **options)  # fmt: skip


def dates(prediction):
    return {calendar_date(time, ORIGIN).isoformat() for time in prediction.columns["date"]}


WAS = ("The trigger of the final analysis was reached on {}, before the data cut: the analysis counts as made at the data "
       f"cut-off {DATA}.")  # fmt: skip
DUE = f"The final analysis is due: its trigger was reached on the day of the data cut-off {DATA}."
LATEST = (f"The final analysis is due: its latest date is the day of the data cut-off {DATA}, and its trigger is not "
          "reached.")  # fmt: skip
OUT = "The trigger of the final analysis cannot be reached any more: {}; the analysis is made at its latest date, {}."
FAR = months(800)  # 2022-03-11

# trigger, sentence, dates of the analysis (None: later than the cut-off), fewest and most events
KNOWN = {
    "events past": (FinalAnalysis("events", events=2), WAS.format("2020-07-19"), {DATA}, 3, 3),
    "events past, cap ahead": (FinalAnalysis("events", events=1, cap=FAR), WAS.format("2020-05-30"), {DATA}, 3, 3),
    "events now": (FinalAnalysis("events", events=3), DUE, {DATA}, 3, 3),
    "events to come": (FinalAnalysis("events", events=4), "", None, 4, 4),
    "events, all that can come": (FinalAnalysis("events", events=8, cap=months(4000)), "", None, 3, 8),
    "events out of reach, cap ahead": (
        FinalAnalysis("events", events=9, cap=FAR),
        OUT.format("3 events so far, 5 patients still followed and 0 to come make at most 8 events of 9", "2022-03-11"),
        {"2022-03-11"}, 3, 8),
    "events to come, cap now": (FinalAnalysis("events", events=4, cap=months(CUTOFF)), LATEST, {DATA}, 3, 3),
    "date now": (FinalAnalysis("date", date=months(CUTOFF)), DUE, {DATA}, 3, 3),
    "date now, by a third of a day": (FinalAnalysis("date", date=months(CUTOFF - 0.3)), DUE, {DATA}, 3, 3),
    "date to come": (FinalAnalysis("date", date=FAR), "", {"2022-03-11"}, 3, 8),
    "date after the cap": (
        FinalAnalysis("date", date=FAR, cap=months(500)), OUT.format("it would be on 2022-03-11", "2021-05-15"),
        {"2021-05-15"}, 3, 8),
    # the last patient was enrolled on day 90
    "follow-up past": (FinalAnalysis("follow_up", follow_up=months(100), truncate=False), WAS.format("2020-07-09"),
                       {DATA}, 3, 3),
    # of 3 events those after 150 and 190 days are within 200 days of follow-up, the one after 380 is not
    "follow-up past, truncated": (FinalAnalysis("follow_up", follow_up=months(200)), WAS.format("2020-10-17"),
                                  {DATA}, 2, 2),
    "follow-up now": (FinalAnalysis("follow_up", follow_up=months(310), truncate=False), DUE, {DATA}, 3, 3),
    "follow-up to come": (FinalAnalysis("follow_up", follow_up=months(410), truncate=False), "", {"2021-05-15"}, 3, 8),
    "follow-up after the cap": (
        FinalAnalysis("follow_up", follow_up=months(710), truncate=False, cap=months(500)),
        OUT.format("it would be on 2022-03-11", "2021-05-15"), {"2021-05-15"}, 3, 8),
    "follow-up to come, cap now": (FinalAnalysis("follow_up", follow_up=months(710), cap=months(CUTOFF)), LATEST,
                                   {DATA}, 3, 3),
}  # fmt: skip


@pytest.mark.parametrize("case", KNOWN)
def test_what_is_known_of_the_trigger(case):
    final, sentence, when, fewest, most = KNOWN[case]
    found = predict(final)
    assert found.trigger == sentence == final_status(trial(), final)
    assert (found.summary()[0] == ("trigger", sentence)) if sentence else (found.summary()[0][0] == "success rule")
    assert dates(found) == when if when else (found.columns["date"] > months(CUTOFF)).all()
    assert (found.columns["date"] >= months(CUTOFF)).all()
    assert found.counted_events.min() >= max(fewest, observed_events(trial(), final))
    assert found.counted_events.max() <= most
    reached = not ("out of reach" in case or "after the cap" in case or "cap now" in case)
    assert found.columns["reached"].all() == reached or case == "events, all that can come"


REFUSED = {
    "date past": (FinalAnalysis("date", date=months(399)), r"final\.date 2021-02-03 is before the data cut \(2021-02-04\)"),
    "cap past": (FinalAnalysis("events", events=4, cap=months(399)), r"final\.cap 2021-02-03 is before the data cut"),
    "cap past, follow-up": (FinalAnalysis("follow_up", follow_up=6, cap=months(1)), r"final\.cap 2020-01-02 is before"),
    "events out of reach": (
        FinalAnalysis("events", events=9),
        r"final\.events is 9 and cannot be reached any more: 3 events so far, 5 patients still followed and 0 to come make "
        r"at most 8 events; correct it, say in prediction\.complete which are still followed, or give final\.cap"),
    "more events than patients": (FinalAnalysis("events", events=11, cap=FAR),
                                  r"final\.events is 11, more than the 10 patients there will be"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_in_the_past_or_out_of_reach_is_refused(case):
    final, words = REFUSED[case]
    for call in (predict, lambda final: final_status(trial(), final)):
        with pytest.raises(SpecificationError, match=words):
            call(final)


def test_who_can_still_have_an_event_is_who_is_completed_and_who_comes():
    nine = FinalAnalysis("events", events=9)
    assert predict(nine, complete=("administrative", "lost")).trigger == ""
    plan = Enrolment({"control": 6, "experimental": 5})
    assert predict(nine, enrolment=plan).trigger == ""
    assert final_status(trial(), nine, plan) == ""
    everybody = trial(censoring=np.where(REASON == "", "", "lost").astype(object))
    with pytest.raises(SpecificationError, match="3 events so far, 0 patients still followed and 0 to come"):
        predict(FinalAnalysis("events", events=4), everybody)
    with pytest.raises(SpecificationError, match="and 1 to come make at most 4 events"):
        predict(FinalAnalysis("events", events=5), everybody, enrolment=plan)


def test_only_counted_causes_reach_the_target():
    cause = np.array([0, 1, 0, *[-1] * 7])
    patients = trial(causes=("progression", "death"), cause=cause)
    two = FinalAnalysis("events", events=2, causes=("progression",))
    assert final_status(patients, two) == DUE
    assert final_status(patients, replace(two, events=1)) == WAS.format("2020-05-30")
    assert observed_events(patients, two) == 2
    with pytest.raises(SpecificationError, match="2 events so far, 5 patients"):
        final_status(patients, replace(two, events=8))


def test_patients_to_come_move_the_follow_up():
    """Each of them is enrolled after the cut-off, so the trigger is later than that by the follow-up."""
    plan = Enrolment({"control": 6, "experimental": 6}, prior_rate=5.0, prior_months=50.0)
    final = FinalAnalysis("follow_up", follow_up=3.0, truncate=False)
    assert final_status(trial(), final) != ""
    assert final_status(trial(), final, plan) == ""
    found = predict(final, enrolment=plan)
    assert (found.columns["date"] > months(CUTOFF) + 3).all()
    capped = replace(final, cap=months(CUTOFF) + 2)
    assert "patients still to come have 3 months of follow-up after 2021-05-06" in final_status(trial(), capped, plan)


def test_without_a_calendar_of_dates_times_are_months():
    patients = trial(origin=None)
    assert "was reached at 4.9 months since the first enrolment" in final_status(patients, FinalAnalysis("events", events=1))
    assert final_status(trial(enrolled=None, data_cutoff=None), FinalAnalysis("follow_up", follow_up=3.0)) == ""
    with pytest.raises(SpecificationError, match="cannot be reached any more"):
        final_status(trial(data_cutoff=None), FinalAnalysis("events", events=9))


@pytest.mark.parametrize(
    "planned", [{"control": 99_999_999_999, "experimental": 5}, {"control": 60_000, "experimental": 60_000},
                {"control": -1, "experimental": 5}],
)  # fmt: skip
def test_enrolment_is_of_a_trial(planned):
    with pytest.raises(SpecificationError, match=r"enrolment\.planned is .* a trial has from 0 to 100,000 patients"):
        Enrolment(planned)


def test_the_latest_enrolment_is_in_the_future_of_the_same_kernel():
    """A trigger in the past changes nothing but the date: the draws are those of an analysis that is due."""
    past = predict(FinalAnalysis("follow_up", follow_up=months(100), truncate=False))
    due = predict(FinalAnalysis("date", date=months(CUTOFF)))
    np.testing.assert_array_equal(past.columns["z"], due.columns["z"])
    np.testing.assert_array_equal(past.columns["date"], due.columns["date"])
